package simfs

import (
	"io/fs"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

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
