package action

import (
	"errors"
	"path"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
)

// maxLinks is the number of symlinks that Linux follows in one path (path_resolution(7)).
const maxLinks = 40

// Resolve follows all symlinks of an absolute path. Components that do not exist stay as they are.
func Resolve(view host.FileReader, name string) (string, error) {
	done, rest := "/", strings.Split(strings.TrimPrefix(name, "/"), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		st, err := view.Lstat(next)
		if absent(err) {
			return path.Join(append([]string{next}, rest...)...), nil
		}
		if err != nil {
			return "", err
		}
		if !st.IsSymlink() {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &errLoop{name}
		}
		var foreign *host.ForeignLinkError
		if _, err := view.Stat(next); errors.As(err, &foreign) {
			return "", err
		}
		target, err := view.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// errLoop is a path whose symlinks lead in a circle.
type errLoop struct{ path string }

func (e *errLoop) Error() string { return e.path + ": its symlinks lead in a circle" }

func (e *errLoop) Unwrap() error { return syscall.ELOOP }
