package action

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// RunProgram knows three programs: postmap makes FILE.db of FILE, in place; setting writes its argument to
// /var/setting, unless it is asked to fail; both can end at any of their changes.
func (h *fakeHost) RunProgram(ctx context.Context, req host.ProgramRequest) ([]string, error) {
	err := h.program(req)
	if err == nil || h.dead {
		return []string{"said by " + req.Path}, err
	}
	return nil, &host.CommandError{Path: req.Path, Status: "exit status 1", Output: err.Error()}
}

func (h *fakeHost) program(req host.ProgramRequest) error {
	name, content := "/var/setting", strings.Join(req.Args, " ")
	if req.Path == "/usr/sbin/postmap" {
		text, err := simfsRead(h.FS, req.Args[0])
		if err != nil {
			return err
		}
		name, content = req.Args[0]+".db", "map of "+text
	}
	if content == "fail" {
		return errors.New("it was asked to fail")
	}
	if err := h.FS.Unlink(name); err != nil && !host.Absent(err) {
		return err
	}
	f, err := h.FS.Create(name, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write([]byte(content))
	return err
}

func simfsRead(files *simfs.FS, name string) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data := make([]byte, 100)
	n, _ := f.Read(data)
	return string(data[:n]), nil
}

func programs(t tester, h *fakeHost) {
	for _, name := range []string{"postmap", "setting"} {
		put(t, h, "/usr/sbin/"+name, "a program", 0o755, 0, 0)
	}
	put(t, h, "/etc/postfix/virtual", "alice", 0o644, 0, 0)
	put(t, h, "/etc/postfix/virtual.db", "old map", 0o640, 0, 110)
	put(t, h, "/var/setting", "old", 0o644, 0, 0)
}

func postmap() *Program {
	return &Program{Command: []string{"/usr/sbin/postmap", "/etc/postfix/virtual"}, Changes: []string{"/etc/postfix/virtual.db"}, Timeout: time.Minute}
}

func init() {
	scenarios = append(scenarios,
		scenario{name: "program and its files", setup: programs, act: func() Action { return postmap() }},
		scenario{name: "program and its files, made new", act: func() Action { return postmap() }, setup: func(t tester, h *fakeHost) {
			programs(t, h)
			must(t, h.FS.Unlink("/etc/postfix/virtual.db"))
		}},
		scenario{name: "repeatable program", setup: programs, act: func() Action {
			a := postmap()
			a.Repeatable = true
			return a
		}},
		scenario{name: "program and its undo", setup: programs, act: func() Action {
			return &Program{Command: []string{"/usr/sbin/setting", "new"}, Reverse: []string{"/usr/sbin/setting", "old"}, Changes: []string{"/var/setting"}, Timeout: time.Minute}
		}},
	)
}

// TestProgramBrokenOff wants a program that cannot be undone not to be run again unless that may be, once
// nobody knows how far it came; one that failed told its end.
func TestProgramBrokenOff(t *testing.T) {
	for _, tc := range []struct {
		repeatable bool
		mode       crashMode
		again      bool
	}{{false, before, false}, {true, before, true}, {false, failure, true}} {
		s := scenario{setup: programs, act: func() Action {
			return &Program{Command: []string{"/usr/sbin/setting", "new"}, NoUndo: "mail was sent", Repeatable: tc.repeatable, Timeout: time.Minute}
		}}
		tr := s.prepared(t)
		tr.arm(1, tc.mode)
		if err := tr.apply(t); err == nil {
			t.Fatal("the program is not broken off")
		}
		tr.arm(0, 0)
		err := tr.apply(t)
		if (err == nil) != tc.again || err != nil && !strings.Contains(err.Error(), "nobody knows how far it came") {
			t.Errorf("%+v: again: %v", tc, err)
		}
		if err := tr.undo(t); err != nil {
			t.Errorf("%+v: there is no way back: %v", tc, err)
		}
		if a := tr.action(t); a.Irreversible() != "mail was sent" {
			t.Errorf("it counts as one that can be undone: %q", a.Irreversible())
		}
	}
}

// TestProgramUndoFails wants a rollback to stop at an undo that fails, and to go on when it fails again,
// with a difference that stays.
func TestProgramUndoFails(t *testing.T) {
	s := scenario{setup: programs, act: func() Action {
		return &Program{Command: []string{"/usr/sbin/setting", "new"}, Reverse: []string{"/usr/sbin/setting", "fail"}, Timeout: time.Minute}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	if err := tr.undo(t); err == nil || !strings.Contains(err.Error(), "asked to fail") {
		t.Fatalf("the failed undo: %v", err)
	}
	must(t, tr.undo(t))
	lines, err := tr.action(t).(*Program).Differences(tr.env)
	must(t, err)
	if len(lines) != 1 || !strings.Contains(lines[0], "run /usr/sbin/setting new was not undone, because /usr/sbin/setting fail failed") {
		t.Errorf("differences %q", lines)
	}
}

// TestProgramOutput wants what a program says in its result, with secrets masked, also after a resume.
func TestProgramOutput(t *testing.T) {
	tr := scenario{setup: programs, act: func() Action { return postmap() }}.prepared(t)
	tr.env.Hide = func(s string) string { return strings.ReplaceAll(s, "postmap", "***") }
	for range 2 {
		got, err := tr.action(t).Apply(tr.env)
		must(t, err)
		if got.Values["output"] != "said by /usr/sbin/***" || len(got.Lines) != 1 {
			t.Errorf("result %+v", got)
		}
	}
	marks, _ := json.Marshal(tr.env.Marks)
	if strings.Contains(string(marks), "postmap") {
		t.Error("the secret is in the journal")
	}
}

// TestProgramRefused wants programs refused that root must not run.
func TestProgramRefused(t *testing.T) {
	for name, want := range map[string]string{
		"/usr/sbin/none":    "no such file",
		"/usr/sbin/data":    "is not a program",
		"/usr/sbin/users":   "others than root can change",
		"/usr/sbin/foreign": "others than root can change",
		"/usr/sbin/link":    "is sh, which runs any command",
		"/usr/sbin":         "is not a program",
	} {
		s := scenario{setup: func(t tester, h *fakeHost) {
			put(t, h, "/usr/sbin/data", "", 0o644, 0, 0)
			put(t, h, "/usr/sbin/users", "", 0o775, 0, 0)
			put(t, h, "/usr/sbin/foreign", "", 0o755, 110, 0)
			put(t, h, "/bin/sh", "", 0o755, 0, 0)
			must(t, h.PutSymlink("/usr/sbin/link", "../../bin/sh", 0, 0))
		}}
		tr := s.start(t)
		err := tr.prepare(t, &Program{Command: []string{name}, NoUndo: "x", Timeout: time.Minute})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	tr := scenario{setup: programs}.start(t)
	a := postmap()
	a.Changes = []string{"/etc/postfix"}
	if err := tr.prepare(t, a); err == nil || !strings.Contains(err.Error(), "/etc/postfix is a directory") {
		t.Errorf("a directory as a file: %v", err)
	}
}
