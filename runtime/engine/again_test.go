package engine_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
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
func (s *scene) back(source, to string) story.Verdict {
	s.t.Helper()
	dir := s.t.TempDir()
	write(s.t, dir, "site.star", source)
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: testBuiltins()})
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := s.config(rb)
	cfg.Previous = s.records()
	return engine.Rollback(context.Background(), cfg, to)
}

func (s *scene) again(script string) story.Verdict {
	return s.run(script, func(cfg *engine.Config) { cfg.Previous = s.records() })
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
	if v := s.back(sameFileTwice, "two"); v.Code != 0 || v.Changes != 1 || s.text("/srv/a/f") != "second" || !strings.Contains(v.Text, "rolled back to step two: everything that it and the later steps touched") {
		t.Fatalf("%+v, %q", v, s.text("/srv/a/f"))
	}
	if v := s.again(sameFileTwice); v.Code != 0 || v.Changes != 3 || s.text("/srv/a/f") != "third" {
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
	if v := s.again(sameFileTwice); v.Code == 0 || v.Changes != 0 || !strings.Contains(v.Text, "begin a new one") {
		t.Errorf("resume after the rollback: %+v", v)
	}
	if v := s.back(sameFileTwice, ""); v.Code != 0 || !strings.Contains(v.Text, "rolled back already") {
		t.Errorf("rollback after the refused resume: %+v", v)
	}
}

// A journal of a version that knows more is left alone, and it is said which version that is.
func TestJournalOfAnotherVersion(t *testing.T) {
	for name, alter := range map[string]func(r *journal.Record){
		"record": func(r *journal.Record) { r.Type = "leap" },
		"field":  func(r *journal.Record) { r.Data = []byte(strings.Replace(string(r.Data), "{", `{"more":1,`, 1)) },
		"action": func(r *journal.Record) { r.Data = []byte(strings.Replace(string(r.Data), "fs.write", "fs.leap", 1)) },
		"action's data": func(r *journal.Record) {
			r.Data = []byte(strings.Replace(string(r.Data), `"data":{`, `"data":{"more":1,`, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			s.run(fmt.Sprintf(twoSteps, `fail("stop")`), nil)
			records := s.records()
			for i := range records {
				if records[i].Type == "intent" {
					alter(&records[i])
					break
				}
			}
			before := len(s.records())
			cfg := s.config(&runbook.Runbook{Name: "site.star"})
			cfg.Previous = records
			want := "version test; go on, or back, with that one"
			if v := engine.Rollback(context.Background(), cfg, ""); v.Code == 0 || v.Changes != 0 || !strings.Contains(v.Text, want) {
				t.Errorf("rollback: %+v", v)
			}
			if v := s.run(fmt.Sprintf(twoSteps, ""), func(c *engine.Config) { c.Previous = records }); v.Code == 0 || v.Changes != 0 || !strings.Contains(v.Text, want) {
				t.Errorf("resume: %+v", v)
			}
			if len(s.records()) != before {
				t.Error("the journal was written to")
			}
		})
	}
}

// At the end of a rollback, what an earlier part of it had put back and something changed since is told.
func TestRollbackComparesAtTheEnd(t *testing.T) {
	script := `
def one():
    """Write."""
    t.write("/srv/a/early", "x")

def two():
    """Write."""
    t.write("/srv/a/f", "x")
    t.write("/srv/a/g", "x")

runbook = define(steps = [one, two], allow = policy(write = ["/srv/a"]))
`
	s := newScene(t)
	s.mkdir("/srv/a")
	s.put("/srv/a/f", "before")
	s.run(script, nil)
	cfg := s.config(&runbook.Runbook{Name: "site.star"})
	cfg.Previous = s.records()
	emit := cfg.Emit
	cfg.Emit = func(e story.Event) {
		emit(e)
		if e.Kind == story.StepEnd && e.Step == "two" { // between two steps of the rollback
			s.edit("/srv/a/f", "somebody else")
			s.put("/srv/a/g", "somebody else")
		}
	}
	v := engine.Rollback(context.Background(), cfg, "")
	if v.Code != exit.RollbackIncomplete || !s.said("not as before: /srv/a/f: content differs") || !s.said("not as before: /srv/a/g: was not there before") {
		t.Errorf("%+v", v)
	}
	if s.said("not as before: /srv/a/early") {
		t.Error("what is as it was is told")
	}
}

// A large answer is kept beside the journal, by its digest, and replayed from there; a copy that is
// damaged is never taken for the answer.
func TestLargeAnswersAreKeptBesideTheJournal(t *testing.T) {
	script := `
def one():
    """Copy a large file, and another."""
    text = t.read("/srv/large")
    t.write("/srv/a/first", text)
    if t.read("/srv/go") != "yes":
        fail("not yet")
    t.write("/srv/a/second", text)

runbook = define(steps = [one], allow = policy(write = ["/srv/a"]))
`
	large := strings.Repeat("0123456789abcdef", 4000)
	start := func() *scene {
		s := newScene(t)
		s.mkdir("/srv/a")
		s.put("/srv/large", large)
		s.put("/srv/go", "no")
		if v := s.run(script, nil); v.Code != exit.Failed {
			t.Fatalf("verdict %+v", v)
		}
		if strings.Contains(string(s.log.Bytes()), "0123456789abcdef") {
			t.Error("the journal holds the large answer")
		}
		s.edit("/srv/go", "yes")
		s.edit("/srv/large", "another one by now")
		return s
	}
	s := start()
	if v := s.again(script); v.Code != 0 || s.text("/srv/a/second") != large {
		t.Errorf("resume: %+v", v)
	}
	s = start()
	sum := sha256.Sum256([]byte(strconv.Quote(large)))
	name := "/var/lib/zcp2kopano/runs/r1/backup/blobs/" + hex.EncodeToString(sum[:])
	s.edit(name, strconv.Quote(strings.Replace(large, "f", "F", 1)))
	if v := s.again(script); v.Code != exit.Failed || !strings.Contains(v.Text, "is damaged") {
		t.Errorf("resume with a damaged copy: %+v", v)
	}
}
