// Package live is this machine behind the host interfaces.
//
// A View reads the machine and a Host also changes it. Both work on the file system below a root
// directory: "/" for the machine itself, or a directory that holds a whole system (a chroot); then
// absolute symlinks and ".." stay inside it, and commands run with it as their root, which needs the
// privilege to chroot.
//
// Files are reached component by component from a descriptor of the root, never by a path that the
// kernel would resolve at once, so that a symlink planted by an ordinary user is noticed and nothing
// outside the root is touched. Only system calls of Linux 3.2 and later are used, with a second way
// where a kernel of 2013 lacks one.
//
// A machine is composed of parts: files, accounts, packages (Debian's, rpm's), services (systemd, SysV
// init), database, directory, programs. Each part names what it works with in its fields, and has the
// methods of its interface itself; this file puts them together.
//
// Files of this package: resolve.go, at.go, file.go, tree.go, files.go and fileswriter.go (files),
// machine.go, facts.go, mounts.go, mounter.go, accounts.go, membership.go (what the system is), command.go (how any program is run),
// packages*.go (packages of any kind), dpkg*.go and apt*.go (Debian's), rpm*.go, yum*.go and zypper*.go
// (rpm's), services.go, systemd.go, sysv.go, processes.go (what runs), database.go and dump.go (MySQL),
// directory.go (LDAP), ports.go, download.go.
package live

import (
	"errors"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
)

// View reads a machine. It has no method that changes one, so it can stand below a simulation. Each of
// its interfaces is a part of the machine.
type View struct {
	host.FileReader
	host.PackageReader
	host.ServiceReader
	host.DatabaseReader
	host.DirectoryReader
	host.PortReader
	host.SystemReader
	host.AccountReader
	host.Downloader
	host.Clock

	parts parts
}

// Host is a machine that can be changed. Each of its interfaces is a part of the machine.
type Host struct {
	host.View
	host.FileWriter
	host.PackageWriter
	host.ServiceWriter
	host.DatabaseWriter
	host.DirectoryWriter
	host.MountWriter
	host.AccountWriter
	host.ProgramRunner

	parts        parts
	lockPatience *packagelock.Patience
}

var (
	_ host.View = (*View)(nil)
	_ host.Host = (*Host)(nil)
)

// parts are those of which writing parts are made.
type parts struct {
	m        *machine
	packages packages
	services services
	database database
}

// Open gives the machine whose file system starts at root.
func Open(root string) (*Host, error) {
	view, err := OpenView(root)
	if err != nil {
		return nil, err
	}
	p, write, patience := view.parts, filesWriter{view.parts.m.files}, packagelock.Usual
	return &Host{
		View:            view,
		FileWriter:      write,
		PackageWriter:   newPackagesWriter(p.packages, write, p.services, &patience),
		ServiceWriter:   servicesWriter{m: p.m, services: p.services, write: write},
		DatabaseWriter:  databaseWriter{m: p.m, database: p.database, write: write},
		DirectoryWriter: ldapWriter{client: ldapClient{p.m.files}, m: p.m, write: write},
		MountWriter:     mounter{m: p.m, services: p.services},
		AccountWriter:   membership{m: p.m},
		ProgramRunner:   programs{m: p.m},
		parts:           p,
		lockPatience:    &patience,
	}, nil
}

// OpenView gives the reading half of the machine whose file system starts at root.
func OpenView(root string) (*View, error) {
	files, err := openSpace(root)
	if err != nil {
		return nil, err
	}
	m := &machine{files}
	accounts := accountReader{m}
	p := parts{
		m:        m,
		packages: newPackages(m),
		services: services{m: m, processes: processes{m: m, accounts: accounts}},
		database: database{m},
	}
	return &View{
		FileReader:      files,
		PackageReader:   p.packages,
		ServiceReader:   p.services,
		DatabaseReader:  p.database,
		DirectoryReader: ldapClient{files},
		PortReader:      ports{},
		SystemReader:    m,
		AccountReader:   accounts,
		Downloader:      downloads{files},
		Clock:           clock{},
		parts:           p,
	}, nil
}

// Close gives the root descriptor back.
func (v *View) Close() error { return unix.Close(v.parts.m.files.root) }

// Close gives the root descriptor back.
func (h *Host) Close() error { return unix.Close(h.parts.m.files.root) }

// Unpredicted is empty: a machine carries out what it is told.
func (h *Host) Unpredicted() []host.Unpredicted { return nil }

// RemoveLeftovers removes the private directories of processes that were killed: there may be a
// password in one. Those of a process that lives stay.
func (h *Host) RemoveLeftovers() error {
	var errs []error
	for _, parent := range scratchParents {
		errs = append(errs, h.parts.m.files.removeLeftovers(parent))
	}
	return errors.Join(errs...)
}
