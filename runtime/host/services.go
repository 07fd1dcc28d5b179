package host

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ServiceReader reads services and processes.
type ServiceReader interface {
	// Services lists the known services whose name matches a glob (path.Match), in order of name.
	Services(pattern string) ([]Service, error)
	// Processes lists running processes, in order of PID.
	Processes() ([]Process, error)
	// Listeners lists where processes accept TCP connections, in order of port, address and PID.
	Listeners() ([]Listener, error)
	// ServiceProcesses lists the processes of a service, the main one first. A socket or a pid file that
	// was left behind is no process.
	ServiceProcesses(name string) ([]Process, error)
	// Ask puts a question to a service and returns the first line of the answer. It is an error if nobody
	// listens, if nothing comes in a few seconds, if it is not the answer that was expected, and if
	// another program than the service gave it.
	Ask(ctx context.Context, q Question) (string, error)
	// ServiceLock looks for the file by which a service says that it must not be disturbed, at each of the
	// paths, as its processes and as the host see them. It is nil if there is none.
	ServiceLock(service string, paths []string) (*ServiceLock, error)
	// ServiceTrace tells what a service left: the last lines of its log, in a file or, if that is empty, in
	// the host's journal, and how its last process ended. What the host cannot tell is empty.
	ServiceTrace(ctx context.Context, name, file string) Trace
	// LogEnd marks where a service's log ends now: its file, if one is named, and the host's journal.
	LogEnd(ctx context.Context, name, file string) LogMark
	// LogSince reads what a service has logged behind a mark, in both. A file that was put in the place of
	// the marked one is read from its begin.
	LogSince(ctx context.Context, name, file string, from LogMark) LogPart
}

// ServiceWriter changes services. Names come without ".service".
type ServiceWriter interface {
	// StartService returns once the init system says that the service runs; it waits without a
	// deadline of its own, ctx decides.
	StartService(ctx context.Context, name string) error
	// StopService returns once the service is seen to be stopped: not active, and none of its
	// processes left. After patience it is an error that names the processes that stay.
	StopService(ctx context.Context, name string, patience time.Duration) error
	// KillService ends a service that does not end when it is told to, with SIGKILL, and removes the locks
	// that it leaves. Whoever calls it knows what that breaks.
	KillService(ctx context.Context, name string, locks []string) error
	// ReloadService makes a running service read its configuration again, and sees that it goes on.
	ReloadService(ctx context.Context, name string) error
	EnableService(name string) error
	DisableService(name string) error
	// MaskService and UnmaskService work with systemd; elsewhere they are ErrUnsupported.
	MaskService(name string) error
	UnmaskService(name string) error
	// ReloadServices makes the init system read changed unit files.
	ReloadServices() error
}

// Service is the state of one service.
type Service struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // "systemd" or "sysv"
	Active  bool   `json:"active"`
	Enabled bool   `json:"enabled"`
	Masked  bool   `json:"masked"`
	Failed  bool   `json:"failed,omitempty"`
	PID     int    `json:"pid,omitempty"`
}

// Process is a running program.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // base name of the executable
	Exe  string `json:"exe"`
	User string `json:"user"`
	UID  uint32 `json:"uid"`
	// Config is the absolute path behind -c or --config, empty if there is none. Other arguments are nobody's business.
	Config string `json:"config,omitempty"`

	Started time.Time `json:"-"`
}

// Listener is a TCP socket that accepts connections.
type Listener struct {
	Address string `json:"address"` // "0.0.0.0" and "::" for all of the host's
	Port    int    `json:"port"`
	PID     int    `json:"pid,omitempty"` // 0 if it cannot be seen who has it
}

// ServiceLock is a file by which a service says that it must not be disturbed.
type ServiceLock struct {
	Path  string    // as the service sees it
	Since time.Time // when it was made
	// Holder is the process of the service that made it; PID 0 if none did that is still there: then the
	// lock is left from one that did not come to its end.
	Holder Process
}

// Stale reports whether the lock is only a left-over.
func (l ServiceLock) Stale() bool { return l.Holder.PID == 0 }

// TraceLines is how many lines of a log a Trace holds.
const TraceLines = 20

// Trace is what a service left: see ServiceReader.
type Trace struct {
	Log   string   // where its log is: a path, or a command that shows it
	Lines []string // the last ones
	End   string   // how its last process ended: "exit status 255", "killed by signal 9"
}

// ConfigOf is the configuration file that a program's arguments name.
func ConfigOf(args []string) string {
	for i, arg := range args {
		value, given := strings.CutPrefix(arg, "--config=")
		switch {
		case arg == "-c" || arg == "--config":
			if i+1 < len(args) {
				value, given = args[i+1], true
			}
		case !given && strings.HasPrefix(arg, "-c/"):
			value, given = arg[2:], true
		}
		if given && strings.HasPrefix(value, "/") {
			return value
		}
	}
	return ""
}

// CheckServiceName refuses what neither systemd nor an init script can be called.
func CheckServiceName(name string) error {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("-_.@:+", c)) {
			return fmt.Errorf("%q is not the name of a service", name)
		}
	}
	if name == "" {
		return fmt.Errorf("a service has no name")
	}
	return nil
}

// StillRunning is the error of a service that did not stop within patience: left are its processes.
func StillRunning(name string, patience time.Duration, left []Process) error {
	if len(left) == 0 {
		return fmt.Errorf("service %s is still active %v after it was told to stop", name, patience)
	}
	return fmt.Errorf("service %s: processes %s still run %v after it was told to stop; end them, then go on",
		name, ProcessList(left), patience)
}

// ProcessList names processes by number and program.
func ProcessList(list []Process) string {
	var texts []string
	for _, p := range list {
		texts = append(texts, fmt.Sprintf("%d (%s)", p.PID, p.Exe))
	}
	return strings.Join(texts, ", ")
}
