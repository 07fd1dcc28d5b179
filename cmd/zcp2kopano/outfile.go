package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host/trust"
)

// outFile is a file that the program writes for the admin: a report, a plan, a snapshot. It is there whole or not at
// all, for its owner alone, and neither goes through a symlink nor takes the place of what is another's.
//
// A process that has given up the power to write can still fill a file that is open, and no more: another process,
// started before, gives it its name in the end.
type outFile struct {
	*os.File
	namer *exec.Cmd
	say   *os.File // a byte says that the file is complete
	said  strings.Builder
}

// outKind is what may be there already, and what becomes of a file that did not come to its end.
type outKind string

const (
	newOnly    outKind = "new"    // nothing may be there; what is incomplete is nothing
	latestOnly outKind = "latest" // takes the place of an earlier one; what is incomplete is better than nothing
)

// createOut begins a file. Nothing is seen of it before it is closed.
func createOut(name string, kind outKind) (*outFile, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	dir, err := openWay(filepath.Dir(abs))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer dir.Close()
	base := filepath.Base(abs)
	special, err := judgeThere(dir, base, name, kind)
	if err != nil {
		return nil, err
	}
	if special { // a pipe, a terminal, /dev/null
		f, err := openAt(dir, base, os.O_WRONLY, 0)
		return &outFile{File: f}, err
	}
	draft := "." + base + "." + rand.Text()[:10]
	f, err := openAt(dir, draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: errors.Unwrap(err)}
	}
	o := &outFile{File: f}
	if err := o.startNamer(dir, draft, base, kind); err != nil {
		f.Close()
		return nil, errors.Join(err, unix.Unlinkat(int(dir.Fd()), draft, 0))
	}
	return o, nil
}

// judgeThere looks at what has the name already. special is what has no content to replace.
func judgeThere(dir *os.File, base, name string, kind outKind) (special bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	switch mode := st.Mode & unix.S_IFMT; {
	case mode == unix.S_IFLNK:
		return false, fmt.Errorf("%s is a symlink, and nothing is written through one: name the file itself", name)
	case kind == newOnly:
		return false, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case mode == unix.S_IFDIR:
		return false, &fs.PathError{Op: "create", Path: name, Err: unix.EISDIR}
	case mode != unix.S_IFREG:
		return true, nil
	case !trust.Ours().Has(st.Uid):
		return false, fmt.Errorf("%s belongs to user %d, and nothing of another's is overwritten: name another file", name, st.Uid)
	}
	return false, nil
}

// openWay opens a directory, part by part. A symlink on the way is followed if it is root's or the caller's own.
func openWay(dir string) (*os.File, error) {
	at, err := openPath(unix.AT_FDCWD, "/", dir)
	rest := strings.Split(dir, "/")
	for links := 0; err == nil && len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		var next *os.File
		if next, err = openPath(int(at.Fd()), part, dir); err != nil {
			break
		}
		var st unix.Stat_t
		if err = unix.Fstat(int(next.Fd()), &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK {
			at.Close()
			at = next
			continue
		}
		var target string
		if target, err = follow1(next, st, dir); err == nil {
			if links++; links > 40 {
				err = &fs.PathError{Op: "open", Path: dir, Err: unix.ELOOP}
			}
			rest = append(strings.Split(target, "/"), rest...)
			if filepath.IsAbs(target) {
				at.Close()
				at, err = openPath(unix.AT_FDCWD, "/", dir)
			}
		}
		next.Close()
	}
	if err != nil {
		at.Close()
		return nil, err
	}
	return at, nil
}

// follow1 is where a symlink leads.
func follow1(link *os.File, st unix.Stat_t, dir string) (string, error) {
	if !trust.Ours().Has(st.Uid) {
		return "", fmt.Errorf("%s: a symlink on the way belongs to user %d, and is not followed: name another place", dir, st.Uid)
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(link.Fd()), "", target)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: dir, Err: err}
	}
	return string(target[:n]), nil
}

func openPath(at int, part, dir string) (*os.File, error) {
	fd, err := unix.Openat(at, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// startNamer starts the process that gives the file its name.
func (o *outFile) startNamer(dir *os.File, draft, base string, kind outKind) error {
	hear, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer hear.Close()
	o.namer = exec.Command("/proc/self/exe", nameFileName, draft, base, string(kind))
	o.namer.Args[0] = os.Args[0]
	o.namer.Stdin, o.namer.Stderr = hear, &o.said
	o.namer.ExtraFiles = []*os.File{dir}                      // is outDirFD there
	o.namer.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for who writes
	o.say = say
	return o.namer.Start()
}

// Close gives the file up if it was not completed.
func (o *outFile) Close() error {
	err := o.File.Close()
	if o.namer == nil || errors.Is(err, os.ErrClosed) {
		return err
	}
	err = errors.Join(err, o.say.Close(), o.namer.Wait())
	if o.said.Len() > 0 {
		return errors.New(strings.TrimSpace(o.said.String()))
	}
	return err
}

// Complete makes the file durable and gives it its name.
func (o *outFile) Complete() error {
	if o.namer == nil {
		return o.Close()
	}
	err := o.Sync()
	if err == nil {
		_, err = o.say.Write([]byte{1})
	}
	return errors.Join(err, o.Close())
}

const nameFileName = "name-file"

// outDirFD is the directory in the process that gives the name.
const outDirFD = 3

// nameFileCommand is that process: it waits until the file is complete, or whoever writes it has ended.
func nameFileCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: nameFileName + " DRAFT NAME KIND", Hidden: true, Args: cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			n, _ := a.in.Read(make([]byte, 1))
			if err := nameFile(args[0], args[1], outKind(args[2]), n > 0); err != nil {
				fmt.Fprintf(a.err, "%s: %v\n", args[1], err)
				return ended{1}
			}
			return nil
		},
	}
}

func nameFile(draft, name string, kind outKind, complete bool) error {
	var st unix.Stat_t
	if err := unix.Fstatat(outDirFD, draft, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	var err error
	switch {
	case !complete && (kind == newOnly || st.Size == 0):
		return unix.Unlinkat(outDirFD, draft, 0)
	case kind == newOnly:
		if err = unix.Linkat(outDirFD, draft, outDirFD, name, 0); err == nil {
			err = unix.Unlinkat(outDirFD, draft, 0)
		}
	default:
		err = unix.Renameat(outDirFD, draft, outDirFD, name)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(outDirFD, draft, 0))
	}
	dir, err := unix.Openat(outDirFD, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Fsync(dir)
}
