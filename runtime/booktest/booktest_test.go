package booktest_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/script"
	"zcp2kopano/testdata/hosts"
)

// site writes files of a directory to be tested.
func site(t *testing.T, files map[string]string) booktest.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return booktest.Config{Dir: dir, Stock: runbooks.FS, Hosts: hosts.FS, Builtins: builtins.All()}
}

func run(t *testing.T, c booktest.Config) []booktest.Result {
	t.Helper()
	results, err := booktest.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// passes runs tests that must all pass, but for those that must fail as is said: "test_x: message".
func passes(t *testing.T, c booktest.Config, fail ...string) {
	t.Helper()
	for _, r := range run(t, c) {
		for _, f := range r.Failures {
			if !slices.Contains(fail, r.Test+": "+f.Message) {
				t.Errorf("%s: %s", r.Name(), f.Text())
			}
			fail = slices.DeleteFunc(fail, func(s string) bool { return s == r.Test+": "+f.Message })
		}
	}
	if len(fail) > 0 {
		t.Errorf("no failure %q", fail)
	}
}

const siteBook = `"""A site."""

def act(words):
    """Write what is said, and start a service."""
    if words == "nothing":
        return None
    elif words == "refuse":
        inhibit("no", "because", key = "site/no")
    fs.mkdir("/srv/site")
    fs.write("/srv/site/motd", words + "\n", mode = "0640")
    if words == "fail":
        fail("as it was told")
    return struct(said = words)

def count(act):
    """Look at what was said."""
    info("said", act.said)
    return len(act.said)

runbook = define(
    steps = [act, count],
    params = [param("words", default = "hello", doc = "what is said")],
    allow = policy(write = ["/srv/site"], services = ["*"]),
)
`

func TestWhatTestsSee(t *testing.T) {
	passes(t, site(t, map[string]string{"site.star": siteBook, "site_test.star": `"""Tests."""

load("//site.star", "runbook")

def _host():
    return test.host("debian8-zcp72", files = {"/srv/x": "x"}, services = {"lamp": "active"}, packages = {"tree": "Version: 1.2\nMaintainer: Debian\n"})

def test_run():
    """A whole run."""
    run = test.run(runbook, _host(), params = {"words": "hi"})
    test.equal((run.code, run.steps, run.serious), (0, ["act", "count"], []))
    test.equal(run.changes, ["act: make directory /srv/site", "act: write /srv/site/motd"])
    test.finding(run, "info: said", reason = "hi")
    test.equal(test.text(run, "/srv/site/motd"), "hi\n")
    test.equal(test.text(_host(), "/srv/site/motd"), None, about = "the host that it began with")
    state = test.file(run.host, "/srv/site/motd")
    test.equal((state.type, state.mode, state.owner, state.size), ("file", "0640", "root", 3))
    test.equal(test.packages(run)["tree"], "1.2")
    test.equal(test.services(run)["lamp"], "active")
    test.equal(run.results.count, 2)
    test.contains(run.story, "[1/2] act")
    test.undone(run)

def test_inhibited():
    """A refusal, and its way past."""
    test.equal(test.run(runbook, _host(), params = {"words": "refuse"}).code, 2)
    over = test.run(runbook, _host(), params = {"words": "refuse"}, overrides = {"site/no": "known"})
    test.equal((over.code, over.serious), (0, ["warning: no"]))

def test_failures():
    """Every change may fail."""
    for n in [1, 2]:
        run = test.run(runbook, _host(), fail_at = n)
        test.equal(run.code, 1, about = "change %d" % n)
        test.contains(run.text, "input/output error")
        test.undone(run, about = "change %d" % n)
    run = test.run(runbook, _host(), params = {"words": "fail"})
    test.contains(run.text, "as it was told")
    test.undone(run)

def test_step():
    """One step, with the result of the one before."""
    run = test.step(runbook, "count", _host(), results = {"act": struct(said = "12345")})
    test.equal((run.code, run.results.count), (0, 5))

def _double(n, more):
    fs.write("/srv/x", str(n))
    return 2 * n + more

def test_call():
    """Any function."""
    run = test.call(_double, _host(), args = [20], named = {"more": 2})
    test.equal(run.result, 42)
    test.equal(test.text(run, "/srv/x"), "20")
    refused = test.call(_double, _host(), args = [20, 2], allow = policy(write = ["/etc/x"]))
    test.equal(refused.code, 1)
    test.contains(refused.text, "/srv/x")

def test_hosts():
    """Edits of edits."""
    h = test.host(_host(), remove = ["/srv/x"], links = {"/srv/y": "/srv/z"}, packages = {"tree": ""}, services = {"lamp": ""})
    test.equal(test.file(h, "/srv/x"), None)
    test.equal(test.file(h, "/srv/y").target, "/srv/z")
    test.lacks(test.packages(h), "tree")
    test.lacks(test.services(h), "lamp")
    test.equal(test.text(test.host(h, files = {"/srv/x": "no end"}), "/srv/x"), "no end")

def test_beside():
    """A fixture that is a file, and its directory."""
    h = test.host("own.txtar")
    test.equal(test.entries(h, "dc=example,dc=org", filter = "(uid=anna)"), {"uid=anna,dc=example,dc=org": {"objectClass": ["account"], "uid": ["anna"]}})
`, "own.txtar": "-- host --\nhostname: own\nmanager: apt 1.0\nos-release.ID: debian\nos-release.VERSION_ID: 8\n-- directory --\ndn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\ndn: uid=anna,dc=example,dc=org\nobjectClass: account\nuid: anna\n"}))
}

// What is not as wanted is told where it is, and how it differs; the test goes on after it.
func TestFailuresAreTold(t *testing.T) {
	c := site(t, map[string]string{"site.star": siteBook, "lib/bad_test.star": `"""Tests."""

load("//site.star", "runbook")

def test_equal():
    """Values."""
    test.equal(1, 2)
    test.equal("1", 1)
    test.equal(["a", "b", "c"], ["a", "x", "c"], about = "the list")
    test.equal({"a": 1, "b": 2}, {"a": 1, "b": 3})
    test.true([])
    test.contains(["apple", "pear"], "appel")
    test.lacks("apple", "app")

def test_run():
    """Runs."""
    run = test.run(runbook, test.host("debian8-zcp72"))
    test.finding(run, "warning: said")
    test.finding(run, "info: said", reason = "farewell")
    test.golden(run, "golden/none.txt")

def test_error():
    """An error ends the test."""
    print("before")
    test.host("debian8-zcp27")
    test.equal(1, 2)

def test_builtins():
    """There is no host here."""
    fs.exists("/etc/passwd")

def test_number():
    """There is no such change."""
    test.run(runbook, test.host("debian8-zcp72"), fail_at = 9)

def test_edit():
    """The fixture does not hold what is to be replaced."""
    test.host("debian8-zcp72", replace = {"no such text": ""})
`, "lib/worse_test.star": "def test_x():\n    undefined_name()\n"})
	var told []string
	for _, r := range run(t, c) {
		for _, f := range r.Failures {
			told = append(told, r.Test+" "+f.Text())
		}
		if r.Test == "test_error" && !slices.Equal(r.Output, []string{"before"}) {
			t.Errorf("printed: %q", r.Output)
		}
	}
	want := []string{
		"test_equal //lib/bad_test.star:7:15: got 1, want 2",
		`test_equal //lib/bad_test.star:8:15: got "1" (string), want 1 (int)`,
		"test_equal //lib/bad_test.star:9:15: the list: it differs:\n--- want\n+++ got\n@@ -1,3 +1,3 @@\n \"a\"\n-\"x\"\n+\"b\"\n \"c\"",
		"test_equal //lib/bad_test.star:10:15: it differs:\n--- want\n+++ got\n@@ -1,2 +1,2 @@\n \"a\": 1\n-\"b\": 3\n+\"b\": 2",
		"test_equal //lib/bad_test.star:11:14: got [], want something true",
		"test_equal //lib/bad_test.star:12:18: \"appel\" is not in it; did you mean apple?:\n  apple\n  pear",
		"test_equal //lib/bad_test.star:13:15: \"app\" is in it:\n  apple",
		`test_run //lib/bad_test.star:18:17: no finding "warning: said"; the run ended with code 0:`,
		`test_run //lib/bad_test.star:19:17: info: said: its reason does not hold "farewell": hello`,
		"test_run //lib/bad_test.star:20:16: there is no lib/golden/none.txt; `zcp2kopano test --update` writes it",
		"test_error //lib/bad_test.star:25:14: test.host: no fixture debian8-zcp27: neither the file lib/debian8-zcp27",
		"test_builtins //lib/bad_test.star:30:14: fs.exists works on a host, and a test has none of its own",
		"test_number //lib/bad_test.star:34:13: test.run: fail_at: there is no change 9, the run has 2",
		`test_edit //lib/bad_test.star:38:14: test.host: the fixture does not hold "no such text"`,
		"test_x //lib/worse_test.star:2:5: undefined: undefined_name",
	}
	if len(told) != len(want) {
		t.Fatalf("%d failures, want %d:\n%s", len(told), len(want), strings.Join(told, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(told[i], want[i]) {
			t.Errorf("got  %s\nwant %s", told[i], want[i])
		}
	}
}

// A file that fails to load fails each of its tests once, and no test is a mistake.
func TestSelection(t *testing.T) {
	c := site(t, map[string]string{"a_test.star": "def test_a():\n    pass\n\ndef test_b():\n    pass\n\ndef helper():\n    pass\n", ".stock/b_test.star": "def test_c():\n    pass\n"})
	names := func() (names []string) {
		for _, r := range run(t, c) {
			names = append(names, r.Name())
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"a_test.star:test_a", "a_test.star:test_b"}) {
		t.Errorf("tests: %q", got)
	}
	var order []string
	c.Tell = func(r booktest.Result) { order = append(order, r.Test) }
	seen := map[string]bool{}
	for c.Seed = range 20 {
		order = nil
		names()
		seen[strings.Join(order, " ")] = true
	}
	if len(seen) != 2 {
		t.Errorf("20 seeds give the orders %v", seen)
	}
	c.Run = regexp.MustCompile("_b$")
	if got := names(); !slices.Equal(got, []string{"a_test.star:test_b"}) {
		t.Errorf("chosen tests: %q", got)
	}
	c.Run = regexp.MustCompile("nothing")
	if _, err := booktest.Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "no test") {
		t.Errorf("no test that fits: %v", err)
	}
	empty := site(t, map[string]string{"site.star": siteBook})
	if _, err := booktest.Run(context.Background(), empty); err == nil || !strings.Contains(err.Error(), "no file *_test.star") {
		t.Errorf("no tests: %v", err)
	}
}

func TestGolden(t *testing.T) {
	c := site(t, map[string]string{"site.star": siteBook, "site_test.star": `"""Tests."""

load("//site.star", "runbook")

def test_story():
    """The story of a run."""
    test.golden(test.run(runbook, test.host("debian8-zcp72")), "golden/story.txt")
`})
	c.Update = true
	passes(t, c)
	c.Update = false
	passes(t, c)
	file := filepath.Join(c.Dir, "golden", "story.txt")
	story, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(story), "write /srv/site/motd") {
		t.Fatalf("%v: %s", err, story)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(story, []byte("motd"), []byte("other")), 0o644); err != nil {
		t.Fatal(err)
	}
	failures := run(t, c)[0].Failures
	if len(failures) != 1 || !strings.Contains(failures[0].Message, "+") || !strings.Contains(failures[0].Message, "--update") {
		t.Errorf("another story is told as %v", failures)
	}
}

// Coverage counts each statement of a function, and those without a position in the compiled code.
func TestCoverage(t *testing.T) {
	c := site(t, map[string]string{"site.star": `"""A site."""

CONSTANT = [
    1,
]

def weigh(n):
    """The first statement is no statement."""
    x = n
    if x == 1:
        return True
    elif x == 2:
        return False
    for i in range(x):
        if i == 1:
            continue
        x += i
    def inner():
        pass
    return [
        x,
        inner,
    ]

def never():
    return None

runbook = define(steps = [])
`, "other.star": "def f():\n    pass\n", "site_test.star": `"""Tests."""

load("//site.star", "weigh")

def test_a():
    test.equal(weigh(1), True)

def test_b():
    test.equal(weigh(5)[0], 14)
`})
	c.Coverage, c.Parallel = script.NewCoverage(), 4
	passes(t, c)
	files, total := booktest.CoverageOf(c.Coverage)
	if len(files) != 2 || files[0].File != "other.star" || files[0].Missed != "2" || files[1].Missed != "13, 19, 26" {
		t.Errorf("coverage: %+v", files)
	}
	if total.Lines != 13 || total.Done != 9 {
		t.Errorf("%d of %d lines", total.Done, total.Lines)
	}
	var text, page bytes.Buffer
	if err := booktest.CoverageText(&text, files, total); err != nil || !strings.Contains(text.String(), "site.star   75.0 % of   12 lines  not: 13, 19, 26\n") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := booktest.CoverageHTML(&page, files, total); err != nil || !strings.Contains(page.String(), `<span class="missed"><i>13</i><i></i>        return False</span>`) {
		t.Errorf("%v\n%s", err, page.String())
	}
}

// A copy of a stock module and the module itself count as one file, and as two if their texts differ.
func TestCoverageOfCopies(t *testing.T) {
	const text = "def a():\n    return 1\n\ndef b():\n    return 2\n"
	c := site(t, map[string]string{"x.star": text, "y.star": text, "a_test.star": `load("//x.star", "a")
load("@stock//x.star", "b")
load("@stock//y.star", other = "a")

def test_a():
    test.equal((a(), b(), other()), (1, 2, 1))
`})
	c.Stock = fstest.MapFS{"x.star": {Data: []byte(text)}, "y.star": {Data: []byte(text + "\n")}}
	c.Coverage = script.NewCoverage()
	passes(t, c)
	files, total := booktest.CoverageOf(c.Coverage)
	if len(files) != 3 || total.Lines != 6 || total.Done != 3 {
		t.Errorf("%+v, %+v", files, total)
	}
}

func TestJUnit(t *testing.T) {
	c := site(t, map[string]string{"a_test.star": "def test_a():\n    pass\n\ndef test_b():\n    test.equal(\"<\", \">\")\n"})
	var out bytes.Buffer
	if err := booktest.JUnit(&out, run(t, c)); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(read.Suites) != 1 || read.Suites[0].Tests != 2 || read.Suites[0].Failures != 1 || read.Suites[0].Cases[1].Failure.Message != `got "<", want ">"` {
		t.Errorf("%+v\n%s", read, out.String())
	}
}

// The examples of what tests can call are tests, and pass.
func TestExamples(t *testing.T) {
	files := map[string]string{}
	for _, b := range booktest.Builtins() {
		if b.Doc == "" || b.Result == "" {
			t.Errorf("%s is not documented", b.Name)
		}
		for _, p := range b.Params {
			if p.Doc == "" {
				t.Errorf("%s: parameter %s is not documented", b.Name, p.Name)
			}
		}
		if b.Example != "" {
			files[strings.ReplaceAll(b.Name, ".", "_")+"_test.star"] = b.Example + "\n"
		}
	}
	if len(files) < 3 {
		t.Fatalf("only %d examples", len(files))
	}
	passes(t, site(t, files))
}

// In a runbook they are refused.
func TestOnlyInTests(t *testing.T) {
	c := site(t, map[string]string{"a_test.star": `"""Tests."""

def _act():
    test.equal(1, 1)

def test_a():
    run = test.call(_act, test.host("debian8-zcp72"))
    test.equal(run.code, 1)
    test.contains(run.text, "it is for tests")
`})
	passes(t, c)
	if slices.ContainsFunc(builtins.All(), func(b *script.Builtin) bool { return strings.HasPrefix(b.Name, "test.") }) {
		t.Error("runbooks can call test.*")
	}
}
