package rpm

import (
	"strings"

	"zcp2kopano/runtime/host"
)

// Front is what is true of a program over rpm on any host.
type Front struct {
	program, failed string // the program, and what it exits with when it fails
	repoDirs        []string
	own             []string // files that it keeps for itself
	recommends      bool     // it knows recommended packages
	plain           bool     // a directory of package files is a repository, without an index
}

var rpmFiles = []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/etc/ld.so.cache", "/var/cache/ldconfig"}

var yumFiles = append([]string{
	"/var/lib/yum", "/var/cache/yum", "/var/log/yum.log", "/var/lib/dnf", "/var/cache/dnf", "/var/log/dnf*", "/var/log/hawkey.log",
}, rpmFiles...)

var fronts = map[string]*Front{
	"yum": {program: "/usr/bin/yum", failed: "exit status 1", repoDirs: YumRepoDirs, own: yumFiles},
	"dnf": {program: "/usr/bin/dnf", failed: "exit status 1", repoDirs: YumRepoDirs, own: yumFiles, recommends: true},
	"zypper": {
		program: "/usr/bin/zypper", failed: "exit status 4", repoDirs: ZypperRepoDirs, recommends: true, plain: true,
		own: append([]string{"/var/lib/zypp", "/var/cache/zypp", "/var/log/zypp", "/var/log/zypper.log"}, rpmFiles...),
	},
}

// With is rpm with one of its fronts, by name.
func With(front string) System { return System{fronts[front]} }

// Sources reads the repositories of a .repo file that are enabled. Of several addresses of a repository the first
// one counts; what it says of the host is filled in.
func Sources(file, text string, facts host.Facts) []host.Source {
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
