package rpm

import (
	"path"
	"strings"

	"zcp2kopano/runtime/host"
)

// Name is that of a package in the database: NAME, or NAME.ARCH for a package of another architecture than
// the machine's, which may be installed beside it.
func Name(name, arch, machine string) string {
	if arch == machine || arch == "noarch" || arch == "" || isX86(arch) && isX86(machine) {
		return name
	}
	return name + "." + arch
}

// isX86 reports whether it is one of the names of 32-bit x86, of which a system mixes several.
func isX86(arch string) bool {
	switch arch {
	case "i386", "i486", "i586", "i686", "athlon":
		return true
	}
	return false
}

// BareName is a package's name without the architecture that Name adds.
func BareName(p host.Package) string { return strings.TrimSuffix(p.Name, "."+p.Arch) }

// FullName is NAME-VERSION-RELEASE.ARCH, which means one package and no other.
func FullName(p host.Package) string {
	return BareName(p) + "-" + WithoutEpoch(p.Version) + "." + p.Arch
}

// FileName is the usual name of a package file.
func FileName(p host.Package) string { return FullName(p) + ".rpm" }

const extension = ".rpm"

// IsFile reports whether a path names a package file.
func (System) IsFile(name string) bool { return path.Ext(name) == extension }

// NameOfFile is the package that a package file holds, by the file's usual name.
func (System) NameOfFile(name string) string {
	name = strings.TrimSuffix(path.Base(name), ".rpm") // NAME-VERSION-RELEASE.ARCH
	for range 2 {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return name
}

// SourceName is the name of a source package by its file: zarafa-7.2.6-1.src.rpm.
func SourceName(file, otherwise string) string { return withoutVersion(file, otherwise) }

// withoutVersion takes the last two parts off NAME-VERSION-RELEASE.
func withoutVersion(text, otherwise string) string {
	parts := strings.Split(text, "-")
	if len(parts) < 3 {
		return otherwise
	}
	return strings.Join(parts[:len(parts)-2], "-")
}

// LockedName takes the name out of a line of versionlock: EPOCH:NAME-VERSION-RELEASE.ARCH (yum),
// NAME-EPOCH:VERSION-RELEASE.ARCH (dnf).
func LockedName(line string) string {
	if line == "" || line[0] == '#' || line[0] == '!' {
		return ""
	}
	if epoch, rest, found := strings.Cut(line, ":"); found && strings.Trim(epoch, "0123456789") == "" {
		line = rest
	}
	return withoutVersion(line, line)
}
