package deb

import (
	"strings"

	"pault.ag/go/debian/dependency"
)

// ParseRelations reads a dependency field. One that does not parse binds nothing.
func ParseRelations(text string) []dependency.Relation {
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
