package rpm

import (
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// System is the package system of rpm, for those who know package systems by what they can do.
type System struct{ front *Front }

func (System) Compare(a, b string) int { return Compare(a, b) }
func (System) Leftovers() []string     { return Leftovers }

func (System) FileName(p host.Package) string { return FileName(p) }
func (System) Extension() string              { return extension }
func (System) Arch() string                   { return "x86_64" }
func (System) KeepsConffiles() bool           { return false }
func (System) OwnsDirectories() bool          { return false }
func (System) TellsRemovals() bool            { return false }

// unpacking is how rpm names a file until it is whole: NAME, and when the transaction began in eight hexadecimal digits
// (rpm 4.11 to 4.18, lib/fsm.c).
var unpacking = regexp.MustCompile(`^(.+);([0-9a-f]{8})$`)

func (System) PartOf(name string) (whole string, began time.Time) {
	m := unpacking.FindStringSubmatch(name)
	if m == nil {
		return "", began
	}
	seconds, err := strconv.ParseInt(m[2], 16, 64)
	if err != nil {
		return "", began
	}
	return m[1], time.Unix(seconds, 0)
}

func (s System) Program() (path, failed string) { return s.on().program, s.on().failed }
func (s System) Says(text string) string        { return text }
func (s System) OwnFiles() []string             { return s.on().own }
func (s System) Recommends() bool               { return s.on().recommends }
func (s System) PlainDirectories() bool         { return s.on().plain }
func (s System) KeyDirs() []string              { return []string{s.on().keyDir} }
func (s System) SourceFile(name string) string  { return s.on().repoDirs[0] + "/" + name + ".repo" }

func (s System) SourceFiles() []string {
	var patterns []string
	for _, dir := range s.on().repoDirs {
		patterns = append(patterns, dir+"/*"+".repo")
	}
	return patterns
}

// on is the front, or yum where none is named.
func (s System) on() *Front {
	if s.front == nil {
		return fronts["yum"]
	}
	return s.front
}

func (System) CheckFile(r io.ReaderAt, size int64) error {
	_, err := ReadContents(r, size)
	return err
}

// Fits reports whether a package of that architecture can be installed on a host.
func (System) Fits(arch, native string) bool { return Name("", arch, native) == "" }

// Directory tells what a directory with these entries is.
func (System) Directory(names []string) host.PackageDirectory {
	var d host.PackageDirectory
	for _, name := range names {
		switch {
		case name == "repodata":
			d.Index = true
		case System{}.IsFile(name):
			d.Files = append(d.Files, name)
		}
	}
	return d
}

// Leftovers are the endings that rpm gives to the other version of a configuration file.
var Leftovers = []string{".rpmnew", ".rpmorig", ".rpmsave"}

// IsLeftover tells by its name whether a file is one of those.
func (System) IsLeftover(name string) bool {
	return slices.ContainsFunc(Leftovers, func(ending string) bool { return strings.HasSuffix(name, ending) })
}
