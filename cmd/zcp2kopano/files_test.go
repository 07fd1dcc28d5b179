package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"zcp2kopano/runtime/host/sim/export"
	"zcp2kopano/runtime/story"
)

// TestFilesDirIsHeld swaps the directory for a symlink while the simulation runs: the files go where the
// directory went, not where the symlink leads to.
func TestFilesDirIsHeld(t *testing.T) {
	old := os.Args[0]
	os.Args[0] = "zcp2kopano" // the test binary is the program under that name
	defer func() { os.Args[0] = old }()
	base := t.TempDir()
	victim, moved := filepath.Join(base, "victim"), filepath.Join(base, "moved")
	if err := os.Mkdir(victim, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &filesDir{dir: filepath.Join(base, "out"), paths: []string{"/etc/kopano"}}
	if err := d.open(false); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, d.dir); err != nil {
		t.Fatal(err)
	}
	h, err := openFixture("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := afero.WriteFile(h.files, "/etc/kopano/server.cfg", []byte("port = 236\n"), 0o644); err == nil {
		t.Fatal("the example host has /etc/kopano already")
	}
	if err := h.files.MkdirAll("/etc/kopano", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := afero.WriteFile(h.files, "/etc/kopano/server.cfg", []byte("port = 236\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.keep(quiet(t), story.Verdict{}, h, export.Options{}); err != nil {
		t.Fatal(err)
	}
	if found, err := os.ReadDir(victim); err != nil || len(found) != 0 {
		t.Errorf("written behind the symlink: %v %v", found, err)
	}
	if text, err := os.ReadFile(filepath.Join(moved, "etc/kopano/server.cfg")); err != nil || string(text) != "port = 236\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestFilesWriterFails tells why the directory is incomplete: something is in the way of a file.
func TestFilesWriterFails(t *testing.T) {
	old := os.Args[0]
	os.Args[0] = "zcp2kopano"
	defer func() { os.Args[0] = old }()
	d := &filesDir{dir: filepath.Join(t.TempDir(), "out"), paths: []string{"/etc/zarafa"}}
	if err := d.open(false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "etc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := openFixture("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	err = d.keep(quiet(t), story.Verdict{}, h, export.Options{})
	if err == nil || !strings.Contains(err.Error(), "out is incomplete: ") || !strings.Contains(err.Error(), "out/etc: not a directory") {
		t.Error(err)
	}
}

// TestFilesDirOfAnother is refused: its owner could put a symlink into it.
func TestFilesDirOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has to run this as root")
		}
		t.Skip("needs root to give a directory away")
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if _, _, err := newDir(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 1000") {
		t.Error(err)
	}
}

// quiet is an app that says nothing.
func quiet(t *testing.T) *app {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return &app{err: null}
}
