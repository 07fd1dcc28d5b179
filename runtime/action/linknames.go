package action

import (
	"cmp"
	"encoding/binary"
	"slices"

	"zcp2kopano/runtime/host"
)

// linkNames are the names of files that have several, as a walk of one file system has met them: of each 16 bytes, and
// what it takes to write the name down. A tree can be such that all its files have two.
type linkNames struct {
	list  []linkName
	text  [][]byte // pieces of linkText bytes
	dev   uint64
	order bool // the list is in order
}

type linkName struct {
	ino uint64
	at  uint64 // where it is written: the piece, and the place in it
}

const linkText = 1 << 20

// linkGroup is a file with several names.
type linkGroup struct {
	id      inode
	nlink   uint64
	rels    []string // of its names, those that were met, in their order
	changes bool
}

func (n *linkNames) add(rel string, st host.Stat, changes bool) {
	var head [2*binary.MaxVarintLen64 + 1]byte
	if changes {
		head[0] = 1
	}
	used := 1 + binary.PutUvarint(head[1:], st.Nlink)
	used += binary.PutUvarint(head[used:], uint64(len(rel)))
	last := len(n.text) - 1
	if last < 0 || len(n.text[last])+used+len(rel) > linkText {
		n.text = append(n.text, make([]byte, 0, max(linkText, used+len(rel))))
		last++
	}
	n.list = append(n.list, linkName{st.Ino, uint64(last)<<32 | uint64(len(n.text[last]))})
	n.text[last] = append(append(n.text[last], head[:used]...), rel...)
	n.dev, n.order = st.Dev, false
}

func (n *linkNames) read(at uint64) (rel string, nlink uint64, changes bool) {
	text := n.text[at>>32][at&(1<<32-1):]
	changes, text = text[0] == 1, text[1:]
	nlink, used := binary.Uvarint(text)
	size, more := binary.Uvarint(text[used:])
	return string(text[used+more:][:size]), nlink, changes
}

// each visits the files, in any order.
func (n *linkNames) each(visit func(g linkGroup) error) error {
	if !n.order {
		slices.SortFunc(n.list, func(a, b linkName) int { return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.at, b.at)) })
		n.order = true
	}
	for from := 0; from < len(n.list); {
		g := linkGroup{id: inode{n.dev, n.list[from].ino}}
		for ; from < len(n.list) && n.list[from].ino == g.id.ino; from++ {
			rel, nlink, changes := n.read(n.list[from].at)
			if len(g.rels) == 0 {
				g.nlink = nlink
			}
			g.rels, g.changes = append(g.rels, rel), g.changes || changes
		}
		if err := visit(g); err != nil {
			return err
		}
	}
	return nil
}

// inodes are files of one file system, in order.
type inodes struct {
	dev  uint64
	list []uint64
}

func (s *inodes) has(st host.Stat) bool {
	if s == nil || st.Dev != s.dev {
		return false
	}
	_, found := slices.BinarySearch(s.list, st.Ino)
	return found
}
