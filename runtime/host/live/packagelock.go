package live

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/packagelock"
)

// PackageLock asks the kernel who holds one of the locks, without taking it.
func (v debs) PackageLock() (*host.LockHolder, error) {
	for _, path := range deb.Locks {
		holder, err := v.m.files.lockHolder(path)
		if err != nil || holder != nil {
			return holder, err
		}
	}
	return nil, nil
}

func (s *space) lockHolder(path string) (*host.LockHolder, error) {
	f, err := s.open(path, lastTarget, unix.O_RDONLY)
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

// processLives reports whether a process runs; one that has ended and was not waited for does not.
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

// turn is the turn at the package manager's lock.
type turn struct {
	m        *machine
	lock     packageLock
	patience *packagelock.Patience
}

// packageLock is what tells who holds it.
type packageLock interface {
	PackageLock() (*host.LockHolder, error)
}

// take does work that takes the lock itself, when nobody else has it.
func (t turn) take(ctx context.Context, w *host.PackageWatch, work func() error) error {
	return t.patience.With(ctx, &lockWatch{turn: t, watch: w}, w, work)
}

// lockWatch looks at the lock of the package manager, and at the script that who holds it may hang in.
type lockWatch struct {
	turn   turn
	watch  *host.PackageWatch
	script runningScript
	since  time.Time
}

func (l *lockWatch) PackageLock() (*host.LockHolder, error) {
	holder, err := l.turn.lock.PackageLock()
	if holder == nil || err != nil {
		return holder, err
	}
	script, runs := l.turn.m.scriptBelow(holder.PID)
	if script != l.script {
		l.script, l.since = script, time.Now()
	}
	if runs {
		holder.Command += ", at " + script.name
		l.endDoomed()
	}
	return holder, nil
}

// Now is the time on the machine's clock.
func (l *lockWatch) Now() time.Time { return clock{}.Now() }

// Sleep waits on it.
func (l *lockWatch) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

// endDoomed ends a script that goes with its package, once it has had some time to end by itself.
func (l *lockWatch) endDoomed() {
	if l.watch == nil || !slices.Contains(l.watch.Doomed, strings.TrimSuffix(l.script.name, path.Ext(l.script.name))) {
		return
	}
	grace := noteAfter
	if p := l.watch.Patience; p > 0 && p < grace {
		grace = p
	}
	switch took := time.Since(l.since); {
	case took >= grace+killDelay:
		signalTree(l.script.pid, unix.SIGKILL)
	case took >= grace:
		signalTree(l.script.pid, unix.SIGTERM)
	}
}
