package runbook

import (
	"go.starlark.net/starlark"
	"zcp2kopano/runtime/policy"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

// Running is the run that a step belongs to, as the builtins here need it.
type Running interface {
	script.Runner
	// Find records a finding of the step in hand.
	Find(f Finding) error
	// Grant adds a path, or the base of a directory, to what the run may change.
	Grant(class policy.Class, entry, why, pos string) error
	// Expect notes how long something takes that only the runbook knows of.
	Expect(what string, s action.Span)
	// Tell tells a record to programs that follow the run.
	Tell(what string, fields map[string]any, pos string)
	// Checking reports whether the step in hand is the runbook's check.
	Checking() bool
	// Parameter is the value of a parameter of the runbook.
	Parameter(name string) (starlark.Value, bool)
	// Ends reports whether an error is not a failure of what was looked at, but ends the run.
	Ends(err error) bool
	// Explain adds to an error what it takes to show where it happened.
	Explain(err error) error
}

// running is the run that a call belongs to; nil while modules load.
func running(c *script.Call) Running {
	run, _ := c.Runner().(Running)
	return run
}
