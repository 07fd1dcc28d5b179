// Package service is what the stand-in daemons have in common: they read their configuration as the
// real ones do, drop to their user, keep a pid file and a socket, and end on SIGTERM.
//
// What a daemon is (product, version, options that it knows) is a Role in JSON, appended to the
// program's file, so that one build serves every package.
package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Role says which daemon a program plays.
type Role struct {
	Product string // "zarafa" or "kopano"
	Daemon  string // "server", "dagent", ...
	Version string
	Schema  int    // newest revision of the database that a server makes
	Oldest  int    // oldest revision that a server upgrades
	Config  string // default path of the configuration
	// ConfigOptional lets the daemon start without a file at the default path.
	ConfigOptional bool
	Unknown        Reaction
	Options        map[string]string            // every known option and its default
	Plugins        map[string]map[string]string // the same of a server's user plugins
}

// Reaction to an unknown option.
type Reaction string

const (
	Refuse         Reaction = "refuse"
	RefuseExplicit Reaction = "refuse with -c" // only where the configuration was named
	Warn           Reaction = "warn"
)

// mark separates a program from its role.
const mark = "\n--role--\n"

// Play is a program's bytes with its role.
func Play(program []byte, role Role) ([]byte, error) {
	data, err := json.Marshal(role)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{program, data}, []byte(mark)), nil
}

func readRole() (Role, error) {
	var role Role
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return role, err
	}
	at := bytes.LastIndex(data, []byte(mark))
	if at < 0 {
		return role, errors.New("this program has no role")
	}
	return role, json.Unmarshal(data[at+len(mark):], &role)
}

// Daemon is a daemon about to run, as its user.
type Daemon struct {
	Role
	Settings map[string]string
	log      *os.File
}

// Logf writes a line to the log.
func (d *Daemon) Logf(format string, args ...any) {
	fmt.Fprintf(d.log, "%s: %s\n", time.Now().Format(time.ANSIC), fmt.Sprintf(format, args...))
}

// Main runs the daemon. prepare is called once, as the daemon's user, before it is ready.
func Main(prepare func(*Daemon) error) {
	if err := run(prepare); err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
}

func run(prepare func(*Daemon) error) error {
	role, err := readRole()
	if err != nil {
		return err
	}
	args, err := parseArgs(os.Args[1:], role.Config)
	if err != nil {
		return err
	}
	settings, err := role.read(args)
	if err != nil {
		return err
	}
	if !args.foreground && os.Getenv(readyFD) == "" {
		return background()
	}
	d := &Daemon{Role: role, Settings: settings}
	if err := d.start(prepare); err != nil {
		return err
	}
	return d.serve()
}

type arguments struct {
	config     string
	explicit   bool
	foreground bool
	lenient    bool
}

func parseArgs(args []string, config string) (arguments, error) {
	a := arguments{config: config}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-F", "--foreground":
			a.foreground = true
		case "-i", "--ignore-unknown-config-options":
			a.lenient = true
		case "-d", "--daemonize", "-l":
		case "-c", "--config":
			if i++; i == len(args) {
				return a, errors.New("-c needs a file")
			}
			a.config, a.explicit = args[i], true
		default:
			return a, fmt.Errorf("unknown argument %q", args[i])
		}
	}
	return a, nil
}

// readyFD names the environment variable that marks the child in the background.
const readyFD = "FAKE_DAEMON_READY_FD"

// background starts this program again in a session of its own, and returns once it is ready.
func background() error {
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
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
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		child.Wait()
		return errors.New("did not start")
	}
	return nil
}

func (d *Daemon) start(prepare func(*Daemon) error) error {
	if err := d.dropToUser(); err != nil {
		return err
	}
	if err := d.openLog(); err != nil {
		return err
	}
	if err := prepare(d); err != nil {
		d.Logf("%v", err)
		return err
	}
	if err := d.listen(); err != nil {
		return err
	}
	return os.WriteFile(d.pidFile(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

func (d *Daemon) serve() error {
	d.Logf("%s-%s %s ready as uid %d", d.Product, d.Daemon, d.Version, os.Getuid())
	if os.Getenv(readyFD) != "" {
		report := os.NewFile(3, "ready")
		report.WriteString("1")
		report.Close()
		detachStderr()
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGHUP)
	<-end
	d.Logf("ended")
	os.Remove(d.pidFile())
	if socket := d.socket(); socket != "" {
		os.Remove(socket)
	}
	return nil
}

// detachStderr lets go of the terminal or pipe of whoever started the daemon.
func detachStderr() {
	if null, err := os.OpenFile("/dev/null", os.O_RDWR, 0); err == nil {
		syscall.Dup3(int(null.Fd()), 2, 0)
	}
}

func (d *Daemon) dropToUser() error {
	if os.Getuid() != 0 {
		return nil
	}
	if name := d.Settings["run_as_group"]; name != "" {
		group, err := user.LookupGroup(name)
		if err != nil {
			return err
		}
		gid, _ := strconv.Atoi(group.Gid)
		if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid)); err != nil {
			return err
		}
	}
	if name := d.Settings["run_as_user"]; name != "" {
		account, err := user.Lookup(name)
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(account.Uid)
		return syscall.Setuid(uid)
	}
	return nil
}

func (d *Daemon) openLog() error {
	file := d.Settings["log_file"]
	if file == "" || file == "-" || d.Settings["log_method"] == "syslog" {
		d.log = os.Stderr
		return nil
	}
	log, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	d.log = log
	return err
}

// runDir is where sockets and pid files are by default.
func (d *Daemon) runDir() string {
	if d.Product == "zarafa" {
		return "/var/run/zarafad"
	}
	return "/var/run/kopano"
}

func (d *Daemon) pidFile() string {
	if file := d.Settings["pid_file"]; file != "" {
		return file
	}
	return filepath.Join(d.runDir(), d.Daemon+".pid")
}

func (d *Daemon) socket() string {
	switch d.Daemon {
	case "server":
		return d.Settings["server_pipe_name"]
	case "search":
		return filepath.Join(d.runDir(), "search.sock")
	}
	return ""
}

func (d *Daemon) listen() error {
	socket := d.socket()
	if socket == "" {
		return nil
	}
	os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return os.Chmod(socket, 0o666)
}
