package simfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/spf13/afero"
)

func TestAferoIsAnFS(t *testing.T) {
	f := New(Options{})
	must(t, f.PutFile("/etc/zarafa/server.cfg", []byte("a = b\n"), 0o640, 0, 8, epoch))
	must(t, f.PutFile("/etc/zarafa/userscripts/users_common.sh", nil, 0o755, 0, 0, epoch))
	must(t, f.PutDir("/var/empty", 0o755, 0, 0))
	must(t, fstest.TestFS(afero.NewIOFS(Afero(f)), "etc/zarafa/server.cfg", "var/empty"))
}

// TestAferoLikeOS does the same on simfs and, by afero.OsFs, on the machine.
func TestAferoLikeOS(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(a afero.Fs) error
	}{
		{"create truncates", func(a afero.Fs) error {
			if err := afero.WriteFile(a, "/file", []byte("long text"), 0o600); err != nil {
				return err
			}
			return afero.WriteFile(a, "/file", []byte("short"), 0o644)
		}},
		{"create through a dangling symlink", func(a afero.Fs) error {
			if err := a.(afero.Linker).SymlinkIfPossible("nowhere", "/link"); err != nil {
				return err
			}
			return afero.WriteFile(a, "/link", []byte("text"), 0o600)
		}},
		{"create below a file", func(a afero.Fs) error { return afero.WriteFile(a, "/old/x", nil, 0o600) }},
		{"create without parent", func(a afero.Fs) error { return afero.WriteFile(a, "/none/x", nil, 0o600) }},
		{"exclusive", func(a afero.Fs) error { return open(a, "/old", os.O_CREATE|os.O_EXCL|os.O_WRONLY, "") }},
		{"append", func(a afero.Fs) error { return open(a, "/old", os.O_APPEND|os.O_WRONLY, "more") }},
		{"append to a new file", func(a afero.Fs) error { return open(a, "/new", os.O_APPEND|os.O_CREATE|os.O_RDWR, "more") }},
		{"truncate", func(a afero.Fs) error { return open(a, "/old", os.O_TRUNC|os.O_RDWR, "x") }},
		{"write what is open for reading", func(a afero.Fs) error { return open(a, "/old", os.O_RDONLY, "x") }},
		{"write a directory", func(a afero.Fs) error { return open(a, "/dir", os.O_RDWR, "x") }},
		{"mkdir all", func(a afero.Fs) error { return a.MkdirAll("/dir/b/c", 0o755) }},
		{"mkdir all twice", func(a afero.Fs) error { return errors.Join(a.MkdirAll("/x/y", 0o755), a.MkdirAll("/x/y", 0o755)) }},
		{"mkdir all below a file", func(a afero.Fs) error { return a.MkdirAll("/old/b", 0o755) }},
		{"remove file", func(a afero.Fs) error { return a.Remove("/old") }},
		{"remove full directory", func(a afero.Fs) error { return a.Remove("/dir") }},
		{"remove none", func(a afero.Fs) error { return a.Remove("/none") }},
		{"remove all", func(a afero.Fs) error { return a.RemoveAll("/dir") }},
		{"remove all of none", func(a afero.Fs) error { return a.RemoveAll("/none") }},
		{"rename", func(a afero.Fs) error { return a.Rename("/old", "/dir/new") }},
		{"rename over a full directory", func(a afero.Fs) error { return a.Rename("/old", "/dir") }},
		{"chmod", func(a afero.Fs) error { return a.Chmod("/old", 0o400) }},
		{"chtimes", func(a afero.Fs) error { return a.Chtimes("/old", epoch, epoch) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim := Afero(New(Options{}))
			real := bound{afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()).(*afero.BasePathFs)}
			for _, a := range []afero.Fs{sim, real} {
				must(t, a.MkdirAll("/dir/sub", 0o755))
				must(t, afero.WriteFile(a, "/old", []byte("old"), 0o644))
			}
			simErr, realErr := tt.do(sim), tt.do(real)
			var x, y syscall.Errno
			errors.As(simErr, &x)
			errors.As(realErr, &y)
			if x != y || (simErr == nil) != (realErr == nil) {
				t.Errorf("simulated: %v; real: %v", simErr, realErr)
			}
			if s, r := listing(t, sim), listing(t, real); s != r {
				t.Errorf("simulated:\n%s\nreal:\n%s", s, r)
			}
		})
	}
}

// bound makes symlinks relative: afero.BasePathFs makes all absolute.
type bound struct{ *afero.BasePathFs }

func (b bound) SymlinkIfPossible(to, name string) error {
	path, err := b.RealPath(name)
	if err != nil {
		return err
	}
	return os.Symlink(to, path)
}

func open(a afero.Fs, name string, flag int, text string) error {
	f, err := a.OpenFile(name, flag, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.WriteString(f, text)
	return err
}

func listing(t *testing.T, a afero.Fs) (out string) {
	t.Helper()
	must(t, afero.Walk(a, "/", func(path string, info fs.FileInfo, err error) error {
		if err != nil || path == "/" {
			return err
		}
		out += path + " " + info.Mode().Type().String()
		if info.Mode().IsRegular() {
			data, err := afero.ReadFile(a, path)
			if err != nil {
				return err
			}
			out += " " + string(data)
		}
		out += "\n"
		return nil
	}))
	return out
}

func TestAferoFileInfo(t *testing.T) {
	f := New(Options{TrustLinks: true})
	must(t, f.PutFile("/a", []byte("abc"), 0o4755&0o777|fs.ModeSetuid, 5, 6, epoch))
	must(t, f.PutLink("/a", "/b"))
	must(t, f.PutSymlink("/link", "a", 7, 8))
	a := Afero(f)
	info, err := a.Stat("/link")
	must(t, err)
	must(t, a.Chmod("/a", 0o600))
	must(t, f.Lchown("/a", 1, 1))
	st := info.Sys().(*syscall.Stat_t)
	if info.Name() != filepath.Base("/link") || st.Mode != syscall.S_IFREG|0o4755 || st.Uid != 5 || st.Gid != 6 || st.Nlink != 2 || st.Size != 3 || st.Ino == 0 {
		t.Errorf("got %s %+v; want what was there when asked", info.Name(), st)
	}
	linfo, ok, err := a.LstatIfPossible("/link")
	must(t, err)
	if !ok || linfo.Mode()&fs.ModeSymlink == 0 || linfo.Sys().(*syscall.Stat_t).Uid != 7 {
		t.Errorf("lstat: %v", linfo.Mode())
	}
	if to, err := a.ReadlinkIfPossible("/link"); to != "a" || err != nil {
		t.Errorf("readlink: %q, %v", to, err)
	}
}
