package action

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// later is a host some time after its files were changed last.
type later struct{ *fakeHost }

func (h later) Now() time.Time { return now.Add(time.Hour) }

// lively is a tree with what a copy has to bring along, and with what others will change in it.
func lively(t tester, h *fakeHost) {
	put(t, h, "/var/lib/zarafa/a", "content of a", 0o640, 110, 110)
	must(t, h.PutLink("/var/lib/zarafa/a", "/var/lib/zarafa/sub/a-too"))
	put(t, h, "/var/lib/zarafa/gone", "gone", 0o640, 110, 110)
	put(t, h, "/var/lib/zarafa/sub/longer", "short", 0o640, 110, 110)
	put(t, h, "/var/lib/zarafa/turns/x", "x", 0o640, 110, 110)
	must(t, h.PutDir("/srv/kopano", 0o711, 998, 998))
}

// copiedAhead is a tree whose contents were copied ahead of their move to another disk.
func copiedAhead(t tester, h *fakeHost) {
	lively(t, h)
	env := newEnv(later{h})
	env.Tag = "run1-3-0"
	a := &Presync{From: "/var/lib/zarafa", To: "/srv/kopano"}
	needed, err := a.Prepare(env)
	if err != nil || !needed {
		t.Fatalf("%v, %v", needed, err)
	}
	_, err = a.Apply(env)
	must(t, err)
	h.ahead = true
}

// use does what others do to a tree after it was copied ahead.
func use(t tester, h *fakeHost) {
	must(t, h.FS.Unlink("/var/lib/zarafa/gone"))
	must(t, h.FS.Unlink("/var/lib/zarafa/sub/longer"))
	put(t, h, "/var/lib/zarafa/sub/longer", "longer than it was", 0o640, 110, 110)
	put(t, h, "/var/lib/zarafa/new/f", "new", 0o640, 110, 110)
	must(t, h.FS.Unlink("/var/lib/zarafa/turns/x"))
	must(t, h.FS.Rmdir("/var/lib/zarafa/turns"))
	put(t, h, "/var/lib/zarafa/turns", "a file by now", 0o640, 110, 110)
}

func init() {
	scenarios = append(scenarios,
		scenario{
			name:   "copy ahead",
			mounts: twoDisks(),
			setup:  lively,
			act:    func() Action { return &Presync{From: "/var/lib/zarafa", To: "/srv/kopano"} },
		},
		scenario{
			name:   "move what was copied ahead",
			mounts: twoDisks(),
			setup: func(t tester, h *fakeHost) {
				copiedAhead(t, h)
				use(t, h)
			},
			act: func() Action { return &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true} },
		},
	)
}

// counting is a host that counts the files that are made.
type counting struct {
	*fakeHost
	made *int
}

type countingDir struct {
	host.Dir
	made *int
}

func (h counting) OpenTreeWrite(p string) (host.Dir, error) {
	d, err := h.fakeHost.OpenTreeWrite(p)
	return countingDir{d, h.made}, err
}

func (d countingDir) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := d.Dir.OpenDirWrite(name)
	return countingDir{sub, d.made}, err
}

func (d countingDir) Create(name string, mode fs.FileMode) (host.File, error) {
	*d.made++
	return d.Dir.Create(name, mode)
}

func (d countingDir) Rename(name string, to host.Dir, newname string) error {
	return d.Dir.Rename(name, to.(countingDir).Dir, newname)
}

func (d countingDir) Link(name string, to host.Dir, newname string) error {
	return d.Dir.Link(name, to.(countingDir).Dir, newname)
}

// Only what was changed since it was copied ahead is copied when it is moved, and all that is there then arrives.
func TestMoveTakesUpWhatWasCopiedAhead(t *testing.T) {
	rot := func(t tester, h *fakeHost) { // what no time tells
		const name = "/srv/kopano/.zcp2kopano-presync/tree/a"
		st, err := h.Lstat(name)
		must(t, err)
		f, err := h.OpenWrite(name)
		must(t, err)
		_, err = f.Write([]byte("CONTENT"))
		must(t, errors.Join(err, f.Close(), h.Chtimes(name, st.Atime, st.Mtime)))
	}
	for name, tt := range map[string]struct {
		readAll   bool
		sized     bool // with a file of which only the size is known
		meanwhile func(t tester, h *fakeHost)
		copied    int
	}{
		"unchanged":                 {},
		"used":                      {meanwhile: use, copied: 3},
		"all is read":               {readAll: true},
		"all but one is read":       {readAll: true, sized: true},
		"all is read, and one rots": {readAll: true, meanwhile: rot, copied: 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake(twoDisks()...)
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			if tt.sized {
				must(t, h.PutDir("/var/lib/zarafa", 0o750, 110, 110))
				must(t, h.PutSized("/var/lib/zarafa/sized", 70, 0o640, 110, 110, long))
			}
			copiedAhead(t, h)
			if tt.meanwhile != nil {
				tt.meanwhile(t, h)
			}
			want := moved(h.state(t), "/var/lib/zarafa")
			made := 0
			env := newEnv(counting{h, &made})
			a := &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true, ReadAll: tt.readAll}
			needed, err := a.Prepare(env)
			if err != nil || !needed || !a.Ahead {
				t.Fatalf("needed %v, ahead %v: %v", needed, a.Ahead, err)
			}
			made = 0
			_, err = a.Apply(env)
			must(t, err)
			if made != tt.copied {
				t.Errorf("copied %d files, want %d", made, tt.copied)
			}
			h.ahead = false // nothing of it may be left
			sameState(t, "moved", moved(h.state(t), "/srv/kopano"), want)
		})
	}
}

// What changed so shortly before it was written down that its times may stand for two changes is copied again.
func TestCopyAheadTrustsNoTimeOfJustNow(t *testing.T) {
	h := newFake(twoDisks()...)
	put(t, h, "/var/lib/zarafa/f", "x", 0o640, 110, 110)
	env := newEnv(h)
	b, _, err := seenNow(env, "/var/lib/zarafa", 1, nil)
	must(t, err)
	seen, err := openInventory(env.Store, &b)
	must(t, err)
	defer seen.close()
	if !seen.next.Ctime.IsZero() {
		t.Errorf("changed at %v, looked at at %v", seen.next.Ctime, now)
	}
}

// TestCopyAheadInUse copies a real tree while somebody makes, changes and removes files and directories in it; the move
// that follows has all of what is there at its end.
func TestCopyAheadInUse(t *testing.T) {
	inManyBatches(t)
	env, root := treeBed(t, 400)
	must(t, os.MkdirAll(filepath.Join(root, "var/lib/zcp2kopano"), 0o700))
	stop, done := make(chan struct{}), make(chan error, 1)
	work := func() error {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return nil
			default:
			}
			at := filepath.Join(root, "tree/d1", fmt.Sprint("w", i%5))
			name := filepath.Join(at, fmt.Sprint("f", i%3))
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(name, []byte(strings.Repeat("y", i%20_000)), 0o640); err != nil {
				return err
			}
			var err error
			switch i % 4 {
			case 1:
				err = os.RemoveAll(at)
			case 2:
				err = os.Rename(name, name+"-too")
			}
			if err != nil {
				return err
			}
		}
	}
	go func() { done <- work() }()
	ahead := &Presync{From: "/tree", To: "/disk/there"}
	needed, err := ahead.Prepare(env)
	if err == nil && needed {
		_, err = ahead.Apply(env)
	}
	close(stop)
	must(t, errors.Join(err, <-done))
	want := listing(t, env, "/tree")
	env.Tag = "run1-8-0"
	rest := &Presync{From: "/tree", To: "/disk/there", AtRest: true}
	needed, err = rest.Prepare(env)
	if err == nil && needed {
		_, err = rest.Apply(env)
	}
	if err != nil || !needed {
		t.Fatalf("at rest: needed %v: %v", needed, err)
	}
	env.Tag = "run1-9-0"
	a := &Move{From: "/tree", To: "/disk/there", Contents: true}
	_, err = a.Prepare(env)
	must(t, err)
	if !a.Ahead {
		t.Fatal("it does not see what was copied ahead")
	}
	_, err = a.Apply(env)
	must(t, err)
	sameState(t, "moved", listing(t, env, "/disk/there"), want)
	must(t, a.Undo(env))
	must(t, rest.Undo(env))
	must(t, ahead.Undo(env))
	sameState(t, "undone", listing(t, env, "/tree"), want)
}
