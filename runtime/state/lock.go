package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/ways"
)

// Holder is who holds the lock.
type Holder struct {
	PID     int       `json:"pid"`
	Start   time.Time `json:"start"`
	Command string    `json:"command"`
	Run     string    `json:"run,omitempty"` // ID
}

// LockedError says that another run is in progress.
type LockedError struct {
	Holder  Holder
	Program string // how the program is called for this directory
}

func (e *LockedError) Error() string {
	h := e.Holder
	who := "another run holds the lock"
	if h.PID != 0 {
		who += fmt.Sprintf(": process %d (%s), since %s", h.PID, h.Command, h.Start.Local().Format("2006-01-02 15:04:05"))
	}
	if h.Run == "" {
		return who + "; it has not begun to change anything"
	}
	return fmt.Sprintf("%s; `%s` shows it", who, ways.Caller{Program: e.Program, ID: h.Run}.Command("status", "--follow"))
}

// Lock is the right to change this machine. The kernel gives it back when the last process that
// inherited it ends, however it ends; it is never taken over because it is old.
type Lock struct{ f *os.File }

// lockTries and lockPause outlast somebody who only looks whether the lock is held.
const (
	lockTries = 10
	lockPause = 20 * time.Millisecond
)

// Lock takes the lock, or returns *LockedError.
func (d Dir) Lock(h Holder) (*Lock, error) {
	if err := d.Prepare(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.lockPath(), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for try := 1; ; try++ {
		err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer f.Close()
		return nil, &LockedError{Holder: readHolder(f), Program: d.program()}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", d.lockPath(), err)
	}
	l := &Lock{f}
	if err := l.Name(h); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// Adopt takes over a lock that the parent process passed on as an open file.
func Adopt(f *os.File) *Lock { return &Lock{f} }

// File is the lock as an open file, to be passed on to a child process.
func (l *Lock) File() *os.File { return l.f }

// Name writes into the lock who holds it now.
func (l *Lock) Name(h Holder) error {
	data, err := json.Marshal(h)
	if err == nil {
		err = l.f.Truncate(0)
	}
	if err == nil {
		_, err = l.f.WriteAt(append(data, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", l.f.Name(), err)
	}
	return nil
}

// Close gives this process's hold up; one that was passed on stays.
func (l *Lock) Close() error { return l.f.Close() }

// Holder tells who holds the lock, nil if nobody does.
func (d Dir) Holder() (*Holder, error) {
	f, err := os.OpenFile(d.lockPath(), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	defer f.Close()
	if err := flock(f, syscall.LOCK_SH|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, err
	}
	h := readHolder(f)
	return &h, nil
}

func (d Dir) lockPath() string { return filepath.Join(d.Path, "lock") }

func readHolder(f *os.File) Holder {
	var h Holder
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, 1<<16))
	_ = json.Unmarshal([]byte(strings.TrimSpace(string(data))), &h) // it may be in the middle of being written
	return h
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}
