// Package trust tells who could exchange what root is going to execute or load, or put something in the way of what it
// writes.
package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// Files is what is looked at.
type Files interface {
	Lstat(name string) (host.Stat, error)
	Readlink(name string) (string, error)
}

// Users are those whose files root goes by, beside root.
type Users []uint32

// Ours are who runs the program, and who became root by sudo to run it.
func Ours() Users {
	if id := os.Geteuid(); id != 0 {
		return Users{uint32(id)}
	}
	if id, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32); err == nil {
		return Users{uint32(id)}
	}
	return nil
}

// Has reports whether it is one of them.
func (u Users) Has(id uint32) bool { return id == 0 || slices.Contains(u, id) }

// Error is that somebody else could exchange what lies at a path.
type Error struct {
	Path   string // what is to be trusted
	Where  string // the part of the way to it that is not
	Why    string
	Remedy string // how to mend it
}

func (e *Error) Error() string {
	what := e.Path
	if e.Where != e.Path {
		what += ": " + e.Where
	}
	return what + " " + e.Why + "; " + e.Remedy
}

// maxLinks is how many symlinks may be on the way, as for the kernel.
const maxLinks = 40

// Check returns *Error if anybody but the users could exchange what is at a path: each part of the way to it has to
// belong to one of them, and nobody else may write to it, but for directories like /tmp, in which nobody can take away
// what is another's. A symlink on the way counts as a part of it.
//
// Since only the users could make it otherwise afterwards, what was found holds when the path is opened.
func Check(files Files, users Users, name string) error {
	w := walk{files: files, users: users, name: path.Clean(name)}
	at := "/"
	if err := w.judge(at); err != nil {
		return err
	}
	rest := parts(w.name)
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		target, err := w.step(next)
		if err != nil {
			return err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return &fs.PathError{Op: "open", Path: w.name, Err: syscall.ELOOP}
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(parts(target), rest...)
	}
	return nil
}

// Alone judges a file by itself, whatever leads to it: one whose content is known by its digest, which others could only
// put a file of their own in the place of.
func Alone(files interface {
	Files
	Stat(name string) (host.Stat, error)
}, users Users, name string) error {
	st, err := files.Stat(name)
	if err != nil {
		return err
	}
	return walk{files: files, users: users, name: name}.judgeAs(name, st)
}

// Writable is Check of the directory that is to hold a path, or of the one above it that is there.
func Writable(files Files, users Users, name string) error {
	for dir := path.Dir(path.Clean(name)); ; dir = path.Dir(dir) {
		if err := Check(files, users, dir); dir == "/" || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

func parts(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
}

type walk struct {
	files Files
	users Users
	name  string
}

// step judges a part of the way, and returns where it leads if it is a symlink.
func (w walk) step(at string) (target string, err error) {
	st, err := w.files.Lstat(at)
	if err != nil {
		return "", err
	}
	if !st.IsSymlink() {
		return "", w.judgeAs(at, st)
	}
	if !w.users.Has(st.UID) {
		return "", w.foreign(at, st)
	}
	return w.files.Readlink(at)
}

func (w walk) judge(at string) error {
	st, err := w.files.Lstat(at)
	if err != nil {
		return err
	}
	return w.judgeAs(at, st)
}

func (w walk) judgeAs(at string, st host.Stat) error {
	if !w.users.Has(st.UID) {
		return w.foreign(at, st)
	}
	if st.Mode.Perm()&0o022 == 0 || st.IsDir() && st.Mode&fs.ModeSticky != 0 {
		return nil
	}
	if st.Mode.Perm()&0o002 == 0 && w.users.have(w.files, st.GID) && !hasACL(w.files, at) {
		return nil
	}
	return w.distrust(at, fmt.Sprintf("can be written to by others (mode %04o)", host.PermBits(st.Mode)), "chmod go-w "+quote(at))
}

func (w walk) foreign(at string, st host.Stat) error {
	return w.distrust(at, fmt.Sprintf("belongs to user %d", st.UID), fmt.Sprintf("chown root:root %s && chmod go-w %[1]s", quote(at)))
}

// distrust says how to mend it: at its place where that is what is to be trusted itself, else with a copy that is
// root's. What was exchanged before stays exchanged.
func (w walk) distrust(at, why, mend string) error {
	e := &Error{Path: w.name, Where: at, Why: why + ", who could exchange what root is to go by"}
	if at == w.name {
		e.Remedy = "see that it is what it should be, and `" + mend + "`"
		return e
	}
	e.Remedy = fmt.Sprintf("see that it is what it should be, and copy it to where only root can write: `cp -R %s /root/`", quote(w.name))
	return e
}

// quote makes one word of a path for a shell.
func quote(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@=") == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// Here are the files of the machine that the program runs on.
type Here struct{}

func (Here) Readlink(name string) (string, error) { return os.Readlink(name) }

func (Here) Lstat(name string) (host.Stat, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return host.Stat{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return host.Stat{Mode: info.Mode(), UID: st.Uid, GID: st.Gid}, nil
}

// Stat follows symlinks.
func (Here) Stat(name string) (host.Stat, error) {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return host.Stat{}, err
	}
	return Here{}.Lstat(name)
}

// Read is the content of a file.
func (Here) Read(name string) ([]byte, error) { return os.ReadFile(name) }

// Getxattr does not follow a symlink.
func (Here) Getxattr(name, attr string) ([]byte, error) {
	data := make([]byte, 64<<10)
	n, err := unix.Lgetxattr(name, attr, data)
	return data[:max(n, 0)], err
}
