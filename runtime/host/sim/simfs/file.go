package simfs

import (
	"io"
	"os"
	"syscall"

	"zcp2kopano/runtime/host"
)

// file is an open regular file. Its descriptor keeps the content alive when the last name goes.
type file struct {
	f        *FS
	n        *inode
	path     string
	off      int64
	reads    bool
	writes   bool
	appends  bool
	closed   bool
	below    host.File // of the lower layer, once something was read there
	belowRef lowerRef
}

var (
	_ host.File     = (*file)(nil)
	_ io.ReaderFrom = (*file)(nil)
	_ io.WriterAt   = (*file)(nil)
)

// open is what Open, OpenWrite and Create have in common.
func (f *FS) open(n *inode, path string, reads, writes bool) *file {
	n.opens++
	return &file{f: f, n: n, path: path, reads: reads, writes: writes}
}

// openRead checks what open(2) for reading would, and that it is a regular file.
func (f *FS) openRead(n *inode, path string) (*file, error) {
	if err := mustBeRegular(n); err != nil {
		return nil, err
	}
	if err := f.allowed(n, mayRead); err != nil {
		return nil, err
	}
	return f.open(n, path, true, false), nil
}

func (f *FS) openWrite(n *inode, path string) (*file, error) {
	if err := mustBeRegular(n); err != nil {
		return nil, err
	}
	if err := n.mayChange(); err != nil {
		return nil, err
	}
	if err := f.allowed(n, mayRead|mayWrite); err != nil {
		return nil, err
	}
	return f.open(n, path, true, true), nil
}

func mustBeRegular(n *inode) error {
	switch {
	case n.isSymlink():
		return syscall.ELOOP
	case n.isDir():
		return syscall.EISDIR
	case !n.isRegular():
		return host.ErrNotRegular
	}
	return nil
}

func (h *file) ask(op string, do func() error) error {
	return h.f.read(op, h.path, h.unlessClosed(do))
}

func (h *file) change(op string, do func() error) error {
	return h.f.change(op, h.path, h.unlessClosed(do))
}

func (h *file) unlessClosed(do func() error) func() error {
	return func() error {
		if h.closed {
			return os.ErrClosed
		}
		return do()
	}
}

func (h *file) Stat() (st host.Stat, err error) {
	err = h.ask("stat", func() error { st = h.n.stat(); return nil })
	return st, err
}

func (h *file) Read(p []byte) (n int, err error) {
	end := false
	err = h.ask("read", func() (err error) {
		n, end, err = h.readAt(p, h.off)
		h.off += int64(n)
		return err
	})
	if err == nil && end && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (h *file) ReadAt(p []byte, off int64) (n int, err error) {
	end := false
	err = h.ask("read", func() (err error) {
		if off < 0 {
			return syscall.EINVAL
		}
		n, end, err = h.readAt(p, off)
		return err
	})
	if err == nil && end && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// readAt reads up to the end of the file and reports whether it got there.
func (h *file) readAt(p []byte, off int64) (n int, end bool, err error) {
	if !h.reads {
		return 0, false, syscall.EBADF
	}
	left := max(h.n.size-off, 0)
	if int64(len(p)) >= left {
		p, end = p[:left], true
	}
	if len(p) == 0 {
		return 0, end, nil
	}
	c, ok := h.n.body.(*content)
	if !ok {
		c = &content{base: h.n.from, baseLen: h.n.size}
	}
	if err := c.readAt(p, off, h.readBelow); err != nil {
		return 0, false, err
	}
	return len(p), end, nil
}

func (h *file) readBelow(ref lowerRef, p []byte, off int64) error {
	if h.below == nil || h.belowRef != ref {
		r, err := h.f.lower.openFile(ref)
		if err != nil {
			return err
		}
		h.closeBelow()
		h.below, h.belowRef = r, ref
	}
	return readFull(h.below, p, off)
}

func (h *file) closeBelow() {
	if h.below != nil {
		h.below.Close()
		h.below = nil
	}
}

func (h *file) Write(p []byte) (n int, err error) {
	err = h.change("write", func() (err error) {
		if h.appends {
			h.off = h.n.size
		}
		n, err = h.writeAt(p, h.off)
		h.off += int64(n)
		return err
	})
	return n, err
}

// WriteAt writes at an offset and leaves the position of Write alone.
func (h *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = h.change("write", func() (err error) {
		if off < 0 {
			return syscall.EINVAL
		}
		n, err = h.writeAt(p, off)
		return err
	})
	return n, err
}

// writeAt writes block by block, so that a full disk leaves what still fitted.
func (h *file) writeAt(p []byte, off int64) (n int, err error) {
	if !h.writes {
		return 0, syscall.EBADF
	}
	if len(p) == 0 {
		return 0, nil
	}
	c, v := contentOf(h.n), h.n.mount.volume
	for len(p) > 0 && err == nil {
		index, start := off/blockSize, off%blockSize
		chunk := p[:min(int64(len(p)), blockSize-start)]
		if !c.isAllocated(index) {
			if err = h.f.takeBlocks(v, 1); err != nil {
				break
			}
		}
		if err = c.writePage(index, start, chunk, h.readBelow); err != nil {
			break
		}
		n += len(chunk)
		off += int64(len(chunk))
		p = p[len(chunk):]
		h.n.size = max(h.n.size, off)
	}
	if n > 0 {
		h.f.wrote(h.n)
	}
	return n, err
}

// wrote is what a change of content does to the inode. Root keeps setuid and setgid.
func (f *FS) wrote(n *inode) {
	n.touch(f.stamp())
	f.loseCaps(n)
	if !f.isRoot() {
		n.mode = f.withoutSetID(n)
	}
}

// ReadFrom copies another file. Of a file of the same file system, from start to end, it takes a
// reference and reads nothing, so that io.Copy of any size is simulated at once; the space is taken
// all the same.
func (h *file) ReadFrom(r io.Reader) (int64, error) {
	src, ok := r.(*file)
	if !ok || src.f != h.f || src == h {
		return h.copyFrom(r)
	}
	cloned, size := false, int64(0)
	err := h.change("write", func() (err error) {
		if src.closed || !src.reads || !h.writes || src.off != 0 || h.off != 0 || h.n.size != 0 || src.n == h.n {
			return nil
		}
		size = src.n.size
		cloned, err = h.clone(src.n)
		return err
	})
	if err != nil || cloned {
		h.off += size
		src.off += size
		return size, err
	}
	return h.copyFrom(r)
}

// clone fails to clone, without an error, what does not fit whole: then a copy finds how much does.
func (h *file) clone(src *inode) (bool, error) {
	var c *content
	if written, ok := src.body.(*content); ok {
		c = written.clone()
	} else {
		c = &content{base: src.from, baseLen: src.size}
	}
	v := h.n.mount.volume
	if err := h.f.takeBlocks(v, c.blocks()); err != nil {
		if c.unknown {
			return false, err
		}
		return false, nil
	}
	v.blocks -= h.n.blocks()
	h.n.body, h.n.size = c, src.size
	h.f.wrote(h.n)
	return true, nil
}

func (h *file) copyFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{h}, r)
}

func (h *file) Seek(offset int64, whence int) (pos int64, err error) {
	err = h.ask("seek", func() error {
		switch whence {
		case io.SeekStart:
		case io.SeekCurrent:
			offset += h.off
		case io.SeekEnd:
			offset += h.n.size
		default:
			return syscall.EINVAL
		}
		if offset < 0 {
			return syscall.EINVAL
		}
		h.off, pos = offset, offset
		return nil
	})
	return pos, err
}

func (h *file) Truncate(size int64) error {
	return h.change("truncate", func() error {
		if size < 0 || !h.writes {
			return syscall.EINVAL
		}
		h.f.truncate(h.n, size)
		return nil
	})
}

func (f *FS) truncate(n *inode, size int64) {
	before := n.blocks()
	contentOf(n).truncate(size)
	n.size = size
	n.mount.volume.blocks += n.blocks() - before
	f.wrote(n)
}

func (h *file) Sync() error {
	return h.change("fsync", func() error { return nil })
}

func (h *file) Close() error {
	return h.ask("close", func() error {
		h.closed = true
		h.closeBelow()
		h.n.opens--
		h.n.release()
		return nil
	})
}
