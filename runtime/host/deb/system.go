package deb

import (
	"fmt"
	"path"
	"strings"

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
