package engine

import (
	"fmt"
	"slices"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/runbook"
)

// Where a run can be asked to stop, beside before a step.
const (
	UntilNoReturn = "no-return" // before the first change that cannot be undone
	UntilEnd      = "end"       // nowhere: a resume goes past where the run was to stop
)

// untilError is a run's stop at the place where it was asked to.
type untilError struct{ before string }

func (e *untilError) Error() string { return "stopped before " + e.before + ", as asked" }

// CheckUntil refuses a place to stop at that the runbook does not have.
func CheckUntil(rb *runbook.Runbook, until string) error {
	names := runbook.StepNames(rb.All())
	if until == "" || until == UntilNoReturn || until == UntilEnd || slices.Index(names, until) >= 0 {
		return nil
	}
	return fmt.Errorf("there is no step %s to stop before%s", until, near.HintOrList(until, append(names, UntilNoReturn)))
}

// stopAt decides where the run stops: where it is asked to now, or where it was before and has not come
// to.
func (r *Run) stopAt(past *history) error {
	r.until = r.cfg.Until
	if r.until == "" {
		r.until = past.until
	}
	if r.until == UntilEnd {
		r.until = ""
	}
	if err := CheckUntil(r.rb, r.until); err != nil {
		return fmt.Errorf("%w; `%s` goes on to the end", err, r.cfg.Caller.Command("resume", "--until", UntilEnd))
	}
	if _, ended := past.steps[r.until]; ended {
		return fmt.Errorf("step %s has ended: the run cannot stop before it any more", r.until)
	}
	return nil
}
