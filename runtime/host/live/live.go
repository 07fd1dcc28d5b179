// Package live is this machine behind the host interfaces.
//
// A View reads the machine and a Host also changes it. Both work on the file system below a root
// directory: "/" for the machine itself, or a directory that holds a whole system (a chroot); then
// absolute symlinks and ".." stay inside it, and commands run with it as their root, which needs the
// privilege to chroot.
//
// Files are reached component by component from a descriptor of the root, never by a path that the
// kernel would resolve at once, so that a symlink planted by an ordinary user is noticed and nothing
// outside the root is touched. Only system calls of Linux 3.2 and later are used, with a second way
// where a kernel of 2013 lacks one.
//
// Files of this package: resolve.go, at.go, file.go, tree.go, files.go and fileswriter.go (files),
// facts.go, mounts.go, accounts.go (what the system is), command.go (how any program is run), packages*.go
// (packages of any kind), dpkg*.go and apt*.go (Debian's), rpm*.go, yum*.go and zypper*.go (rpm's), services.go, systemd.go, sysv.go, processes.go (what runs), database.go and
// dump.go (MySQL), directory.go (LDAP), download.go.
package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
)

// View reads a machine. It has no method that changes one, so it can stand below a simulation.
type View struct {
	space *space
	owned *ownedFiles
}

// Host is a machine that can be changed.
type Host struct {
	*View
	lockPatience packagelock.Patience
}

var (
	_ host.View = (*View)(nil)
	_ host.Host = (*Host)(nil)
)

// Open gives the machine whose file system starts at root.
func Open(root string) (*Host, error) {
	view, err := OpenView(root)
	if err != nil {
		return nil, err
	}
	return &Host{View: view, lockPatience: packagelock.Usual}, nil
}

// OpenView gives the reading half of the machine whose file system starts at root.
func OpenView(root string) (*View, error) {
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
	return &View{space: &space{root: fd, path: path, euid: uint32(os.Geteuid())}, owned: new(ownedFiles)}, nil
}

// Close gives the root descriptor back.
func (v *View) Close() error { return unix.Close(v.space.root) }

// Unpredicted is empty: a machine carries out what it is told.
func (h *Host) Unpredicted() []host.Unpredicted { return nil }

// Now is the machine's clock.
func (v *View) Now() time.Time { return time.Now() }

// Sleep waits for d, or until ctx ends.
func (v *View) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// chrooted tells whether the host is a directory of this machine.
func (v *View) chrooted() bool { return v.space.path != "/" }
