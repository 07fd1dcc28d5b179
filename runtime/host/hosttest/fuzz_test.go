package hosttest

import (
	"errors"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim/simfs"
)

// FuzzPath resolves any path on a small tree with symlinks of all kinds, and compares what is found,
// or the error, with the kernel's answer where the test may ask it.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/", "", ".", "/a/b/c", "/a/../a", "/abs/c", "/rel/../c", "/loop", "/loop/x", "/dangling", "/file/", "/rel/", "/up/a",
		"//a//b/", "/a/./b/.", "/file/..", "/self/self/self/a", "/a\x00", "/" + strings.Repeat("n", 256), strings.Repeat("/a/..", 900),
	} {
		f.Add(seed)
	}
	box := trySandbox(f)
	sim := simfs.New(simfs.Options{TrustLinks: true})
	grow(f, sim)
	if box != nil {
		box.do(func() { grow(f, kernel{}) })
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := look(sim, path)
		if box == nil || path != "" && path[0] != '/' {
			return
		}
		var want []answer
		box.do(func() { want = look(kernel{}, path) })
		for i := range got {
			if got[i].text != want[i].text || !sameError(got[i].err, want[i].err) {
				t.Errorf("%s of %.200q\n  simulated: %q %v\n  kernel:    %q %v",
					questions[i], path, got[i].text, got[i].err, want[i].text, want[i].err)
			}
		}
	})
}

// trySandbox is nil where the kernel cannot be asked; then the test only looks for panics.
func trySandbox(f *testing.F) *sandbox {
	box, err := openSandbox(f)
	if err != nil {
		f.Log("the kernel is not asked: ", err)
	}
	return box
}

func grow(f *testing.F, fs FS) {
	err := errors.Join(
		fs.Mkdir("/a", 0o755), fs.Mkdir("/a/b", 0o750), fs.Mkdir("/a/b/c", 0o700),
		fs.Symlink("/a/b", "/abs"), fs.Symlink("a/b", "/rel"), fs.Symlink("..", "/a/up"), fs.Symlink("../..", "/up"),
		fs.Symlink("loop", "/loop"), fs.Symlink("/nowhere/x", "/dangling"), fs.Symlink(".", "/self"),
		fs.Symlink("b/", "/a/slash"), fs.Symlink("../file/", "/a/badslash"), fs.Mknod("/file", 0o644, 0),
	)
	if err != nil {
		f.Fatal(err)
	}
}

type answer struct {
	text string
	err  error
}

var questions = []string{"lstat", "stat", "readlink", "readdir", "mkdir", "rmdir", "unlink", "rename"}

// look asks, and changes only what it takes back.
func look(fs FS, path string) []answer {
	out := make([]answer, len(questions))
	st, err := fs.Lstat(path)
	out[0] = answer{tellStat(st), err}
	st, err = fs.Stat(path)
	out[1] = answer{tellStat(st), err}
	to, err := fs.Readlink(path)
	out[2] = answer{to, err}
	_, err = fs.ReadDir(path)
	out[3] = answer{"", err}
	err = fs.Mkdir(path, 0o755)
	out[4] = answer{"", err}
	if err == nil {
		out[5] = answer{"", fs.Rmdir(path)}
	}
	out[6] = answer{"", fs.Unlink(path + "/.")}
	err = fs.Rename(path, "/a/moved")
	out[7] = answer{"", err}
	if err == nil {
		back := strings.TrimRight(path, "/")
		if rerr := fs.Rename("/a/moved", back); rerr != nil {
			out[7].text = "cannot rename back: " + rerr.Error()
		}
	}
	return out
}
