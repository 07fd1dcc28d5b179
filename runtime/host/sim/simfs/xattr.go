package simfs

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

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
