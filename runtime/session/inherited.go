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
}

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
	return errors.Join(errs...)
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
