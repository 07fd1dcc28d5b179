package action

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// meeting is of two who do not go on before both are there.
type meeting struct {
	names []string
	both  sync.WaitGroup
	mu    sync.Mutex
	came  []string
}

func meet(names ...string) *meeting {
	m := &meeting{names: names}
	m.both.Add(len(names))
	return m
}

func (m *meeting) wait(name string) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	expected := slices.Contains(m.names, name) && !slices.Contains(m.came, name)
	if expected {
		m.came = append(m.came, name)
		m.both.Done()
	}
	m.mu.Unlock()
	if !expected {
		return nil
	}
	all := make(chan struct{})
	go func() {
		m.both.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%s was alone for two minutes: one thing is done at a time", name)
	}
}

// meetingHost is a host where those who remove, open or look meet.
type meetingHost struct {
	host.Host
	unlinks, holds, looks *meeting
}

type meetingDir struct {
	host.Dir
	h meetingHost
}

type meetingReader struct {
	host.DirReader
	h meetingHost
}

func (h meetingHost) OpenTreeWrite(name string) (host.Dir, error) {
	d, err := h.Host.OpenTreeWrite(name)
	return meetingDir{d, h}, err
}

func (h meetingHost) OpenTree(name string) (host.DirReader, error) {
	d, err := h.Host.OpenTree(name)
	return meetingReader{d, h}, err
}

func (meetingDir) Parallel() int    { return 2 }
func (meetingReader) Parallel() int { return 2 }

func (d meetingDir) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := d.Dir.OpenDirWrite(name)
	return meetingDir{sub, d.h}, err
}

func (d meetingDir) Unlink(name string) error {
	if err := d.h.unlinks.wait(name); err != nil {
		return err
	}
	return d.Dir.Unlink(name)
}

func (d meetingReader) OpenDir(name string) (host.DirReader, error) {
	sub, err := d.DirReader.OpenDir(name)
	return meetingReader{sub, d.h}, err
}

func (d meetingReader) Lstat(name string) (host.Stat, error) {
	if err := d.h.looks.wait(name); err != nil {
		return host.Stat{}, err
	}
	return d.DirReader.Lstat(name)
}

func (d meetingReader) Hold(name string) (host.Held, error) {
	if err := d.h.holds.wait(name); err != nil {
		return nil, err
	}
	return d.DirReader.Hold(name)
}

// strideAhead is how many entries package tree looks at by one who looks ahead.
const strideAhead = 128

// Trees are removed, compared and looked through in lanes.
func TestTreesAreWorkedOnInLanes(t *testing.T) {
	env, root := liveEnv(t)
	real := env.Host
	for _, top := range []string{"one", "two", "three/only"} {
		must(t, os.MkdirAll(filepath.Join(root, top, "a"), 0o755))
		must(t, os.MkdirAll(filepath.Join(root, top, "b"), 0o755))
		for i := range 2 * strideAhead {
			must(t, os.WriteFile(filepath.Join(root, top, "a", fmt.Sprintf("f%03d", i)), []byte("x"), 0o644))
		}
		must(t, os.WriteFile(filepath.Join(root, top, "b/other"), []byte("x"), 0o644))
	}
	at := time.Now()
	must(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error { return os.Chtimes(name, at, at) }))

	env.Host = meetingHost{Host: real, holds: meet("f000", fmt.Sprintf("f%03d", strideAhead))}
	b, err := inventory(env, "/one", 4)
	must(t, err)
	text, err := env.Store.Bytes(*b)
	must(t, err)
	if n := strings.Count(string(text), `"sha256"`); n != 4 {
		t.Errorf("%d files were digested, and there was content for 4", n)
	}
	if lines := strings.Count(string(text), "\n"); lines != 2*strideAhead+4 {
		t.Errorf("%d lines", lines)
	}

	// The last in a directory is looked at while what is in the next is.
	last := fmt.Sprintf("f%03d", 2*strideAhead-1)
	total, err := measure(env.Ctx, meetingHost{Host: real, looks: meet(last, "other")}, "/one")
	must(t, err)
	if want := int64(2*strideAhead + 1); total.Files != want {
		t.Errorf("%d files, and there are %d", total.Files, want)
	}

	env.Host = meetingHost{Host: real, holds: meet("f000", "other")}
	must(t, needPart(env, "/one", "/two"))

	env.Host = meetingHost{Host: real, unlinks: meet("f000", "other")}
	must(t, env.remove("/one", size{}))
	if _, err := os.Lstat(filepath.Join(root, "one")); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	env.Host = meetingHost{Host: real, unlinks: meet("f000", "other")}
	must(t, env.remove("/three", size{})) // which holds one directory alone
}

// partOf finds whatever is not there, or not alike, however deep; what is there besides does not matter, nor do drafts.
func TestPartOf(t *testing.T) {
	for name, c := range map[string]struct {
		change func(one, two string) error
		want   bool
	}{
		"the same":             {func(_, _ string) error { return nil }, true},
		"more in the other":    {func(_, two string) error { return os.WriteFile(two+"/sub/more", nil, 0o644) }, true},
		"a draft":              {func(one, _ string) error { return os.WriteFile(one+"/sub/"+tempPrefix+"run1-1-0.7", nil, 0o644) }, true},
		"a file is missing":    {func(_, two string) error { return os.Remove(two + "/sub/deep/f") }, false},
		"a folder is missing":  {func(_, two string) error { return os.RemoveAll(two + "/sub/deep") }, false},
		"an empty one":         {func(one, _ string) error { return os.Mkdir(one+"/sub/more", 0o755) }, false},
		"another size":         {func(_, two string) error { return os.Truncate(two+"/sub/deep/f", 1) }, false},
		"another time":         {func(_, two string) error { return os.Chtimes(two+"/sub/deep/f", long, long) }, false},
		"another owner":        {func(_, two string) error { return os.Chown(two+"/sub/deep/f", 110, 0) }, false},
		"another mode":         {func(_, two string) error { return os.Chmod(two+"/sub/deep/f", 0o600) }, false},
		"a link in its place":  {func(_, two string) error { return swap(two+"/sub/deep", "../../one/sub/deep") }, false},
		"a link for the whole": {func(_, two string) error { return swap(two, "one") }, false},
	} {
		env, root := liveEnv(t)
		for _, top := range []string{"one", "two"} {
			must(t, os.MkdirAll(filepath.Join(root, top, "sub/deep"), 0o755))
			must(t, os.WriteFile(filepath.Join(root, top, "sub/deep/f"), []byte("content"), 0o644))
			must(t, os.Chtimes(filepath.Join(root, top, "sub/deep/f"), now, now))
		}
		must(t, c.change(filepath.Join(root, "one"), filepath.Join(root, "two")))
		got, err := partOf(env.Ctx, env.Host, "/one", "/two", tempPrefix+"run1-1-0")
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// swap puts a symlink in a path's place.
func swap(name, target string) error {
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	return os.Symlink(target, name)
}

// Another file system below a tree is not removed, and the tree is not either.
func TestRemovalStopsAtAMount(t *testing.T) {
	env, root := liveEnv(t)
	must(t, os.MkdirAll(filepath.Join(root, "tree/sub/mounted"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "tree/sub/mounted/below"), nil, 0o644))
	otherDisk(t, filepath.Join(root, "tree/sub/mounted"))
	must(t, os.WriteFile(filepath.Join(root, "tree/sub/mounted/f"), nil, 0o644))
	err := env.remove("/tree", size{})
	if err == nil || !strings.Contains(err.Error(), "sub/mounted is a mount point; unmount it first") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(filepath.Join(root, "tree/sub/mounted/f")); err != nil {
		t.Error(err)
	}
}
