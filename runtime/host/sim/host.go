// Package sim is a simulated machine: a host that keeps in memory what a real one would keep, so that
// a run over it shows what the run would do.
//
// It starts from a fixture (a text archive, see testdata/hosts/README.md), or from a real machine
// that it only reads. It is made of parts, each of which answers for one side of a host and names the
// others that it needs: files are simfs; packages follow the rules of dpkg or rpm; services, accounts,
// processes, the clock, the database and the directory answer from that start and from what was
// changed since. What a simulation cannot know is an error around host.ErrUnknown, or an entry of
// Unpredicted; it is never guessed in silence.
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
	"zcp2kopano/runtime/host/sim/simfs"
)

// Host is a simulated machine. Each of its interfaces is one of its parts.
type Host struct {
	host.SystemReader
	host.Clock
	host.AccountReader
	host.Downloader
	host.PortReader
	host.FileReader
	host.FileWriter
	host.PackageReader
	host.PackageWriter
	host.ServiceReader
	host.ServiceWriter
	host.DatabaseReader
	host.DatabaseWriter
	host.DirectoryReader
	host.DirectoryWriter
	host.MountWriter
	host.AccountWriter
	host.ProgramRunner

	files     *files
	clock     *clock
	gaps      *gaps // what the simulation does not know
	system    *system
	accounts  *accountFiles
	services  *services
	database  *databaseServer
	directory *directoryServer
	programs  *programs
	downloads *downloads
	ports     *ports

	packages     *packages     // the package manager as a whole
	db           *packageDB    // what is installed
	repositories *repositories // what can be had
	scripts      *scripts      // what maintainer scripts do
	unpacker     *unpacker
	site         *dpkgSite
	debs         *debs
	rpms         *rpms
}

var _ host.Host = (*Host)(nil)

// newHost puts the parts of a machine together; below is the real one under it, or nil.
func newHost(fs *simfs.FS, c *clock, below host.View, catalog []*Package) *Host {
	h := &Host{
		files: &files{fs}, clock: c, gaps: newGaps(), system: &system{}, accounts: &accountFiles{below: below},
		services: newServices(below), database: newDatabaseServer(below), directory: &directoryServer{below: below, changed: map[string]*host.Entry{}},
		programs: &programs{}, downloads: &downloads{}, ports: &ports{below: below},
		packages: &packages{below: below, asked: map[string]bool{}}, db: newPackageDB(), repositories: newRepositories(below, catalog),
		scripts: &scripts{below: below}, unpacker: &unpacker{}, site: &dpkgSite{}, debs: &debs{}, rpms: &rpms{},
	}
	h.connect()
	return h
}

// connect names to each part the others that it needs, and to the machine its parts. A machine does one thing
// at a time: what is more than files has one lock.
func (h *Host) connect() {
	h.SystemReader, h.Clock, h.AccountReader, h.Downloader = h.system, h.clock, h.accounts, h.downloads
	h.PortReader = h.ports
	h.FileReader, h.FileWriter = h.files, h.files
	h.PackageReader, h.PackageWriter = h.packages, h.packages
	h.ServiceReader, h.ServiceWriter = h.services, h.services
	h.DatabaseReader, h.DatabaseWriter = h.database, h.database
	h.DirectoryReader, h.DirectoryWriter, h.ProgramRunner = h.directory, h.directory, h.programs
	h.MountWriter, h.AccountWriter = h.system, h.accounts

	mu := &sync.Mutex{}
	h.system.mu, h.system.files, h.system.gaps = mu, h.files, h.gaps
	h.accounts.files, h.accounts.gaps, h.accounts.clock = h.files, h.gaps, h.clock
	h.programs.mu, h.programs.files, h.programs.gaps = mu, h.files, h.gaps
	h.downloads.files, h.downloads.gaps, h.downloads.system = h.files, h.gaps, h.system
	h.directory.mu, h.directory.files, h.directory.gaps = mu, h.files, h.gaps

	sv := h.services
	sv.mu, sv.files, sv.gaps, sv.clock, sv.system, sv.accounts, sv.db = mu, h.files, h.gaps, h.clock, h.system, h.accounts, h.db
	sq := h.database
	sq.mu, sq.files, sq.gaps, sq.services = mu, h.files, h.gaps, h.services

	h.db.mu = mu
	h.repositories.files, h.repositories.gaps, h.repositories.system = h.files, h.gaps, h.system
	h.unpacker.files, h.unpacker.gaps, h.unpacker.accounts = h.files, h.gaps, h.accounts
	h.site.files, h.site.gaps = h.files, h.gaps
	sc := h.scripts
	sc.files, sc.gaps, sc.clock, sc.system, sc.accounts, sc.services = h.files, h.gaps, h.clock, h.system, h.accounts, h.services
	sc.db, sc.unpacker, sc.site = h.db, h.unpacker, h.site
	sv.command = sc.command
	ds := h.debs
	ds.files, ds.gaps, ds.db, ds.scripts, ds.unpacker, ds.site = h.files, h.gaps, h.db, h.scripts, h.unpacker, h.site
	ds.repositories, ds.services = h.repositories, h.services
	rs := h.rpms
	rs.files, rs.gaps, rs.db, rs.scripts, rs.unpacker, rs.accounts, rs.system = h.files, h.gaps, h.db, h.scripts, h.unpacker, h.accounts, h.system
	rs.repositories, rs.services = h.repositories, h.services
	pk := h.packages
	pk.mu, pk.files, pk.gaps, pk.clock, pk.system, pk.db = mu, h.files, h.gaps, h.clock, h.system, h.db
	pk.repositories = h.repositories
	h.system.packager = h.system.format().packager(h)
}

// setManager says which package manager the host has. Packages of another format are not for it.
func (h *Host) setManager(m host.PackageManager) {
	h.system.manager = m
	h.system.packager = h.system.format().packager(h)
	h.repositories.catalog = keepFormat(h.repositories.catalog, h.system.format())
}

// Files is the simulated file system itself.
func (h *Host) Files() *simfs.FS { return h.files.FS }

// ChangedEntries are the entries of the directory that were changed in the simulation, and are there at its end.
func (h *Host) ChangedEntries() []host.Entry { return h.directory.changedEntries() }

// Unpredicted lists what the simulation does not know, in order of occurrence.
func (h *Host) Unpredicted() []host.Unpredicted { return h.gaps.all() }

// Close gives back the descriptors of the machine below.
func (h *Host) Close() error { return h.files.Close() }

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
