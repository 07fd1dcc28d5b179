package session

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ordinary is the umask of a machine's own scripts and daemons.
const ordinary = 0o022

// breaking are the limits (ulimit) that end a process in the middle of its work, or cut off what it writes. Those on
// memory may be a container's, and large: they are raised where that can be had.
var breaking = []struct {
	resource int
	what     string // empty for one that may stay
}{
	{unix.RLIMIT_FSIZE, "the size of files (ulimit -f)"},
	{unix.RLIMIT_CPU, "processor time (ulimit -t)"},
	{unix.RLIMIT_AS, ""},
	{unix.RLIMIT_DATA, ""},
	{unix.RLIMIT_NPROC, ""}, // of root no limit, but of the accounts that its daemons run as
}

// openFiles is how many files a process may have open (ulimit -n): what a machine's own daemons begin with, at least.
var openFiles = unix.Rlimit{Cur: 1024, Max: 4096}

// ShedCaller gives up what this process has of the shell that called it, and would hand on to maintainer scripts and to
// the daemons that init scripts start: a umask that makes their files nobody's, and limits that a journal, a dump or
// the mail of years to come would run into. One that cannot be raised is an error, before anything is done.
func ShedCaller() error {
	syscall.Umask(ordinary)
	var errs []error
	for _, limit := range breaking {
		if err := raise(limit.resource); err != nil && limit.what != "" {
			errs = append(errs, fmt.Errorf("%s is limited, which would break the work off half-way, and the limit cannot be raised: %w; raise it, or call this from a shell without it", limit.what, err))
		}
	}
	return errors.Join(append(errs, raiseFiles())...)
}

// raiseFiles has this process, and those that it starts, open as many files as daemons need. The limit of the caller is
// not to be seen any more: Go's runtime has raised it, for this process alone.
func raiseFiles() error {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	want := unix.Rlimit{Cur: max(openFiles.Cur, min(now.Cur, openFiles.Max)), Max: max(openFiles.Max, now.Max)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &want); err != nil && now.Max < openFiles.Cur {
		return fmt.Errorf("the number of open files (ulimit -n) is limited to %d, which daemons would run into, and the limit cannot be raised: %w; raise it, or call this from a shell without it", now.Max, err)
	}
	return nil
}

// raise takes a limit away; one of which nobody but a whole root could, it raises as far as others may.
func raise(resource int) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	if now.Cur == unix.RLIM_INFINITY {
		return nil
	}
	err := unix.Setrlimit(resource, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	if err == nil {
		return nil
	}
	return errors.Join(err, unix.Setrlimit(resource, &unix.Rlimit{Cur: now.Max, Max: now.Max}))
}
