package live

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// file is an open regular file. It keeps the descriptor to itself: one that was opened for reading
// must not be a way to change mode or owner.
type file struct {
	f    *os.File
	path string
}

var _ host.File = (*file)(nil)

func (f *file) Read(p []byte) (int, error) {
	n, err := f.f.Read(p)
	return n, f.wrap("read", err)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	return n, f.wrap("read", err)
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	return n, f.wrap("write", err)
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	n, err := f.f.Seek(offset, whence)
	return n, f.wrap("seek", err)
}

func (f *file) Stat() (host.Stat, error) {
	var st unix.Stat_t
	if err := fstat(int(f.f.Fd()), &st); err != nil {
		return host.Stat{}, pathError("stat", f.path, err)
	}
	return statOf(&st), nil
}

func (f *file) Truncate(size int64) error { return f.wrap("truncate", f.f.Truncate(size)) }
func (f *file) Sync() error               { return f.wrap("sync", f.f.Sync()) }
func (f *file) Close() error              { return f.wrap("close", f.f.Close()) }

// wrap gives an error the whole path; os.File knows only the last name.
func (f *file) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var inner *os.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return pathError(op, f.path, err)
}

// newFile is a file that was just made: whoever made it may give it what it is to have, by the descriptor.
type newFile struct {
	file
	written int64 // bytes
}

var (
	_ host.Attributes = (*newFile)(nil)
	_ host.Cloner     = (*newFile)(nil)
	_ host.Flusher    = (*newFile)(nil)
)

func (f *newFile) change(op string, do func(fd int) error) error {
	return f.wrap(op, retry(func() error { return do(int(f.f.Fd())) }))
}

func (f *newFile) Chmod(mode fs.FileMode) error {
	return f.change("chmod", func(fd int) error { return unix.Fchmod(fd, host.PermBits(mode)) })
}

func (f *newFile) Chown(uid, gid int) error {
	return f.change("chown", func(fd int) error { return unix.Fchown(fd, uid, gid) })
}

func (f *newFile) Chtimes(atime, mtime time.Time) error {
	return f.change("chtimes", func(fd int) error { return futimens(fd, atime, mtime) })
}

func (f *newFile) Getxattr(attr string) (value []byte, err error) {
	err = f.change("getxattr", func(fd int) (err error) {
		value, err = readSized(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, attr, buf) })
		return err
	})
	return value, err
}

func (f *newFile) Listxattr() ([]string, error) {
	var data []byte
	err := f.change("listxattr", func(fd int) (err error) {
		data, err = readSized(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
		return err
	})
	return attrNames(data), err
}

func (f *newFile) Setxattr(attr string, value []byte) error {
	return f.change("setxattr", func(fd int) error { return unix.Fsetxattr(fd, attr, value, 0) })
}

func (f *newFile) Removexattr(attr string) error {
	return f.change("removexattr", func(fd int) error { return unix.Fremovexattr(fd, attr) })
}

func (f *newFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.written += int64(n)
	return n, err
}

// leftToSync is how much content is left to a sync of the whole file system, if that tells of what is lost: asked for
// file by file, a disk writes small files one by one instead of side by side.
const leftToSync = 256 << 10

func (f *newFile) isLeft() bool { return f.written <= leftToSync && syncTells() }

// syncTells reports whether syncfs(2) fails when content could not be written: since Linux 5.8.
var syncTells = sync.OnceValue(func() bool {
	var uts unix.Utsname
	return unix.Uname(&uts) == nil && since(unix.ByteSliceToString(uts.Release[:]), 5, 8)
})

// since reports whether a release of Linux is this one or newer.
func since(release string, major, minor int) bool {
	var has [2]int
	if n, _ := fmt.Sscanf(release, "%d.%d", &has[0], &has[1]); n != 2 {
		return false
	}
	return slices.Compare(has[:], []int{major, minor}) >= 0
}

// flushed is to wait for what is being written, to write the rest, and to wait for that.
const flushed = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER

// BeginFlush implements host.Flusher.
func (f *newFile) BeginFlush() error {
	if f.isLeft() {
		return nil
	}
	err := retry(func() error { return unix.SyncFileRange(int(f.f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
	if noFlush(err) {
		return nil // Flush does all
	}
	return f.wrap("write", err)
}

func noFlush(err error) bool {
	return err == unix.ENOSYS || err == unix.EOPNOTSUPP || err == unix.ESPIPE
}

// Flush implements host.Flusher.
func (f *newFile) Flush() error {
	if f.isLeft() {
		return nil
	}
	err := retry(func() error { return unix.SyncFileRange(int(f.f.Fd()), 0, 0, flushed) })
	if noFlush(err) {
		return f.Sync()
	}
	return f.wrap("write", err)
}

// CloneFrom implements host.Cloner where the file system can let two files share their blocks.
func (f *newFile) CloneFrom(src host.File) (bool, error) {
	from, ok := src.(*file)
	if !ok {
		return false, nil
	}
	err := retry(func() error { return unix.IoctlFileClone(int(f.f.Fd()), int(from.f.Fd())) })
	switch err {
	case nil:
		return true, nil
	case unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EROFS:
		return false, f.wrap("clone", err)
	}
	return false, nil // another file system, or one that cannot
}
