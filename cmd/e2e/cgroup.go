package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroupPrefix begins the names of control groups of this package; who made it follows: the PID namespace and the PID of
// the test binary as its parent sees them, from the environment variable maker.
const (
	cgroupPrefix = "zcp2kopano-e2e-"
	maker        = "ZCP2KOPANO_E2E_MAKER"
)

// pidNamespace tells the PIDs of one container from those of another: both may have their groups in one place.
func pidNamespace() string {
	ns, err := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	if err != nil {
		return "unknown"
	}
	return strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]")
}

// cgroup is the control group of a root with systemd, below that of the tests. A nil one is none.
type cgroup struct {
	dir  string
	top  *os.File // where systemd begins
	side *os.File // for what a test starts in the root: none of systemd's units, so that it leaves it alone
}

// newCgroup makes an empty group with a place for the test's own processes.
func newCgroup() (*cgroup, error) {
	parent, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	g := new(cgroup)
	if g.dir, err = os.MkdirTemp(parent, cgroupPrefix+os.Getenv(maker)+"-"); err != nil {
		return nil, err
	}
	side := filepath.Join(g.dir, "beside")
	err1 := os.Mkdir(side, 0o755)
	g.top, err = os.Open(g.dir)
	var err2 error
	g.side, err2 = os.Open(side)
	return g, errors.Join(err1, err, err2)
}

// ownCgroup is the directory of this process's group in the unified hierarchy.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return cgroupDir(string(mounts), string(groups))
}

// cgroupDir reads mountinfo and cgroup of proc(5).
func cgroupDir(mounts, groups string) (string, error) {
	own := ""
	for line := range strings.Lines(groups) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			own = strings.TrimSpace(path)
		}
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 6 || len(kind) == 0 || kind[0] != "cgroup2" || !strings.HasPrefix(fields[5], "rw") {
			continue
		}
		if below, err := filepath.Rel(fields[3], own); own != "" && err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(fields[4], below), nil
		}
	}
	return "", errors.New("a mounted, writable cgroup2 file system that shows the group of this process")
}

// beginIn has a process begin in a directory of the group.
func beginIn(attr *syscall.SysProcAttr, dir *os.File) {
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
}

// remove ends what is left in the group, and removes it with all that is below.
func (g *cgroup) remove() error {
	if g == nil {
		return nil
	}
	g.top.Close()
	g.side.Close()
	return removeCgroup(g.dir)
}

// removeCgroup removes a group from below. It is busy for a moment after its last process has ended.
func removeCgroup(dir string) error {
	for deadline := time.Now().Add(hung); ; time.Sleep(20 * time.Millisecond) {
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) // where the kernel has it
		err := removeDirs(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("control group stays: %w", err)
		}
	}
}

func removeDirs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			errs = append(errs, removeDirs(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(append(errs, syscall.Rmdir(dir))...)
}

// sweepCgroups removes what test binaries left that were killed: this one's, and those of dead ones.
func sweepCgroups() {
	parent, err := ownCgroup()
	if err != nil {
		return
	}
	dirs, err := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		made, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), "-")
		namespace, number, _ := strings.Cut(made, ".")
		pid, err := strconv.Atoi(number)
		if err == nil && namespace == pidNamespace() && (pid == os.Getpid() || syscall.Kill(pid, 0) == syscall.ESRCH) {
			removeCgroup(dir)
		}
	}
}
