package engine_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
)

const looking = `"""Look."""

def read(path, text = ""):
    return t.read(path) + text

def broken():
    return 1 + "one"

def named(path, word, text = "left out", number = 7):
    return "%s %s %s %s" % (path, word, text, number)

def unknown(path):
    fail("called with " + path)

def many(*args):
    pass

def end():
    finish("all is done")

def spin():
    for i in range(1 << 30):
        for j in range(1 << 30):
            pass

def check():
    """Look at the host."""
    CHECK

def step():
    """Look as well."""
    STEP

runbook = define(check = check, steps = [step], params = [param("word", doc = "it", default = "given")])
`

func (s *scene) look(check, step string) (story.Verdict, []string) {
	s.t.Helper()
	v := s.run(strings.Replace(strings.Replace(looking, "CHECK", check, 1), "STEP", step, 1), nil)
	var told []string
	for _, e := range s.events {
		if e.Finding != nil {
			told = append(told, strings.Join([]string{string(e.Finding.Severity), e.Finding.Title, e.Finding.Reason, e.Finding.Remedy}, "|"))
		}
		if e.Kind == story.Output {
			told = append(told, e.Text)
		}
	}
	return v, told
}

func TestLook(t *testing.T) {
	v, told := newScene(t).look(`print(
        look("motd", read, ["/etc/motd", "!"]),
        look("nothing", read, ["/etc/none"], remedy = "make it"),
        look("a mistake", broken),
    )`, "pass")
	all := strings.Join(told, "\n")
	if v.Code != exit.Inhibited || v.Inhibitors != 2 || len(told) != 3 {
		t.Errorf("%+v\n%s", v, all)
	}
	for _, want := range []string{
		"hello\n! None None",
		"inhibitor|nothing could not be looked at|", "/etc/none", "|make it",
		"inhibitor|a mistake could not be looked at|unknown binary op: int + string|fix the cause and check again; the runbook asks for it at ", "site.star:7:",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not told:\n%s", want, all)
		}
	}
}

// TestLookLetsEndsPass: what ends the run is not a failure of what was looked at.
func TestLookLetsEndsPass(t *testing.T) {
	if v, told := newScene(t).look(`look("the end", end)`, "pass"); v.Code != exit.Done || v.Inhibitors != 0 {
		t.Errorf("%+v %q", v, told)
	}
	if v, told := newScene(t).look(`look("for ever", spin)`, "pass"); v.Code != exit.Failed || v.Inhibitors != 0 || !strings.Contains(v.Text, "endless") {
		t.Errorf("%+v %q", v, told)
	}
	if v, told := newScene(t).look("pass", `look("motd", read, ["/etc/none"])`); v.Code != exit.Failed || !strings.Contains(v.Text, "only the runbook's check") {
		t.Errorf("%+v %q", v, told)
	}
}

// TestLookAmong gives the function by name what is known, the runbook's parameters, and its defaults.
func TestLookAmong(t *testing.T) {
	_, told := newScene(t).look(`known = {"path": "/etc/motd", "text": None, "other": 1}
    print(look("motd", among = known, do = named))
    print(look("nothing", unknown, among = {"path": None}))`, "pass")
	if len(told) != 2 || told[0] != "/etc/motd given None 7" || told[1] != "None" {
		t.Errorf("%q", told)
	}
	// What is known of a large site is handed on however large it is.
	_, told = newScene(t).look(`known = {"path": "/etc/motd", "text": None, "users": ["x" * (1 << 20)] * 20}
    print(look("motd", named, among = known))`, "pass")
	if len(told) != 1 || told[0] != "/etc/motd given None 7" {
		t.Errorf("%q", told)
	}
	for call, want := range map[string]string{
		`look("x", unknown, among = {"paht": "/"})`: "unknown takes path, which is neither known nor a parameter of the runbook",
		`look("x", many, among = {})`:               "want a function defined with def that names what it takes",
		`look("x", unknown, among = ["path"])`:      "argument among: got list, want a dict",
	} {
		if v, _ := newScene(t).look(call, "pass"); v.Code != exit.Failed || !strings.Contains(v.Text, want) {
			t.Errorf("%s: %+v", call, v)
		}
	}
}
