package simfs

import (
	"io/fs"
	"slices"
	"syscall"
)

// Access that is asked for, as in the permission bits.
const (
	mayExec  fs.FileMode = 1
	mayWrite fs.FileMode = 2
	mayRead  fs.FileMode = 4
)

func (f *FS) isRoot() bool { return f.user == nil || f.user.UID == 0 }

func (c *Credentials) group() uint32 {
	if len(c.GIDs) == 0 {
		return 0
	}
	return c.GIDs[0]
}

func (c *Credentials) in(gid uint32) bool { return slices.Contains(c.GIDs, gid) }

// allowed is EACCES unless the user has all of want. Root has, where it matters here.
func (f *FS) allowed(n *inode, want fs.FileMode) error {
	if f.isRoot() {
		return nil
	}
	bits := n.mode
	switch {
	case n.uid == f.user.UID:
		bits >>= 6
	case f.user.in(n.gid):
		bits >>= 3
	}
	if bits&want != want {
		return syscall.EACCES
	}
	return nil
}

// owns is EPERM unless the user may change the inode's attributes.
func (f *FS) owns(n *inode) error {
	if f.isRoot() || n.uid == f.user.UID {
		return nil
	}
	return syscall.EPERM
}

// mayEnter reports whether names in d can be looked up.
func (f *FS) mayEnter(d *inode) error {
	if !d.isDir() {
		return syscall.ENOTDIR
	}
	return f.allowed(d, mayExec)
}

// mayChange is for changes of an inode's attributes and content.
func (n *inode) mayChange() error {
	if n.mount.ReadOnly {
		return syscall.EROFS
	}
	return nil
}

// mayAdd reports whether a name can be added to d.
func (f *FS) mayAdd(d *inode) error {
	if d.dir().dead {
		return syscall.ENOENT
	}
	return f.allowed(d, mayWrite|mayExec)
}

// mayRemove reports whether n can go from d, as a directory or as something else.
func (f *FS) mayRemove(d, n *inode, asDir bool) error {
	if err := f.allowed(d, mayWrite|mayExec); err != nil {
		return err
	}
	if d.mode&fs.ModeSticky != 0 && !f.isRoot() && f.user.UID != n.uid && f.user.UID != d.uid {
		return syscall.EPERM
	}
	if asDir && !n.isDir() {
		return syscall.ENOTDIR
	}
	if !asDir && n.isDir() {
		return syscall.EISDIR
	}
	return nil
}

// mayLink is the rule of fs.protected_hardlinks, which is on everywhere: others may only link what
// they could have written themselves.
func (f *FS) mayLink(n *inode) error {
	if f.isRoot() || f.user.UID == n.uid {
		return nil
	}
	safe := n.isRegular() && n.mode&fs.ModeSetuid == 0 &&
		(n.mode&fs.ModeSetgid == 0 || n.mode&0o010 == 0) && f.allowed(n, mayRead|mayWrite) == nil
	if !safe {
		return syscall.EPERM
	}
	return nil
}

// SetUser says who uses the file system from now on; nil for root. What is open stays usable.
func (f *FS) SetUser(user *Credentials) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.user = user
}
