package fakepkg

import "strings"

// SystemRPM stands for the system itself: what the packages and their scripts, and the package managers,
// demand of it.
var SystemRPM = RPM{
	Name: "system-release", Version: "7", Summary: "Stands for the system",
	Provides: "/bin/sh, centos-release = 7, sles-release = 12.5, distribution-release, shadow-utils, shadow, glibc",
}

// FrontRPMs stand for the packages of the package managers, which rpm systems have and the test's root,
// made of Debian packages, has not in rpm's database.
var FrontRPMs = []RPM{{Name: "yum", Version: "4.14.0"}, {Name: "dnf", Version: "4.14.0"}, {Name: "zypper", Version: "1.14.42"}}

// ZCPRPMs are a few packages in the manner of ZCP's: one needs another, and has configuration of both
// kinds. A file /run/hang in the root makes the scripts of zarafa-server hang, at the place it names.
func ZCPRPMs(version string) []RPM {
	const vendor = "Zarafa B.V."
	return []RPM{
		{Name: "zarafa-common", Version: version, Release: "1.el7", Vendor: vendor, Files: []RPMFile{
			{File: Dir("/etc/zarafa", 0o755)}, {File: Dir("/var/lib/zarafa", 0o750)},
			{File: Text("/etc/sysconfig/zarafa", "ZARAFA_LOCALE=C"), Directive: "%config"},
		}},
		{Name: "zarafa-server", Version: version, Release: "1.el7", Vendor: vendor, Requires: "zarafa-common = " + version,
			Files: []RPMFile{
				{File: Text("/etc/zarafa/server.cfg", "log_level = 3", "# "+version), Directive: "%config(noreplace)"},
				{File: File{Path: "/var/lib/zarafa/state", Mode: 0o600}, Directive: "%ghost"},
				{File: Program("/usr/sbin/zarafa-server", []byte("#!/bin/sh\n# "+version+"\n"))},
				{File: Link("/usr/sbin/zarafa-admin", "zarafa-server")},
				{File: Text("/usr/share/zarafa/"+version, version)},
			},
			Scripts: map[string]string{"post": hang("post"), "preun": "if [ -f /run/bed/zarafa-server.preun ]; then . /run/bed/zarafa-server.preun; fi\n" + hang("preun")},
		},
		{Name: "zarafa-ical", Epoch: "1", Version: version, Release: "1.el7", Vendor: vendor, Requires: "zarafa-common",
			Files: []RPMFile{{File: Program("/usr/sbin/zarafa-ical", []byte("#!/bin/sh\n"))}}},
		{Name: "php-mapi", Version: version, Release: "1.el7", Vendor: vendor, Requires: "zarafa-common = " + version},
	}
}

func hang(at string) string {
	return "if grep -qx " + at + " /run/hang 2>/dev/null; then echo $$ > /run/hanging; sleep 60; fi\nexit 0"
}

// behaves begins a script that a test can have fail or hang: by the file of its name, as the scripts of .debs do.
func behaves(script string) string {
	file := "/run/bed/" + script
	return "if [ -f " + file + " ]; then . " + file + "; fi\nexit 0"
}

// KopanoRPMs are a few packages in the manner of Kopano's; kopano-server cannot be beside zarafa-server, and kopano-clash has a
// file that zarafa-ical has, too.
func KopanoRPMs() []RPM {
	const vendor, version = "Kopano B.V.", "8.7.0"
	return []RPM{
		{Name: "kopano-common", Version: version, Vendor: vendor, Files: []RPMFile{{File: Dir("/etc/kopano", 0o755)}}},
		{Name: "kopano-server", Version: version, Vendor: vendor, Requires: "kopano-common", Conflicts: "zarafa-server",
			Files: []RPMFile{
				{File: Text("/etc/kopano/server.cfg", "log_level = 3"), Directive: "%config(noreplace)"},
				{File: Program("/usr/sbin/kopano-server", []byte("#!/bin/sh\n"))},
				{File: Text("/usr/share/kopano/large", strings.Repeat("not to be held by a full disk\n", 30000))},
			},
			Scripts: map[string]string{"pre": behaves("kopano-server.pre"), "post": behaves("kopano-server.post"), "preun": behaves("kopano-server.preun")},
		},
		{Name: "kopano-clash", Version: version, Vendor: vendor, Files: []RPMFile{{File: Program("/usr/sbin/zarafa-ical", []byte("#!/bin/sh\n# another\n"))}}},
		{Name: "php-mapi", Version: version, Vendor: vendor, Requires: "kopano-common"}, // the name that ZCP's has
		{Name: "kopano-broken", Version: version, Vendor: vendor, Requires: "no-such-library >= 3"},
	}
}
