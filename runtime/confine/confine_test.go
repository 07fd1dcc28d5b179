package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/confine"
)

// kernels are what may be missing: Landlock before 5.13, filters for all threads before 3.17 (the
// kernels of Debian 8, RHEL 7 and SLES 12).
var kernels = map[string][]string{
	"this one":       nil,
	"of 2020":        {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"},
	"of Debian 2015": {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "openat2", "fchmodat2"},
}

// The locks cannot be undone, so a child process tries to write under them.
func TestReadOnly(t *testing.T) {
	if dir := os.Getenv("CONFINE_TEST_DIR"); dir != "" {
		try(dir)
		return
	}
	for kernel := range kernels {
		t.Run(kernel, func(t *testing.T) { testKernel(t, kernel) })
	}
}

func testKernel(t *testing.T, kernel string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := describe(t, dir)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestReadOnly$", "-test.v")
	cmd.Env = append(os.Environ(), "CONFINE_TEST_DIR="+dir, "CONFINE_TEST_KERNEL="+kernel)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if after := describe(t, dir); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	for _, want := range []string{"read: before", "capabilities: <nil>", "seccomp: <nil>", "a child reads: before"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(string(out), "WRITES") {
		t.Error("a way to write is open")
	}
	if without := strings.Contains(string(out), "Landlock: the kernel has no Landlock"); kernel != "this one" && !without {
		t.Error("Landlock is said to be in force, and is not there")
	}
}

// pretend makes this process see a kernel without some system calls.
func pretend(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: missing}},
	}})
}

func try(dir string) {
	file := filepath.Join(dir, "file")
	if err := pretend(kernels[os.Getenv("CONFINE_TEST_KERNEL")]); err != nil {
		fmt.Println("cannot pretend:", err)
	}
	reopened, _ := os.Open(file)
	for _, lock := range confine.ReadOnly() {
		fmt.Printf("%s: %v\n", lock.Name, lock.Err)
	}
	ways := map[string]func() error{
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
		"mount":        func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "") },
		"child":        func() error { return exec.Command("/bin/chmod", "0644", file).Run() },
		"child rm":     func() error { return exec.Command("/bin/rm", "-f", file).Run() },
		"child chattr": func() error { return exec.Command("/usr/bin/chattr", "+d", file).Run() },
	}
	for name, way := range ways {
		// Another thread each time: the locks must hold in all of them.
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			done <- way()
		}()
		if <-done == nil {
			fmt.Println(name, "WRITES")
		}
	}
	data, err := os.ReadFile(file)
	fmt.Printf("read: %s %v\n", data, err)
	cat := exec.Command("/bin/cat", file)
	cat.Stderr = os.Stderr // else it is /dev/null, opened for writing
	out, err := cat.Output()
	fmt.Printf("a child reads: %s %v\n", out, err)
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

func describe(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		var data []byte
		if info.Mode().IsRegular() {
			data, _ = os.ReadFile(filepath.Join(dir, e.Name()))
		}
		all = append(all, fmt.Sprint(e.Name(), info.Mode(), info.ModTime().UnixNano(), string(data)))
	}
	return strings.Join(all, "; ")
}
