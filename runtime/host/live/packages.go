package live

import (
	"context"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
)

// packages are those of whichever of the two package systems the machine has. Which one that is is
// looked up at every call, for the price of reading a small file.
type packages struct {
	m    *machine
	debs debs
	rpms rpms
}

// packagesWriter changes them.
type packagesWriter struct {
	packages packages
	debs     debsWriter
	rpms     rpmsWriter
	services services
}

var (
	_ host.PackageReader = debs{}
	_ host.PackageWriter = debsWriter{}
	_ host.PackageReader = rpms{}
	_ host.PackageWriter = rpmsWriter{}
	_ rpmFront           = yum{}
	_ rpmFront           = zypper{}
)

func newPackages(m *machine) packages {
	return packages{m: m, debs: debs{m}, rpms: rpms{m: m, downloads: downloads{m.files}, owned: new(ownedFiles)}}
}

func newPackagesWriter(p packages, write filesWriter, s services, patience *packagelock.Patience) packagesWriter {
	return packagesWriter{
		packages: p,
		debs:     debsWriter{m: p.m, debs: p.debs, write: write, turn: turn{p.m, p.debs, patience}},
		rpms:     rpmsWriter{m: p.m, rpms: p.rpms, write: write, turn: turn{p.m, p.rpms, patience}},
		services: s,
	}
}

func (p packages) reader() host.PackageReader {
	if p.m.usesRPM() {
		return p.rpms
	}
	return p.debs
}

func (p packagesWriter) writer() host.PackageWriter {
	if p.packages.m.usesRPM() {
		return p.rpms
	}
	return p.debs
}

// usesRPM goes by what the system says it is, because each of dpkg and rpm can be installed as a mere
// tool on systems of the other; one that does not say is known by its database.
func (m *machine) usesRPM() bool {
	facts := m.osRelease()
	for word := range strings.FieldsSeq(facts["ID"] + " " + facts["ID_LIKE"]) {
		switch word {
		case "debian", "ubuntu":
			return false
		case "rhel", "centos", "fedora", "sles", "sle_hpc", "suse", "opensuse":
			return true
		}
	}
	f := m.files
	return !f.exists("/var/lib/dpkg/status") && (f.exists("/var/lib/rpm") || f.exists("/usr/lib/sysimage/rpm"))
}

func (p packages) PackageManager() (host.PackageManager, error) { return p.reader().PackageManager() }
func (p packages) Packages() ([]host.Package, error)            { return p.reader().Packages() }

func (p packages) PackageFiles(name string) ([]string, error) { return p.reader().PackageFiles(name) }

func (p packages) Candidates(names []string) (map[string][]host.Candidate, error) {
	return p.reader().Candidates(names)
}

func (p packages) Solve(tx host.Transaction) (host.Solution, error) { return p.reader().Solve(tx) }
func (p packages) PackageLock() (*host.LockHolder, error)           { return p.reader().PackageLock() }
func (p packages) PackageAudit() ([]string, error)                  { return p.reader().PackageAudit() }

func (p packages) Losses(names []string) (map[string]string, error) { return p.reader().Losses(names) }

func (p packages) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	return p.reader().ProbeRepository(ctx, probe)
}

// CommitPackages lets systemd forget the services of packages that are removed.
func (p packagesWriter) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	commit := func() error { return p.writer().CommitPackages(ctx, tx, w) }
	if len(tx.Remove) == 0 {
		return commit()
	}
	return p.services.withoutLost(commit)
}

// ExpelPackages lets systemd forget the services of packages that are removed.
func (p packagesWriter) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	return p.services.withoutLost(func() error { return p.writer().ExpelPackages(ctx, list, keep, w) })
}

func (p packagesWriter) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	return p.writer().RefreshPackages(ctx, only, w)
}

func (p packagesWriter) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	return p.writer().RepairPackages(ctx, stay, w)
}

func (p packagesWriter) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	return p.writer().SavePackages(ctx, names, dir, w)
}

func (p packagesWriter) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	return p.writer().SaveRemains(ctx, names, dir)
}

func (p packagesWriter) RestoreRemains(ctx context.Context, file string) error {
	return p.writer().RestoreRemains(ctx, file)
}

func (p packagesWriter) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	return p.writer().MarkPackages(ctx, marks)
}

// packagesByName is a package database by name.
func packagesByName(list []host.Package, err error) (map[string]host.Package, error) {
	if err != nil {
		return nil, err
	}
	byName := make(map[string]host.Package, len(list))
	for _, p := range list {
		byName[p.Name] = p
	}
	return byName, nil
}
