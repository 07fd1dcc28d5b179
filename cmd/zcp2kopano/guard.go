package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	goruntime "runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/exit"
)

// runsCode marks a command that executes a runbook in its own process. Such a command is carried out
// in a child process. One call of a runbook can ask for more memory than there is, and then the Go
// runtime ends the process on the spot, with exit code 2, which would mean inhibitors. The limits on
// a runbook come too late for that; the parent does not.
const runsCode = "runs a runbook's code"

func markRunsCode(commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.Annotations = map[string]string{runsCode: ""}
	}
}

// guardedKey is the environment variable that tells the child that it is one. On descriptor crashFD it
// finds a pipe for the last words of the Go runtime.
const (
	guardedKey = "ZCP2KOPANO_GUARDED"
	crashFD    = 3
)

// beGuarded reports whether this process is a child. Then descriptor 2, to which the Go runtime writes
// when it crashes, becomes the parent's pipe; os.Stderr stays what it was under another number.
func beGuarded() bool {
	if os.Getenv(guardedKey) == "" {
		return false
	}
	os.Unsetenv(guardedKey)
	if fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, crashFD+1); err == nil && unix.Dup3(crashFD, 2, 0) == nil {
		os.Stderr = os.NewFile(uintptr(fd), os.Stderr.Name())
	}
	unix.Close(crashFD)
	return true
}

// guard carries the command line out in a child process. How that ended is its error, always: nothing
// is left to do.
func (a *app) guard() error {
	// The kernel ends the child with the thread that started it.
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd := exec.Command(self, a.args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), guardedKey+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out.file, a.err
	cmd.ExtraFiles = []*os.File{writer} // is crashFD there
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := catchSignals()
	defer signal.Stop(signals)
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return fmt.Errorf("starting %s: %w", self, err)
	}
	go passSignals(signals, cmd.Process)
	crash, _ := io.ReadAll(io.LimitReader(reader, 1<<20))
	_, _ = io.Copy(io.Discard, reader)
	return a.outcome(cmd.Wait(), string(crash))
}

// whereItStands adds to the end of a child that told no verdict where the admin finds out about its run.
func (a *app) whereItStands(cmd *cobra.Command, err error) error {
	var told ended
	if errors.As(err, &told) || cmd.Name() != "run" && cmd.Name() != "resume" {
		return err
	}
	return fmt.Errorf("%w; `%s` says where the run stands and what can be done", err, a.dir().Caller().Command("status"))
}

// outcome tells how the child ended.
func (a *app) outcome(err error, crash string) error {
	var died *exec.ExitError
	if err != nil && !errors.As(err, &died) {
		return err
	}
	if words := lastWords(crash); words != "" {
		return a.crashed(words, crash)
	}
	fmt.Fprint(a.err, crash)
	if died == nil {
		return ended{exit.Done}
	}
	status := died.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		return ended{status.ExitStatus()}
	}
	switch s := status.Signal(); s {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE:
		return ended{128 + int(s)} // as a shell says it of a program without a child
	case syscall.SIGKILL:
		return errors.New("the program was killed; if nobody did that, the kernel did for lack of memory: dmesg says so")
	default:
		return fmt.Errorf("the program was ended by a signal (%s); this is a bug in zcp2kopano", s)
	}
}

// lastWords is the line of a crash that says why.
func lastWords(crash string) string {
	for line := range strings.Lines(crash) {
		for _, mark := range []string{"fatal error: ", "panic: "} {
			if words, ok := strings.CutPrefix(line, mark); ok {
				return strings.TrimPrefix(strings.TrimSpace(words), "runtime: ")
			}
		}
	}
	return ""
}

// crashed is the error of a crash. A runbook that asked for too much needs no trace of the program.
func (a *app) crashed(words, trace string) error {
	for _, mark := range []string{"out of memory", "cannot allocate", "stack overflow", "makeslice", "Buffer: too large", "growslice"} {
		if strings.Contains(words, mark) {
			return fmt.Errorf("a call of the runbook asked for more memory than there is (%s); "+
				"look for one that makes a very large string or list, such as replace, join, or enumerate of a range", words)
		}
	}
	fmt.Fprintln(a.err, strings.TrimSpace(trace))
	return fmt.Errorf("the program ended itself: %s; this is a bug in zcp2kopano", words)
}

// catchSignals keeps signals from ending this process before its child. What is ignored stays so: the
// child of nohup inherits it.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 8)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// passSignals hands on what only this process got. A terminal sends Ctrl-C and the hangup to both.
func passSignals(signals <-chan os.Signal, child *os.Process) {
	terminal := hasTerminal()
	for s := range signals {
		if s == syscall.SIGTERM || s == syscall.SIGINT && !terminal {
			_ = child.Signal(s)
		}
	}
}

func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
