package manifest

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func state(files map[string]Entry) *Manifest {
	return &Manifest{Files: files, Packages: map[string]string{}, Services: map[string]string{}}
}

var plain = Entry{Type: "file", Mode: "0644", Owner: "root", Group: "root", Size: 3, Digest: "aaaaaaaaaaaaaaaa"}

func TestCompareFindsEveryAspect(t *testing.T) {
	cases := map[string]func(*Entry){
		"type":    func(e *Entry) { e.Type = "dir" },
		"mode":    func(e *Entry) { e.Mode = "0640" },
		"owner":   func(e *Entry) { e.Group = "kopano" },
		"target":  func(e *Entry) { e.Target = "/x" },
		"content": func(e *Entry) { e.Digest = "bbbbbbbbbbbbbbbb" },
		"links":   func(e *Entry) { e.Links = 2 },
		"device":  func(e *Entry) { e.Device = 7 },
		"xattrs":  func(e *Entry) { e.Xattrs = map[string]string{"user.a": "00"} },
		"mtime":   func(e *Entry) { e.Mtime = "2026-01-01T00:00:00Z" },
	}
	for aspect, change := range cases {
		other := plain
		change(&other)
		found := false
		for _, d := range Compare(state(map[string]Entry{"/a": plain}), state(map[string]Entry{"/a": other}), nil) {
			found = found || d.Aspect == aspect
		}
		if !found {
			t.Errorf("a different %s is not found", aspect)
		}
	}
	if diffs := Compare(state(map[string]Entry{"/a": plain}), state(map[string]Entry{"/a": plain}), nil); len(diffs) != 0 {
		t.Errorf("equal states differ: %v", diffs)
	}
}

func TestCompareFindsMissing(t *testing.T) {
	left := state(map[string]Entry{"/a": plain})
	left.Packages["zarafa"], left.Services["zarafa-server"] = "7.2.6 installed", "active enabled"
	diffs := Compare(left, state(nil), nil)
	if len(diffs) != 3 || diffs[0].Aspect != "existence" || diffs[0].Right != "" {
		t.Errorf("got %v", diffs)
	}
}

func TestExcuses(t *testing.T) {
	other := plain
	other.Digest, other.Mode = "b", "0600"
	cases := []struct {
		name    string
		u       host.Unpredicted
		excused int
	}{
		{"whole entry", host.Unpredicted{Path: "/etc/a", Why: "x"}, 2},
		{"one aspect", host.Unpredicted{Path: "/etc/a", Aspect: "content"}, 1},
		{"glob", host.Unpredicted{Path: "/etc/*", Aspect: "mode"}, 1},
		{"directory above", host.Unpredicted{Path: "/etc"}, 2},
		{"another path", host.Unpredicted{Path: "/etc/b"}, 0},
		{"not about files", host.Unpredicted{What: "the network"}, 0},
	}
	for _, c := range cases {
		diffs := Compare(state(map[string]Entry{"/etc/a": plain}), state(map[string]Entry{"/etc/a": other}), []host.Unpredicted{c.u})
		if got := len(diffs) - len(Unexcused(diffs)); got != c.excused {
			t.Errorf("%s: %d of %d excused, want %d", c.name, got, len(diffs), c.excused)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table([]Difference{{Path: "/etc/a", Aspect: "mode", Left: "0644"}}, "simulated", "real")
	if lines := strings.Split(table, "\n"); len(lines) != 3 || !strings.Contains(lines[1], "0644") {
		t.Errorf("got\n%s", table)
	}
}
