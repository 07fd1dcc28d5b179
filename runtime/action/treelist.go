package action

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// The states of a file in a list, against the list before it.
const (
	same    rune = '='
	added   rune = '+'
	deleted rune = '-'
)

// treeLine is an entry of a tree as a list has it.
type treeLine struct {
	State    rune
	Size     int64
	Mtime    int64 // nanoseconds
	UID, GID uint32
	Perm     fs.FileMode
	Rel      string
}

func lineOf[D host.DirReader](e tree.Entry[D], state rune) treeLine {
	return treeLine{state, e.Stat.Size, e.Stat.Mtime.UnixNano(), e.Stat.UID, e.Stat.GID, e.Stat.Perm(), e.Rel}
}

const lineForm = "%c %d %d %d %d %d %q\n"

func (l treeLine) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, lineForm, l.State, l.Size, l.Mtime, l.UID, l.GID, uint32(l.Perm), l.Rel)
	return err
}

// is reports whether a file looks as it was listed. Its owner and mode are others' to put back.
func (l treeLine) is(st host.Stat) bool {
	return st.IsRegular() && st.Size == l.Size && sameTime(st.Mtime, time.Unix(0, l.Mtime))
}

// number is what the file's name begins with; 0 if that is no number.
func number(rel string) uint64 {
	name := path.Base(rel)
	digits := len(name) - len(strings.TrimLeft(name, "0123456789"))
	n, err := strconv.ParseUint(name[:digits], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// treeList reads a list of a tree from the store, beside a walk of the tree.
type treeList struct {
	file host.File // nil for an empty list
	in   *bufio.Reader
	next *treeLine
}

// openList opens a list; nil is an empty one.
func openList(env *Env, b *Blob) (*treeList, error) {
	l := &treeList{}
	if b == nil {
		return l, nil
	}
	var err error
	if l.file, err = env.Store.Open(*b); err != nil {
		return nil, err
	}
	l.in = bufio.NewReaderSize(l.file, 1<<16)
	if err := l.advance(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *treeList) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// advance reads on to the next line.
func (l *treeList) advance() error {
	line, err := readLine(l.in)
	l.next = nil
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list of a tree: %w", err)
	}
	l.next = &line
	return nil
}

func readLine(in io.Reader) (treeLine, error) {
	var line treeLine
	var perm uint32
	_, err := fmt.Fscanf(in, lineForm, &line.State, &line.Size, &line.Mtime, &line.UID, &line.GID, &perm, &line.Rel)
	line.Perm = fs.FileMode(perm)
	return line, err
}

// upTo hands over the files that are listed before one that a walk has come to, and returns the line of
// that one, nil if it is not listed. An empty name stands for the end of the walk.
func (l *treeList) upTo(rel string, before func(treeLine) error) (*treeLine, error) {
	for l.next != nil && (rel == "" || walkOrder(l.next.Rel, rel) < 0) {
		line := *l.next
		if err := l.advance(); err != nil {
			return nil, err
		}
		if err := before(line); err != nil {
			return nil, err
		}
	}
	if l.next == nil || rel == "" || l.next.Rel != rel {
		return nil, nil
	}
	line := l.next
	return line, l.advance()
}
