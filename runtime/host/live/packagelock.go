package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// packageLocks are the files that dpkg and apt lock by fcntl(2), each for a part of the work.
var packageLocks = []string{
	"/var/lib/dpkg/lock-frontend", // since dpkg 1.19.1
	"/var/lib/dpkg/lock",
	"/var/lib/apt/lists/lock",
	"/var/cache/apt/archives/lock",
}

// PackageLock asks the kernel who holds one of the locks, without taking it.
func (v debs) PackageLock() (*host.LockHolder, error) {
	for _, path := range packageLocks {
		holder, err := v.lockHolder(path)
		if err != nil || holder != nil {
			return holder, err
		}
	}
	return nil, nil
}

func (v *View) lockHolder(path string) (*host.LockHolder, error) {
	f, err := v.space.open(path, lastTarget, unix.O_RDONLY)
	if isErrno(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = retry(func() error { return unix.FcntlFlock(f.(*file).f.Fd(), unix.F_GETLK, &lock) })
	if err != nil {
		return nil, pathError("fcntl", path, err)
	}
	if lock.Type == unix.F_UNLCK {
		return nil, nil
	}
	return &host.LockHolder{PID: int(lock.Pid), Command: commandLine(int(lock.Pid)), Path: path}, nil
}

// processLives tells whether a process runs; one that has ended and was not waited for does not.
func processLives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, fields, found := strings.Cut(string(stat), ") ") // behind the program's name
	return !found || fields[0] != 'Z' && fields[0] != 'X'
}

// commandLine is what a process was started with; its PID is not known if it lives in another
// PID namespace.
func commandLine(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(data) == 0 {
		return "unknown program"
	}
	return string(bytes.ReplaceAll(bytes.TrimRight(data, "\x00"), []byte{0}, []byte{' '}))
}

// lockTexts are how package managers say that another process has the lock.
var lockTexts = []string{
	"Could not get lock",
	"Unable to lock",
	"Unable to acquire the dpkg frontend lock",
	"is locked by another process",
	"was locked by another process",
	"holding the yum lock",
	"exit_on_lock",
	"System management is locked by",
	"can't create transaction lock",
}

// withPackageLock does work that takes the lock itself. While another process holds it, it waits, says
// for whom, and gives up after the host's patience.
func (h *Host) withPackageLock(ctx context.Context, progress func(string), work func() error) error {
	deadline := time.Now().Add(h.lockPatience)
	var told time.Time
	for {
		holder, err := h.PackageLock()
		if err != nil {
			return err
		}
		if holder == nil {
			if err = work(); !lockLost(err) {
				return err
			}
			// Somebody came between; the next look tells who.
		}
		if time.Now().After(deadline) {
			return lockError(holder, err, h.lockPatience)
		}
		if holder != nil && progress != nil && time.Since(told) > time.Minute {
			told = time.Now()
			progress(fmt.Sprintf("waiting for %s (process %d), which holds %s", holder.Command, holder.PID, holder.Path))
		}
		if err := h.Sleep(ctx, h.lockPoll); err != nil {
			return err
		}
	}
}

func lockLost(err error) bool {
	var failed *host.CommandError
	if !errors.As(err, &failed) {
		return false
	}
	for _, text := range lockTexts {
		if strings.Contains(failed.Output, text) {
			return true
		}
	}
	return false
}

func lockError(holder *host.LockHolder, err error, patience time.Duration) error {
	if holder == nil {
		return fmt.Errorf("the package manager is in use: %w", err)
	}
	return fmt.Errorf("the package manager is in use by %s (process %d), which held %s for more than %v; let it end, then go on",
		holder.Command, holder.PID, holder.Path, patience)
}
