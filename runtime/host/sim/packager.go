package sim

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/packagesystem"
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

// Format is a kind of package: what is true of it on any host, and how a fixture writes packages down. What is done
// with packages on a host is a matter of its manager.
type Format interface {
	packagesystem.Packages
	packagesystem.Files
	// matches reports whether a package is what a dependency names: itself, or by what it provides.
	matches(p *Package, want dependency.Possibility) bool
	// packager does what such packages ask for.
	packager(h *Host) packager
	// reduce is what a snapshot keeps of a package file; nil if it cannot.
	reduce(content []byte) []byte
	// digestLike is a digest of the kind that package databases record, isDigest knows those of a fixture.
	digestLike() string
	isDigest(word string) bool
	// read takes the control fields of a stanza; fields are the names of those that only this format has.
	read(s *deb.Stanza) *Package
	fields() []string
	idleFields() []string // and of those that say nothing to a simulation
	// setFlag takes a word behind the path of a file, setConfigFlag of a configuration file.
	setFlag(f *host.PackedFile, word string) bool
	isNoReplace(word string) bool
	// effectTimes are the scripts that a catalogue can describe.
	effectTimes() []string
	// describe is what a snapshot says of an installed package: the names of two fields, which scripts it has,
	// and what stands behind the path of a configuration file.
	describe(view host.View, p host.Package) description
}

// description is what a snapshot says of an installed package in the words of its format.
type description struct {
	origin, depends string            // names of fields
	scripts         []string          // that it has
	flags           map[string]string // by path of a configuration file
}

// The formats.
var (
	Deb Format = debFormat{}
	RPM Format = rpmFormat{}

	formats = []Format{Deb, RPM}
)

// formatOf is the format of a package manager's packages.
func formatOf(manager string) Format {
	for _, f := range formats {
		if f.Extension() == packagesystem.Of(manager).Extension() {
			return f
		}
	}
	return Deb
}

// keepFormat leaves the packages of other formats out.
func keepFormat(list []*Package, f Format) []*Package {
	var kept []*Package
	for _, p := range list {
		if p.Format == f {
			kept = append(kept, p)
		}
	}
	return kept
}

// debFormat is Debian's.
type debFormat struct{ deb.System }

func (debFormat) packager(h *Host) packager { return h.debs }

func (debFormat) reduce(content []byte) []byte {
	small, err := reduceDeb(content)
	if err != nil {
		return nil
	}
	return small
}

func (debFormat) digestLike() string                    { return editedMD5 }
func (debFormat) isDigest(word string) bool             { return isHex(word) && len(word) == 32 }
func (debFormat) setFlag(*host.PackedFile, string) bool { return false }
func (debFormat) isNoReplace(string) bool               { return false }

func (debFormat) effectTimes() []string {
	return []string{"preinst", "postinst", "prerm", "postrm", "purge"}
}

func (debFormat) matches(p *Package, want dependency.Possibility) bool {
	return deb.Meets(p.Name, p.Version, p.relations().provides, want)
}

func (debFormat) fields() []string {
	return strings.Fields("Maintainer Pre-Depends Depends Breaks Replaces")
}

func (debFormat) idleFields() []string {
	return strings.Fields("Section Priority Homepage Multi-Arch Essential Suggests Enhances Original-Maintainer Filename MD5sum SHA1 SHA256 SHA512 " +
		"Description-md5 Tag Bugs Origin Config-Version Built-Using Protected Important Triggers-Pending Triggers-Awaited")
}

func (debFormat) read(s *deb.Stanza) *Package {
	p := &Package{Format: Deb}
	p.Origin = s.Get("Maintainer")
	p.Depends = joinRelations(s.Get("Pre-Depends"), s.Get("Depends"))
	p.Conflicts = joinRelations(s.Get("Conflicts"), s.Get("Breaks"))
	p.Breaks, p.Replaces = s.Get("Breaks"), s.Get("Replaces")
	p.Scripts = strings.Fields(s.Get("Scripts"))
	return p
}

func (debFormat) describe(view host.View, p host.Package) description {
	return description{origin: "Maintainer", depends: "Depends", scripts: scriptsBelow(view, p)}
}

// rpmFormat is that of rpm.
type rpmFormat struct{ rpm.System }

func (rpmFormat) packager(h *Host) packager { return h.rpms }

func (rpmFormat) reduce(content []byte) []byte {
	if len(content) > packageFileLimit || !bytes.HasPrefix(content, []byte(rpm.Magic)) {
		return nil
	}
	return content
}

func (rpmFormat) digestLike() string           { return digest.SHA256Like }
func (rpmFormat) isDigest(word string) bool    { return isHex(word) && digest.Of(nil, word) != "" }
func (rpmFormat) isNoReplace(word string) bool { return word == "noreplace" }
func (rpmFormat) fields() []string             { return strings.Fields("Vendor Requires Obsoletes") }
func (rpmFormat) idleFields() []string         { return nil }

func (rpmFormat) effectTimes() []string {
	return []string{"pretrans", "pre", "post", "preun", "postun", "posttrans", "upgrade"}
}

func (rpmFormat) setFlag(f *host.PackedFile, word string) bool {
	switch word {
	case "ghost":
		f.Ghost = true
	case "missingok":
		f.MissingOK = true
	default:
		return false
	}
	return true
}

func (rpmFormat) read(s *deb.Stanza) *Package {
	p := &Package{Format: RPM, Obsoletes: s.Get("Obsoletes")}
	p.Origin, p.Depends, p.Conflicts = s.Get("Vendor"), s.Get("Requires"), s.Get("Conflicts")
	p.Scripts = strings.Fields(s.Get("Scripts"))
	if slices.Equal(p.Scripts, unknownScripts) {
		p.Scripts, p.unknownScripts = nil, true
	}
	return p
}

// describe says which paths are ghosts, and what a configuration file is that rpm has no digest of. Which scriptlets there
// are is not known.
func (rpmFormat) describe(view host.View, p host.Package) description {
	d := description{origin: "Vendor", depends: "Requires", scripts: unknownScripts, flags: map[string]string{}}
	for _, ghost := range p.Ghosts {
		d.flags[ghost] = " ghost"
	}
	for _, c := range p.Conffiles {
		if c.MD5 != "" {
			continue
		}
		d.flags[c.Path] = " ghost"
		if target := withoutDigest(view, c.Path); target != "" {
			d.flags[c.Path] = " -> " + quoteWord(target)
		}
	}
	return d
}

// unknownScripts is what a fixture says where it is not known whether a package of rpm has scriptlets.
var unknownScripts = []string{"unknown"}

func isHex(word string) bool { return strings.Trim(word, "0123456789abcdef") == "" }

// matches reports whether a package of rpm meets a dependency, which may be a path that it owns.
func (rpmFormat) matches(p *Package, want dependency.Possibility) bool {
	if path.IsAbs(want.Name) {
		if _, ok := p.file(want.Name); ok {
			return true
		}
	}
	return rpm.Meets(p.Name, p.Version, p.relations().provides, want)
}

// basicRPM stands for what every host with rpm has and a fixture need not say: a shell, the dynamic
// linker and the libraries of C and C++.
var basicRPM = &Package{Format: RPM, Files: []host.PackedFile{
	{Path: "/bin/bash"}, {Path: "/bin/sh"}, {Path: "/sbin/ldconfig"}, {Path: "/usr/bin/bash"}, {Path: "/usr/bin/env"}, {Path: "/usr/bin/sh"}, {Path: "/usr/sbin/ldconfig"},
}}

var basicLibraries = []string{"ld-linux*", "libc.so.*", "libcrypt.so.*", "libdl.so.*", "libgcc_s.so.*", "libm.so.*", "libpthread.so.*", "libresolv.so.*", "librt.so.*", "libstdc++.so.*", "libutil.so.*", "rtld(*"}

// basic reports whether a dependency is met by what the implied system has.
func (rs *rpms) basic(want dependency.Possibility) bool {
	return rs.system.implied && (basicRPM.matches(want) || slices.ContainsFunc(basicLibraries, func(glob string) bool { return globMatch(glob, want.Name) }))
}
