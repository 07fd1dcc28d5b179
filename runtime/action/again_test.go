package action

import (
	"errors"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// TestTornCopy: a file that is written to between the look at it and the end of its copy is not copied.
func TestTornCopy(t *testing.T) {
	h := newFake()
	put(t, h, "/etc/a", "content", 0o600, 0, 0)
	dir, err := h.OpenTreeWrite("/etc")
	must(t, err)
	defer dir.Close()
	st, err := dir.Lstat("a")
	must(t, err)
	put(t, h, "/etc/a", "content, and more", 0o600, 0, 0)
	from, err := dir.Open("a")
	must(t, err)
	defer from.Close()
	err = newCopier(newEnv(h), "copy", size{}).drawContent(&draft{dst: dir, tmp: "b", st: st}, from)
	if !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
}

// TestRestoreLooksAgain: a loading that was cut off begins with the dump as it is by then. One that somebody has changed
// is refused before the database is emptied.
func TestRestoreLooksAgain(t *testing.T) {
	s := scenario{act: func() Action {
		return &Dump{Connection: Connection{Database: "zarafa"}, Path: "/var/backups/z.sql.gz", Compression: "gzip"}
	}, setup: func(t tester, h *fakeHost) {
		must(t, h.PutDir("/var/backups", 0o700, 0, 0))
		h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, SHA256: "abc", Tables: []string{"users"}, Closed: true}
		h.dumps, h.content = map[string]string{}, "zcp"
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	a := &Restore{Dump: *tr.action(t).(*Dump), Made: tr.fakeHost.dump}
	tr.content, tr.env.Marks = "upgraded", nil
	_, err := a.Prepare(tr.env)
	must(t, err)
	_, err = a.save(tr.env) // and no further
	must(t, err)
	if len(tr.env.Marks) == 0 {
		t.Fatal("the saved content is not marked")
	}
	tr.fakeHost.dump.SHA256 = "another"
	if _, err := a.Apply(tr.env); err == nil || !strings.Contains(err.Error(), "the dump is not the one that the run made") {
		t.Errorf("got %v", err)
	}
	if tr.content != "upgraded" {
		t.Errorf("the database is %s", tr.content)
	}
}
