package live

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// entry is an entry of an open directory, held by an O_PATH descriptor: that opens nothing, whatever the type, and
// stays with the inode when the name is given to another. Where Linux takes no such descriptor (before 3.12 even
// fewer calls do), its name in /proc leads to the inode, and never through it.
type entry struct {
	fd   int
	dir  *treeReader
	name string
}

var (
	_ host.Held      = (*entry)(nil)
	_ host.HeldWrite = (*entry)(nil)
)

func (t *treeReader) hold(name string) (*entry, error) {
	if err := t.name("open", name); err != nil {
		return nil, err
	}
	fd, err := openAt(t.fd, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, t.wrap("open", name, err)
	}
	return &entry{fd, t, name}, nil
}

func (e *entry) wrap(op string, err error) error { return e.dir.wrap(op, e.name, err) }

func (e *entry) Close() error { return e.wrap("close", unix.Close(e.fd)) }

func (e *entry) Stat() (host.Stat, error) {
	st, err := e.look()
	return st, e.wrap("lstat", err)
}

func (e *entry) look() (host.Stat, error) {
	var st unix.Stat_t
	if err := fstat(e.fd, &st); err != nil {
		return host.Stat{}, err
	}
	return statOf(&st), nil
}

func (e *entry) Readlink() (string, error) {
	target, err := readlinkAt(e.fd, "")
	if err == unix.ENOENT { // it is no symlink
		err = unix.EINVAL
	}
	return target, e.wrap("readlink", err)
}

func (e *entry) Open() (host.File, error) {
	st, err := e.look()
	if err == nil {
		err = regular(st)
	}
	if err != nil {
		return nil, e.wrap("open", err)
	}
	fd, err := e.reopen()
	if err != nil {
		return nil, e.wrap("open", err)
	}
	return &file{os.NewFile(uintptr(fd), e.name), join(e.dir.path, e.name)}, nil
}

// reopen opens a regular file or a directory, by its name in /proc, or by its own where /proc is not mounted.
func (e *entry) reopen() (int, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := openQuiet(unix.AT_FDCWD, procPath(e.fd, ""), flags)
	if err != unix.ENOENT && err != unix.ENOTDIR {
		return fd, err
	}
	if fd, err = openQuiet(e.dir.fd, e.name, flags|unix.O_NOFOLLOW); err != nil {
		return -1, err
	}
	if err = e.is(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// is reports whether this is a descriptor of the same inode.
func (e *entry) is(fd int) error {
	held, err := e.look()
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return err
	}
	return host.Same(held, statOf(&st))
}

// byPath does work by the name in /proc, for the system calls that take no O_PATH descriptor; where /proc is not
// mounted, by a descriptor that is opened for it.
func (e *entry) byPath(op string, byPath func(path string) error, byFD func(fd int) error) error {
	err := retry(func() error { return byPath(procPath(e.fd, "")) })
	if err == unix.ENOENT || err == unix.ENOTDIR {
		err = e.withoutProc(byFD)
	}
	return e.wrap(op, err)
}

// withoutProc opens what can be opened harmlessly.
func (e *entry) withoutProc(work func(fd int) error) error {
	st, err := e.look()
	if err != nil {
		return err
	}
	if !st.IsRegular() && !st.IsDir() {
		return unix.EOPNOTSUPP
	}
	fd, err := e.reopen()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return retry(func() error { return work(fd) })
}

func (e *entry) Chown(uid, gid int) error {
	return e.wrap("lchown", retry(func() error { return unix.Fchownat(e.fd, "", uid, gid, unix.AT_EMPTY_PATH) }))
}

func (e *entry) Chmod(mode fs.FileMode) error {
	st, err := e.look()
	if err == nil && st.IsSymlink() {
		err = unix.EOPNOTSUPP
	}
	if err != nil {
		return e.wrap("chmod", err)
	}
	bits := host.PermBits(mode)
	return e.byPath("chmod",
		func(path string) error { return unix.Chmod(path, bits) },
		func(fd int) error { return unix.Fchmod(fd, bits) })
}

func (e *entry) Chtimes(atime, mtime time.Time) error {
	times := []unix.Timespec{timespec(atime), timespec(mtime)}
	return e.byPath("chtimes",
		func(path string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0) },
		func(fd int) error { return futimens(fd, atime, mtime) })
}

func (e *entry) Getxattr(attr string) (value []byte, err error) {
	err = e.byPath("getxattr",
		func(path string) (err error) {
			value, err = readSized(func(buf []byte) (int, error) { return unix.Getxattr(path, attr, buf) })
			return err
		},
		func(fd int) (err error) {
			value, err = readSized(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, attr, buf) })
			return err
		})
	return value, err
}

func (e *entry) Listxattr() ([]string, error) {
	var data []byte
	err := e.byPath("listxattr",
		func(path string) (err error) {
			data, err = readSized(func(buf []byte) (int, error) { return unix.Listxattr(path, buf) })
			return err
		},
		func(fd int) (err error) {
			data, err = readSized(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
			return err
		})
	return attrNames(data), err
}

func (e *entry) Setxattr(attr string, value []byte) error {
	return e.byPath("setxattr",
		func(path string) error { return unix.Setxattr(path, attr, value, 0) },
		func(fd int) error { return unix.Fsetxattr(fd, attr, value, 0) })
}

func (e *entry) Removexattr(attr string) error {
	return e.byPath("removexattr",
		func(path string) error { return unix.Removexattr(path, attr) },
		func(fd int) error { return unix.Fremovexattr(fd, attr) })
}
