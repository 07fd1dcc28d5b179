package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// system is what a host says of itself.
type system struct {
	mu    *sync.Mutex
	files *files
	gaps  *gaps

	facts          host.Facts
	manager        host.PackageManager
	packager       packager // what that does
	implied        bool     // it has what every system of its family has, said or not
	programsListed bool     // a fixture lists the programs of the system; one that is not there is absent
}

// Facts describes the simulated system.
func (sy *system) Facts() (host.Facts, error) {
	sy.mu.Lock()
	defer sy.mu.Unlock()
	f := sy.facts
	f.OSRelease = map[string]string{}
	maps.Copy(f.OSRelease, sy.facts.OSRelease)
	return f, nil
}

// Mounts lists the simulated mount table.
func (sy *system) Mounts() ([]host.Mount, error) { return sy.files.Mounts(), nil }

// clock is the simulated time: it advances when somebody sleeps, and by a microsecond with every
// look, so that what happens later is later.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the simulated time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

// Sleep lets the clock jump.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
	return ctx.Err()
}

// format is that of the host's packages.
func (sy *system) format() Format { return formatOf(sy.manager.Name) }

// of is what is true of the host's package system on any host.
func (sy *system) of() packagesystem.System { return packagesystem.Of(sy.manager.Name) }

// managerError is what a package manager that fails says.
func (sy *system) managerError(format string, args ...any) error {
	program, failed := sy.of().Program()
	return &host.CommandError{Path: program, Status: failed, Output: sy.of().Says(fmt.Sprintf(format, args...))}
}

// unpredictPackageFiles names the package manager's own files. The simulation keeps the database in memory.
func (pk *packages) unpredictPackageFiles() {
	for _, p := range pk.system.of().OwnFiles() {
		pk.gaps.add(host.Unpredicted{What: "files of the package manager: " + p, Why: "the simulation keeps the package database in memory", Path: p})
	}
}

// gaps are what the simulation does not know.
type gaps struct {
	mu   sync.Mutex
	list []host.Unpredicted
	seen map[host.Unpredicted]bool
}

func newGaps() *gaps { return &gaps{seen: map[host.Unpredicted]bool{}} }

// add records one thing, once.
func (g *gaps) add(u host.Unpredicted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen[u] {
		return
	}
	g.seen[u] = true
	g.list = append(g.list, u)
}

// all lists them in order of occurrence.
func (g *gaps) all() []host.Unpredicted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.list)
}

func (g *gaps) forget() { g.list, g.seen = nil, map[host.Unpredicted]bool{} }

// Copied implements host.CopyWatcher.
func (h *Host) Copied(from, to string) {
	h.packages.copied(from, to)
	for _, u := range h.gaps.all() {
		rest, below := strings.CutPrefix(u.Path, from)
		if u.Path == "" || !below || rest != "" && rest[0] != '/' {
			continue
		}
		u.Path = to + rest
		h.gaps.add(u)
	}
}
