package deb

import (
	"path"
	"strings"
)

// Where dpkg and apt keep what is theirs.
const (
	StatusFile     = "/var/lib/dpkg/status"
	InfoDir        = "/var/lib/dpkg/info"    // NAME.list, NAME.postrm, ... of each package
	UpdatesDir     = "/var/lib/dpkg/updates" // dpkg's own journal
	UnpackingDir   = "/var/lib/dpkg/tmp.ci"  // control files of the package that is being unpacked
	ExtendedStates = "/var/lib/apt/extended_states"
	ListsDir       = "/var/lib/apt/lists"
	ArchivesDir    = "/var/cache/apt/archives"

	SourcesFile    = "/etc/apt/sources.list"
	SourcesDir     = "/etc/apt/sources.list.d"
	PreferenceFile = "/etc/apt/preferences"
	PreferencesDir = "/etc/apt/preferences.d"
	TrustedFile    = "/etc/apt/trusted.gpg"
	TrustedDir     = "/etc/apt/trusted.gpg.d"
	KeyringsDir    = "/etc/apt/keyrings"
	AuthFile       = "/etc/apt/auth.conf"
	AuthDir        = "/etc/apt/auth.conf.d"
)

// UnitNotesDir is where deb-systemd-helper(1) notes which links it has made.
const UnitNotesDir = "/var/lib/systemd/deb-systemd-helper-enabled"

// UnitNote is the file that names the links of a unit ("kopano-server.service"), a path a line.
func UnitNote(unit string) string { return UnitNotesDir + "/" + unit + ".dsh-also" }

// LinkNote is the file that says of a link that it was made once.
func LinkNote(link string) string {
	return path.Join(UnitNotesDir, strings.TrimPrefix(link, "/etc/systemd/system/"))
}

// Locks are the files that dpkg and apt lock by fcntl(2), each for a part of the work; the first two are
// dpkg's.
var Locks = []string{
	"/var/lib/dpkg/lock-frontend", // since dpkg 1.19.1
	"/var/lib/dpkg/lock",
	ListsDir + "/lock",
	ArchivesDir + "/lock",
}

// ownFiles are what dpkg and apt keep for themselves.
var ownFiles = []string{
	"/var/lib/dpkg", "/var/cache/apt", "/var/lib/apt", "/var/log/dpkg*", "/var/log/apt", "/var/cache/debconf",
	"/var/log/alternatives*", "/var/lib/systemd/deb-systemd-helper-*", "/etc/ld.so.cache", "/var/cache/ldconfig",
}
