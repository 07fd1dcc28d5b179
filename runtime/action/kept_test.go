package action

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// What fs.remove has kept is held against what was there before it is put back: what somebody took away,
// altered, emptied, added or gave away meanwhile is told.
func TestKeptIsWhatWasThere(t *testing.T) {
	const kept = storeDir + "/kept/run1-7-0"
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, env *Env)
		want  string // of the differences; empty for none
	}{
		"nothing": {func(*testing.T, *Env) {}, ""},
		"missing": {func(t *testing.T, env *Env) { must(t, env.Host.Unlink(kept+"/sub/f")) }, "sub/f: is missing"},
		"altered, its time set back": {func(t *testing.T, env *Env) {
			st, err := env.Host.Lstat(kept + "/sub/f")
			must(t, err)
			overwrite(t, env, kept+"/sub/f", "Precious")
			must(t, env.Host.Chtimes(kept+"/sub/f", st.Atime, st.Mtime))
		}, "sub/f: content differs"},
		"emptied": {func(t *testing.T, env *Env) { overwrite(t, env, kept+"/sub/f", "") }, "sub/f: has 0 bytes, had 8"},
		"planted": {func(t *testing.T, env *Env) { overwrite(t, env, kept+"/sub/planted", "hi") }, "sub/planted: was not there before"},
		"owner":   {func(t *testing.T, env *Env) { must(t, env.Host.Lchown(kept+"/sub/f", 65534, 0)) }, "sub/f: owner is 65534:0, was 0:0"},
		"mode":    {func(t *testing.T, env *Env) { must(t, env.Host.Chmod(kept+"/sub", 0o777)) }, "sub: mode is drwxrwxrwx, was drwxr-xr-x"},
		"link": {func(t *testing.T, env *Env) {
			must(t, env.Host.Unlink(kept+"/l"))
			must(t, env.Host.Symlink("/etc", kept+"/l"))
		}, "l: leads to /etc, led to sub"},
		"all of it": {func(t *testing.T, env *Env) { must(t, removePath(env.Host, kept)) }, "/srv/x/tree: is missing"},
		"large, altered": {func(t *testing.T, env *Env) {
			st, err := env.Host.Lstat(kept + "/large")
			must(t, err)
			f, err := env.Host.OpenWrite(kept + "/large")
			must(t, err)
			_, err = f.Write([]byte("x"))
			must(t, errors.Join(err, f.Close(), env.Host.Chtimes(kept+"/large", st.Atime, st.Mtime)))
		}, "large: was touched since, and it is not known whether its content is the same"},
	} {
		for where, env := range map[string]func(*testing.T) *Env{"renamed": hereEnv, "copied": elsewhereEnv} {
			t.Run(name+", "+where, func(t *testing.T) {
				env := env(t)
				must(t, env.Host.Mkdir("/srv/x", 0o755))
				must(t, env.Host.Mkdir("/srv/x/tree", 0o755))
				must(t, env.Host.Mkdir("/srv/x/tree/sub", 0o755))
				overwrite(t, env, "/srv/x/tree/sub/f", "precious")
				overwrite(t, env, "/srv/x/tree/large", "")
				f, err := env.Host.OpenWrite("/srv/x/tree/large")
				must(t, errors.Join(err, f.Truncate(digested+1), f.Close()))
				must(t, env.Host.Symlink("sub", "/srv/x/tree/l"))
				a := &Remove{Path: "/srv/x/tree"}
				_, err = a.Prepare(env)
				must(t, err)
				_, err = a.Apply(env)
				must(t, err)
				tt.spoil(t, env)
				data := mustJSON(t, a) // the rollback is another process
				undone, err := Decode(a.Kind(), data)
				must(t, errors.Join(err, undone.Undo(env)))
				for _, again := range []string{"", "looked at again"} {
					lines, err := undone.(*Remove).Differences(env)
					must(t, err)
					if tt.want == "" && len(lines) > 0 || tt.want != "" && !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, tt.want) }) {
						t.Errorf("%s: %q, want %q", again, lines, tt.want)
					}
					undone, err = Decode(a.Kind(), data)
					must(t, err)
				}
			})
		}
	}
}

// hereEnv is a real file system, on which a removed tree is kept by a rename.
func hereEnv(t *testing.T) *Env {
	env, root := liveEnv(t)
	must(t, os.MkdirAll(filepath.Join(root, "var/lib/zcp2kopano"), 0o700))
	must(t, os.MkdirAll(filepath.Join(root, "srv"), 0o755))
	return env
}

// elsewhereEnv has the tree on another file system than the store, so that it is kept by a copy.
func elsewhereEnv(t *testing.T) *Env {
	clock := now
	h := newFake()
	h.FS = simfs.New(simfs.Options{
		Now:    func() time.Time { clock = clock.Add(time.Millisecond); return clock },
		Mounts: twoDisks(),
	})
	must(t, h.PutDir("/srv", 0o755, 0, 0))
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	return newEnv(h)
}

func overwrite(t *testing.T, env *Env, name, content string) {
	t.Helper()
	f, err := env.Host.OpenWrite(name)
	if host.Absent(err) {
		f, err = env.Host.Create(name, 0o644)
	}
	must(t, err)
	_, err = f.Write([]byte(content))
	must(t, errors.Join(err, f.Truncate(int64(len(content))), f.Close()))
}

// The differences of a large tree are not listed without an end.
func TestManyDifferences(t *testing.T) {
	r := &reckoning{}
	for i := range 2 * mostLines {
		r.tell(fmt.Sprintf("%03d", i), "is missing")
	}
	lines := r.lines("/srv/x")
	if len(lines) != mostLines+1 || lines[mostLines] != fmt.Sprintf("/srv/x: %d more entries differ", mostLines) {
		t.Errorf("%q", lines)
	}
}

// twin is a host where what is kept has the inode number of what it is a copy of: each file system counts by itself.
type twin struct {
	host.Host
	kept string
	ino  uint64
}

func (h twin) Lstat(name string) (host.Stat, error) {
	st, err := h.Host.Lstat(name)
	if name == h.kept {
		st.Ino = h.ino
	}
	return st, err
}

// A copy is known for one though its inode has the number of the original's.
func TestKeptCopyOfTheSameNumber(t *testing.T) {
	env := elsewhereEnv(t)
	must(t, env.Host.Mkdir("/srv/tree", 0o755))
	a := &Remove{Path: "/srv/tree"}
	_, err := a.Prepare(env)
	must(t, err)
	st, err := env.Host.Lstat("/srv/tree")
	must(t, err)
	env.Host = twin{env.Host, a.kept(env), st.Ino}
	marked := 0
	env.Mark = func(any) error { marked++; return nil }
	_, err = a.Apply(env)
	must(t, err)
	if marked != 1 {
		t.Errorf("the inodes of the copy were written down %d times", marked)
	}
}
