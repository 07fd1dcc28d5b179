package live

import (
	"errors"
	"io"
	"os"

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
