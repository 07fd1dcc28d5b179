package action

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// badDisk is a directory on a disk that takes no content: its files tell so where they are asked.
type badDisk struct {
	host.Dir
	begin, flush, close, sync error

	asked *[]string // what was asked, in order; nil for nobody wants to know
}

type badFile struct {
	host.File
	disk badDisk
}

func (d badDisk) OpenDirWrite(name string) (host.Dir, error) {
	var err error
	d.Dir, err = d.Dir.OpenDirWrite(name)
	return d, err
}

func (d badDisk) Rename(name string, to host.Dir, newname string) error {
	d.note("name")
	return d.Dir.Rename(name, to.(badDisk).Dir, newname)
}

func (d badDisk) SyncFileSystem() error {
	d.note("sync")
	return errors.Join(d.Dir.SyncFileSystem(), d.sync)
}

func (d badDisk) Create(name string, mode fs.FileMode) (host.File, error) {
	f, err := d.Dir.Create(name, mode)
	return badFile{f, d}, err
}

func (d badDisk) note(what string) {
	if d.asked != nil {
		*d.asked = append(*d.asked, what)
	}
}

func (f badFile) BeginFlush() error {
	f.disk.note("begin")
	return f.disk.begin
}

func (f badFile) Flush() error {
	f.disk.note("flush")
	return f.disk.flush
}

func (f badFile) Close() error {
	f.disk.note("close")
	return errors.Join(f.File.Close(), f.disk.close)
}

// TestCopyAsksTheDisk: a content that cannot be written fails the copy before a sync of the whole file system, which may
// tell nothing of it.
func TestCopyAsksTheDisk(t *testing.T) {
	for name, bad := range map[string]badDisk{"begin": {begin: errDisk}, "flush": {flush: errDisk}, "close": {close: errDisk}, "neither": {}} {
		h := newFake()
		put(t, h, "/etc/a", "content", 0o600, 0, 0)
		dir, err := h.OpenTreeWrite("/etc")
		must(t, err)
		from, err := dir.Hold("a")
		must(t, err)
		m, st, err := metaOf(from)
		must(t, err)
		bad.Dir = dir
		d := &draft{dst: bad, name: "b", tmp: "b"}
		err = newCopier(newEnv(h), "copy", size{}).draw(d, from, st, m)
		if err == nil {
			err = d.settle()
		}
		if want := name != "neither"; errors.Is(err, errDisk) != want || !want && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		must(t, from.Close())
		must(t, dir.Close())
	}
}

// The files of a stretch are all begun before one is waited for, and all have been waited for before they are synced and
// named; where one fails, none is named, nor where only the sync tells.
func TestCopyWaitsForTheDisk(t *testing.T) {
	for name, bad := range map[string]badDisk{"good": {}, "bad": {flush: errDisk}, "told late": {sync: errDisk}} {
		h := newFake()
		const files = fewFiles + 3
		for i := range files {
			put(t, h, fmt.Sprintf("/etc/tree/f%02d", i), "content", 0o600, 0, 0)
		}
		dir, err := h.OpenTreeWrite("/etc")
		must(t, err)
		var asked []string
		bad.Dir, bad.asked = dir, &asked
		err = copyTree(newCopier(newEnv(h), "copy", size{}), dir, "tree", bad, "copy", &copyRoot{"/etc/copy"})
		if fails := name != "good"; errors.Is(err, errDisk) != fails || !fails && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := slices.Repeat([]string{"begin"}, files)
		want = append(want, slices.Repeat([]string{"flush", "close"}, files)...)
		switch name {
		case "good":
			want = append(append(append(want, "sync"), slices.Repeat([]string{"name"}, files)...), "sync")
		case "told late":
			want = append(want, "sync")
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s: %q", name, asked)
		}
		must(t, dir.Close())
	}
}

// A batch of a few large files that more come after is synced once, and so is all in the end; few files alone are synced
// one by one.
func TestFullBatchIsSyncedOnce(t *testing.T) {
	usual := fullBatch
	t.Cleanup(func() { fullBatch = usual })
	for name, c := range map[string]struct {
		limits batchLimits
		want   string
	}{
		"few alone":   {usual, "name name name"},
		"full by it":  {batchLimits{files: 3, folders: 9, bytes: 1 << 20}, "sync name name name sync"},
		"full before": {batchLimits{files: 9, folders: 1, bytes: 1 << 20}, "sync name name name sync"},
	} {
		fullBatch = c.limits
		h := newFake()
		for i := range 3 {
			put(t, h, fmt.Sprintf("/etc/tree/f%02d", i), "content", 0o600, 0, 0)
		}
		dir, err := h.OpenTreeWrite("/etc")
		must(t, err)
		var asked []string
		must(t, copyTree(newCopier(newEnv(h), "copy", size{}), dir, "tree", badDisk{Dir: dir, asked: &asked}, "copy", &copyRoot{"/etc/copy"}))
		asked = slices.DeleteFunc(asked, func(what string) bool { return what != "sync" && what != "name" })
		if got := strings.Join(asked, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
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
	must(t, flusher.BeginFlush())
	must(t, flusher.Flush())
}
