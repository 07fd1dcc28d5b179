package deb

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"

	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"zcp2kopano/runtime/host"
)

// System is Debian's package system, for those who know package systems by what they can do.
type System struct{}

func (System) Compare(a, b string) int { return Compare(a, b) }
func (System) Leftovers() []string     { return Leftovers }

func (System) FileName(p host.Package) string { return FileName(p) }
func (System) Extension() string              { return extension }
func (System) Arch() string                   { return "amd64" }
func (System) KeepsConffiles() bool           { return true }
func (System) OwnsDirectories() bool          { return true }
func (System) TellsRemovals() bool            { return true }

func (System) PartOf(string) (string, time.Time) { return "", time.Time{} }

func (System) Program() (path, failed string) { return "/usr/bin/apt-get", "exit status 100" }
func (System) Says(text string) string        { return "E: " + text }
func (System) OwnFiles() []string             { return ownFiles }
func (System) Recommends() bool               { return true }
func (System) PlainDirectories() bool         { return true }
func (System) KeyDirs() []string              { return []string{KeyringsDir, TrustedDir} }
func (System) SourceFiles() []string          { return SourceFiles }

// Fits reports whether a package of that architecture can be installed on a host.
func (System) Fits(arch, native string) bool { return arch == "all" || arch == native }

// Directory tells what a directory with these entries is: an index is what dpkg-scanpackages or
// apt-ftparchive write.
func (System) Directory(names []string) host.PackageDirectory {
	var d host.PackageDirectory
	for _, name := range names {
		switch {
		case name == "Packages" || strings.HasPrefix(name, "Packages."):
			d.Index = true
		case name == "InRelease" || name == "Release.gpg":
			d.Signed = true
		case System{}.IsFile(name):
			d.Files = append(d.Files, name)
		}
	}
	return d
}

// BareName leaves out the architecture that dpkg writes behind a name: libc6:amd64.
func BareName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}

// Name is that of a package in the database: NAME, or NAME:ARCH for one of a foreign architecture.
func Name(name, arch, native string) string {
	if arch == native || arch == "all" || arch == "" {
		return name
	}
	return name + ":" + arch
}

// FileName is how apt names a package file; a colon in the version (an epoch) is written %3a.
func FileName(p host.Package) string {
	return fmt.Sprintf("%s_%s_%s.deb", BareName(p.Name), FileVersion(p.Version), p.Arch)
}

// FileVersion is a version in the name of a file.
func FileVersion(v string) string { return strings.ReplaceAll(v, ":", "%3a") }

const extension = ".deb"

// IsFile reports whether a path names a package file.
func (System) IsFile(name string) bool { return path.Ext(name) == extension }

// NameOfFile is the package that a package file holds, by the file's name.
func (System) NameOfFile(name string) string {
	name, _, _ = strings.Cut(strings.TrimSuffix(path.Base(name), extension), "_") // somebody may have given the file a short name
	return name
}

// Unpacked is the ending of a configuration file that dpkg has unpacked. Beside a symlink it stays, and no
// purge takes it.
const Unpacked = ".dpkg-new"

// Dist is the ending of the new version of a configuration file that stays as it was.
const Dist = ".dpkg-dist"

// Leftovers are the endings that dpkg gives to the other version of a configuration file.
var Leftovers = []string{Dist, Unpacked, ".dpkg-old", ".dpkg-tmp"}

// IsLeftover tells by its name whether a file is one of those, or another version that ucf left.
func (System) IsLeftover(name string) bool {
	return strings.Contains(name, ".dpkg-") || strings.HasSuffix(name, ".ucf-dist")
}

// PurgedWith are the endings of what a purge deletes beside a configuration file (dpkg,
// deferred_configure_conffile and removal_bulk_remove_configfiles).
var PurgedWith = append([]string{"~", ".bak", "%"}, Leftovers...)

// ParseConffiles reads what dpkg's database has of configuration files: lines of path, digest, and flags. A
// path may hold blanks.
func ParseConffiles(text string) []host.Conffile {
	var files []host.Conffile
	for line := range strings.Lines(text) {
		var c host.Conffile
		line = strings.TrimSpace(line)
		for {
			cut := strings.LastIndexByte(line, ' ')
			if cut < 0 {
				break
			}
			word := line[cut+1:]
			line = strings.TrimSpace(line[:cut])
			if word != "obsolete" && word != "remove-on-upgrade" {
				c.Path, c.MD5 = line, word
				break
			}
			c.Obsolete = c.Obsolete || word == "obsolete"
		}
		if c.Path != "" {
			files = append(files, c)
		}
	}
	return files
}

// Fate is what dpkg does with the new version of a configuration file, with --force-confdef --force-confold.
type Fate int

const (
	Place  Fate = iota // it takes the place of what is there
	Drop               // it is deleted, and what is there stays
	Beside             // it is put beside what is there, as .dpkg-dist
)

// NewConffile is what the database has in place of a digest while it does not know a configuration file yet.
const NewConffile = "newconffile"

// FateOf decides between the file on the host and the new one of a package, from the digests that the former
// version (was) and the new one shipped. An untouched file is replaced, an edited one stays, and a deleted one
// stays deleted. A digest that is not known is empty.
func FateOf(current string, exists bool, was, shipped string) Fate {
	same := was == shipped && was != ""
	switch {
	case !exists && was == NewConffile:
		return Place
	case !exists && was == shipped:
		return Drop
	case !exists:
		return Beside
	case current != "" && (current == shipped || current == was):
		return Place
	case same:
		return Drop
	}
	return Beside
}

// ParseRelations reads a dependency field. One that does not parse binds nothing.
func (System) ParseRelations(text string) []dependency.Relation {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	d, err := dependency.Parse(text)
	if err != nil {
		return nil
	}
	return d.Relations
}

// Satisfies reports whether a version fulfils the relation of a dependency.
func Satisfies(v string, rel *dependency.VersionRelation) bool {
	if rel == nil {
		return true
	}
	c := Compare(v, rel.Number)
	switch rel.Operator {
	case ">=":
		return c >= 0
	case "<=":
		return c <= 0
	case ">>", ">":
		return c > 0
	case "<<", "<":
		return c < 0
	}
	return c == 0
}

// Meets reports whether a package is what a dependency names: itself, or by what it provides. A dependency with a
// version asks for a Provides with one (Debian Policy 7.5).
func Meets(name, version string, provides []dependency.Relation, want dependency.Possibility) bool {
	if name == want.Name {
		return Satisfies(version, want.Version)
	}
	for _, r := range provides {
		for _, offer := range r.Possibilities {
			if offer.Name != want.Name {
				continue
			}
			if want.Version == nil || (offer.Version != nil && Satisfies(offer.Version.Number, want.Version)) {
				return true
			}
		}
	}
	return false
}

// Compare orders versions as deb-version(7) says. What is no version is older than any that is one.
func Compare(a, b string) int {
	va, errA := version.Parse(a)
	vb, errB := version.Parse(b)
	switch {
	case errA == nil && errB == nil:
		return version.Compare(va, vb)
	case errA == nil:
		return 1
	case errB == nil:
		return -1
	}
	return cmp.Compare(a, b)
}

// CompareLoose orders as dpkg --compare-versions does, which only warns of what is not a version.
func CompareLoose(a, b string) int { return version.Compare(loose(a), loose(b)) }

func loose(v string) version.Version {
	if parsed, err := version.Parse(v); err == nil {
		return parsed
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return version.Version{Version: v[:i], Revision: v[i+1:]}
	}
	return version.Version{Version: v}
}

// CheckVersion refuses what is no version.
func (System) CheckVersion(v string) error {
	_, err := version.Parse(v)
	return err
}
