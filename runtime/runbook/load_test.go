package runbook_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

const goodLib = `
def hello(who):
    """Greet."""
    return "hello " + who
`

func stock(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func load(t *testing.T, opts script.LoadOptions) (*runbook.Runbook, *script.ErrorInfo) {
	t.Helper()
	rb, err := runbook.Load(context.Background(), opts)
	if err != nil {
		return nil, script.ErrorInfoOf(err)
	}
	return rb, nil
}

func TestLoadStock(t *testing.T) {
	files := stock(map[string]string{
		"demo.star": `"""A demo."""
load("lib/a.star", "hello")

def one(who):
    """Say hello."""
    print(hello(who))

runbook = define(steps = [one], params = [param("who", doc = "it", default = "you")])
`,
		"lib/a.star": goodLib,
	})
	rb, info := load(t, script.LoadOptions{Name: "demo", Stock: files})
	if info != nil {
		t.Fatal(info)
	}
	if rb.Name != "@stock//demo.star" || rb.Doc != "A demo." || len(rb.Steps) != 1 || rb.Steps[0].Doc != "Say hello." {
		t.Errorf("runbook is %+v", rb)
	}
	if got := len(rb.Modules()); got != 2 {
		t.Errorf("%d modules kept, want 2", got)
	}
	again, err := runbook.LoadCopy(context.Background(), rb.Name, rb.Modules(), script.LoadOptions{})
	if err != nil || len(again.Steps) != 1 {
		t.Errorf("the copy does not load: %v", err)
	}
}

func TestForkChangesStock(t *testing.T) {
	files := stock(map[string]string{"demo.star": `
def one():
    """One."""

def two(one):
    """Two."""

runbook = define(steps = [one, two])
`})
	dir := t.TempDir()
	write(t, dir, "site.star", `
load("@stock//demo.star", stock = "runbook")
load("//extra.star", "three")

runbook = stock.after("one", three).without("two")
`)
	write(t, dir, "extra.star", "def three():\n    \"\"\"Three.\"\"\"\n")
	rb, info := load(t, script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: files})
	if info != nil {
		t.Fatal(info)
	}
	var names []string
	for _, s := range rb.Steps {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "one three" {
		t.Errorf("steps %q, want one three", got)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret.star", goodLib)
	for name, tc := range map[string]struct{ text, message, hint string }{
		"syntax":            {"def x(:\n", "got ':'", ""},
		"undefined":         {"runbook = defin(steps = [])\n", "undefined: defin", "did you mean define?"},
		"module function":   {"def s():\n    \"\"\"S.\"\"\"\nrunbook = define(steps = [s])\nx = json.decodee('1')\n", "did you mean .decode?", ""},
		"argument":          {"runbook = define(stepz = [])\n", "unexpected argument stepz; did you mean steps?", ""},
		"missing":           {"runbook = define()\n", "missing argument steps", ""},
		"while":             {"def s():\n    while True:\n        pass\n", "while", ""},
		"no runbook":        {"x = 1\n", "no runbook", ""},
		"no docstring":      {"def s():\n    pass\nrunbook = define(steps = [s])\n", "step s has no docstring", ""},
		"unknown need":      {"def s(wat):\n    \"\"\"S.\"\"\"\nrunbook = define(steps = [s], params = [param(\"what\", default = \"\")])\n", "step s takes wat", ""},
		"lambda":            {"runbook = define(steps = [lambda: 1])\n", "lambda cannot be a step", ""},
		"load outside":      {"load(\"../x.star\", \"y\")\n", "no \"..\"", ""},
		"load absolute":     {"load(\"/etc/x.star\", \"y\")\n", "no absolute path", ""},
		"load symlink":      {"load(\"//link.star\", \"hello\")\n", "escapes", ""},
		"load itself":       {"load(\"//site.star\", \"y\")\n", "loads itself", ""},
		"load missing":      {"load(\"//none.star\", \"y\")\n", "no such file", ""},
		"endless":           {"def f():\n    for i in range(1000000000):\n        pass\nf()\n", "more than 20000000 instructions", ""},
		"memory":            {"def f():\n    x = [\"a\" * 1000]\n    for i in range(40):\n        x = x + x\n    return x\nf()\n", "would be larger than 8 MiB", ""},
		"host at load":      {"x = grant(\"/srv/x\", \"why\")\n", "inside a step", ""},
		"secret default":    {"p = param(\"x\", secret = True, default = \"y\")\n", "a secret has no default", ""},
		"bound of a string": {"p = param(\"x\", default = \"y\", at_least = 1)\n", "are for type = \"int\"", ""},
		"default too small": {"p = param(\"x\", type = \"int\", default = 0, at_least = 1)\n", "default of x: 0 is out of range", ""},
		"policy root":       {"p = policy(write = [\"/etc\"])\n", "/etc as a whole cannot be allowed", ""},
		"policy relative":   {"p = policy(write = [\"etc/x\"])\n", "not absolute", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "site.star", tc.text)
			if err := os.Symlink(filepath.Join(outside, "secret.star"), filepath.Join(dir, "link.star")); err != nil {
				t.Fatal(err)
			}
			limits := script.DefaultLimits
			if name == "memory" {
				limits.Heap = 64 << 20
			}
			_, info := load(t, script.LoadOptions{
				Name: filepath.Join(dir, "site.star"), Stock: stock(nil),
				Limits: limits,
			})
			if info == nil {
				t.Fatal("it loads")
			}
			if !strings.Contains(info.Message, tc.message) {
				t.Errorf("message %q, want %q in it", info.Message, tc.message)
			}
			if info.Hint != tc.hint && tc.hint != "" {
				t.Errorf("hint %q, want %q", info.Hint, tc.hint)
			}
		})
	}
}

// An error in a loaded module is told with that module's line and a caret, and the way there.
func TestErrorShowsInnermostSource(t *testing.T) {
	files := stock(map[string]string{
		"demo.star":  "load(\"lib/a.star\", \"boom\")\nboom(1)\n",
		"lib/a.star": "def boom(x):\n    return x.upper()\n",
	})
	_, info := load(t, script.LoadOptions{Name: "demo", Stock: files})
	if info == nil {
		t.Fatal("it loads")
	}
	if info.Pos != "@stock//lib/a.star:2:13" {
		t.Errorf("position %q", info.Pos)
	}
	if want := "    return x.upper()\n            ^"; info.Source != want {
		t.Errorf("source\n%s\nwant\n%s", info.Source, want)
	}
	if len(info.Stack) != 1 || !strings.Contains(info.Stack[0], "demo.star:2:5") {
		t.Errorf("stack %q", info.Stack)
	}
}

// The limits hold for modules that are loaded, too.
func TestLimitsReachLoadedModules(t *testing.T) {
	files := stock(map[string]string{
		"demo.star":  "load(\"lib/a.star\", \"x\")\n",
		"lib/a.star": "def f():\n    for i in range(1000000000):\n        pass\n\nx = f()\n",
	})
	_, info := load(t, script.LoadOptions{Name: "demo", Stock: files, Limits: script.Limits{Steps: 100_000, Time: time.Minute, Heap: 1 << 30}})
	if info == nil || !strings.Contains(info.Message, "100000 instructions") {
		t.Errorf("got %+v", info)
	}
}
