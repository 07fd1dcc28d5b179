package live

import (
	"context"
	"fmt"
	"path"
	"sort"
	"time"

	"zcp2kopano/runtime/host"
)

// pollInterval is how often a service that starts or stops is looked at.
const pollInterval = 200 * time.Millisecond

// initSystem is what the two kinds of init have in common.
type initSystem interface {
	// list lists at least the services that match a pattern.
	list(pattern string) ([]host.Service, error)
	start(ctx context.Context, name string) error
	stop(ctx context.Context, name string) error
	// active tells whether the init system holds the service for running or about to be.
	active(name string) (bool, error)
	// running tells whether a start has succeeded.
	running(name string) (bool, error)
	enable(name string) error
	disable(name string) error
	mask(name string) error
	unmask(name string) error
	reload() error
}

func (v *View) init() initSystem {
	if v.initName() == "systemd" {
		return systemd{v}
	}
	return sysv{v}
}

// Services lists services by the init system's own account.
func (v *View) Services(pattern string) ([]host.Service, error) {
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
func (h *Host) StartService(ctx context.Context, name string) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := h.init().start(ctx, name); err != nil {
		return fmt.Errorf("start of service %s: %w", name, err)
	}
	if err := h.Sleep(ctx, pollInterval); err != nil {
		return err
	}
	running, err := h.init().running(name)
	if err == nil && !running {
		err = fmt.Errorf("service %s ended right after its start; its log tells why", name)
	}
	return err
}

// StopService stops a service and waits until nothing of it runs.
func (h *Host) StopService(ctx context.Context, name string, patience time.Duration) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := h.init().stop(ctx, name); err != nil {
		return fmt.Errorf("stop of service %s: %w", name, err)
	}
	deadline := time.Now().Add(patience)
	for {
		active, err := h.init().active(name)
		if err != nil {
			return err
		}
		left, err := h.processesOf(name)
		if err != nil {
			return err
		}
		if !active && len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return host.StillRunning(name, patience, left)
		}
		if err := h.Sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// processesOf are the processes whose program bears the name of the service, and, with systemd, those
// that the service left in its control group: systemd calls a service stopped, with KillMode=process,
// while its children go on.
func (v *View) processesOf(service string) ([]host.Process, error) {
	all, err := v.Processes()
	if err != nil {
		return nil, err
	}
	var found []host.Process
	for _, p := range all {
		if p.Name == service || inUnit(p.PID, service+".service") {
			found = append(found, p)
		}
	}
	return found, nil
}

// change checks the name, does one change, and names the service in its error.
func (h *Host) changeService(what, name string, do func(string) error) error {
	if err := host.CheckServiceName(name); err != nil {
		return err
	}
	if err := do(name); err != nil {
		return fmt.Errorf("%s service %s: %w", what, name, err)
	}
	return nil
}

func (h *Host) EnableService(name string) error {
	return h.changeService("enable", name, h.init().enable)
}

func (h *Host) DisableService(name string) error {
	return h.changeService("disable", name, h.init().disable)
}

func (h *Host) MaskService(name string) error { return h.changeService("mask", name, h.init().mask) }

func (h *Host) UnmaskService(name string) error {
	return h.changeService("unmask", name, h.init().unmask)
}

func (h *Host) ReloadServices() error { return h.init().reload() }
