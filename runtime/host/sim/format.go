package sim

import (
	"cmp"
	"errors"
	"strings"

	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"
)

// Format is the kind of package that a host has. It decides how versions are compared, how
// dependencies are written, and what the package manager does with files.
type Format string

// The formats.
const (
	Deb Format = "deb"
	RPM Format = "rpm"
)

// formatOf is the format of a package manager's packages.
func formatOf(manager string) Format {
	switch manager {
	case "yum", "dnf", "zypper":
		return RPM
	}
	return Deb
}

// format is that of the host's packages.
func (sy *system) format() Format { return formatOf(sy.manager.Name) }

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

// compareVersions orders version numbers. A Debian one that does not parse is ordered as text.
func (f Format) compareVersions(a, b string) int {
	if f == RPM {
		return compareEVR(a, b)
	}
	va, err1 := version.Parse(a)
	vb, err2 := version.Parse(b)
	if err1 != nil || err2 != nil {
		return cmp.Compare(a, b)
	}
	return version.Compare(va, vb)
}

func (f Format) checkVersion(v string) error {
	if f != RPM {
		_, err := version.Parse(v)
		return err
	}
	if strings.ContainsAny(v, " \t/") || strings.Count(v, "-") > 1 {
		return errors.New("not of the form [EPOCH:]VERSION-RELEASE")
	}
	return nil
}

// parseRelations reads a dependency field. One that does not parse binds nothing.
func (f Format) parseRelations(text string) []dependency.Relation {
	if f == RPM {
		return parseRPMRelations(text)
	}
	return parseRelations(text)
}

// defaultArch is the architecture of a host or package that does not say.
func (f Format) defaultArch() string {
	if f == RPM {
		return "x86_64"
	}
	return "amd64"
}

// digestKind is a digest of the kind that package databases record.
func (f Format) digestKind() string {
	if f == RPM {
		return sha256Like
	}
	return editedMD5
}
