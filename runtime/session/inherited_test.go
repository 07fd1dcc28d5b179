package session_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/session"
)

// A caller's umask and limits are not those of the work, nor of what it starts.
func TestShedCaller(t *testing.T) {
	if os.Getenv("SHED") != "" { // a process of its own, since all of it has one umask
		if err := session.ShedCaller(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		out, err := exec.Command("/bin/sh", "-c", "umask; ulimit -f; ulimit -t; ulimit -v; ulimit -d; [ $(ulimit -n) -ge 1024 ] && echo files; [ $(ulimit -H -n) -ge 4096 ] && echo more").CombinedOutput()
		fmt.Print(string(out), err)
		os.Exit(0)
	}
	cmd := exec.Command("/bin/sh", "-c", `umask 0777; ulimit -S -f 8; ulimit -S -t 600; ulimit -S -v 50000000; ulimit -S -d 50000000; ulimit -S -n 32; exec "$0" -test.run TestShedCaller`, os.Args[0])
	cmd.Env = append(os.Environ(), "SHED=1")
	out, err := cmd.CombinedOutput()
	if got, want := strings.Fields(string(out)), strings.Fields("0022 unlimited unlimited unlimited unlimited files more <nil>"); err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
}

// One that may not raise its limits does not begin.
func TestShedCallerRefused(t *testing.T) {
	if os.Getenv("SHED") != "" {
		limit := unix.Rlimit{Cur: 4096, Max: 4096}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setuid(65534); err != nil && os.Geteuid() == 0 {
			t.Fatal(err)
		}
		fmt.Print(session.ShedCaller())
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "TestShedCallerRefused")
	cmd.Env = append(os.Environ(), "SHED=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the size of files (ulimit -f) is limited") {
		t.Errorf("%s (%v)", out, err)
	}
}
