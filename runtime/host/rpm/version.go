package rpm

import (
	"errors"
	"strings"

	rpmversion "github.com/knqyf263/go-rpm-version"
)

// Compare orders versions of the form [EPOCH:]VERSION[-RELEASE] as rpm does, "~" and "^" included.
func Compare(a, b string) int {
	return rpmversion.NewVersion(a).Compare(rpmversion.NewVersion(b))
}

// SameVersion compares a version with one that may lack the release.
func SameVersion(have, want string) bool {
	if Compare(have, want) == 0 {
		return true
	}
	version, _, _ := strings.Cut(have, "-")
	return !strings.Contains(want, "-") && Compare(version, want) == 0
}

// EVR is a version with its epoch, unless that is 0, which is the same as none.
func EVR(epoch, versionRelease string) string {
	if epoch == "" || epoch == "0" || epoch == "(none)" {
		return versionRelease
	}
	return epoch + ":" + versionRelease
}

// WithoutEpoch is VERSION-RELEASE, as file names and yum's command line have it.
func WithoutEpoch(evr string) string {
	if _, version, found := strings.Cut(evr, ":"); found {
		return version
	}
	return evr
}

var errNoEVR = errors.New("not of the form [EPOCH:]VERSION-RELEASE")

// CheckVersion refuses what is no version.
func (System) CheckVersion(v string) error {
	if strings.ContainsAny(v, " \t/") || strings.Count(v, "-") > 1 {
		return errNoEVR
	}
	return nil
}
