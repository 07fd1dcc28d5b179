package sim

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/packagesystem"
	"zcp2kopano/runtime/host/rpm"
)

// Format is a kind of package: how versions are compared, how dependencies are written, and how a fixture
// writes packages down. What is done with packages on a host is a matter of its manager.
type Format interface {
	Compare(a, b string) int
	IsFile(name string) bool
	checkVersion(v string) error
	// parseRelations reads a dependency field. One that does not parse binds nothing.
	parseRelations(text string) []dependency.Relation
	// matches tells whether a package is what a dependency names: itself, or by what it provides.
	matches(p *Package, want dependency.Possibility) bool
	// extension is that of package files, fileName what one is called by custom.
	extension() string
	fileName(p *Package) string
	// arch is the architecture of a host or package that does not say.
	arch() string
	// digestLike is a digest of the kind that package databases record, isDigest knows those of a fixture.
	digestLike() string
	isDigest(word string) bool
	// read takes the control fields of a stanza; fields are the names of those that only this format has.
	read(s *stanza) *Package
	fields() []string
	idleFields() []string // and of those that say nothing to a simulation
	// own puts the files that a package owns in order.
	own(files []PackageFile) []PackageFile
	// setFlag takes a word behind the path of a file, setConfigFlag of a configuration file.
	setFlag(f *PackageFile, word string) bool
	isNoReplace(word string) bool
	// effectTimes are the scripts that a catalogue can tell of.
	effectTimes() []string
	// keepsConffiles tells whether a package that is removed, and not purged, leaves its configuration.
	keepsConffiles() bool
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
)

// formatOf is the format of a package manager's packages.
func formatOf(manager string) Format {
	if packagesystem.Of(manager) == packagesystem.System(rpm.System{}) {
		return RPM
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

func (debFormat) checkVersion(v string) error                      { return deb.CheckVersion(v) }
func (debFormat) parseRelations(text string) []dependency.Relation { return parseRelations(text) }
func (debFormat) extension() string                                { return ".deb" }
func (debFormat) fileName(p *Package) string                       { return deb.FileName(p.Package) }
func (debFormat) arch() string                                     { return "amd64" }
func (debFormat) digestLike() string                               { return editedMD5 }
func (debFormat) isDigest(word string) bool                        { return isHex(word) && len(word) == 32 }
func (debFormat) own(files []PackageFile) []PackageFile            { return withParents(files) }
func (debFormat) setFlag(*PackageFile, string) bool                { return false }
func (debFormat) isNoReplace(string) bool                          { return false }
func (debFormat) keepsConffiles() bool                             { return true }

func (debFormat) effectTimes() []string {
	return []string{"preinst", "postinst", "prerm", "postrm", "purge"}
}

// matches asks for a versioned Provides where the dependency has a version (Debian Policy 7.5).
func (debFormat) matches(p *Package, want dependency.Possibility) bool {
	if p.Name == want.Name {
		return satisfies(p.Version, want.Version)
	}
	for _, r := range p.relations().provides {
		for _, offer := range r.Possibilities {
			if offer.Name != want.Name {
				continue
			}
			if want.Version == nil || (offer.Version != nil && satisfies(offer.Version.Number, want.Version)) {
				return true
			}
		}
	}
	return false
}

func (debFormat) fields() []string {
	return strings.Fields("Maintainer Pre-Depends Depends Breaks Replaces")
}

func (debFormat) idleFields() []string {
	return strings.Fields("Section Priority Homepage Multi-Arch Essential Suggests Enhances Original-Maintainer Filename MD5sum SHA1 SHA256 SHA512 " +
		"Description-md5 Tag Bugs Origin Config-Version Built-Using Protected Important Triggers-Pending Triggers-Awaited")
}

func (debFormat) read(s *stanza) *Package {
	p := &Package{Format: Deb}
	p.Origin = s.get("Maintainer")
	p.Depends = joinRelations(s.get("Pre-Depends"), s.get("Depends"))
	p.Conflicts = joinRelations(s.get("Conflicts"), s.get("Breaks"))
	p.Breaks, p.Replaces = s.get("Breaks"), s.get("Replaces")
	p.Scripts = strings.Fields(s.get("Scripts"))
	return p
}

func (debFormat) describe(view host.View, p host.Package) description {
	return description{origin: "Maintainer", depends: "Depends", scripts: scriptsBelow(view, p)}
}

// rpmFormat is that of rpm.
type rpmFormat struct{ rpm.System }

func (rpmFormat) parseRelations(text string) []dependency.Relation { return parseRPMRelations(text) }
func (rpmFormat) extension() string                                { return ".rpm" }
func (rpmFormat) fileName(p *Package) string                       { return rpm.FileName(p.Package) }
func (rpmFormat) arch() string                                     { return "x86_64" }
func (rpmFormat) digestLike() string                               { return sha256Like }
func (rpmFormat) isDigest(word string) bool                        { return isHex(word) && digestOf(nil, word) != "" }
func (rpmFormat) isNoReplace(word string) bool                     { return word == "noreplace" }
func (rpmFormat) fields() []string                                 { return strings.Fields("Vendor Requires Obsoletes") }
func (rpmFormat) idleFields() []string                             { return nil }
func (rpmFormat) keepsConffiles() bool                             { return false }

func (rpmFormat) matches(p *Package, want dependency.Possibility) bool { return p.providesRPM(want) }

func (rpmFormat) effectTimes() []string {
	return []string{"pretrans", "pre", "post", "preun", "postun", "posttrans", "upgrade"}
}

func (rpmFormat) checkVersion(v string) error {
	if strings.ContainsAny(v, " \t/") || strings.Count(v, "-") > 1 {
		return errNoEVR
	}
	return nil
}

// own is what a package lists, and nothing else.
func (rpmFormat) own(files []PackageFile) []PackageFile {
	slices.SortFunc(files, func(a, b PackageFile) int { return cmp.Compare(a.Path, b.Path) })
	return slices.CompactFunc(files, func(a, b PackageFile) bool { return a.Path == b.Path })
}

func (rpmFormat) setFlag(f *PackageFile, word string) bool {
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

func (rpmFormat) read(s *stanza) *Package {
	p := &Package{Format: RPM, Obsoletes: s.get("Obsoletes")}
	p.Origin, p.Depends, p.Conflicts = s.get("Vendor"), s.get("Requires"), s.get("Conflicts")
	p.Scripts = strings.Fields(s.get("Scripts"))
	if slices.Equal(p.Scripts, unknownScripts) {
		p.Scripts, p.unknownScripts = nil, true
	}
	return p
}

// describe says what a configuration file is that rpm has no digest of. Which scriptlets there are is not known.
func (rpmFormat) describe(view host.View, p host.Package) description {
	d := description{origin: "Vendor", depends: "Requires", scripts: unknownScripts, flags: map[string]string{}}
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

var errNoEVR = errors.New("not of the form [EPOCH:]VERSION-RELEASE")

// unknownScripts is what a fixture says where it is not known whether a package of rpm has scriptlets.
var unknownScripts = []string{"unknown"}

func isHex(word string) bool { return strings.Trim(word, "0123456789abcdef") == "" }
