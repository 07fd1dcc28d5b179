package rpm

import (
	"strings"

	"zcp2kopano/runtime/host"
)

// Front is what is true of a program over rpm on any host.
type Front struct {
	program, failed string // the program, and what it exits with when it fails
	repoDirs        []string
	keyDir          string   // where keys of repositories lie as files
	local           string   // the scheme of a repository that is a directory of this host
	settings        []string // of a repository, beside those that all fronts know
	own             []string // files that it keeps for itself
	recommends      bool     // it knows recommended packages
	plain           bool     // a directory of package files is a repository, without an index
}

var rpmFiles = []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/etc/ld.so.cache", "/var/cache/ldconfig"}

var yumFiles = append([]string{
	"/var/lib/yum", "/var/cache/yum", "/var/log/yum.log", "/var/lib/dnf", "/var/cache/dnf", "/var/log/dnf*", "/var/log/hawkey.log",
}, rpmFiles...)

const yumKeyDir = "/etc/pki/rpm-gpg"

// yumSettings: no run may go on without its repository.
var yumSettings = []string{"skip_if_unavailable=0"}

var fronts = map[string]*Front{
	"yum": {program: "/usr/bin/yum", failed: "exit status 1", repoDirs: YumRepoDirs, keyDir: yumKeyDir, local: "file", settings: yumSettings, own: yumFiles},
	"dnf": {program: "/usr/bin/dnf", failed: "exit status 1", repoDirs: YumRepoDirs, keyDir: yumKeyDir, local: "file", settings: yumSettings, own: yumFiles, recommends: true},
	"zypper": {
		program: "/usr/bin/zypper", failed: "exit status 4", repoDirs: ZypperRepoDirs, keyDir: "/etc/zypp/keys", local: "dir",
		settings: []string{"type=rpm-md", "autorefresh=0"}, recommends: true, plain: true,
		own: append([]string{"/var/lib/zypp", "/var/cache/zypp", "/var/log/zypp", "/var/log/zypper.log"}, rpmFiles...),
	},
}

// With is rpm with one of its fronts, by name.
func With(front string) System { return System{fronts[front]} }

// Sources reads the repositories of a .repo file that are enabled. Of several addresses of a repository the first
// one counts; what it says of the host is filled in.
func (System) Sources(file, text string, facts host.Facts) []host.Source {
	version := facts.OSRelease["VERSION_ID"]
	filled := strings.NewReplacer("$releasever", version, "${releasever}", version, "$basearch", facts.Arch, "${basearch}", facts.Arch)
	var list []host.Source
	for _, section := range ParseSections(text) {
		address := section.Values["baseurl"]
		if address == "" {
			address = section.Values["mirrorlist"] + section.Values["metalink"]
		}
		words := strings.FieldsFunc(address, func(r rune) bool { return r == ' ' || r == ',' })
		if len(words) > 0 && section.Enabled() {
			list = append(list, host.NewSource(file, filled.Replace(words[0]), "./"))
		}
	}
	return list
}
