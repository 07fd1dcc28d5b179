package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
)

// steps makes a runbook of steps that write: "a" writes the letter to the shared file, and a file of
// its own; a step with a ! fails afterwards.
func steps(names ...string) string {
	var text, list strings.Builder
	for _, name := range names {
		end := ""
		if strings.HasSuffix(name, "!") {
			name, end = strings.TrimSuffix(name, "!"), "    fail(\"stop\")\n"
		}
		text.WriteString("def " + name + "():\n    \"\"\"Write.\"\"\"\n" +
			"    t.write(\"/srv/a/shared\", \"" + name + "\")\n    t.write(\"/srv/a/" + name + "\", \"x\")\n" + end + "\n")
		list.WriteString(name + ", ")
	}
	return text.String() + "runbook = define(steps = [" + list.String() + "], allow = policy(write = [\"/srv/a\"]))\n"
}

func (s *scene) names(dir string) string {
	s.t.Helper()
	entries, err := s.host.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// However a fixed runbook differs, steps that ended stay ended, the unfinished step leaves no half
// behind, and a rollback of it all goes back to the begin.
func TestResumeOfAnyCorrectedRunbook(t *testing.T) {
	for name, tc := range map[string]struct {
		corrected string
		want      string // files in the end
		shared    string
	}{
		"unfinished step taken out":     {steps("a", "b", "d"), "a b d shared", "d"},
		"unfinished step renamed":       {steps("a", "b", "cc", "d"), "a b cc d shared", "d"},
		"unfinished step was the last":  {steps("a", "b"), "a b shared", "b"},
		"new step before it":            {steps("a", "b", "n", "c", "d"), "a b c d n shared", "d"},
		"moved behind another":          {steps("a", "b", "d", "c"), "a b c d shared", "c"},
		"finished steps in other order": {steps("b", "a", "c"), "a b c shared", "c"},
		"finished step taken out":       {steps("b", "c", "d"), "a b c d shared", "d"},
		"finished step renamed":         {steps("aa", "b", "c"), "a aa b c shared", "c"},
		"finished step changed":         {strings.Replace(steps("a", "b", "c"), `"/srv/a/a"`, `"/srv/a/other"`, 1), "a b c shared", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			if v := s.run(steps("a", "b", "c!", "d"), nil); v.Code != exit.Failed {
				t.Fatalf("verdict %+v", v)
			}
			if v := s.again(tc.corrected); v.Code != 0 {
				t.Fatalf("resume: %+v", v)
			}
			if got := s.names("/srv/a"); got != tc.want {
				t.Errorf("files %s, want %s", got, tc.want)
			}
			if got := s.text("/srv/a/shared"); got != tc.shared {
				t.Errorf("shared is of step %s, want %s", got, tc.shared)
			}
			if v := s.back(tc.corrected, ""); v.Code != 0 || s.names("/srv/a") != "" {
				t.Errorf("rollback: %+v, left %s", v, s.names("/srv/a"))
			}
		})
	}
}

// A fixed runbook may be cut short as well, at every record, and then go on, or be fixed again, or
// taken back.
func TestCorrectedRunbookCutShort(t *testing.T) {
	first, corrected := steps("a", "b", "c!", "d"), steps("a", "n", "b", "c", "d")
	for name, last := range map[string]string{
		"goes on": corrected, "taken back": steps("a", "b", "c", "d"), "corrected again": steps("a", "d", "c"),
	} {
		t.Run(name, func(t *testing.T) {
			for at := 0; ; at++ {
				s := newScene(t)
				s.mkdir("/srv/a")
				s.run(first, nil)
				v := s.run(corrected, func(c *engine.Config) {
					c.Previous = s.records()
					c.Journal = &cutJournal{Writer: s.log, left: at}
				})
				if v.Code == 0 && at > 10 {
					return // it was not cut short any more
				}
				if v := s.again(last); v.Code != 0 {
					t.Fatalf("cut after %d records: %+v", at, v)
				}
				for _, step := range []string{"a", "c", "d"} {
					if got := s.text("/srv/a/" + step); got != "x" {
						t.Errorf("cut after %d records: step %s left %q", at, step, got)
					}
				}
				if v := s.back(last, ""); v.Code != 0 || s.names("/srv/a") != "" {
					t.Fatalf("cut after %d records: rollback %+v, left %s", at, v, s.names("/srv/a"))
				}
			}
		})
	}
}

// cutJournal takes so many records and no more, as if the process had been killed.
type cutJournal struct {
	journal.Writer
	left int
}

func (c *cutJournal) Append(typ string, data any) (uint64, error) {
	if c.left--; c.left < 0 {
		return 0, context.Canceled
	}
	return c.Writer.Append(typ, data)
}

func (c *cutJournal) AppendLazy(typ string, data any) (uint64, error) { return c.Append(typ, data) }

func (c *cutJournal) AppendWithNext(typ string, data any) error {
	_, err := c.Append(typ, data)
	return err
}

// A step that diverges while it is held to a plan begins again at its place in the plan.
func TestRestartWithPlan(t *testing.T) {
	script := `
def one():
    """Write what is there."""
    t.write("/srv/a/one", t.read("/etc/motd"))
    t.write("/srv/a/two", t.read("/etc/motd"))
    if t.read("/srv/go") != "yes":
        fail("not yet")

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`
	s := newScene(t)
	s.mkdir("/srv/a")
	s.put("/srv/go", "yes")
	s.run(script, nil)
	var plan *engine.Plan
	s.run(script, func(c *engine.Config) { plan, _ = engine.NewPlan(*c, s.records(), "salt", "") })

	s = newScene(t)
	s.mkdir("/srv/a")
	s.put("/srv/go", "no")
	hold := func(c *engine.Config) { c.Plan, c.Now = plan, time.Now }
	if v := s.run(script, hold); v.Code != exit.Differs {
		t.Fatalf("verdict %+v", v)
	}
	s.edit("/srv/go", "yes")
	previous := s.records()
	if v := s.run(script, func(c *engine.Config) { hold(c); c.Previous = previous }); v.Code != 0 {
		t.Errorf("resume with the plan: %+v", v)
	}
}

func (s *scene) put(path, text string) {
	s.t.Helper()
	f, err := s.host.Create(path, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	f.Close()
	s.edit(path, text)
}
