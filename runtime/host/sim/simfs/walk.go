package simfs

import (
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
)

// Limits of Linux: bytes of a name, bytes of a path with its final NUL, symlinks in one resolution.
const (
	nameMax  = 255
	pathMax  = 4096
	linksMax = 40
)

// last is what the final component of a path is.
type last int

const (
	lastName last = iota
	lastRoot
	lastDot
	lastDotDot
)

// place is a name in a directory, there or not. For other kinds than lastName only dir is set.
type place struct {
	dir   *inode
	name  string
	kind  last
	slash bool // the path ends in a slash: it must be a directory
}

// walker resolves one path.
type walker struct {
	f     *FS
	links int
}

// locate finds the directory and the final name of a path.
func (f *FS) locate(path string) (place, error) {
	if err := checkPath(path); err != nil {
		return place{}, err
	}
	w := &walker{f: f}
	return w.place(nil, path)
}

// find is the file at a path; follow says whether a symlink in the last component is followed.
func (f *FS) find(path string, follow bool) (*inode, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	w := &walker{f: f}
	p, err := w.place(nil, path)
	if err != nil {
		return nil, err
	}
	return w.node(p, follow)
}

// checkPath refuses what never reaches the file system. Paths are absolute here.
func checkPath(path string) error {
	switch {
	case hasNUL(path):
		return syscall.EINVAL
	case path == "":
		return syscall.ENOENT
	case len(path) >= pathMax:
		return syscall.ENAMETOOLONG
	case path[0] != '/':
		return syscall.EINVAL
	}
	return nil
}

// hasNUL finds what no system call can be given.
func hasNUL(args ...string) bool {
	return slices.ContainsFunc(args, func(s string) bool { return strings.IndexByte(s, 0) >= 0 })
}

// place walks all components but the last.
func (w *walker) place(cur *inode, path string) (place, error) {
	if path[0] == '/' {
		cur = w.f.root()
	}
	path = strings.TrimLeft(path, "/")
	if path == "" {
		return place{dir: cur, kind: lastRoot}, nil
	}
	for {
		if err := w.f.mayEnter(cur); err != nil {
			return place{}, err
		}
		name, rest := path, ""
		if i := strings.IndexByte(path, '/'); i >= 0 {
			name, rest = path[:i], path[i:]
		}
		p := place{dir: cur, name: name, kind: kindOf(name), slash: rest != ""}
		path = strings.TrimLeft(rest, "/")
		if path == "" {
			return p, nil
		}
		p.slash = false
		next, err := w.node(p, true)
		if err != nil {
			return place{}, err
		}
		if !next.isDir() {
			return place{}, syscall.ENOTDIR
		}
		cur = next
	}
}

func kindOf(name string) last {
	switch name {
	case ".":
		return lastDot
	case "..":
		return lastDotDot
	}
	return lastName
}

// node is the file at a place.
func (w *walker) node(p place, follow bool) (*inode, error) {
	if p.kind != lastName {
		return w.f.dots(p), nil
	}
	n, err := w.f.child(p.dir, p.name)
	if err != nil {
		return nil, err
	}
	n = w.f.cross(n)
	if n.isSymlink() && (follow || p.slash) {
		n, err = w.follow(p.dir, n)
		if err != nil {
			return nil, err
		}
	}
	if p.slash && !n.isDir() {
		return nil, syscall.ENOTDIR
	}
	return n, nil
}

// dots is the directory that "/", "." or ".." means.
func (f *FS) dots(p place) *inode {
	if p.kind == lastDotDot {
		return f.cross(p.dir.dir().parent)
	}
	return p.dir
}

func (w *walker) follow(d, link *inode) (*inode, error) {
	p, err := w.through(d, link)
	if err != nil {
		return nil, err
	}
	return w.node(p, true)
}

// through is the place that a symlink leads to.
func (w *walker) through(d, link *inode) (place, error) {
	if w.links++; w.links > linksMax {
		return place{}, syscall.ELOOP
	}
	if !w.f.trusts(d, link) {
		return place{}, &host.ForeignLinkError{Link: w.f.pathOf(d, link), UID: link.uid}
	}
	to, err := w.f.readlink(link)
	if err != nil {
		return place{}, err
	}
	if to == "" {
		return place{}, syscall.ENOENT
	}
	return w.place(d, to)
}

// pathOf is the path of an entry of a directory.
func (f *FS) pathOf(d, entry *inode) string {
	path := ""
	for {
		path = "/" + f.nameOf(d, entry) + path
		parent := f.dots(place{dir: d, kind: lastDotDot})
		if parent == d {
			return path
		}
		d, entry = parent, d
	}
}

// nameOf is the first of an entry's names in a directory.
func (f *FS) nameOf(d, entry *inode) string {
	first := ""
	for name, n := range d.dir().names {
		if n != nil && (n == entry || f.cross(n) == entry) && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// trusts is the rule of a live host: symlinks of root and of the user itself, and for others than
// root, who cannot be led to more than they may do anyway, those of the directory's owner.
func (f *FS) trusts(d, link *inode) bool {
	uid := uint32(0)
	if f.user != nil {
		uid = f.user.UID
	}
	return f.trust || link.uid == 0 || link.uid == uid || uid != 0 && link.uid == d.uid
}

// cross goes from a mount point to what is mounted there.
func (f *FS) cross(n *inode) *inode {
	for n.flags&covered != 0 {
		n = f.covers[n].root
	}
	return n
}

func (f *FS) root() *inode { return f.cross(f.mounts[0].root) }

// isBelow reports whether n is d or lies below it.
func isBelow(n, d *inode) bool {
	for {
		if n == d {
			return true
		}
		parent := n.dir().parent
		if parent == n || parent.mount != d.mount {
			return false
		}
		n = parent
	}
}
