package simfs

import (
	"io/fs"
	"syscall"
	"time"
)

func (f *FS) chmod(n *inode, mode fs.FileMode) error {
	if n.isSymlink() {
		return syscall.EOPNOTSUPP
	}
	if err := n.mayChange(); err != nil {
		return err
	}
	if err := f.owns(n); err != nil {
		return err
	}
	mode &= permBits
	if !f.maySetgid(n) {
		mode &^= fs.ModeSetgid
	}
	n.mode = n.mode&typeBits | mode
	n.ctime = f.stamp()
	return nil
}

// maySetgid is for members of a file's group.
func (f *FS) maySetgid(n *inode) bool { return f.isRoot() || f.user.in(n.gid) }

// chown also takes away what would hand the new owner's power to whoever runs the file, even if no
// owner was given: setuid, setgid of an executable, file capabilities.
func (f *FS) chown(n *inode, uid, gid int) error {
	if err := n.mayChange(); err != nil {
		return err
	}
	mode := n.mode
	if !n.isDir() {
		mode = f.withoutSetID(n)
	}
	if err := f.mayChown(n, uid, gid, mode); err != nil {
		return err
	}
	if uid != -1 {
		n.uid = uint32(uid)
	}
	if gid != -1 {
		n.gid = uint32(gid)
	}
	if !n.isDir() {
		f.loseCaps(n)
	}
	n.mode = mode
	n.ctime = f.stamp()
	return nil
}

// withoutSetID keeps setgid of what no group may execute, where it means mandatory locking, for those
// who could set it.
func (f *FS) withoutSetID(n *inode) fs.FileMode {
	mode := n.mode &^ fs.ModeSetuid
	if mode&0o010 != 0 || !f.maySetgid(n) {
		mode &^= fs.ModeSetgid
	}
	return mode
}

// mayChown lets an owner give a file to a group it is in. A mode that changes with it needs the owner
// too.
func (f *FS) mayChown(n *inode, uid, gid int, mode fs.FileMode) error {
	if f.isRoot() {
		return nil
	}
	owner := f.user.UID == n.uid
	switch {
	case mode != n.mode && !owner,
		uid != -1 && (!owner || uint32(uid) != n.uid),
		gid != -1 && (!owner || uint32(gid) != n.gid && !f.user.in(uint32(gid))):
		return syscall.EPERM
	}
	return nil
}

// chtimes leaves alone what is the zero time.
func (f *FS) chtimes(n *inode, atime, mtime time.Time) error {
	if atime.IsZero() && mtime.IsZero() {
		return nil
	}
	if err := n.mayChange(); err != nil {
		return err
	}
	if err := f.owns(n); err != nil {
		return err
	}
	if !atime.IsZero() {
		n.atime = atime.UnixNano()
	}
	if !mtime.IsZero() {
		n.mtime = mtime.UnixNano()
	}
	n.ctime = f.stamp()
	return nil
}
