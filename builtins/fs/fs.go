// Package fs is the runbooks' module fs: it reads files, directories and mounts, and decides on changes
// to them.
package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{
		exists, stat, read, list, readlink, resolve, foreignLink,
		find, glob, grep, usage,
		absolute, inside, lastName, parents,
		mountOf, mounts, space, sameDevice,
		write, mkdir, copyFile, presync, move, symlink, remove, keep, giveBack, mount, unmount,
	}
}

// absent reports whether an error means that there is nothing at a path.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// typeName is the word that runbooks use for a file's type.
func typeName(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "dir"
	case fs.ModeSymlink:
		return "symlink"
	case fs.ModeNamedPipe:
		return "fifo"
	case fs.ModeSocket:
		return "socket"
	}
	return "device"
}

// types are the values of a type parameter.
var types = []string{"any", "file", "dir", "symlink", "fifo", "socket", "device"}

// octal writes permission bits as runbooks do: "0640", "1777".
func octal(mode fs.FileMode) string {
	return fmt.Sprintf("%04o", host.PermBits(mode))
}

// userName is the name of an account, its number as text where it has none.
func userName(view host.View, uid uint32) (string, error) {
	u, err := view.UserID(uid)
	if errors.Is(err, host.ErrNoAccount) {
		return strconv.FormatUint(uint64(uid), 10), nil
	}
	return u.Name, err
}

// groupName is the name of a group, its number as text where it has none.
func groupName(view host.View, gid uint32) (string, error) {
	g, err := view.GroupID(gid)
	if errors.Is(err, host.ErrNoAccount) {
		return strconv.FormatUint(uint64(gid), 10), nil
	}
	return g.Name, err
}
