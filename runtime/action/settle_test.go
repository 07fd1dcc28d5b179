package action

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/sim/simfs"
)

// ticking is a host whose every change takes its time.
type ticking struct {
	counting
	clock *time.Time
}

func (h ticking) Now() time.Time { return *h.clock }

func (h ticking) Sleep(_ context.Context, d time.Duration) error {
	*h.clock = h.clock.Add(d)
	return nil
}

func newTicking(mounts ...simfs.Mount) ticking {
	clock, made := now, 0
	h := newFake()
	h.FS = simfs.New(simfs.Options{
		Now:    func() time.Time { clock = clock.Add(time.Millisecond); return clock },
		Mounts: mounts,
	})
	return ticking{counting{h, &made}, &clock}
}

// do carries an action out, and returns how many files that made.
func (h ticking) do(t *testing.T, tag string, a Action) int {
	t.Helper()
	env := newEnv(h)
	env.Tag = tag
	needed, err := a.Prepare(env)
	if err != nil || !needed {
		t.Fatalf("%s: needed %v: %v", a.Summary(), needed, err)
	}
	*h.made = 0
	_, err = a.Apply(env)
	must(t, err)
	return *h.made
}

// TestMoveTakesUpWhatWasKept copies ahead what is kept for a dump: the second names, which come before the copy and go
// after the stop, give each file another ctime. Yet only what changed is copied again.
func TestMoveTakesUpWhatWasKept(t *testing.T) {
	const book = 1 // is made with each copy ahead
	rewrite := func(name, content string) func(*testing.T, ticking) {
		return func(t *testing.T, h ticking) {
			st, err := h.Lstat(name)
			must(t, err)
			env := newEnv(h)
			overwrite(t, env, name, content)
			must(t, h.Chtimes(name, st.Atime, st.Mtime))
		}
	}
	running := func(t *testing.T, h ticking) { use(t, h.fakeHost) }
	for name, tt := range map[string]struct {
		stopped         bool // before the dump
		before, after   func(*testing.T, ticking)
		settled, copied int
		readAll         bool
	}{
		"unchanged":                            {},
		"unchanged, stopped before the dump":   {stopped: true},
		"used":                                 {before: running, settled: 3},
		"used, stopped before the dump":        {stopped: true, before: running, settled: 3},
		"rewritten, its time set back":         {before: rewrite("/var/lib/zarafa/sub/longer", "SHORT"), settled: 1},
		"touched after all":                    {after: running, copied: 3},
		"rewritten after all, and all is read": {after: rewrite("/var/lib/zarafa/sub/longer", "SHORT"), readAll: true, copied: 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTicking(twoDisks()...)
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			lively(t, h.fakeHost)
			ahead := &Presync{From: "/var/lib/zarafa", To: "/srv/kopano"}
			if !tt.stopped {
				h.do(t, "r1-1-0", &Keep{Path: "/var/lib/zarafa", Of: "/var/lib/zarafa"})
			}
			if made := h.do(t, "r1-2-0", ahead); made != 4+book {
				t.Errorf("copied %d files ahead", made-book)
			}
			if tt.before != nil {
				tt.before(t, h)
			}
			rest := &Presync{From: "/var/lib/zarafa", To: "/srv/kopano", AtRest: true}
			if made := h.do(t, "r1-4-0", rest); made != tt.settled+book {
				t.Errorf("copied %d files after the stop, want %d", made-book, tt.settled)
			}
			h.do(t, "r1-5-0", &GiveBack{Path: "/var/lib/zarafa", Numbers: "instances"})
			if tt.after != nil {
				tt.after(t, h)
			}
			want := moved(h.state(t), "/var/lib/zarafa")
			move := &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true, ReadAll: tt.readAll}
			if made := h.do(t, "r1-6-0", move); made != tt.copied {
				t.Errorf("copied %d files at the move, want %d", made, tt.copied)
			}
			sameState(t, "moved", moved(h.state(t), "/srv/kopano"), want)
		})
	}
}

// TestCopyAtRestCrashes kills what brings a copy into accord at each change. Done again, all arrives at the move; undone,
// nothing of the copy is left.
func TestCopyAtRestCrashes(t *testing.T) {
	start := func() (*fakeHost, Action) {
		h := newFake(twoDisks()...)
		must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
		copiedAhead(t, h)
		use(t, h)
		a := &Presync{From: "/var/lib/zarafa", To: "/srv/kopano", AtRest: true}
		needed, err := a.Prepare(newEnv(h))
		if err != nil || !needed {
			t.Fatalf("needed %v: %v", needed, err)
		}
		h.arm(0, 0)
		return h, a
	}
	h, a := start()
	_, err := a.Apply(newEnv(h))
	must(t, err)
	for disk, change := range h.unsynced {
		t.Errorf("a power cut can take back %q on %s", change, disk)
	}
	ops := h.ops
	for mode := before; mode <= failure; mode++ {
		for k := 1; k <= ops; k++ {
			h, a := start()
			h.arm(k, mode)
			_, err := a.Apply(newEnv(h))
			h.arm(0, 0)
			what := fmt.Sprintf("crash %d of %d (mode %d, %v)", k, ops, mode, err)
			if k%2 == 0 {
				must(t, a.Undo(newEnv(h)))
				if there, err := exists(h, "/srv/kopano/.zcp2kopano-presync"); err != nil || there {
					t.Fatalf("%s: undone, the copy is there: %v, %v", what, there, err)
				}
				continue
			}
			if _, err := a.Apply(newEnv(h)); err != nil {
				t.Fatalf("%s, then: %v", what, err)
			}
			h.ahead = false
			want := moved(h.state(t), "/var/lib/zarafa")
			move := &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true}
			if _, err := move.Prepare(newEnv(h)); err != nil || !move.Ahead {
				t.Fatalf("%s: ahead %v: %v", what, move.Ahead, err)
			}
			_, err = move.Apply(newEnv(h))
			must(t, err)
			sameState(t, what, moved(h.state(t), "/srv/kopano"), want)
		}
	}
}

// What comes while attachments are copied ahead, and goes after the dump, is brought back with the dump.
func TestKeptAgainBeforeTheDump(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/zarafa/att")
	s.do(t, "r1-1-0", &Keep{Path: s.from, Of: s.from})
	must(t, s.Unlink("/var/lib/zarafa/att/"+nameOf(1)))
	s.put(t, s.from, 11, "mail 11, in the dump", 110)
	if s.do(t, "r1-2-0", &Keep{Path: s.from, Of: s.from}) == nil {
		t.Fatal("it is not kept again")
	}
	must(t, s.Unlink("/var/lib/zarafa/att/"+nameOf(11)))
	noted := s.do(t, "r1-3-0", &GiveBack{Path: s.from, Numbers: "instances"})
	env := s.env("r1-3-0")
	env.Restored = restoredTo(11)
	must(t, noted.Undo(env))
	files := s.files(t, s.from)
	if files[nameOf(11)] == "" || files[nameOf(1)] != "" {
		t.Errorf("there are %v", files)
	}
}

// What the host or this program keeps at the top of a mount is not copied ahead, and stays.
func TestMountOfItsOwnIsCopiedAhead(t *testing.T) {
	h := newTicking(twoDisks()...)
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	must(t, h.PutDir("/srv", 0o750, 110, 110))
	must(t, h.PutDir("/srv/lost+found", 0o700, 0, 0))
	must(t, h.PutDir("/var/lib/kopano", 0o750, 998, 998))
	put(t, h.fakeHost, "/srv/0/f", "x", 0o640, 110, 110)
	h.do(t, "r1-1-0", &Keep{Path: "/srv", Of: "/srv"})
	if made := h.do(t, "r1-2-0", &Presync{From: "/srv", To: "/var/lib/kopano"}); made != 2 {
		t.Errorf("made %d files, not one and the book", made)
	}
	for name := range h.state(t) {
		if strings.HasPrefix(name, "/var/lib/kopano/.zcp2kopano-presync/tree/") && !strings.HasPrefix(name, "/var/lib/kopano/.zcp2kopano-presync/tree/0") {
			t.Errorf("copied %s", name)
		}
	}
	h.do(t, "r1-3-0", &Presync{From: "/srv", To: "/var/lib/kopano", AtRest: true})
	h.do(t, "r1-4-0", &GiveBack{Path: "/srv", Numbers: "instances"})
	h.do(t, "r1-5-0", &Move{From: "/srv", To: "/var/lib/kopano", Contents: true})
	for name, want := range map[string]bool{"/srv/lost+found": true, "/var/lib/kopano/lost+found": false, "/srv/0": false, "/var/lib/kopano/0/f": true} {
		if there, err := exists(h, name); err != nil || there != want {
			t.Errorf("%s is there: %v, %v", name, there, err)
		}
	}
}
