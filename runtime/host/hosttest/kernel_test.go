package hosttest

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// kernel is the truth: every method is the plain system call that its documentation names. It has
// none of the care that a live host takes, so it is for trees of tests only.
type kernel struct {
	prefix string // "" for the thread's root directory, "." for its working directory
}

var _ FS = kernel{}

func (k kernel) at(p string) string {
	if p == "" {
		return p
	}
	return k.prefix + p
}

func wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func wrapLink(op, from, to string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: from, New: to, Err: err}
}

func (k kernel) Lstat(p string) (host.Stat, error) {
	return statAt("lstat", unix.AT_FDCWD, k.at(p), unix.AT_SYMLINK_NOFOLLOW)
}
func (k kernel) Stat(p string) (host.Stat, error) { return statAt("stat", unix.AT_FDCWD, k.at(p), 0) }

func statAt(op string, fd int, p string, flags int) (host.Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, p, &st, flags); err != nil {
		return host.Stat{}, wrap(op, p, err)
	}
	return hostStat(&st), nil
}

func hostStat(st *unix.Stat_t) host.Stat {
	return host.Stat{
		Mode: goMode(uint32(st.Mode)), UID: st.Uid, GID: st.Gid, Size: st.Size, Nlink: uint64(st.Nlink),
		Ino: st.Ino, Dev: uint64(st.Dev), Rdev: uint64(st.Rdev),
		Atime: time.Unix(st.Atim.Unix()), Mtime: time.Unix(st.Mtim.Unix()), Ctime: time.Unix(st.Ctim.Unix()),
	}
}

var types = []struct {
	bits uint32
	mode fs.FileMode
}{
	{unix.S_IFREG, 0}, {unix.S_IFDIR, fs.ModeDir}, {unix.S_IFLNK, fs.ModeSymlink},
	{unix.S_IFIFO, fs.ModeNamedPipe}, {unix.S_IFSOCK, fs.ModeSocket},
	{unix.S_IFBLK, fs.ModeDevice}, {unix.S_IFCHR, fs.ModeDevice | fs.ModeCharDevice},
}

func goMode(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for _, t := range types {
		if bits&unix.S_IFMT == t.bits {
			mode |= t.mode
		}
	}
	if bits&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if bits&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if bits&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// rawMode is goMode backwards.
func rawMode(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for _, t := range types {
		if mode&fs.ModeType == t.mode {
			bits |= t.bits
		}
	}
	if mode&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

func rawPerm(mode fs.FileMode) uint32 { return rawMode(mode) &^ unix.S_IFMT }

func (k kernel) Readlink(p string) (string, error) { return readlinkAt(unix.AT_FDCWD, k.at(p)) }

func readlinkAt(fd int, p string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(fd, p, buf)
	if err != nil {
		return "", wrap("readlink", p, err)
	}
	return string(buf[:n]), nil
}

func (k kernel) ReadDir(p string) ([]host.DirEntry, error) {
	d, err := k.openTree(p)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir()
}

func (k kernel) Open(p string) (host.File, error) {
	return openRegular(unix.AT_FDCWD, k.at(p), unix.O_RDONLY)
}

func (k kernel) OpenWrite(p string) (host.File, error) {
	return openRegular(unix.AT_FDCWD, k.at(p), unix.O_RDWR|unix.O_NOFOLLOW)
}

// openRegular opens what stat says is a regular file.
func openRegular(fd int, p string, flags int) (host.File, error) {
	look := 0
	if flags&unix.O_NOFOLLOW != 0 {
		look = unix.AT_SYMLINK_NOFOLLOW
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, p, &st, look); err != nil {
		return nil, wrap("open", p, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return nil, wrap("open", p, unix.EISDIR)
	case unix.S_IFREG, unix.S_IFLNK:
	default:
		return nil, wrap("open", p, host.ErrNotRegular)
	}
	h, err := unix.Openat(fd, p, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, wrap("open", p, err)
	}
	return kernelFile{os.NewFile(uintptr(h), p)}, nil
}

func (k kernel) OpenTree(p string) (host.DirReader, error) {
	d, err := k.openTree(p)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (k kernel) OpenTreeWrite(p string) (host.Dir, error) {
	d, err := k.openTree(p)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (k kernel) openTree(p string) (*kernelDir, error) {
	return openDirAt(unix.AT_FDCWD, k.at(p), 0)
}

func openDirAt(fd int, p string, flags int) (*kernelDir, error) {
	h, err := unix.Openat(fd, p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, wrap("open", p, err)
	}
	return &kernelDir{fd: h}, nil
}

func (k kernel) Statfs(p string) (host.Statfs, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(k.at(p), &st); err != nil {
		return host.Statfs{}, wrap("statfs", p, err)
	}
	size := uint64(st.Bsize)
	return host.Statfs{
		Total: st.Blocks * size, Free: st.Bfree * size, Available: st.Bavail * size,
		Inodes: st.Files, FreeInodes: st.Ffree, BlockSize: int64(st.Bsize), ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}, nil
}

func (k kernel) Getxattr(p, name string) ([]byte, error) {
	buf := make([]byte, 65536)
	n, err := unix.Lgetxattr(k.at(p), name, buf)
	if err != nil {
		return nil, wrap("getxattr", p, err)
	}
	return buf[:n], nil
}

func (k kernel) Listxattr(p string) ([]string, error) {
	buf := make([]byte, 65536)
	n, err := unix.Llistxattr(k.at(p), buf)
	if err != nil {
		return nil, wrap("listxattr", p, err)
	}
	return attrNames(buf[:n]), nil
}

func attrNames(buf []byte) []string {
	var names []string
	for name := range strings.SplitSeq(string(buf), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (k kernel) Create(p string, mode fs.FileMode) (host.File, error) {
	return createAt(unix.AT_FDCWD, k.at(p), mode)
}

func createAt(fd int, p string, mode fs.FileMode) (host.File, error) {
	h, err := unix.Openat(fd, p, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, rawPerm(mode)&0o777)
	if err != nil {
		return nil, wrap("create", p, err)
	}
	if err := unix.Fchmod(h, rawPerm(mode)); err != nil {
		unix.Close(h)
		return nil, wrap("create", p, err)
	}
	return kernelFile{os.NewFile(uintptr(h), p)}, nil
}

func (k kernel) Mkdir(p string, mode fs.FileMode) error { return mkdirAt(unix.AT_FDCWD, k.at(p), mode) }

func mkdirAt(fd int, p string, mode fs.FileMode) error {
	if err := unix.Mkdirat(fd, p, rawPerm(mode)&0o777); err != nil {
		return wrap("mkdir", p, err)
	}
	return wrap("mkdir", p, unix.Fchmodat(fd, p, rawPerm(mode), 0))
}

func (k kernel) Unlink(p string) error { return wrap("unlink", p, unix.Unlink(k.at(p))) }
func (k kernel) Rmdir(p string) error  { return wrap("rmdir", p, unix.Rmdir(k.at(p))) }

func (k kernel) Rename(from, to string) error {
	return wrapLink("rename", from, to, unix.Rename(k.at(from), k.at(to)))
}

func (k kernel) Link(from, to string) error {
	return wrapLink("link", from, to, unix.Link(k.at(from), k.at(to)))
}

func (k kernel) Symlink(target, p string) error {
	return wrapLink("symlink", target, p, unix.Symlink(target, k.at(p)))
}

func (k kernel) Mknod(p string, mode fs.FileMode, rdev uint64) error {
	return mknodAt(unix.AT_FDCWD, k.at(p), mode, rdev)
}

func mknodAt(fd int, p string, mode fs.FileMode, rdev uint64) error {
	if err := unix.Mknodat(fd, p, rawMode(mode)&^0o7000, int(rdev)); err != nil {
		return wrap("mknod", p, err)
	}
	return wrap("mknod", p, unix.Fchmodat(fd, p, rawPerm(mode), 0))
}

func (k kernel) Chmod(p string, mode fs.FileMode) error {
	return chmodAt(unix.AT_FDCWD, k.at(p), mode)
}

func chmodAt(fd int, p string, mode fs.FileMode) error {
	st, err := statAt("chmod", fd, p, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	if st.IsSymlink() {
		return wrap("chmod", p, unix.EOPNOTSUPP)
	}
	return wrap("chmod", p, unix.Fchmodat(fd, p, rawPerm(mode), 0))
}

func (k kernel) Lchown(p string, uid, gid int) error {
	return wrap("lchown", p, unix.Lchown(k.at(p), uid, gid))
}

func (k kernel) Chtimes(p string, atime, mtime time.Time) error {
	return chtimesAt(unix.AT_FDCWD, k.at(p), atime, mtime)
}

func chtimesAt(fd int, p string, atime, mtime time.Time) error {
	ts := []unix.Timespec{timespec(atime), timespec(mtime)}
	return wrap("chtimes", p, unix.UtimesNanoAt(fd, p, ts, unix.AT_SYMLINK_NOFOLLOW))
}

func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func (k kernel) Setxattr(p, name string, value []byte) error {
	return wrap("setxattr", p, unix.Lsetxattr(k.at(p), name, value, 0))
}

func (k kernel) Removexattr(p, name string) error {
	return wrap("removexattr", p, unix.Lremovexattr(k.at(p), name))
}

func (k kernel) SyncDir(p string) error {
	d, err := k.openTree(p)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.SyncSelf()
}

type kernelFile struct{ *os.File }

func (f kernelFile) Stat() (host.Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return host.Stat{}, wrap("stat", f.Name(), err)
	}
	return hostStat(&st), nil
}

// kernelDir is an open directory. What has no system call by descriptor and name goes through the
// descriptor as working directory.
type kernelDir struct{ fd int }

var _ host.Dir = (*kernelDir)(nil)

// check refuses what is not a single name, as host.DirReader does.
func check(name string) error {
	if name == "" {
		return wrap("name", name, syscall.ENOENT)
	}
	if name == "." || name == ".." || strings.Contains(name, "/") {
		return wrap("name", name, syscall.EINVAL)
	}
	return nil
}

func (d *kernelDir) Self() (host.Stat, error) { return statAt("stat", d.fd, "", unix.AT_EMPTY_PATH) }

func (d *kernelDir) ReadDir() ([]host.DirEntry, error) {
	if _, err := unix.Seek(d.fd, 0, io.SeekStart); err != nil {
		return nil, wrap("readdir", "", err)
	}
	var entries []host.DirEntry
	buf := make([]byte, 32768)
	for {
		n, err := unix.Getdents(d.fd, buf)
		if err != nil {
			return nil, wrap("readdir", "", err)
		}
		if n == 0 {
			break
		}
		entries = append(entries, parseEntries(buf[:n])...)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	return entries, nil
}

// parseEntries reads struct linux_dirent64 (getdents64(2)): the length of a record is at 16, the type
// at 18, the name from 19 to a NUL.
func parseEntries(buf []byte) (entries []host.DirEntry) {
	for len(buf) > 0 {
		size := binary.NativeEndian.Uint16(buf[16:])
		name, _, _ := strings.Cut(string(buf[19:size]), "\x00")
		if name != "." && name != ".." {
			entries = append(entries, host.DirEntry{Name: name, Type: goMode(uint32(buf[18]) << 12).Type()})
		}
		buf = buf[size:]
	}
	return entries
}

func (d *kernelDir) Lstat(name string) (host.Stat, error) {
	if err := check(name); err != nil {
		return host.Stat{}, err
	}
	return statAt("lstat", d.fd, name, unix.AT_SYMLINK_NOFOLLOW)
}

func (d *kernelDir) Readlink(name string) (string, error) {
	if err := check(name); err != nil {
		return "", err
	}
	return readlinkAt(d.fd, name)
}

func (d *kernelDir) Open(name string) (host.File, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	return openRegular(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW)
}

func (d *kernelDir) OpenDir(name string) (host.DirReader, error) {
	sub, err := d.descend(name)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func (d *kernelDir) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := d.descend(name)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func (d *kernelDir) descend(name string) (*kernelDir, error) {
	st, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if st.IsSymlink() {
		return nil, wrap("open", name, unix.ELOOP) // O_DIRECTORY|O_NOFOLLOW says ENOTDIR
	}
	return openDirAt(d.fd, name, unix.O_NOFOLLOW)
}

// within runs a call that takes only paths with the directory as working directory, and goes back.
func (d *kernelDir) within(op, name string, call func() error) error {
	if err := check(name); err != nil {
		return err
	}
	back, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(back)
	if err := unix.Fchdir(d.fd); err != nil {
		return wrap(op, name, err)
	}
	defer unix.Fchdir(back)
	return call()
}

func (d *kernelDir) Getxattr(name, attr string) (value []byte, err error) {
	err = d.within("getxattr", name, func() (err error) {
		value, err = kernel{}.Getxattr(name, attr)
		return err
	})
	return value, err
}

func (d *kernelDir) Listxattr(name string) (names []string, err error) {
	err = d.within("listxattr", name, func() (err error) { names, err = kernel{}.Listxattr(name); return err })
	return names, err
}

func (d *kernelDir) Close() error { return wrap("close", "", unix.Close(d.fd)) }

func (d *kernelDir) Create(name string, mode fs.FileMode) (host.File, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	return createAt(d.fd, name, mode)
}

func (d *kernelDir) Mkdir(name string, mode fs.FileMode) error {
	if err := check(name); err != nil {
		return err
	}
	return mkdirAt(d.fd, name, mode)
}

func (d *kernelDir) Symlink(target, name string) error {
	if err := check(name); err != nil {
		return err
	}
	return wrapLink("symlink", target, name, unix.Symlinkat(target, d.fd, name))
}

func (d *kernelDir) Link(name string, to host.Dir, newname string) error {
	if err := check(name); err != nil {
		return err
	}
	if err := check(newname); err != nil {
		return err
	}
	return wrapLink("link", name, newname, unix.Linkat(d.fd, name, to.(*kernelDir).fd, newname, 0))
}

func (d *kernelDir) Mknod(name string, mode fs.FileMode, rdev uint64) error {
	if err := check(name); err != nil {
		return err
	}
	return mknodAt(d.fd, name, mode, rdev)
}

func (d *kernelDir) Unlink(name string) error { return d.remove(name, 0) }
func (d *kernelDir) Rmdir(name string) error  { return d.remove(name, unix.AT_REMOVEDIR) }

func (d *kernelDir) remove(name string, flags int) error {
	if err := check(name); err != nil {
		return err
	}
	return wrap("remove", name, unix.Unlinkat(d.fd, name, flags))
}

func (d *kernelDir) Rename(name string, to host.Dir, newname string) error {
	if err := check(name); err != nil {
		return err
	}
	if err := check(newname); err != nil {
		return err
	}
	return wrapLink("rename", name, newname, unix.Renameat(d.fd, name, to.(*kernelDir).fd, newname))
}

func (d *kernelDir) Hold(name string) (host.Held, error) { return d.HoldWrite(name) }

func (d *kernelDir) HoldWrite(name string) (host.HeldWrite, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, wrap("open", name, err)
	}
	return kernelHeld{d, name, fd}, nil
}

// kernelHeld is what an O_PATH descriptor leads to, by /proc; where that is not mounted, what has the name: nobody
// exchanges names there.
type kernelHeld struct {
	d    *kernelDir
	name string
	fd   int
}

func (e kernelHeld) proc() string {
	name := "/proc/self/fd/" + strconv.Itoa(e.fd)
	if unix.Access("/proc/self/fd", unix.F_OK) == nil {
		return name
	}
	return ""
}

func (e kernelHeld) Close() error             { return unix.Close(e.fd) }
func (e kernelHeld) Stat() (host.Stat, error) { return statAt("lstat", e.fd, "", unix.AT_EMPTY_PATH) }

func (e kernelHeld) Readlink() (string, error) {
	to, err := readlinkAt(e.fd, "")
	if errors.Is(err, syscall.ENOENT) { // which Linux says of what is no symlink, without a name
		err = wrap("readlink", e.name, syscall.EINVAL)
	}
	return to, err
}

func (e kernelHeld) Open() (host.File, error) {
	st, err := e.Stat()
	switch {
	case err != nil:
		return nil, err
	case st.IsSymlink():
		return nil, wrap("open", e.name, syscall.ELOOP)
	case e.proc() == "":
		return e.d.Open(e.name)
	}
	return openRegular(unix.AT_FDCWD, e.proc(), unix.O_RDONLY)
}

func (e kernelHeld) Chown(uid, gid int) error {
	return wrap("lchown", e.name, unix.Fchownat(e.fd, "", uid, gid, unix.AT_EMPTY_PATH))
}

func (e kernelHeld) Chmod(mode fs.FileMode) error {
	st, err := e.Stat()
	switch {
	case err != nil:
		return err
	case st.IsSymlink():
		return wrap("chmod", e.name, syscall.EOPNOTSUPP)
	case e.proc() == "":
		return chmodAt(e.d.fd, e.name, mode)
	}
	return wrap("chmod", e.name, unix.Chmod(e.proc(), rawPerm(mode)))
}

func (e kernelHeld) Chtimes(atime, mtime time.Time) error {
	if e.proc() == "" {
		return chtimesAt(e.d.fd, e.name, atime, mtime)
	}
	times := []unix.Timespec{timespec(atime), timespec(mtime)}
	return wrap("chtimes", e.name, unix.UtimesNanoAt(unix.AT_FDCWD, e.proc(), times, 0))
}

func (e kernelHeld) Getxattr(attr string) ([]byte, error) {
	if e.proc() == "" {
		return e.d.Getxattr(e.name, attr)
	}
	buf := make([]byte, 64<<10)
	n, err := unix.Getxattr(e.proc(), attr, buf)
	return buf[:max(n, 0)], wrap("getxattr", e.name, err)
}

func (e kernelHeld) Listxattr() ([]string, error) {
	if e.proc() == "" {
		return e.d.Listxattr(e.name)
	}
	buf := make([]byte, 64<<10)
	n, err := unix.Listxattr(e.proc(), buf)
	return strings.FieldsFunc(string(buf[:max(n, 0)]), func(r rune) bool { return r == 0 }), wrap("listxattr", e.name, err)
}

func (e kernelHeld) Setxattr(attr string, value []byte) error {
	return wrap("setxattr", e.name, unix.Setxattr(e.proc(), attr, value, 0))
}

func (e kernelHeld) Removexattr(attr string) error {
	return wrap("removexattr", e.name, unix.Removexattr(e.proc(), attr))
}

func (d *kernelDir) ChmodSelf(mode fs.FileMode) error {
	return wrap("chmod", "", unix.Fchmod(d.fd, rawPerm(mode)))
}

func (d *kernelDir) ChownSelf(uid, gid int) error {
	return wrap("chown", "", unix.Fchown(d.fd, uid, gid))
}

func (d *kernelDir) ChtimesSelf(atime, mtime time.Time) error {
	return chtimesAt(d.fd, ".", atime, mtime)
}

func (d *kernelDir) SyncSelf() error       { return wrap("fsync", "", unix.Fsync(d.fd)) }
func (d *kernelDir) SyncFileSystem() error { return wrap("syncfs", "", unix.Syncfs(d.fd)) }
