package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

const (
	databaseDir = "/var/lib/ldap"
	databaseNow = databaseDir + "/data.mdb"
)

const oldEntries = "dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\ndn: cn=a,dc=example,dc=org\nobjectClass: person\nobjectClass: old-user\ncn: a\nsn: a\noldQuota: 1\nmodifyTimestamp: 20160101000000Z\n\n"

var newEntries = strings.NewReplacer("old-user", "new-user", "oldQuota", "newQuota").Replace(oldEntries)

// The fake's database is a file that holds the entries as they are, beside the lock of who reads it. Its tools are as strict as slapcat
// and slapadd: they want a directory to themselves, and leave half of their work where they are broken off.
func (h *fakeHost) ExportDatabase(_ context.Context, db host.DirectoryDatabase, path string) error {
	content, err := h.read(db.Directory + "/data.mdb")
	if err != nil {
		return err
	}
	return h.fill(path, content)
}

func (h *fakeHost) CheckImport(_ context.Context, db host.DirectoryDatabase, path string) error {
	content, err := h.read(path)
	if err == nil && bytes.Contains(content, []byte("refused")) {
		err = &directory.Error{Code: 65, Text: "attribute 'refused' not allowed"}
	}
	return err
}

func (h *fakeHost) ImportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	if err := h.CheckImport(ctx, db, path); err != nil {
		return err
	}
	content, err := h.read(path)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"lock.mdb": {0}, "data.mdb": content, "log.2": {1}} {
		if err := h.fill(db.Directory+"/"+name, text); err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHost) read(name string) ([]byte, error) {
	f, err := h.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// fill makes a file in two writes.
func (h *fakeHost) fill(name string, content []byte) error {
	f, err := h.Create(name, 0o600)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{content[:len(content)/2], content[len(content)/2:]} {
		if _, err := f.Write(part); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Sync(), f.Close(), h.SyncDir(name[:strings.LastIndex(name, "/")]))
}

func (h *fakeHost) Processes() ([]host.Process, error) { return h.running, nil }

func filesOfDatabase() DatabaseFiles {
	return DatabaseFiles{Config: "/etc/ldap/slapd.d", Suffix: "dc=example,dc=org", Path: databaseDir, Directory: Directory{URLs: []string{"ldapi:///"}}}
}

func setDatabase(t tester, h *fakeHost, entries string) {
	t.Helper()
	must(t, h.PutDir("/var/backups", 0o755, 0, 0))
	must(t, h.PutDir(databaseDir, 0o700, 110, 110))
	must(t, h.PutDir(databaseDir+"/accesslog", 0o700, 110, 110))
	put(t, h, databaseNow, entries, 0o600, 110, 110)
	put(t, h, databaseDir+"/lock.mdb", "lock", 0o600, 110, 110)
	put(t, h, databaseDir+"/DB_CONFIG", "set_cachesize 0 1 1", 0o644, 110, 110)
	put(t, h, "/var/backups/d.ldif", entries, 0o600, 0, 0)
}

func transplant() *Transplant {
	return &Transplant{DatabaseFiles: filesOfDatabase(), From: "/var/backups/d.ldif", Renaming: oldToNew().Renaming}
}

func startTransplant(t *testing.T, entries string) *trial {
	t.Helper()
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	setDatabase(t, h, entries)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, transplant()))
	return tr
}

// TestTransplant gives a database its new names, its files their owner, and keeps the old ones and what is the admin's.
func TestTransplant(t *testing.T) {
	tr := startTransplant(t, oldEntries)
	start := tr.state(t)
	must(t, tr.apply(t))
	if got, err := tr.read(databaseNow); err != nil || string(got) != newEntries {
		t.Errorf("%s, %v", got, err)
	}
	for _, name := range []string{"data.mdb", "lock.mdb", "log.2", "DB_CONFIG"} {
		st, err := tr.Lstat(databaseDir + "/" + name)
		if err != nil || st.UID != 110 || st.GID != 110 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	if old, err := tr.read(databaseDir + "/before-conversion/data.mdb"); err != nil || string(old) != oldEntries {
		t.Errorf("%s, %v", old, err)
	}
	if _, err := tr.Lstat("/var/backups/d.converted.ldif"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what was loaded was left behind")
	}
	must(t, tr.undo(t))
	equalStates(t, start, tr.state(t))
}

// TestTransplantKeepsWhatCameSince: a rollback takes the old files back, and what the server had changed is in a file.
func TestTransplantKeepsWhatCameSince(t *testing.T) {
	tr := startTransplant(t, oldEntries)
	start := tr.state(t)
	must(t, tr.apply(t))
	since := newEntries + "dn: cn=b,dc=example,dc=org\ncn: b\n"
	put(t, tr.fakeHost, databaseNow, since, 0o600, 110, 110)
	a := tr.action(t).(*Transplant)
	must(t, a.Undo(tr.env))
	if got, err := tr.read("/var/backups/d.since.ldif"); err != nil || string(got) != since {
		t.Errorf("%s, %v", got, err)
	}
	if !strings.Contains(a.Since(), "d.since.ldif") {
		t.Errorf("it tells %q", a.Since())
	}
	must(t, tr.Unlink("/var/backups/d.since.ldif"))
	equalStates(t, start, tr.state(t))
}

// TestTransplantRefuses before it touches anything.
func TestTransplantRefuses(t *testing.T) {
	for _, c := range []struct {
		name, entries, want string
		break_              func(h *fakeHost)
	}{
		{"the server runs", oldEntries, "slapd runs (pid 7): stop it first", func(h *fakeHost) { h.running = []host.Process{{PID: 7, Name: "slapd"}} }},
		{"two values", strings.Replace(oldEntries, "oldQuota: 1", "oldQuota: 1\nnewQuota: 2", 1), "there can be one only", nil},
		{"the schema", strings.Replace(oldEntries, "sn: a", "refused: 1", 1), "nothing was changed", nil},
	} {
		h := newFake()
		must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
		setDatabase(t, h, c.entries)
		if c.break_ != nil {
			c.break_(h)
		}
		start := h.state(t)
		tr := &trial{fakeHost: h, env: newEnv(h)}
		err := tr.prepare(t, transplant())
		if err == nil {
			if err = tr.apply(t); err != nil {
				must(t, tr.undo(t))
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		equalStates(t, start, h.state(t))
	}
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	setDatabase(t, h, newEntries)
	env := newEnv(h)
	a := transplant()
	must(t, a.Stage(env))
	if needed, err := a.Prepare(env); needed || err != nil {
		t.Errorf("a converted database is converted again: %v, %v", needed, err)
	}
}

func equalStates(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %q, was %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, was := want[name]; !was {
			t.Errorf("%s came: %s", name, fmt.Sprintf("%.100q", got[name]))
		}
	}
}

// TestTransplantAfterABoot goes on where the machine went down between two files, and a boot then started the server on
// those that were left: what it made is no old file.
func TestTransplantAfterABoot(t *testing.T) {
	for _, resume := range []bool{true, false} {
		tr := startTransplant(t, oldEntries)
		start := tr.state(t)
		aside := databaseDir + "/before-conversion"
		must(t, tr.Mkdir(aside, 0o700))
		must(t, tr.Rename(databaseNow, aside+"/data.mdb"))
		put(t, tr.fakeHost, databaseNow, "empty", 0o600, 110, 110)
		put(t, tr.fakeHost, databaseDir+"/alock", "x", 0o600, 110, 110)
		if resume {
			must(t, tr.apply(t))
			if old, err := tr.read(aside + "/data.mdb"); err != nil || string(old) != oldEntries {
				t.Errorf("aside is %q, %v", old, err)
			}
			if _, err := tr.Lstat(databaseDir + "/alock"); !host.Absent(err) {
				t.Errorf("what the server made is still there: %v", err)
			}
		}
		must(t, tr.undo(t))
		equalStates(t, start, tr.state(t))
	}
}

// TestTransplantLeavesAWholeDatabase: where no file was moved yet, what the server has made since belongs to the database.
func TestTransplantLeavesAWholeDatabase(t *testing.T) {
	tr := startTransplant(t, oldEntries)
	must(t, tr.Mkdir(databaseDir+"/before-conversion", 0o700))
	put(t, tr.fakeHost, databaseDir+"/log.9", "x", 0o600, 110, 110)
	must(t, tr.undo(t))
	if got, err := tr.read(databaseDir + "/log.9"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
