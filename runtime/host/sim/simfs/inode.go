package simfs

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
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

// content is what a regular file holds: the first baseLen bytes come from the lower layer or are
// unknown, pages that were written lie over them, and the rest is zero.
type content struct {
	base    lowerRef
	unknown bool // the base was only declared
	baseLen int64
	pages   []page // in order of index
}

// page is a block that was written. What its data does not reach is zero.
type page struct {
	index int64
	data  []byte
}

func pagesOf(size int64) int64 { return (size + blockSize - 1) / blockSize }

// contentOf is the content to change of a file; that of the lower layer becomes a base.
func contentOf(n *inode) *content {
	if c, ok := n.body.(*content); ok {
		return c
	}
	c := &content{base: n.from, baseLen: n.size}
	n.body = c
	return c
}

// blocks counts holes as nothing, and the base as full.
func (c *content) blocks() int64 {
	base := pagesOf(c.baseLen)
	return base + int64(len(c.pages)-c.search(base))
}

// search is the position of the first page at or behind an index.
func (c *content) search(index int64) int {
	return sort.Search(len(c.pages), func(i int) bool { return c.pages[i].index >= index })
}

func (c *content) page(index int64) *page {
	if i := c.search(index); i < len(c.pages) && c.pages[i].index == index {
		return &c.pages[i]
	}
	return nil
}

// isAllocated reports whether writing to a page takes no new block.
func (c *content) isAllocated(index int64) bool {
	return index*blockSize < c.baseLen || c.page(index) != nil
}

// readBase reads the lower layer's file.
type readBase func(ref lowerRef, p []byte, off int64) error

// readAt fills p, which must not reach behind the end of the file.
func (c *content) readAt(p []byte, off int64, below readBase) error {
	for len(p) > 0 {
		index := off / blockSize
		i := c.search(index)
		n := int64(len(p))
		if i < len(c.pages) && c.pages[i].index == index {
			n = min(n, (index+1)*blockSize-off)
			c.pages[i].read(p[:n], off-index*blockSize)
		} else {
			if i < len(c.pages) {
				n = min(n, c.pages[i].index*blockSize-off)
			}
			if err := c.readBase(p[:n], off, below); err != nil {
				return err
			}
		}
		p, off = p[n:], off+n
	}
	return nil
}

func (pg page) read(p []byte, off int64) {
	n := 0
	if off < int64(len(pg.data)) {
		n = copy(p, pg.data[off:])
	}
	clear(p[n:])
}

// errContent is what reading a file gives that is known by its size alone: it is there, so it is no absent one.
var errContent = fmt.Errorf("its content is %w: it is not in the snapshot or fixture (`zcp2kopano snapshot --with PATH` takes it along)", host.ErrUnknown)

func (c *content) readBase(p []byte, off int64, below readBase) error {
	n := min(int64(len(p)), max(c.baseLen-off, 0))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if c.unknown {
		return errContent
	}
	return below(c.base, p[:n], off)
}

// writePage puts data at an offset within one page.
func (c *content) writePage(index, off int64, data []byte, below readBase) error {
	pg := c.page(index)
	if pg == nil {
		start := index * blockSize
		base := min(max(c.baseLen-start, 0), blockSize)
		end := off + int64(len(data))
		whole := off == 0 && end >= base
		if base > 0 && c.unknown && !whole {
			c.baseLen = max(c.baseLen, start+end) // known bytes among unknown ones stay unknown
			return nil
		}
		old := []byte{}
		if base > 0 && !whole {
			old = make([]byte, base)
			if err := c.readBase(old, start, below); err != nil {
				return err
			}
		}
		i := c.search(index)
		c.pages = slices.Insert(c.pages, i, page{index, old})
		pg = &c.pages[i]
	}
	end := int(off) + len(data)
	if end > cap(pg.data) {
		pg.data = append(make([]byte, 0, roomFor(end)), pg.data...)
	}
	if end > len(pg.data) {
		pg.data = pg.data[:end]
	}
	copy(pg.data[off:], data)
	return nil
}

// roomFor keeps small files small and growing ones from being copied at every write.
func roomFor(n int) int {
	room := 64
	for room < n {
		room *= 2
	}
	return min(room, blockSize)
}

// truncate forgets what lies behind size.
func (c *content) truncate(size int64) {
	c.baseLen = min(c.baseLen, size)
	keep := c.search(pagesOf(size))
	clear(c.pages[keep:])
	c.pages = c.pages[:keep]
	if keep == 0 {
		return
	}
	end := &c.pages[keep-1]
	if rest := size - end.index*blockSize; rest < int64(len(end.data)) {
		clear(end.data[rest:])
		end.data = end.data[:rest]
	}
}

// clone is the same content for another file.
func (c *content) clone() *content {
	out := *c
	out.pages = slices.Clone(c.pages)
	for i := range out.pages {
		out.pages[i].data = slices.Clone(out.pages[i].data)
	}
	return &out
}

// readFull is ReadAt of the lower layer for exactly p.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF // the file below has become shorter
	}
	return err
}
