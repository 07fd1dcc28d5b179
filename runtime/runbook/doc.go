// Package runbook is what define() makes: a value that says which systems it fits, which parameters it
// takes, which steps it runs, and what it may touch; and the builtins that describe it, and by which its
// steps tell what they found.
package runbook
