package simfs

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

const (
	xattrNameMax = 255
	xattrSizeMax = 65536
	capsXattr    = "security.capability"
)

func checkXattrCall(path, attr string, size int) error {
	if hasNUL(path, attr) {
		return syscall.EINVAL
	}
	return checkXattrName(attr, size)
}

// checkXattrName is what the kernel judges before it looks at the path.
func checkXattrName(attr string, size int) error {
	switch {
	case attr == "" || len(attr) > xattrNameMax:
		return syscall.ERANGE
	case size > xattrSizeMax:
		return syscall.E2BIG
	}
	return nil
}

// checkXattr judges a name as the kernel does, before the file system sees it.
func (f *FS) checkXattr(n *inode, attr string, write bool) error {
	if err := checkXattrName(attr, 0); err != nil {
		return err
	}
	denied := error(syscall.ENODATA)
	if write {
		denied = syscall.EPERM
	}
	space, name, _ := strings.Cut(attr, ".")
	switch {
	case space == "trusted" && !f.isRoot():
		return denied
	case space == "user" && !n.isRegular() && !n.isDir():
		return denied
	case space == "user" && write && n.isDir() && n.mode&fs.ModeSticky != 0 && f.owns(n) != nil:
		return syscall.EPERM
	case space == "user" && write:
		return cmpErr(f.allowed(n, mayWrite), needsName(name))
	case space == "user":
		return cmpErr(f.allowed(n, mayRead), needsName(name))
	case space == "trusted" || space == "security":
		if write && !f.isRoot() {
			return syscall.EPERM
		}
		return needsName(name)
	case attr == "system.posix_acl_access" || attr == "system.posix_acl_default":
		if n.isSymlink() {
			return syscall.EOPNOTSUPP
		}
		if write {
			return f.owns(n)
		}
		return nil
	case space == "system":
		return syscall.EOPNOTSUPP
	}
	want := mayRead
	if write {
		want = mayWrite
	}
	return cmpErr(f.allowed(n, want), syscall.EOPNOTSUPP)
}

// needsName is for "user." and the like, with nothing behind the dot.
func needsName(name string) error {
	if name == "" {
		return syscall.EINVAL
	}
	return nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) getxattr(n *inode, attr string) ([]byte, error) {
	if err := f.checkXattr(n, attr, false); err != nil {
		return nil, err
	}
	if !n.readsXattrsBelow() {
		value, ok := n.xattrs[attr]
		if !ok {
			return nil, syscall.ENODATA
		}
		return slices.Clone(value), nil
	}
	if attr == capsXattr && n.flags&lostCaps != 0 {
		return nil, syscall.ENODATA
	}
	return f.lower.getxattr(n.from, attr)
}

func (f *FS) listxattr(n *inode) ([]string, error) {
	if !n.readsXattrsBelow() {
		names := slices.Sorted(maps.Keys(n.xattrs))
		if !f.isRoot() {
			names = slices.DeleteFunc(names, func(s string) bool { return strings.HasPrefix(s, "trusted.") })
		}
		return names, nil
	}
	names, err := f.lower.listxattr(n.from)
	if n.flags&lostCaps != 0 {
		names = slices.DeleteFunc(names, func(s string) bool { return s == capsXattr })
	}
	slices.Sort(names)
	return names, err
}

func (n *inode) readsXattrsBelow() bool { return n.flags&ownXattrs == 0 && n.from.dir != nil }

func (f *FS) setxattr(n *inode, attr string, value []byte) error {
	if err := f.mayChangeXattr(n, attr, value, false); err != nil {
		return err
	}
	if n.xattrs == nil {
		n.xattrs = map[string][]byte{}
	}
	n.xattrs[attr] = slices.Clone(value)
	n.ctime = f.stamp()
	return nil
}

func (f *FS) removexattr(n *inode, attr string) error {
	if err := f.mayChangeXattr(n, attr, nil, true); err != nil {
		return err
	}
	if _, ok := n.xattrs[attr]; !ok {
		return syscall.ENODATA
	}
	delete(n.xattrs, attr)
	n.ctime = f.stamp()
	return nil
}

func (f *FS) mayChangeXattr(n *inode, attr string, value []byte, remove bool) error {
	if err := checkXattrName(attr, len(value)); err != nil {
		return err
	}
	if err := n.mayChange(); err != nil {
		return err
	}
	if attr == capsXattr && !remove && !isCaps(value) {
		return syscall.EINVAL
	}
	if err := f.checkXattr(n, attr, true); err != nil {
		return err
	}
	if attr == "system.posix_acl_default" && !n.isDir() {
		return syscall.EACCES
	}
	return f.ownXattrs(n)
}

// isCaps reports whether value is a struct vfs_cap_data of revision 2 or 3 (linux/capability.h).
func isCaps(value []byte) bool {
	if len(value) < 4 {
		return false
	}
	revision := value[3] // of the little-endian magic
	return len(value) == 20 && revision == 2 || len(value) == 24 && revision == 3
}

// ownXattrs copies what the lower layer has, once, before the first change.
func (f *FS) ownXattrs(n *inode) error {
	if !n.readsXattrsBelow() {
		return nil
	}
	names, err := f.listxattr(n)
	if err != nil && !isErrno(err, unix.EOPNOTSUPP) {
		return err
	}
	own := map[string][]byte{}
	for _, name := range names {
		value, err := f.lower.getxattr(n.from, name)
		if err != nil {
			return err
		}
		own[name] = value
	}
	n.xattrs = own
	n.flags |= ownXattrs
	return nil
}

// loseCaps is what a write or a change of owner does to file capabilities.
func (f *FS) loseCaps(n *inode) {
	n.flags |= lostCaps
	delete(n.xattrs, capsXattr)
}
