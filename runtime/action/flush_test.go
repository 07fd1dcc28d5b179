package action

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"zcp2kopano/runtime/host"
)

// badDisk is a directory on a disk that takes no content: its files tell so where they are asked.
type badDisk struct {
	host.Dir
	flush, close error
}

type badFile struct {
	host.File
	disk badDisk
}

func (d badDisk) Create(name string, mode fs.FileMode) (host.File, error) {
	f, err := d.Dir.Create(name, mode)
	return badFile{f, d}, err
}

func (f badFile) Flush() error { return f.disk.flush }
func (f badFile) Close() error { return errors.Join(f.File.Close(), f.disk.close) }

// TestCopyAsksTheDisk: a content that cannot be written fails the copy before a sync of the whole file system, which may
// tell nothing of it.
func TestCopyAsksTheDisk(t *testing.T) {
	for name, bad := range map[string]badDisk{"flush": {flush: errDisk}, "close": {close: errDisk}, "neither": {}} {
		h := newFake()
		put(t, h, "/etc/a", "content", 0o600, 0, 0)
		dir, err := h.OpenTreeWrite("/etc")
		must(t, err)
		from, err := dir.Hold("a")
		must(t, err)
		m, st, err := metaOf(from)
		must(t, err)
		bad.Dir = dir
		err = newCopier(newEnv(h), size{}).draw(&draft{dst: bad, name: "b", tmp: "b"}, from, st, m)
		if want := name != "neither"; errors.Is(err, errDisk) != want || !want && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		must(t, from.Close())
		must(t, dir.Close())
	}
}

// A new file of a real disk can be asked.
func TestLiveFlush(t *testing.T) {
	env, root := liveEnv(t)
	must(t, os.Mkdir(filepath.Join(root, "d"), 0o755))
	dir, err := env.Host.OpenTreeWrite("/d")
	must(t, err)
	defer dir.Close()
	f, err := dir.Create("a", 0o600)
	must(t, err)
	defer f.Close()
	if _, err := f.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	flusher, ok := f.(host.Flusher)
	if !ok {
		t.Fatalf("%T cannot be asked", f)
	}
	must(t, flusher.Flush())
}
