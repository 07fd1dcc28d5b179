package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what the other parts stand on: its files, the programs that it runs, and what it says of
// itself.
type machine struct{ files *space }

// openSpace opens the tree that is the machine's file system.
func openSpace(root string) (*space, error) {
	path, err := filepath.Abs(root)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, fmt.Errorf("root of the host: %w", err)
	}
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("root of the host: %w", pathError("open", path, err))
	}
	return &space{root: fd, path: path, euid: uint32(os.Geteuid())}, nil
}

// chrooted reports whether the host is a directory of this machine.
func (s *space) chrooted() bool { return s.path != "/" }

// clock is the machine's.
type clock struct{}

// Now is the machine's clock.
func (clock) Now() time.Time { return time.Now() }

// Sleep waits for d, or until ctx ends.
func (clock) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
