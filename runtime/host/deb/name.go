package deb

import (
	"fmt"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
)

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
func IsFile(name string) bool { return path.Ext(name) == extension }

// NameOfFile is the package that a package file holds, by the file's name.
func NameOfFile(name string) string {
	name, _, _ = strings.Cut(strings.TrimSuffix(path.Base(name), extension), "_") // somebody may have given the file a short name
	return name
}
