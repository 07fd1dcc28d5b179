package action

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host/hosttest/chance"
)

const rootOnly = "root-secret\n"

// exchanging starts a local user's race: the owner of a tree exchanges a file of his, as fast as he can, for another
// name of a file that only root may read, of the same size and time. It returns how long the race goes on.
func exchanging(t *testing.T) (env *Env, root string, on func() bool) {
	t.Helper()
	env, root = liveEnv(t)
	return env, root, exchange(t, root)
}

// plantRace makes what is missing of the tree and of the other name.
func plantRace(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"tree", "scratch", "new"} {
		must(t, os.MkdirAll(at(dir), 0o755))
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"tree/000", "tree/001", "tree/zzz"} {
		if _, err := os.Lstat(at(name)); err == nil {
			continue
		}
		must(t, os.WriteFile(at(name+".new"), []byte("zarafa-data\n"), 0o644))
		must(t, os.Lchown(at(name+".new"), 998, 998))
		must(t, os.Chtimes(at(name+".new"), old, old))
		must(t, os.Rename(at(name+".new"), at(name)))
	}
	if _, err := os.Lstat(at("secret")); err != nil {
		must(t, os.WriteFile(at("secret"), []byte(rootOnly), 0o600))
		must(t, os.Chtimes(at("secret"), old, old))
	}
	if _, err := os.Lstat(at("scratch/l")); err != nil {
		must(t, os.Link(at("secret"), at("scratch/l")))
	}
}

func exchange(t *testing.T, root string) (on func() bool) {
	t.Helper()
	plantRace(t, root)
	at := func(name string) string { return filepath.Join(root, name) }
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, at("tree/zzz"), unix.AT_FDCWD, at("scratch/l"), unix.RENAME_EXCHANGE)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	end := time.Now().Add(raceTime())
	return func() bool { return time.Now().Before(end) }
}

// raceTime is how long a race goes on.
func raceTime() time.Duration {
	if chance.Nothing() {
		return 20 * time.Second
	}
	return 2 * time.Second
}

// rootsOnly fails if what only root may read is anybody else's now, wherever it is below these directories, or is gone.
func rootsOnly(t *testing.T, after string, secret string, dirs ...string) {
	t.Helper()
	content, err := os.ReadFile(secret)
	must(t, err)
	if string(content) != rootOnly {
		t.Fatalf("%s root's file holds %q", after, content)
	}
	dirs = append(dirs, secret)
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(name string, de fs.DirEntry, err error) error {
			if err != nil || !de.Type().IsRegular() {
				return nil
			}
			f, err := os.Open(name)
			if err != nil {
				return nil
			}
			defer f.Close()
			content, err := io.ReadAll(f)
			must(t, err)
			var st unix.Stat_t
			must(t, unix.Fstat(int(f.Fd()), &st))
			if string(content) == rootOnly && (st.Uid != 0 || st.Mode&0o077 != 0) {
				t.Fatalf("%s %s has root's content, belongs to %d, mode %o", after, name, st.Uid, st.Mode&0o7777)
			}
			return nil
		})
	}
}

// TestRaceBack: nor does root's file get the owner back that another had.
func TestRaceBack(t *testing.T) {
	t.Parallel()
	env, root, on := exchanging(t)
	back := 0
	for i := 0; on(); i++ {
		// The last two files have other owners, so that what is taken back is listed by name.
		must(t, os.Lchown(filepath.Join(root, "tree/000"), 998, 998))
		must(t, os.Lchown(filepath.Join(root, "tree/001"), 110, 5))
		a := &Chown{Path: "/tree", Recursive: true, Owner: "997", Group: "997", FileMode: ptr(fs.FileMode(0o600))}
		if needed, err := a.Prepare(env); err != nil || !needed {
			continue
		}
		_, _ = a.Apply(env)
		if err := a.Undo(env); err == nil {
			back++
		}
		rootsOnly(t, "after "+strconv.Itoa(i)+" calls", filepath.Join(root, "secret"), filepath.Join(root, "tree"))
	}
	t.Logf("%d calls were taken back", back)
}

// TestRaceSecondName: a name that is moved to and fro in the tree is not taken for two, so that the file seemed to have
// none outside.
func TestRaceSecondName(t *testing.T) {
	t.Parallel()
	env, root := liveEnv(t)
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"tree/a", "tree/b"} {
		must(t, os.MkdirAll(at(dir), 0o755))
	}
	must(t, os.WriteFile(at("other"), []byte(rootOnly), 0o600))
	must(t, os.Link(at("other"), at("tree/a/x")))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(at("tree/a/x"), at("tree/b/x"))
				_ = os.Rename(at("tree/b/x"), at("tree/a/x"))
			}
		}
	}()
	defer func() { close(stop); <-done }()
	twice, end := 0, time.Now().Add(raceTime())
	for i := 0; time.Now().Before(end); i++ {
		a := &Chown{Path: "/tree", Recursive: true, Owner: []string{"110", "998"}[i%2]}
		if needed, err := a.Prepare(env); err == nil && needed {
			twice++
			_, _ = a.Apply(env)
		}
		rootsOnly(t, "after "+strconv.Itoa(i)+" calls", at("other"), at("tree"))
	}
	t.Logf("it was counted twice in %d calls", twice)
}

// TestRaceMove: what is moved to another file system, and back, is one file's, with its own content and owner.
func TestRaceMove(t *testing.T) {
	t.Parallel()
	env, root := liveEnv(t)
	otherDisk(t, filepath.Join(root, "disk"))
	on := exchange(t, root)
	moved := 0
	for i := 0; on(); i++ {
		plantRace(t, root)
		env.Tag = "r-" + strconv.Itoa(i)
		a := &Move{From: "/tree", To: "/disk/tree"}
		if needed, err := a.Prepare(env); err != nil || !needed {
			continue
		}
		after := "after " + strconv.Itoa(i) + " moves"
		if _, err := a.Apply(env); err == nil {
			moved++
		}
		rootsOnly(t, after, filepath.Join(root, "secret"), filepath.Join(root, "tree"), filepath.Join(root, "disk"))
		_ = a.Undo(env)
		rootsOnly(t, after+" and back", filepath.Join(root, "secret"), filepath.Join(root, "tree"), filepath.Join(root, "disk"))
		must(t, os.RemoveAll(filepath.Join(root, "disk/tree")))
	}
	t.Logf("%d moves succeeded", moved)
}

// TestRaceRemove: nor does a removal, with what is kept on another file system and put back, or the way back of a file
// that was written over.
func TestRaceRemove(t *testing.T) {
	t.Parallel()
	env, root := liveEnv(t)
	otherDisk(t, filepath.Join(root, "var"))
	on := exchange(t, root)
	for i := 0; on(); i++ {
		plantRace(t, root)
		env.Tag, env.Marks = "r-"+strconv.Itoa(i), nil
		for what, a := range map[string]Action{
			"removal": &Remove{Path: "/tree"},
			"writing": &Write{Path: "/tree/zzz", Content: []byte("new"), Mode: ptr(fs.FileMode(0o644))},
		} {
			must(t, a.Stage(env))
			if needed, err := a.Prepare(env); err != nil || !needed {
				continue
			}
			_, _ = a.Apply(env)
			rootsOnly(t, what, filepath.Join(root, "secret"), filepath.Join(root, "tree"), filepath.Join(root, "var/lib/zcp2kopano/runs/1/backup/kept"))
			_ = a.Undo(env)
			rootsOnly(t, what+" and back", filepath.Join(root, "secret"), filepath.Join(root, "tree"))
			plantRace(t, root)
		}
	}
}

// TestRaceChown: whatever the name leads to in between, root's file stays root's.
func TestRaceChown(t *testing.T) {
	t.Parallel()
	env, root, on := exchanging(t)
	changed := 0
	for i := 0; on(); i++ {
		a := &Chown{Path: "/tree", Recursive: true, Owner: []string{"110", "998"}[i%2], FileMode: ptr(fs.FileMode(0o604 + 0o40*(i%2)))}
		if needed, err := a.Prepare(env); err != nil || !needed { // an error is an answer, too
			continue
		}
		if _, err := a.Apply(env); err == nil {
			changed++
		}
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(root, "secret"), &st))
		if st.Uid != 0 || st.Mode&0o7777 != 0o600 {
			t.Fatalf("after %d calls root's file belongs to %d, mode %o", i, st.Uid, st.Mode&0o7777)
		}
	}
	t.Logf("%d calls succeeded", changed)
}

// TestRaceCopy: no copy has the owner of one file and the content of the other.
func TestRaceCopy(t *testing.T) {
	t.Parallel()
	env, root, on := exchanging(t)
	for i := 0; on(); i++ {
		to := "new/" + strconv.Itoa(i)
		a := &Copy{From: "/tree", To: "/" + to}
		if needed, err := a.Prepare(env); err == nil && needed {
			_, _ = a.Apply(env)
		}
		name := filepath.Join(root, to, "zzz")
		var st unix.Stat_t
		if unix.Lstat(name, &st) != nil {
			continue
		}
		content, err := os.ReadFile(name)
		must(t, err)
		if string(content) == rootOnly && (st.Uid != 0 || st.Mode&0o077 != 0) {
			t.Fatalf("copy %d has root's content, belongs to %d, mode %o", i, st.Uid, st.Mode&0o7777)
		}
		must(t, os.RemoveAll(filepath.Join(root, to)))
	}
}

// TestRaceKeep: nor has what is kept for the way back.
func TestRaceKeep(t *testing.T) {
	t.Parallel()
	env, _, on := exchanging(t)
	for i := 0; on(); i++ {
		p, err := env.Store.Save("/tree/zzz")
		if err != nil || p.Blob == nil {
			continue
		}
		content, err := env.Store.Bytes(*p.Blob)
		must(t, err)
		if string(content) == rootOnly && (p.UID != 0 || p.Mode&0o077 != 0) {
			t.Fatalf("pre-image %d has root's content, belongs to %d, mode %v", i, p.UID, p.Mode)
		}
	}
}

// TestRaceXattrs: extended attributes go where their file's content goes, and those of root's file stay as they are.
func TestRaceXattrs(t *testing.T) {
	t.Parallel()
	env, root, on := exchanging(t)
	const name = "trusted.whose"
	secret := filepath.Join(root, "secret")
	must(t, unix.Lsetxattr(secret, name, []byte("root"), 0))
	whose := func(file string) string {
		buf := make([]byte, 16)
		n, err := unix.Lgetxattr(file, name, buf)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
	copied, written := 0, 0
	for i := 0; on(); i++ {
		plantRace(t, root)
		for _, file := range []string{"tree/zzz", "scratch/l"} { // whichever the name leads to now
			f, err := os.Open(filepath.Join(root, file))
			if err != nil {
				continue
			}
			if content, err := io.ReadAll(f); err == nil && string(content) != rootOnly {
				_ = unix.Fsetxattr(int(f.Fd()), name, []byte("zarafa"), 0)
			}
			f.Close()
		}
		env.Tag, env.Marks = "r-"+strconv.Itoa(i), nil
		to := "new/" + strconv.Itoa(i)
		a := &Copy{From: "/tree", To: "/" + to}
		if needed, err := a.Prepare(env); err == nil && needed {
			if _, err := a.Apply(env); err == nil {
				copied++
			}
		}
		made := filepath.Join(root, to, "zzz")
		// What a write of an earlier round has left has the attributes of the file that it took the place of: anybody's.
		if content, err := os.ReadFile(made); err == nil && string(content) != "new" && (string(content) == rootOnly) != (whose(made) == "root") {
			t.Fatalf("copy %d has the content %q and the attribute %q", i, content, whose(made))
		}
		must(t, os.RemoveAll(filepath.Join(root, to)))
		w := &Write{Path: "/tree/zzz", Content: []byte("new"), Mode: ptr(fs.FileMode(0o644))}
		must(t, w.Stage(env))
		if needed, err := w.Prepare(env); err == nil && needed {
			if _, err := w.Apply(env); err == nil {
				written++
			}
			_ = w.Undo(env)
		}
		if content, err := os.ReadFile(secret); err != nil || string(content) != rootOnly || whose(secret) != "root" {
			t.Fatalf("after %d calls root's file has the content %q and the attribute %q (%v)", i, content, whose(secret), err)
		}
		rootsOnly(t, "after "+strconv.Itoa(i)+" calls", secret, filepath.Join(root, "tree"))
	}
	t.Logf("%d copied, %d written", copied, written)
}
