package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

//go:embed testdata/mistakes.txt
var mistakesText string

// mistake is a case of testdata/mistakes.txt.
type mistake struct {
	name, rule, hint string
	words            []string // whole, dead, idle
	source           string
	line             int
}

func (m mistake) is(word string) bool { return slices.Contains(m.words, word) }

func mistakes(t *testing.T) []mistake {
	t.Helper()
	var all []mistake
	for _, text := range strings.Split(mistakesText, "\n=== ")[1:] {
		head, body, _ := strings.Cut(text, "\n")
		parts := strings.SplitN(head, " | ", 3)
		if len(parts) != 3 {
			t.Fatalf("case %q", head)
		}
		words := strings.Fields(parts[1])
		m := mistake{name: parts[0], rule: words[0], words: words[1:], hint: parts[2], line: 3}
		m.source = "\"\"\"A mistake.\"\"\"\n\n" + body + "\n"
		if !m.is("whole") {
			m.line = 5
			m.source = "\"\"\"A mistake.\"\"\"\n\ndef act():\n    \"\"\"Act.\"\"\"\n    " + strings.ReplaceAll(strings.TrimRight(body, "\n"), "\n", "\n    ") +
				"\n\nrunbook = define(steps = [act], allow = policy(write = [\"/x\", \"/etc/kopano\"], packages = [\"*\"], services = [\"*\"], programs = [\"/usr/sbin/postmap\"]))\n"
		}
		for i, line := range strings.Split(m.source, "\n") {
			if strings.Contains(line, "#!") {
				m.line = i + 1
			}
		}
		m.source = strings.ReplaceAll(m.source, " #!", "")
		all = append(all, m)
	}
	return all
}

// leastMistakes is how many cases there are at least, and mostUnseen what part of them only a run may find.
const (
	leastMistakes = 100
	mostUnseen    = 10 // one of so many
)

// TestMistakes makes every mistake of the table: the checker finds it at its line, with an excerpt, a caret and a next
// step. It is right about that: what it calls an error fails when it is carried out, and what it warns of does not.
func TestMistakes(t *testing.T) {
	all := mistakes(t)
	unseen := 0
	for _, m := range all {
		if m.rule == "run" {
			unseen++
		}
		t.Run(m.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "site.star")
			if err := os.WriteFile(name, []byte(m.source), 0o600); err != nil {
				t.Fatal(err)
			}
			opts := script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: allBuiltins()}
			_, found, err := lint.Run(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			m.found(t, found)
			if !m.is("dead") {
				m.carriedOut(t, opts)
			}
		})
	}
	if len(all) < leastMistakes || unseen*mostUnseen > len(all) {
		t.Errorf("%d mistakes, of which only a run finds %d", len(all), unseen)
	}
}

// found wants the checker to find the mistake where it is.
func (m mistake) found(t *testing.T, found []lint.Finding) {
	t.Helper()
	var told []string
	for _, f := range found {
		told = append(told, fmt.Sprintf("%d:%d: %s: %s (%s) hint: %s", f.Line, f.Column, f.Severity, f.Message, f.Rule, f.Hint))
		if !strings.Contains(f.Source, "^") || f.Hint == "" || f.Column < 1 || !strings.HasSuffix(f.File, "site.star") {
			t.Errorf("%+v: no place, no caret or no next step", f)
		}
		if m.rule == "run" && f.Severity == lint.Error {
			t.Errorf("it is found after all: say so in the table: %s", f.Message)
		}
	}
	if m.rule == "run" {
		return
	}
	want := lint.Error
	if m.is("idle") {
		want = lint.Warning
	}
	if !slices.ContainsFunc(found, func(f lint.Finding) bool {
		return f.Rule == m.rule && f.Line == m.line && f.Severity == want && strings.Contains(f.Message+f.Hint, m.hint)
	}) {
		t.Errorf("want %s in line %d, hint %q; found:\n%s\nin\n%s", m.rule, m.line, m.hint, strings.Join(told, "\n"), m.source)
	}
}

// carriedOut wants what the checker calls an error to fail, and what it warns of to pass.
func (m mistake) carriedOut(t *testing.T, opts script.LoadOptions) {
	t.Helper()
	book, err := runbook.Load(t.Context(), opts)
	if err != nil {
		if m.is("idle") || m.rule == "run" {
			t.Errorf("it is not even loaded: %v", err)
		}
		return
	}
	target, err := (&hostFlags{name: m.host(t)}).open()
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	var failed *script.ErrorInfo
	v := (&app{}).carryOut(t.Context(), "simulate", target, book, map[string]string{}, nil, "", journal.Memory("test", time.Now), func(e story.Event) {
		if e.Error != nil {
			failed = e.Error
		}
	})
	if want := map[bool]int{true: exit.Done, false: exit.Failed}[m.is("idle")]; v.Code != want {
		t.Errorf("exit code %d, want %d: %s", v.Code, want, v.Text)
	}
	if m.rule == "run" && (failed == nil || !strings.Contains(failed.Pos, ":") || !strings.Contains(failed.Source, "^") || failed.Hint == "" && len(failed.Next) == 0 || !strings.Contains(failed.Message+failed.Hint, m.hint)) {
		t.Errorf("the run says %+v", failed)
	}
}

// host is a small one that the mistakes speak of.
func (m mistake) host(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "host.txtar")
	const text = "-- host --\nhostname: mail\nkernel: 3.16.0\ninit: systemd\nmanager: apt 1.0.9\ntime: 2018-03-17T20:30:00Z\n-- /etc/os-release --\nID=debian\nVERSION_ID=\"8\"\n" +
		"-- /etc/hosts --\n127.0.0.1 localhost\n-- packages --\nPackage: postfix\nVersion: 2.11.3-1\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
