package runtime_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime"
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
	restore := func(c *runtime.Config) { c.RestoreDatabase = true }
	for name, change := range map[string]func(*runtime.Config){
		"":                          func(*runtime.Config) {},
		"with the dump":             restore,
		"killing, without the dump": func(c *runtime.Config) { c.KillGuarded = true },
	} {
		v := s.rollback(h, "", change)
		if v.Code != runtime.CodeFailed || !strings.Contains(v.Text, "nothing was changed: new (pid 7) upgrades since") || !strings.Contains(v.Text, "--kill-upgrade") {
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
	v := s.rollback(h, "", func(c *runtime.Config) { c.RestoreDatabase, c.KillGuarded = true, true })
	if v.Code != 0 || h.killed != "new" || h.loads != 1 || !s.active("old") {
		t.Errorf("%+v; killed %q, loaded %d times", v, h.killed, h.loads)
	}
}

// lastError is the last failure that was told.
func lastError(t *testing.T, s *scene) *runtime.ErrorInfo {
	t.Helper()
	for _, e := range slices.Backward(s.events) {
		if e.Kind == runtime.Failed {
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
	if busy, err := runtime.Busy(context.Background(), h, records); busy != nil || err != nil {
		t.Errorf("nobody is busy: %v (%v)", busy, err)
	}
	h.busy = "new"
	if busy, err := runtime.Busy(context.Background(), h, records); err != nil || busy == nil || busy.Guard.Service != "new" {
		t.Errorf("got %v (%v)", busy, err)
	}
}

func TestGuardsAreChecked(t *testing.T) {
	for bad, say := range map[string]string{
		`guard("a b", locks = ["/x"], doing = "y")`:                  "not the name of a service",
		`guard("a", locks = [], doing = "y")`:                        "needs one at least",
		`guard("a", locks = ["/x"], doing = "y", asks = "gopher:x")`: "unknown protocol",
	} {
		files := stock(map[string]string{"demo.star": "runbook = define(steps = [], guards = [" + bad + "])\n"})
		if _, err := load(t, runtime.LoadOptions{Name: "demo", Stock: files}); err == nil || !strings.Contains(err.Message, say) {
			t.Errorf("%s: %+v; want %q", bad, err, say)
		}
	}
}

// TestRollbackReloadsAgain: what was reloaded with the new configuration reads the old one once that is back.
func TestRollbackReloadsAgain(t *testing.T) {
	s, h := newDatabaseScene(t)
	script := strings.Replace(databaseScript, "steps = [dump, stop, config, start]", "steps = [config]", 1)
	script = strings.Replace(script, `t.write("/srv/a/config", "x")`, "t.write(\"/srv/a/config\", \"x\")\n    t.reload(\"old\")", 1)
	if v := s.run(script, on(h)); v.Code != 0 {
		t.Fatalf("run: %+v", v)
	}
	if v := s.rollback(h, ""); v.Code != 0 {
		t.Fatalf("rollback: %+v", v)
	}
	if want := []bool{true, false}; !slices.Equal(h.reloads, want) {
		t.Errorf("the configuration was there at each reload: %v, want %v", h.reloads, want)
	}
}
