package deb

import (
	"cmp"
	"strings"

	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"
)

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
