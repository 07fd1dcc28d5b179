package simfs

import (
	"io/fs"
	"syscall"
	"time"
)

// This file writes a fixture down. Its functions make missing parent directories (root, 0755),
// replace files that are there, and ask neither permissions nor budgets, though what they write
// counts. Mount file systems before what lies in them.

// PutDir makes a directory, or changes the one that is there.
func (f *FS) PutDir(path string, mode fs.FileMode, uid, gid uint32) error {
	return f.load(path, func(p place) error {
		n, err := f.existing(p)
		if err != nil || n != nil && !n.isDir() {
			return cmpErr(err, syscall.ENOTDIR)
		}
		if n == nil {
			n = f.putDir(p)
		}
		n.mode, n.uid, n.gid = fs.ModeDir|mode&permBits, uid, gid
		return nil
	})
}

// PutFile writes a regular file.
func (f *FS) PutFile(path string, data []byte, mode fs.FileMode, uid, gid uint32, mtime time.Time) error {
	c := &content{}
	for i := int64(0); i*blockSize < int64(len(data)); i++ {
		end := min((i+1)*blockSize, int64(len(data)))
		if err := c.writePage(i, 0, data[i*blockSize:end], nil); err != nil {
			return pathError("write", path, err)
		}
	}
	return f.putFile(path, c, int64(len(data)), mode, uid, gid, mtime)
}

// PutSized declares a regular file of which only the size is known: reading it is host.ErrUnknown.
func (f *FS) PutSized(path string, size int64, mode fs.FileMode, uid, gid uint32, mtime time.Time) error {
	return f.putFile(path, &content{unknown: true, baseLen: size}, size, mode, uid, gid, mtime)
}

func (f *FS) putFile(path string, c *content, size int64, mode fs.FileMode, uid, gid uint32, mtime time.Time) error {
	return f.load(path, func(p place) error {
		n, err := f.replace(p, mode&permBits)
		if err != nil {
			return err
		}
		n.body, n.size, n.uid, n.gid = c, size, uid, gid
		n.atime, n.mtime = mtime.UnixNano(), mtime.UnixNano()
		f.count(n)
		return nil
	})
}

// PutSymlink makes a symlink.
func (f *FS) PutSymlink(path, to string, uid, gid uint32) error {
	return f.load(path, func(p place) error {
		n, err := f.replace(p, fs.ModeSymlink|0o777)
		if err != nil {
			return err
		}
		n.body, n.size, n.uid, n.gid = target(to), int64(len(to)), uid, gid
		f.count(n)
		return nil
	})
}

// PutNode makes a FIFO, socket or device node of the type in mode.
func (f *FS) PutNode(path string, mode fs.FileMode, rdev uint64, uid, gid uint32) error {
	return f.load(path, func(p place) error {
		n, err := f.replace(p, mode&(typeBits|permBits))
		if err != nil {
			return err
		}
		n.uid, n.gid = uid, gid
		if mode&fs.ModeDevice != 0 {
			n.body = device(rdev)
		}
		f.count(n)
		return nil
	})
}

// PutLink gives the file at oldpath another name.
func (f *FS) PutLink(oldpath, newpath string) error {
	return f.load(newpath, func(p place) error {
		n, err := f.find(oldpath, false)
		if err != nil {
			return err
		}
		old, err := f.existing(p)
		switch {
		case err != nil:
			return err
		case old != nil:
			return syscall.EEXIST
		case n.isDir():
			return syscall.EPERM
		case n.mount != p.dir.mount:
			return syscall.EXDEV
		}
		n.nlink++
		f.enter(p, n)
		return nil
	})
}

// PutXattr sets an extended attribute of the file at a path, a symlink itself.
func (f *FS) PutXattr(path, name string, value []byte) error {
	return f.read("setxattr", path, func() error {
		n, err := f.find(path, false)
		if err != nil {
			return err
		}
		ctime := n.ctime
		err = f.setxattr(n, name, value)
		n.ctime = ctime
		return err
	})
}

// PutTimes sets the modification and access time of what is at a path, a symlink itself. Loading a
// directory's files changes its own times, so set those last.
func (f *FS) PutTimes(path string, mtime time.Time) error {
	return f.read("chtimes", path, func() error {
		n, err := f.find(path, false)
		if err != nil {
			return err
		}
		n.atime, n.mtime = mtime.UnixNano(), mtime.UnixNano()
		return nil
	})
}

// SetContentUnknown says that a regular file now has a content of this size that cannot be known.
// It counts as a write: it is stopped by a full disk.
func (f *FS) SetContentUnknown(path string, size int64) error {
	return f.change("write", path, func() error {
		n, err := f.find(path, true)
		if err != nil {
			return err
		}
		if err := mustBeRegular(n); err != nil {
			return err
		}
		if err := n.mayChange(); err != nil {
			return err
		}
		if err := f.takeBlocks(n.mount.volume, pagesOf(size)-n.blocks()); err != nil {
			return err
		}
		n.body, n.size = &content{unknown: true, baseLen: size}, size
		f.wrote(n)
		return nil
	})
}

// IsContentKnown reports whether a regular file's content can be read; the lower layer's can.
func (f *FS) IsContentKnown(path string) (known bool, err error) {
	err = f.at("open", path, true, func(n *inode) error {
		if err := mustBeRegular(n); err != nil {
			return err
		}
		c, written := n.body.(*content)
		known = !written || !c.unknown || c.baseLen == 0
		return nil
	})
	return known, err
}

// load runs a loading function as root and without the hooks.
func (f *FS) load(path string, do func(p place) error) error {
	return f.read("load", path, func() error {
		user := f.user
		f.user = nil
		defer func() { f.user = user }()
		p, err := f.makeParents(path)
		if err != nil {
			return err
		}
		return do(p)
	})
}

// makeParents is locate with the missing directories made.
func (f *FS) makeParents(path string) (place, error) {
	p, err := f.locate(path)
	for i := 1; i < len(path) && isErrno(err, syscall.ENOENT); i++ {
		if path[i] != '/' {
			continue
		}
		parent, perr := f.locate(path[:i])
		if perr != nil {
			return place{}, perr
		}
		if n, nerr := f.existing(parent); nerr != nil {
			return place{}, nerr
		} else if n == nil {
			f.putDir(parent)
		}
		p, err = f.locate(path)
	}
	return p, err
}

// existing is the file at a place, nil if there is none.
func (f *FS) existing(p place) (*inode, error) {
	n, err := (&walker{f: f}).node(p, true)
	if isErrno(err, syscall.ENOENT) {
		return nil, nil
	}
	return n, err
}

func (f *FS) putDir(p place) *inode {
	n := f.newInode(p.dir, fs.ModeDir|0o755)
	n.body, n.nlink = &dir{parent: p.dir}, 2
	n.uid, n.gid = 0, 0
	f.count(n)
	f.enter(p, n)
	return n
}

// replace puts a new file in the place of what is there; a directory stays.
func (f *FS) replace(p place, mode fs.FileMode) (*inode, error) {
	if p.kind != lastName {
		return nil, syscall.EISDIR
	}
	old, err := f.child(p.dir, p.name)
	switch {
	case err == nil && old.isDir():
		return nil, syscall.EISDIR
	case err == nil && old.flags&covered != 0:
		return nil, syscall.EBUSY
	case err == nil:
		f.loseName(old)
	case !isErrno(err, syscall.ENOENT):
		return nil, err
	}
	n := f.newInode(p.dir, mode)
	f.enter(p, n)
	return n, nil
}

// count takes space without asking whether there is any.
func (f *FS) count(n *inode) {
	n.mount.volume.blocks += n.blocks()
	n.mount.volume.inodes++
}
