package action

import (
	"errors"
	"io/fs"
	"testing"

	"zcp2kopano/runtime/host"
)

// TestExchangedIsRefused: what has another's name since it was looked at is neither read nor changed for it. The races try
// the same, and meet few of these instants.
func TestExchangedIsRefused(t *testing.T) {
	open := func(t *testing.T, h *fakeHost, name string) host.Dir {
		d, err := h.OpenTreeWrite(name)
		must(t, err)
		t.Cleanup(func() { d.Close() })
		return d
	}
	look := func(t *testing.T, h *fakeHost, name string) host.Stat {
		st, err := h.Lstat(name)
		must(t, err)
		return st
	}
	for what, use := range map[string]func(t *testing.T, h *fakeHost) error{
		"a directory to be copied": func(t *testing.T, h *fakeHost) error {
			c := &treeCopy{copier: newCopier(newEnv(h), "copy", size{})}
			return c.openCopy(&copiedDir{src: open(t, h, "/srv/other"), above: open(t, h, "/srv"), name: "copy"}, look(t, h, "/srv/dir"))
		},
		"a directory that was copied": func(t *testing.T, h *fakeHost) error {
			f := &copiedDir{dst: open(t, h, "/srv/other"), above: open(t, h, "/srv"), name: "dir", m: meta{uid: 5, mode: 0o777}}
			return f.complete(true)
		},
		"a draft": func(t *testing.T, h *fakeHost) error {
			n := &draft{dst: open(t, h, "/srv/dir"), tmp: "a", st: look(t, h, "/srv/dir/a"), ino: look(t, h, "/srv/other/a").Ino}
			return newCopier(newEnv(h), "copy", size{}).verify(n, false)
		},
		"a directory in a file's place": func(t *testing.T, h *fakeHost) error {
			a := &Chown{Path: "/srv", Owner: "5"}
			return a.leaf(func(e changeable, st host.Stat) error { return e.Chown(5, 5) })(open(t, h, "/srv"), "dir")
		},
	} {
		h := newFake()
		put(t, h, "/srv/dir/a", "content", 0o644, 0, 0)
		put(t, h, "/srv/other/a", "content", 0o644, 0, 0)
		start := h.state(t)
		if err := use(t, h); !errors.Is(err, host.ErrExchanged) {
			t.Errorf("%s: got %v", what, err)
		}
		sameState(t, what, h.state(t), start)
	}
}

// TestSetidIsNotGivenToAnother: a file that has the name of one with setuid by now gets neither the bit nor the mode.
func TestSetidIsNotGivenToAnother(t *testing.T) {
	h := newFake()
	put(t, h, "/srv/dir/tool", "another", 0o600, 110, 110)
	st, err := h.Lstat("/srv/dir/tool")
	must(t, err)
	start := h.state(t)
	was := attrs{UID: 0, Mode: fs.ModeSetuid | 0o755}
	a := &Chown{Path: "/srv/dir", Recursive: true}
	must(t, a.setModes(newEnv(h), []exception{{"tool", was, st.Ino + 1}}, func(old attrs) fs.FileMode { return old.Mode }))
	sameState(t, "another file", h.state(t), start)
	must(t, a.setModes(newEnv(h), []exception{{"tool", was, st.Ino}}, func(old attrs) fs.FileMode { return old.Mode }))
	if st, err = h.Lstat("/srv/dir/tool"); err != nil || st.Mode&fs.ModeSetuid == 0 {
		t.Errorf("the file itself has the mode %v (%v)", st.Mode, err)
	}
}
