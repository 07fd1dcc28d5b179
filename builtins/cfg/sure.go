package cfg

import (
	"errors"
	"io/fs"
	"syscall"

	"zcp2kopano/runtime/host"
)

// sureReader keeps the first look at a file that failed for another reason than that nothing is there:
// what a disk error hides must not pass for missing.
type sureReader struct {
	host.FileReader
	failed error
}

func (r *sureReader) Lstat(name string) (host.Stat, error) {
	st, err := r.FileReader.Lstat(name)
	r.keep(name, err)
	return st, err
}

func (r *sureReader) Stat(name string) (host.Stat, error) {
	st, err := r.FileReader.Stat(name)
	r.keep(name, err)
	return st, err
}

func (r *sureReader) keep(name string, err error) {
	if err == nil || r.failed != nil || nothingThere(err) {
		return
	}
	r.failed = explain(name, err)
}

// nothingThere reports whether an error means that a path leads nowhere. One through a symlink that is not
// followed does lead somewhere.
func nothingThere(err error) bool {
	var foreign *host.ForeignLinkError
	if errors.As(err, &foreign) {
		return false
	}
	for _, reason := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}
