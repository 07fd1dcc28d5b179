package engine

import (
	"fmt"
	"slices"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/story"
)

// estimate gathers the times of a run as it goes.
type estimate struct {
	times    story.Times
	down, up *action.Span // the whole so far, when the first service stopped, and when the last one started
}

func (e *estimate) step(name string) {
	e.times.Steps = append(e.times.Steps, story.StepTime{Name: name})
}

func (e *estimate) add(s action.Span) {
	e.times.Whole = e.times.Whole.Plus(s)
	if n := len(e.times.Steps); n > 0 {
		e.times.Steps[n-1].Span = e.times.Steps[n-1].Plus(s)
	}
}

func (e *estimate) action(a action.Action) {
	if action.Stops(a) && e.down == nil {
		before := e.times.Whole
		e.down = &before
	}
	e.add(action.Cost(a))
	if action.Starts(a) && e.down != nil {
		after := e.times.Whole
		e.up = &after
	}
}

// result is what was gathered; nil if nothing was.
func (e *estimate) result() *story.Times {
	t := e.times
	t.Steps = slices.DeleteFunc(slices.Clone(t.Steps), func(s story.StepTime) bool { return s.Most == 0 })
	if len(t.Steps) == 0 {
		return nil
	}
	if e.down != nil {
		end := t.Whole
		if e.up != nil {
			end = *e.up
		}
		t.Down = end.Minus(*e.down)
	}
	return &t
}

// tellForecast tells a real run's admin, before it begins, how long it takes.
func (r *Run) tellForecast() {
	t := r.cfg.Forecast
	if t == nil || !r.real() {
		return
	}
	r.emit(story.Event{Kind: story.Output, Text: "the time that it takes, " + t.String()})
	for _, why := range t.Why {
		r.emit(story.Event{Kind: story.Output, Text: "- " + why})
	}
}

// tellLeft tells a real run's admin, after a step, how long the rest takes.
func (r *Run) tellLeft(step string, took time.Duration) {
	t := r.cfg.Forecast
	if t == nil || !r.real() {
		return
	}
	if r.ended == nil {
		r.ended = map[string]time.Duration{}
	}
	r.ended[step] = took
	rest := t.Left(r.ended)
	if rest.Most < time.Minute || !slices.ContainsFunc(t.Steps, func(s story.StepTime) bool { return s.Name == step }) {
		return
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("the rest takes about %s, by the pace so far", rest)})
}

// Expect notes for the estimate what only the runbook knows of.
func (r *Run) Expect(what string, s action.Span) {
	r.estimate.add(s)
	r.estimate.times.Why = append(r.estimate.times.Why, r.secrets.mask(what)+": "+s.String())
}
