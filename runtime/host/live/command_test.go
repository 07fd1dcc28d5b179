package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

func thisMachine(t *testing.T) *machine {
	t.Helper()
	v, err := OpenView("/")
	must(t, err)
	t.Cleanup(func() { v.Close() })
	return v.parts.m
}

func shell(m *machine, ctx context.Context, script string, c command) (answer, error) {
	c.Path, c.Args = "/bin/sh", []string{"-c", script}
	return m.run(ctx, c)
}

func TestCommandEnvironment(t *testing.T) {
	t.Setenv("PASSWORD_OF_THE_CALLER", "x")
	m := thisMachine(t)
	got, err := shell(m, t.Context(), "env; cat; readlink /proc/self/fd/0", command{Env: []string{"A=b"}})
	must(t, err)
	for _, want := range []string{"LC_ALL=C", "A=b", "/dev/null"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("no %s in %q", want, got.Stdout)
		}
	}
	if strings.Contains(got.Stdout, "PASSWORD_OF_THE_CALLER") {
		t.Error("the caller's environment leaks")
	}
}

func TestCommandFailure(t *testing.T) {
	m := thisMachine(t)
	var lines []string
	got, err := shell(m, t.Context(), "echo one; echo with s3cret >&2; exit 7",
		command{Secrets: []string{"s3cret"}, Line: func(s string) { lines = append(lines, s) }})
	var failed *host.CommandError
	if !errors.As(err, &failed) || failed.Status != "exit status 7" || got.Code != 7 {
		t.Fatalf("error %v", err)
	}
	if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "with ***") {
		t.Errorf("error %q", err)
	}
	if text := strings.Join(lines, "|"); !strings.Contains(text, "with ***") || !strings.Contains(text, "one") {
		t.Errorf("lines %q", text)
	}
	if _, err := shell(m, t.Context(), "exit 3", command{Accept: []int{3}}); err != nil {
		t.Errorf("an accepted exit code: %v", err)
	}
	if _, err := m.program("no-such-program-here"); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("missing program: %v", err)
	}
}

// TestJoinedOutputs alternates between both outputs: joined, they are heard in the order in which they were written.
func TestJoinedOutputs(t *testing.T) {
	var lines []string
	got, err := shell(thisMachine(t), t.Context(), "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done",
		command{Joined: true, Line: func(s string) { lines = append(lines, s) }})
	must(t, err)
	var want []string
	for i := 1; i < 10; i++ {
		want = append(want, fmt.Sprint("o", i), fmt.Sprint("e", i))
	}
	if !slices.Equal(lines, want) || got.Stdout != strings.Join(want, "\n")+"\n" || got.Stderr != got.Stdout {
		t.Errorf("heard %q, answer %+v", lines, got)
	}
}

// MortalRole has the test binary run the program that it names as mydumper is run.
const MortalRole = "ZCP2KOPANO_TEST_MORTAL"

// StartMortal runs it.
func StartMortal(program string) {
	h, err := Open("/")
	if err == nil {
		err = h.DatabaseWriter.(databaseWriter).parallelTool(context.Background(), program, host.DatabaseConn{})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestMortal kills the program that runs a mortal command, as mydumper is one: the command ends, too.
func TestMortal(t *testing.T) {
	path, program := t.TempDir()+"/pid", t.TempDir()+"/mydumper"
	must(t, os.WriteFile(program, []byte("#!/bin/sh\necho $$ >"+path+"; trap '' TERM HUP; while :; do sleep 1; done\n"), 0o700))
	head := exec.Command(os.Args[0])
	head.Env = append(os.Environ(), MortalRole+"="+program)
	must(t, head.Start())
	pid := 0
	eventually(t, "the command begins", func() bool {
		data, _ := os.ReadFile(path)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return pid > 0
	})
	must(t, head.Process.Kill())
	head.Wait()
	eventually(t, "the command ends", func() bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || len(line) == 0
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	m := thisMachine(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var child int
	_, err := shell(m, ctx, "sleep infinity & echo $!; wait", command{Line: func(s string) {
		for _, c := range s {
			child = child*10 + int(c-'0')
		}
		cancel(errors.New("interrupted by the admin"))
	}})
	if err == nil || !strings.Contains(err.Error(), "interrupted by the admin") {
		t.Errorf("error %v", err)
	}
	for !gone(child) { // if it is left running, the test never ends
		time.Sleep(20 * time.Millisecond)
	}
}

// A command that does not end when it is told to is killed. (If it were not, the test would never end.)
func TestStubbornCommandIsKilled(t *testing.T) {
	stubborn := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	stubborn.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := stubborn.StdoutPipe()
	must(t, err)
	must(t, stubborn.Start())
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer killGroupAfter(ctx, stubborn.Process.Pid, time.Millisecond)()
	cancel()
	_ = stubborn.Wait()
	if by := stubborn.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != syscall.SIGKILL {
		t.Errorf("it was ended by %v", by)
	}
}

// An answer that is too long is an error, however the command ended: what was kept of it is not all.
func TestTooLongAnswer(t *testing.T) {
	c := command{Path: "/bin/true"}
	o := newOutput(c)
	o.limit = 10
	w := o.stdout()
	if _, err := w.Write([]byte("1234567890")); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write([]byte("1"))
	ended := exec.Command(c.Path)
	must(t, ended.Run())
	if judged := c.judge(t.Context(), ended.ProcessState, nil, o); err == nil || judged == nil || !strings.Contains(judged.Error(), "said more than") {
		t.Errorf("written: %v, judged: %v", err, judged)
	}
}

func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return strings.Contains(string(status), ") Z ")
}

func TestTimeout(t *testing.T) {
	_, err := shell(thisMachine(t), t.Context(), "sleep infinity", command{Timeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "timed out after 50ms") {
		t.Errorf("error %v", err)
	}
}

func TestDaemonHoldingTheOutput(t *testing.T) {
	got, err := shell(thisMachine(t), t.Context(), "sleep infinity & echo $!", command{}) // if it waits for the daemon, it never ends
	must(t, err)
	pid := 0
	for _, c := range strings.TrimSpace(got.Stdout) {
		pid = pid*10 + int(c-'0')
	}
	if gone(pid) {
		t.Error("the daemon was ended")
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

// What a command that has ended well left in its group is not ended, even if the look at its time never got a turn.
func TestEndedCommandKeepsItsDaemon(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a goroutine waits for its turn
	for range 100 {
		daemon := exec.Command("/usr/bin/sleep", "infinity")
		daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		must(t, daemon.Start())
		ctx, cancel := context.WithCancel(t.Context())
		stop := killGroupAfter(ctx, daemon.Process.Pid, killDelay)
		stop()
		cancel()
		runtime.Gosched()
		must(t, daemon.Process.Kill())
		_ = daemon.Wait()
		if by := daemon.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != syscall.SIGKILL {
			t.Fatalf("it was ended by %v", by)
		}
	}
}
