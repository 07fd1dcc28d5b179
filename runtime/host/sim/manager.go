package sim

import (
	"fmt"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// of is what is true of the host's package system on any host.
func (sy *system) of() packagesystem.System { return packagesystem.Of(sy.manager.Name) }

// managerError is what a package manager that fails says.
func (sy *system) managerError(format string, args ...any) error {
	program, failed := sy.of().Program()
	return &host.CommandError{Path: program, Status: failed, Output: sy.of().Says(fmt.Sprintf(format, args...))}
}

// unpredictPackageFiles names the package manager's own files. The simulation keeps the database in memory.
func (pk *packages) unpredictPackageFiles() {
	for _, p := range pk.system.of().OwnFiles() {
		pk.gaps.add(host.Unpredicted{What: "files of the package manager: " + p, Why: "the simulation keeps the package database in memory", Path: p})
	}
}
