package deb

import (
	"context"
	"io"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
)

// System is Debian's package system, for those who know package systems by what they can do.
type System struct{}

func (System) Compare(a, b string) int       { return Compare(a, b) }
func (System) IsFile(name string) bool       { return IsFile(name) }
func (System) NameOfFile(name string) string { return NameOfFile(name) }
func (System) Leftovers() []string           { return Leftovers }
func (System) IsLeftover(name string) bool   { return IsLeftover(name) }
func (System) SourceFile(name string) string { return SourceFile(name) }

func (System) CheckVersion(v string) error    { return CheckVersion(v) }
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

func (System) Sources(file, text string, _ host.Facts) []host.Source { return Sources(file, text) }

func (System) Owned(files []host.PackedFile) []host.PackedFile { return Owned(files) }

func (System) ParseRelations(text string) []dependency.Relation { return ParseRelations(text) }

func (System) ReadFile(r io.ReaderAt, size int64) (host.PackageFile, error) { return ReadFile(r, size) }
func (System) CheckFile(r io.ReaderAt, size int64) error                    { return CheckFile(r, size) }

func (System) Setup(ctx context.Context, h host.RepositoryHost, version string, r host.Repository) (host.RepositorySetup, error) {
	return Setup(ctx, h, version, r)
}

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
		case IsFile(name):
			d.Files = append(d.Files, name)
		}
	}
	return d
}
