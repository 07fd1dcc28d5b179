package simfs

import (
	"io/fs"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// tree is an open directory: the file system by single names below it.
type tree struct {
	f      *FS
	n      *inode
	path   string // as it was opened, for messages
	closed bool
}

var _ host.Dir = (*tree)(nil)

func (t *tree) join(name string) string {
	if strings.HasSuffix(t.path, "/") {
		return t.path + name
	}
	return t.path + "/" + name
}

func (t *tree) self(op string, ask func() error) error {
	return t.f.read(op, t.path, t.unlessClosed(ask))
}

func (t *tree) changeSelf(op string, do func(n *inode) error) error {
	return t.f.change(op, t.path, t.unlessClosed(func() error { return do(t.n) }))
}

func (t *tree) unlessClosed(do func() error) func() error {
	return func() error {
		if t.closed {
			return syscall.EBADF
		}
		return do()
	}
}

// checkNames refuses what is not a single name. Those of both ends are judged before anything is
// looked up.
func checkNames(names ...string) error {
	for _, name := range names {
		switch {
		case name == "":
			return syscall.ENOENT
		case name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0:
			return syscall.EINVAL
		}
	}
	return nil
}

// place is a name in this directory.
func (t *tree) place(name string) (place, error) {
	if err := checkNames(name); err != nil {
		return place{}, err
	}
	return place{dir: t.n, name: name}, t.f.mayEnter(t.n)
}

// child is the file of a name, a symlink itself.
func (t *tree) child(name string) (*inode, error) {
	p, err := t.place(name)
	if err != nil {
		return nil, err
	}
	n, err := t.f.child(p.dir, p.name)
	if err != nil {
		return nil, err
	}
	return t.f.cross(n), nil
}

// at makes the path of what it asks only where that is told: a walk over a million files asks for each.
func (t *tree) at(op, name string, ask func(n *inode) error) error {
	if err := t.f.locked(t.withChild(name, ask)); err != nil {
		return pathError(op, t.join(name), err)
	}
	return nil
}

func (t *tree) withChild(name string, do func(n *inode) error) func() error {
	return t.unlessClosed(func() error {
		n, err := t.child(name)
		if err != nil {
			return err
		}
		return do(n)
	})
}

func (t *tree) changeName(op, name string, do func(p place) error) error {
	return t.f.change(op, t.join(name), t.unlessClosed(func() error {
		p, err := t.place(name)
		if err != nil {
			return err
		}
		return do(p)
	}))
}

func (t *tree) Self() (st host.Stat, err error) {
	err = t.self("stat", func() error { st = t.n.stat(); return nil })
	return st, err
}

func (t *tree) ReadDir() (entries []host.DirEntry, err error) {
	err = t.self("readdir", func() (err error) { entries, err = t.f.list(t.n); return err })
	return entries, err
}

func (t *tree) Lstat(name string) (st host.Stat, err error) {
	err = t.at("lstat", name, func(n *inode) error { st = n.stat(); return nil })
	return st, err
}

func (t *tree) Readlink(name string) (to string, err error) {
	err = t.at("readlink", name, func(n *inode) (err error) { to, err = t.f.readlink(n); return err })
	return to, err
}

func (t *tree) Open(name string) (host.File, error) {
	var h *file
	err := t.at("open", name, func(n *inode) (err error) { h, err = t.f.openRead(n, t.join(name)); return err })
	return asFile(h, err)
}

func (t *tree) OpenDir(name string) (host.DirReader, error) {
	sub, err := t.descend(name)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func (t *tree) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := t.descend(name)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func (t *tree) descend(name string) (sub *tree, err error) {
	err = t.at("open", name, func(n *inode) (err error) {
		if n.isSymlink() {
			return syscall.ELOOP
		}
		sub, err = t.f.openDir(n, t.join(name))
		return err
	})
	return sub, err
}

func (t *tree) Getxattr(name, attr string) (value []byte, err error) {
	err = t.at("getxattr", name, func(n *inode) (err error) { value, err = t.f.getxattr(n, attr); return err })
	return value, err
}

func (t *tree) Listxattr(name string) (names []string, err error) {
	err = t.at("listxattr", name, func(n *inode) (err error) { names, err = t.f.listxattr(n); return err })
	return names, err
}

func (t *tree) Hold(name string) (host.Held, error) {
	e, err := t.hold(name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (t *tree) HoldWrite(name string) (host.HeldWrite, error) {
	e, err := t.hold(name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (t *tree) hold(name string) (e *entry, err error) {
	err = t.at("open", name, func(n *inode) error {
		n.opens++
		e = &entry{f: t.f, n: n, dir: t, name: name}
		return nil
	})
	return e, err
}

func (t *tree) Close() error {
	return t.self("close", func() error {
		t.closed = true
		t.n.opens--
		t.n.release()
		return nil
	})
}

func (t *tree) Create(name string, mode fs.FileMode) (host.File, error) {
	var h *file
	err := t.changeName("create", name, func(p place) error {
		n, err := t.f.create(p, mode)
		if err == nil {
			h = t.f.open(n, t.join(name), true, true)
		}
		return err
	})
	return asFile(h, err)
}

func (t *tree) Mkdir(name string, mode fs.FileMode) error {
	return t.changeName("mkdir", name, func(p place) error { return t.f.mkdir(p, mode, true) })
}

func (t *tree) Symlink(target, name string) error {
	err := t.changeName("symlink", name, func(p place) error { return t.f.symlink(target, p) })
	return linkError("symlink", target, t.join(name), err)
}

func (t *tree) Link(name string, to host.Dir, newname string) error {
	return t.pair("link", name, to, newname, func(dest *tree) error {
		n, err := t.child(name)
		if err != nil {
			return err
		}
		p, err := dest.place(newname)
		if err != nil {
			return err
		}
		return t.f.link(n, p)
	})
}

func (t *tree) Mknod(name string, mode fs.FileMode, rdev uint64) error {
	return t.changeName("mknod", name, func(p place) error { return t.f.mknod(p, mode, rdev) })
}

func (t *tree) Unlink(name string) error { return t.changeName("unlink", name, t.f.unlink) }

func (t *tree) Rmdir(name string) error { return t.changeName("rmdir", name, t.f.rmdir) }

func (t *tree) Rename(name string, to host.Dir, newname string) error {
	return t.pair("rename", name, to, newname, func(dest *tree) error {
		from, err := t.place(name)
		if err != nil {
			return err
		}
		p, err := dest.place(newname)
		if err != nil {
			return err
		}
		return t.f.rename(from, p)
	})
}

// pair changes an entry of this directory and one of another. That of another host is EXDEV.
func (t *tree) pair(op, name string, to host.Dir, newname string, do func(dest *tree) error) error {
	dest, ok := to.(*tree)
	if !ok || dest.f != t.f {
		return linkError(op, t.join(name), newname, syscall.EXDEV)
	}
	at := t.join(name)
	if op == "link" {
		at = dest.join(newname)
	}
	err := t.f.change(op, at, t.unlessClosed(func() error {
		if dest.closed {
			return syscall.EBADF
		}
		if err := checkNames(name, newname); err != nil {
			return err
		}
		return do(dest)
	}))
	return linkError(op, t.join(name), dest.join(newname), err)
}

func (t *tree) ChmodSelf(mode fs.FileMode) error {
	return t.changeSelf("chmod", func(n *inode) error { return t.f.chmod(n, mode) })
}

func (t *tree) ChownSelf(uid, gid int) error {
	return t.changeSelf("lchown", func(n *inode) error { return t.f.chown(n, uid, gid) })
}

func (t *tree) ChtimesSelf(atime, mtime time.Time) error {
	return t.changeSelf("chtimes", func(n *inode) error {
		if err := t.f.mayEnter(n); err != nil { // there is no call by descriptor alone: "." is looked up
			return err
		}
		return t.f.chtimes(n, atime, mtime)
	})
}

func (t *tree) SyncSelf() error {
	return t.changeSelf("syncdir", func(*inode) error { return nil })
}

func (t *tree) SyncFileSystem() error {
	return t.changeSelf("syncfs", func(*inode) error { return nil })
}

// entry is an inode that is held, whatever becomes of the name that led to it.
type entry struct {
	f      *FS
	n      *inode
	dir    *tree
	name   string
	closed bool
}

var _ host.HeldWrite = (*entry)(nil)

func (e *entry) path() string { return e.dir.join(e.name) }

// ask makes the path only where it is told, as tree.at does.
func (e *entry) ask(op string, ask func() error) error {
	if err := e.f.locked(e.unlessClosed(ask)); err != nil {
		return pathError(op, e.path(), err)
	}
	return nil
}

func (e *entry) change(op string, do func() error) error {
	return e.f.change(op, e.path(), e.unlessClosed(do))
}

func (e *entry) unlessClosed(do func() error) func() error {
	return func() error {
		if e.closed {
			return syscall.EBADF
		}
		return do()
	}
}

func (e *entry) Close() error {
	return e.ask("close", func() error {
		e.closed = true
		e.n.opens--
		e.n.release()
		return nil
	})
}

func (e *entry) Stat() (st host.Stat, err error) {
	err = e.ask("lstat", func() error { st = e.n.stat(); return nil })
	return st, err
}

func (e *entry) Readlink() (to string, err error) {
	err = e.ask("readlink", func() (err error) { to, err = e.f.readlink(e.n); return err })
	return to, err
}

func (e *entry) Open() (host.File, error) {
	var h *file
	err := e.ask("open", func() (err error) { h, err = e.f.openRead(e.n, e.path()); return err })
	return asFile(h, err)
}

func (e *entry) Getxattr(attr string) (value []byte, err error) {
	err = e.ask("getxattr", func() (err error) { value, err = e.f.getxattr(e.n, attr); return err })
	return value, err
}

func (e *entry) Listxattr() (names []string, err error) {
	err = e.ask("listxattr", func() (err error) { names, err = e.f.listxattr(e.n); return err })
	return names, err
}

func (e *entry) Chmod(mode fs.FileMode) error {
	return e.change("chmod", func() error { return e.f.chmod(e.n, mode) })
}

func (e *entry) Chown(uid, gid int) error {
	return e.change("lchown", func() error { return e.f.chown(e.n, uid, gid) })
}

func (e *entry) Chtimes(atime, mtime time.Time) error {
	return e.change("chtimes", func() error { return e.f.chtimes(e.n, atime, mtime) })
}

func (e *entry) Setxattr(attr string, value []byte) error {
	return e.change("setxattr", func() error { return e.f.setxattr(e.n, attr, value) })
}

func (e *entry) Removexattr(attr string) error {
	return e.change("removexattr", func() error { return e.f.removexattr(e.n, attr) })
}
