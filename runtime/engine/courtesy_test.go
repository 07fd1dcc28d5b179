package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/story"
)

// busyHost is one where others work at the same time.
type busyHost struct {
	*dbHost
	last    int   // who gives way now
	gave    int   // how often somebody did
	idle    int   // how often in idle time alone
	limits  int   // that were made
	moved   int64 // by the limit
	limited []bool
}

func (h *busyHost) GiveWay(idle bool) func() {
	h.last++
	h.gave++
	if idle {
		h.idle++
	}
	return func() { h.last-- }
}

func (h *busyHost) Limiter(perSecond int64) func(context.Context, int) error {
	h.limits++
	return func(_ context.Context, bytes int) error {
		h.moved += int64(bytes)
		return nil
	}
}

func (h *busyHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	h.limited = append(h.limited, req.Limit != nil && h.last == 1)
	if req.Limit != nil {
		if err := req.Limit(ctx, 1000); err != nil {
			return host.DumpResult{}, err
		}
	}
	return h.dbHost.DumpDatabase(ctx, req, progress)
}

const twoDumps = `
def dump():
    """Dump while the old server works."""
    t.dump("/srv/a/zarafa.sql.zst")

def stop():
    """Stop it."""
    t.service("old", False)
    t.read("/srv/a/fails")

def again():
    """Dump once more."""
    t.dump("/srv/a/again.sql.zst")

runbook = define(steps = [dump, stop, again], allow = policy(write = ["/srv/a"], services = ["old"], databases = ["zarafa"]))
`

// What moves much gives way, and holds to the limit, until the run stops the first service; also where it is resumed behind
// that, and not on the way back.
func TestGivesWayUntilAServiceIsStopped(t *testing.T) {
	for limit, want := range map[int64]string{0: "[false false]", 50e6: "[true false]"} {
		s, db := newDatabaseScene(t)
		h := &busyHost{dbHost: db}
		busy := func(c *engine.Config) { c.Host, c.Limit = h, limit }
		if v := s.run(strings.Replace(twoDumps, `    t.read("/srv/a/fails")`, "    pass", 1), busy); v.Code != 0 {
			t.Fatal(v)
		}
		if got := fmt.Sprint(h.limited); got != want || h.last != 0 || h.gave == 0 || h.limits != int(min(1, limit)) || h.moved != 1000*min(1, limit) {
			t.Errorf("limit %d: %s, want %s; %+v", limit, got, want, h)
		}
		if want := h.gave * int(min(1, limit)); h.idle != want {
			t.Errorf("limit %d: %d in idle time, want %d", limit, h.idle, want)
		}
	}
	s, db := newDatabaseScene(t)
	h := &busyHost{dbHost: db}
	busy := func(c *engine.Config) { c.Host, c.Limit = h, 50e6 }
	if v := s.run(twoDumps, busy); v.Code == 0 {
		t.Fatal("it did not fail")
	}
	if err := db.Files().PutFile("/srv/a/fails", nil, 0o644, 0, 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	resumed := func(c *engine.Config) { c.Previous = s.records(); busy(c) }
	if v := s.run(twoDumps, resumed); v.Code != 0 {
		t.Fatalf("%+v", v)
	}
	if got := fmt.Sprint(h.limited); got != "[true false]" || h.last != 0 {
		t.Errorf("resumed: %s; %+v", got, h)
	}
}

// A simulation tells how long it takes under the limit, and that the time down is what it was.
func TestLimitIsInTheForecast(t *testing.T) {
	times := map[int64]*story.Times{}
	for _, limit := range []int64{0, 1 << 20} {
		s, h := newDatabaseScene(t)
		v := s.run(databaseScript, func(c *engine.Config) { on(h)(c); simulated(c); c.Limit = limit })
		if v.Code != 0 {
			t.Fatal(v)
		}
		times[limit] = v.Times
		for _, e := range s.events {
			if e.Kind == story.RunBegin && e.Run.Limit != limit {
				t.Errorf("told a limit of %d, want %d", e.Run.Limit, limit)
			}
		}
	}
	free, held := times[0], times[1<<20]
	// the host guesses a little more than 2 GiB of SQL for 1 GiB of data
	if held.Down != free.Down || held.Steps[0].Least < 1000*time.Second || held.Steps[0].Least > 3*time.Hour || free.Steps[0].Least > 100*time.Second {
		t.Errorf("without a limit %+v, with one %+v", free, held)
	}
}

// Where something moves much that no limit holds back, whoever asks for one is told; not behind the first service that is
// stopped, where nothing is held back.
func TestTellsWhereNoLimitHolds(t *testing.T) {
	parallel := strings.NewReplacer(`    t.read("/srv/a/fails")`, "    pass", ".sql.zst", ".mydumper").Replace(twoDumps)
	for name, c := range map[string]struct {
		script string
		limit  int64
		want   string
	}{
		"a limit":        {parallel, 50e6, "[--limit does not hold for dump database zarafa to /srv/a/zarafa.mydumper]"},
		"none":           {parallel, 0, "[]"},
		"one that holds": {databaseScript, 50e6, "[]"},
	} {
		s, db := newDatabaseScene(t)
		if err := db.Files().PutFile("/usr/bin/mydumper", nil, 0o755, 0, 0, time.Time{}); err != nil {
			t.Fatal(err)
		}
		v := s.run(c.script, func(cfg *engine.Config) { on(db)(cfg); simulated(cfg); cfg.Limit = c.limit })
		if v.Code != 0 {
			t.Fatalf("%s: %+v", name, v)
		}
		var told []string
		for _, e := range s.events {
			if e.Kind == story.FindingFound && e.Finding.Key == "limit/unbounded" {
				told = append(told, e.Finding.Title)
			}
		}
		if got := fmt.Sprint(told); got != c.want || v.Warnings != len(told) {
			t.Errorf("%s: %s, and %d warnings", name, got, v.Warnings)
		}
	}
}
