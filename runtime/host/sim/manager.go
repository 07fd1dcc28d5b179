package sim

import (
	"fmt"

	"zcp2kopano/runtime/host"
)

// managerProgram is a package manager's program, and what it exits with when it fails.
var managerPrograms = map[string]struct{ path, status string }{
	"apt":    {"/usr/bin/apt-get", "exit status 100"},
	"yum":    {"/usr/bin/yum", "exit status 1"},
	"dnf":    {"/usr/bin/dnf", "exit status 1"},
	"zypper": {"/usr/bin/zypper", "exit status 4"},
}

// managerError is what a package manager that fails says.
func (sy *system) managerError(format string, args ...any) error {
	program, ok := managerPrograms[sy.manager.Name]
	if !ok {
		program = managerPrograms["apt"]
	}
	return &host.CommandError{Path: program.path, Status: program.status, Output: sy.packager.says(fmt.Sprintf(format, args...))}
}

// managerPaths are the package manager's own files. The simulation keeps the database in memory.
var managerPaths = map[string][]string{
	"debian": {"/var/lib/dpkg", "/var/cache/apt", "/var/lib/apt", "/var/log/dpkg*", "/var/log/apt", "/var/cache/debconf", "/var/log/alternatives*", "/var/lib/systemd/deb-systemd-helper-*", "/etc/ld.so.cache", "/var/cache/ldconfig"},
	"redhat": {"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/yum", "/var/cache/yum", "/var/log/yum.log", "/var/lib/dnf", "/var/cache/dnf", "/var/log/dnf*", "/var/log/hawkey.log", "/etc/ld.so.cache", "/var/cache/ldconfig"},
	"suse":   {"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/zypp", "/var/cache/zypp", "/var/log/zypp", "/var/log/zypper.log", "/etc/ld.so.cache", "/var/cache/ldconfig"},
}

func (pk *packages) unpredictPackageFiles() {
	for _, p := range managerPaths[baseOf(pk.system.manager.Name)] {
		pk.gaps.add(host.Unpredicted{What: "files of the package manager: " + p, Why: "the simulation keeps the package database in memory", Path: p})
	}
}
