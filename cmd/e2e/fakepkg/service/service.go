// Package service is what the stand-in daemons have in common: they read their configuration as the
// real ones do, bind as root and go on as their user, keep a pid file, log by level, and answer in
// their protocols.
//
// What a daemon is (product, version, options that it knows) is a Role in JSON, appended to the
// program's file, so that one build serves every package. How it behaves beside what it should is a
// Behaviour, from a file below /run/bed.
package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
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
	// Rereads has the daemon execute itself again as its user, with a configuration read again, and bind
	// all sockets as root (Kopano 8.7.20). A server of that kind needs its attachment directory to be its
	// user's, and is ended by a second SIGTERM.
	Rereads  bool
	Attempts int // at the database, before a server gives up
	Unknown  Reaction
	Options  map[string]string            // every known option and its default
	Plugins  map[string]map[string]string // the same of a server's user plugins
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

// Work is what a kind of daemon does, besides what all do.
type Work struct {
	// AsRoot is done before the daemon gives up being root.
	AsRoot func(*Daemon) error
	// Open is done as the daemon's user, while whoever started it still waits.
	Open func(*Daemon) error
	// Serve is done in the background. It calls d.Ready once signals have their handlers.
	Serve func(*Daemon) error
}

// Main runs the daemon, at first as it was started, then once more as its user.
func Main(work Work) {
	err := run(work)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	os.Exit(255)
}

// exitCode is a failure that is told by another exit status than 255.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func run(work Work) error {
	d, args, err := newDaemon()
	if err != nil {
		return err
	}
	if second := os.Getenv(secondFD); second != "" {
		return d.runAsUser(work, args, second)
	}
	if err := d.configure(args); err != nil {
		return err
	}
	if !args.foreground && os.Getenv(readyFD) == "" {
		return background()
	}
	return d.runAsRoot(work)
}

func newDaemon() (*Daemon, arguments, error) {
	role, err := readRole()
	if err != nil {
		return nil, arguments{}, err
	}
	d := &Daemon{Role: role}
	if d.Behaviour, err = readBehaviour(d.Name()); err != nil {
		return nil, arguments{}, err
	}
	args, err := parseArgs(os.Args[1:], role.Config)
	if err == nil && role.Daemon == "dagent" && !args.listens {
		err = errors.New("neither -d nor -l, and no user to deliver to") // it is a program for one mail then
	}
	return d, args, err
}

func (d *Daemon) configure(args arguments) error {
	var err error
	d.Settings, err = d.read(args)
	if err == nil && d.Behaviour.Refuses {
		err = fmt.Errorf("%s: the configuration is refused", args.config)
	}
	return err
}

type arguments struct {
	config     string
	explicit   bool
	foreground bool
	listens    bool // a dagent that stays
	lenient    bool
}

func parseArgs(args []string, config string) (arguments, error) {
	a := arguments{config: config}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-F", "--foreground":
			a.foreground = true
		case "-l", "--listen":
			a.foreground, a.listens = true, true
		case "-i", "--ignore-unknown-config-options":
			a.lenient = true
		case "-d", "--daemonize":
			a.foreground, a.listens = false, true
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

// Signals are those that end a daemon or have it read its configuration again.
type Signals struct {
	End    chan os.Signal
	Reload chan os.Signal
}

// Signals lets the daemon handle signals from now on; until then they end it.
func (d *Daemon) Signals() Signals {
	s := Signals{make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.End, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.Reload, syscall.SIGHUP)
	return s
}

// WritePID writes the pid file. No daemon in C++ removes it in the end.
func (d *Daemon) WritePID() {
	if err := os.WriteFile(d.pidFile(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		d.Logf(Error, "unable to open pid file: %v", err)
	}
}

// Name is the daemon's program.
func (r Role) Name() string { return r.Product + "-" + r.Daemon }

// RunDir is where sockets and pid files are by default.
func (r Role) RunDir() string {
	if r.Product == "zarafa" {
		return "/var/run/zarafad"
	}
	return "/var/run/kopano"
}

func (d *Daemon) pidFile() string {
	if file := d.Settings["pid_file"]; file != "" {
		return file
	}
	return filepath.Join(d.RunDir(), d.Daemon+".pid")
}
