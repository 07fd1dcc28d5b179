package engine_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
)

// A runbook that a site has added steps to, in front and behind: each belongs to the part that it was put into.
const ownParts = `"""Stock, and a site's own."""

def survey():
    """Look."""
    SURVEY
    return struct(word = "seen")

def work(survey):
    """Work."""
    t.write("/srv/a/one", survey.word)

def verify(survey = None):
    """Look at the result."""
    print("verified")

def mine(survey):
    """A check of our own that needs the survey."""
    print("mine has " + survey.word)

def own():
    """A check of our own."""
    OWN

def late():
    """Look once more."""
    LATE

stock = define(
    check = survey,
    steps = [work],
    verify = verify,
    allow = policy(write = ["/srv/a"]),
    results = {"survey": result("what was seen", fields = {"word": "a word"})},
    vital = {"work": "nothing is done", "verify": "nobody looks at the result"},
)
runbook = BOOK
`

func parts(book, survey, own, late string) string {
	return strings.NewReplacer("BOOK", book, "SURVEY", survey, "OWN", own, "LATE", late).Replace(ownParts)
}

const allParts = `stock.after("survey", [mine, own]).before("verify", late)`

func (s *scene) told() string {
	var told []string
	for _, e := range s.events {
		switch {
		case e.Finding != nil:
			told = append(told, e.Step+": "+e.Finding.Title)
		case e.Kind == story.Output || e.Kind == story.StepSkipped:
			told = append(told, e.Step+": "+e.Text)
		}
	}
	return strings.Join(told, "\n")
}

// TestParts: check runs the checks that a site adds, and a run its closing looks; none of them may change anything.
func TestParts(t *testing.T) {
	for name, c := range map[string]struct {
		source, mode string
		code         int
		told         string
	}{
		"check":                      {parts(allParts, "pass", `print("own")`, "pass"), "check", exit.Done, "mine: mine has seen\nown: own"},
		"run":                        {parts(allParts, "pass", `print("own")`, `print("late")`), "run", exit.Done, "mine: mine has seen\nown: own\nlate: late\nverify: verified"},
		"a check inhibits":           {parts(allParts, "pass", `inhibit("not yet")`, "pass"), "run", exit.Inhibited, "mine: mine has seen\nown: not yet"},
		"all that stands in the way": {parts(allParts, `inhibit("too old")`, `inhibit("not yet")`, "pass"), "run", exit.Inhibited, "survey: too old\nmine: survey could not tell what it needs\nown: not yet"},
		"the same of check":          {parts(allParts, `inhibit("too old")`, `inhibit("not yet")`, "pass"), "check", exit.Inhibited, "survey: too old\nmine: survey could not tell what it needs\nown: not yet"},
		"a check before inhibits":    {parts(`stock.before("survey", own).after("survey", mine)`, "pass", `inhibit("not yet")`, "pass"), "run", exit.Inhibited, "own: not yet\nmine: mine has seen"},
		"the preflight changes":      {parts(allParts, "pass", `t.write("/srv/a/x", "y")`, "pass"), "run", exit.Failed, "mine: mine has seen"},
		"the closing changes":        {parts(allParts, "pass", "pass", `t.write("/srv/a/x", "y")`), "run", exit.Failed, "mine: mine has seen"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			v := s.run(c.source, func(cfg *engine.Config) { cfg.Mode = c.mode })
			if v.Code != c.code || s.told() != c.told {
				t.Errorf("code %d (%s), want %d; told\n%s\nwant\n%s", v.Code, v.Text, c.code, s.told(), c.told)
			}
			if made := s.text("/srv/a/x"); made == "y" {
				t.Error("what may change nothing has written a file")
			}
		})
	}
}

// TestPartsResumed: a preflight that found what stands in the way begins again, all of it.
func TestPartsResumed(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	if v := s.run(parts(allParts, `t.read("/etc/motd"); inhibit("too old")`, `t.read("/etc/motd")`, "pass"), nil); v.Code != exit.Inhibited {
		t.Fatalf("%+v", v)
	}
	previous := s.records()
	v := s.run(parts(allParts, `t.read("/etc/motd")`, `t.read("/etc/motd")`, "pass"), func(cfg *engine.Config) { cfg.Previous = previous })
	if v.Code != exit.Done || s.told() != "mine: mine has seen\nverify: verified" || s.text("/srv/a/one") != "seen" {
		t.Errorf("%+v\n%s", v, s.told())
	}
}

// TestResult: a function in the place of a step has to return what the runbook says of it, and is named if it does not.
func TestResult(t *testing.T) {
	const other = "\ndef other():\n    \"\"\"Another survey.\"\"\"\n    RETURN\n\nrunbook = stock.replace(\"survey\", other)\n"
	for name, c := range map[string]struct{ does, want string }{
		"None":           {"pass", "step survey returned None, and its result is taken by work"},
		"another type":   {`return "seen"`, "step survey returned a string"},
		"a field less":   {`return struct(other = 1)`, "step survey returned a record without word"},
		"as it is to be": {`return struct(word = "x", more = 1)`, ""},
		"it is finished": {`finish("nothing to do")`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			source := strings.Replace(parts("stock", "pass", "pass", "pass"), "runbook = stock\n", "", 1) + strings.Replace(other, "RETURN", c.does, 1)
			v := s.run(source, nil)
			if c.want == "" {
				if v.Code != exit.Done {
					t.Errorf("%+v", v)
				}
				return
			}
			var e *story.Event
			for i := range s.events {
				if s.events[i].Error != nil {
					e = &s.events[i]
				}
			}
			if e == nil || !strings.Contains(e.Error.Message, c.want) || !strings.Contains(e.Error.Source, "def other():\n^") || !strings.Contains(e.Error.Hint, "struct(word = …)") {
				t.Errorf("%+v, %+v", v, e)
			}
		})
	}
}

// TestVital: each head of a run warns of what the runbook lacks.
func TestVital(t *testing.T) {
	s := newScene(t)
	s.run(parts(`stock.without(["work", "verify"])`, "pass", "pass", "pass"), nil)
	got := s.events[0].Run.Warnings
	if len(got) != 2 || got[0] != "without verify: nobody looks at the result" || got[1] != "without work: nothing is done" {
		t.Errorf("%q", got)
	}
	s = newScene(t)
	s.mkdir("/srv/a")
	if s.run(parts("stock", "pass", "pass", "pass"), nil); s.events[0].Run.Warnings != nil {
		t.Errorf("%q", s.events[0].Run.Warnings)
	}
}
