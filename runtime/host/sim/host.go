// Package sim is a simulated machine: a host that keeps in memory what a real one would keep, so that
// a run over it shows what the run would do.
//
// It starts from a fixture (a text archive, see testdata/hosts/README.md), or from a real machine
// that it only reads. Files are simfs; packages follow the rules of dpkg or rpm; services, accounts,
// processes, the clock, the database and the directory answer from that start and from what was
// changed since. What a simulation cannot know is an error around host.ErrUnknown, or an entry of
// Unpredicted; it is never guessed in silence.
package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
	"zcp2kopano/runtime/host/sim/simfs"
)

// Host is a simulated machine.
type Host struct {
	*simfs.FS

	below host.View // the real machine under a simulation of it; nil for a fixture
	clock *clock

	accountsMu   sync.Mutex
	accountCache *accountTable
	formerTable  *accounts.Table

	unpredictedMu sync.Mutex
	unpredicted   []host.Unpredicted
	unpredictSeen map[host.Unpredicted]bool

	mu             sync.Mutex // guards all below
	facts          host.Facts
	manager        host.PackageManager
	implied        bool // the host has what every system of its family has, said or not
	programsListed bool // a fixture lists the programs of the system; one that is not there is absent
	packages       map[string]*Package
	owners         map[string][]string // path to names of packages
	halfway        map[string]*Package // packages that are being unpacked (the new version) or removed (nil), by name
	surplus        map[string]*Package // rpm: old versions that are to go, because the new one is there

	filesLoaded bool              // Files of packages of the machine below are known
	asked       map[string]bool   // names that its package index was asked for
	sources     map[string]string // package to where its knowledge comes from
	lock        *host.LockHolder
	audit       []string

	lists            []*Package // of the fixture
	catalog          []*Package
	indexed          []*Package // of repositories on this host, as read last
	refreshed        []repository
	offers           []*Package // cache; nil when it has to be made anew
	packageFiles     map[string]*Package
	deadRepositories map[string]string // URL to what the package manager would say
	downloads        map[string][]byte

	services  map[string]*service
	processes []host.Process
	lastPID   int

	database     *database
	directory    []host.Entry
	hasDirectory bool
}

var _ host.Host = (*Host)(nil)

// clock is the simulated time: it advances when somebody sleeps, and by a microsecond with every
// look, so that what happens later is later.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *clock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
}

func newHost(fs *simfs.FS, c *clock, catalog []*Package) *Host {
	return &Host{
		FS: fs, clock: c, catalog: catalog,
		unpredictSeen: map[host.Unpredicted]bool{},
		packages:      map[string]*Package{}, owners: map[string][]string{}, halfway: map[string]*Package{}, surplus: map[string]*Package{}, sources: map[string]string{},
		packageFiles: map[string]*Package{}, deadRepositories: map[string]string{}, downloads: map[string][]byte{},
		asked: map[string]bool{}, services: map[string]*service{}, lastPID: 1000,
		database: newDatabase(),
	}
}

// setManager says which package manager the host has. Packages of another format are not for it.
func (h *Host) setManager(m host.PackageManager) {
	h.manager = m
	h.catalog = keepFormat(h.catalog, h.format())
}

// Facts describes the simulated system.
func (h *Host) Facts() (host.Facts, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.facts
	f.OSRelease = map[string]string{}
	for k, v := range h.facts.OSRelease {
		f.OSRelease[k] = v
	}
	return f, nil
}

// Mounts lists the simulated mount table.
func (h *Host) Mounts() ([]host.Mount, error) { return h.FS.Mounts(), nil }

// Now is the simulated clock.
func (h *Host) Now() time.Time { return h.clock.Now() }

// Sleep lets the simulated clock jump.
func (h *Host) Sleep(ctx context.Context, d time.Duration) error {
	h.clock.jump(d)
	return ctx.Err()
}

// unpredict records what the simulation does not know, once.
func (h *Host) unpredict(u host.Unpredicted) {
	h.unpredictedMu.Lock()
	defer h.unpredictedMu.Unlock()
	if h.unpredictSeen[u] {
		return
	}
	h.unpredictSeen[u] = true
	h.unpredicted = append(h.unpredicted, u)
}

// Unpredicted lists what the simulation does not know, in order of occurrence.
func (h *Host) Unpredicted() []host.Unpredicted {
	h.unpredictedMu.Lock()
	defer h.unpredictedMu.Unlock()
	return slices.Clone(h.unpredicted)
}

// Close gives back the descriptors of the machine below.
func (h *Host) Close() error { return h.FS.Close() }

// String names the host in messages.
func (h *Host) String() string { return fmt.Sprintf("simulated host %s", h.facts.Hostname) }
