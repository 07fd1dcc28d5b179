// Package run is the runbooks' function run: a program that the policy lists, with its undo.
package run

import (
	"slices"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

// Builtins lists the function.
func Builtins() []*script.Builtin { return []*script.Builtin{run} }

const defaultTimeout = 60

var run = &script.Builtin{
	Name: "run",
	Doc: "Runs a program that policy(programs = [...]) lists by its absolute path.\n\n" +
		"There is no shell: each argument is one, and reaches the program as it is. It runs as root, in /, with an environment of LC_ALL=C and " +
		"PATH, without input, and is ended with all that it started when its time is up. What it says goes to the journal and to the " +
		"story, secrets masked; passwords never belong into arguments. An exit status that is not 0 is an error. A program that others than " +
		"root can change is refused. A simulation does not run it: what it does is on the report's \"not simulated\" list.\n\n" +
		"Say how a rollback undoes it: undo is another program, which must bear to be run twice, and from wherever the first was broken off; " +
		"changes are the files that it changes, or makes, which are kept first and given back; no_undo is the reason why it cannot be " +
		"undone, which is announced as a point of no return. If the undo fails, the rollback stops; if it is begun again, and the undo " +
		"fails again, it goes on, and names that at its end.\n\n" +
		"A program that was broken off (the machine lost its power, a second Ctrl-C) is undone by these means, and run again by resume. One " +
		"that cannot be undone is run again only if it is repeatable; else the run asks for a corrected runbook. One that failed is " +
		"taken to have told why, and resume runs it again, once the cause is fixed.",
	Params: []script.Param{
		{Name: "command", Type: script.Strings, Doc: "the program's absolute path, and its arguments"},
		{Name: "undo", Type: script.Strings, Doc: "a program that undoes it, and its arguments", Optional: true, Keyword: true},
		{Name: "changes", Type: script.Paths, Doc: "files that it changes or makes; the policy must allow to write them", Optional: true, Default: "[]", Keyword: true},
		{Name: "no_undo", Type: script.String, Doc: "why it cannot be undone", Optional: true, Keyword: true},
		{Name: "repeatable", Type: script.Bool, Doc: "to run it twice is the same as to run it once", Optional: true, Default: "False", Keyword: true},
		{Name: "database", Type: script.Bool, Doc: "it changes a database for good: a rollback needs the dump that the run made before; with no_undo",
			Optional: true, Default: "False", Keyword: true},
		{Name: "timeout", Type: script.Int, Doc: "seconds that it may take", Optional: true, Default: "60", Keyword: true},
	},
	Result: "record(output): the last 200 lines that it said, \"\" in a simulation",
	Effect: script.Change,
	Example: `
run(["/usr/sbin/postmap", "/etc/postfix/virtual"], changes = ["/etc/postfix/virtual.db"], repeatable = True)
said = run(["/usr/sbin/postfix", "reload"], undo = ["/usr/sbin/postfix", "reload"], timeout = 30)
print(said.output)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		a := &action.Program{
			Command: c.Strings("command"), Reverse: c.Strings("undo"), Changes: c.Strings("changes"), NoUndo: c.String("no_undo"),
			Repeatable: c.Bool("repeatable", false), Database: c.Bool("database", false), Timeout: time.Duration(c.Int("timeout", defaultTimeout)) * time.Second,
		}
		ways := a.Reverse != nil || a.Changes != nil
		switch {
		case len(a.Command) == 0 || c.Has("undo") && len(a.Reverse) == 0:
			return script.Decision{}, c.Errorf("a command is a program and its arguments, and cannot be empty")
		case !ways && a.NoUndo == "":
			return script.Decision{}, c.Errorf("say how a rollback undoes it: undo = [...], or changes = [...] if it only changes files, or no_undo = \"why it cannot be undone\"")
		case ways && a.NoUndo != "":
			return script.Decision{}, c.Errorf("no_undo says that it cannot be undone, and undo or changes say how; give one of them")
		case a.Database && a.NoUndo == "":
			return script.Decision{}, c.Errorf("a database that is changed for good is not undone by undo or changes; say with no_undo what that means")
		case a.Timeout < time.Second:
			return script.Decision{}, c.Errorf("timeout: want a number of seconds, 1 or more")
		case slices.ContainsFunc(append(slices.Clone(a.Command), a.Reverse...), func(s string) bool { return slices.Contains([]byte(s), 0) }):
			return script.Decision{}, c.Errorf("an argument holds a NUL, which no program can be given")
		}
		return script.Decision{Actions: []action.Action{a}}, nil
	},
}
