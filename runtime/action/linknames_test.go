package action

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// All names of each file come together, in their order, whatever was met between them.
func TestLinkNames(t *testing.T) {
	dice := chance.Rand(t, 79)
	names, want := &linkNames{}, map[uint64]*linkGroup{}
	for i := range 50_000 {
		ino := dice.Uint64N(20_000)
		rel := fmt.Sprintf("%s/%d", strings.Repeat("x", dice.IntN(40)), i)
		st := host.Stat{Dev: 7, Ino: ino, Nlink: 2 + ino%300}
		changes := dice.IntN(3) == 0
		names.add(rel, st, changes)
		g := want[ino]
		if g == nil {
			g = &linkGroup{id: inode{7, ino}, nlink: st.Nlink}
			want[ino] = g
		}
		g.rels, g.changes = append(g.rels, rel), g.changes || changes
	}
	long := strings.Repeat("y", linkText+1)
	names.add(long, host.Stat{Dev: 7, Ino: 1 << 60, Nlink: 2}, false)
	want[1<<60] = &linkGroup{id: inode{7, 1 << 60}, nlink: 2, rels: []string{long}}
	for range 2 {
		met := 0
		err := names.each(func(g linkGroup) error {
			w := want[g.id.ino]
			if w == nil || g.id != w.id || g.nlink != w.nlink || g.changes != w.changes || !slices.Equal(g.rels, w.rels) {
				t.Fatalf("inode %d: %+v, want %+v", g.id.ino, g, w)
			}
			met++
			return nil
		})
		if err != nil || met != len(want) {
			t.Errorf("%d files, want %d (%v)", met, len(want), err)
		}
	}
	if room := (cap(names.list)*16 + len(names.text.pieces)*linkText) / len(names.list); room > 100 {
		t.Errorf("a name takes %d bytes", room)
	}
}

// Each further name of a file leads to its first, wherever that is written, and when all were met nothing is kept.
func TestCopiedNames(t *testing.T) {
	dice := chance.Rand(t, 80)
	names := &copiedNames{known: map[inode]copiedName{}}
	roots := []*copyRoot{{"/one"}, {"/two"}}
	firsts, met, most := map[uint64]linked{}, map[uint64]uint64{}, 0
	var order []uint64
	for ino := range uint64(3000) {
		order = append(order, slices.Repeat([]uint64{ino}, int(2+ino%3))...)
	}
	dice.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i, ino := range order {
		here := linked{roots[i*2/len(order)], fmt.Sprintf("%s/%d", strings.Repeat("x", dice.IntN(2000)), i)}
		first, again := names.meet(host.Stat{Dev: 7, Ino: ino, Nlink: 2 + ino%3}, here)
		if met[ino]++; met[ino] == 1 {
			firsts[ino] = here
		}
		if again != (met[ino] > 1) || first != firsts[ino] {
			t.Fatalf("name %d of inode %d: %v, %v", met[ino], ino, first, again)
		}
		most = max(most, len(names.text.pieces))
	}
	left := 0
	for _, piece := range names.text.pieces {
		left += len(piece)
	}
	if len(names.known) > 0 || left > 0 || most < 2 || len(names.roots) != len(roots) {
		t.Errorf("%d files and %d bytes are kept, of %d pieces; %d roots", len(names.known), left, most, len(names.roots))
	}
}

func TestInodes(t *testing.T) {
	set := &inodes{dev: 7, list: []uint64{1, 5, 9}}
	for st, want := range map[host.Stat]bool{{Dev: 7, Ino: 5}: true, {Dev: 8, Ino: 5}: false, {Dev: 7, Ino: 4}: false} {
		if set.has(st) != want {
			t.Errorf("%d:%d", st.Dev, st.Ino)
		}
	}
	if (*inodes)(nil).has(host.Stat{}) {
		t.Error("nothing has something")
	}
}

// A copy remembers a file with several names as long as names may come, and no longer.
func TestCopyForgetsFilesThatAreWhole(t *testing.T) {
	h := newFake()
	put(t, h, "/etc/tree/a/x", "x", 0o600, 0, 0)
	must(t, h.PutLink("/etc/tree/a/x", "/etc/tree/b/x"))
	put(t, h, "/etc/tree/a/y", "y", 0o600, 0, 0)
	must(t, h.PutLink("/etc/tree/a/y", "/etc/outside"))
	c := newCopier(newEnv(h), "copy", size{})
	must(t, c.place("/etc/tree", "/etc/copy"))
	left := slices.Collect(maps.Values(c.links.known))
	if len(left) != 1 || c.links.linked(left[0]).rel != "a/y" || left[0].met != 1 {
		t.Errorf("it remembers %+v", left)
	}
	one, err := h.Lstat("/etc/copy/a/x")
	must(t, err)
	two, err := h.Lstat("/etc/copy/b/x")
	must(t, err)
	if one.Ino != two.Ino {
		t.Error("the names are of two files")
	}
}
