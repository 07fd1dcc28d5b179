package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// testBuiltins are enough of a host's builtins to drive the engine.
func testBuiltins() []*script.Builtin {
	return append(databaseBuiltins, []*script.Builtin{
		{
			Name: "t.read", Effect: script.Read,
			Params: []script.Param{{Name: "path", Type: script.Path}},
			Value: func(c *script.Call) (starlark.Value, error) {
				f, err := c.View.Open(c.String("path"))
				if err != nil {
					return nil, c.Errorf("%w", err)
				}
				defer f.Close()
				var text bytes.Buffer
				_, err = text.ReadFrom(f)
				return starlark.String(text.String()), err
			},
		},
		{
			Name: "t.write", Effect: script.Change,
			Params: []script.Param{{Name: "path", Type: script.Path}, {Name: "text", Type: script.Text}},
			Decide: func(c *script.Call) (script.Decision, error) {
				text := c.Secret("text").Reveal()
				return script.Decision{Actions: []action.Action{&action.Write{Path: c.String("path"), Content: []byte(text)}}}, nil
			},
		},
		{
			Name: "t.secret", Effect: script.Read,
			Value: func(c *script.Call) (starlark.Value, error) {
				return script.SecretValue{Secret: host.NewSecret("hunter22-not-shown")}, nil
			},
		},
		{
			Name: "t.panic", Effect: script.Read,
			Value: func(c *script.Call) (starlark.Value, error) { panic("boom") },
		},
	}...)
}

// scene is a simulated host with a run on it.
type scene struct {
	t      *testing.T
	host   *sim.Host
	log    *journal.Log
	keeper action.Secrets
	events []story.Event
	stop   chan struct{}
}

const testFixture = `
-- host --
hostname: test.example.org
machine-id: 00112233445566778899aabbccddeeff
-- /etc/os-release --
ID=debian
VERSION_ID="8"
PRETTY_NAME="Debian 8"
-- /etc/motd --
hello
`

// fixtureHost is the host that a fixture describes.
func fixtureHost(t *testing.T, text string) *sim.Host {
	t.Helper()
	fixture, err := sim.ReadFixture([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newScene(t *testing.T) *scene {
	t.Helper()
	h := fixtureHost(t, testFixture)
	return &scene{
		t: t, host: h, keeper: state.Memory(), stop: make(chan struct{}),
		log: journal.Memory("test", time.Now),
	}
}

func (s *scene) load(source string) *runbook.Runbook {
	s.t.Helper()
	dir := s.t.TempDir()
	write(s.t, dir, "site.star", source)
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: testBuiltins()})
	if err != nil {
		s.t.Fatal(script.ErrorInfoOf(err))
	}
	return rb
}

func (s *scene) run(source string, change func(*engine.Config)) story.Verdict {
	s.t.Helper()
	cfg := s.config(s.load(source))
	if change != nil {
		change(&cfg)
	}
	return engine.Execute(context.Background(), cfg)
}

func (s *scene) config(rb *runbook.Runbook) engine.Config {
	s.events = nil
	return engine.Config{
		Mode: "run", ID: "r1", Runbook: rb, Host: s.host, HostLabel: "test", Dir: "/var/lib/zcp2kopano/runs/r1",
		Journal: s.log, Keeper: s.keeper, Version: "test", Stop: s.stop,
		Emit: func(e story.Event) { s.events = append(s.events, e) },
	}
}

// records reads the journal back.
func (s *scene) records() []journal.Record {
	s.t.Helper()
	_, records, damage, err := journal.Read(bytes.NewReader(s.log.Bytes()))
	if err != nil || damage != nil {
		s.t.Fatal(err, damage)
	}
	return records
}

func (s *scene) kinds(kind story.EventKind) int {
	n := 0
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (s *scene) text(path string) string {
	f, err := s.host.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(f)
	return text.String()
}

const twoSteps = `
def one():
    """Write the first file."""
    text = t.read("/etc/motd")
    t.write("/srv/a/one", text)
    return text

def two(one):
    """Write the second file."""
    t.write("/srv/a/two", one + "again")
    %s
    t.write("/srv/a/three", one)

runbook = define(steps = [one, two], allow = policy(write = ["/srv/a"]))
`

func (s *scene) mkdir(path string) {
	s.t.Helper()
	if err := s.host.Mkdir(path, 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func TestExecute(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	v := s.run(fmt.Sprintf(twoSteps, ""), nil)
	if v.Code != 0 || v.Changes != 3 {
		t.Fatalf("verdict %+v, events %+v", v, s.events)
	}
	if got := s.text("/srv/a/two"); got != "hello\nagain" {
		t.Errorf("two holds %q", got)
	}
	s.log = journal.Memory("test", time.Now)
	again := s.run(fmt.Sprintf(twoSteps, ""), nil)
	if again.Code != 0 || again.Changes != 0 || !strings.Contains(again.Text, "nothing to do") {
		t.Errorf("second run: %+v", again)
	}
}

// A run that failed goes on where it stopped: what was done is not done again, what was read is not
// read again.
func TestResumeAfterFailure(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	source := fmt.Sprintf(twoSteps, `t.read("/etc/issue-of-the-day")`)
	v := s.run(source, nil)
	if v.Code != exit.Failed || !strings.Contains(v.Text, "/etc/issue-of-the-day") {
		t.Fatalf("verdict %+v", v)
	}
	f, err := s.host.Create("/etc/issue-of-the-day", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	previous := s.records()
	v = s.run(source, func(c *engine.Config) { c.Previous = previous })
	if v.Code != 0 || v.Changes != 3 {
		t.Fatalf("verdict of resume %+v", v)
	}
	if s.kinds(story.Replayed) != 1 {
		t.Errorf("%d actions replayed, want 1", s.kinds(story.Replayed))
	}
	if got := s.text("/srv/a/three"); got != "hello\n" {
		t.Errorf("three holds %q", got)
	}
}

// What was read after the last change is read again: the cause of the failure may be fixed.
func TestResumeAsksAgain(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	source := `
def one():
    """Refuse a bad file."""
    t.write("/srv/a/one", "x")
    if t.read("/etc/motd") != "corrected":
        fail("bad motd")

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`
	if v := s.run(source, nil); v.Code != exit.Failed {
		t.Fatalf("verdict %+v", v)
	}
	s.edit("/etc/motd", "corrected")
	previous := s.records()
	if v := s.run(source, func(c *engine.Config) { c.Previous = previous }); v.Code != 0 {
		t.Errorf("resume: %+v", v)
	}
}

// A fixed runbook whose unfinished step asks for something else has that step undone and begun
// again; finished steps stay.
func TestResumeCorrectedRunbook(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	if v := s.run(fmt.Sprintf(twoSteps, `fail("stop")`), nil); v.Code != exit.Failed {
		t.Fatalf("verdict %+v", v)
	}
	previous := s.records()
	corrected := strings.ReplaceAll(fmt.Sprintf(twoSteps, ""), "/srv/a/two", "/srv/a/other")
	v := s.run(corrected, func(c *engine.Config) { c.Previous = previous })
	if v.Code != 0 {
		t.Fatalf("verdict %+v %+v", v, s.events)
	}
	if got := s.text("/srv/a/two"); !strings.Contains(got, "no such file") {
		t.Errorf("the file of the undone step is still there: %q", got)
	}
	if got := s.text("/srv/a/other"); got != "hello\nagain" {
		t.Errorf("other holds %q", got)
	}
}

func TestRollback(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	v := s.run(fmt.Sprintf(twoSteps, `fail("stop")`), nil)
	if v.Code != exit.Failed {
		t.Fatalf("verdict %+v", v)
	}
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: "x", Stock: stock(map[string]string{"x.star": "runbook = define(steps = [])\n"})})
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.config(rb)
	cfg.Previous = s.records()
	v = engine.Rollback(context.Background(), cfg, "two")
	if v.Code != 0 || v.Changes != 1 {
		t.Fatalf("rollback to two: %+v", v)
	}
	if got := s.text("/srv/a/one"); got != "hello\n" {
		t.Errorf("step one was undone as well: %q", got)
	}
	cfg.Previous = s.records()
	if v = engine.Rollback(context.Background(), cfg, ""); v.Code != 0 || v.Changes != 2 {
		t.Fatalf("rollback of the rest: %+v", v)
	}
	if got := s.text("/srv/a/one"); !strings.Contains(got, "no such file") {
		t.Errorf("one is still there: %q", got)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		script, want string
		code         int
	}{
		"policy": {`
def one():
    """Write."""
    t.write("/etc/hosts", "x")

runbook = define(steps = [one], allow = policy(write = ["/srv"+"/a"]))
`, "does not allow it to change path /etc/hosts", 1},
		"check changes": {`
def look():
    """Look."""
    t.write("/srv/a/x", "x")

runbook = define(check = look, steps = [], allow = policy(write = ["/srv/a"]))
`, "may not change anything", 1},
		"inhibitor": {`
def one():
    """Refuse."""
    inhibit("no", "because", "do something")
    t.write("/srv/a/x", "x")

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`, "1 inhibitor", 2},
		"system": {`
def one():
    """Nothing."""

runbook = define(steps = [one], systems = ["rhel >= 7"])
`, "1 inhibitor", 2},
		"panic": {`
def one():
    """Panic."""
    t.panic()

runbook = define(steps = [one])
`, "internal error: boom", 1},
		"secret text": {`
def one():
    """Use a secret as a number."""
    x = 1 + t.secret()

runbook = define(steps = [one])
`, "unknown binary op: int + secret", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			v := s.run(tc.script, nil)
			if v.Code != tc.code || !strings.Contains(v.Text, tc.want) {
				t.Errorf("verdict %+v, want %q", v, tc.want)
			}
			if got := s.text("/srv/a/x"); !strings.Contains(got, "no such file") {
				t.Errorf("it was written: %q", got)
			}
		})
	}
}

func TestParams(t *testing.T) {
	source := `
def one(name, key):
    """Use parameters."""
    print(name, key)

runbook = define(steps = [one], params = [param("name", doc = "it"), param("key", doc = "it", secret = True), param("n", doc = "it", type = "int", default = 3)])
`
	for name, tc := range map[string]struct {
		params  map[string]string
		secrets map[string]host.Secret
		want    string
	}{
		"missing":       {nil, nil, "parameter name is missing"},
		"unknown":       {map[string]string{"nam": "x"}, nil, "no parameter nam; did you mean name?"},
		"secret in arg": {map[string]string{"name": "x", "key": "k"}, nil, "--secret key=FILE"},
		"no number":     {map[string]string{"name": "x", "n": "many"}, nil, "not a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			v := s.run(source, func(c *engine.Config) { c.Params, c.Secrets = tc.params, tc.secrets })
			if v.Code != 1 || !strings.Contains(v.Text, tc.want) {
				t.Errorf("verdict %+v, want %q", v, tc.want)
			}
		})
	}
}

// Secrets that a run knows are found neither in its journal nor in its events.
func TestSecretsAreNotTold(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	v := s.run(`
def one(key):
    """Write secrets."""
    found = t.secret()
    t.write("/srv/a/x", key)
    t.write("/srv/a/y", found)
    print(found, key)
    t.read("/srv/a/x")
    fail("cannot use " + t.read("/srv/a/y"))

runbook = define(steps = [one], params = [param("key", doc = "it", secret = True)], allow = policy(write = ["/srv/a"]))
`, func(c *engine.Config) { c.Secrets = map[string]host.Secret{"key": host.NewSecret("Tr0ub4dor&3")} })
	if v.Code != 1 {
		t.Fatalf("verdict %+v", v)
	}
	events, err := json.Marshal(s.events)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"journal": string(s.log.Bytes()), "events": string(events)} {
		for _, secret := range []string{"Tr0ub4dor&3", "Tr0ub4dor\\u00263", "hunter22-not-shown"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s tells %s", what, secret)
			}
		}
	}
	if got := s.text("/srv/a/x"); got != "Tr0ub4dor&3" {
		t.Errorf("x holds %q", got)
	}
}

// What looks like a secret is told by nobody, and stands on the host as it was written.
func TestWhatLooksLikeASecretIsNotTold(t *testing.T) {
	text := "mysql_password = geheim1\npassword_min_length = 8\ncurl -u me:geheim2 https://you:geheim3@example.org/\n" +
		"-----BEGIN PRIVATE KEY-----\ngeheim4\n-----END PRIVATE KEY-----\n"
	s := newScene(t)
	s.mkdir("/srv/a")
	if err := s.host.Files().PutFile("/srv/a/found", []byte(text), 0o600, 0, 0, s.host.Now()); err != nil {
		t.Fatal(err)
	}
	v := s.run(`
def one():
    """Tell all that there is."""
    text = t.read("/srv/a/found")
    t.write("/srv/a/copy", text)
    t.write("/srv/a/copy", text + "password = geheim5\n")
    print(text)
    warn("found: " + text.splitlines()[2], text, "repair it")
    fail("cannot use " + text)

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`, nil)
	if v.Code != 1 {
		t.Fatalf("verdict %+v", v)
	}
	events, err := json.Marshal(s.events)
	if err != nil {
		t.Fatal(err)
	}
	for what, told := range map[string]string{"journal": string(s.log.Bytes()), "events": string(events)} {
		if at := strings.Index(told, "geheim"); at >= 0 {
			t.Errorf("the %s tells a secret: %q", what, told[max(0, at-80):at+8])
		}
	}
	if !strings.Contains(string(events), "password_min_length = 8") {
		t.Error("the events hide what is no secret")
	}
	if got := s.text("/srv/a/copy"); got != text+"password = geheim5\n" {
		t.Errorf("copy holds %q", got)
	}
}

// A secret that stands in a plain text is kept out of the journal wherever the text goes, and a resumed
// run still has the text.
func TestSecretsInTextsAreSealed(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	source := `
def one():
    """Read a text with a secret in it, copy it, and hand it on."""
    t.write("/srv/a/y", t.secret())
    text = t.read("/srv/a/y")
    t.write("/srv/a/copy", text)
    return text

def two(one):
    """Copy it again."""
    if t.read("/srv/go") != "yes":
        fail("not yet")
    t.write("/srv/a/again", one)

runbook = define(steps = [one, two], allow = policy(write = ["/srv/a"]))
`
	s.put("/srv/go", "no")
	if v := s.run(source, nil); v.Code != 1 {
		t.Fatalf("verdict %+v", v)
	}
	s.edit("/srv/go", "yes")
	if v := s.again(source); v.Code != 0 {
		t.Fatalf("resume %+v", v)
	}
	if strings.Contains(string(s.log.Bytes()), "hunter22-not-shown") {
		t.Errorf("the journal tells the secret:\n%s", s.log.Bytes())
	}
	if got := s.text("/srv/a/again"); got != "hunter22-not-shown" {
		t.Errorf("the text is lost: %q", got)
	}
}

// An admin's request to stop ends the run before the next action, and resume goes on.
func TestStop(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	source := fmt.Sprintf(twoSteps, "")
	v := s.run(source, func(c *engine.Config) {
		emit := c.Emit
		c.Emit = func(e story.Event) {
			emit(e)
			if e.Kind == story.ChangeEnd && strings.Contains(e.Step, "one") {
				close(s.stop)
			}
		}
	})
	if v.Code != exit.Interrupted {
		t.Fatalf("verdict %+v", v)
	}
	s.stop = make(chan struct{})
	previous := s.records()
	if v = s.run(source, func(c *engine.Config) { c.Previous = previous }); v.Code != 0 {
		t.Fatalf("resume: %+v", v)
	}
}

// A journal that cannot be written stops the run before the action.
// TestInterruptedSimulation breaks a script off that computes and calls nothing.
func TestInterruptedSimulation(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir := t.TempDir()
	write(t, dir, "site.star", `"""Loop."""

def loop():
    """Compute."""
    for _ in range(19000000):
        pass

runbook = define(steps = [loop])
`)
	rb, err := runbook.Load(ctx, script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: testBuiltins()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := newScene(t).config(rb)
	cfg.Mode = "simulate"
	cfg.Emit = func(e story.Event) {
		if e.Kind == story.StepBegin {
			cancel()
		}
	}
	v := engine.Execute(ctx, cfg)
	if v.Code != exit.Interrupted || v.Text != "interrupted; nothing on the host was changed" {
		t.Errorf("%+v", v)
	}
}

func TestJournalFullStopsBeforeAction(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	v := s.run(fmt.Sprintf(twoSteps, ""), func(c *engine.Config) { c.Journal = &fullJournal{Writer: s.log, left: 3} })
	if v.Code != exit.Failed || !strings.Contains(v.Text, "no space") {
		t.Fatalf("verdict %+v", v)
	}
	if got := s.text("/srv/a/one"); !strings.Contains(got, "no such file") {
		t.Errorf("the action was carried out without its record: %q", got)
	}
}

type fullJournal struct {
	journal.Writer
	left int
}

func (f *fullJournal) Append(typ string, data any) (uint64, error) {
	if typ == "intent" {
		return 0, errors.New("no space left on device")
	}
	return f.Writer.Append(typ, data)
}

func stock(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
