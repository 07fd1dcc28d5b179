package runtime

import (
	"fmt"

	"zcp2kopano/runtime/near"
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
func (rb *Runbook) CheckUntil(until string) error {
	names := stepNames(rb.All())
	if until == "" || until == UntilNoReturn || until == UntilEnd || indexOf(names, until) >= 0 {
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
	if err := r.rb.CheckUntil(r.until); err != nil {
		return fmt.Errorf("%w; `%s` goes on to the end", err, r.cfg.Caller.Command("resume", "--until", UntilEnd))
	}
	if _, ended := past.steps[r.until]; ended {
		return fmt.Errorf("step %s has ended: the run cannot stop before it any more", r.until)
	}
	return nil
}
