package action

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"sync"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// copier copies entries with all that they carry: owner, mode, times, ACLs and other extended
// attributes, symlinks, special files, and hard links among what it copies. An entry other than a
// directory gets its name only when it is complete and durable, so a copy that was interrupted goes
// on where it stopped.
type copier struct {
	env   *Env
	links copiedNames
	seed  maphash.Seed // of the sums that a copy is held against: nobody can make two contents of one sum
	told  *advance
	// inUse leaves out what others take away or change while it is copied; else that is an error.
	inUse bool
	// allowed is what may still be written where the copy goes.
	allowed *allowance
	// leave reports what of a tree is not copied, nor what lies below it; nil leaves nothing out.
	leave func(rel string) bool
}

type inode struct{ dev, ino uint64 }

// linked is the first copy of a file that has several names.
type linked struct {
	root *copyRoot
	rel  string
}

// copyRoot is the path of a copy's top: a temporary one until the copy is complete.
type copyRoot struct{ path string }

// newCopier makes a copier for what is so large, as far as that is known; what is how its work is called.
func newCopier(env *Env, what string, total size) *copier {
	return &copier{env: env, links: copiedNames{known: map[inode]copiedName{}}, seed: maphash.MakeSeed(), told: newAdvance(env, what, total)}
}

// place makes path to a copy of what is at path from, where nothing is yet: all of it, or nothing.
func (c *copier) place(from, to string) error {
	st, err := c.env.Host.Lstat(from)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		_, err := c.copyTo(from, to)
		return err
	}
	tmp := path.Join(path.Dir(to), c.env.treeTemp())
	root, err := c.copyTo(from, tmp)
	if err != nil {
		return err
	}
	root.path = to
	return renamePath(c.env.Host, tmp, to)
}

// remember notes the hard links of a source that was copied before an interruption.
func (c *copier) remember(from, to string) error {
	st, err := c.env.Host.Lstat(from)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	root := &copyRoot{to}
	note := func(st host.Stat, rel string) {
		if st.IsDir() {
			return
		}
		c.whole(st)
		if st.Nlink > 1 {
			c.links.meet(st, linked{root: root, rel: rel})
		}
	}
	note(st, ".")
	if !st.IsDir() {
		return nil
	}
	dir, err := c.env.Host.OpenTree(from)
	if err != nil {
		return err
	}
	defer dir.Close()
	w := tree.Reader(c.env.Ctx, func(e tree.Entry[host.DirReader]) error {
		note(e.Stat, e.Rel)
		return nil
	})
	return w.Walk(dir, "", st.Dev)
}

// copyTo makes path to a copy of the entry at path from, durably. Where a part of it is there
// already, the copy goes on.
func (c *copier) copyTo(from, to string) (*copyRoot, error) {
	src, err := c.env.Host.OpenTree(path.Dir(from))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, base, err := parent(c.env.Host, to)
	if err != nil {
		return nil, err
	}
	defer dst.Close()
	root := &copyRoot{to}
	c.allowed = c.env.Store.allow(path.Dir(to))
	if err := c.copy(src, path.Base(from), dst, base, root); err != nil {
		return nil, fmt.Errorf("copy %s: %w", from, err)
	}
	return root, syncEntry(dst, base)
}

// copy copies a tree in batches, and anything else by itself.
func (c *copier) copy(src host.DirReader, sname string, dst host.Dir, dname string, root *copyRoot) error {
	st, err := src.Lstat(sname)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return copyTree(c, src, sname, dst, dname, root)
	}
	n := &draft{dst: dst, name: dname, tmp: c.env.temp()}
	if err := unlinkIfThere(dst, n.tmp); err != nil {
		return err
	}
	from, err := src.Hold(sname)
	if err != nil {
		return err
	}
	defer from.Close()
	m, st, err := metaOf(from)
	if err != nil {
		return err
	}
	if first, again := c.another(st, linked{root: root, rel: "."}); again {
		return c.link(first, dst, dname)
	}
	if there, err := alike(from, st, dst, dname); err != nil || there {
		c.whole(st)
		return err
	}
	if err := c.draw(n, from, st, m); err != nil {
		return err
	}
	if err := n.settle(); err != nil {
		return err
	}
	if err := c.verify(n, true); err != nil {
		return err
	}
	c.told.add(size{Files: 1})
	return dst.Rename(n.tmp, dst, dname)
}

// another reports whether a file is another name of one that is copied already; if not, it is from now on.
func (c *copier) another(st host.Stat, here linked) (linked, bool) {
	if st.Nlink < 2 {
		return here, false
	}
	return c.links.meet(st, here)
}

// whole counts a file that need not be read.
func (c *copier) whole(st host.Stat) {
	c.told.add(size{Files: 1})
	if st.IsRegular() {
		c.told.half(2 * st.Size)
	}
}

// draft is an entry that was copied under a temporary name.
type draft struct {
	dst       host.Dir
	name, tmp string
	st        host.Stat
	ino       uint64    // of what was made
	to        host.File // until it is settled, of a regular file
	sum       uint64    // of the content that was read; of a regular file that was not cloned
	reads     bool      // whether the content is to be read back
}

// settle waits for the disk to take the content, and fails where it does not, unless the host knows that a sync of the
// whole file system will tell: else that only the descriptor does for sure by which the content was written.
func (n *draft) settle() error {
	if n.to == nil {
		return nil
	}
	var err error
	if f, ok := n.to.(host.Flusher); ok {
		err = f.Flush()
	}
	err = errors.Join(err, n.to.Close())
	n.to = nil
	return err
}

// begin has the disk begin with the content, so that settle has not long to wait.
func (n *draft) begin() error {
	if f, ok := n.to.(host.Flusher); ok {
		return f.BeginFlush()
	}
	return nil
}

// draw makes dst/tmp from an entry that is held, with all that it carries: content, owner and what else there is come
// from one descriptor, so who exchanges names meanwhile gets no file with the owner of one and the content of another. It
// is to be settled.
func (c *copier) draw(n *draft, from host.Held, st host.Stat, m meta) error {
	n.st = st
	switch {
	case st.IsRegular():
		return c.drawFile(n, from, m)
	case st.IsSymlink():
		target, err := from.Readlink()
		if err != nil {
			return err
		}
		if err := n.dst.Symlink(target, n.tmp); err != nil {
			return err
		}
	default:
		if err := n.dst.Mknod(n.tmp, st.Mode, st.Rdev); err != nil {
			return err
		}
	}
	return setNewMeta(n.dst, n.tmp, m)
}

// drawFile leaves the new file open.
func (c *copier) drawFile(n *draft, held host.Held, m meta) error {
	from, err := held.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	if err := c.drawContent(n, from); err != nil {
		return err
	}
	err = n.begin()
	own, ok := n.to.(host.Attributes)
	switch {
	case err != nil:
	case ok:
		var made host.Stat
		if made, err = n.to.Stat(); err == nil {
			err = setMetaOf(own, made, m)
		}
	default:
		err = setNewMeta(n.dst, n.tmp, m)
	}
	if err != nil {
		err = errors.Join(err, n.settle())
	}
	return err
}

// drawContent makes a new file with the content of one that is open, and was n.st when it was opened.
func (c *copier) drawContent(n *draft, from host.File) error {
	to, err := n.dst.Create(n.tmp, 0o600)
	if err != nil {
		return err
	}
	err = c.pour(n, from, to)
	now, serr := from.Stat()
	if err == nil {
		err = serr
	}
	if err == nil && (now.Size != n.st.Size || !now.Mtime.Equal(n.st.Mtime)) {
		err = errChanged
	}
	made, serr := to.Stat()
	if err == nil {
		n.ino, err = made.Ino, serr
	}
	if err != nil {
		return errors.Join(err, to.Close())
	}
	n.to = to
	return nil
}

// copyOpen copies the content of a file that is open, and was st when it was opened, to a new file in the store, durably.
func copyOpen(env *Env, from host.File, st host.Stat, dst host.Dir, name string) error {
	c, n := newCopier(env, "copy "+name, size{Files: 1, Bytes: st.Size}), &draft{dst: dst, tmp: name, st: st}
	c.allowed = env.Store.allow(env.Store.Dir)
	if err := c.drawContent(n, from); err != nil {
		return err
	}
	if err := n.settle(); err != nil {
		return err
	}
	return c.verify(n, true)
}

// buffers are what contents go through.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// pour copies the content, and notes what is to be found in the copy.
func (c *copier) pour(n *draft, from, to host.File) error {
	if cloner, ok := to.(host.Cloner); ok {
		cloned, err := cloner.CloneFrom(from)
		if err == nil && cloned {
			c.told.half(2 * n.st.Size)
		}
		if err == nil && cloned {
			err = c.allowed.take(n.st.Size, 0) // may have taken no space
		}
		if err != nil || cloned {
			return err
		}
	}
	if err := c.allowed.take(n.st.Size, n.st.Size); err != nil {
		return err
	}
	sum := maphash.Hash{}
	sum.SetSeed(c.seed)
	if err := c.readThrough(from, limit{c.env}, &sum, to); err != nil {
		return err
	}
	n.sum, n.reads = sum.Sum64(), true
	return nil
}

// readThrough reads a file to its end, and hands over all of it.
func (c *copier) readThrough(from io.Reader, to ...io.Writer) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		got, err := from.Read(*buf)
		c.told.half(int64(got))
		for _, w := range to {
			if _, err := w.Write((*buf)[:got]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// verify reads a draft back; with sync, once it is durable.
func (c *copier) verify(n *draft, sync bool) error {
	if !n.st.IsRegular() {
		return nil
	}
	e, err := n.dst.Hold(n.tmp)
	if err != nil {
		return err
	}
	defer e.Close()
	st, err := e.Stat()
	if err != nil {
		return err
	}
	if st.Ino != n.ino {
		return host.ErrExchanged
	}
	f, err := e.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if !n.reads {
		return nil
	}
	sum := maphash.Hash{}
	sum.SetSeed(c.seed)
	if err := c.readThrough(f, &sum); err != nil {
		return err
	}
	if sum.Sum64() != n.sum {
		return errors.New("the copy reads back differently; check the disk")
	}
	return nil
}

// link makes dst/dname another name of a file that was copied already.
func (c *copier) link(first linked, dst host.Dir, dname string) error {
	home, base, err := parent(c.env.Host, path.Join(first.root.path, first.rel))
	if err != nil {
		return err
	}
	defer home.Close()
	fst, err := home.Lstat(base)
	if err != nil {
		return err
	}
	st, err := dst.Lstat(dname)
	if err == nil && st.Dev == fst.Dev && st.Ino == fst.Ino {
		return nil
	}
	if err != nil && !host.Absent(err) {
		return err
	}
	tmp := c.env.temp()
	if err := unlinkIfThere(dst, tmp); err != nil {
		return err
	}
	if err := home.Link(base, dst, tmp); err != nil {
		return err
	}
	return dst.Rename(tmp, dst, dname)
}
