package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Daemon is a daemon about to run.
type Daemon struct {
	Role
	Behaviour Behaviour
	Settings  map[string]string
	Listeners map[string]net.Listener // by what they listen on

	bound []bound
	log   *os.File
}

// readyFD and secondFD name the environment variables that mark a daemon in the background, and one that
// has become its user.
const (
	readyFD  = "STAND_IN_READY_FD"
	secondFD = "STAND_IN_SECOND_FD"
)

// killGroup is how a daemon in the background says that a bind failed: the real one kills its process
// group then, which is that of whoever started it.
const killGroup = exitCode(97)

// background starts this program again in a session of its own, and returns once it says that it goes on
// by itself.
func background() error {
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	program, err := os.Executable() // not /proc/self/exe, by which the process would be named
	if err != nil {
		return err
	}
	child := exec.Command(program, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), readyFD+"=3")
	child.Dir = "/"
	child.Stderr = os.Stderr
	child.ExtraFiles = []*os.File{report}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	report.Close()
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	child.Wait()
	if child.ProcessState.ExitCode() == int(killGroup) {
		syscall.Kill(0, syscall.SIGTERM)
	}
	return exitCode(child.ProcessState.ExitCode())
}

// Background lets go of whoever started the daemon. A daemon in the foreground has nobody to let go of.
func (d *Daemon) Background() {
	if os.Getenv(readyFD) == "" {
		return
	}
	report := os.NewFile(3, "ready")
	report.WriteString("1")
	report.Close()
	if null, err := os.OpenFile("/dev/null", os.O_RDWR, 0); err == nil {
		syscall.Dup3(int(null.Fd()), 2, 0)
	}
}

// second is what a daemon hands to itself as its user.
type second struct {
	Started  time.Time
	Settings map[string]string
	Bound    []bound
}

type bound struct {
	At string
	FD int
}

func (d *Daemon) runAsRoot(work Work) error {
	d.openLog()
	if work.AsRoot != nil {
		if err := work.AsRoot(d); err != nil {
			d.Logf(Critical, "%v", err)
			return d.bindFailed(err)
		}
	}
	who, err := d.user()
	if err != nil {
		return err
	}
	handed := second{Started: time.Now(), Settings: d.Settings, Bound: d.bound}
	return handed.become(who)
}

// bindFailed ends the process group for a socket that cannot be had.
func (d *Daemon) bindFailed(err error) error {
	var inUse *bindError
	if !errors.As(err, &inUse) {
		return err
	}
	if os.Getenv(readyFD) != "" {
		return errors.Join(err, killGroup)
	}
	syscall.Kill(0, syscall.SIGTERM)
	return errors.Join(err, exitCode(1))
}

type bindError struct{ error }

// become executes the program again as its user.
func (s second) become(who *syscall.Credential) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(s); err != nil { // less than a pipe holds
		return err
	}
	w.Close()
	fds := []int{int(r.Fd())}
	for _, b := range s.Bound {
		fds = append(fds, b.FD)
	}
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	if who != nil {
		if err := errors.Join(syscall.Setgroups([]int{int(who.Gid)}), syscall.Setgid(int(who.Gid)), syscall.Setuid(int(who.Uid))); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, append(os.Environ(), fmt.Sprintf("%s=%d", secondFD, r.Fd())))
}

// runAsUser goes on where become left off.
func (d *Daemon) runAsUser(work Work, args arguments, fd string) error {
	n, err := strconv.Atoi(fd)
	if err != nil {
		return err
	}
	var handed second
	if err := json.NewDecoder(os.NewFile(uintptr(n), "second")).Decode(&handed); err != nil {
		return err
	}
	d.Settings, d.bound = handed.Settings, handed.Bound
	if d.Rereads {
		if err := d.configure(args); err != nil {
			return err
		}
	}
	d.openLog()
	if err := d.listen(); err != nil {
		return err
	}
	if after := d.Behaviour.DiesAfter; after > 0 {
		time.AfterFunc(time.Until(handed.Started.Add(after)), func() { os.Exit(255) })
	}
	for _, do := range []func(*Daemon) error{work.Open, work.Serve} {
		if do == nil {
			continue
		}
		if err := do(d); err != nil {
			d.Logf(Critical, "%v", err)
			return d.bindFailed(err)
		}
	}
	return nil
}

// user is whom the daemon runs as: nil if it stays what it is.
func (d *Daemon) user() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	who := &syscall.Credential{}
	if name := d.Settings["run_as_group"]; name != "" {
		group, err := user.LookupGroup(name)
		if err != nil {
			return nil, err
		}
		gid, _ := strconv.Atoi(group.Gid)
		who.Gid = uint32(gid)
	}
	if name := d.Settings["run_as_user"]; name != "" {
		account, err := user.Lookup(name)
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(account.Uid)
		who.Uid = uint32(uid)
	}
	return who, nil
}

// Own is the number of the user and the group that the daemon runs as.
func (d *Daemon) Own() (uid, gid int, err error) {
	who, err := d.user()
	if err != nil || who == nil {
		return os.Getuid(), os.Getgid(), err
	}
	return int(who.Uid), int(who.Gid), nil
}
