package action

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// A roster lists the entries of a tree that a chown changes, by name, in the order of the walk: so an entry
// that came later is told from one that is gone, without any of it in memory. Each line is the number of
// bytes that a name shares with the one before it, and the rest, quoted.
type roster struct {
	w    io.Writer
	last string
}

func (r *roster) add(rel string) error {
	shared := 0
	for shared < min(len(rel), len(r.last)) && rel[shared] == r.last[shared] {
		shared++
	}
	r.last = rel
	_, err := fmt.Fprintf(r.w, "%d %q\n", shared, rel[shared:])
	return err
}

// rosterReader reads a roster, a name ahead.
type rosterReader struct {
	in   *bufio.Reader
	name string
	done bool
}

func (r *rosterReader) next() error {
	var shared int
	var rest string
	_, err := fmt.Fscanf(r.in, "%d %q\n", &shared, &rest)
	switch {
	case errors.Is(err, io.EOF):
		r.done = true
		return nil
	case err != nil:
		return fmt.Errorf("record of names: %w", err)
	case shared > len(r.name):
		return fmt.Errorf("record of names: %d bytes of %q", shared, r.name)
	}
	r.name = r.name[:shared] + rest
	return nil
}

// walkOrder compares names as a walk meets them: by name, what is in a directory before the directory.
func walkOrder(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return 1
	case b == ".":
		return -1
	}
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	shared := min(len(as), len(bs))
	if c := slices.Compare(as[:shared], bs[:shared]); c != 0 {
		return c
	}
	return len(bs) - len(as)
}

// few names the first of many.
type few struct {
	n     int
	names []string
}

func (f *few) add(name string) {
	if f.n++; len(f.names) < 5 {
		f.names = append(f.names, name)
	}
}

func (f *few) String() string {
	text := strings.Join(f.names, ", ")
	if more := f.n - len(f.names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// compareRoster finds which entries that the chown was to change are gone, which have another owner or mode
// than before, and which came later.
func (a *Chown) compareRoster(env *Env) (gone, wrong, came few, err error) {
	f, err := env.Store.Open(*a.Names)
	if err != nil {
		return gone, wrong, came, err
	}
	defer f.Close()
	r := &rosterReader{in: bufio.NewReaderSize(f, 1<<16)}
	if err := r.next(); err != nil {
		return gone, wrong, came, err
	}
	err = a.read(env, func(e entry[host.DirReader]) error {
		for !r.done && walkOrder(r.name, e.rel) < 0 {
			gone.add(r.name)
			if err := r.next(); err != nil {
				return err
			}
		}
		changes := a.meant(e.name, e.st) && a.Rule.apply(e.st) != attrsOf(e.st)
		if r.done || r.name != e.rel {
			if changes {
				came.add(e.rel)
			}
			return nil
		}
		if !changes {
			wrong.add(e.rel)
		}
		return r.next()
	}, func(string) error { return nil })
	for err == nil && !r.done {
		gone.add(r.name)
		err = r.next()
	}
	return gone, wrong, came, err
}
