package live

import (
	"encoding/binary"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// The functions of this file work on a name in an open directory and never follow a symlink. They
// return bare errnos; callers know the path and wrap them.

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func openAt(dir int, name string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// openQuiet opens for reading without leaving an access time behind, where the owner may ask for that.
func openQuiet(dir int, name string, flags int) (int, error) {
	fd, err := openAt(dir, name, flags|unix.O_NOATIME)
	if err == unix.EPERM {
		return openAt(dir, name, flags)
	}
	return fd, err
}

func fstat(fd int, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstat(fd, st) })
}

func lstatAt(dir int, name string) (host.Stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return host.Stat{}, err
	}
	return statOf(&st), nil
}

func readlinkAt(dir int, name string) (string, error) {
	var buf [unix.PathMax]byte
	var n int
	err := retry(func() (err error) {
		n, err = unix.Readlinkat(dir, name, buf[:])
		return err
	})
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// openRegularAt opens a regular file. What else bears the name is looked at but not opened: opening a
// FIFO blocks and opening a device may act on it.
func openRegularAt(dir int, name string, flags int) (*os.File, error) {
	before, err := lstatAt(dir, name)
	if err != nil {
		return nil, err
	}
	if err := regular(before); err != nil {
		return nil, err
	}
	open := openAt
	if flags == unix.O_RDONLY {
		open = openQuiet
	}
	fd, err := open(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = fstat(fd, &st); err == nil {
		err = regular(statOf(&st)) // it may have been replaced since
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func regular(st host.Stat) error {
	switch {
	case st.IsRegular():
		return nil
	case st.IsDir():
		return unix.EISDIR
	case st.IsSymlink():
		return unix.ELOOP
	}
	return host.ErrNotRegular
}

// openDirAt opens a directory for reading. A symlink is ELOOP, anything else ENOTDIR.
func openDirAt(dir int, name string) (int, error) {
	fd, err := openQuiet(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err == unix.ENOTDIR {
		// The kernel says ENOTDIR of a symlink too.
		if st, lerr := lstatAt(dir, name); lerr == nil && st.IsSymlink() {
			return -1, unix.ELOOP
		}
	}
	return fd, err
}

// direntBuffers are what directories are read into.
var direntBuffers = sync.Pool{New: func() any {
	buf := make([]byte, 64<<10)
	return &buf
}}

// readDirFD lists an open directory in order of name.
func readDirFD(fd int) ([]host.DirEntry, error) {
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	var entries []host.DirEntry
	spare := direntBuffers.Get().(*[]byte)
	defer direntBuffers.Put(spare)
	buf := *spare
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Getdents(fd, buf)
			return err
		})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		if entries, err = appendEntries(entries, fd, buf[:n]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b host.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// appendEntries reads records of struct linux_dirent64 (getdents64(2)): inode, offset, length of the
// record, type, and the name up to a zero byte.
func appendEntries(entries []host.DirEntry, fd int, buf []byte) ([]host.DirEntry, error) {
	entries = slices.Grow(entries, countDirents(buf))
	for len(buf) > 0 {
		length := binary.NativeEndian.Uint16(buf[16:])
		kind, name := buf[18], unix.ByteSliceToString(buf[19:length])
		buf = buf[length:]
		if name == "." || name == ".." {
			continue
		}
		mode, known := direntMode(kind)
		if !known {
			st, err := lstatAt(fd, name)
			if err == unix.ENOENT {
				continue // gone since
			}
			if err != nil {
				return nil, err
			}
			mode = st.Mode.Type()
		}
		entries = append(entries, host.DirEntry{Name: name, Type: mode})
	}
	return entries, nil
}

func countDirents(buf []byte) (n int) {
	for ; len(buf) > 0; n++ {
		buf = buf[binary.NativeEndian.Uint16(buf[16:]):]
	}
	return n
}

// direntMode knows the type that a directory record tells; some file systems tell none.
func direntMode(kind byte) (mode fs.FileMode, known bool) {
	if kind == unix.DT_UNKNOWN {
		return 0, false
	}
	return host.ModeOf(uint32(kind) << 12).Type(), true
}

func createAt(dir int, name string, mode fs.FileMode) (*os.File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := retry(func() error { return unix.Fchmod(fd, host.PermBits(mode)) }); err != nil {
		unix.Close(fd)
		unix.Unlinkat(dir, name, 0)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func mkdirAt(dir int, name string, mode fs.FileMode) error {
	err := retry(func() error { return unix.Mkdirat(dir, name, uint32(mode.Perm())) })
	if err != nil {
		return err
	}
	name = strings.TrimSuffix(name, "/") // with it, a symlink that took its place would be followed
	if err := chmodAt(dir, name, mode); err != nil {
		unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
		return err
	}
	return nil
}

func mknodAt(dir int, name string, mode fs.FileMode, rdev uint64) error {
	bits := host.RawMode(mode)
	if err := retry(func() error { return unix.Mknodat(dir, name, bits, int(rdev)) }); err != nil {
		return err
	}
	if mode.Type()&fs.ModeSymlink != 0 {
		return nil
	}
	if err := chmodAt(dir, name, mode); err != nil {
		unix.Unlinkat(dir, name, 0)
		return err
	}
	return nil
}

// chmodAt changes the mode of what bears the name, whatever its type. Linux before 6.6 has no
// system call for that which leaves symlinks alone; a descriptor's name in /proc does the same.
func chmodAt(dir int, name string, mode fs.FileMode) error {
	fd, err := openAt(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	err = retry(func() error { return unix.Chmod(procPath(fd, ""), host.PermBits(mode)) })
	if err != unix.ENOENT && err != unix.ENOTDIR {
		return err
	}
	return withoutProc(dir, name, func(fd int) error { return unix.Fchmod(fd, host.PermBits(mode)) })
}

// procPath is the name of an open directory's entry (or, without a name, of the open file) for the
// system calls that take only paths.
func procPath(fd int, name string) string {
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	if name == "" {
		return path
	}
	return path + "/" + name
}

// withoutProc does work on a file or directory by a real descriptor, for hosts where /proc is not
// mounted. Other types cannot be opened harmlessly.
func withoutProc(dir int, name string, work func(fd int) error) error {
	st, err := lstatAt(dir, name)
	if err != nil {
		return err
	}
	if !st.IsRegular() && !st.IsDir() {
		return unix.EOPNOTSUPP
	}
	fd, err := openQuiet(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return retry(func() error { return work(fd) })
}

func lchownAt(dir int, name string, uid, gid int) error {
	return retry(func() error { return unix.Fchownat(dir, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW) })
}

// chtimesAt sets both times; a zero time leaves one as it is.
func chtimesAt(dir int, name string, atime, mtime time.Time) error {
	times := []unix.Timespec{timespec(atime), timespec(mtime)}
	return retry(func() error { return unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW) })
}

// futimens is chtimesAt of an open file, which may have no name in /proc.
func futimens(fd int, atime, mtime time.Time) error {
	times := [2]unix.Timespec{timespec(atime), timespec(mtime)}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func unlinkAt(dir int, name string, flags int) error {
	return retry(func() error { return unix.Unlinkat(dir, name, flags) })
}

func renameAt(from int, name string, to int, newname string) error {
	return retry(func() error { return unix.Renameat(from, name, to, newname) })
}

func linkAt(from int, name string, to int, newname string) error {
	return retry(func() error { return unix.Linkat(from, name, to, newname, 0) })
}

func symlinkAt(target string, dir int, name string) error {
	return retry(func() error { return unix.Symlinkat(target, dir, name) })
}

func syncFD(fd int) error {
	return retry(func() error { return unix.Fsync(fd) })
}

// xattrs: the l* calls on a name below the directory's descriptor in /proc do not follow the name.

func getxattrAt(dir int, name, attr string) ([]byte, error) {
	return readSized(func(buf []byte) (int, error) {
		n, err := unix.Lgetxattr(procPath(dir, name), attr, buf)
		if !noProc(dir, name, err) {
			return n, err
		}
		err = withoutProc(dir, name, func(fd int) (err error) {
			n, err = unix.Fgetxattr(fd, attr, buf)
			return err
		})
		return n, err
	})
}

func listxattrAt(dir int, name string) ([]string, error) {
	data, err := readSized(func(buf []byte) (int, error) {
		n, err := unix.Llistxattr(procPath(dir, name), buf)
		if !noProc(dir, name, err) {
			return n, err
		}
		err = withoutProc(dir, name, func(fd int) (err error) {
			n, err = unix.Flistxattr(fd, buf)
			return err
		})
		return n, err
	})
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return attrNames(data), nil
}

func attrNames(data []byte) []string {
	var names []string
	for len(data) > 0 {
		name := unix.ByteSliceToString(data)
		names = append(names, name)
		data = data[len(name)+1:]
	}
	sort.Strings(names)
	return names
}

func setxattrAt(dir int, name, attr string, value []byte) error {
	err := retry(func() error { return unix.Lsetxattr(procPath(dir, name), attr, value, 0) })
	if !noProc(dir, name, err) {
		return err
	}
	return withoutProc(dir, name, func(fd int) error { return unix.Fsetxattr(fd, attr, value, 0) })
}

func removexattrAt(dir int, name, attr string) error {
	err := retry(func() error { return unix.Lremovexattr(procPath(dir, name), attr) })
	if !noProc(dir, name, err) {
		return err
	}
	return withoutProc(dir, name, func(fd int) error { return unix.Fremovexattr(fd, attr) })
}

// noProc tells an ENOENT about /proc itself from one about the name.
func noProc(dir int, name string, err error) bool {
	if err != unix.ENOENT && err != unix.ENOTDIR {
		return false
	}
	_, lerr := lstatAt(dir, name)
	return lerr == nil
}

// readSized asks for a size, then for the content, again if it grew between.
func readSized(read func([]byte) (int, error)) ([]byte, error) {
	for {
		var size, n int
		err := retry(func() (err error) { size, err = read(nil); return err })
		if err != nil || size == 0 {
			return nil, err
		}
		buf := make([]byte, size)
		err = retry(func() (err error) { n, err = read(buf); return err })
		if err == unix.ERANGE {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}
