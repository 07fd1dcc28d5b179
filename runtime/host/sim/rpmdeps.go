package sim

import (
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host/rpm"

	"pault.ag/go/debian/dependency"
)

// parseRPMRelations reads dependencies as rpm prints them, parted by commas: "NAME" or "NAME OP
// VERSION". Of rich dependencies (rpm 4.13) only "(A or B)" is understood; any other one binds
// nothing, and neither do demands on rpm itself.
func parseRPMRelations(text string) []dependency.Relation {
	var list []dependency.Relation
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var r dependency.Relation
		for _, alternative := range richAlternatives(part) {
			r.Possibilities = append(r.Possibilities, parseRPMRelation(alternative))
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

func parseRPMRelation(text string) dependency.Possibility {
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

// providesRPM tells whether a package meets a dependency: by its name, by what it provides, or, for a
// path, by a file that it owns.
func (p *Package) providesRPM(want dependency.Possibility) bool {
	if path.IsAbs(want.Name) {
		if _, ok := p.file(want.Name); ok {
			return true
		}
	}
	if p.isRPM(want) {
		return true
	}
	for _, r := range p.relations().provides {
		if slices.ContainsFunc(r.Possibilities, func(offer dependency.Possibility) bool {
			return offer.Name == want.Name && overlap(offer.Version, want.Version)
		}) {
			return true
		}
	}
	return false
}

// isRPM tells whether a package is itself what a relation names; an Obsoletes asks for no more.
func (p *Package) isRPM(want dependency.Possibility) bool {
	return p.Name == want.Name && overlap(&dependency.VersionRelation{Operator: "=", Number: p.Version}, want.Version)
}

// overlap tells whether two ranges of versions have one in common (rpmdsCompare). Where one side
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
		return rpm.Compare(versionA, versionB)
	}
	return rpm.Compare(a, b)
}

// basicRPM stands for what every host with rpm has and a fixture need not say: a shell, the dynamic
// linker and the libraries of C and C++.
var basicRPM = &Package{Format: RPM, Files: []PackageFile{
	{Path: "/bin/bash"}, {Path: "/bin/sh"}, {Path: "/sbin/ldconfig"}, {Path: "/usr/bin/bash"}, {Path: "/usr/bin/env"}, {Path: "/usr/bin/sh"}, {Path: "/usr/sbin/ldconfig"},
}}

var basicLibraries = []string{"ld-linux*", "libc.so.*", "libcrypt.so.*", "libdl.so.*", "libgcc_s.so.*", "libm.so.*", "libpthread.so.*", "libresolv.so.*", "librt.so.*", "libstdc++.so.*", "libutil.so.*", "rtld(*"}

// basic tells whether a dependency is met by what the implied system has.
func (rs *rpms) basic(want dependency.Possibility) bool {
	return rs.system.implied && (basicRPM.providesRPM(want) || slices.ContainsFunc(basicLibraries, func(glob string) bool { return globMatch(glob, want.Name) }))
}
