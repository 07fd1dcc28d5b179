package action

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync/atomic"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// digested is how much of a tree's content an inventory digests, in bytes. What lies beyond is told by
// its inode alone: whoever changes a file changes its ctime, which nobody can set.
const digested = 256 << 20

// item is what an inventory holds of one entry: enough to say whether it is still the same.
type item struct {
	Rel    string      `json:"rel"` // "." for the top
	Mode   fs.FileMode `json:"mode"`
	UID    uint32      `json:"uid"`
	GID    uint32      `json:"gid"`
	Rdev   uint64      `json:"rdev,omitempty"`
	Size   int64       `json:"size,omitempty"` // of a regular file
	Mtime  time.Time   `json:"mtime,omitzero"` // of a regular file
	Target string      `json:"target,omitempty"`
	SHA256 string      `json:"sha256,omitempty"`
	Xattrs string      `json:"xattrs,omitempty"` // digest
	Dev    uint64      `json:"dev,omitempty"`    // another after a boot, perhaps; older versions wrote none
	Ino    uint64      `json:"ino"`
	Ctime  time.Time   `json:"ctime,omitzero"`
}

// inventory writes down in the store what is at a path, and everything below it, with digests of at most
// this much content.
func inventory(env *Env, name string, content int64) (*Blob, error) {
	var left atomic.Int64
	left.Store(content)
	digests := func(dir host.DirReader, base string, it *item) error {
		if !it.Mode.IsRegular() {
			return nil
		}
		if !takes(&left, it.Size) {
			return nil
		}
		sum, err := digest(dir, base)
		if errors.Is(err, host.ErrUnknown) {
			return nil
		}
		it.SHA256 = sum
		return err
	}
	b, err := writeItems(env, func(add func(item) error) error {
		return eachItem(env, name, digests, func(_ host.DirReader, _ string, it item) error { return add(it) })
	})
	if err != nil {
		return nil, err
	}
	return &b, nil
}

// takes takes so much of what is left, if there is so much.
func takes(left *atomic.Int64, n int64) bool {
	for {
		room := left.Load()
		if room < n {
			return false
		}
		if left.CompareAndSwap(room, room-n) {
			return true
		}
	}
}

// writeItems keeps an inventory of what is added.
func writeItems(env *Env, fill func(add func(item) error) error) (Blob, error) {
	return env.Store.write(func(w io.Writer) error {
		lines := bufio.NewWriterSize(w, 1<<16)
		enc := json.NewEncoder(lines)
		err := fill(func(it item) error {
			it.Rel, it.Target = encodeName(it.Rel), encodeName(it.Target)
			return enc.Encode(it)
		})
		if err != nil {
			return err
		}
		return lines.Flush()
	})
}

// eachItem visits what is at a path, and everything below it. What there is to know of an entry is found out in all
// lanes, and so is more, unless that is nil; the visits are in the order of a walk.
func eachItem(env *Env, name string, more func(dir host.DirReader, base string, it *item) error, visit func(dir host.DirReader, base string, it item) error) error {
	dir, err := env.Host.OpenTree(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	told := newAdvance(env, "look at "+name, size{})
	look := func(dir host.DirReader, base, rel string, st host.Stat) (any, error) {
		it, err := itemOf(dir, base, rel, st)
		if err == nil && more != nil {
			err = more(dir, base, &it)
		}
		return it, err
	}
	w := tree.Reader(env.Ctx, func(e tree.Entry[host.DirReader]) error {
		told.files(1)
		return visit(e.Dir, e.Name, e.More.(item))
	})
	w.More = look
	base := path.Base(name)
	st, err := dir.Lstat(base)
	if err != nil {
		return err
	}
	if st.IsDir() {
		self, err := dir.OpenDir(base)
		if err != nil {
			return err
		}
		defer self.Close()
		if err := w.Walk(self, "", st.Dev); err != nil {
			return err
		}
	}
	top, err := look(dir, base, ".", st)
	if err != nil {
		return err
	}
	return visit(dir, base, top.(item))
}

func itemOf(dir host.DirReader, name, rel string, st host.Stat) (item, error) {
	m, err := readMeta(dir, name)
	if err != nil {
		return item{}, err
	}
	it := item{Rel: rel, Mode: m.mode, UID: m.uid, GID: m.gid, Rdev: st.Rdev, Dev: st.Dev, Ino: st.Ino, Ctime: st.Ctime}
	if len(m.xattrs) > 0 {
		data, err := json.Marshal(m.xattrs)
		if err != nil {
			return item{}, err
		}
		it.Xattrs = blobOf(data).SHA256
	}
	switch {
	case st.IsRegular():
		it.Size, it.Mtime = st.Size, st.Mtime
	case st.IsSymlink():
		it.Target, err = dir.Readlink(name)
	}
	return it, err
}

// inventoryReader reads what inventory wrote, beside a walk: an entry at a time, in the order of the walk.
type inventoryReader struct {
	file host.File // nil for an empty one
	in   *json.Decoder
	next *item // nil at the end
}

// openInventory opens an inventory; nil is an empty one.
func openInventory(s *Store, b *Blob) (*inventoryReader, error) {
	r := &inventoryReader{}
	if b == nil {
		return r, nil
	}
	var err error
	if r.file, err = s.Open(*b); err != nil {
		return nil, err
	}
	r.in = json.NewDecoder(bufio.NewReaderSize(r.file, 1<<16))
	if err := r.advance(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *inventoryReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

func (r *inventoryReader) advance() error {
	var it item
	r.next = nil
	err := r.in.Decode(&it)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		it.Rel, err = decodeName(it.Rel)
	}
	if err == nil {
		it.Target, err = decodeName(it.Target)
	}
	r.next = &it
	return err
}

// upTo hands over what stands before an entry that a walk has come to, and returns what is written down of that one,
// nil for nothing.
func (r *inventoryReader) upTo(rel string, before func(item) error) (*item, error) {
	for r.next != nil && walkOrder(r.next.Rel, rel) < 0 {
		it := *r.next
		if err := r.advance(); err != nil {
			return nil, err
		}
		if err := before(it); err != nil {
			return nil, err
		}
	}
	if r.next == nil || r.next.Rel != rel {
		return nil, nil
	}
	it := r.next
	return it, r.advance()
}

// top is what is written down of the top.
func (r *inventoryReader) top() (it item, err error) {
	for r.next != nil {
		it = *r.next
		if err := r.advance(); err != nil {
			return it, err
		}
	}
	return it, nil
}

// reckoning is a comparison with an inventory.
type reckoning struct {
	was     Blob
	kept    *Blob             // the same as it was after it was copied; nil if it never was
	spoiled map[string]string // what was told of entries that cannot be held against a digest
	found   map[string]string
}

// check compares what is at a path now with an inventory of it, and tells each entry that differs, by
// its name below the path. A regular file that is still the very inode that it was need not be read. Where neither
// that nor a digest tells, trust decides.
func (r *reckoning) check(env *Env, name string, trust bool) error {
	was, err := openInventory(env.Store, &r.was)
	if err != nil {
		return err
	}
	defer was.close()
	kept, err := openInventory(env.Store, r.kept)
	if err != nil {
		return err
	}
	defer kept.close()
	missing := func(it item) error { r.tell(it.Rel, "is missing"); return nil }
	err = eachItem(env, name, nil, func(dir host.DirReader, base string, it item) error {
		then, err := was.upTo(it.Rel, missing)
		if err != nil {
			return err
		}
		copied, err := kept.upTo(it.Rel, func(item) error { return nil })
		if err != nil {
			return err
		}
		if then == nil {
			r.tell(it.Rel, "was not there before")
			return nil
		}
		return r.compare(dir, base, it, *then, copied, trust)
	})
	if host.Absent(err) {
		r.tell(".", "is missing")
		return nil
	}
	return err // the top comes last, in a walk and in an inventory: nothing is left
}

// compare tells how an entry differs from what it was.
func (r *reckoning) compare(dir host.DirReader, base string, it, was item, kept *item, trust bool) error {
	what := was.differs(it)
	if what == "" && it.Mode.IsRegular() && !was.inode(it) && (kept == nil || !kept.inode(it)) {
		var err error
		if what, err = was.content(dir, base, trust); err != nil {
			return err
		}
	}
	if what == "" && was.Mode.IsRegular() && was.SHA256 == "" {
		what = r.spoiled[it.Rel]
	}
	if what != "" {
		r.tell(it.Rel, what)
	}
	return nil
}

func (r *reckoning) tell(rel, what string) {
	if r.found == nil {
		r.found = map[string]string{}
	}
	r.found[rel] = what
}

// mostLines is how many differences of one tree are listed one by one.
const mostLines = 20

func (r *reckoning) lines(name string) (lines []string) {
	for _, rel := range slices.Sorted(maps.Keys(r.found)) {
		if len(lines) == mostLines {
			return append(lines, fmt.Sprintf("%s: %d more entries differ", name, len(r.found)-mostLines))
		}
		lines = append(lines, path.Join(name, rel)+": "+r.found[rel])
	}
	return lines
}

// inode reports whether this is the inode that was written down, untouched since.
func (it item) inode(now item) bool { return it.Ino == now.Ino && it.Ctime.Equal(now.Ctime) }

// differs tells what of an entry is another, but for its content; empty for nothing.
func (it item) differs(now item) string {
	switch {
	case now.Mode.Type() != it.Mode.Type():
		return fmt.Sprintf("is %s, was %s", typeName(now.Mode), typeName(it.Mode))
	case now.Target != it.Target:
		return fmt.Sprintf("leads to %s, led to %s", now.Target, it.Target)
	case now.Rdev != it.Rdev && it.Mode&fs.ModeDevice != 0:
		return "is another device"
	case now.Size != it.Size:
		return fmt.Sprintf("has %d bytes, had %d", now.Size, it.Size)
	case now.UID != it.UID || now.GID != it.GID:
		return fmt.Sprintf("owner is %d:%d, was %d:%d", now.UID, now.GID, it.UID, it.GID)
	case perm(now.Mode) != perm(it.Mode):
		return fmt.Sprintf("mode is %v, was %v", now.Mode, it.Mode)
	case now.Xattrs != it.Xattrs:
		return "extended attributes differ"
	}
	return ""
}

// content reports whether a file holds something else than what was written down.
func (it item) content(dir host.DirReader, base string, trust bool) (string, error) {
	if it.SHA256 == "" {
		st, err := dir.Lstat(base)
		if err != nil || trust && sameTime(st.Mtime, it.Mtime) {
			return "", err
		}
		return "was touched since, and it is not known whether its content is the same", nil
	}
	sum, err := digest(dir, base)
	if errors.Is(err, host.ErrUnknown) {
		return "", nil
	}
	if err == nil && sum != it.SHA256 {
		return "content differs", nil
	}
	return "", err
}
