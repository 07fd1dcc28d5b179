package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// phase is where the scene's run stands.
func (s *scene) phase() ways.Phase {
	s.t.Helper()
	return engine.Stand(s.records()).Phase
}

func resumed(s *scene, until string) func(*engine.Config) {
	return func(c *engine.Config) { c.Mode, c.Previous, c.Until = "resume", s.records(), until }
}

// A run stops before the step that it was asked to stop before, and goes on from there.
func TestUntilStep(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	whole := fmt.Sprintf(threeSteps, "")
	v := s.run(whole, until("three"))
	if v.Code != 0 || v.Until != "step three" || !strings.Contains(v.Text, "stopped before step three, as asked, after 3 changes") || s.text("/srv/a/too") != "x" || s.text("/srv/a/three") == "x" {
		t.Fatalf("%+v", v)
	}
	if s.phase() != ways.Waiting {
		t.Errorf("the run is %q", s.phase())
	}
	if v := s.run(whole, resumed(s, "")); v.Code != 0 || v.Until != "" || s.text("/srv/a/three") != "x" || s.phase() != ways.Done {
		t.Errorf("resumed: %+v, %q", v, s.phase())
	}
}

// A run that was cut short before it came to the place still stops there, unless it is told otherwise.
func TestUntilOutlivesAFailure(t *testing.T) {
	whole := fmt.Sprintf(threeSteps, "")
	for asked, want := range map[string]string{"": "step three", engine.UntilEnd: "", "two": "step two"} {
		s := newScene(t)
		s.mkdir("/srv/a")
		s.run(whole, func(c *engine.Config) {
			c.Until = "three"
			s.asked(story.ChangeEnd, 1)(c)
			c.Stop = s.stop
		})
		s.stop = nil
		if s.phase() != ways.Interrupted {
			t.Fatalf("the run is %q", s.phase())
		}
		if v := s.run(whole, resumed(s, asked)); v.Code != 0 || v.Until != want {
			t.Errorf("resumed until %q: %+v", asked, v)
		}
	}
}

// A run stops right before the first change that cannot be undone, whatever step it is in; all before can
// be rolled back.
func TestUntilNoReturn(t *testing.T) {
	s, h := newDatabaseScene(t)
	v := s.run(databaseScript, func(c *engine.Config) { on(h)(c); c.Until = engine.UntilNoReturn })
	if v.Code != 0 || !strings.Contains(v.Text, "stopped before the point of no return (step ") || v.NoReturn != "" || h.content != "zcp" {
		t.Fatalf("%+v, the database holds %q", v, h.content)
	}
	standing := engine.Stand(s.records())
	if standing.Phase != ways.Waiting || standing.Database != ways.Unchanged {
		t.Errorf("it stands at %+v", standing)
	}
	if v := s.run(databaseScript, func(c *engine.Config) { on(h)(c); resumed(s, "")(c) }); v.Code != 0 || v.NoReturn == "" || h.content != "upgraded" {
		t.Errorf("resumed: %+v, the database holds %q", v, h.content)
	}

	s, h = newDatabaseScene(t)
	s.run(databaseScript, func(c *engine.Config) { on(h)(c); c.Until = engine.UntilNoReturn })
	if v := s.rollback(h, ""); v.Code != 0 || h.content != "zcp" {
		t.Errorf("rolled back: %+v", v)
	}
}

func TestUntilUnknown(t *testing.T) {
	s := newScene(t)
	v := s.run(fmt.Sprintf(threeSteps, ""), until("thre"))
	if v.Code != exit.Failed || !strings.Contains(v.Text, "no step thre to stop before; did you mean three?") || len(s.records()) > 1 {
		t.Errorf("%+v, %d records", v, len(s.records()))
	}
}
