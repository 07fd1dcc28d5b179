package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/testdata/hosts"
)

// target is the host that a command works on.
type target struct {
	fixture *sim.Fixture // nil for this machine
	host.Host
	files   afero.Fs            // of a simulated host
	entries func() []host.Entry // of its directory, those that were changed
	label   string
	release func() error
	real    bool   // it is this machine that is read
	aside   string // another process asks package manager and services: what that is kept from
}

// Close gives back what the host holds.
func (t *target) Close() error {
	err := t.Host.Close()
	if t.release != nil {
		err = errors.Join(err, t.release())
	}
	return err
}

// dir is the run's directory on the host.
func (t *target) dir(state, id string) string { return filepath.Join(state, "runs", id) }

// hostFlags choose a host.
type hostFlags struct {
	name     string
	live     bool
	packages string
}

func (h *hostFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&h.name, "host", "", "simulate this `FIXTURE` (a file, or \"live\" for this machine)")
	cmd.Flags().BoolVar(&h.live, "live", false, "simulate this machine, which is only read")
	cmd.Flags().StringVar(&h.packages, "packages", "", "take what packages bring from the package files in this `DIR`")
	cmd.MarkFlagsMutuallyExclusive("host", "live")
	_ = cmd.RegisterFlagCompletionFunc("host", completeHost)
	_ = cmd.MarkFlagDirname("packages")
}

func (h *hostFlags) checkFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&h.name, "host", "", "check this `FIXTURE` instead of this machine")
	cmd.Flags().StringVar(&h.packages, "packages", "", "the `DIR` of downloaded packages to install from")
	_ = cmd.RegisterFlagCompletionFunc("host", completeHost)
	_ = cmd.MarkFlagDirname("packages")
}

// open opens a simulated host.
func (h *hostFlags) open() (*target, error) {
	if h.live || h.name == "live" {
		return openSimulatedLive(h.packages)
	}
	return openFixture(h.name, h.packages)
}

// openChecked opens the host to check: this machine, unless a fixture is named.
func (h *hostFlags) openChecked() (*target, error) {
	if h.name != "" && h.name != "live" {
		return openFixture(h.name, h.packages)
	}
	return openCheckedLive()
}

// openFixture makes a simulated host from a file, or from the shipped example.
func openFixture(name, packages string) (*target, error) {
	data, label, err := readFixture(name)
	if err != nil {
		return nil, err
	}
	fixture, err := sim.ReadFixture(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	opts, err := simOptions(packages)
	if err != nil {
		return nil, err
	}
	h, err := fixture.Host(opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	return &target{Host: h, files: simfs.Afero(h.Files()), entries: h.ChangedEntries, label: "fixture " + label, fixture: fixture}, nil
}

func readFixture(name string) (data []byte, label string, err error) {
	if name == "" {
		data, err = hosts.FS.ReadFile(hosts.Example)
		return data, hosts.Example, err
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return readShipped(name)
	}
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s is not a file; --host wants a fixture's file (`zcp2kopano snapshot FILE` makes one) or live", name)
	}
	data, err = os.ReadFile(name)
	return data, name, err
}

// readShipped reads a shipped example host, named with or without its ending.
func readShipped(name string) (data []byte, label string, err error) {
	label = strings.TrimSuffix(name, ".txtar") + ".txtar"
	if data, err := hosts.FS.ReadFile(label); err == nil {
		return data, label, nil
	}
	shipped, err := fs.Glob(hosts.FS, "*.txtar")
	if err != nil {
		return nil, "", err
	}
	return nil, "", fmt.Errorf("no file %s; --host wants a fixture's file (`zcp2kopano snapshot FILE` makes one), live, or a shipped example: %s",
		name, strings.ReplaceAll(strings.Join(shipped, ", "), ".txtar", ""))
}

// simOptions is what a simulation knows beside the host: the catalogue of packages, and package files
// of the admin.
func simOptions(packages string) (sim.Options, error) {
	var opts sim.Options
	files, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	if err != nil {
		return opts, err
	}
	for _, name := range files {
		data, err := runbooks.FS.ReadFile(name)
		if err != nil {
			return opts, err
		}
		list, err := sim.ParseCatalog(data)
		if err != nil {
			return opts, fmt.Errorf("%s: %w", name, err)
		}
		opts.Catalog = append(opts.Catalog, list...)
	}
	if packages == "" {
		return opts, nil
	}
	path, err := filepath.Abs(packages)
	if err != nil {
		return opts, err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return opts, fmt.Errorf("--packages %s: want a directory of package files", packages)
	}
	opts.PackagesDir, opts.PackagesPath = os.DirFS(path), path
	return opts, nil
}

// openLive opens this machine, to be changed.
func openLive() (*target, error) {
	h, err := live.Open("/")
	if err != nil {
		return nil, err
	}
	return &target{Host: h, label: "this machine"}, nil
}

// openLiveForWork opens this machine to change it, under the lock, and takes away what a killed
// process may have left in memory and /tmp. What cannot be taken away is no reason not to go on.
func (a *app) openLiveForWork() (*target, error) {
	h, err := live.Open("/")
	if err != nil {
		return nil, err
	}
	if err := h.RemoveLeftovers(); err != nil {
		fmt.Fprintln(a.err, "warning:", err)
	}
	return &target{Host: h, label: "this machine"}, nil
}
