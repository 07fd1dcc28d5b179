package action

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"zcp2kopano/runtime/host"
)

// copier copies entries with all that they carry: owner, mode, times, ACLs and other extended
// attributes, symlinks, special files, and hard links among what it copies. An entry other than a
// directory gets its name only when it is complete and durable, so a copy that was interrupted goes
// on where it stopped.
type copier struct {
	env   *Env
	links map[inode]linked
	done  size
	total size
}

type inode struct{ dev, ino uint64 }

// linked is the first copy of a file that has several names.
type linked struct {
	root *copyRoot
	rel  string
}

// copyRoot is the path of a copy's top: a temporary one until the copy is complete.
type copyRoot struct{ path string }

func newCopier(env *Env, total size) *copier {
	return &copier{env: env, links: map[inode]linked{}, total: total}
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
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	root := &copyRoot{to}
	note := func(st host.Stat, rel string) {
		id := inode{st.Dev, st.Ino}
		if _, known := c.links[id]; !known && !st.IsDir() && st.Nlink > 1 {
			c.links[id] = linked{root, rel}
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
	w := readWalker(c.env.Ctx, func(e entry[host.DirReader]) error {
		note(e.st, e.rel)
		return nil
	})
	return w.walk(dir, "", st.Dev)
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
	if err := c.copy(src, path.Base(from), dst, base, root, "."); err != nil {
		return nil, fmt.Errorf("copy %s: %w", from, err)
	}
	return root, syncEntry(dst, base)
}

// copy copies one entry, all from one descriptor: who exchanges names meanwhile gets no file with the owner of one
// and the content of another. Its copy has the path rel from root.
func (c *copier) copy(src host.DirReader, sname string, dst host.Dir, dname string, root *copyRoot, rel string) error {
	if err := c.env.Ctx.Err(); err != nil {
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
	if st.IsDir() {
		return c.copyDir(src, sname, st, m, dst, dname, root, rel)
	}
	if err := c.copyLeaf(from, st, m, dst, dname, root, rel); err != nil {
		return fmt.Errorf("%s: %w", sname, err)
	}
	c.done.add(st)
	if c.done.Files%100 == 0 {
		c.env.Progress(Progress{What: "copy", Done: c.done.Files, Total: c.total.Files, Unit: "files"})
	}
	return nil
}

func (c *copier) copyDir(src host.DirReader, sname string, st host.Stat, m meta, dst host.Dir, dname string, root *copyRoot, rel string) error {
	if err := dst.Mkdir(dname, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := c.copyEntries(src, sname, st, dst, dname, root, rel); err != nil {
		return err
	}
	return setMeta(dst, dname, m)
}

func (c *copier) copyEntries(src host.DirReader, sname string, st host.Stat, dst host.Dir, dname string, root *copyRoot, rel string) error {
	from, err := src.OpenDir(sname)
	if err != nil {
		return err
	}
	defer from.Close()
	if self, err := from.Self(); err != nil {
		return err
	} else if err := host.Same(st, self); err != nil {
		return fmt.Errorf("%s: %w", sname, err)
	}
	to, err := dst.OpenDirWrite(dname)
	if err != nil {
		return err
	}
	defer to.Close()
	list, err := from.ReadDir()
	if err != nil {
		return err
	}
	for _, de := range list {
		if err := c.copy(from, de.Name, to, de.Name, root, path.Join(rel, de.Name)); err != nil {
			return fmt.Errorf("%s: %w", sname, err)
		}
	}
	return to.SyncSelf()
}

func (c *copier) copyLeaf(from host.Held, st host.Stat, m meta, dst host.Dir, dname string, root *copyRoot, rel string) error {
	id := inode{st.Dev, st.Ino}
	first, again := c.links[id]
	if again {
		return c.link(first, dst, dname)
	}
	if st.Nlink > 1 {
		c.links[id] = linked{root, rel}
	}
	complete, err := alike(from, st, dst, dname)
	if err != nil || complete {
		return err
	}
	tmp := c.env.temp()
	if err := removeTree(dst, tmp); err != nil {
		return err
	}
	if err := fill(from, st, dst, tmp); err != nil {
		return err
	}
	if err := setNewMeta(dst, tmp, m); err != nil {
		return err
	}
	return dst.Rename(tmp, dst, dname)
}

// fill makes dst/tmp from an entry, without its metadata.
func fill(from host.Held, st host.Stat, dst host.Dir, tmp string) error {
	switch {
	case st.IsRegular():
		return copyContent(from, st, dst, tmp)
	case st.IsSymlink():
		target, err := from.Readlink()
		if err != nil {
			return err
		}
		return dst.Symlink(target, tmp)
	default:
		return dst.Mknod(tmp, st.Mode, st.Rdev)
	}
}

// copyContent copies a regular file's content, and reads it back to compare.
func copyContent(held host.Held, st host.Stat, dst host.Dir, tmp string) error {
	from, err := held.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	return copyOpen(from, st, dst, tmp)
}

// copyOpen is copyContent of a file that is open, and was st when it was opened.
func copyOpen(from host.File, st host.Stat, dst host.Dir, tmp string) error {
	to, err := dst.Create(tmp, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if cloner, ok := to.(host.Cloner); ok {
		cloned, err := cloner.CloneFrom(from)
		if err != nil {
			return err
		}
		if cloned {
			return to.Sync()
		}
	}
	sum := sha256.New()
	if _, err := io.Copy(to, io.TeeReader(from, sum)); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	now, err := from.Stat()
	if err != nil {
		return err
	}
	if now.Size != st.Size || !now.Mtime.Equal(st.Mtime) {
		return errors.New("it was changed while it was copied; stop what writes to it and try again")
	}
	copied, err := digest(dst, tmp)
	if err != nil {
		return err
	}
	if copied != hex.EncodeToString(sum.Sum(nil)) {
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
	if err != nil && !absent(err) {
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
