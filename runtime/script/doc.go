// Package script is the language that runbooks are written in: Starlark, with limits, secrets and errors
// that show the line at fault.
//
// A builtin is declared once (Builtin), and that one declaration serves argument checking, error hints and
// the reference. It gets a Call: its checked arguments, and a view of the host to read. One of effect
// Change returns a Decision, the actions that are to be carried out. What carries them out, and answers
// a call that was made before from a journal, is the thread's Runner: nothing here knows of runs, journals
// or runbooks.
package script
