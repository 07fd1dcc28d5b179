package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
)

// files is a machine: "d0755 0" a directory of root, "f0644 7" a file of user 7, "l 0 TARGET" a symlink.
type files map[string]string

func (f files) stat(name string) (kind byte, st host.Stat, target string, err error) {
	text, there := f[name]
	if !there {
		return 0, st, "", &fs.PathError{Op: "lstat", Path: name, Err: syscall.ENOENT}
	}
	words := strings.Fields(text)
	var mode, uid uint32
	for _, c := range words[0][1:] {
		mode = mode<<3 | uint32(c-'0')
	}
	for _, c := range words[1] {
		uid = uid*10 + uint32(c-'0')
	}
	st = host.Stat{Mode: fs.FileMode(mode & 0o777), UID: uid}
	if mode&0o1000 != 0 {
		st.Mode |= fs.ModeSticky
	}
	switch words[0][0] {
	case 'd':
		st.Mode |= fs.ModeDir
	case 'l':
		st.Mode |= fs.ModeSymlink
		target = words[2]
	}
	return words[0][0], st, target, nil
}

func (f files) Lstat(name string) (host.Stat, error) {
	_, st, _, err := f.stat(name)
	return st, err
}

func (f files) Readlink(name string) (string, error) {
	_, _, target, err := f.stat(name)
	return target, err
}

var machine = files{
	"/": "d0755 0", "/root": "d0700 0", "/tmp": "d1777 0", "/open": "d0777 0", "/group": "d0775 0", "/srv": "d0755 0",
	"/root/a.deb": "f0644 0", "/root/bob.deb": "f0644 7", "/root/loose.deb": "f0666 0", "/root/shared.deb": "f0664 0", "/root/admin.deb": "f0644 5",
	"/tmp/a": "d0755 0", "/tmp/a/a.deb": "f0644 0", "/tmp/bob": "d0755 7", "/tmp/bob/a.deb": "f0644 0", "/tmp/sticky": "f1644 0",
	"/open/a.deb": "f0644 0", "/group/a.deb": "f0644 0", "/admin": "d0755 5", "/admin/a.deb": "f0644 0",
	"/srv/in": "l0777 0 /root", "/srv/rel": "l0777 0 ../tmp/a", "/srv/out": "l0777 0 /open", "/srv/bobs": "l0777 7 /root", "/srv/loop": "l0777 0 loop",
	"/tmp/bobs": "l0777 7 /root", "/srv/deep": "l0777 0 in/../tmp/bob/./a.deb",
}

func TestWhoCouldExchange(t *testing.T) {
	for name, want := range map[string]string{
		"/root/a.deb": "", "/root": "", "/": "", "/tmp": "", "/tmp/a/a.deb": "", "/root/admin.deb": "", "/admin/a.deb": "",
		"/srv/in/a.deb": "", "/srv/rel/a.deb": "",
		"/root/bob.deb":    "/root/bob.deb belongs to user 7",
		"/root/loose.deb":  "/root/loose.deb can be written to by others (mode 0666)",
		"/root/shared.deb": "`chmod go-w /root/shared.deb`",
		"/tmp/bob":         "`chown root:root /tmp/bob && chmod go-w /tmp/bob`",
		"/tmp/bob/a.deb":   "/tmp/bob/a.deb: /tmp/bob belongs to user 7",
		"/open":            "/open can be written to by others",
		"/open/a.deb":      "copy it to where only root can write: `cp -R /open/a.deb /root/`",
		"/group/a.deb":     "/group can be written to by others (mode 0775)",
		"/srv/out/a.deb":   "/open can be written",
		"/srv/bobs/a.deb":  "/srv/bobs belongs to user 7",
		"/tmp/bobs/a.deb":  "/tmp/bobs belongs to user 7",
		"/srv/deep":        "/tmp/bob belongs to user 7",
	} {
		err := trust.Check(machine, trust.Users{5}, name)
		var foreign *trust.Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &foreign) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := trust.Check(machine, nil, "/root/admin.deb"); err == nil {
		t.Error("who is not among the users is trusted")
	}
	if err := trust.Check(machine, nil, "/srv/loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link that leads to itself: %v", err)
	}
	if err := trust.Check(machine, nil, "/root/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	for name, ok := range map[string]bool{"/root/new/er": true, "/tmp/new": true, "/open/new": false, "/open/new/er/still": false, "/srv/out/new": false} {
		if err := trust.Writable(machine, nil, name); (err == nil) != ok {
			t.Errorf("a new %s: %v", name, err)
		}
	}
}

// The files of this machine are judged as those of any other.
func TestHere(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trust.Check(trust.Here{}, trust.Ours(), name); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := trust.Check(trust.Here{}, trust.Ours(), name); err == nil {
		t.Error("everybody may write to its directory")
	}
}
