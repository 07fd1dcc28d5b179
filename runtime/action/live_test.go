package action

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/tree"
)

// liveEnv is an environment on the real file system below a scratch directory.
func liveEnv(t testing.TB) (*Env, string) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can give files away; run as root")
		}
		t.Skip("only root can give files away; run as root")
	}
	root := t.TempDir()
	must(t, os.Chmod(root, 0o755))
	must(t, os.MkdirAll(filepath.Join(root, "proc/self"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "proc/self/mountinfo"), nil, 0o644))
	h, err := live.Open(root)
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return newEnv(h), root
}

func liveTree(t *testing.T, root, top string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, top, name) }
	must(t, os.MkdirAll(at("sub/empty"), 0o700))
	must(t, os.WriteFile(at("a"), []byte("content"), 0o640))
	must(t, os.Link(at("a"), at("sub/a-too")))
	must(t, os.WriteFile(at("sub/tool"), []byte("x"), 0o755))
	must(t, os.Chown(at("sub/tool"), 110, 8))
	must(t, os.Chmod(at("sub/tool"), os.ModeSetuid|os.ModeSetgid|0o755))
	must(t, os.Symlink("../nowhere", at("sub/link")))
	must(t, os.Lchown(at("sub/link"), 110, 110))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	for _, name := range []string{"a", "sub/tool", "sub/empty", "sub", "."} {
		must(t, os.Chtimes(at(name), long, long))
	}
}

// listing describes a real tree, times of directories included.
func listing(t *testing.T, env *Env, top string) map[string]string {
	t.Helper()
	s := map[string]string{}
	dir, err := env.Host.OpenTree(top)
	must(t, err)
	defer dir.Close()
	first := map[inode]string{}
	w := tree.Reader(context.Background(), func(e tree.Entry[host.DirReader]) error {
		line, err := describe(e)
		if e.Stat.IsDir() {
			line += e.Stat.Mtime.UTC().String()
		} else if e.Stat.Nlink > 1 {
			id := inode{e.Stat.Dev, e.Stat.Ino}
			if first[id] == "" {
				first[id] = e.Rel
			}
			line += " = " + first[id]
		}
		s[e.Rel] = line
		return err
	})
	must(t, w.Walk(dir, "", 0))
	return s
}

// TestLiveCopyIsCp compares fs.copy with "cp -a", and checks that Undo leaves nothing.
func TestLiveCopyIsCp(t *testing.T) {
	env, root := liveEnv(t)
	liveTree(t, root, "/old")
	must(t, exec.Command("/bin/cp", "-a", filepath.Join(root, "old"), filepath.Join(root, "peer")).Run())
	a := &Copy{From: "/old", To: "/new"}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)
	sameState(t, "fs.copy", listing(t, env, "/new"), listing(t, env, "/peer"))
	must(t, a.Undo(env))
	if _, err := os.Lstat(filepath.Join(root, "new")); !os.IsNotExist(err) {
		t.Errorf("after Undo: %v", err)
	}
}

// bindService are capabilities: cap_net_bind_service=p (struct vfs_cap_data of linux/capability.h).
var bindService = []byte{0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// TestLiveChown checks that setuid bits and capabilities survive, and that Undo restores every owner and mode.
func TestLiveChown(t *testing.T) {
	env, root := liveEnv(t)
	liveTree(t, root, "/tree")
	must(t, syscall.Setxattr(filepath.Join(root, "tree/sub/tool"), capsAttr, bindService, 0))
	start := listing(t, env, "/tree")
	a := &Chown{Path: "/tree", Recursive: true, Users: map[string]string{"110": "998"}, Groups: map[string]string{"8": "998"}}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)
	st, err := env.Host.Lstat("/tree/sub/tool")
	must(t, err)
	if st.UID != 998 || st.GID != 998 || st.Perm() != fs.ModeSetuid|fs.ModeSetgid|0o755 {
		t.Errorf("got %d:%d %v", st.UID, st.GID, st.Perm())
	}
	if caps, err := env.Host.Getxattr("/tree/sub/tool", capsAttr); err != nil || !bytes.Equal(caps, bindService) {
		t.Errorf("capabilities %v, %v", caps, err)
	}
	must(t, syscall.Removexattr(filepath.Join(root, "tree/sub/tool"), capsAttr))
	if lines, err := a.Differences(env); err != nil || !slices.Contains(lines, "/tree/sub/tool: extended attribute security.capability differs") {
		t.Errorf("differences %q, %v", lines, err)
	}
	must(t, a.Undo(env))
	sameState(t, "Undo", listing(t, env, "/tree"), start)
}

// TestLiveChownRace swaps a directory of the tree for a symlink to one outside, and back, while the
// tree changes its owner: nothing outside may change.
func TestLiveChownRace(t *testing.T) {
	env, root := liveEnv(t)
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.MkdirAll(at("outside/d"), 0o755))
	must(t, os.MkdirAll(at("tree/x/d"), 0o755))
	must(t, os.WriteFile(at("outside/d/secret"), nil, 0o600))
	must(t, os.WriteFile(at("tree/x/d/secret"), nil, 0o600))
	must(t, os.Symlink("../outside", at("tree/link")))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				os.Rename(at("tree/x"), at("tree/y"))
				os.Rename(at("tree/link"), at("tree/x"))
				os.Rename(at("tree/x"), at("tree/link"))
				os.Rename(at("tree/y"), at("tree/x"))
			}
		}
	}()
	for i := range 300 {
		owner := []string{"998", "110"}[i%2]
		a := &Chown{Path: "/tree", Recursive: true, Owner: owner}
		if _, err := a.Prepare(env); err == nil { // an error is an answer, too
			_, _ = a.Apply(env)
		}
	}
	close(stop)
	<-done
	for _, name := range []string{"outside", "outside/d", "outside/d/secret"} {
		st, err := env.Host.Lstat("/" + name)
		must(t, err)
		if st.UID != 0 {
			t.Errorf("%s now belongs to %d", name, st.UID)
		}
	}
}
