package simfs

import (
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// blockSize is the unit of allocation: a page of tmpfs, and the usual block of ext4 and XFS.
const blockSize = 4096

// mount is a file system's place in the tree.
type mount struct {
	host.Mount
	root   *inode
	volume *volume
}

// volume is what a device has left. Loading a fixture may take more than there is; then it is full.
type volume struct {
	budget     host.Statfs
	blocks     int64 // taken since the start; negative if more was freed
	inodes     int64
	dirsAreOne bool            // a directory takes a block of its own
	orphans    map[*inode]bool // files without a name that somebody has open
}

// AddMount puts a file system onto a directory or file, which is made if it is not there. What was at
// the mount point is hidden, except that files of the lower layer show through: the lower layer's
// mounts are its own.
func (f *FS) AddMount(m Mount) error {
	return f.read("mount", m.Point, func() error {
		reach := f.locate
		if f.lower == nil {
			reach = f.makeParents
		}
		p, err := reach(m.Point)
		if err != nil {
			return err
		}
		if p.kind != lastName {
			return syscall.EBUSY
		}
		hidden, err := f.child(p.dir, p.name)
		if isErrno(err, syscall.ENOENT) && f.lower == nil {
			hidden, err = f.putDir(p), nil
		}
		if err != nil {
			return err
		}
		f.attach(m, hidden, p.dir)
		return nil
	})
}

func (f *FS) attach(m Mount, hidden, parent *inode) {
	for hidden.flags&covered != 0 {
		hidden = f.covers[hidden].root
	}
	mt := f.newMount(m)
	root := &inode{}
	*root = *hidden
	root.mount, root.flags = mt, hidden.flags&^covered
	if hidden.isDir() {
		root.body = &dir{parent: parent, from: lowerDirOf(hidden.from)}
	}
	if hidden.from.dir == nil {
		root.dev = mt.Device
		root.ino = 2
	}
	mt.root = root
	hidden.flags |= covered
	f.covers[hidden] = mt
}

func (f *FS) mountRoot(m Mount) {
	mt := f.newMount(m)
	now := f.stamp()
	root := &inode{
		ino: 2, dev: mt.Device, mount: mt, mode: fs.ModeDir | 0o755, nlink: 2,
		atime: now, mtime: now, ctime: now,
	}
	entries := &dir{parent: root}
	if f.lower != nil {
		entries.from = &lowerDir{"/"}
		root.from = lowerRef{entries.from, "."}
		if st, err := f.lower.files.Lstat("/"); err == nil {
			root.take(st)
		}
	}
	root.body = entries
	mt.root = root
}

func (f *FS) newMount(m Mount) *mount {
	if m.Device == 0 {
		m.Device = unix.Mkdev(253, uint32(len(f.mounts)))
	}
	v := f.volumes[m.Device]
	if v == nil {
		v = &volume{budget: m.Budget, dirsAreOne: m.Type != "tmpfs"}
		f.volumes[m.Device] = v
	}
	mt := &mount{Mount: m.Mount, volume: v}
	f.mounts = append(f.mounts, mt)
	return mt
}

// Mounts is the mount table.
func (f *FS) Mounts() []host.Mount {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]host.Mount, len(f.mounts))
	for i, m := range f.mounts {
		out[i] = m.Mount
	}
	return out
}

// SetBudget says what the file system mounted at point has left from now on: for a fixture whose
// numbers were taken with its files in place.
func (f *FS) SetBudget(point string, budget host.Statfs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.mounts {
		if m.Point == point {
			m.volume.budget, m.volume.blocks, m.volume.inodes = budget, 0, 0
			return nil
		}
	}
	return fmt.Errorf("%s is not a mount point of the simulated host", point)
}

func (v *volume) statfs(m *mount) host.Statfs {
	st := v.budget
	st.Device, st.Type, st.ReadOnly = m.Device, m.Type, m.ReadOnly
	if st.BlockSize == 0 {
		st.BlockSize = blockSize
	}
	if st.Total > 0 {
		st.Free = less(st.Free, v.blocks*blockSize)
		st.Available = less(st.Available, v.blocks*blockSize)
	}
	if st.Inodes > 0 {
		st.FreeInodes = less(st.FreeInodes, v.inodes)
	}
	return st
}

// less subtracts what was taken, and stops at nothing.
func less(free uint64, taken int64) uint64 {
	left := int64(free) - taken
	return uint64(max(left, 0))
}

// takeBlocks is ENOSPC if there are not as many. Others than root leave the reserve alone.
func (f *FS) takeBlocks(v *volume, n int64) error {
	free := v.budget.Free
	if !f.isRoot() {
		free = v.budget.Available
	}
	if n > 0 && v.budget.Total > 0 && (v.blocks+n)*blockSize > int64(free) {
		return syscall.ENOSPC
	}
	v.blocks += n
	return nil
}

// takeInode takes an inode and the blocks it needs from the start.
func (f *FS) takeInode(n *inode) error {
	v := n.mount.volume
	if v.budget.Inodes > 0 && v.inodes+1 > int64(v.budget.FreeInodes) {
		return syscall.ENOSPC
	}
	if err := f.takeBlocks(v, n.blocks()); err != nil {
		return err
	}
	v.inodes++
	return nil
}

// blocks is how many blocks a file takes.
func (n *inode) blocks() int64 {
	switch {
	case n.isDir() && n.mount.volume.dirsAreOne:
		return 1
	case !n.isRegular():
		return 0
	}
	if c, ok := n.body.(*content); ok {
		return c.blocks()
	}
	return pagesOf(n.size)
}

// release gives back what a file took, once it has no name and nobody has it open.
func (n *inode) release() {
	v := n.mount.volume
	switch {
	case n.nlink > 0 || n.flags&unattached != 0:
		return
	case n.opens > 0:
		if v.orphans == nil {
			v.orphans = map[*inode]bool{}
		}
		v.orphans[n] = true
		return
	}
	delete(v.orphans, n)
	n.flags |= unattached
	v.blocks -= n.blocks()
	v.inodes--
}

// Unmount takes the file system at a point away, and keeps it under a name, for Remount. What the lower layer has
// under one of its own mounts it does not show: the directory that comes to light is empty then, and hidden is true.
func (f *FS) Unmount(point, name string) (hidden bool, err error) {
	err = f.change("unmount", point, func() error {
		at, mt, err := f.mountAt(point)
		if err != nil {
			return err
		}
		for _, other := range f.mounts {
			if other != mt && isBelow(f.whereIs(other), mt.root) {
				return syscall.EBUSY
			}
		}
		if hidden = at.from.dir != nil; hidden {
			at.body, at.from = &dir{parent: at.dir().parent}, lowerRef{}
		}
		at.flags &^= covered
		delete(f.covers, at)
		f.mounts = slices.DeleteFunc(f.mounts, func(m *mount) bool { return m == mt })
		if f.detached == nil {
			f.detached = map[string]*mount{}
		}
		f.detached[name] = mt
		return nil
	})
	return hidden, err
}

// Remount puts a file system that was unmounted onto a directory; one that the name does not tell is ENODEV.
func (f *FS) Remount(name, point string) error {
	return f.change("mount", point, func() error {
		mt := f.detached[name]
		if mt == nil {
			return syscall.ENODEV
		}
		at, err := f.find(point, true)
		if err != nil {
			return err
		}
		if !at.isDir() {
			return syscall.ENOTDIR
		}
		if len(f.mounts) > 0 && at == at.mount.root {
			return syscall.EBUSY
		}
		delete(f.detached, name)
		mt.Point = point
		mt.root.dir().parent = at.dir().parent
		at.flags |= covered
		f.covers[at] = mt
		f.mounts = append(f.mounts, mt)
		return nil
	})
}

// mountAt is what is mounted at a point last, and the directory that it hides.
func (f *FS) mountAt(point string) (*inode, *mount, error) {
	for i := len(f.mounts) - 1; i > 0; i-- {
		if f.mounts[i].Point == point {
			return f.whereIs(f.mounts[i]), f.mounts[i], nil
		}
	}
	return nil, nil, syscall.EINVAL
}

// whereIs is the directory that a mount hides.
func (f *FS) whereIs(mt *mount) *inode {
	for n, m := range f.covers {
		if m == mt {
			return n
		}
	}
	return mt.root
}
