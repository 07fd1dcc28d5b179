package action

import (
	"context"
	"fmt"
	"sync"

	"zcp2kopano/runtime/host"
)

// entry is one name below a walk's root.
type entry[D host.DirReader] struct {
	dir  D // holds the entry
	name string
	rel  string // path from the root of the walk
	st   host.Stat
	self D   // the entry itself, if it is a directory
	more any // what walker.more has found
}

// under is the path of a name in a directory of a walk; that of the root is empty.
func under(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

// lanes is how much can be done at a time below a directory.
func lanes(dir host.DirReader) int {
	if p, ok := dir.(host.Parallel); ok {
		return p.Parallel()
	}
	return 1
}

// walker visits all entries below a directory, one at a time, in order of name, those of a directory before itself.
// Where the host can do more than one thing at a time, it looks ahead: what comes next is read meanwhile.
// D is host.DirReader or host.Dir.
type walker[D host.DirReader] struct {
	ctx  context.Context
	open func(dir D, name string) (D, error)
	// visit is told the entry, and for a directory the open directory itself.
	visit func(e entry[D]) error
	// mount gets a directory on another device; what lies below it is not visited. Nil
	// descends into it.
	mount func(rel string) error
	// leave reports what is not visited, nor what lies below it; nil leaves nothing out.
	leave func(rel string) bool
	// inUse leaves out a directory that is gone, or another, since it was looked at; else that is an error.
	inUse bool
	// more looks closer at each entry, in all lanes where it looks ahead; nil does not.
	more func(dir D, name, rel string, st host.Stat) (any, error)
	// ahead lets it look ahead. Then visit may not change the tree.
	ahead bool
}

func readWalker(ctx context.Context, visit func(entry[host.DirReader]) error) walker[host.DirReader] {
	return walker[host.DirReader]{ctx: ctx, open: host.DirReader.OpenDir, visit: visit, ahead: true}
}

// walk visits what is below dir, which has the path rel from the root and lies on device dev.
func (w *walker[D]) walk(dir D, rel string, dev uint64) error {
	list, err := dir.ReadDir()
	if w.inUse && absent(err) {
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
func (w *walker[D]) listed(dir D, f folder[D], rel string, dev uint64) error {
	n, stride := 1, 1
	if w.ahead {
		if n = lanes(dir); n > 1 {
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
		if err := w.ctx.Err(); err != nil {
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

func (w *walker[D]) look(dir D, list []host.DirEntry, rel string) []looked {
	out := takeLooks(len(list))
	for i, de := range list {
		l := &out[i]
		*l = looked{name: de.Name, isDir: de.Type.IsDir()}
		if l.left = w.leave != nil && w.leave(under(rel, de.Name)); !l.left {
			l.st, l.err = dir.Lstat(de.Name)
			if l.err == nil && w.more != nil {
				l.more, l.err = w.more(dir, de.Name, under(rel, de.Name), l.st)
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
func (w *walker[D]) folders(n int, dir D, list []host.DirEntry, rel string, dev uint64) *ordered[folder[D]] {
	var names []string
	for _, de := range list {
		if de.Type.IsDir() {
			names = append(names, de.Name)
		}
	}
	return inOrder(n, len(names), func(i int) (f folder[D]) {
		if n == 1 || w.leave != nil && w.leave(under(rel, names[i])) {
			return f
		}
		if w.mount != nil {
			if st, err := dir.Lstat(names[i]); err != nil || st.Dev != dev {
				return f
			}
		}
		if f.dir, f.err = w.open(dir, names[i]); f.err != nil {
			return f
		}
		f.open = true
		if f.list, f.err = f.dir.ReadDir(); f.err == nil && w.more == nil {
			f.first = w.look(f.dir, f.list[:min(len(f.list), firstAhead)], under(rel, names[i]))
		}
		return f
	})
}

func (w *walker[D]) entry(dir D, l *looked, f folder[D], rel string, dev uint64) error {
	defer f.close()
	if l.left || absent(l.err) {
		return nil
	}
	if l.err != nil {
		return l.err
	}
	e := entry[D]{dir: dir, name: l.name, rel: under(rel, l.name), st: l.st, more: l.more}
	if !e.st.IsDir() {
		return w.visit(e)
	}
	if e.st.Dev != dev && w.mount != nil {
		return w.mount(e.rel)
	}
	if w.inUse && absent(f.err) {
		return nil
	}
	if f.err != nil {
		return f.err
	}
	if f.open {
		return w.descend(e, f)
	}
	self, err := w.open(dir, l.name)
	if w.inUse && absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer self.Close()
	if err := w.walk(self, e.rel, e.st.Dev); err != nil {
		return err
	}
	e.self = self
	return w.visit(e)
}

// descend goes through a directory that was read ahead.
func (w *walker[D]) descend(e entry[D], f folder[D]) error {
	now, err := f.dir.Self()
	if err != nil {
		return err
	}
	if err := host.Same(e.st, now); err != nil {
		if w.inUse {
			return nil
		}
		return fmt.Errorf("%s: %w", e.rel, err)
	}
	if err := w.listed(f.dir, f, e.rel, e.st.Dev); err != nil {
		return err
	}
	e.self = f.dir
	return w.visit(e)
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
