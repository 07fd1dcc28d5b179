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
	if !f.isRoot() && !f.user.in(n.gid) {
		mode &^= fs.ModeSetgid
	}
	n.mode = n.mode&typeBits | mode
	n.ctime = f.stamp()
	return nil
}

// chown also takes away what would hand the new owner's power to whoever runs the file, even if no
// owner was given: setuid, setgid of an executable, file capabilities.
func (f *FS) chown(n *inode, uid, gid int) error {
	if err := n.mayChange(); err != nil {
		return err
	}
	if !f.isRoot() {
		if uid != -1 && (f.user.UID != n.uid || uint32(uid) != n.uid) {
			return syscall.EPERM
		}
		if gid != -1 && (f.user.UID != n.uid || uint32(gid) != n.gid && !f.user.in(uint32(gid))) {
			return syscall.EPERM
		}
	}
	if uid != -1 {
		n.uid = uint32(uid)
	}
	if gid != -1 {
		n.gid = uint32(gid)
	}
	if !n.isDir() {
		n.mode &^= fs.ModeSetuid
		if n.mode&0o010 != 0 {
			n.mode &^= fs.ModeSetgid
		}
		f.loseCaps(n)
	}
	n.ctime = f.stamp()
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
