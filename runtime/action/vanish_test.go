package action

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// vanishing is a host on which others take entries away after they were looked at.
type vanishing struct {
	later
	lanes int
	gone  func(op, name string) bool
}

type vanishingDir struct {
	host.DirReader
	h    vanishing
	name string
}

func (h vanishing) OpenTree(p string) (host.DirReader, error) {
	d, err := h.fakeHost.OpenTree(p)
	return vanishingDir{d, h, p}, err
}

func (d vanishingDir) Parallel() int { return d.h.lanes }

func (d vanishingDir) at(op, name string) error {
	if d.h.gone(op, name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

func (d vanishingDir) ReadDir() ([]host.DirEntry, error) {
	if err := d.at("read", d.name); err != nil {
		return nil, err
	}
	return d.DirReader.ReadDir()
}

func (d vanishingDir) Hold(name string) (host.Held, error) {
	if err := d.at("hold", name); err != nil {
		return nil, err
	}
	return d.DirReader.Hold(name)
}

func (d vanishingDir) OpenDir(name string) (host.DirReader, error) {
	if err := d.at("open", name); err != nil {
		return nil, err
	}
	sub, err := d.DirReader.OpenDir(name)
	return vanishingDir{sub, d.h, name}, err
}

// A directory that goes away in the middle of a walk is left out where the tree is known to be in use, and nowhere else.
func TestWalkOfWhatGoesAway(t *testing.T) {
	for _, lanes := range []int{1, 4} {
		for _, how := range []string{"open", "read"} {
			h := newFake(twoDisks()...)
			lively(t, h)
			dir, err := vanishing{later{h}, lanes, func(op, name string) bool { return op == how && name == "turns" }}.OpenTree("/var/lib/zarafa")
			must(t, err)
			defer dir.Close()
			for _, inUse := range []bool{false, true} {
				seen := 0
				w := tree.Reader(context.Background(), func(tree.Entry[host.DirReader]) error { seen++; return nil })
				w.InUse = inUse
				err := w.Walk(dir, "", 1)
				if !inUse && !errors.Is(err, fs.ErrNotExist) || inUse && (err != nil || seen < 5) {
					t.Errorf("%d lanes, in use %v, gone at %s: visited %d: %v", lanes, inUse, how, seen, err)
				}
			}
		}
	}
}

// What goes away between two looks of a copy ahead does not stop it, nor do other names of such a file.
func TestCopyAheadOfWhatGoesAway(t *testing.T) {
	for name, gone := range map[string]func(held int, op, name string) bool{
		"a directory": func(_ int, op, name string) bool { return op == "read" && name == "turns" },
		// It is held once to see that it has several names, and then to copy it.
		"the first of two names": func(held int, op, name string) bool { return op == "hold" && name == "a" && held > 1 },
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake(twoDisks()...)
			lively(t, h)
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			a := &Presync{From: "/var/lib/zarafa", To: "/srv/kopano"}
			_, err := a.Prepare(newEnv(later{h}))
			must(t, err)
			held := 0
			_, err = a.Apply(newEnv(vanishing{later{h}, 1, func(op, of string) bool {
				if op == "hold" && of == "a" {
					held++
				}
				return gone(held, op, of)
			}}))
			must(t, err)
			if _, err := h.Lstat("/srv/kopano/.zcp2kopano-presync/tree/sub/longer"); err != nil {
				t.Error(err)
			}
			if _, err := h.Lstat("/srv/kopano/.zcp2kopano-presync/tree/sub/a-too"); name != "a directory" && !host.Absent(err) {
				t.Errorf("a second name of nothing: %v", err)
			}
		})
	}
}

// However many processors there are, a copy has no more files open than a process may have where little is allowed.
func TestOpenFilesOfACopy(t *testing.T) {
	const allowed = 4096
	// two stretches a lane, and the directories of three batches with their copies
	if most := 2*mostLanes*copyStretch + 3*2*fullBatch.folders; most > allowed*3/4 {
		t.Errorf("up to %d files are open", most)
	}
	h := newFake(twoDisks()...)
	lively(t, h)
	src, err := vanishing{later{h}, 128, nil}.OpenTree("/var/lib")
	must(t, err)
	defer src.Close()
	if n := copyLanes(src, src); n != mostLanes {
		t.Errorf("%d lanes", n)
	}
}
