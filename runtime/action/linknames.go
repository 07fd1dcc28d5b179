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
	text  nameTexts
	dev   uint64
	order bool // the list is in order
}

type linkName struct {
	ino uint64
	at  uint64 // where it is written
}

// nameTexts are written one behind the other, in pieces of linkText bytes: a text takes no more than its bytes, and there is
// nothing that a collection of garbage has to look through. A piece whose texts were all dropped is given back.
type nameTexts struct {
	pieces [][]byte
	kept   []int // texts in each
}

const linkText = 1 << 20

// write returns where it is: the piece, and the place in it.
func (t *nameTexts) write(head []byte, rel string) (at uint64) {
	size, last := len(head)+len(rel), len(t.pieces)-1
	if last < 0 || len(t.pieces[last])+size > linkText {
		t.pieces = append(t.pieces, make([]byte, 0, max(linkText, size)))
		t.kept = append(t.kept, 0)
		last++
	}
	at = uint64(last)<<32 | uint64(len(t.pieces[last]))
	t.pieces[last] = append(append(t.pieces[last], head...), rel...)
	t.kept[last]++
	return at
}

// read returns what is written from there on.
func (t *nameTexts) read(at uint64) []byte { return t.pieces[at>>32][at&(1<<32-1):] }

func (t *nameTexts) drop(at uint64) {
	piece := int(at >> 32)
	if t.kept[piece]--; t.kept[piece] > 0 {
		return
	}
	if piece == len(t.pieces)-1 {
		t.pieces[piece] = t.pieces[piece][:0]
	} else {
		t.pieces[piece] = nil
	}
}

// copiedNames are the first names of files with several, of which more may come.
type copiedNames struct {
	known map[inode]copiedName
	roots []*copyRoot
	text  nameTexts
}

type copiedName struct {
	at        uint64 // where it is written, behind its length
	root, met uint32 // in which root it is, and how many names were met
}

// meet notes a name of a file, and returns where its first name is, and whether that is another one. What has been met by
// all its names is forgotten: a tree can be such that all its files have two.
func (n *copiedNames) meet(st host.Stat, here linked) (first linked, again bool) {
	id := inode{st.Dev, st.Ino}
	f, again := n.known[id]
	if !again {
		f = n.note(here)
	}
	first = n.linked(f)
	if f.met++; uint64(f.met) < st.Nlink {
		n.known[id] = f
	} else {
		delete(n.known, id)
		n.text.drop(f.at)
	}
	return first, again
}

func (n *copiedNames) note(l linked) copiedName {
	if last := len(n.roots) - 1; last < 0 || n.roots[last] != l.root {
		n.roots = append(n.roots, l.root)
	}
	var head [binary.MaxVarintLen64]byte
	used := binary.PutUvarint(head[:], uint64(len(l.rel)))
	return copiedName{at: n.text.write(head[:used], l.rel), root: uint32(len(n.roots) - 1)}
}

func (n *copiedNames) linked(f copiedName) linked {
	text := n.text.read(f.at)
	size, used := binary.Uvarint(text)
	return linked{root: n.roots[f.root], rel: string(text[used:][:size])}
}

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
	n.list = append(n.list, linkName{st.Ino, n.text.write(head[:used], rel)})
	n.dev, n.order = st.Dev, false
}

func (n *linkNames) read(at uint64) (rel string, nlink uint64, changes bool) {
	text := n.text.read(at)
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
