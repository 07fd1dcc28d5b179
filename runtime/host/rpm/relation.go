package rpm

import (
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"
)

// ParseRelations reads dependencies as rpm prints them, parted by commas: "NAME" or "NAME OP
// VERSION". Of rich dependencies (rpm 4.13) only "(A or B)" is understood; any other one binds
// nothing, and neither do demands on rpm itself.
func (System) ParseRelations(text string) []dependency.Relation {
	var list []dependency.Relation
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var r dependency.Relation
		for _, alternative := range richAlternatives(part) {
			r.Possibilities = append(r.Possibilities, parseRelation(alternative))
		}
		list = append(list, r)
	}
	return list
}

func richAlternatives(part string) []string {
	inner, rich := strings.CutPrefix(part, "(")
	if !rich {
		return []string{part}
	}
	inner = strings.TrimSuffix(inner, ")")
	for _, operator := range []string{" and ", " if ", " with ", " without ", " unless "} {
		if strings.Contains(inner, operator) {
			return []string{"rpmlib(RichDependencies)"}
		}
	}
	return strings.Split(inner, " or ")
}

func parseRelation(text string) dependency.Possibility {
	words := strings.Fields(text)
	if len(words) == 0 || strings.HasPrefix(words[0], "rpmlib(") {
		return dependency.Possibility{Name: text, Substvar: true}
	}
	p := dependency.Possibility{Name: words[0]}
	if len(words) == 3 {
		p.Version = &dependency.VersionRelation{Operator: words[1], Number: words[2]}
	}
	return p
}

// Meets reports whether a package is what a dependency names: by its name, or by what it provides. Which files it owns
// is not looked at.
func Meets(name, version string, provides []dependency.Relation, want dependency.Possibility) bool {
	if Is(name, version, want) {
		return true
	}
	for _, r := range provides {
		if slices.ContainsFunc(r.Possibilities, func(offer dependency.Possibility) bool {
			return offer.Name == want.Name && overlap(offer.Version, want.Version)
		}) {
			return true
		}
	}
	return false
}

// Is reports whether a package is itself what a relation names; an Obsoletes asks for no more.
func Is(name, version string, want dependency.Possibility) bool {
	return name == want.Name && overlap(&dependency.VersionRelation{Operator: "=", Number: version}, want.Version)
}

// overlap reports whether two ranges of versions have one in common (rpmdsCompare). Where one side
// names no version, any will do.
func overlap(a, b *dependency.VersionRelation) bool {
	if a == nil || b == nil {
		return true
	}
	has := func(r *dependency.VersionRelation, sense string) bool { return strings.Contains(r.Operator, sense) }
	switch c := compareRanges(a.Number, b.Number); {
	case c < 0:
		return has(a, ">") || has(b, "<")
	case c > 0:
		return has(a, "<") || has(b, ">")
	}
	for _, sense := range []string{"=", "<", ">"} {
		if has(a, sense) && has(b, sense) {
			return true
		}
	}
	return false
}

// compareRanges compares the versions of two ranges; releases count only where both have one.
func compareRanges(a, b string) int {
	versionA, releaseA, _ := strings.Cut(a, "-")
	versionB, releaseB, _ := strings.Cut(b, "-")
	if releaseA == "" || releaseB == "" {
		return Compare(versionA, versionB)
	}
	return Compare(a, b)
}
