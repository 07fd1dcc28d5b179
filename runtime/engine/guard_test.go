package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// guarded is the database's runbook with a guard for the new server.
var guarded = strings.Replace(databaseScript, "define(", `define(guards = [guard("new", locks = ["/tmp/lock"], doing = "upgrades")], `, 1)

// TestRollbackLeavesAServerAtItsWork: no rollback begins while a guarded service holds its lock; the guards are those that
// the run was journaled with. One that loads the dump may end it, once it is told to.
func TestRollbackLeavesAServerAtItsWork(t *testing.T) {
	s, h := newDatabaseScene(t)
	if v := s.run(guarded, on(h)); v.Code != 0 {
		t.Fatalf("run: %+v", v)
	}
	h.busy = "new"
	restore := func(c *engine.Config) { c.RestoreDatabase = true }
	for name, change := range map[string]func(*engine.Config){
		"":                          func(*engine.Config) {},
		"with the dump":             restore,
		"killing, without the dump": func(c *engine.Config) { c.KillGuarded = true },
	} {
		v := s.rollback(h, "", change)
		if v.Code != exit.Failed || !strings.Contains(v.Text, "nothing was changed: new (pid 7) upgrades since") || !strings.Contains(v.Text, "--kill-upgrade") {
			t.Errorf("rollback %s: %+v", name, v)
		}
	}
	next := lastError(t, s).Next
	if len(next) != 2 || !strings.Contains(next[0], "do this again") || !strings.Contains(next[1], "rollback --restore-database --kill-upgrade") {
		t.Errorf("what is named to do next: %q", next)
	}
	if h.killed != "" || !s.active("new") || s.active("old") {
		t.Fatalf("killed %q; new runs: %v, old runs: %v", h.killed, s.active("new"), s.active("old"))
	}
	v := s.rollback(h, "", func(c *engine.Config) { c.RestoreDatabase, c.KillGuarded = true, true })
	if v.Code != 0 || h.killed != "new" || h.loads != 1 || !s.active("old") {
		t.Errorf("%+v; killed %q, loaded %d times", v, h.killed, h.loads)
	}
}

// lastError is the last failure that was told.
func lastError(t *testing.T, s *scene) *script.ErrorInfo {
	t.Helper()
	for _, e := range slices.Backward(s.events) {
		if e.Kind == story.Failed {
			return e.Error
		}
	}
	t.Fatal("no failure was told")
	return nil
}

func TestBusy(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(guarded, on(h))
	records := s.records()
	if busy, err := engine.Busy(context.Background(), h, records); busy != nil || err != nil {
		t.Errorf("nobody is busy: %v (%v)", busy, err)
	}
	h.busy = "new"
	if busy, err := engine.Busy(context.Background(), h, records); err != nil || busy == nil || busy.Guard.Service != "new" {
		t.Errorf("got %v (%v)", busy, err)
	}
}

// TestRollbackReloadsAgain: what was reloaded with the new configuration reads the old one once that is back.
func TestRollbackReloadsAgain(t *testing.T) {
	s, h := newDatabaseScene(t)
	source := strings.Replace(databaseScript, "steps = [dump, stop, config, start]", "steps = [config]", 1)
	source = strings.Replace(source, `t.write("/srv/a/config", "x")`, "t.write(\"/srv/a/config\", \"x\")\n    t.reload(\"old\")", 1)
	if v := s.run(source, on(h)); v.Code != 0 {
		t.Fatalf("run: %+v", v)
	}
	if v := s.rollback(h, ""); v.Code != 0 {
		t.Fatalf("rollback: %+v", v)
	}
	if want := []bool{true, false}; !slices.Equal(h.reloads, want) {
		t.Errorf("the configuration was there at each reload: %v, want %v", h.reloads, want)
	}
}
