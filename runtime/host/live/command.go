package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

const (
	// queryTimeout bounds commands that only answer questions. Those that change the host take as
	// long as they need, and ctx decides.
	queryTimeout = 5 * time.Minute
	// killDelay is what a command gets between SIGTERM and SIGKILL.
	killDelay = 10 * time.Second
	// outputLimit bounds what is kept of an answer; no honest answer comes near.
	outputLimit = 256 << 20
	// lineLimit is where a line that nobody keeps is broken.
	lineLimit = 4 << 10
	// tailLines is how much of a failed command's words an error repeats.
	tailLines = 20
)

// command is a program to run on the host. It starts in a session of its own without a terminal, reads
// Stdin or else /dev/null, and sees an environment of LC_ALL=C, PATH and Env.
type command struct {
	Path    string
	Args    []string
	Env     []string
	Dir     string        // "/" if empty
	Secrets []string      // never repeated in output or errors
	Accept  []int         // exit codes besides 0 that are an answer
	Line    func(string)  // told each line of both outputs as it comes
	Stdin   io.Reader     // given to it; nil for /dev/null
	Stdout  io.Writer     // takes standard output instead of the answer
	Timeout time.Duration // 0: no deadline but that of ctx
	Heard   bool          // nothing is kept for an answer: Line hears it all
	Joined  bool          // both outputs come by one pipe, in the order in which they were written; the answer has all in either
	Mortal  bool          // killed together with this program: another run of it would go on beside it
	Scripts *scriptWatch  // follows the maintainer scripts that it runs
}

// answer is what a command said.
type answer struct {
	Stdout string
	Stderr string
	Code   int
}

// program finds the absolute path of a program by name, the first that is there.
func (m *machine) program(names ...string) (string, error) {
	return host.FindProgram(m.files, names...)
}

// ask runs a program that only answers a question.
func (m *machine) ask(name string, args ...string) (string, error) {
	path, err := m.program(name)
	if err != nil {
		return "", err
	}
	got, err := m.run(context.Background(), command{Path: path, Args: args, Timeout: queryTimeout})
	return got.Stdout, err
}

// run carries a command out. When ctx ends, the command and all that it started are told to end, then
// killed.
func (m *machine) run(ctx context.Context, c command) (answer, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("timed out after %v", c.Timeout))
		defer cancel()
	}
	if err := context.Cause(ctx); err != nil {
		return answer{}, &host.CommandError{Path: c.Path, Status: "not started: " + err.Error()}
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append([]string{"LC_ALL=C", "PATH=" + strings.Join(host.ProgramDirs, ":")}, c.Env...)
	cmd.Dir = "/"
	if c.Dir != "" {
		cmd.Dir = c.Dir
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if m.files.chrooted() {
		cmd.SysProcAttr.Chroot = m.files.path
	}
	if c.Mortal {
		runtime.LockOSThread() // the signal comes when the thread that began it ends
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	out := newOutput(c)
	cmd.Stdout, cmd.Stderr = out.stdout(), out.stderr()
	if c.Joined {
		cmd.Stderr = cmd.Stdout
	}
	if c.Stdout == nil {
		// A daemon that the command leaves behind may hold its outputs open for ever.
		cmd.WaitDelay = 2 * time.Second
	}

	if err := cmd.Start(); err != nil {
		return answer{}, m.startError(c, err)
	}
	if c.Scripts != nil {
		defer c.Scripts.follow(cmd.Process.Pid)()
	}
	stopWatch := killGroupAfter(ctx, cmd.Process.Pid, killDelay)
	err := cmd.Wait()
	stopWatch()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	out.flush()
	got := answer{Stdout: out.out.String(), Stderr: out.err.String(), Code: cmd.ProcessState.ExitCode()}
	if c.Joined {
		got.Stderr = got.Stdout
	}
	return got, c.judge(ctx, cmd.ProcessState, err, out)
}

// startError explains the usual reason why a command cannot be started at all.
func (m *machine) startError(c command, err error) error {
	if m.files.chrooted() && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%s: commands of the host in %s need root: %w", c.Path, m.files.path, err)
	}
	return fmt.Errorf("%s: %w", c.Path, err)
}

func (c command) judge(ctx context.Context, state *os.ProcessState, err error, out *output) error {
	failed := &host.CommandError{Path: c.Path, Output: out.tail()}
	switch {
	case out.overflow:
		failed.Status = fmt.Sprintf("said more than %d MiB", outputLimit>>20)
	case ctx.Err() != nil:
		failed.Status = context.Cause(ctx).Error()
	case state.Success():
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", c.Path, err)
	case accepted(c.Accept, state.ExitCode()):
		return nil
	default:
		failed.Status = state.String()
	}
	return failed
}

func accepted(codes []int, code int) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// killGroupAfter ends a process group when ctx ends, and kills what is left of it after a delay. The function it returns
// calls it off.
func killGroupAfter(ctx context.Context, pid int, delay time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		select {
		case <-done: // it may have left a daemon in its group
			return
		default:
		}
		syscall.Kill(-pid, syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(delay):
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

// output takes what a command says, line by line, and hides the secrets in it.
type output struct {
	command  command
	mutex    sync.Mutex
	out, err bytes.Buffer
	partial  [2][]byte
	last     []string // of both, for errors
	limit    int      // of what is kept of each
	overflow bool
}

func newOutput(c command) *output { return &output{command: c, limit: outputLimit} }

func (o *output) stdout() io.Writer {
	if o.command.Stdout != nil {
		return o.command.Stdout
	}
	return &stream{o, 0, &o.out}
}

func (o *output) stderr() io.Writer { return &stream{o, 1, &o.err} }

// stream is one of the two outputs.
type stream struct {
	o     *output
	index int
	keep  *bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	o := s.o
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if !o.command.Heard {
		if s.keep.Len()+len(p) > o.limit {
			o.overflow = true
			return 0, errors.New("too much output")
		}
		s.keep.Write(p)
	}
	rest := append(o.partial[s.index], p...)
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			break
		}
		o.line(string(rest[:end]))
		rest = rest[end+1:]
	}
	if o.command.Heard && len(rest) > lineLimit {
		o.line(string(rest))
		rest = nil
	}
	o.partial[s.index] = bytes.Clone(rest)
	return len(p), nil
}

func (o *output) flush() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for i, rest := range o.partial {
		if len(rest) > 0 {
			o.line(string(rest))
		}
		o.partial[i] = nil
	}
}

func (o *output) line(text string) {
	text = strings.TrimRight(mask(text, o.command.Secrets), " \t\r")
	if text == "" {
		return
	}
	o.last = append(o.last, text)
	if len(o.last) > tailLines {
		o.last = o.last[1:]
	}
	if o.command.Line != nil {
		o.command.Line(text)
	}
}

// tail is the end of what was said.
func (o *output) tail() string { return strings.Join(o.last, "\n") }

// mask hides secrets in text.
func mask(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
