package action

import (
	"bufio"
	"bytes"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"zcp2kopano/runtime/host"
)

// What came into a tree after its owners were changed is no difference, and is named; what is gone, or has
// another owner than before, is one.
func TestChownTellsWhatCameLater(t *testing.T) {
	env, _ := liveEnv(t)
	for _, dir := range []string{"/tree", "/tree/1", "/tree/2"} {
		must(t, env.Host.Mkdir(dir, 0o750))
		must(t, env.Host.Lchown(dir, 110, 110))
	}
	add := func(name string, uid int) {
		f, err := env.Host.Create(name, 0o640)
		must(t, errors.Join(err, f.Close(), env.Host.Lchown(name, uid, uid)))
	}
	for _, name := range []string{"/tree/1/10", "/tree/1/11", "/tree/2/20", "/tree/2/21"} {
		add(name, 110)
	}
	a := &Chown{Path: "/tree", Recursive: true, Users: map[string]string{"110": "998"}, Groups: map[string]string{"110": "998"}}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)
	must(t, env.Host.Mkdir("/tree/3", 0o750))
	must(t, env.Host.Lchown("/tree/3", 998, 998))
	add("/tree/1/105", 998)
	add("/tree/3/30", 998)
	must(t, a.Undo(env))
	lines, err := a.Differences(env)
	if err != nil || len(lines) > 0 {
		t.Errorf("differences %q, %v", lines, err)
	}
	if want := "3 below /tree: 1/105, 3/30, 3"; a.Since() != want {
		t.Errorf("came since: %q, want %q", a.Since(), want)
	}
	must(t, setAside(env, "/tree/2/21"))
	if lines, err := a.Differences(env); err != nil || len(lines) > 0 {
		t.Errorf("of what was moved aside: differences %q, %v", lines, err)
	}
	must(t, env.Host.Unlink("/tree/1/11"))
	must(t, env.Host.Lchown("/tree/2/20", 5, 5))
	lines, err = a.Differences(env)
	want := []string{"/tree: 1 of 7 entries are gone: 1/11", "/tree: 1 of 7 entries have not the old owner or mode: 2/20"}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("differences %q, %v", lines, err)
	}
}

// What went with a package that somebody has purged is no difference: it came with the run. What the package that is still
// there had is one.
func TestChownOfWhatIsPurged(t *testing.T) {
	s := scenario{act: func() Action {
		return &Chown{Path: "/etc/kopano", Recursive: true, Users: map[string]string{"0": "998"}}
	}, setup: func(t tester, h *fakeHost) {
		must(t, h.PutDir("/etc/kopano", 0o750, 0, 0))
		for _, name := range []string{"dagent.cfg", "search.cfg"} {
			put(t, h, "/etc/kopano/"+name, "shipped", 0o640, 0, 0)
		}
		h.packages["kopano-dagent"] = host.Package{Name: "kopano-dagent", Version: "8", Status: "installed"}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	tr.env.Arrived = map[string][]string{"kopano-search": {"/etc/kopano/search.cfg"}, "kopano-dagent": {"/etc/kopano/dagent.cfg"}}
	must(t, tr.FS.Unlink("/etc/kopano/search.cfg"))
	for _, want := range []string{"", "/etc/kopano: 1 of 3 entries are gone: dagent.cfg"} {
		a := tr.action(t).(*Chown)
		must(t, a.Undo(tr.env))
		lines, err := a.Differences(tr.env)
		if text := strings.Join(lines, "\n"); err != nil || text != want {
			t.Errorf("differences %q, %v; want %q", text, err, want)
		}
		if want == "" {
			must(t, tr.FS.Unlink("/etc/kopano/dagent.cfg"))
		}
	}
}

// A roster holds any names, in the order of the walk.
func TestRoster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) string {
			return path.Clean(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "a b", "\xff", "\n", "é"}), 1, 4).Draw(t, "name"), "/"))
		}), func(s string) string { return s }).Draw(t, "names")
		slices.SortFunc(names, walkOrder)
		var kept bytes.Buffer
		w := roster{w: &kept}
		for _, name := range names {
			must(t, w.add(name))
		}
		r := rosterReader{in: bufio.NewReader(&kept)}
		var read []string
		for must(t, r.next()); !r.done; must(t, r.next()) {
			read = append(read, r.name)
		}
		if !slices.Equal(read, names) {
			t.Fatalf("%q became %q", names, read)
		}
		for i, name := range names {
			for _, later := range names[i+1:] {
				if strings.HasPrefix(later, name+"/") {
					t.Fatalf("%q stands before what is in it: %q", name, later)
				}
			}
		}
	})
}
