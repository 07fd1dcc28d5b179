package live

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// maxHops is the kernel's limit of symlinks in one path (path_resolution(7)).
const maxHops = 40

// space is a directory tree seen as the whole file system of a machine.
type space struct {
	root int // O_PATH descriptor
	path string
	euid uint32
}

// place is a name in an open directory: what the *at system calls want. The name is "." where a path
// leads to the directory itself. It ends in a slash where the path of a name (see last) does.
type place struct {
	dir   int
	name  string
	owned bool // dir is ours to close
}

func (p place) close() {
	if p.owned {
		unix.Close(p.dir)
	}
}

// last says what an operation does with the last component of a path.
type last int

const (
	// lastItself: the file of that name is meant, be it a symlink. With a slash behind it, the directory
	// to which the name leads is.
	lastItself last = iota
	// lastTarget: a symlink is followed.
	lastTarget
	// lastName: the entry is made, moved or removed. What a slash behind it means is left to the kernel,
	// which follows no symlink then.
	lastName
)

// resolve walks to the directory that holds the last component of an absolute path. Symlinks on the
// way are followed inside the space.
func (s *space) resolve(path string, end last) (place, error) {
	if err := checkPath(path); err != nil {
		return place{}, err
	}
	w := walk{space: s}
	p, err := w.run(path, end)
	w.close()
	return p, err
}

func checkPath(path string) error {
	switch {
	case path == "":
		return unix.ENOENT
	case path[0] != '/', strings.IndexByte(path, 0) >= 0:
		return unix.EINVAL
	case len(path) >= unix.PathMax:
		return unix.ENAMETOOLONG
	}
	return nil
}

// walk is a resolution under way: the directories from the root to where it stands. Going up takes
// the last one off, so that ".." leads where the walk came from and never above the root.
type walk struct {
	space *space
	dirs  []int
	names []string // of dirs
	hops  int
}

func (w *walk) run(todo string, end last) (place, error) {
	for {
		entry, rest := nextName(todo)
		switch entry {
		case "":
			return w.here("."), nil
		case ".":
			todo = rest
			continue
		case "..":
			if end == lastName && strings.Trim(rest, "/") == "" {
				return w.here(entry), nil // the kernel refuses it, by what the operation is
			}
			w.up()
			todo = rest
			continue
		}
		atEnd, slash := strings.Trim(rest, "/") == "", rest != ""
		switch {
		case atEnd && end == lastName && slash:
			return w.here(entry + "/"), nil
		case atEnd && (end == lastName || end == lastItself && !slash):
			return w.here(entry), nil
		}
		link, isLink, err := w.enter(entry, atEnd)
		switch {
		case err != nil:
			return place{}, err
		case isLink:
			todo = link + rest
		case atEnd && slash:
			return w.directory(entry)
		case atEnd:
			return w.here(entry), nil
		default:
			todo = rest
		}
	}
}

// directory is the place of an entry that must be a directory.
func (w *walk) directory(entry string) (place, error) {
	fd, err := openAt(w.top(), entry, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
	if err != nil {
		return place{}, err
	}
	unix.Close(fd)
	return w.here(entry), nil
}

// enter steps into the directory called name, or tells where it leads if it is a symlink. The last
// component is only looked at.
func (w *walk) enter(name string, last bool) (target string, isLink bool, err error) {
	if !last {
		fd, err := openAt(w.top(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
		if err == nil {
			w.dirs, w.names = append(w.dirs, fd), append(w.names, name)
			return "", false, nil
		}
		if err != unix.ENOTDIR && err != unix.ELOOP {
			return "", false, err
		}
	}
	target, err = w.readlink(name)
	switch {
	case err == nil:
		if strings.HasPrefix(target, "/") {
			w.close()
		}
		return target, true, nil
	case err == unix.EINVAL && !last:
		return "", false, unix.ENOTDIR
	case last && (err == unix.EINVAL || err == unix.ENOENT):
		return "", false, nil // not a symlink; the operation finds out what else it is
	}
	return "", false, err
}

// readlink reads a symlink that may be followed; EINVAL says that name is none. Owner and target are
// asked of one descriptor, so that they belong together.
func (w *walk) readlink(name string) (string, error) {
	fd, err := openAt(w.top(), name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	if w.hops++; w.hops > maxHops {
		return "", unix.ELOOP
	}
	if !w.mayFollow(st.Uid) {
		return "", &host.ForeignLinkError{Link: "/" + strings.Join(append(slices.Clone(w.names), name), "/"), UID: st.Uid}
	}
	target, err := readlinkAt(fd, "")
	if err == nil && target == "" {
		err = unix.ENOENT
	}
	return target, err
}

// mayFollow trusts the symlinks of root and of the user that runs the program. Ordinary users, who
// cannot be led to more than they may do anyway, also follow those of a directory's owner.
func (w *walk) mayFollow(uid uint32) bool {
	if uid == 0 || uid == w.space.euid {
		return true
	}
	if w.space.euid == 0 {
		return false
	}
	var dir unix.Stat_t
	return fstat(w.top(), &dir) == nil && dir.Uid == uid
}

func (w *walk) top() int {
	if len(w.dirs) == 0 {
		return w.space.root
	}
	return w.dirs[len(w.dirs)-1]
}

func (w *walk) up() {
	if len(w.dirs) > 0 {
		unix.Close(w.top())
		w.dirs, w.names = w.dirs[:len(w.dirs)-1], w.names[:len(w.dirs)-1]
	}
}

// here hands the directory where the walk stands over to a place.
func (w *walk) here(name string) place {
	p := place{dir: w.top(), name: name, owned: len(w.dirs) > 0}
	if p.owned {
		w.dirs, w.names = w.dirs[:len(w.dirs)-1], w.names[:len(w.dirs)-1]
	}
	return p
}

// close goes back to the root.
func (w *walk) close() {
	for len(w.dirs) > 0 {
		w.up()
	}
}

func nextName(path string) (name, rest string) {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// pathError names the operation and the path of an error; it is nil for nil.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var already *fs.PathError
	if errors.As(err, &already) {
		return err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func linkError(op, old, new string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: old, New: new, Err: err}
}

// isErrno reports whether an error comes from that errno.
func isErrno(err error, errno syscall.Errno) bool { return errors.Is(err, errno) }
