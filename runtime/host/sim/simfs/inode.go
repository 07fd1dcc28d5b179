package simfs

import (
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// inode is a file of any type. A million of them must fit into memory: what most files do not have
// is behind body and xattrs, and a file of the lower layer that only changed its owner has neither.
type inode struct {
	ino, dev            uint64
	size                int64
	atime, mtime, ctime int64 // nanoseconds since 1970
	from                lowerRef
	body                any // *dir, *content, target or device; nil for what is read from below or empty
	xattrs              map[string][]byte
	mount               *mount
	mode                fs.FileMode
	uid, gid, nlink     uint32
	opens               uint32
	flags               uint8
}

const (
	covered    uint8 = 1 << iota // a mount hides it
	ownXattrs                    // xattrs holds all; the lower layer is not asked any more
	lostCaps                     // security.capability of the lower layer is gone
	unattached                   // its blocks were given back
)

type (
	// target is where a symlink points.
	target string
	// device is the number of a device node.
	device uint64
)

// dir is what a directory has beside its inode.
type dir struct {
	parent *inode
	names  map[string]*inode // nil hides a name of the lower layer
	from   *lowerDir         // where names that are not in the map come from; nil if from nowhere
	dead   bool              // removed, but perhaps still open
}

func (n *inode) isDir() bool     { return n.mode.IsDir() }
func (n *inode) isRegular() bool { return n.mode.IsRegular() }
func (n *inode) isSymlink() bool { return n.mode&fs.ModeSymlink != 0 }
func (n *inode) dir() *dir       { return n.body.(*dir) }

const (
	permBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	typeBits = fs.ModeType
)

func (n *inode) stat() host.Stat {
	st := host.Stat{
		Mode: n.mode, UID: n.uid, GID: n.gid, Size: n.size, Nlink: uint64(n.nlink), Ino: n.ino, Dev: n.dev,
		Atime: time.Unix(0, n.atime), Mtime: time.Unix(0, n.mtime), Ctime: time.Unix(0, n.ctime),
	}
	if rdev, ok := n.body.(device); ok {
		st.Rdev = uint64(rdev)
	}
	return st
}

// newInode makes a file in directory d that is on no list of names yet.
func (f *FS) newInode(d *inode, mode fs.FileMode) *inode {
	f.lastIno++
	now := f.stamp()
	n := &inode{
		ino: f.lastIno, dev: d.dev, mount: d.mount, mode: mode, nlink: 1,
		atime: now, mtime: now, ctime: now, flags: ownXattrs,
	}
	if f.user != nil {
		n.uid = f.user.UID
		n.gid = f.user.group()
	}
	if d.mode&fs.ModeSetgid != 0 {
		n.gid = d.gid
	}
	if !f.maySetgid(n) {
		n.mode &^= fs.ModeSetgid
	}
	return n
}

// child looks a name up, without crossing into a mount. A name that is not there is ENOENT.
func (f *FS) child(d *inode, name string) (*inode, error) {
	entries := d.dir()
	if entries.dead {
		return nil, syscall.ENOENT
	}
	if len(name) > nameMax {
		return nil, syscall.ENAMETOOLONG
	}
	if n, known := entries.names[name]; known {
		if n == nil {
			return nil, syscall.ENOENT
		}
		return n, nil
	}
	if entries.from == nil {
		return nil, syscall.ENOENT
	}
	st, err := f.lower.lstat(entries.from, name)
	if err != nil {
		return nil, err
	}
	n := f.adopt(d, name, st)
	entries.set(name, n)
	return n, nil
}

// adopt makes the inode of a name of the lower layer, or finds the one of its other names.
func (f *FS) adopt(d *inode, name string, st host.Stat) *inode {
	from := lowerRef{d.dir().from, name}
	id := lowerID{st.Dev, st.Ino}
	linked := !st.IsDir() && st.Nlink > 1
	if n := f.links[id]; linked && n != nil {
		return n
	}
	n := &inode{mount: d.mount, from: from}
	n.take(st)
	if st.IsDir() {
		n.body = &dir{parent: d, from: from.dirAt()}
	}
	if linked {
		f.links[id] = n
	}
	return n
}

// take copies what lstat of the lower layer told.
func (n *inode) take(st host.Stat) {
	n.ino, n.dev, n.size = st.Ino, st.Dev, st.Size
	n.atime, n.mtime, n.ctime = st.Atime.UnixNano(), st.Mtime.UnixNano(), st.Ctime.UnixNano()
	n.mode, n.uid, n.gid, n.nlink = st.Mode, st.UID, st.GID, uint32(st.Nlink)
	if st.Mode&fs.ModeDevice != 0 {
		n.body = device(st.Rdev)
	}
}

func (d *dir) set(name string, n *inode) {
	if d.names == nil {
		d.names = map[string]*inode{}
	}
	d.names[name] = n
}

// drop removes a name, or hides it if the lower layer would bring it back.
func (d *dir) drop(name string) {
	if d.from != nil {
		d.set(name, nil)
		return
	}
	delete(d.names, name)
}

// list merges the names of both layers, in order.
func (f *FS) list(n *inode) ([]host.DirEntry, error) {
	d := n.dir()
	if d.dead {
		return nil, syscall.ENOENT
	}
	var out []host.DirEntry
	if d.from != nil {
		below, err := f.lower.readDir(d.from)
		if err != nil {
			return nil, err
		}
		out = below[:0]
		for _, e := range below {
			if _, known := d.names[e.Name]; !known {
				out = append(out, e)
			}
		}
	}
	out = slices.Grow(out, len(d.names))
	for name, n := range d.names {
		if n != nil {
			out = append(out, host.DirEntry{Name: name, Type: n.mode & typeBits})
		}
	}
	slices.SortFunc(out, func(a, b host.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (f *FS) isEmpty(n *inode) (bool, error) {
	for _, child := range n.dir().names {
		if child != nil {
			return false, nil
		}
	}
	entries, err := f.list(n)
	return len(entries) == 0, err
}

// addDirLink and dropDirLink count a subdirectory. File systems that do not count them (btrfs, and
// overlays) say 1 for all directories.
func (n *inode) addDirLink() {
	if n.nlink > 1 {
		n.nlink++
	}
}

func (n *inode) dropDirLink() {
	if n.nlink > 2 {
		n.nlink--
	}
}

// readlink is where a symlink points.
func (f *FS) readlink(n *inode) (string, error) {
	if !n.isSymlink() {
		return "", syscall.EINVAL
	}
	if n.body == nil {
		to, err := f.lower.readlink(n.from)
		if err != nil {
			return "", err
		}
		n.body = target(to)
	}
	return string(n.body.(target)), nil
}
