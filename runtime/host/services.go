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
}

// ServiceWriter changes services. Names come without ".service".
type ServiceWriter interface {
	// StartService returns once the init system says that the service runs; it waits without a
	// deadline of its own, ctx decides.
	StartService(ctx context.Context, name string) error
	// StopService returns once the service is seen to be stopped: not active, and none of its
	// processes left. After patience it is an error that names the processes that stay.
	StopService(ctx context.Context, name string, patience time.Duration) error
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
	var texts []string
	for _, p := range left {
		texts = append(texts, fmt.Sprintf("%d (%s)", p.PID, p.Exe))
	}
	return fmt.Errorf("service %s: processes %s still run %v after it was told to stop; end them, then go on",
		name, strings.Join(texts, ", "), patience)
}
