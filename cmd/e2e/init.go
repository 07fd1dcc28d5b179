package e2e

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// initMain is the first process of a root: it mounts /proc there, reaps orphans, and takes all of
// the root's processes along when it is killed. Its one argument is the root's directory.
func initMain() {
	if err := enter(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: init:", err)
		os.Exit(1)
	}
	ready := os.NewFile(3, "ready")
	ready.WriteString("1")
	ready.Close()
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			unix.Nanosleep(&unix.Timespec{Nsec: 20e6}, nil)
		}
	}
}

func enter(root string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Mount("proc", root+"/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return os.Chdir("/")
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
