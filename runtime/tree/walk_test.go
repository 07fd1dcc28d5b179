package tree

import (
	"errors"
	"testing"

	"zcp2kopano/runtime/host"
)

// oneOwner is a directory whose entries all belong to one user.
type oneOwner struct {
	host.DirReader
	uid uint32
}

func (d oneOwner) Lstat(string) (host.Stat, error) { return host.Stat{UID: d.uid}, nil }

// TestLooksAreUsedAgain: nothing of what was found at one entry is told of another that comes after it.
func TestLooksAreUsedAgain(t *testing.T) {
	w := Reader(t.Context(), nil)
	for range 100 { // a pool may lose what it is given
		stale := []looked{{name: "b", isDir: true, left: true, st: host.Stat{UID: 1}, more: "more", err: errors.New("of another")}}
		spareLooks.Put(&stale)
		got := w.look(oneOwner{uid: 7}, []host.DirEntry{{Name: "a"}}, "")
		if l := got[0]; len(got) != 1 || l.name != "a" || l.isDir || l.left || l.more != nil || l.err != nil || l.st.UID != 7 {
			t.Fatalf("%+v", got)
		}
	}
}
