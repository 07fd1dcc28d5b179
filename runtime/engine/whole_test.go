package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
)

// The counts and the duration of a verdict are those of the whole run, and of the whole way back, however
// many processes it took.
func TestVerdictOfTheWholeRun(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	clock := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	s.log = journal.Memory("test", now)
	minutes := func(c *engine.Config) { // each change takes one
		emit := c.Emit
		c.Now = now
		c.Emit = func(e story.Event) {
			if e.Kind == story.ChangeEnd || e.Kind == story.Undone {
				clock = clock.Add(time.Minute)
			}
			emit(e)
		}
	}
	script := strings.Replace(fmt.Sprintf(threeSteps, ""), `t.write("/srv/a/one", "x")`, `warn("look")
    t.write("/srv/a/one", "x")`, 1)
	run := func(stop int, change func(*engine.Config)) story.Verdict {
		t.Helper()
		clock = clock.Add(time.Hour) // the admin looks
		s.stop = make(chan struct{})
		return s.run(script, func(c *engine.Config) {
			minutes(c)
			c.Stop = s.stop
			if stop > 0 {
				stopAt(s, story.ChangeEnd, stop, func() { close(s.stop) })(c)
			}
			change(c)
		})
	}
	again := func(c *engine.Config) { c.Previous = s.records() }
	if v := run(1, func(*engine.Config) {}); v.Code != exit.Interrupted || !strings.Contains(v.Text, "after 1 change") {
		t.Fatalf("%+v", v)
	}
	if v := run(2, again); v.Code != exit.Interrupted || !strings.Contains(v.Text, "after 3 changes") {
		t.Fatalf("%+v", v)
	}
	v := run(0, again)
	if v.Code != 0 || v.Text != "done: 4 changes, 1 warning" || v.Changes != 4 || v.Warnings != 1 || v.Elapsed != 4*time.Minute {
		t.Errorf("%+v", v)
	}

	clock = clock.Add(time.Hour)
	s.stop = make(chan struct{})
	cfg := func(c *engine.Config) { minutes(c); c.Stop = s.stop }
	back := func(change func(*engine.Config)) story.Verdict {
		cfg := s.config(&runbook.Runbook{Name: "site.star"})
		cfg.Previous = s.records()
		change(&cfg)
		return engine.Rollback(context.Background(), cfg, "")
	}
	if v := back(func(c *engine.Config) { cfg(c); stopAt(s, story.Undone, 3, func() { close(s.stop) })(c) }); v.Code != exit.Interrupted || v.Changes != 3 {
		t.Fatalf("%+v", v)
	}
	clock = clock.Add(time.Hour)
	s.stop = make(chan struct{})
	if v := back(cfg); v.Code != 0 || v.Changes != 4 || v.Elapsed != 4*time.Minute {
		t.Errorf("%+v", v)
	}
}
