package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/confine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/sim/simfs"
)

// openSimulatedLive simulates this machine, which is only read.
func openSimulatedLive(packages string) (*target, error) {
	view, err := live.OpenView("/")
	if err != nil {
		return nil, err
	}
	t, err := simulateView(view, packages)
	if err != nil {
		view.Close()
		return nil, err
	}
	t.release = view.Close
	t.real = true
	return t, nil
}

// lock takes from this process the power to write, before any code of a runbook runs. What the report
// and the plan are written to is open by now, and this machine's packages, services and processes are
// known: without the power of root the programs of other users' processes are not seen. The label tells
// which locks the kernel has.
func (t *target) lock() {
	if t.real {
		t.label += ", " + confine.ReadOnly(attemptName).String()
	}
	if t.aside != "" {
		t.label += "; a process of its own, which does nothing else, asks the package manager and the services, " + t.aside
	}
}

// attemptName is the command that tries what the locks are to stop.
const attemptName = "try-to-write"

func attemptCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: attemptName, Hidden: true, Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return confine.Attempt(a.out, len(args) > 0) },
	}
}

// withRoot adds what helps where the machine does not let an ordinary user read.
func withRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w; only root may read all of a machine: go on with sudo", err)
	}
	return err
}

func simulateView(view host.View, packages string) (*target, error) {
	opts, err := simOptions(packages)
	if err != nil {
		return nil, err
	}
	h, err := sim.FromView(view, opts)
	if err != nil {
		return nil, withRoot(fmt.Errorf("simulating this machine: %w", err))
	}
	return &target{Host: h, files: simfs.Afero(h.Files()), entries: h.ChangedEntries, label: "this machine, simulated"}, nil
}
