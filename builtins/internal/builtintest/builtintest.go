// Package builtintest runs snippets of a runbook on a simulated host, for the tests of builtins.
package builtintest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

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

// Scene is a simulated host and the builtins that snippets may call.
type Scene struct {
	t        testing.TB
	Host     *sim.Host
	Builtins []*script.Builtin
	Around   func(*sim.Host) host.Host // what snippets see of the host, if it is not as it is
	Distrust bool                      // as for a real run: see engine.Config
	runs     int
}

// Result is what a snippet did.
type Result struct {
	Verdict  story.Verdict
	Printed  []string          // by print(), a line each
	Findings []runbook.Finding // in order
	Changed  []string          // results of the actions that were applied
	Journal  []byte
}

// New makes a scene on the host of a fixture (see testdata/hosts/README.md).
func New(t testing.TB, fixture string, builtins []*script.Builtin) *Scene {
	t.Helper()
	f, err := sim.ReadFixture([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return &Scene{t: t, Host: h, Builtins: builtins}
}

// Run carries a snippet out as the only step of a runbook that may change nearly everything.
func (s *Scene) Run(snippet string) Result {
	s.t.Helper()
	s.runs++
	dir := s.t.TempDir()
	module := "def snippet():\n    \"\"\"Carry the snippet out.\"\"\"\n" + indent(snippet) + `
runbook = define(
    steps = [snippet],
    allow = policy(
        write = ["/etc/*", "/var/*/*", "/usr/*/*", "/srv/*", "/opt/*"],
        packages = ["*"], services = ["*"], databases = ["*"], ldap = ["dc=example,dc=org", "cn=config"],
        programs = ["/usr/sbin/postmap", "/usr/sbin/postfix"],
        groups = ["zarafa"],
        servers = ["download.kopano.io", "a.example.org", "dead.example.org"],
    ),
)
`
	file := filepath.Join(dir, "snippet.star")
	if err := os.WriteFile(file, []byte(module), 0o600); err != nil {
		s.t.Fatal(err)
	}
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: file, Stock: fstest.MapFS{}, Builtins: s.Builtins})
	if err != nil {
		s.t.Fatalf("%v\n%s", err, module)
	}
	var r Result
	var seen host.Host = s.Host
	if s.Around != nil {
		seen = s.Around(s.Host)
	}
	log := journal.Memory("test", s.Host.Now)
	id := "r" + string(rune('0'+s.runs))
	r.Verdict = engine.Execute(context.Background(), engine.Config{
		Mode: "run", ID: id, Runbook: rb, Host: seen, HostLabel: "test", Distrust: s.Distrust, Dir: "/var/lib/zcp2kopano/runs/" + id,
		Journal: log, Keeper: state.Memory(), Version: "test", Now: s.Host.Now, Stop: make(chan struct{}),
		Emit: func(e story.Event) {
			switch e.Kind {
			case story.Output:
				r.Printed = append(r.Printed, e.Text)
			case story.FindingFound:
				r.Findings = append(r.Findings, *e.Finding)
			case story.ChangeEnd:
				r.Changed = append(r.Changed, e.Text)
			}
		},
	})
	r.Journal = log.Bytes()
	return r
}

func indent(snippet string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(snippet, "\n") + "\n") {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// Succeed runs a snippet that must succeed, and returns what it printed.
func (s *Scene) Succeed(snippet string) []string {
	s.t.Helper()
	r := s.Run(snippet)
	if r.Verdict.Code != exit.Done {
		s.t.Fatalf("%s\n%s", snippet, r.Verdict.Text)
	}
	return r.Printed
}

// Fail runs a snippet that must fail with a message that holds each of the texts, and without having
// changed anything.
func (s *Scene) Fail(snippet string, texts ...string) {
	s.t.Helper()
	r := s.Run(snippet)
	if r.Verdict.Code != exit.Failed {
		s.t.Errorf("%s\nended with code %d, must fail: %s", snippet, r.Verdict.Code, r.Verdict.Text)
	}
	for _, text := range texts {
		if !strings.Contains(r.Verdict.Text, text) {
			s.t.Errorf("%s\nfailed with %q; %q is not in it", snippet, r.Verdict.Text, text)
		}
	}
	if r.Verdict.Changes > 0 {
		s.t.Errorf("%s\nfailed after %d changes", snippet, r.Verdict.Changes)
	}
}

// Text is the content of a file on the host, or the error of opening it.
func (s *Scene) Text(path string) string {
	f, err := s.Host.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, f); err != nil {
		return err.Error()
	}
	return text.String()
}
