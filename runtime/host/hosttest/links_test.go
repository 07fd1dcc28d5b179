package hosttest

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim/simfs"
)

// linked is a tree with symlinks of every kind: to a directory, absolute and relative, to a file, to
// another symlink, to nothing, in a circle.
var linked = []op{
	{name: "mkdir", path: "/srv", mode: 0o755},
	{name: "mkdir", path: "/srv/d", mode: 0o755},
	{name: "mkdir", path: "/srv/d/full", mode: 0o755},
	{name: "create", path: "/srv/d/full/f", mode: 0o644},
	{name: "mkdir", path: "/srv/d/empty", mode: 0o755},
	{name: "create", path: "/srv/d/f", mode: 0o644},
	{name: "symlink", path: "/abs", to: "/srv/d"},
	{name: "symlink", path: "/srv/rel", to: "d"},
	{name: "symlink", path: "/chain", to: "srv/rel"},
	{name: "symlink", path: "/file", to: "/srv/d/f"},
	{name: "symlink", path: "/dangling", to: "/srv/none"},
	{name: "symlink", path: "/circle", to: "circle"},
}

// linkedPaths lead through, to, and beside these symlinks.
func linkedPaths() (paths []string) {
	for _, link := range []string{"/abs", "/chain", "/file", "/dangling", "/circle"} {
		paths = append(paths, link, link+"/", link+"/..", link+"/new")
	}
	return append(paths, "/abs/f", "/srv/rel/empty", "/chain/full", "/abs/full/f", "/srv/rel/full/")
}

// TestLinkedPaths does every operation by path through every kind of symlink, on the live host and on the
// simulated one: both have the same outcome and leave the same tree.
func TestLinkedPaths(t *testing.T) {
	var fsOps []string
	for _, name := range opNames {
		if !strings.Contains(name, ".") && !slices.Contains(fsOps, name) {
			fsOps = append(fsOps, name)
		}
	}
	for _, name := range fsOps {
		t.Run(name, func(t *testing.T) {
			for _, path := range linkedPaths() {
				for _, o := range linkedOps(name, path) {
					compareHosts(t, o)
				}
			}
		})
	}
}

func linkedOps(name, path string) []op {
	o := op{name: name, path: path, mode: 0o750, uid: -1, gid: -1, num: 1}
	switch name {
	case "rename", "link":
		var all []op
		for _, other := range []string{"/srv/d/f", "/abs/full", "/chain/other"} {
			there, back := o, o
			there.to, back.path, back.to = other, other, path
			all = append(all, there, back)
		}
		return all
	case "symlink":
		o.to = "anywhere"
	case "mknod":
		o.mode, o.num = 0o640|fs.ModeNamedPipe, 0
	case "setxattr", "getxattr", "removexattr":
		o.to = "user.a"
	}
	return []op{o}
}

func compareHosts(t *testing.T, o op) {
	t.Helper()
	machine, err := live.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	sim := simfs.New(simfs.Options{})
	defer sim.Close()
	simAnswer, simTree, simErr := playOn(t, sim, o)
	liveAnswer, liveTree, liveErr := playOn(t, machine, o)
	if !sameError(simErr, liveErr) || simAnswer != liveAnswer {
		t.Errorf("%v\n  simulated: %q %v\n  live:      %q %v", o, simAnswer, simErr, liveAnswer, liveErr)
	}
	if d := diff(simTree, liveTree); d != "" {
		t.Errorf("%v (%v): trees differ\n%s", o, simErr, d)
	}
}

func playOn(t *testing.T, f FS, o op) (answer string, tree map[string]string, err error) {
	t.Helper()
	p := &player{fs: f}
	defer p.close()
	for _, made := range linked {
		if _, err := p.play(made); err != nil {
			t.Fatalf("%v: %v", made, err)
		}
	}
	answer, err = p.play(o)
	entries, walkErr := snapshot(f)
	if walkErr != nil {
		t.Fatalf("%v: %v", o, walkErr)
	}
	return answer, whats(entries), err
}
