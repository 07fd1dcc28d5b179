package engine

import (
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
