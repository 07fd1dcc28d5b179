package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a command of the root on a terminal of its own, as somebody sits before it.
type Terminal struct {
	r      *Root
	cmd    *exec.Cmd
	master *os.File

	mu   sync.Mutex
	text strings.Builder
	seen int           // of the text, by Expect
	shut chan struct{} // closed when all is read
}

// OnTerminal starts a command.
func (r *Root) OnTerminal(cmd *exec.Cmd) *Terminal {
	r.t.Helper()
	master, slave, err := openTerminal()
	if err != nil {
		r.t.Fatal(err)
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = false, true, true
	if err := r.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	t := &Terminal{r: r, cmd: cmd, master: master, shut: make(chan struct{})}
	go t.read()
	r.t.Cleanup(func() { cmd.Process.Kill(); master.Close() })
	return t
}

func openTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

func (t *Terminal) read() {
	defer close(t.shut)
	buffer := make([]byte, 4096)
	for {
		n, err := t.master.Read(buffer)
		t.mu.Lock()
		t.text.Write(buffer[:n])
		t.mu.Unlock()
		if err != nil { // EIO, once nobody has the other end open any more
			return
		}
	}
}

// Screen is all that was shown.
func (t *Terminal) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// Expect waits until a text is shown behind what was expected before.
func (t *Terminal) Expect(text string) {
	t.r.t.Helper()
	for deadline := time.Now().Add(hung); ; time.Sleep(50 * time.Millisecond) {
		over := t.over()
		screen := t.Screen()
		if at := strings.Index(screen[t.seen:], text); at >= 0 {
			t.seen += at + len(text)
			return
		}
		if over || time.Now().After(deadline) {
			t.r.t.Fatalf("waited in vain for %q:\n%s", text, screen)
		}
	}
}

// over reports whether nobody shows anything any more.
func (t *Terminal) over() bool {
	select {
	case <-t.shut:
		return true
	default:
		return false
	}
}

// Type types; "\x03" is Ctrl-C.
func (t *Terminal) Type(keys string) {
	t.r.t.Helper()
	if _, err := t.master.WriteString(keys); err != nil {
		t.r.t.Fatal(err)
	}
}

// Finish waits for the command's end.
func (t *Terminal) Finish() Result {
	timer := time.AfterFunc(hung, func() { t.cmd.Process.Kill() })
	defer timer.Stop()
	t.cmd.Wait()
	select {
	case <-t.shut:
	case <-time.After(time.Minute): // something that it left has the terminal still open
	}
	return Result{Code: t.cmd.ProcessState.ExitCode(), Output: t.Screen()}
}
