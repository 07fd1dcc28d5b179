package action

import (
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
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"tree", "scratch", "new"} {
		must(t, os.Mkdir(at(dir), 0o755))
	}
	must(t, os.WriteFile(at("secret"), []byte(rootOnly), 0o600))
	for _, name := range []string{"tree/000", "tree/001", "tree/zzz"} {
		must(t, os.WriteFile(at(name), []byte("zarafa-data\n"), 0o644))
		must(t, os.Lchown(at(name), 998, 998))
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, os.Chtimes(at("secret"), old, old))
	must(t, os.Chtimes(at("tree/zzz"), old, old))
	must(t, os.Link(at("secret"), at("scratch/l")))
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
	length := 2 * time.Second
	if chance.Nothing() {
		length = 20 * time.Second
	}
	end := time.Now().Add(length)
	return env, root, func() bool { return time.Now().Before(end) }
}

// TestRaceChown: whatever the name leads to in between, root's file stays root's.
func TestRaceChown(t *testing.T) {
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
