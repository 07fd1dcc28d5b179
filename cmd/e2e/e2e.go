// Package e2e runs the program on real Debian roots: real apt, dpkg, init scripts or systemd, and
// MariaDB, and packages that stand in for ZCP and Kopano Core.
//
// A Root is an overlay over a cached Debian tree, with its own processes, network and host name. It
// costs milliseconds, and nothing of it outlives the test. Needs root and mmdebstrap; where they are
// missing a test is skipped with the reason, or fails if the environment has CI.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// role tells a copy of the test binary what it is for: "inner" runs the tests, "init" is the first
// process of a root, "systemd" becomes the systemd of one, "inside" answers a question from inside a
// root.
const role = "ZCP2KOPANO_E2E_ROLE"

// Main is a package's TestMain. It runs the tests in a mount and process namespace of their own, so
// that mounts and daemons vanish with the test binary, however it ends.
func Main(m *testing.M) {
	switch {
	case os.Getenv(role) == "init":
		initMain()
	case os.Getenv(role) == "systemd":
		systemdMain()
	case os.Getenv(role) == "inside":
		insideMain()
	case os.Getenv(role) == "inner":
		os.Exit(inner(m))
	case len(missing()) > 0:
		os.Exit(m.Run())
	}
	os.Exit(again())
}

// again runs the test binary once more, in new namespaces.
func again() int {
	work, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 2
	}
	defer os.Remove(work) // all in it is on a mount that went with the tests
	defer sweepCgroups()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), role+"=inner", "TMPDIR="+work, maker+"="+pidNamespace()+"."+strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "e2e: new namespaces:", err)
		return 2
	}
	return cmd.ProcessState.ExitCode()
}

func inner(m *testing.M) int {
	if err := privateMounts(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 2
	}
	return m.Run()
}

// privateMounts gives this process a /proc of its own, and a tmpfs to work in: what a test makes is
// in memory, and gone at the end.
func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", os.TempDir(), "tmpfs", 0, "mode=1777,size=75%"); err != nil {
		return fmt.Errorf("mount %s: %w", os.TempDir(), err)
	}
	return nil
}

// missing lists what this machine lacks for a Root.
func missing() []string {
	var lacks []string
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root")
	}
	for _, program := range []string{"mmdebstrap", "gpg", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			lacks = append(lacks, program)
		}
	}
	if _, err := aptSources(); err != nil {
		lacks = append(lacks, "apt sources of a Debian release")
	}
	return lacks
}

// Need skips a test that cannot have a Root here, and fails it in CI.
func Need(t testing.TB) {
	t.Helper()
	needAll(t, missing())
}

// needAll leaves a test out that lacks something, or whose package has no TestMain for it.
func needAll(t testing.TB, lacks []string) {
	t.Helper()
	if len(lacks) == 0 && os.Getenv(role) != "inner" {
		lacks = append(lacks, "a TestMain that calls e2e.Main")
	}
	if len(lacks) > 0 {
		leaveOut(t, lacks)
	}
}

// leaveOut skips a test for what this machine lacks, and fails it in CI.
func leaveOut(t testing.TB, lacks []string) {
	t.Helper()
	reason := "end-to-end test left out: needs " + strings.Join(lacks, ", ") + " (make test as root installs the parts)"
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
