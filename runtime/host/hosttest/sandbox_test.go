package hosttest

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// sandbox is a thread whose root directory is an empty tmpfs that only it sees, and whose working
// directory is a second one. So the kernel can resolve absolute symlinks and "..", and tests leave
// nothing behind.
type sandbox struct {
	jobs         chan func()
	first, other int // descriptors of the two
}

func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	s, err := openSandbox(t)
	if err != nil {
		missing(t, "cannot compare with the kernel: "+err.Error())
	}
	return s
}

func openSandbox(t testing.TB) (*sandbox, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("chown, chroot and mount need root")
	}
	s := &sandbox{jobs: make(chan func())}
	dir := t.TempDir()
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespaces
		ready <- s.enter(dir)
		for job := range s.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		close(s.jobs)
		return nil, err
	}
	t.Cleanup(func() { close(s.jobs) })
	return s, nil
}

func (s *sandbox) enter(dir string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	unix.Umask(0)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for name, fd := range map[string]*int{"/first": &s.first, "/other": &s.other} {
		if err := os.Mkdir(dir+name, 0o755); err != nil {
			return err
		}
		err := unix.Mount("tmpfs", dir+name, "tmpfs", 0, "mode=755")
		if err != nil {
			return err
		}
		if *fd, err = unix.Open(dir+name, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
	}
	return move(s.first, s.other)
}

// move gives the thread another root and working directory.
func move(root, cwd int) error {
	return errors.Join(unix.Fchdir(root), unix.Chroot("."), unix.Fchdir(cwd))
}

// do runs a job on the thread and waits for it.
func (s *sandbox) do(job func()) {
	done := make(chan any)
	s.jobs <- func() {
		defer func() { done <- recover() }()
		job()
	}
	if p := <-done; p != nil {
		panic(p)
	}
}

// become changes the thread's effective user for what call does.
func become(uid, gid int, groups []uint32, call func()) {
	if uid == 0 {
		call()
		return
	}
	const keep = ^uintptr(0)
	setgroups(groups)
	unix.RawSyscall(unix.SYS_SETRESGID, keep, uintptr(gid), keep)
	unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep)
	defer func() {
		unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep)
		unix.RawSyscall(unix.SYS_SETRESGID, keep, 0, keep)
		setgroups([]uint32{0})
	}()
	call()
}
