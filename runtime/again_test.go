package runtime_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runtime"
)

const sameFileTwice = `
def one():
    """Write a file twice."""
    t.write("/srv/a/f", "first")
    t.write("/srv/a/f", "second")

def two():
    """Write it once more."""
    t.write("/srv/a/f", "third")

runbook = define(steps = [one, two], allow = policy(write = ["/srv/a"]))
`

// back rolls a scene's run back.
func (s *scene) back(script, to string) runtime.Verdict {
	s.t.Helper()
	dir := s.t.TempDir()
	write(s.t, dir, "site.star", script)
	rb, err := runtime.Load(context.Background(), runtime.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: testBuiltins()})
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := s.config(rb)
	cfg.Previous = s.records()
	return runtime.Rollback(context.Background(), cfg, to)
}

func (s *scene) again(script string) runtime.Verdict {
	return s.run(script, func(cfg *runtime.Config) { cfg.Previous = s.records() })
}

func TestResumeOfWhatSucceeded(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	if v := s.run(sameFileTwice, nil); v.Code != 0 {
		t.Fatal(v.Text)
	}
	before := s.text("/srv/a/f")
	for range 2 {
		v := s.again(sameFileTwice)
		if v.Code != 0 || v.Changes != 0 || !strings.Contains(v.Text, "nothing to resume") || s.text("/srv/a/f") != before {
			t.Errorf("%+v", v)
		}
	}
}

// Several actions on one file are each compared with what they found, so that none sees the state
// that an earlier one found.
func TestRollbackOfWhatWasRolledBack(t *testing.T) {
	s := newScene(t)
	s.mkdir("/srv/a")
	s.run(sameFileTwice, nil)
	if v := s.back(sameFileTwice, "two"); v.Code != 0 || v.Changes != 1 || s.text("/srv/a/f") != "second" {
		t.Fatalf("%+v, %q", v, s.text("/srv/a/f"))
	}
	if v := s.again(sameFileTwice); v.Code != 0 || v.Changes != 1 || s.text("/srv/a/f") != "third" {
		t.Fatalf("resume after a rollback to a step: %+v", v)
	}
	if v := s.back(sameFileTwice, ""); v.Code != 0 || v.Changes != 3 || !strings.Contains(s.text("/srv/a/f"), "no such file") {
		t.Fatalf("%+v, %q", v, s.text("/srv/a/f"))
	}
	for range 2 {
		if v := s.back(sameFileTwice, ""); v.Code != 0 || v.Changes != 0 || !strings.Contains(v.Text, "rolled back already") {
			t.Errorf("rollback again: %+v", v)
		}
	}
	if v := s.again(sameFileTwice); v.Code == 0 || v.Changes != 0 || !strings.Contains(v.Text, "start a new one") {
		t.Errorf("resume after the rollback: %+v", v)
	}
	if v := s.back(sameFileTwice, ""); v.Code != 0 || !strings.Contains(v.Text, "rolled back already") {
		t.Errorf("rollback after the refused resume: %+v", v)
	}
}
