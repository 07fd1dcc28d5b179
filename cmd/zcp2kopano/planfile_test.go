package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A plan that somebody else could have written is refused, however it is reached.
func TestReadTrusted(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"good": 0o600, "readable": 0o644, "group": 0o664, "world": 0o606} {
		do(os.WriteFile(at(name), []byte("text"), 0o600))
		do(os.Chmod(at(name), mode))
	}
	do(os.Symlink("good", at("link")))
	do(os.Symlink(at("world"), at("link-to-world")))
	do(syscall.Mkfifo(at("fifo"), 0o600))
	do(os.Mkdir(at("open"), 0o700))
	do(os.WriteFile(at("open/good"), []byte("text"), 0o600))
	do(os.Chmod(at("open"), 0o777))
	refused := map[string]string{
		"good": "", "readable": "", "link": "", "open/good": "",
		"group": "mode 0664", "world": "mode 0606", "link-to-world": "mode 0606",
		"fifo": "not a regular file", ".": "not a regular file", "none": "no such file",
	}
	if os.Geteuid() == 0 {
		for name, uid := range map[string]int{"theirs": 65534, "sudoers": 1234} {
			do(os.WriteFile(at(name), []byte("text"), 0o600))
			do(os.Chown(at(name), uid, 0))
		}
		do(os.Symlink("theirs", at("link-to-theirs")))
		t.Setenv("SUDO_UID", "1234")
		refused["theirs"], refused["link-to-theirs"], refused["sudoers"] = "belongs to user 65534", "belongs to user 65534", ""
	}
	for name, want := range refused {
		data, err := readTrusted(at(name))
		if want == "" && (err != nil || string(data) != "text") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q, %v, want %q", name, data, err, want)
		}
	}
}
