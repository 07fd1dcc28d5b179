package action

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// randomTree fills a directory with whatever a directory can hold.
func randomTree(rt *rapid.T, h *fakeHost, top string) {
	owners := rapid.SampledFrom([]uint32{0, 5, 110, 998})
	modes := rapid.SampledFrom([]fs.FileMode{0o600, 0o644, 0o755, fs.ModeSetuid | 0o755, fs.ModeSetgid | 0o711})
	must(rt, h.PutDir(top, 0o755, owners.Draw(rt, "owner"), 0))
	dirs, files := []string{top}, []string{}
	for i := range rapid.IntRange(0, 12).Draw(rt, "entries") {
		name := path.Join(rapid.SampledFrom(dirs).Draw(rt, "in"), fmt.Sprintf("%d", i))
		uid, gid := owners.Draw(rt, "uid"), owners.Draw(rt, "gid")
		switch rapid.IntRange(0, 5).Draw(rt, "type") {
		case 0:
			must(rt, h.PutDir(name, fs.ModeSetgid|0o750, uid, gid))
			dirs = append(dirs, name)
		case 1:
			must(rt, h.PutSymlink(name, rapid.SampledFrom([]string{"/etc/shadow", "..", "nowhere"}).Draw(rt, "target"), uid, gid))
		case 2:
			must(rt, h.PutNode(name, fs.ModeNamedPipe|0o600, 0, uid, gid))
		case 3:
			if len(files) > 0 {
				must(rt, h.PutLink(rapid.SampledFrom(files).Draw(rt, "link"), name))
				continue
			}
			fallthrough
		default:
			content := rapid.StringN(0, 20, 40).Draw(rt, "content")
			must(rt, h.PutFile(name, []byte(content), modes.Draw(rt, "mode"), uid, gid, long))
			files = append(files, name)
		}
	}
}

func randomAction(rt *rapid.T) Action {
	to := rapid.SampledFrom([]string{"/var/new", "/srv/new"}).Draw(rt, "to")
	mode := func(name string) *fs.FileMode {
		return rapid.SampledFrom([]*fs.FileMode{nil, ptr(fs.FileMode(0o640))}).Draw(rt, name)
	}
	switch rapid.IntRange(0, 5).Draw(rt, "kind") {
	case 0:
		return &Remove{Path: rapid.SampledFrom([]string{"/var/old", "/srv/other"}).Draw(rt, "path")}
	case 1:
		return &Copy{From: "/var/old", To: to}
	case 2:
		return &Copy{From: "/var/old", To: "/srv/other", Contents: true, Overwrite: true}
	case 3:
		return &Move{From: "/var/old", To: to}
	case 4:
		return &Move{From: "/var/old", To: "/srv/other", Contents: true}
	default:
		users := rapid.SampledFrom([]map[string]string{{"zarafa": "kopano"}, {"zarafa": "kopano", "5": "kopano"}, {"0": "5"}}).Draw(rt, "users")
		return &Chown{Path: "/var/old", Recursive: true, Users: users, Group: "kopano",
			FileMode: mode("files"), DirMode: mode("dirs"), Filter: rapid.SampledFrom([]string{"", "1*"}).Draw(rt, "filter")}
	}
}

// TestRandomTrees crashes tree actions twice, at random, on random trees.
func TestRandomTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenario{mounts: twoDisks(), setup: func(t tester, h *fakeHost) {
			randomTree(rt, h, "/var/old")
			randomTree(rt, h, "/srv/other")
		}}
		tr := s.start(rt)
		a := randomAction(rt)
		must(rt, a.Stage(tr.env))
		start := tr.state(rt)
		needed, err := a.Prepare(tr.env)
		if err != nil || !needed {
			sameState(rt, "refused", tr.state(rt), start)
			return
		}
		tr.kind, tr.data = a.Kind(), mustJSON(rt, a)

		mode := rapid.SampledFrom([]crashMode{before, after, failure}).Draw(rt, "mode")
		tr.arm(rapid.IntRange(1, 60).Draw(rt, "crash in Apply"), mode)
		_ = tr.apply(rt)
		tr.arm(0, 0)
		if rapid.Bool().Draw(rt, "finish") {
			must(rt, tr.apply(rt))
			if c, ok := a.(*Copy); ok && !c.Contents {
				sameState(rt, "the copy", subtree(tr.state(rt), c.To), subtree(start, c.From))
			}
		}
		tr.arm(rapid.IntRange(1, 60).Draw(rt, "crash in Undo"), mode)
		_ = tr.undo(rt)
		tr.arm(0, 0)
		must(rt, tr.undo(rt))
		sameState(rt, "Undo", tr.state(rt), start)
	})
}

// subtree is the part of a state that lies at or below a path, by relative path.
func subtree(state map[string]string, top string) map[string]string {
	part := map[string]string{}
	for name, line := range state {
		if rel, ok := strings.CutPrefix(name, "links of "+top); ok {
			part["links of "+rel] = strings.ReplaceAll(line, top, "")
		} else if rel, ok := strings.CutPrefix(name, top); ok && (rel == "" || rel[0] == '/') {
			part[rel] = line
		}
	}
	return part
}
