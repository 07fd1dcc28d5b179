package sim

import (
	"maps"
	"slices"
)

// Clone is an independent machine in the same state. What never changes (packages that are on offer, contents
// of package files, the machine below) both have in common.
func (h *Host) Clone() *Host {
	h.packages.mu.Lock()
	defer h.packages.mu.Unlock()
	clock := h.clock.clone()
	c := &Host{
		files: h.files.clone(clock), clock: clock, gaps: h.gaps.clone(), system: h.system.clone(), accounts: h.accounts.clone(),
		services: h.services.clone(), database: h.database.clone(), directory: h.directory.clone(),
		programs: &programs{}, downloads: h.downloads.clone(), ports: h.ports.clone(),
		packages: h.packages.clone(), db: h.db.clone(), repositories: h.repositories.clone(),
		scripts: h.scripts.clone(), unpacker: &unpacker{}, site: &dpkgSite{}, debs: &debs{}, rpms: &rpms{},
	}
	c.connect()
	return c
}

func (fl *files) clone(c *clock) *files { return &files{fl.FS.Clone(c.Now)} }

func (c *clock) clone() *clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &clock{now: c.now}
}

func (g *gaps) clone() *gaps {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &gaps{list: slices.Clone(g.list), seen: maps.Clone(g.seen)}
}

func (sy *system) clone() *system {
	c := *sy
	c.facts.OSRelease = maps.Clone(sy.facts.OSRelease)
	return &c
}

// clone reads the account files again.
func (ac *accountFiles) clone() *accountFiles { return &accountFiles{below: ac.below} }

func (sv *services) clone() *services {
	c := &services{below: sv.below, known: map[string]*service{}, processes: slices.Clone(sv.processes), listeners: slices.Clone(sv.listeners), lastPID: sv.lastPID}
	for name, s := range sv.known {
		state := *s
		state.pids = slices.Clone(s.pids)
		c.known[name] = &state
	}
	return c
}

func (sq *databaseServer) clone() *databaseServer {
	d := *sq.data
	d.variables, d.tables, d.order = maps.Clone(d.variables), slices.Clone(d.tables), slices.Clone(d.order)
	d.answers, d.changed, d.dumps = maps.Clone(d.answers), maps.Clone(d.changed), maps.Clone(d.dumps)
	return &databaseServer{below: sq.below, data: &d}
}

func (dir *directoryServer) clone() *directoryServer {
	return &directoryServer{below: dir.below, entries: slices.Clone(dir.entries), known: dir.known, changed: maps.Clone(dir.changed)}
}

func (dl *downloads) clone() *downloads { return &downloads{known: maps.Clone(dl.known)} }

func (p *ports) clone() *ports { return &ports{below: p.below, known: maps.Clone(p.known)} }

func (pk *packages) clone() *packages {
	return &packages{below: pk.below, filesLoaded: pk.filesLoaded, asked: maps.Clone(pk.asked)}
}

func (sc *scripts) clone() *scripts { return &scripts{below: sc.below} }

// clone copies the records of packages, which change; new versions that are being unpacked do not.
func (db *packageDB) clone() *packageDB {
	c := &packageDB{
		byName: map[string]*Package{}, owners: make(map[string][]string, len(db.owners)), halfway: maps.Clone(db.halfway),
		surplus: map[string]*Package{}, sources: maps.Clone(db.sources), audit: slices.Clone(db.audit), lost: maps.Clone(db.lost),
	}
	if db.lock != nil {
		lock := *db.lock
		c.lock = &lock
	}
	for name, p := range db.byName {
		c.byName[name] = p.clone()
	}
	for name, p := range db.surplus {
		c.surplus[name] = p.clone()
	}
	for file, names := range db.owners {
		c.owners[file] = slices.Clone(names)
	}
	return c
}

// clone has the packages on offer in common with the original.
func (rs *repositories) clone() *repositories {
	for _, list := range [][]*Package{rs.lists, rs.catalog, rs.indexed} {
		for _, p := range list {
			p.relations() // parsed for both, so that neither writes into what they share
		}
	}
	for _, p := range rs.packageFiles {
		p.relations()
	}
	return &repositories{
		below: rs.below, lists: slices.Clone(rs.lists), catalog: slices.Clone(rs.catalog), indexed: slices.Clone(rs.indexed),
		refreshed: slices.Clone(rs.refreshed), packageFiles: maps.Clone(rs.packageFiles), dead: maps.Clone(rs.dead), asked: maps.Clone(rs.asked),
	}
}
