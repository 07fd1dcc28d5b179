package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// Worker is a started worker process.
type Worker struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	output string
	end    *os.File    // what TellEnd writes
	told   chan []byte // all of it
}

// The descriptors on which a worker finds the lock, and a pipe for how it ended.
const (
	lockFD = 3
	endFD  = 4
)

// Start starts the program again as a worker with these arguments, and passes the lock on to it.
func Start(r state.Run, lock *state.Lock, args ...string) (*Worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	output := filepath.Join(r.Path, "worker.log")
	out, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	defer out.Close()
	end, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer tell.Close()
	line := append(scope(r.ID), append([]string{self}, args...)...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{lock.File(), tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		end.Close()
		return nil, fmt.Errorf("starting the worker: %w", err)
	}
	w := &Worker{cmd: cmd, ended: make(chan struct{}), output: output, end: end, told: make(chan []byte, 1)}
	go func() {
		data, _ := io.ReadAll(end)
		w.told <- data
	}()
	go func() {
		_ = cmd.Wait()
		close(w.ended)
	}()
	return w, nil
}

// scope is what puts a command into a systemd scope of its own, so that the end of the login session
// does not take it along; nothing where that is not to be had. It is tried out first. The scope's name
// is new each time: as long as a process that a killed worker left is alive, so is its scope.
func scope(id string) []string {
	const run = "/usr/bin/systemd-run"
	if _, err := os.Stat("/run/systemd/system"); err != nil || os.Geteuid() != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a busy systemd takes its time
	defer cancel()
	if exec.CommandContext(ctx, run, "--scope", "--slice=system.slice", "/bin/true").Run() != nil {
		return nil
	}
	return []string{run, "--scope", "--slice=system.slice", fmt.Sprintf("--unit=zcp2kopano-%s-%d", id, os.Getpid())}
}

// withoutScope leaves out what systemd-run says before it becomes the worker: "Running scope as unit:
// ...", in older versions "Running as unit ...". Their option --quiet came later.
func withoutScope(output string) string {
	first, rest, _ := strings.Cut(output, "\n")
	if strings.HasPrefix(first, "Running ") && strings.Contains(first, "zcp2kopano-") {
		return rest
	}
	return output
}

// Alive reports whether the worker is at work.
func (w *Worker) Alive() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// Await waits, not for ever, until the worker that has given its verdict has ended: what is asked next
// about its run is not answered by "at work".
func (w *Worker) Await() {
	select {
	case <-w.ended:
	case <-time.After(10 * time.Second):
	}
}

// Stop passes SIGTERM or SIGINT on to the worker, which then stops after the action in hand.
func (w *Worker) Stop(s os.Signal) { _ = w.cmd.Process.Signal(s) }

// BreakOff has the worker break the action in hand off.
func (w *Worker) BreakOff() { _ = w.cmd.Process.Signal(breakOff) }

// breakOff is a signal of its own: a second SIGINT is lost in the first one while that waits to be taken, on a busy machine.
const breakOff = syscall.SIGUSR1

// TellEnd returns what passes on, apart from the disk, why and how the work ended: to the process that
// started this one and has passed on a lock, as long as it is there.
func TellEnd() func(story.Event) {
	var passed syscall.Stat_t
	if syscall.Fstat(endFD, &passed) != nil || passed.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil
	}
	syscall.CloseOnExec(endFD)
	if syscall.SetNonblock(endFD, true) != nil { // without it there is no deadline
		return nil
	}
	return endTo(os.NewFile(endFD, "end"), 5*time.Second)
}

// endTo writes how it ended. Who does not read it does not hold the run up for longer than patience.
func endTo(pipe *os.File, patience time.Duration) func(story.Event) {
	write := story.JSONLines(pipe)
	return func(e story.Event) {
		if e.Kind == story.Failed || e.Kind == story.VerdictGiven {
			_ = pipe.SetWriteDeadline(time.Now().Add(patience))
			write(e)
		}
	}
}

// End is what the worker has said of its end with TellEnd: where the disk is full, its events file does
// not have it.
func (w *Worker) End() []story.Event {
	<-w.ended
	defer w.end.Close()
	_ = w.end.SetReadDeadline(time.Now().Add(time.Second)) // nobody should have it open any more
	var events []story.Event
	for line := range bytes.Lines(<-w.told) {
		var e story.Event
		if json.Unmarshal(line, &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// StoppedEarly reports whether the worker was asked to stop before it heeded that, and so before it began
// its work.
func (w *Worker) StoppedEarly() bool {
	<-w.ended
	status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && slices.Contains([]os.Signal{syscall.SIGINT, syscall.SIGTERM, breakOff}, os.Signal(status.Signal()))
}

// ErrNoVerdict is the end of a worker that was killed, or whose machine took it away, without a word.
var ErrNoVerdict = errors.New("the worker ended without a verdict")

// Failure is what a worker that ended without a verdict left: how it ended, and its last words.
func (w *Worker) Failure() error {
	<-w.ended
	status := w.cmd.ProcessState.String()
	data, _ := os.ReadFile(w.output)
	words := strings.TrimSpace(withoutScope(string(data)))
	if words == "" {
		return fmt.Errorf("%w: %s", ErrNoVerdict, status)
	}
	if len(words) > 4000 {
		words = words[:4000]
	}
	return errors.New(strings.TrimPrefix(words, "error: "))
}

// AdoptLock is the lock that Start passed on to this process, or one taken again.
func AdoptLock(d state.Dir, h state.Holder) (*state.Lock, error) {
	var passed, known syscall.Stat_t
	err := errors.Join(syscall.Fstat(lockFD, &passed), syscall.Stat(filepath.Join(d.Path, "lock"), &known))
	if err != nil || passed.Dev != known.Dev || passed.Ino != known.Ino {
		return d.Lock(h)
	}
	syscall.CloseOnExec(lockFD) // the commands of the run must not hold it
	lock := state.Adopt(os.NewFile(lockFD, "lock"))
	return lock, lock.Name(h)
}
