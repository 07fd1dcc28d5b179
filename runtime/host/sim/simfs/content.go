package simfs

import (
	"io"
	"slices"
	"sort"

	"zcp2kopano/runtime/host"
)

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

func (c *content) readBase(p []byte, off int64, below readBase) error {
	n := min(int64(len(p)), max(c.baseLen-off, 0))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if c.unknown {
		return host.ErrUnknown
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
