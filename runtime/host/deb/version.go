package deb

import (
	"cmp"

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

// CheckVersion refuses what is no version.
func CheckVersion(v string) error {
	_, err := version.Parse(v)
	return err
}
