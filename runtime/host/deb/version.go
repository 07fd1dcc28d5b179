package deb

import (
	"cmp"
	"strings"

	"pault.ag/go/debian/version"
)

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
func CheckVersion(v string) error {
	_, err := version.Parse(v)
	return err
}
