package confine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The attempts, by what would be done. None changes anything, even where nothing is in its way.
var attempts = []struct {
	name   string
	do     func() error
	asking bool // what Asking is to stop, too
}{
	{"open a file for writing", openForWriting, false},
	{"give a file to another owner", giveAway, false},
	{"mount", mountNothing, true},
	{"load a module", loadNothing, true},
}

// Attempt tries what the locks are to stop, and writes what succeeded, a line each, and "done". It is for a child of a
// process that has called ReadOnly, or with asking Asking: a program that is started may get back what its parent has
// given up.
func Attempt(out io.Writer, asking bool) error {
	for _, a := range attempts {
		if asking && !a.asking {
			continue
		}
		if err := a.do(); err == nil {
			fmt.Fprintln(out, a.name)
		} else if !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("to %s: %w", a.name, err)
		}
	}
	_, err := fmt.Fprintln(out, "done")
	return err
}

// openForWriting opens a file that is the user's own, so that only a lock is in the way.
func openForWriting() error {
	name := ownFile("/etc/passwd", "/etc/hostname")
	if home := os.Getenv("HOME"); name == "" && home != "" {
		found, _ := filepath.Glob(home + "/.[a-z]*")
		name = ownFile(found...)
	}
	if name == "" {
		return os.ErrPermission // there is nothing that it could write to
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func ownFile(names ...string) string {
	for _, name := range names {
		info, err := os.Lstat(name)
		if err == nil && info.Mode().IsRegular() && int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid() {
			return name
		}
	}
	return ""
}

// giveAway tries it with a pipe, which nobody else sees.
func giveAway() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	return r.Chown(1, 1)
}

// mountNothing asks for a kind of file system that does not exist: who may mount is told that.
func mountNothing() error {
	err := unix.Mount("nothing", "/", "zcp2kopano-none", 0, "")
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// loadNothing asks for a module that is none: who may load some is told that.
func loadNothing() error {
	err := unix.InitModule(nil, "")
	if errors.Is(err, unix.ENOEXEC) || errors.Is(err, unix.EFAULT) {
		return nil
	}
	if errors.Is(err, unix.ENOSYS) {
		return os.ErrPermission // a kernel without modules
	}
	return err
}

// try has a child attempt what the locks are to stop. It returns what succeeded.
func try(args []string) ([]string, error) {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = os.Stderr // else it is /dev/null, opened for writing
	data, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if last := len(lines) - 1; lines[last] == "done" {
		return lines[:last], nil
	}
	return nil, errors.New("the attempt did not come to its end")
}
