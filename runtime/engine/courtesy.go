package engine

import (
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
)

// As long as a run has stopped no service, others work beside it, and what moves much holds itself back: it comes last at
// the disk, and moves no more than Config.Limit allows.

// courteous reports whether an action holds itself back.
func (r *Run) courteous(a action.Action) (bytes int64, held bool) {
	l, ok := a.(action.Limited)
	if !ok || r.stoppedOne {
		return 0, false
	}
	return l.LimitedBytes(), true
}

// giveWay begins to come last at the disk, for an action that holds itself back. Only who asks for a limit has it wait for
// idle time: how long that takes on a busy disk nobody can forecast.
func (r *Run) giveWay(a action.Action) (end func()) {
	if h, ok := r.cfg.Host.(host.Courteous); ok {
		if _, held := r.courteous(a); held {
			return h.GiveWay(r.cfg.Limit > 0)
		}
	}
	return func() {}
}

// beginLimit makes the limit that all actions share.
func (r *Run) beginLimit(past *history) error {
	for _, p := range past.intents {
		a, err := p.action()
		if err != nil {
			return err
		}
		r.stoppedOne = r.stoppedOne || action.Stops(a) && !p.state().undone
	}
	if h, ok := r.cfg.Host.(host.Courteous); ok && r.cfg.Limit > 0 {
		r.limiter = h.Limiter(r.cfg.Limit)
	}
	return nil
}

// limited is how long an action takes that is held back.
func (r *Run) limited(a action.Action) action.Span {
	cost := action.Cost(a)
	if bytes, held := r.courteous(a); held && r.cfg.Limit > 0 {
		return cost.AtLeast(time.Duration(float64(bytes) / float64(r.cfg.Limit) * float64(time.Second)))
	}
	return cost
}

// warnOfNoLimit tells of what a limit was asked for and does not hold back: a run says so in its rehearsal, before it is
// begun.
func (r *Run) warnOfNoLimit(a action.Action) error {
	why := action.NoLimit(a)
	if _, held := r.courteous(a); !held || why == "" || r.cfg.Limit == 0 {
		return nil
	}
	return r.Find(runbook.Finding{
		Severity: runbook.Warning, Key: "limit/unbounded", Title: "--limit does not hold for " + a.Summary(), Reason: why,
		Remedy: "have it done by what a limit holds back, or when nobody else needs the disk",
	})
}
