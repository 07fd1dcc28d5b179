// Package confinetest tries to write around package confine, by all means that a process has, and
// pretends to be an older kernel.
package confinetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// Kernels are what may be missing: Landlock before 5.13, filters for all threads before 3.17 (the
// kernels of Debian 8, RHEL 7 and SLES 12), filters at all, and what keeps programs from gaining privileges, before 3.5.
var Kernels = map[string][]string{
	"this one":       nil,
	"of 2020":        {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"},
	"of Debian 2015": {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "openat2", "fchmodat2"},
	"with nothing":   {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "openat2", "fchmodat2", "prctl"},
}

// Pretend makes this process see a kernel without some system calls.
func Pretend(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow}
	if i := slices.Index(missing, "prctl"); i >= 0 { // two of what it is asked for
		missing = slices.Delete(slices.Clone(missing), i, i+1)
		group := seccomp.SyscallGroup{Action: seccomp.ActionErrno | seccomp.Action(unix.EINVAL)}
		for _, option := range []uint64{unix.PR_SET_NO_NEW_PRIVS, unix.PR_SET_SECCOMP} {
			group.NamesWithCondtions = append(group.NamesWithCondtions, seccomp.NameWithConditions{
				Name: "prctl", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: option}},
			})
		}
		policy.Syscalls = append(policy.Syscalls, group)
	}
	policy.Syscalls = append(policy.Syscalls, seccomp.SyscallGroup{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: missing})
	// root needs no NoNewPrivs for a filter, and what is pretended must not have it
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: os.Geteuid() != 0, Flag: seccomp.FilterFlagTSync, Policy: policy})
}

// Writes tries to change a directory and the file in it, each way in a thread of its own, because
// the locks must hold in all of them. It tells what succeeded.
func Writes(dir string) []string {
	file := filepath.Join(dir, "file")
	reopened, err := os.Open(file)
	if err != nil {
		return []string{"nothing could be tried: " + err.Error()}
	}
	defer reopened.Close()
	var open []string
	for name, way := range ways(dir, file, reopened) {
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			done <- way()
		}()
		if <-done == nil {
			open = append(open, name)
		}
	}
	slices.Sort(open)
	return open
}

func ways(dir, file string, reopened *os.File) map[string]func() error {
	return map[string]func() error{
		"create":       func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) },
		"write":        func() error { return os.WriteFile(file, []byte("after"), 0o600) },
		"truncate":     func() error { return os.Truncate(file, 0) },
		"remove":       func() error { return os.Remove(file) },
		"rename":       func() error { return os.Rename(file, file+"2") },
		"link":         func() error { return os.Link(file, file+"2") },
		"symlink":      func() error { return os.Symlink("x", filepath.Join(dir, "l")) },
		"mkdir":        func() error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) },
		"mkfifo":       func() error { return unix.Mkfifo(filepath.Join(dir, "p"), 0o600) },
		"chmod":        func() error { return os.Chmod(file, 0o644) },
		"fchmod":       func() error { return reopened.Chmod(0o644) },
		"fchmodat2":    func() error { return unix.Fchmodat(unix.AT_FDCWD, file, 0o644, unix.AT_SYMLINK_NOFOLLOW) },
		"chown":        func() error { return os.Chown(file, 1, 1) },
		"utimes":       func() error { return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)) },
		"xattr":        func() error { return unix.Setxattr(file, "user.x", []byte("y"), 0) },
		"chattr":       func() error { return chattr(reopened) },
		"openat2":      func() error { return openat2(file) },
		"handle":       func() error { return openByHandle(dir, file) },
		"io_uring":     func() error { return ioUring() },
		"mount":        func() error { return mount(dir) },
		"child":        func() error { return exec.Command("/bin/chmod", "0644", file).Run() },
		"child rm":     func() error { return exec.Command("/bin/rm", "-f", file).Run() },
		"child chattr": func() error { return exec.Command("/usr/bin/chattr", "+d", file).Run() },
	}
}

// mount takes back what it could do: the test has no file system of its own.
func mount(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	return unix.Unmount(dir, unix.MNT_DETACH)
}

// chattr sets the flag "no dump" through a descriptor that is open for reading only.
func chattr(f *os.File) error {
	const nodump = 0x40
	flags := nodump
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.FS_IOC_SETFLAGS, uintptr(unsafe.Pointer(&flags)))
	if errno != 0 {
		return errno
	}
	return nil
}

func openat2(file string) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, file, &unix.OpenHow{Flags: unix.O_WRONLY})
	if err == nil {
		_, err = unix.Write(fd, []byte("after"))
	}
	return err
}

func openByHandle(dir, file string) error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, file, 0)
	if err != nil {
		return err
	}
	at, err := unix.Open(dir, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	fd, err := unix.OpenByHandleAt(at, handle, unix.O_WRONLY)
	if err == nil {
		_, err = unix.Write(fd, []byte("after"))
	}
	return err
}

// ioUring sets up what carries out other calls unseen by a filter.
func ioUring() error {
	var params [120]byte
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
