package simfs

import (
	"io/fs"
	"syscall"
)

// This file adds, removes and moves names. The order of checks is the kernel's (fs/namei.c), because
// it decides which error is seen when several apply.

// vacant reports whether a new name can be made at p.
func (f *FS) vacant(p place, isDir bool) error {
	if p.kind != lastName {
		return syscall.EEXIST
	}
	_, err := f.child(p.dir, p.name)
	if err == nil {
		return syscall.EEXIST
	}
	if !isErrno(err, syscall.ENOENT) {
		return err
	}
	if p.slash && !isDir || p.dir.dir().dead {
		return syscall.ENOENT
	}
	if err := p.dir.mayChange(); err != nil {
		return err
	}
	return f.mayAdd(p.dir)
}

// add makes the file of a vacant place.
func (f *FS) add(p place, n *inode) error {
	if err := f.takeInode(n); err != nil {
		return err
	}
	f.enter(p, n)
	return nil
}

// enter gives n a name.
func (f *FS) enter(p place, n *inode) {
	p.dir.dir().set(p.name, n)
	if n.isDir() {
		p.dir.addDirLink()
	}
	p.dir.touch(f.stamp())
}

// touch is a change of content at a time, in a directory or a file.
func (n *inode) touch(now int64) { n.mtime, n.ctime = now, now }

func (f *FS) create(p place, mode fs.FileMode) (*inode, error) {
	if p.kind == lastName && p.slash {
		return nil, syscall.EISDIR
	}
	if err := f.vacant(p, false); err != nil {
		return nil, err
	}
	n := f.newInode(p.dir, mode&permBits)
	n.body = &content{}
	return n, f.add(p, n)
}

// mkdir inherits setgid as mkdir(2) does; exact takes the mode as it is.
func (f *FS) mkdir(p place, mode fs.FileMode, exact bool) error {
	if err := f.vacant(p, true); err != nil {
		return err
	}
	n := f.newInode(p.dir, fs.ModeDir|mode&permBits)
	if !exact {
		n.mode |= p.dir.mode & fs.ModeSetgid
	}
	n.body = &dir{parent: p.dir}
	n.nlink = 2
	if p.dir.nlink == 1 {
		n.nlink = 1
	}
	return f.add(p, n)
}

func (f *FS) symlink(to string, p place) error {
	if err := checkTarget(to); err != nil {
		return err
	}
	if err := f.vacant(p, false); err != nil {
		return err
	}
	n := f.newInode(p.dir, fs.ModeSymlink|0o777)
	n.body, n.size = target(to), int64(len(to))
	return f.add(p, n)
}

// checkNode is what mknod(2) judges before it looks at the path; checkTarget is the same of symlink(2).
func checkNode(mode fs.FileMode) error {
	switch mode & typeBits {
	case 0, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return nil
	case fs.ModeDir:
		return syscall.EPERM
	}
	return syscall.EINVAL
}

func checkTarget(to string) error {
	switch {
	case hasNUL(to):
		return syscall.EINVAL
	case to == "":
		return syscall.ENOENT
	case len(to) >= pathMax:
		return syscall.ENAMETOOLONG
	}
	return nil
}

// isWhiteout tells the character device 0:0 of overlays, which anybody may make since Linux 5.8.
func isWhiteout(mode fs.FileMode, rdev uint64) bool {
	return mode&typeBits == fs.ModeDevice|fs.ModeCharDevice && rdev == 0
}

func (f *FS) mknod(p place, mode fs.FileMode, rdev uint64) error {
	if err := checkNode(mode); err != nil {
		return err
	}
	if err := f.vacant(p, false); err != nil {
		return err
	}
	if mode&fs.ModeDevice != 0 && !isWhiteout(mode, rdev) && !f.isRoot() {
		return syscall.EPERM
	}
	n := f.newInode(p.dir, mode&(typeBits|permBits))
	switch {
	case mode&fs.ModeDevice != 0:
		n.body = device(rdev)
	case n.isRegular():
		n.body = &content{}
	}
	return f.add(p, n)
}

func (f *FS) link(n *inode, p place) error {
	if err := f.vacantForLink(p); err != nil {
		return err
	}
	if n.mount != p.dir.mount {
		return syscall.EXDEV
	}
	if err := f.mayLink(n); err != nil {
		return err
	}
	if err := f.mayAdd(p.dir); err != nil {
		return err
	}
	if n.isDir() {
		return syscall.EPERM
	}
	n.nlink++
	n.ctime = f.stamp()
	f.enter(p, n)
	return nil
}

// vacantForLink is vacant without the permission to add, which link(2) checks later.
func (f *FS) vacantForLink(p place) error {
	err := f.vacant(p, false)
	if err == syscall.EACCES {
		return nil
	}
	return err
}

func (f *FS) unlink(p place) error {
	if p.kind != lastName {
		return syscall.EISDIR
	}
	if err := p.dir.mayChange(); err != nil {
		return err
	}
	n, err := f.child(p.dir, p.name)
	if err != nil {
		return err
	}
	if p.slash {
		if n.isDir() {
			return syscall.EISDIR
		}
		return syscall.ENOTDIR
	}
	if err := f.mayRemove(p.dir, n, false); err != nil {
		return err
	}
	if n.flags&covered != 0 {
		return syscall.EBUSY
	}
	p.dir.dir().drop(p.name)
	p.dir.touch(f.stamp())
	f.loseName(n)
	return nil
}

// loseName takes a link from a file that is not a directory.
func (f *FS) loseName(n *inode) {
	n.nlink--
	n.ctime = f.stamp()
	n.release()
}

func (f *FS) rmdir(p place) error {
	switch p.kind {
	case lastRoot:
		return syscall.EBUSY
	case lastDot:
		return syscall.EINVAL
	case lastDotDot:
		return syscall.ENOTEMPTY
	}
	if err := p.dir.mayChange(); err != nil {
		return err
	}
	n, err := f.child(p.dir, p.name)
	if err != nil {
		return err
	}
	if err := f.mayRemove(p.dir, n, true); err != nil {
		return err
	}
	if n.flags&covered != 0 {
		return syscall.EBUSY
	}
	if err := f.mustBeEmpty(n); err != nil {
		return err
	}
	p.dir.dir().drop(p.name)
	p.dir.dropDirLink()
	p.dir.touch(f.stamp())
	f.bury(n)
	return nil
}

func (f *FS) mustBeEmpty(n *inode) error {
	empty, err := f.isEmpty(n)
	if err == nil && !empty {
		err = syscall.ENOTEMPTY
	}
	return err
}

// bury ends a directory that has lost its name; it may still be open.
func (f *FS) bury(n *inode) {
	d := n.dir()
	d.dead, d.names, d.from = true, nil, nil
	n.nlink = 0
	n.ctime = f.stamp()
	n.release()
}

// rename moves a name. It replaces what it may replace, in one step.
func (f *FS) rename(from, to place) error {
	if from.dir.mount != to.dir.mount {
		return syscall.EXDEV
	}
	if from.kind != lastName || to.kind != lastName {
		return syscall.EBUSY
	}
	if err := from.dir.mayChange(); err != nil {
		return err
	}
	n, err := f.child(from.dir, from.name)
	if err != nil {
		return err
	}
	old, err := f.child(to.dir, to.name)
	if err != nil && !isErrno(err, syscall.ENOENT) {
		return err
	}
	if err := f.mayRename(from, to, n, old); err != nil {
		return err
	}
	if n != old {
		f.move(from, to, n, old)
	}
	return nil
}

// mayRename holds the checks of rename(2) once both names are known; old is nil if the new name is
// free.
func (f *FS) mayRename(from, to place, n, old *inode) error {
	if !n.isDir() && (from.slash || to.slash) {
		return syscall.ENOTDIR
	}
	if n.isDir() && isBelow(to.dir, n) {
		return syscall.EINVAL
	}
	if old != nil && old.isDir() && old != n && isBelow(from.dir, old) {
		return syscall.ENOTEMPTY
	}
	if n == old {
		return nil
	}
	if err := f.mayRemove(from.dir, n, n.isDir()); err != nil {
		return err
	}
	if old == nil {
		if err := f.mayAdd(to.dir); err != nil {
			return err
		}
	} else if err := f.mayRemove(to.dir, old, n.isDir()); err != nil {
		return err
	}
	if n.isDir() && from.dir != to.dir {
		if err := f.allowed(n, mayWrite); err != nil { // its ".." changes
			return err
		}
	}
	if n.flags&covered != 0 || old != nil && old.flags&covered != 0 {
		return syscall.EBUSY
	}
	if old != nil && old.isDir() {
		return f.mustBeEmpty(old)
	}
	return nil
}

func (f *FS) move(from, to place, n, old *inode) {
	now := f.stamp()
	from.dir.dir().drop(from.name)
	to.dir.dir().set(to.name, n)
	from.dir.touch(now)
	to.dir.touch(now)
	n.ctime = now
	if n.isDir() {
		n.dir().parent = to.dir
		from.dir.dropDirLink()
		to.dir.addDirLink()
	}
	switch {
	case old == nil:
	case old.isDir():
		to.dir.dropDirLink()
		f.bury(old)
	default:
		f.loseName(old)
	}
}

// CreateSized is Create and a write of size bytes that nobody will read, as a simulated dump makes.
// If they do not fit it is ENOSPC, and the file is not there.
func (f *FS) CreateSized(path string, size int64, mode fs.FileMode) error {
	return f.changeName("create", path, func(p place) error {
		if err := f.vacant(p, false); err != nil {
			return err
		}
		n := f.newInode(p.dir, mode&permBits)
		n.body, n.size = &content{unknown: true, baseLen: size}, size
		return f.add(p, n)
	})
}
