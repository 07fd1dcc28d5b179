// Package simfs is a file system in memory that answers as Linux does, over an optional lower layer
// that it can only read.
//
// What is asked of a lower layer is read when it is asked for; what is changed is kept in memory, so
// the lower layer stays as it is. A directory knows which of its names were looked up, added or
// removed, and asks the lower layer for the others. A renamed directory goes on reading from where
// it was, so that moving a tree copies nothing. Content that nobody reads is never loaded: it is a
// reference into the lower layer, or only a declared size.
//
// Mounts have device numbers and budgets of bytes and inodes, so a rename across them is EXDEV and a
// full one ENOSPC. Errors are the kernel's, in the kernel's order; package hosttest compares them
// with the real ones.
//
// Known limits: reading does not change access times, bind mounts do not show each other's changes,
// POSIX ACLs are kept as extended attributes without effect on access, directories take one block
// whatever the number of their names, and a sparse file of the lower layer counts as full.
package simfs

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// FS is a simulated file system. Its methods may be called from several goroutines.
type FS struct {
	mu    sync.Mutex
	lower *lower
	now   func() time.Time
	user  *Credentials
	trust bool // any symlink
	fault func(op, path string) error
	after func(op, path string)

	mounts []*mount
	covers map[*inode]*mount // by the inode that the mount hides
	// detached are file systems that were unmounted, by the names that they were given then
	detached map[string]*mount
	volumes  map[uint64]*volume
	links    map[lowerID]*inode // lower files with several names, by what makes them one
	lastIno  uint64
}

var (
	_ host.FileReader = (*FS)(nil)
	_ host.FileWriter = (*FS)(nil)
)

// Options says what a file system starts with.
type Options struct {
	// Lower is what lies below; nil for an empty root directory.
	Lower host.FileReader
	// Now is the clock of file times; time.Now if nil.
	Now func() time.Time
	// Mounts is the mount table; the first is "/". Without any, "/" has no limits. A mount point that
	// cannot be reached below is left out.
	Mounts []Mount
	// User is who uses the file system; nil for root.
	User *Credentials
	// TrustLinks follows symlinks whoever owns them, as the kernel does. Else those that another user
	// could have planted are refused (ELOOP), as a live host does.
	TrustLinks bool
	// Fault is asked before every change and every sync; an error stops it with that error.
	Fault func(op, path string) error
	// After is called after every change and sync that succeeded.
	After func(op, path string)
}

// Credentials is a user with its groups; the first group owns what the user creates.
type Credentials struct {
	UID  uint32
	GIDs []uint32
}

// Mount is a line of the mount table and what its file system has left. A budget whose Total is 0
// has no limit of bytes, one whose Inodes is 0 none of inodes. Mounts of one device share one budget.
type Mount struct {
	host.Mount
	Budget host.Statfs
}

// firstIno is where inode numbers of new files begin: above what file systems hand out.
const firstIno = 1 << 48

// New makes a file system.
func New(o Options) *FS {
	f := &FS{
		now: o.Now, user: o.User, trust: o.TrustLinks, fault: o.Fault, after: o.After,
		covers: map[*inode]*mount{}, volumes: map[uint64]*volume{}, links: map[lowerID]*inode{},
		lastIno: firstIno,
	}
	if f.now == nil {
		f.now = time.Now
	}
	if o.Lower != nil {
		f.lower = &lower{files: o.Lower}
	}
	mounts := o.Mounts
	if len(mounts) == 0 || mounts[0].Point != "/" {
		mounts = append([]Mount{{Mount: host.Mount{Point: "/", Type: "ext4"}}}, mounts...)
	}
	f.mountRoot(mounts[0])
	for _, m := range mounts[1:] {
		_ = f.AddMount(m)
	}
	return f
}

// Close gives back the descriptors that the lower layer holds for this file system.
func (f *FS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lower != nil {
		f.lower.close()
	}
	return nil
}

// read runs a question under the lock and names its path in the error.
func (f *FS) read(op, path string, ask func() error) error {
	return pathError(op, path, f.locked(ask))
}

func (f *FS) locked(ask func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ask()
}

// change runs a change under the lock, between the two hooks.
func (f *FS) change(op, path string, do func() error) error {
	if f.fault != nil {
		if err := f.fault(op, path); err != nil {
			return pathError(op, path, err)
		}
	}
	if err := f.read(op, path, do); err != nil {
		return err
	}
	if f.after != nil {
		f.after(op, path)
	}
	return nil
}

// pathError names operation and path, in place of those of the lower layer if the error came from it.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: cause(err)}
}

// cause is what an error of the lower layer says without its own operation and path.
func cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func isErrno(err error, want syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno == want
}

func (f *FS) stamp() int64 { return f.now().UnixNano() }

// This file is the file system by absolute path. Each method resolves its path and leaves the rest
// to what tree.go uses as well.

// at runs a question about the file at a path.
func (f *FS) at(op, path string, follow bool, ask func(n *inode) error) error {
	return f.read(op, path, func() error {
		n, err := f.find(path, follow)
		if err != nil {
			return err
		}
		return ask(n)
	})
}

// changeAt changes the file at a path, a symlink itself in the last component.
func (f *FS) changeAt(op, path string, do func(n *inode) error) error {
	return f.change(op, path, func() error {
		n, err := f.find(path, false)
		if err != nil {
			return err
		}
		return do(n)
	})
}

// changeName changes what a name in a directory means.
func (f *FS) changeName(op, path string, do func(p place) error) error {
	return f.change(op, path, func() error {
		p, err := f.locate(path)
		if err != nil {
			return err
		}
		return do(p)
	})
}

// Lstat, Stat, Readlink and the others are described with host.FileReader.
func (f *FS) Lstat(path string) (st host.Stat, err error) {
	err = f.at("lstat", path, false, func(n *inode) error { st = n.stat(); return nil })
	return st, err
}

func (f *FS) Stat(path string) (st host.Stat, err error) {
	err = f.at("stat", path, true, func(n *inode) error { st = n.stat(); return nil })
	return st, err
}

func (f *FS) Readlink(path string) (to string, err error) {
	err = f.at("readlink", path, false, func(n *inode) (err error) { to, err = f.readlink(n); return err })
	return to, err
}

func (f *FS) ReadDir(path string) (entries []host.DirEntry, err error) {
	err = f.at("readdir", path, true, func(n *inode) (err error) {
		if err := f.mayList(n); err != nil {
			return err
		}
		entries, err = f.list(n)
		return err
	})
	return entries, err
}

// mayList reports whether a directory can be opened for reading.
func (f *FS) mayList(n *inode) error {
	if !n.isDir() {
		return syscall.ENOTDIR
	}
	return f.allowed(n, mayRead)
}

func (f *FS) Open(path string) (host.File, error) {
	var h *file
	err := f.at("open", path, true, func(n *inode) (err error) { h, err = f.openRead(n, path); return err })
	return asFile(h, err)
}

// asFile keeps a nil *file from becoming a host.File that is not nil.
func asFile(h *file, err error) (host.File, error) {
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (f *FS) OpenTree(path string) (host.DirReader, error) {
	t, err := f.openTree(path)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (f *FS) OpenTreeWrite(path string) (host.Dir, error) {
	t, err := f.openTree(path)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (f *FS) openTree(path string) (t *tree, err error) {
	err = f.at("open", path, true, func(n *inode) (err error) { t, err = f.openDir(n, path); return err })
	return t, err
}

func (f *FS) openDir(n *inode, path string) (*tree, error) {
	if err := f.mayList(n); err != nil {
		return nil, err
	}
	n.opens++
	return &tree{f: f, n: n, path: path}, nil
}

func (f *FS) Statfs(path string) (st host.Statfs, err error) {
	err = f.at("statfs", path, true, func(n *inode) error { st = n.mount.volume.statfs(n.mount); return nil })
	return st, err
}

func (f *FS) Getxattr(path, name string) (value []byte, err error) {
	if err := checkXattrCall(path, name, 0); err != nil {
		return nil, pathError("getxattr", path, err)
	}
	err = f.at("getxattr", path, false, func(n *inode) (err error) { value, err = f.getxattr(n, name); return err })
	return value, err
}

func (f *FS) Listxattr(path string) (names []string, err error) {
	err = f.at("listxattr", path, false, func(n *inode) (err error) { names, err = f.listxattr(n); return err })
	return names, err
}

func (f *FS) Create(path string, mode fs.FileMode) (host.File, error) {
	var h *file
	err := f.changeName("create", path, func(p place) error {
		n, err := f.create(p, mode)
		if err == nil {
			h = f.open(n, path, true, true)
		}
		return err
	})
	return asFile(h, err)
}

func (f *FS) OpenWrite(path string) (host.File, error) {
	var h *file
	err := f.at("open", path, false, func(n *inode) (err error) { h, err = f.openWrite(n, path); return err })
	return asFile(h, err)
}

func (f *FS) Mkdir(path string, mode fs.FileMode) error {
	return f.changeName("mkdir", path, func(p place) error { return f.mkdir(p, mode, true) })
}

func (f *FS) Unlink(path string) error { return f.changeName("unlink", path, f.unlink) }

func (f *FS) Rmdir(path string) error { return f.changeName("rmdir", path, f.rmdir) }

func (f *FS) Rename(oldpath, newpath string) error {
	if hasNUL(oldpath, newpath) {
		return linkError("rename", oldpath, newpath, syscall.EINVAL)
	}
	err := f.change("rename", oldpath, func() error {
		from, err := f.locate(oldpath)
		if err != nil {
			return err
		}
		to, err := f.locate(newpath)
		if err != nil {
			return err
		}
		return f.rename(from, to)
	})
	return linkError("rename", oldpath, newpath, err)
}

func (f *FS) Link(oldpath, newpath string) error {
	if hasNUL(oldpath, newpath) {
		return linkError("link", oldpath, newpath, syscall.EINVAL)
	}
	err := f.change("link", newpath, func() error {
		n, err := f.find(oldpath, false)
		if err != nil {
			return err
		}
		p, err := f.locate(newpath)
		if err != nil {
			return err
		}
		return f.link(n, p)
	})
	return linkError("link", oldpath, newpath, err)
}

func (f *FS) Symlink(target, path string) error {
	if hasNUL(target, path) {
		return linkError("symlink", target, path, syscall.EINVAL)
	}
	if err := checkTarget(target); err != nil {
		return linkError("symlink", target, path, err)
	}
	err := f.changeName("symlink", path, func(p place) error { return f.symlink(target, p) })
	return linkError("symlink", target, path, err)
}

// linkError is for operations with two paths.
func linkError(op, from, to string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: from, New: to, Err: cause(err)}
}

func (f *FS) Mknod(path string, mode fs.FileMode, rdev uint64) error {
	if hasNUL(path) {
		return pathError("mknod", path, syscall.EINVAL)
	}
	if err := checkNode(mode); err != nil {
		return pathError("mknod", path, err)
	}
	return f.changeName("mknod", path, func(p place) error { return f.mknod(p, mode, rdev) })
}

func (f *FS) Chmod(path string, mode fs.FileMode) error {
	return f.changeAt("chmod", path, func(n *inode) error { return f.chmod(n, mode) })
}

func (f *FS) Lchown(path string, uid, gid int) error {
	return f.changeAt("lchown", path, func(n *inode) error { return f.chown(n, uid, gid) })
}

func (f *FS) Chtimes(path string, atime, mtime time.Time) error {
	return f.changeAt("chtimes", path, func(n *inode) error { return f.chtimes(n, atime, mtime) })
}

func (f *FS) Setxattr(path, name string, value []byte) error {
	if err := checkXattrCall(path, name, len(value)); err != nil {
		return pathError("setxattr", path, err)
	}
	return f.changeAt("setxattr", path, func(n *inode) error { return f.setxattr(n, name, value) })
}

func (f *FS) Removexattr(path, name string) error {
	if err := checkXattrCall(path, name, 0); err != nil {
		return pathError("removexattr", path, err)
	}
	return f.changeAt("removexattr", path, func(n *inode) error { return f.removexattr(n, name) })
}

func (f *FS) SyncDir(path string) error {
	return f.change("syncdir", path, func() error {
		n, err := f.find(path, true)
		if err != nil {
			return err
		}
		return f.mayList(n)
	})
}
