package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/journal"
)

// The counts and the duration of a verdict are those of the whole run, and of the whole way back, however
// many processes it took.
func TestVerdictOfTheWholeRun(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	clock := time.Date(2016, 3, 1, 20, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	s.log = journal.Memory("test", now)
	minutes := func(c *runtime.Config) { // each change takes one
		emit := c.Emit
		c.Now = now
		c.Emit = func(e runtime.Event) {
			if e.Kind == runtime.ChangeEnd || e.Kind == runtime.Undone {
				clock = clock.Add(time.Minute)
			}
			emit(e)
		}
	}
	script := strings.Replace(fmt.Sprintf(threeSteps, ""), `t.write("/srv/a/one", "x")`, `warn("look")
    t.write("/srv/a/one", "x")`, 1)
	run := func(stop int, change func(*runtime.Config)) runtime.Verdict {
		t.Helper()
		clock = clock.Add(time.Hour) // the admin looks
		s.stop = make(chan struct{})
		return s.run(script, func(c *runtime.Config) {
			minutes(c)
			c.Stop = s.stop
			if stop > 0 {
				stopAt(s, runtime.ChangeEnd, stop, func() { close(s.stop) })(c)
			}
			change(c)
		})
	}
	again := func(c *runtime.Config) { c.Previous = s.records() }
	if v := run(1, func(*runtime.Config) {}); v.Code != runtime.CodeInterrupted || !strings.Contains(v.Text, "after 1 change") {
		t.Fatalf("%+v", v)
	}
	if v := run(2, again); v.Code != runtime.CodeInterrupted || !strings.Contains(v.Text, "after 3 changes") {
		t.Fatalf("%+v", v)
	}
	v := run(0, again)
	if v.Code != 0 || v.Text != "done: 4 changes, 1 warning" || v.Changes != 4 || v.Warnings != 1 || v.Elapsed != 4*time.Minute {
		t.Errorf("%+v", v)
	}

	clock = clock.Add(time.Hour)
	s.stop = make(chan struct{})
	cfg := func(c *runtime.Config) { minutes(c); c.Stop = s.stop }
	back := func(change func(*runtime.Config)) runtime.Verdict {
		cfg := s.config(&runtime.Runbook{Name: "site.star"})
		cfg.Previous = s.records()
		change(&cfg)
		return runtime.Rollback(context.Background(), cfg, "")
	}
	if v := back(func(c *runtime.Config) { cfg(c); stopAt(s, runtime.Undone, 3, func() { close(s.stop) })(c) }); v.Code != runtime.CodeInterrupted || v.Changes != 3 {
		t.Fatalf("%+v", v)
	}
	clock = clock.Add(time.Hour)
	s.stop = make(chan struct{})
	if v := back(cfg); v.Code != 0 || v.Changes != 4 || v.Elapsed != 4*time.Minute {
		t.Errorf("%+v", v)
	}
}
