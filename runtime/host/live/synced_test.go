package live

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/synced"
)

// TestSyncs: what an action is promised to be durable the kernel was asked for, and what this machine writes by itself,
// too.
func TestSyncs(t *testing.T) {
	h, err := Open("/")
	must(t, err)
	t.Cleanup(func() { h.Close() })
	dir := t.TempDir()
	name := func(rel string) string { return filepath.Join(dir, rel) }
	write(t, dir, "d/a", "content")
	write(t, dir, "d/b", "content")
	d, err := h.OpenTreeWrite(name("d"))
	must(t, err)
	t.Cleanup(func() { d.Close() })
	databases := databaseWriter{m: h.parts.m, database: h.parts.database, write: filesWriter{h.parts.m.files}}

	for what, c := range map[string]struct {
		do   func() error
		want []string
	}{
		"a directory by its path": {func() error { return h.SyncDir(name("d")) }, []string{"fsync " + name("d")}},
		"an open directory":       {func() error { return d.SyncSelf() }, []string{"fsync " + name("d")}},
		"a file system":           {func() error { return d.SyncFileSystem() }, []string{"syncfs " + name("d")}},
		"an open file": {func() error {
			f, err := d.Open("a")
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Sync()
		}, []string{"fsync " + name("d/a")}},
		"a file that was copied for a package": {func() error {
			return filesWriter{h.parts.m.files}.copyFile(name("d/a"), name("copy"))
		}, []string{"fsync " + name("copy")}},
		"a dump": {func() error {
			f, err := h.Create(name("dump"), 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = databases.dumpTo(t.Context(), f, "zstd", &dumpScanner{}, command{Path: "/bin/echo", Args: []string{"-- Dump completed"}})
			return err
		}, []string{"fsync " + name("dump")}},
		"the files of mydumper": {func() error { return databases.settle(name("d")) },
			[]string{"fsync " + name("d/a"), "fsync " + name("d/b"), "fsync " + name("d"), "fsync " + dir}},
	} {
		if got := synced.By(t, c.do); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

// TestPasswordIsRootsAlone: what clients of the database read the password from is closed to others, and is gone afterwards.
func TestPasswordIsRootsAlone(t *testing.T) {
	h, dir := open(t)
	must(t, os.Mkdir(filepath.Join(dir, "run"), 0o755))
	databases := databaseWriter{m: h.parts.m, database: h.parts.database, write: filesWriter{h.parts.m.files}}
	file, remove, err := databases.options(host.DatabaseConn{User: "zarafa", Password: host.NewSecret("secret"), Socket: "/s"})
	must(t, err)
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700 | os.ModeDir} {
		st, err := os.Lstat(dir + path)
		must(t, err)
		if st.Mode() != want {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
	}
	must(t, remove())
	if left, err := os.ReadDir(filepath.Join(dir, "run")); err != nil || len(left) > 0 {
		t.Errorf("%v stays, %v", left, err)
	}
}
