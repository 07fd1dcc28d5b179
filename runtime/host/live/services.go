package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// pollInterval is how often a service that starts or stops is looked at.
const pollInterval = 200 * time.Millisecond

// services are those of the machine's init system.
type (
	services struct {
		m         *machine
		processes processes
		system    func() initSystem // nil for that of the machine
	}
	servicesWriter struct {
		m        *machine
		services services
		write    filesWriter
	}
)

// initSystem is what the two kinds of init have in common.
type initSystem interface {
	// list lists at least the services that match a pattern.
	list(pattern string) ([]host.Service, error)
	start(ctx context.Context, name string) error
	stop(ctx context.Context, name string) error
	// active reports whether the init system holds the service for running or about to be.
	active(name string) (bool, error)
	// running reports whether a start has succeeded.
	running(name string) (bool, error)
	enable(name string) error
	disable(name string) error
	mask(name string) error
	unmask(name string) error
	reload() error
	// mainPID is the main process of a service among those that run; 0 if it has none.
	mainPID(name string, running []host.Process) (int, error)
	// reloadOne makes a service read its configuration again; known is false if it has no way of its own.
	reloadOne(ctx context.Context, name string) (known bool, err error)
	// forget tells that a service is not to run, and waits for nothing.
	forget(ctx context.Context, name string) error
	// trace shows the end of what a service said to the journal, and how it ended.
	trace(ctx context.Context, name string) host.Trace
	// logged reads what a service has said to the journal behind a cursor, and where that ends.
	logged(ctx context.Context, name, cursor string) (lines []string, end string, err error)
}

var (
	_ initSystem = systemd{}
	_ initSystem = sysv{}
)

func (s services) init() initSystem {
	if s.system != nil {
		return s.system()
	}
	if s.m.initName() == "systemd" {
		return systemd{s.m}
	}
	return sysv{s.m, s.processes.Processes}
}

// Processes lists the programs that run.
func (s services) Processes() ([]host.Process, error) { return s.processes.Processes() }

// Services lists services by the init system's own account.
func (v services) Services(pattern string) ([]host.Service, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("pattern of services %q: %w", pattern, err)
	}
	all, err := v.init().list(pattern)
	if err != nil {
		return nil, err
	}
	var found []host.Service
	for _, s := range all {
		if ok, _ := path.Match(pattern, s.Name); ok {
			found = append(found, s)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

// StartService starts a service and sees that it stays: daemons that fail on their configuration do so
// after their starter has reported success.
func (h servicesWriter) StartService(ctx context.Context, name string) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := h.services.init().start(ctx, name); err != nil {
		return fmt.Errorf("start of service %s: %w", name, err)
	}
	if err := sleep(ctx, pollInterval); err != nil {
		return err
	}
	running, err := h.services.init().running(name)
	if err == nil && !running {
		err = fmt.Errorf("service %s ended right after its start; its log says why", name)
	}
	return err
}

// StopService stops a service and waits until nothing of it runs.
func (h servicesWriter) StopService(ctx context.Context, name string, patience time.Duration) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := h.services.init().stop(ctx, name); err != nil {
		return fmt.Errorf("stop of service %s: %w", name, err)
	}
	deadline := time.Now().Add(patience)
	for gone := false; ; {
		active, err := h.services.init().active(name)
		if err != nil {
			return err
		}
		left, err := h.services.ServiceProcesses(name)
		if err != nil {
			return err
		}
		before := gone
		gone = !active && len(left) == 0
		if gone && before { // seen twice: one look misses a child that is born behind its back
			return nil
		}
		if !gone && time.Now().After(deadline) {
			return host.StillRunning(name, patience, left)
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// ServiceProcesses are the processes whose program bears the name of the service, and, with systemd, those
// that the service left in its control group: systemd calls a service stopped, with KillMode=process,
// while its children go on.
func (s services) ServiceProcesses(service string) ([]host.Process, error) {
	all, err := s.processes.Processes()
	if err != nil {
		return nil, err
	}
	main, err := s.init().mainPID(service, all)
	if err != nil {
		return nil, err
	}
	var found []host.Process
	for _, p := range all {
		switch {
		case p.PID == main:
			found = slices.Insert(found, 0, p)
		case p.Name == service || inUnit(p.PID, service+".service"):
			found = append(found, p)
		}
	}
	return found, nil
}

// ReloadService has the service's own way taken, or else sends SIGHUP to its main process, which is what
// the ways of daemons come to as a rule. A daemon that does not know the signal ends by it: that is seen.
func (h servicesWriter) ReloadService(ctx context.Context, name string) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	before, err := h.services.ServiceProcesses(name)
	if err != nil {
		return err
	}
	if len(before) == 0 {
		return fmt.Errorf("reload of service %s: it does not run", name)
	}
	known, err := h.services.init().reloadOne(ctx, name)
	if err == nil && !known {
		err = unix.Kill(before[0].PID, unix.SIGHUP)
	}
	if err != nil {
		return fmt.Errorf("reload of service %s: %w", name, err)
	}
	if err := sleep(ctx, pollInterval); err != nil {
		return err
	}
	after, err := h.services.ServiceProcesses(name)
	if err == nil && (len(after) == 0 || after[0].PID != before[0].PID) {
		err = fmt.Errorf("reload of service %s: its process %d ended by it; its log says why", name, before[0].PID)
	}
	return err
}

// KillService first tells the init system that the service is not to run, so that it is not started again.
func (h servicesWriter) KillService(ctx context.Context, name string, locks []string) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := h.services.init().forget(ctx, name); err != nil {
		return fmt.Errorf("stop of service %s: %w", name, err)
	}
	left, err := h.services.ServiceProcesses(name)
	if err != nil {
		return err
	}
	for _, p := range left {
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end of %s (pid %d): %w", p.Exe, p.PID, err)
		}
	}
	for _, lock := range locks {
		if err := h.write.Unlink(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return h.StopService(ctx, name, killPatience)
}

// killPatience is how long the kernel may take to end a process that works on a disk.
const killPatience = 2 * time.Minute

// change checks the name, does one change, and names the service in its error.
func (h servicesWriter) changeService(what, name string, do func(string) error) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := do(name); err != nil {
		return fmt.Errorf("%s service %s: %w", what, name, err)
	}
	return nil
}

func (h servicesWriter) EnableService(name string) error {
	return h.changeService("enable", name, h.services.init().enable)
}

func (h servicesWriter) DisableService(name string) error {
	return h.changeService("disable", name, h.services.init().disable)
}

func (h servicesWriter) MaskService(name string) error {
	return h.changeService("mask", name, h.services.init().mask)
}

func (h servicesWriter) UnmaskService(name string) error {
	return h.changeService("unmask", name, h.services.init().unmask)
}

func (h servicesWriter) ReloadServices() error { return h.services.init().reload() }
