package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
)

// slowHost takes a second for what is done to services and to the database.
type slowHost struct {
	*dbHost
	second func()
}

func (h *slowHost) StartService(ctx context.Context, name string) error {
	h.second()
	return h.dbHost.StartService(ctx, name)
}

// DumpDatabase writes 100 bytes a second for ten seconds, and then nothing for half a minute.
func (h *slowHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(written int64)) (host.DumpResult, error) {
	for n := range int64(10) {
		progress(100 * n)
		h.second()
	}
	for range 35 {
		h.second()
	}
	return h.dbHost.DumpDatabase(ctx, req, progress)
}

func (h *slowHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	h.second()
	return h.dbHost.StopService(ctx, name, patience)
}

// Whatever a run or a rollback waits for, it says so each second, and since when.
func TestEveryWaitTicks(t *testing.T) {
	s, db := newDatabaseScene(t)
	ticks := make(chan time.Time)
	begun := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
	var passed atomic.Int64 // seconds; the wait looks at the clock, too
	now := func() time.Time { return begun.Add(time.Duration(passed.Load()) * time.Second) }
	var told []string
	var dumped []action.Progress
	h := &slowHost{db, func() {
		passed.Add(1)
		ticks <- now()
		ticks <- now() // heard when the first is told
	}}
	slow := func(c *engine.Config) {
		emit := c.Emit
		c.Host, c.Ticks, c.Now = h, ticks, now
		c.Emit = func(e story.Event) {
			if e.Kind == story.ProgressMade && e.Elapsed >= time.Second {
				told = append(told, e.Progress.What+" "+e.Elapsed.String())
				if strings.HasPrefix(e.Progress.What, "dump ") {
					dumped = append(dumped, *e.Progress)
				}
			}
			emit(e)
		}
	}
	if v := s.run(databaseScript, slow); v.Code != 0 {
		t.Fatal(v)
	}
	got := strings.Join(told, "; ")
	if !strings.Contains(got, "wait for old to stop 1s; wait for old to stop 1s") || !strings.Contains(got, "wait for new to start 1s; wait for new to start 1s") {
		t.Errorf("told %s", got)
	}

	// Each tick works out anew how fast it goes, and how long that takes.
	var moving, stopped action.Progress
	for _, p := range dumped {
		if p.Done == 500 && moving.Done == 0 {
			moving = p
		}
		if p.Done == 900 {
			stopped = p
		}
	}
	if moving.Rate != 100 || moving.Left == 0 || moving.Total == 0 {
		t.Errorf("while it went on it told %+v", moving)
	}
	if stopped.Rate != 0 || stopped.Left != 0 || stopped.Done != 900 {
		t.Errorf("when it had stopped it told %+v", stopped)
	}

	told = nil
	cfg := s.config(&runbook.Runbook{Name: "site.star"})
	cfg.Previous = s.records()
	slow(&cfg)
	if v := engine.Rollback(context.Background(), cfg, ""); v.Code != exit.RollbackIncomplete {
		t.Fatal(v)
	}
	if got := strings.Join(told, "; "); !strings.Contains(got, "wait for new to stop 1s; wait for new to stop 1s") {
		t.Errorf("the rollback told %s", got)
	}
}
