package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
)

// packageDB is the database of packages: what is installed, and what was left half-way.
type packageDB struct {
	mu *sync.Mutex

	byName  map[string]*Package
	owners  map[string][]string // path to names of packages
	halfway map[string]*Package // packages that are being unpacked (the new version) or removed (nil), by name
	surplus map[string]*Package // rpm: old versions that are to go, because the new one is there
	sources map[string]string   // package to where its knowledge comes from
	lock    *host.LockHolder
	audit   []string
	lost    map[string]string // packages that were there at the start and cannot be kept, and why
}

func newPackageDB() *packageDB {
	return &packageDB{
		byName: map[string]*Package{}, owners: map[string][]string{}, halfway: map[string]*Package{},
		surplus: map[string]*Package{}, sources: map[string]string{}, lost: map[string]string{},
	}
}

// ownedByOther reports whether another package that is at least unpacked has a path.
func (db *packageDB) ownedByOther(name string, p *Package) bool {
	return slices.ContainsFunc(db.owners[name], func(other string) bool { return other != p.Name })
}

// record puts a package into the database, and forget takes it out; both keep the index of owners.
func (db *packageDB) record(p *Package) {
	db.forget(p.Name)
	db.byName[p.Name] = p
	p.Ghosts = nil
	for _, f := range p.Files {
		if f.Ghost && p.conffile(f.Path) == nil {
			p.Ghosts = append(p.Ghosts, f.Path)
		}
		db.owners[f.Path] = append(db.owners[f.Path], p.Name)
	}
}

func (db *packageDB) forget(name string) {
	p := db.byName[name]
	if p == nil {
		return
	}
	for _, f := range p.Files {
		db.owners[f.Path] = slices.DeleteFunc(db.owners[f.Path], func(n string) bool { return n == name })
	}
	delete(db.byName, name)
}

// Packages lists the package database.
func (db *packageDB) Packages() ([]host.Package, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	list := make([]host.Package, 0, len(db.byName))
	for _, name := range slices.Sorted(maps.Keys(db.byName)) {
		p := db.byName[name].Package
		p.Conffiles = slices.Clone(p.Conffiles)
		if _, half := db.halfway[name]; half {
			p.Status = "half-installed"
		}
		list = append(list, p)
	}
	for _, old := range db.surplus {
		list = append(list, old.Package)
	}
	for name, p := range db.halfway {
		if db.byName[name] == nil {
			list = append(list, host.Package{Name: name, Version: p.Version, Arch: p.Arch, Origin: p.Origin, Source: p.Source, Status: "half-installed"})
		}
	}
	slices.SortStableFunc(list, func(a, b host.Package) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// installed is the record of a package that is fully there, or nil.
func (db *packageDB) installed(name string) *Package {
	if p := db.byName[name]; p != nil && p.Status == "installed" {
		return p
	}
	return nil
}

// PackageLock and PackageAudit answer from the fixture.
func (db *packageDB) PackageLock() (*host.LockHolder, error) { return db.lock, nil }

func (db *packageDB) PackageAudit() ([]string, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	lines := slices.Clone(db.audit)
	for _, name := range slices.Sorted(maps.Keys(db.byName)) {
		if p := db.byName[name]; p.Status != "installed" && p.Status != "config-files" {
			lines = append(lines, fmt.Sprintf("%s %s is %s", name, p.Version, p.Status))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(db.halfway)) {
		lines = append(lines, name+" is half-installed")
	}
	for _, name := range slices.Sorted(maps.Keys(db.surplus)) {
		lines = append(lines, fmt.Sprintf("%s-%s is a duplicate with %s-%s", name, db.surplus[name].Version, name, db.byName[name].Version))
	}
	return lines, nil
}

// removals are the packages that a solution removes.
func (db *packageDB) removals(sol *solution) []host.Change {
	var list []host.Change
	for _, name := range sol.remove {
		list = append(list, host.Change{Name: name, Version: db.byName[name].Version})
	}
	return list
}

// runAs is the user that a package's daemons become, for the package that owns a unit or init script.
func (db *packageDB) runAs(file string) string {
	for _, owner := range db.owners[file] {
		if p := db.byName[owner]; p != nil && p.RunAs != "" {
			return p.RunAs
		}
	}
	return ""
}

// markAuto notes what came as a dependency, as apt does: what was asked for is not automatic any more,
// and what was there keeps its mark.
func (ds *debs) markAuto(tx host.Transaction, installed []*Package, had map[string]bool) {
	for _, p := range installed {
		now := ds.db.installed(p.Name)
		if now == nil {
			continue
		}
		asked := slices.ContainsFunc(tx.Install, func(spec string) bool {
			name, _, _ := strings.Cut(spec, "=")
			return name == p.Name || path.IsAbs(spec) && ds.repositories.packageFiles[spec] == p
		})
		now.Auto = !asked && (now.Auto || !had[p.Name])
	}
}

// MarkPackages sets the marks.
func (pk *packages) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, nil); err != nil {
		return err
	}
	for _, m := range marks {
		p := pk.db.installed(m.Name)
		if p == nil {
			return fmt.Errorf("package %s is not installed and cannot be marked", m.Name)
		}
		p.Held, p.Auto = m.Held, m.Auto
	}
	return nil
}

// SaveRemains makes files of declared size; the simulation keeps their content in memory.
func (pk *packages) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	files := map[string]string{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := pk.db.byName[name]
		if p == nil || p.Status != "config-files" {
			return nil, fmt.Errorf("package %s is not one that has left only its conffiles", name)
		}
		file := path.Join(dir, fmt.Sprintf("%s_%s_%s.remains", p.Name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Arch))
		kept := p.clone()
		kept.FileSize = 1024
		if err := pk.savePackage(file, kept); err != nil {
			return nil, err
		}
		files[name] = file
	}
	return files, nil
}

// RestoreRemains puts a record back into the database.
func (pk *packages) RestoreRemains(ctx context.Context, file string) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, nil); err != nil {
		return err
	}
	kept := pk.repositories.packageFiles[file]
	if kept == nil || kept.Status != "config-files" {
		return fmt.Errorf("%s: %w", file, errors.Join(fs.ErrNotExist, host.ErrUnknown))
	}
	if now := pk.db.byName[kept.Name]; now != nil && now.Status != "config-files" {
		return fmt.Errorf("package %s is %s: its former remains cannot be put in its place", kept.Name, now.Status)
	}
	pk.db.record(kept.clone())
	return nil
}
