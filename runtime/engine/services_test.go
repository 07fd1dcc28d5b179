package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
)

// twoServers stops a server, starts another, and fails as long as it is told to.
const twoServers = `
def stop():
    """Stop the old server."""
    t.service("old", False)

def start():
    """Start the new server."""
    t.service("new", True)
    if t.read("/srv/go") != "yes":
        fail("not yet")
    t.write("/srv/a/late", "x")

runbook = define(steps = [stop, start], allow = policy(write = ["/srv/a"], services = ["new", "old"]))
`

// swap makes the old server run and the new one not, as a machine may that was restarted.
func (s *scene) swap() {
	s.t.Helper()
	if err := s.host.StopService(context.Background(), "new", time.Second); err != nil {
		s.t.Fatal(err)
	}
	if err := s.host.StartService(context.Background(), "old"); err != nil {
		s.t.Fatal(err)
	}
}

func TestResumeBringsServicesToWhereTheyWere(t *testing.T) {
	s, _ := newDatabaseScene(t)
	s.put("/srv/go", "no")
	if v := s.run(twoServers, nil); v.Code != exit.Failed || s.active("old") || !s.active("new") {
		t.Fatalf("run: %+v", v)
	}
	s.swap()
	s.edit("/srv/go", "yes")
	v := s.again(twoServers)
	if v.Code != 0 || s.active("old") || !s.active("new") {
		t.Errorf("resume: %+v; old server %v, new server %v", v, s.active("old"), s.active("new"))
	}
	if !s.said("service old runs, and the run had left it otherwise") || !s.said("stop old (again)") || !s.said("start new (again)") {
		t.Errorf("it is not told: %+v", s.events)
	}
	if v := s.back(twoServers, ""); v.Code != 0 || !s.active("old") || s.active("new") {
		t.Errorf("rollback: %+v; old server %v, new server %v", v, s.active("old"), s.active("new"))
	}
}

// Nothing is put back under a service that the run had stopped; what it had started need not run for that.
func TestRollbackStopsWhatRunsAgain(t *testing.T) {
	s, _ := newDatabaseScene(t)
	s.put("/srv/go", "no")
	s.run(twoServers, nil)
	s.swap()
	if v := s.back(twoServers, "start"); v.Code != 0 || s.active("old") || s.active("new") || s.said("start new (again)") {
		t.Errorf("rollback to a step: %+v; old server %v, new server %v", v, s.active("old"), s.active("new"))
	}
	if v := s.back(twoServers, ""); v.Code != 0 || !s.active("old") {
		t.Errorf("rollback: %+v", v)
	}
}

// A service that was started again and has ended since is told at the end of the rollback.
func TestRollbackComparesServicesAtTheEnd(t *testing.T) {
	s, h := newDatabaseScene(t)
	script := strings.Replace(databaseScript, "steps = [dump, stop, config, start]", "steps = [config, stop]", 1)
	if v := s.run(script, on(h)); v.Code != 0 {
		t.Fatalf("run: %+v", v)
	}
	v := s.rollback(h, "", func(c *engine.Config) {
		emit := c.Emit
		c.Emit = func(e story.Event) {
			emit(e)
			if e.Kind == story.StepEnd && e.Step == "stop" {
				_ = s.host.StopService(context.Background(), "old", time.Second)
			}
		}
	})
	if v.Code != exit.RollbackIncomplete || len(v.Left) != 1 || !strings.HasPrefix(v.Left[0], "service old is stopped") {
		t.Errorf("%+v", v)
	}
}
