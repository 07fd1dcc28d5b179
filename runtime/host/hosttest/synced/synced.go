// Package synced tells what is made durable. A sync that is left out shows in no file, and in no test that cuts no
// power; so the kernel is asked to tell of each one.
package synced

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// names are the system calls that are told of. The number of the call is the first word of what a filter sees.
var names = map[int32]string{unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_SYNCFS: "syncfs"}

// By lists what a function has the kernel make durable, in order: "fsync /var/x/a.new". A file has the name that it bears
// at that moment, so a draft that is synced before its rename shows as the draft. Goroutines of the function count only
// as far as they run programs in its place; programs that it runs count.
func By(t testing.TB, do func() error) []string {
	t.Helper()
	listener, ended := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its filter
		fd, err := listen()
		if err != nil {
			ended <- err
			close(listener)
			return
		}
		listener <- fd
		ended <- do()
	}()
	fd, ok := <-listener
	if !ok {
		noFilter(t, <-ended)
	}
	defer unix.Close(fd)
	var all []string
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return all
		default:
		}
		call, err := next(fd)
		if err != nil {
			t.Fatal(err)
		}
		if call != "" {
			all = append(all, call)
		}
	}
}

// noFilter skips the test on a kernel before 5.5, but where the tests must all run.
func noFilter(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "" && (errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)) {
		t.Skipf("the kernel tells of no system calls: %v", err)
	}
	t.Fatalf("a filter of system calls: %v", err)
}

// listen has this thread wait in each of the calls until whoever has the descriptor has been told.
func listen() (int, error) {
	const word, back = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{{Code: word}}
	for number := range names {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jf: 1},
			unix.SockFilter{Code: back, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	filter = append(filter, unix.SockFilter{Code: back, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// notice and answer are struct seccomp_notif and seccomp_notif_resp of linux/seccomp.h.
type (
	notice struct {
		id         uint64
		pid, flags uint32
		number     int32
		arch       uint32
		at         uint64
		args       [6]uint64
	}
	answer struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
)

// gone is no error where a signal has taken the thread out of its call: it makes the call again.
func gone(errno unix.Errno) error {
	if errno == unix.ENOENT {
		return nil
	}
	return errno
}

// next waits a moment for a call, and lets it go on; empty if none came.
func next(fd int) (string, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(poll, 10); err != nil && !errors.Is(err, unix.EINTR) {
		return "", err
	}
	if poll[0].Revents&unix.POLLIN == 0 {
		return "", nil
	}
	var n notice
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return "", gone(errno)
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, int(n.args[0])))
	if err != nil {
		path = err.Error()
	}
	a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	if errno != 0 {
		return "", gone(errno)
	}
	return names[n.number] + " " + path, nil
}
