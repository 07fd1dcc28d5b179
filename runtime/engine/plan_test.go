package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

const plannedScript = `
def one(key):
    """Write what is there, and a secret."""
    text = t.read("/etc/motd")
    t.write("/srv/a/one", text)
    t.write("/srv/a/key", key)

runbook = define(steps = [one], params = [param("key", doc = "it", secret = True)], allow = policy(write = ["/srv/a"]))
`

func TestPlanHoldsRun(t *testing.T) {
	secrets := map[string]host.Secret{"key": host.NewSecret("first-secret")}
	rehearsal := newScene(t)
	rehearsal.mkdir("/srv/a")
	var plan *engine.Plan
	rehearsal.run(plannedScript, func(c *engine.Config) { c.Secrets = secrets })
	var err error
	rehearsal.run(plannedScript, func(c *engine.Config) {
		c.Secrets = secrets
		plan, err = engine.NewPlan(*c, rehearsal.records(), "salt", "")
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		prepare func(*scene)
		change  func(*engine.Config)
		script  string
		code    int
		want    string
	}{
		"same":         {code: 0, want: "done"},
		"other answer": {prepare: func(s *scene) { s.edit("/etc/motd", "changed") }, code: 3, want: `t.read(path = "/etc/motd") answers otherwise than when the plan was made: was "hello\n" and is "changed"`},
		"other secret": {change: func(c *engine.Config) {
			c.Secrets = map[string]host.Secret{"key": host.NewSecret("second-secret")}
		}, code: 3, want: "secret key is another one"},
		"other version": {change: func(c *engine.Config) { c.Version = "next" }, code: 3, want: "the plan was made by version test"},
		"other machine": {change: func(c *engine.Config) { c.Plan = alter(plan, func(p *engine.Plan) { p.MachineID = "0123" }) },
			code: 3, want: "the plan was made for another machine (machine-id 0123)"},
		"machine without a name": {prepare: func(s *scene) { s.host = nameless(s.t) }, code: 3, want: "has no machine-id"},
		"other format": {change: func(c *engine.Config) { c.Plan = alter(plan, func(p *engine.Plan) { p.Format++ }) },
			code: 3, want: "the plan's format is"},
		"other parameters": {change: func(c *engine.Config) {
			c.Plan = alter(plan, func(p *engine.Plan) { p.Params = map[string]string{"x": "y"} })
		}, code: 3, want: "other parameters"},
		"no secret": {change: func(c *engine.Config) { c.Secrets = nil }, code: 3, want: "other secrets"},
		"old": {change: func(c *engine.Config) { c.Now = func() time.Time { return time.Now().Add(8 * 24 * time.Hour) } },
			code: 3, want: "the plan is old"},
		"made in the future": {change: func(c *engine.Config) { c.Now = func() time.Time { return time.Now().Add(-2 * time.Hour) } },
			code: 3, want: "the plan was made in the future"},
		"clock a bit behind": {change: func(c *engine.Config) { c.Now = func() time.Time { return time.Now().Add(-time.Minute) } }, code: 0, want: "done"},
		"days old":           {change: func(c *engine.Config) { c.Now = func() time.Time { return time.Now().Add(6 * 24 * time.Hour) } }, code: 0, want: "done"},
		"other runbook":      {script: strings.Replace(plannedScript, "/srv/a/one", "/srv/a/eins", 1), code: 3, want: "the runbook has changed since the plan was made"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			if tc.prepare != nil {
				tc.prepare(s)
			}
			source := plannedScript
			if tc.script != "" {
				source = tc.script
			}
			s.log = journal.Memory("test", time.Now)
			v := s.run(source, func(c *engine.Config) {
				c.Secrets, c.Plan = secrets, plan
				if tc.change != nil {
					tc.change(c)
				}
			})
			if v.Code != tc.code || !strings.Contains(v.Text, tc.want) {
				t.Errorf("verdict %+v, want code %d and %q", v, tc.code, tc.want)
			}
			if tc.code != 0 && !strings.Contains(s.text("/srv/a/one"), "no such file") {
				t.Error("something was changed before the difference was told")
			}
		})
	}
	if strings.Contains(fmt.Sprintf("%+v", plan), "first-secret") {
		t.Error("the plan tells the secret")
	}
}

// nameless is the scene's host on a machine that has no machine-id.
func nameless(t *testing.T) *sim.Host {
	t.Helper()
	fixture, err := sim.ReadFixture([]byte(strings.Replace(testFixture, "machine-id: ", "# ", 1)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// alter changes a copy of a plan.
func alter(plan *engine.Plan, change func(*engine.Plan)) *engine.Plan {
	other := *plan
	change(&other)
	return &other
}

// A plan is compared call by call: the first that departs from it is named, and not carried out.
func TestPlanStopsAtFirstDifference(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	source := fmt.Sprintf(twoSteps, "")
	s.run(source, nil)
	var plan *engine.Plan
	var err error
	s.run(source, func(c *engine.Config) { plan, err = engine.NewPlan(*c, s.records(), "salt", "") })
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(calls []engine.PlannedCall) []engine.PlannedCall
		want   string
		done   string // files written before it stopped
	}{
		"other function": {func(c []engine.PlannedCall) []engine.PlannedCall { c[2].Builtin = "t.read"; return c }, "it calls t.write, the plan has t.read", "one"},
		"other argument": {func(c []engine.PlannedCall) []engine.PlannedCall {
			c[1].Args = json.RawMessage(`{"path":"/srv/a/one","text":"four"}`)
			return c
		}, `with other arguments: text was "four" and is "hello\n"`, ""},
		"other change": {func(c []engine.PlannedCall) []engine.PlannedCall {
			c[2].Actions = []engine.PlannedAction{{Kind: "fs.write", Data: json.RawMessage(`{"path":"/srv/a/zwei"}`)}}
			return c
		},
			`would change something else than the plan says (change 1): `, "one"},
		"fewer changes": {func(c []engine.PlannedCall) []engine.PlannedCall { c[2].Actions = nil; return c }, "would make 1 change, the plan has 0", "one"},
		"plan ends":     {func(c []engine.PlannedCall) []engine.PlannedCall { return c[:3] }, "the plan had ended", "one two"},
		"run ends":      {func(c []engine.PlannedCall) []engine.PlannedCall { return append(c, c[0]) }, "it has ended, and the plan goes on with t.read", "one three two"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			v := s.run(source, func(c *engine.Config) {
				c.Plan = alter(plan, func(p *engine.Plan) { p.Calls = tc.change(slices.Clone(p.Calls)) })
			})
			if v.Code != exit.Differs || !strings.Contains(v.Text, tc.want) || s.names("/srv/a") != tc.done {
				t.Errorf("verdict %+v, want %q; written: %s", v, tc.want, s.names("/srv/a"))
			}
		})
	}
}

// A file that came, or was changed, where the plan was to write is not replaced; also not by a resume that
// goes on in the middle of a call.
func TestPlanHoldsWhatIsReplaced(t *testing.T) {
	source := `
def one():
    """Write files."""
    t.write("/srv/a/new", "ours")
    t.write("/srv/a/old", "ours")

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`
	start := func() *scene {
		s := newScene(t)
		s.mkdir("/srv/a")
		s.put("/srv/a/old", "theirs")
		return s
	}
	rehearsal := start()
	rehearsal.run(source, nil)
	var plan *engine.Plan
	var err error
	rehearsal.run(source, func(c *engine.Config) { plan, err = engine.NewPlan(*c, rehearsal.records(), "salt", "") })
	if err != nil {
		t.Fatal(err)
	}
	held := func(c *engine.Config) { c.Plan = plan }
	if v := start().run(source, held); v.Code != 0 {
		t.Errorf("as planned: %+v", v)
	}
	s := start()
	s.put("/srv/a/new", "somebody's")
	if v := s.run(source, held); v.Code != exit.Differs || s.text("/srv/a/new") != "somebody's" || !strings.Contains(v.Text, "write /srv/a/new: what is there is not") {
		t.Errorf("a new file: %+v", v)
	}
	s = start()
	s.edit("/srv/a/old", "edited")
	for range 2 { // the second time it is a resume
		v := s.run(source, func(c *engine.Config) { c.Plan, c.Previous = plan, s.records() })
		if v.Code != exit.Differs || s.text("/srv/a/old") != "edited" || s.text("/srv/a/new") != "ours" {
			t.Errorf("an edited file: %+v", v)
		}
	}
	s.edit("/srv/a/old", "theirs")
	if v := s.run(source, func(c *engine.Config) { c.Plan, c.Previous = plan, s.records() }); v.Code != 0 || s.text("/srv/a/old") != "ours" {
		t.Errorf("put back: %+v", v)
	}
}

// A run that is held to a plan goes on with another version of the program, days later, too; it is still
// held to the plan.
func TestPlanHoldsResumedRun(t *testing.T) {
	failing := strings.Replace(plannedScript, `t.write("/srv/a/key", key)`, `t.read("/srv/go")
    t.write("/srv/a/key", key)`, 1)
	secrets := map[string]host.Secret{"key": host.NewSecret("first-secret")}
	rehearsal := newScene(t)
	rehearsal.mkdir("/srv/a")
	rehearsal.put("/srv/go", "go")
	with := func(c *engine.Config) { c.Secrets = secrets }
	rehearsal.run(failing, with)
	var plan *engine.Plan
	var err error
	rehearsal.run(failing, func(c *engine.Config) { with(c); plan, err = engine.NewPlan(*c, rehearsal.records(), "salt", "") })
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		answer string // what the file that the run waits for holds
		plan   func(*engine.Plan)
		code   int
		want   string
	}{
		"as planned":   {answer: "go", want: "done"},
		"other answer": {answer: "stop", code: 3, want: "(the plan was made by version test of the program, this is next: that one may still do as planned)"},
		"other format": {answer: "go", plan: func(p *engine.Plan) { p.Format++ }, code: 3, want: "the plan was made by version test"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			if v := s.run(failing, func(c *engine.Config) { with(c); c.Plan = plan }); v.Code != exit.Failed || s.names("/srv/a") != "one" {
				t.Fatalf("%+v, %s", v, s.names("/srv/a"))
			}
			s.put("/srv/go", tc.answer)
			held := plan
			if tc.plan != nil {
				held = alter(plan, tc.plan)
			}
			v := s.run(failing, func(c *engine.Config) {
				with(c)
				c.Plan, c.Previous, c.Version = held, s.records(), "next"
				c.Now = func() time.Time { return time.Now().Add(30 * 24 * time.Hour) }
			})
			if v.Code != tc.code || !strings.Contains(v.Text, tc.want) {
				t.Errorf("%+v, want code %d and %q", v, tc.code, tc.want)
			}
			if tc.code == 3 && !slices.ContainsFunc(s.next(), func(l string) bool { return strings.Contains(l, "`zcp2kopano resume --no-plan` goes on") }) {
				t.Errorf("next: %q", s.next())
			}
		})
	}
}

// next is what the last run told the admin to do.
func (s *scene) next() []string {
	for _, e := range s.events {
		if e.Kind == story.Failed {
			return e.Error.Next
		}
	}
	return nil
}

func (s *scene) edit(path, text string) {
	s.t.Helper()
	f, err := s.host.OpenWrite(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		s.t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// A plan does not rest on what of an answer changes by itself.
func TestPlanRestsOnWhatLasts(t *testing.T) {
	source := `
def one():
    """Ask."""
    t.passing(what = "all")
    t.passing(what = "some")
    t.write("/srv/a/one", "x")

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`
	clock, size := 1, 10
	asks := &script.Builtin{
		Name: "t.passing", Effect: script.Read, Params: []script.Param{{Name: "what", Type: script.String}},
		Value: func(*script.Call) (starlark.Value, error) {
			return script.NewRecord(map[string]any{"time": clock, "size": size}), nil
		},
		Lasting: func(args, fields map[string]any) map[string]any {
			if args["what"] == "all" {
				return nil
			}
			delete(fields, "time")
			return fields
		},
	}
	run := func(s *scene, change func(*engine.Config)) story.Verdict {
		dir := t.TempDir()
		write(t, dir, "site.star", source)
		rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: append(testBuiltins(), asks)})
		if err != nil {
			t.Fatal(script.ErrorInfoOf(err))
		}
		cfg := s.config(rb)
		change(&cfg)
		return engine.Execute(context.Background(), cfg)
	}
	start := func() *scene {
		s := newScene(t)
		s.mkdir("/srv/a")
		return s
	}
	var plan *engine.Plan
	rehearsal := start()
	run(rehearsal, func(*engine.Config) {})
	run(rehearsal, func(c *engine.Config) { plan, _ = engine.NewPlan(*c, rehearsal.records(), "salt", "") })
	held := func(c *engine.Config) { c.Plan = plan }
	clock = 2
	if v := run(start(), held); v.Code != 0 {
		t.Errorf("later: %+v", v)
	}
	size = 11
	if v := run(start(), held); v.Code != exit.Differs || !strings.Contains(v.Text, `t.passing(what = "some") answers otherwise than when the plan was made: size was 10 and is 11`) {
		t.Errorf("another size: %+v", v)
	}
}

// What verify sees is judged by verify, and not by the plan; and a run that departed from its plan goes on
// with the command that is named first.
func TestPlanLeavesVerifyAlone(t *testing.T) {
	source := `
def one():
    """Write, and look."""
    t.write("/srv/a/one", "x")
    t.read("/srv/seen")

def look():
    """Look."""
    t.read("/srv/judged")

runbook = define(steps = [one], verify = look, allow = policy(write = ["/srv/a"]))
`
	start := func(seen, judged string) *scene {
		s := newScene(t)
		s.mkdir("/srv/a")
		s.put("/srv/seen", seen)
		s.put("/srv/judged", judged)
		return s
	}
	rehearsal := start("planned", "planned")
	rehearsal.run(source, nil)
	var plan *engine.Plan
	var err error
	rehearsal.run(source, func(c *engine.Config) { plan, err = engine.NewPlan(*c, rehearsal.records(), "salt", "") })
	if err != nil {
		t.Fatal(err)
	}
	if v := start("planned", "other").run(source, func(c *engine.Config) { c.Plan = plan }); v.Code != 0 {
		t.Errorf("verify sees something else: %+v", v)
	}
	s := start("other", "planned")
	if v := s.run(source, func(c *engine.Config) { c.Plan = plan }); v.Code != exit.Differs || !strings.Contains(v.Text, `was "planned" and is "other"`) {
		t.Errorf("a step sees something else: %+v", v)
	}
	if next := s.next(); len(next) == 0 || !strings.HasPrefix(next[0], "`zcp2kopano resume --no-plan` ") {
		t.Errorf("next: %q", next)
	}
	if v := s.run(source, func(c *engine.Config) { c.Previous = s.records() }); v.Code != 0 {
		t.Errorf("without the plan: %+v", v)
	}
}
