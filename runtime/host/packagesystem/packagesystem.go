// Package packagesystem finds the package system that a host has: each is a room of its own (deb, rpm), and
// whoever works with packages on any host asks it through the interface that has what they need.
package packagesystem

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/rpm"
)

// Files knows package files.
type Files interface {
	// Compare orders versions.
	Compare(a, b string) int
	// IsFile tells by its name whether a file is one of a package; NameOfFile is that package.
	IsFile(name string) bool
	NameOfFile(name string) string
	ReadFile(r io.ReaderAt, size int64) (host.PackageFile, error)
	// CheckFile reads a package file to its end: one that is cut short, or whose archive is damaged, is an error.
	CheckFile(r io.ReaderAt, size int64) error
	// Fits reports whether a package of that architecture can be installed on a host.
	Fits(arch, native string) bool
	// Directory tells what a directory with these entries is.
	Directory(names []string) host.PackageDirectory
	// Leftovers are the endings that the other version of a configuration file is given.
	Leftovers() []string
	// IsLeftover tells by its name whether a file is such a one.
	IsLeftover(name string) bool
}

// Repositories knows how repositories are configured.
type Repositories interface {
	// Setup is what configures a repository for this version of the package manager.
	Setup(ctx context.Context, h host.RepositoryHost, version string, r host.Repository) (host.RepositorySetup, error)
	// SourceFile is the file that names a repository, for a refresh.
	SourceFile(name string) string
	// SourceFiles are patterns of the names of files that configure repositories, KeyDirs where their keys are.
	SourceFiles() []string
	KeyDirs() []string
	// Sources reads the repositories that a file configures.
	Sources(file, text string, facts host.Facts) []host.Source
	// PlainDirectories reports whether a directory of package files is a repository without an index, too.
	PlainDirectories() bool
}

// Manager knows the program that installs packages.
type Manager interface {
	// Program is its path, and what it exits with when it fails.
	Program() (path, failed string)
	// Says is an error in its words.
	Says(text string) string
	// OwnFiles are what it keeps for itself.
	OwnFiles() []string
	// Recommends reports whether it knows recommended packages.
	Recommends() bool
}

// Packages knows packages, as a package file or a database has them.
type Packages interface {
	CheckVersion(v string) error
	// ParseRelations reads a dependency field. One that does not parse binds nothing.
	ParseRelations(text string) []dependency.Relation
	// Owned puts the files that a package owns in order.
	Owned(files []host.PackedFile) []host.PackedFile
	// FileName is what a package file is called by custom, Extension what its name ends in.
	FileName(p host.Package) string
	Extension() string
	// Arch is the architecture of a host or package that does not say.
	Arch() string
	// KeepsConffiles reports whether a package that is removed, and not purged, leaves its configuration.
	KeepsConffiles() bool
	// OwnsDirectories reports whether a package owns all directories that lead to its files, so that they go with it.
	OwnsDirectories() bool
	// TellsRemovals reports whether the database tells of a removal, or an installation, that was cut short. Where it does
	// not, PartOf is the file's name of which a file with that name is what was unpacked so far, and when that transaction
	// began; empty if it is none.
	TellsRemovals() bool
	PartOf(name string) (whole string, began time.Time)
}

// System is what is true of a package system on any host.
type System interface {
	Packages
	Files
	Repositories
	Manager
}

// All are the package systems.
var All = []System{deb.System{}, rpm.System{}}

// managers are the package managers, with what each is over.
var managers = map[string]System{
	"apt": deb.System{}, "yum": rpm.With("yum"), "dnf": rpm.With("dnf"), "zypper": rpm.With("zypper"),
}

// Managers are the names of the package managers.
func Managers() []string { return slices.Sorted(maps.Keys(managers)) }

// Of is the package system with that manager; Debian's where it is not known.
func Of(manager string) System {
	if s, ok := managers[manager]; ok {
		return s
	}
	return deb.System{}
}

// IsFile tells by its name whether a file is a package of any kind.
func IsFile(name string) bool {
	return slices.ContainsFunc(All, func(s System) bool { return s.IsFile(name) })
}

// NameOfFile is the package that a package file of any kind holds, by the file's name.
func NameOfFile(name string) string {
	for _, s := range All {
		if s.IsFile(name) {
			return s.NameOfFile(name)
		}
	}
	return name
}

// Leftovers are the endings of all package systems.
func Leftovers() []string {
	var all []string
	for _, s := range All {
		all = append(all, s.Leftovers()...)
	}
	return all
}

// IsLeftover tells by its name whether a file is another version of a configuration file that some package
// system left.
func IsLeftover(name string) bool {
	return slices.ContainsFunc(All, func(s System) bool { return s.IsLeftover(name) })
}
