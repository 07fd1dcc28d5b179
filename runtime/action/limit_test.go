package action

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// reading is a host where nothing is copied but by reading it.
type reading struct{ *fakeHost }

type readingDir struct{ host.Dir }

func (h reading) OpenTreeWrite(p string) (host.Dir, error) {
	d, err := h.fakeHost.OpenTreeWrite(p)
	return readingDir{d}, err
}

func (d readingDir) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := d.Dir.OpenDirWrite(name)
	return readingDir{sub}, err
}

func (d readingDir) Create(name string, mode fs.FileMode) (host.File, error) {
	f, err := d.Dir.Create(name, mode)
	return struct{ host.File }{f}, err
}

func (d readingDir) Rename(name string, to host.Dir, newname string) error {
	return d.Dir.Rename(name, to.(readingDir).Dir, newname)
}

func (h reading) Sleep(context.Context, time.Duration) error { return nil }

// What is copied counts once against the limit, though it is read twice. Where the limit breaks off, so does the copy, which
// a second try completes.
func TestCopyHoldsToTheLimit(t *testing.T) {
	for name, action := range map[string]func() Action{
		"copy":    func() Action { return &Copy{From: "/etc/tree", To: "/etc/copy"} },
		"move":    func() Action { return &Move{From: "/etc/tree", To: "/srv/new/tree"} },
		"presync": func() Action { return &Presync{From: "/etc/tree", To: "/srv/new"} },
	} {
		t.Run(name, func(t *testing.T) {
			for _, fails := range []error{nil, errors.New("broken off")} {
				h := newFake(twoDisks()...)
				must(t, h.PutDir("/srv/new", 0o755, 0, 0))
				put(t, h, "/etc/tree/a", "0123456789", 0o600, 0, 0)
				put(t, h, "/etc/tree/sub/b", "01234", 0o600, 0, 0)
				var moved atomic.Int64
				e := newEnv(reading{h})
				e.Limit = func(_ context.Context, n int) error {
					moved.Add(int64(n))
					return fails
				}
				a := action()
				needed, err := a.Prepare(e)
				must(t, err)
				if !needed {
					t.Fatal("nothing to do")
				}
				if bytes := a.(Limited).LimitedBytes(); bytes != 15 {
					t.Errorf("it says %d bytes, not 15", bytes)
				}
				if _, err := a.Apply(e); !errors.Is(err, fails) {
					t.Fatalf("%v, want %v", err, fails)
				}
				if fails == nil && moved.Load() != 15 {
					t.Errorf("%d bytes counted, not 15", moved.Load())
				}
				e.Limit = nil
				if _, err := a.Apply(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
