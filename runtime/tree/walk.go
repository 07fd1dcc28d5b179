// Package tree goes through trees by open directories, so that a name which is exchanged meanwhile leads nowhere else: in order,
// one entry at a time (Walker), or in nobody's order in all lanes that the host has (Crew).
package tree

import (
	"context"
	"fmt"
	"sync"

	"zcp2kopano/runtime/host"
)

// Entry is one name below a walk's root.
type Entry[D host.DirReader] struct {
	Dir  D // holds the entry
	Name string
	Rel  string // path from the root of the walk
	Stat host.Stat
	Self D   // the entry itself, if it is a directory
	More any // what Walker.More has found
}

// Under is the path of a name in a directory of a walk; that of the root is empty.
func Under(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

// Lanes is how much can be done at a time below a directory.
func Lanes(dir host.DirReader) int {
	if p, ok := dir.(host.Parallel); ok {
		return p.Parallel()
	}
	return 1
}

// Walker visits all entries below a directory, one at a time, in order of name, those of a directory before itself.
// Where the host can do more than one thing at a time, it looks ahead: what comes next is read meanwhile.
// D is host.DirReader or host.Dir.
type Walker[D host.DirReader] struct {
	Ctx  context.Context
	Open func(dir D, name string) (D, error)
	// Visit is told the entry, and for a directory the open directory itself.
	Visit func(e Entry[D]) error
	// Mount gets a directory on another device; what lies below it is not visited. Nil
	// descends into it.
	Mount func(rel string) error
	// Leave reports what is not visited, nor what lies below it; nil leaves nothing out.
	Leave func(rel string) bool
	// InUse leaves out a directory that is gone, or another, since it was looked at; else that is an error.
	InUse bool
	// More looks closer at each entry, in all lanes where it looks ahead; nil does not.
	More func(dir D, name, rel string, st host.Stat) (any, error)
	// Ahead lets it look ahead. Then Visit may not change the tree.
	Ahead bool
}

// Reader is a Walker that reads, and looks ahead.
func Reader(ctx context.Context, visit func(Entry[host.DirReader]) error) Walker[host.DirReader] {
	return Walker[host.DirReader]{Ctx: ctx, Open: host.DirReader.OpenDir, Visit: visit, Ahead: true}
}

// Walk visits what is below dir, which has the path rel from the root and lies on device dev.
func (w *Walker[D]) Walk(dir D, rel string, dev uint64) error {
	list, err := dir.ReadDir()
	if w.InUse && host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.listed(dir, folder[D]{list: list}, rel, dev)
}

// How many entries are looked at by one that looks ahead, before they are visited: of a directory that the walk is in,
// and of one that it comes to. A closer look is left to all lanes.
const (
	strideAhead = 128
	firstAhead  = 512
)

// listed visits what a directory holds; f has its list, and perhaps the first looks.
func (w *Walker[D]) listed(dir D, f folder[D], rel string, dev uint64) error {
	n, stride := 1, 1
	if w.Ahead {
		if n = Lanes(dir); n > 1 {
			stride = strideAhead
		}
	}
	list, rest := f.list, f.list[len(f.first):]
	looks := inOrder(n, 1+(len(rest)+stride-1)/stride, func(i int) []looked {
		if i == 0 {
			return f.first
		}
		return w.look(dir, rest[(i-1)*stride:min(len(rest), i*stride)], rel)
	})
	folders := w.folders(n, dir, list, rel, dev)
	defer folders.drain(func(f folder[D]) { f.close() })
	defer looks.drain(func([]looked) {})
	for looks.more() {
		if err := w.Ctx.Err(); err != nil {
			return err
		}
		found := looks.next()
		for i := range found {
			var f folder[D]
			if found[i].isDir {
				f = folders.next()
			}
			if err := w.entry(dir, &found[i], f, rel, dev); err != nil {
				return err
			}
		}
		if len(found) > 0 {
			spareLooks.Put(&found)
		}
	}
	return nil
}

// looked is what a look at an entry found.
type looked struct {
	name  string
	isDir bool // by what the list of the directory says
	left  bool
	st    host.Stat
	more  any
	err   error
}

// spareLooks are lists that were visited, for those that come: a large tree would leave hundreds of megabytes to be
// collected.
var spareLooks sync.Pool

func takeLooks(n int) []looked {
	if spare, ok := spareLooks.Get().(*[]looked); ok && cap(*spare) >= n {
		return (*spare)[:n]
	}
	return make([]looked, n)
}

func (w *Walker[D]) look(dir D, list []host.DirEntry, rel string) []looked {
	out := takeLooks(len(list))
	for i, de := range list {
		l := &out[i]
		*l = looked{name: de.Name, isDir: de.Type.IsDir()}
		if l.left = w.Leave != nil && w.Leave(Under(rel, de.Name)); !l.left {
			l.st, l.err = dir.Lstat(de.Name)
			if l.err == nil && w.More != nil {
				l.more, l.err = w.More(dir, de.Name, Under(rel, de.Name), l.st)
			}
		}
	}
	return out
}

// folder is a directory that is read before the walk comes to it.
type folder[D host.DirReader] struct {
	open  bool
	dir   D
	list  []host.DirEntry
	first []looked // of the first in the list
	err   error
}

func (f folder[D]) close() {
	if f.open {
		f.dir.Close()
	}
}

// folders reads the directories that a directory holds, in their order, ahead of the walk, and looks at what is first in
// them: of small directories there are many, and each ends sooner than a look ahead in it alone could begin. One that is left
// out, or is a mount point, is for the walk to find out: it reads what is not read yet.
func (w *Walker[D]) folders(n int, dir D, list []host.DirEntry, rel string, dev uint64) *ordered[folder[D]] {
	var names []string
	for _, de := range list {
		if de.Type.IsDir() {
			names = append(names, de.Name)
		}
	}
	return inOrder(n, len(names), func(i int) (f folder[D]) {
		if n == 1 || w.Leave != nil && w.Leave(Under(rel, names[i])) {
			return f
		}
		if w.Mount != nil {
			if st, err := dir.Lstat(names[i]); err != nil || st.Dev != dev {
				return f
			}
		}
		if f.dir, f.err = w.Open(dir, names[i]); f.err != nil {
			return f
		}
		f.open = true
		if f.list, f.err = f.dir.ReadDir(); f.err == nil && w.More == nil {
			f.first = w.look(f.dir, f.list[:min(len(f.list), firstAhead)], Under(rel, names[i]))
		}
		return f
	})
}

func (w *Walker[D]) entry(dir D, l *looked, f folder[D], rel string, dev uint64) error {
	defer f.close()
	if l.left || host.Absent(l.err) {
		return nil
	}
	if l.err != nil {
		return l.err
	}
	e := Entry[D]{Dir: dir, Name: l.name, Rel: Under(rel, l.name), Stat: l.st, More: l.more}
	if !e.Stat.IsDir() {
		return w.Visit(e)
	}
	if e.Stat.Dev != dev && w.Mount != nil {
		return w.Mount(e.Rel)
	}
	if w.InUse && host.Absent(f.err) {
		return nil
	}
	if f.err != nil {
		return f.err
	}
	if f.open {
		return w.descend(e, f)
	}
	self, err := w.Open(dir, l.name)
	if w.InUse && host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer self.Close()
	if err := w.Walk(self, e.Rel, e.Stat.Dev); err != nil {
		return err
	}
	e.Self = self
	return w.Visit(e)
}

// descend goes through a directory that was read ahead.
func (w *Walker[D]) descend(e Entry[D], f folder[D]) error {
	now, err := f.dir.Self()
	if err != nil {
		return err
	}
	if err := host.Same(e.Stat, now); err != nil {
		if w.InUse {
			return nil
		}
		return fmt.Errorf("%s: %w", e.Rel, err)
	}
	if err := w.listed(f.dir, f, e.Rel, e.Stat.Dev); err != nil {
		return err
	}
	e.Self = f.dir
	return w.Visit(e)
}

// ordered makes things one after the other, up to so many ahead of the one that is asked for. With one at a time,
// each is made when it is asked for.
type ordered[T any] struct {
	count, begun, given int
	makes               func(i int) T
	ahead               []chan T // a ring; nil for one at a time
}

func inOrder[T any](ahead, count int, makes func(i int) T) *ordered[T] {
	o := &ordered[T]{count: count, makes: makes}
	if ahead = min(ahead, count); ahead > 1 {
		o.ahead = make([]chan T, ahead)
	}
	return o
}

func (o *ordered[T]) more() bool { return o.given < o.count }

func (o *ordered[T]) next() T {
	i := o.given
	o.given++
	if o.ahead == nil {
		return o.makes(i)
	}
	for ; o.begun < min(o.count, i+len(o.ahead)); o.begun++ {
		made := make(chan T, 1)
		o.ahead[o.begun%len(o.ahead)] = made
		go func(n int) { made <- o.makes(n) }(o.begun)
	}
	return <-o.ahead[i%len(o.ahead)]
}

// drain waits for what is being made, and hands over what nobody asked for.
func (o *ordered[T]) drain(unasked func(T)) {
	for ; o.ahead != nil && o.given < o.begun; o.given++ {
		unasked(<-o.ahead[o.given%len(o.ahead)])
	}
}
