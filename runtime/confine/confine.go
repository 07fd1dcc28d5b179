// Package confine takes from the process, and all that it starts, the power to write.
//
// A simulation of the real machine only reads it: no code path of it writes. This is the second
// lock, for what no code path should do. Descriptors that are open for writing before stay so: the
// report and the terminal.
package confine

import (
	"errors"
	"fmt"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Lock is one means, and whether it is in force.
type Lock struct {
	Name  string // "Landlock", "capabilities", "seccomp"
	Stops string // what it stops
	Err   error  // why it is not in force; nil if it is
}

// ReadOnly puts every means in force that the kernel has, and tells which. It cannot be undone.
func ReadOnly() []Lock {
	landlocked := restrictPaths()
	return []Lock{
		{"Landlock", "creating, changing, moving and removing files", landlocked},
		{"capabilities", "what only root may, but for reading root's files", dropCapabilities()},
		{"seccomp", "changing modes, owners, attributes, times and mounts", filterCalls(landlocked != nil)},
	}
}

func restrictPaths() error {
	if abi, err := landlockABI(); err != nil || abi < 1 {
		return errors.New("the kernel has no Landlock")
	}
	return landlock.V5.BestEffort().RestrictPaths(
		landlock.RODirs("/"),
		landlock.RWFiles("/dev/null"),
	)
}

func landlockABI() (int, error) {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	if errno != 0 {
		return 0, errno
	}
	return int(abi), nil
}

// dropCapabilities keeps only the one that reads what root can read.
func dropCapabilities() error {
	const keep = 1 << unix.CAP_DAC_READ_SEARCH
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if err := unix.Capget(&header, &now[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	kept := now[0].Permitted & keep
	want := [2]unix.CapUserData{{Effective: kept, Permitted: kept, Inheritable: kept}}
	// Capabilities are a thread's own: every thread of the process must drop them.
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&want[0])), 0)
	if errno != 0 {
		return fmt.Errorf("dropping capabilities: %w", errno)
	}
	// A program that root starts would get them all back.
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if c == unix.CAP_DAC_READ_SEARCH {
			continue
		}
		if _, _, errno := psx.Syscall3(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); errno != 0 && errno != unix.EINVAL && errno != unix.EPERM {
			return fmt.Errorf("dropping capability %d: %w", c, errno)
		}
	}
	return nil
}

// writingCalls change files, by path or descriptor, in ways that Landlock does not see, or that an
// older kernel's Landlock does not.
var writingCalls = []string{
	"fchmod", "fchmodat", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
	"removexattr", "lremovexattr", "fremovexattr", "utimensat",
	"mkdirat", "mknodat", "unlinkat", "renameat2", "linkat", "symlinkat", "truncate",
	"mount", "umount2", "pivot_root", "swapon", "swapoff", "reboot", "sethostname",
	"settimeofday", "clock_settime", "init_module", "finit_module", "delete_module", "kexec_load", "ptrace",
}

// oldCalls exist on some architectures only.
var oldCalls = []string{"chmod", "chown", "lchown", "utime", "utimes", "futimesat", "mkdir", "mknod", "unlink", "rmdir", "rename", "renameat", "link", "symlink", "creat"}

// filterCalls refuses system calls that write. Opening for writing is left to Landlock, which lets
// /dev/null through as programs need it, unless opens is set.
func filterCalls(opens bool) error {
	if !seccomp.Supported() {
		return errors.New("the kernel has no seccomp filters for all threads")
	}
	denied := append([]string(nil), writingCalls...)
	for _, name := range oldCalls {
		if known(name) {
			denied = append(denied, name)
		}
	}
	writes := func(name string, flags uint32) []seccomp.NameWithConditions {
		if !opens || !known(name) {
			return nil
		}
		var all []seccomp.NameWithConditions
		for _, bit := range []uint64{unix.O_WRONLY, unix.O_RDWR, unix.O_CREAT, unix.O_TRUNC} {
			all = append(all, seccomp.NameWithConditions{Name: name, Conditions: seccomp.ArgumentConditions{
				{Argument: flags, Operation: seccomp.BitsSet, Value: bit},
			}})
		}
		return all
	}
	filter := seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{{
				Action:             seccomp.ActionErrno,
				Names:              denied,
				NamesWithCondtions: append(writes("open", 1), writes("openat", 2)...),
			}},
		},
	}
	return seccomp.LoadFilter(filter)
}

// known tells whether this architecture has a system call.
func known(name string) bool {
	probe := seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: []string{name}}},
	}
	_, err := probe.Assemble()
	return err == nil
}
