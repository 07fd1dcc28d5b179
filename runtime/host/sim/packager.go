package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// packager is what a package system does in a way of its own: dpkg with apt, or rpm with its fronts.
type packager interface {
	// commit carries a solved transaction out, expel removes packages from whatever state they are in, and
	// repair finishes what was left half-way.
	commit(ctx context.Context, tx host.Transaction, sol *solution, w *host.PackageWatch) error
	expel(ctx context.Context, list []host.Change, w *host.PackageWatch) error
	repair() error
	// unpredictSite tells what of a transaction's packages and of the host's settings is left out.
	unpredictSite(sol *solution)

	// dependsOnFiles reports whether a dependency may name a path.
	dependsOnFiles() bool
	// recommends reports whether a transaction brings recommended packages.
	recommends(tx host.Transaction) bool
	// installsAgain reports whether a package file is installed where that version is there already.
	installsAgain() bool
	// clash deals with a newcomer that conflicts with an installed package: false ends the search.
	clash(s *solver, p, old *Package) bool
	// bereave deals with an installed package that loses what it depends on.
	bereave(s *solver, p *Package) bool
	// basic reports whether a dependency is met by what every system has.
	basic(want dependency.Possibility) bool

	// readRepository reads the index of a repository on this host and the package files that it names.
	readRepository(dir string) ([]*Package, error)

	// splitUsr reports whether the distribution's programs are built for a /usr of its own.
	splitUsr() bool
	// enable and disable are what a package's scripts do with its services.
	enable(service string) error
	disable(service string) error

	// shipped is the digest that the database has of a configuration file which is as it was shipped, with
	// that of the file, if that is known.
	shipped(sum string) string
	// note completes what the database says about an installed package; below is a machine, or nil.
	note(p *Package, below host.View)
}

var (
	_ packager = (*debs)(nil)
	_ packager = (*rpms)(nil)
)

func (ds *debs) dependsOnFiles() bool              { return false }
func (ds *debs) installsAgain() bool               { return true }
func (ds *debs) basic(dependency.Possibility) bool { return false }
func (ds *debs) shipped(sum string) string         { return cmp.Or(sum, editedMD5) }
func (ds *debs) note(*Package, host.View)          {}
func (ds *debs) splitUsr() bool                    { return true }

func (ds *debs) recommends(tx host.Transaction) bool {
	return !tx.NoRecommends && ds.site.withRecommends()
}

// clash has the other one removed.
func (ds *debs) clash(s *solver, _, old *Package) bool {
	s.goes(old)
	return true
}

// bereave lets it go.
func (ds *debs) bereave(s *solver, p *Package) bool {
	s.goes(p)
	return true
}

func (ds *debs) readRepository(dir string) ([]*Package, error) {
	return ds.repositories.readFlatRepository(dir)
}

// repair finishes packages that were left half-way.
func (ds *debs) repair() error {
	for _, name := range slices.Sorted(maps.Keys(ds.db.halfway)) {
		if err := ds.finishHalfway(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ds.db.byName)) {
		p := ds.db.byName[name]
		if p.Status == "unpacked" || p.Status == "half-configured" {
			if err := ds.configure(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// expel purges packages.
func (ds *debs) expel(ctx context.Context, list []host.Change, w *host.PackageWatch) error {
	for _, c := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := ds.expelOne(c.Name, w); err != nil {
			return fmt.Errorf("purging %s: %w", c.Name, err)
		}
	}
	return nil
}

// enable is what postinst does with update-rc.d and deb-systemd-helper.
func (ds *debs) enable(name string) error {
	if err := ds.services.enableScript(name); err != nil {
		return err
	}
	d, unit := unitHelper{ds.services}, name+".service"
	if !ds.files.exists(d.find(unit)) {
		return nil
	}
	if err := d.unmask(unit); err != nil {
		return err
	}
	if was, _ := d.wasEnabled(unit); was {
		return d.enable(unit)
	}
	return d.updateState(unit)
}

// disable is what postrm does at purge.
func (ds *debs) disable(name string) error {
	if err := ds.services.unlinkWants(name); err != nil {
		return err
	}
	d, unit := unitHelper{ds.services}, name+".service"
	if err := d.disable(unit, true); err != nil {
		return err
	}
	if err := d.unmask(unit); err != nil {
		return err
	}
	return ds.services.disableScript(name)
}

func (rs *rpms) dependsOnFiles() bool { return true }
func (rs *rpms) installsAgain() bool  { return false }
func (rs *rpms) splitUsr() bool       { return false }

// shipped leaves open what is not known: the state of the file reports whether it is touched, see note.
func (rs *rpms) shipped(sum string) string { return sum }

// unpredictSite knows of no settings.
func (rs *rpms) unpredictSite(*solution) {}

func (rs *rpms) recommends(tx host.Transaction) bool {
	return !tx.NoRecommends && rs.system.of().Recommends()
}

// clash is an error.
func (rs *rpms) clash(s *solver, p, old *Package) bool {
	s.fail("package %s-%s conflicts with %s-%s", p.Name, p.Version, old.Name, old.Version)
	return false
}

// bereave lets nothing go for the sake of what comes, and looks for a version that fits.
func (rs *rpms) bereave(s *solver, p *Package) bool {
	if s.losesToRemoval(p) {
		s.goes(p)
		return true
	}
	for _, c := range s.packages.repositories.candidates(p.Name) {
		unmet := func(r dependency.Relation) bool { return !s.met(r) && s.choose(r) == nil }
		if rpm.Compare(c.Version, p.Version) > 0 && !p.Held && !slices.ContainsFunc(c.relations().depends, unmet) {
			s.add(c)
			return true
		}
	}
	for _, r := range p.relations().depends {
		if !s.met(r) && s.wasMet(r) {
			s.fail("package %s-%s requires %s, which would go", p.Name, p.Version, relationText(r))
		}
	}
	return false
}

func (rs *rpms) readRepository(dir string) ([]*Package, error) {
	return rs.repositories.readRPMRepository(dir)
}

// enable is what a scriptlet does with chkconfig and systemctl.
func (rs *rpms) enable(name string) error {
	if err := rs.services.enableScript(name); err != nil {
		return err
	}
	unit := rs.services.unitFile(name)
	if unit == "" || path.Dir(unit) == unitsEtc {
		return nil
	}
	return rs.services.enableUnit(name, unit)
}

func (rs *rpms) disable(name string) error {
	if err := rs.services.unlinkWants(name); err != nil {
		return err
	}
	return rs.services.disableScript(name)
}

func (rs *rpms) note(p *Package, below host.View) {
	if below != nil {
		describeFiles(p, below)
		return
	}
	rs.notePristine(p, p.Conffiles)
}
