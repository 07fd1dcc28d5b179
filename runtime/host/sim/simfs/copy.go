package simfs

import (
	"maps"
	"time"
)

// Clone is a file system with the same files, independent of this one from now on, on the same lower layer.
// Nothing in it is open: what has no name any more, and lived only because somebody had it open, is gone. Now
// is its clock; who is asked about changes, and who hears of them, stays the same, see Watch.
func (f *FS) Clone(now func() time.Time) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &copying{
		inodes: map[*inode]*inode{}, mounts: map[*mount]*mount{}, volumes: map[*volume]*volume{},
	}
	out := &FS{
		now: now, user: f.user, trust: f.trust, fault: f.fault, after: f.after,
		covers: map[*inode]*mount{}, volumes: map[uint64]*volume{}, links: map[lowerID]*inode{}, lastIno: f.lastIno,
	}
	if f.lower != nil {
		out.lower = &lower{files: f.lower.files}
	}
	for id, v := range f.volumes {
		out.volumes[id] = c.volume(v)
	}
	for _, m := range f.mounts {
		out.mounts = append(out.mounts, c.mount(m))
	}
	for n, m := range f.covers {
		out.covers[c.inode(n)] = c.mount(m)
	}
	for name, m := range f.detached {
		if out.detached == nil {
			out.detached = map[string]*mount{}
		}
		out.detached[name] = c.mount(m)
	}
	for id, n := range f.links {
		out.links[id] = c.inode(n)
	}
	return out
}

// Watch says who is asked before every change and sync, and who hears of those that succeeded.
func (f *FS) Watch(fault func(op, path string) error, after func(op, path string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.after = fault, after
}

// copying keeps apart what was copied already: a file can have several names, and a directory knows its parent.
type copying struct {
	inodes  map[*inode]*inode
	mounts  map[*mount]*mount
	volumes map[*volume]*volume
}

func (c *copying) inode(n *inode) *inode {
	if n == nil {
		return nil
	}
	if done := c.inodes[n]; done != nil {
		return done
	}
	out := &inode{}
	*out = *n
	c.inodes[n] = out
	out.opens, out.mount, out.xattrs = 0, c.mount(n.mount), maps.Clone(n.xattrs)
	switch body := n.body.(type) {
	case *dir:
		out.body = c.dir(body)
	case *content:
		out.body = body.clone()
	}
	return out
}

func (c *copying) dir(d *dir) *dir {
	out := &dir{parent: c.inode(d.parent), from: d.from, dead: d.dead}
	if d.names != nil {
		out.names = make(map[string]*inode, len(d.names))
	}
	for name, n := range d.names {
		out.names[name] = c.inode(n)
	}
	return out
}

func (c *copying) mount(m *mount) *mount {
	if done := c.mounts[m]; done != nil {
		return done
	}
	out := &mount{Mount: m.Mount, volume: c.volume(m.volume)}
	c.mounts[m] = out
	out.root = c.inode(m.root)
	return out
}

func (c *copying) volume(v *volume) *volume {
	if done := c.volumes[v]; done != nil {
		return done
	}
	out := &volume{budget: v.budget, blocks: v.blocks, inodes: v.inodes, dirsAreOne: v.dirsAreOne}
	c.volumes[v] = out
	for n := range v.orphans {
		out.blocks -= n.blocks()
		out.inodes--
	}
	return out
}
