package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
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

func (h *slowHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	h.second()
	return h.dbHost.StopService(ctx, name, patience)
}

// Whatever a run or a rollback waits for, it says so each second, and since when.
func TestEveryWaitTicks(t *testing.T) {
	s, db := newDatabaseScene(t)
	ticks := make(chan time.Time)
	clock := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
	var told []string
	h := &slowHost{db, func() {
		clock = clock.Add(time.Second)
		ticks <- clock
		ticks <- clock // heard when the first is told
	}}
	slow := func(c *engine.Config) {
		emit := c.Emit
		c.Host, c.Ticks, c.Now = h, ticks, func() time.Time { return clock }
		c.Emit = func(e story.Event) {
			if e.Kind == story.ProgressMade && e.Elapsed >= time.Second {
				told = append(told, e.Progress.What+" "+e.Elapsed.String())
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
