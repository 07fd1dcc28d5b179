package engine

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/story"
)

// tick is how often a run tells that it still waits.
const tick = time.Second

// wait does something that may take long, and tells each second what for, and since when: nothing looks
// frozen. What it does may tell how far it is by Env.Progress; then that is told again.
func (r *Run) wait(what string, do func() error) error {
	w := r.beginWait(what)
	defer r.endWait(w)
	return do()
}

// waiting is a wait in hand.
type waiting struct {
	outer *waiting // it is part of another one
	since time.Time
	last  action.Progress
	pace  pace
	stop  chan struct{}
	done  sync.WaitGroup
}

func (r *Run) beginWait(what string) *waiting {
	ticks, stopTicks := r.ticks()
	w := &waiting{since: r.cfg.Now(), last: action.Progress{What: what}, stop: make(chan struct{})}
	r.waitsLock.Lock()
	w.outer, r.waits = r.waits, w
	r.waitsLock.Unlock()
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		defer stopTicks()
		for {
			select {
			case <-w.stop:
				return
			case <-ticks:
				r.stillWaiting(w)
			}
		}
	}()
	return w
}

func (r *Run) endWait(w *waiting) {
	close(w.stop)
	w.done.Wait()
	r.waitsLock.Lock()
	r.waits = w.outer
	r.waitsLock.Unlock()
}

func (r *Run) ticks() (<-chan time.Time, func()) {
	if r.cfg.Ticks != nil {
		return r.cfg.Ticks, func() {}
	}
	t := time.NewTicker(tick)
	return t.C, t.Stop
}

// progress tells how far the action in hand is.
func (r *Run) progress(p action.Progress) {
	r.waitsLock.Lock()
	w := r.waits
	if w != nil {
		if p.What != w.last.What {
			w.since = r.cfg.Now()
		}
		w.last = p
	}
	r.waitsLock.Unlock()
	if w == nil { // nothing tells of it again: it has no pace
		r.emit(story.Event{Kind: story.ProgressMade, Progress: &p})
		return
	}
	r.stillWaiting(w)
}

// stillWaiting tells what was told last, once more, with the pace and the time left by now.
func (r *Run) stillWaiting(w *waiting) {
	r.waitsLock.Lock()
	inner, last, since, now := r.waits == w, w.last, w.since, r.cfg.Now()
	w.pace.tell(now, &last)
	r.waitsLock.Unlock()
	if inner {
		r.emit(story.Event{Kind: story.ProgressMade, Progress: &last, Elapsed: now.Sub(since)})
	}
}

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

func (e *estimate) action(a action.Action, cost action.Span) {
	if action.Stops(a) && e.down == nil {
		before := e.times.Whole
		e.down = &before
	}
	e.add(cost)
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

// pace is how fast something advances. It looks back over the last while only: so a fast begin is forgotten, and
// what has come to a stop shows.
type pace struct {
	what string
	seen []seen // the oldest first
}

type seen struct {
	at          time.Time
	done, bytes int64
}

const (
	paceOver  = 30 * time.Second
	paceFrom  = 3 * time.Second // a shorter while tells nothing
	paceEvery = time.Second
)

// tell works out rate and time left.
func (m *pace) tell(now time.Time, p *action.Progress) {
	p.Rate, p.BytesRate, p.Left = 0, 0, 0
	if p.Unit != "files" && p.Unit != "bytes" && p.Unit != "entries" {
		return
	}
	m.note(now, p)
	first := m.seen[0]
	took := now.Sub(first.at).Seconds()
	if took < paceFrom.Seconds() {
		return
	}
	rate, bytesRate := float64(p.Done-first.done)/took, float64(p.Bytes-first.bytes)/took
	p.Rate, p.BytesRate = int64(rate+0.5), int64(bytesRate+0.5)
	p.Left = max(timeLeft(p.Total-p.Done, rate), timeLeft(p.TotalBytes-p.Bytes, bytesRate))
}

func (m *pace) note(now time.Time, p *action.Progress) {
	if last := len(m.seen) - 1; last < 0 || p.What != m.what || p.Done < m.seen[last].done || p.Bytes < m.seen[last].bytes {
		m.what, m.seen = p.What, []seen{{now, p.Done, p.Bytes}}
		return
	} else if now.Sub(m.seen[last].at) >= paceEvery {
		m.seen = append(m.seen, seen{now, p.Done, p.Bytes})
	}
	for len(m.seen) > 1 && now.Sub(m.seen[1].at) >= paceOver {
		m.seen = m.seen[1:]
	}
}

// timeLeft is not known, and 0, of what has come to a stop.
func timeLeft(left int64, rate float64) time.Duration {
	if left <= 0 || rate <= 0 {
		return 0
	}
	return time.Duration(min(float64(left)/rate, forEver.Seconds()) * float64(time.Second))
}

// forEver is longer than anybody waits: what comes to more says no more than that.
const forEver = 1000 * time.Hour
