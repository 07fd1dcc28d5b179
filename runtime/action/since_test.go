package action

import (
	"context"
	"fmt"
	"io"
	"maps"
	"testing"

	"zcp2kopano/runtime/host"
)

// nothingKept wants that nothing counts as changed since.
func (tr *trial) nothingKept(t tester, what string) {
	t.Helper()
	if kept := tr.kept(t); len(kept) > 0 {
		t.Fatalf("%s: nobody changed anything, and this is kept: %q", what, kept)
	}
}

// kept is what is in Since: content, or the target of a symlink, by path.
func (tr *trial) kept(t tester) map[string]string {
	t.Helper()
	names, err := tr.env.Store.Changed(context.Background())
	must(t, err)
	found := map[string]string{}
	for _, name := range names {
		found[name] = tr.text(t, tr.env.Store.Since()+name)
	}
	return found
}

func (tr *trial) text(t tester, name string) string {
	t.Helper()
	if target, err := tr.Readlink(name); err == nil {
		return "-> " + target
	}
	f, err := tr.Open(name)
	must(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	must(t, err)
	return string(data)
}

// TestChangedSince changes what an action made, and undoes the action, with a crash at each of its
// changes: the start is there again, and what the change held is kept.
func TestChangedSince(t *testing.T) {
	const old = "/var/lib/kopano"
	for _, tc := range []struct {
		scenario
		change func(t tester, h *fakeHost)
		want   map[string]string
	}{
		{
			scenario: scenario{
				name:  "written file edited",
				setup: func(t tester, h *fakeHost) { put(t, h, "/etc/a", "before", 0o640, 0, 110) },
				act:   func() Action { return &Write{Path: "/etc/a", Content: []byte("by the run")} },
			},
			change: func(t tester, h *fakeHost) { put(t, h, "/etc/a", "by the admin", 0o640, 0, 110) },
			want:   map[string]string{"/etc/a": "by the admin"},
		},
		{
			scenario: scenario{
				name:  "written file replaced by a symlink",
				setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/etc", 0o755, 0, 0)) },
				act:   func() Action { return &Write{Path: "/etc/a", Content: []byte("by the run")} },
			},
			change: func(t tester, h *fakeHost) {
				must(t, h.Unlink("/etc/a"))
				must(t, h.PutSymlink("/etc/a", "/root/mine", 0, 0))
			},
			want: map[string]string{"/etc/a": "-> /root/mine"},
		},
		{
			scenario: scenario{
				name:  "written file put back by hand",
				setup: func(t tester, h *fakeHost) { put(t, h, "/etc/a", "before", 0o640, 0, 110) },
				act:   func() Action { return &Write{Path: "/etc/a", Content: []byte("by the run")} },
			},
			change: func(t tester, h *fakeHost) { put(t, h, "/etc/a", "before", 0o600, 0, 0) },
			want:   map[string]string{},
		},
		{
			scenario: scenario{
				name:  "symlink replaced by a file",
				setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/etc", 0o755, 0, 0)) },
				act:   func() Action { return &Symlink{Path: "/etc/l", Target: "a"} },
			},
			change: func(t tester, h *fakeHost) {
				must(t, h.Unlink("/etc/l"))
				put(t, h, "/etc/l", "mine", 0o600, 0, 0)
			},
			want: map[string]string{"/etc/l": "mine"},
		},
		{
			scenario: scenario{
				name:  "directory filled",
				setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/var/lib", 0o755, 0, 0)) },
				act:   func() Action { return &Mkdir{Path: old + "/att", Parents: true} },
			},
			change: func(t tester, h *fakeHost) {
				must(t, h.PutDir(old+"/att/1", 0o700, 998, 998))
				put(t, h, old+"/att/1/7.gz", "mail", 0o600, 998, 998)
				put(t, h, old+"/index", "words", 0o600, 998, 998)
			},
			want: map[string]string{old + "/att/1/7.gz": "mail", old + "/index": "words"},
		},
		{
			scenario: scenario{
				name:   "directory filled on another disk",
				mounts: twoDisks(),
				setup:  func(t tester, h *fakeHost) { must(t, h.PutDir("/srv", 0o755, 0, 0)) },
				act:    func() Action { return &Mkdir{Path: "/srv/att"} },
			},
			change: func(t tester, h *fakeHost) {
				must(t, h.PutDir("/srv/att/1", 0o700, 998, 998))
				put(t, h, "/srv/att/1/7.gz", "mail", 0o600, 998, 998)
			},
			want: map[string]string{"/srv/att/1/7.gz": "mail"},
		},
		{
			scenario: scenario{
				name:  "copy edited and added to",
				setup: func(t tester, h *fakeHost) { plant(t, h, "/etc/zarafa") },
				act:   func() Action { return &Copy{From: "/etc/zarafa", To: "/etc/zarafa.bak"} },
			},
			change: func(t tester, h *fakeHost) {
				put(t, h, "/etc/zarafa.bak/sub/b", "edited", 0o640, 110, 110)
				put(t, h, "/etc/zarafa.bak/new", "added", 0o600, 0, 0)
			},
			want: map[string]string{"/etc/zarafa.bak/sub/b": "edited", "/etc/zarafa.bak/new": "added"},
		},
		{
			scenario: scenario{
				name:  "configuration file of a package edited",
				setup: zarafaInstalled,
				act:   func() Action { return &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}} },
			},
			change: func(t tester, h *fakeHost) { put(t, h, "/etc/kopano-server/main.cfg", "edited", 0o640, 0, 998) },
			want:   map[string]string{"/etc/kopano-server/main.cfg": "edited"},
		},
		{
			scenario: scenario{
				name:  "configuration file of a purged package written by hand",
				setup: zarafaInstalled,
				act: func() Action {
					return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Purge: true}}
				},
			},
			change: func(t tester, h *fakeHost) {
				must(t, h.PutDir("/etc/zarafa-server", 0o755, 0, 0))
				put(t, h, "/etc/zarafa-server/main.cfg", "from memory", 0o600, 0, 0)
			},
			want: map[string]string{"/etc/zarafa-server/main.cfg": "from memory"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin := func() (*trial, map[string]string) {
				tr := tc.start(t)
				start := tr.state(t)
				must(t, tr.prepare(t, tc.act()))
				must(t, tr.apply(t))
				tc.change(t, tr.fakeHost)
				return tr, start
			}
			tr, _ := begin()
			tr.arm(0, 0)
			must(t, tr.undo(t))
			ops := tr.ops
			for mode := before; mode <= failure; mode++ {
				for k := range ops + 1 {
					tr, start := begin()
					tr.arm(k, mode)
					err := tr.undo(t)
					tr.arm(0, 0)
					what := fmt.Sprintf("crash %d (mode %d, %v) in Undo, then Undo", k, mode, err)
					if err := tr.undo(t); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					sameState(t, what, tr.state(t), start)
					if got := tr.kept(t); !maps.Equal(got, tc.want) {
						t.Fatalf("%s: kept %q, want %q", what, got, tc.want)
					}
				}
			}
		})
	}
}

// openings counts how often each directory is opened.
type openings struct {
	*fakeHost
	of map[string]int
}

func (h openings) OpenTree(p string) (host.DirReader, error) {
	h.of[p]++
	return h.fakeHost.OpenTree(p)
}

// TestUndoneCopyOpensSourcesOnce has an attachment store: a few directories, many files.
func TestUndoneCopyOpensSourcesOnce(t *testing.T) {
	s := scenario{
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/srv/old", 0o700, 110, 110))
			for dir := range 3 {
				must(t, h.PutDir(fmt.Sprintf("/srv/old/%d", dir), 0o700, 110, 110))
				for file := range 20 {
					put(t, h, fmt.Sprintf("/srv/old/%d/%d.gz", dir, file), "mail", 0o600, 110, 110)
				}
			}
		},
		act: func() Action { return &Copy{From: "/srv/old", To: "/srv/new"} },
	}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	h := openings{tr.fakeHost, map[string]int{}}
	tr.env.Host = h
	must(t, tr.undo(t))
	tr.nothingKept(t, "Undo")
	for dir := range 3 {
		if n := h.of[fmt.Sprintf("/srv/old/%d", dir)]; n != 1 {
			t.Errorf("source directory %d is opened %d times", dir, n)
		}
	}
}
