package engine_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

const threeSteps = `
def one():
    """Write."""
    t.write("/srv/a/one", "x")

def two():
    """Write two files."""
    t.write("/srv/a/two", "x")
    t.write("/srv/a/too", "x")

def three():
    """Write."""
    t.write("/srv/a/three", "x")
    %s

runbook = define(steps = [one, two, three], allow = policy(write = ["/srv/a"]))
`

// stopAt asks the run to stop, or breaks it off, at the n-th event of a kind.
func stopAt(s *scene, kind story.EventKind, n int, stop func()) func(*engine.Config) {
	return func(c *engine.Config) {
		emit := c.Emit
		c.Emit = func(e story.Event) {
			emit(e)
			if e.Kind != kind {
				return
			}
			if n--; n == 0 {
				stop()
			}
		}
	}
}

// asked stops the scene's next run at the n-th event of a kind.
func (s *scene) asked(kind story.EventKind, n int) func(*engine.Config) {
	s.stop = make(chan struct{})
	stop := s.stop
	return stopAt(s, kind, n, func() { close(stop) })
}

// Whatever way a run or a rollback ends, each command that is then named is one that is accepted, and
// those that the admin needs are named.
func TestWhatIsNamedAtTheEnd(t *testing.T) {
	failing, inhibited := fmt.Sprintf(threeSteps, `fail("stop")`), fmt.Sprintf(threeSteps, `inhibit("not yet", "why", "wait")
    t.write("/srv/a/more", "x")`)
	whole := fmt.Sprintf(threeSteps, "")
	early := strings.Replace(whole, `t.write("/srv/a/one", "x")`, `fail("stop")`, 1)
	go_, correct, back := "resume", "resume --runbook FILE", "rollback"
	tests := map[string]struct {
		end  func(*scene, *dbHost) story.Verdict
		code int
		want []string // the commands named, in order
	}{
		"failed before a change": {code: 1, end: func(s *scene, h *dbHost) story.Verdict { return s.run(early, nil) }},
		"failed":                 {code: 1, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict { return s.run(failing, nil) }},
		"failed again": {code: 1, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.again(failing)
		}},
		"inhibited before a change": {code: 2, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(strings.Replace(inhibited, `t.write("/srv/a/one", "x")`, `inhibit("not yet", "why", "wait")`, 1), nil)
		}},
		"inhibited after a change": {code: 2, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict { return s.run(inhibited, nil) }},
		"interrupted before a change": {code: 130, want: []string{"check", "run"}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, s.asked(story.StepBegin, 1))
		}},
		"interrupted": {code: 130, want: []string{go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, s.asked(story.ChangeEnd, 2))
		}},
		"interrupted after a resume, before another change": {code: 130, want: []string{go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(whole, s.asked(story.ChangeEnd, 1))
			s.stop = make(chan struct{})
			return s.run(whole, func(c *engine.Config) {
				c.Previous = s.records()
				close(s.stop)
				c.Stop = s.stop
			})
		}},
		"differs before a change": {code: 3, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, func(c *engine.Config) { c.Plan = planOf(s, *c); c.Plan.Calls[0].Args = nil })
		}},
		"differs": {code: 3, want: []string{"resume --no-plan", go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, func(c *engine.Config) { c.Plan = planOf(s, *c); c.Plan.Calls[1].Args = nil })
		}},
		"differs at its end": {code: 3, want: []string{"resume --no-plan", go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, func(c *engine.Config) { c.Plan = planOf(s, *c); c.Plan.Calls = append(c.Plan.Calls, c.Plan.Calls[0]) })
		}},
		"stopped before the first change": {want: []string{"check", "run"}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, until("one"))
		}},
		"stopped before a step": {want: []string{go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(whole, until("two"))
		}},
		"stopped before the upgrade": {want: []string{go_, back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(databaseScript, func(c *engine.Config) { on(h)(c); c.Until = engine.UntilNoReturn })
		}},
		"stopped before a step that has ended": {code: 1, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.run(failing, func(c *engine.Config) { c.Previous, c.Until = s.records(), "two" })
		}},
		"done": {end: func(s *scene, h *dbHost) story.Verdict { return s.run(whole, nil) }},
		"nothing to do": {end: func(s *scene, h *dbHost) story.Verdict {
			return s.run("def one():\n    \"\"\"Look.\"\"\"\n    t.read(\"/etc/motd\")\n\nrunbook = define(steps = [one])\n", nil)
		}},
		"failed beyond the upgrade": {code: 1, want: []string{go_, correct, "rollback --restore-database", back}, end: func(s *scene, h *dbHost) story.Verdict {
			return s.run(strings.Replace(databaseScript, `t.write("/srv/a/late", "x")`, `fail("stop")`, 1), on(h))
		}},
		"failed beyond the upgrade, without a dump": {code: 1, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict {
			script := strings.Replace(databaseScript, `t.dump("/srv/a/zarafa.sql.zst")`, "pass", 1)
			return s.run(strings.Replace(script, `t.write("/srv/a/late", "x")`, `fail("stop")`, 1), on(h))
		}},
		"rolled back": {end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "")
		}},
		"rolled back to a step": {end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "two")
		}},
		"rolled back to a wrong step": {code: 1, want: []string{go_, correct, back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "four")
		}},
		"rollback interrupted": {code: 130, want: []string{back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "", s.asked(story.Undone, 2))
		}},
		"rollback to a step interrupted": {code: 130, want: []string{"rollback --to two", back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "two", s.asked(story.Undone, 2))
		}},
		"rollback broken off": {code: 130, want: []string{back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			ctx, cancel := context.WithCancel(context.Background())
			cfg := s.config(&runbook.Runbook{Name: "site.star"})
			cfg.Previous = s.records()
			stopAt(s, story.Undone, 1, cancel)(&cfg)
			return engine.Rollback(ctx, cfg, "")
		}},
		"rollback to a step that would leave a half": {code: 1, want: []string{back, "rollback --to two"}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			s.rollback(h, "", s.asked(story.Undone, 2))
			s.stop = nil
			return s.rollback(h, "three")
		}},
		"resume on the way back": {code: 1, want: []string{back, back}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			s.rollback(h, "", s.asked(story.Undone, 2))
			s.stop = nil
			return s.again(failing)
		}},
		"differences": {code: 4, want: []string{back, "rollback --accept"}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(failing, nil)
			return s.rollback(h, "", stopAt(s, story.Undone, 4, func() { s.put("/srv/a/three", "somebody else") }))
		}},
		"beyond the upgrade, the database left": {code: 4, want: []string{"rollback --restore-database", "rollback --accept"}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(databaseScript, on(h))
			return s.rollback(h, "")
		}},
		"a service does not stop beyond the upgrade": {code: 4, want: []string{"rollback --restore-database", back, "rollback --accept"}, end: func(s *scene, h *dbHost) story.Verdict {
			s.run(databaseScript, on(h))
			h.stuck = "new"
			return s.rollback(h, "")
		}},
		"the database restored": {end: func(s *scene, h *dbHost) story.Verdict {
			s.run(databaseScript, on(h))
			return s.rollback(h, "", restore)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, h := newDatabaseScene(t)
			v := tt.end(s, h)
			if v.Code != tt.code {
				t.Fatalf("%+v, want code %d", v, tt.code)
			}
			standing := engine.Stand(s.records())
			standing.ID = "r1"
			named := commands(append(s.next(), v.Text)...)
			if fmt.Sprint(named) != fmt.Sprint(tt.want) {
				t.Errorf("%q are named, want %q (%+v, next %q)", named, tt.want, v, s.next())
			}
			for _, command := range named {
				if err := accepted(standing, command); err != nil {
					t.Errorf("%s is named, and refused: %v (%+v)", command, err, standing)
				}
			}
		})
	}
}

func until(where string) func(*engine.Config) { return func(c *engine.Config) { c.Until = where } }

// planOf is the plan of a run like this one, which has not begun.
func planOf(s *scene, cfg engine.Config) *engine.Plan {
	s.t.Helper()
	rehearsal := newScene(s.t)
	rehearsal.mkdir("/srv/a")
	c := rehearsal.config(cfg.Runbook)
	if v := engine.Execute(context.Background(), c); v.Code != 0 {
		s.t.Fatal(v)
	}
	plan, err := engine.NewPlan(c, rehearsal.records(), "salt", "")
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

var quoted = regexp.MustCompile("`zcp2kopano ([^`]*)`")

// commands are the command lines in texts.
func commands(texts ...string) []string {
	var found []string
	for _, text := range texts {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
	}
	return found
}

func accepted(s ways.Standing, command string) error {
	name, flags, _ := strings.Cut(command, " ")
	to, isTo := strings.CutPrefix(flags, "--to ")
	switch {
	case name == "check":
		return nil
	case name == "run" && s.Blocks():
		return errors.New("it blocks a new run")
	case name == "run":
		return nil
	case name == "resume":
		return s.Resume()
	case flags == "--accept":
		return s.Accept()
	case isTo:
		return s.Rollback(to, false)
	}
	return s.Rollback("", flags == "--restore-database")
}
