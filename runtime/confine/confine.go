// Package confine takes from the process, and all that it starts, the power to write.
//
// A simulation of the real machine only reads it: no code path of it writes. This is the second
// lock, for what no code path should do. Descriptors that are open for writing before stay so: the
// report, the terminal, and the pipe to a process that writes what it is sent into a new directory.
//
// Kernels of 2015 have no Landlock, and seccomp filters only for one thread at a time; both are made
// up for. What is left there: a socket can be bound to a new name, and a program of another
// architecture (32 bit) is not filtered. Sockets that are there can be connected to on all kernels,
// as the database's has to be.
package confine

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Lock is one means, and whether it is in force.
type Lock struct {
	Name  string // "Landlock", "capabilities", "seccomp"
	Stops string // what it stops
	Err   error  // why it is not in force; nil if it is
}

// Locks are all means, and what a child could do in spite of them.
type Locks struct {
	All  []Lock
	From string // what they keep from
	// Open is what a child was seen to be able to do; Untried is why it was not tried.
	Open    []string
	Untried error
}

// ReadOnly puts every means in force that the kernel has, and tells which. It cannot be undone. Then it tries them:
// this program, started with these arguments, calls Attempt.
func ReadOnly(args ...string) Locks {
	keepFromGaining()
	landlocked := restrictPaths()
	l := Locks{From: "writing", All: []Lock{
		{"Landlock", "creating, changing, moving and removing files", landlocked},
		{"capabilities", "what only root may, but for reading root's files", dropCapabilities(1 << unix.CAP_DAC_READ_SEARCH)},
		{"seccomp", "changing modes, owners, attributes, times and mounts", filterCalls(landlocked != nil)},
	}}
	l.Open, l.Untried = try(args)
	return l
}

// asking is what the package manager, the services and the processes are asked with: it reads all, keeps caches as
// others, looks into other processes, and makes a root of its own to work in, with the devices that zypper wants there.
const asking = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_MKNOD | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_SYS_PTRACE

// Asking takes from a process that asks on behalf of one under ReadOnly what no question takes: package managers lock,
// and keep caches, so it can write files, but it changes neither mounts nor the clock, the kernel nor what other
// processes do. It cannot be undone. Landlock is not among the means: it would hide the other processes.
func Asking(args ...string) Locks {
	keepFromGaining()
	l := Locks{From: "mounting and changing the kernel", All: []Lock{
		{"capabilities", "what no question takes", dropCapabilities(asking)},
		{"seccomp", "mounts, clock, modules, other processes", filterAsking()},
	}}
	l.Open, l.Untried = try(args)
	return l
}

func filterAsking() error {
	return load(seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
		{Action: seccomp.ActionErrno, Names: known(systemCalls), NamesWithCondtions: controls()},
		{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: known(newMounts)},
	}})
}

// String says what keeps this process from writing, as far as that was tried.
func (l Locks) String() string {
	var inForce, missing []string
	for _, lock := range l.All {
		if lock.Err != nil {
			missing = append(missing, fmt.Sprintf("%s (%v)", lock.Name, lock.Err))
			continue
		}
		inForce = append(inForce, lock.Name)
	}
	names := cmp.Or(strings.Join(inForce, ", "), "nothing")
	kept := "kept from " + l.From + " by "
	text := kept + names + " (tried)"
	switch {
	case l.Untried != nil:
		text = fmt.Sprintf("%snothing that could be tried (%v); said to be in force: %s", kept, l.Untried, names)
	case len(l.Open) > 0:
		text = kept + "nothing but the program itself: a program that it starts could " + strings.Join(l.Open, ", and ") +
			" (tried); in force: " + names
	}
	if len(missing) > 0 {
		text += "; not in force: " + strings.Join(missing, ", ")
	}
	return text
}

// keepFromGaining keeps programs that are started from gaining what this process gives up; kernels before 3.5 cannot.
func keepFromGaining() {
	_, _, _ = psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
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

// dropCapabilities keeps only these, of the first 32.
func dropCapabilities(keep uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if err := unix.Capget(&header, &now[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	kept := now[0].Permitted & keep
	// A program that root starts would get them all back, if they stay in the bounding set. What lets that be changed is
	// itself dropped below.
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if c < 32 && keep&(1<<c) != 0 {
			continue
		}
		if _, _, errno := psx.Syscall3(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); errno == unix.EINVAL {
			break // the kernel knows no more
		} else if errno != 0 && now[0].Effective&(1<<unix.CAP_SETPCAP) != 0 {
			return fmt.Errorf("dropping capability %d: %w", c, errno)
		}
	}
	want := [2]unix.CapUserData{{Effective: kept, Permitted: kept, Inheritable: kept}}
	// Capabilities are a thread's own: every thread of the process must drop them.
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&want[0])), 0)
	if errno != 0 {
		return fmt.Errorf("dropping capabilities: %w", errno)
	}
	return nil
}

// writingCalls change files, by path or descriptor, in ways that Landlock does not see, or that an
// older kernel's Landlock does not. open_by_handle_at is among them because the capability that is
// kept allows it.
var writingCalls = []string{
	"fchmod", "fchmodat", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
	"removexattr", "lremovexattr", "fremovexattr", "utimensat",
	"mkdirat", "mknodat", "unlinkat", "renameat2", "linkat", "symlinkat", "truncate", "open_by_handle_at",
}

// systemCalls change the system itself, or what another process does.
var systemCalls = []string{
	"mount", "umount2", "pivot_root", "swapon", "swapoff", "reboot", "sethostname", "setdomainname",
	"settimeofday", "clock_settime", "init_module", "finit_module", "delete_module", "kexec_load", "ptrace",
}

// oldCalls exist on some architectures only.
var oldCalls = []string{"chmod", "chown", "lchown", "utime", "utimes", "futimesat", "mkdir", "mknod", "unlink", "rmdir", "rename", "renameat", "link", "symlink", "creat"}

// newCalls are answered as by a kernel that does not have them: programs know another way then, which
// is filtered. A filter does not see what io_uring does.
var newCalls = []string{
	"fchmodat2", "setxattrat", "removexattrat", "file_setattr", "io_uring_setup",
}

// newMounts are those of them that mount.
var newMounts = []string{"open_tree", "open_tree_attr", "move_mount", "fsopen", "fsmount", "mount_setattr"}

// writingControls are ioctls that change a file which is open for reading only: chattr(1), and what
// is like it.
var writingControls = []uint64{
	unix.FS_IOC_SETFLAGS, 0x40046602, // FS_IOC32_SETFLAGS
	0x401c5820, // FS_IOC_FSSETXATTR
	0x40087602, // FS_IOC_SETVERSION
}

// filterCalls refuses system calls that write. Opening for writing is left to Landlock, which lets
// /dev/null through as programs need it, unless opens is set.
func filterCalls(opens bool) error {
	refused, missing := slices.Concat(writingCalls, systemCalls), slices.Concat(newCalls, newMounts)
	if opens {
		missing = append([]string{"openat2"}, missing...) // its flags are not seen by a filter
	}
	policy := seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{
				Action:             seccomp.ActionErrno,
				Names:              append(known(refused), known(oldCalls)...),
				NamesWithCondtions: controls(),
			},
			{
				Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS),
				Names:  known(missing),
			},
		},
	}
	if opens {
		// The error is Landlock's. rpm with a Berkeley DB goes on to read without its shared memory after
		// this one, and gives up after EPERM.
		policy.Syscalls = append(policy.Syscalls, seccomp.SyscallGroup{
			Action: seccomp.ActionErrno | seccomp.Action(unix.EACCES), NamesWithCondtions: writingOpens(),
		})
	}
	return load(policy)
}

func controls() []seccomp.NameWithConditions {
	var all []seccomp.NameWithConditions
	for _, request := range writingControls {
		all = append(all, seccomp.NameWithConditions{Name: "ioctl", Conditions: seccomp.ArgumentConditions{
			{Argument: 1, Operation: seccomp.Equal, Value: request},
		}})
	}
	return all
}

func writingOpens() []seccomp.NameWithConditions {
	var all []seccomp.NameWithConditions
	for name, flags := range map[string]uint32{"open": 1, "openat": 2} {
		if len(known([]string{name})) == 0 {
			continue
		}
		for _, bit := range []uint64{unix.O_WRONLY, unix.O_RDWR, unix.O_CREAT, unix.O_TRUNC} {
			all = append(all, seccomp.NameWithConditions{Name: name, Conditions: seccomp.ArgumentConditions{
				{Argument: flags, Operation: seccomp.BitsSet, Value: bit},
			}})
		}
	}
	return all
}

// known are those of some system calls that this architecture has.
func known(names []string) []string {
	var have []string
	for _, name := range names {
		probe := seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: []string{name}}},
		}
		if _, err := probe.Assemble(); err == nil {
			have = append(have, name)
		}
	}
	return have
}

// load puts a filter in force for all threads of the process, and for all that they start.
func load(policy seccomp.Policy) error {
	if seccomp.Supported() {
		return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy})
	}
	program, err := assemble(policy)
	if err != nil {
		return err
	}
	return loadByThread(program)
}

func assemble(policy seccomp.Policy) ([]bpf.RawInstruction, error) {
	instructions, err := policy.Assemble()
	if err != nil {
		return nil, err
	}
	return bpf.Assemble(instructions)
}

// loadByThread is for kernels before 3.17, which cannot put a filter in force for all threads at once:
// each thread does it for itself.
func loadByThread(program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("the kernel cannot keep programs from gaining privileges: %w", errno)
	}
	_, _, errno := psx.Syscall3(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(fprog)))
	runtime.KeepAlive(filter)
	runtime.KeepAlive(fprog)
	if errno != 0 {
		return fmt.Errorf("the kernel has no seccomp filters: %w", errno)
	}
	return nil
}
