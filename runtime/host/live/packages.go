package live

import (
	"context"
	"strings"

	"zcp2kopano/runtime/host"
)

// debs and rpms are the two kinds of package system; each has a reading and a writing half. Which one
// a host has is looked up at every call, for the price of reading a small file.
type (
	debs       struct{ *View }
	debsWriter struct{ *Host }
)

var (
	_ host.PackageReader = debs{}
	_ host.PackageWriter = debsWriter{}
	_ host.PackageReader = rpms{}
	_ host.PackageWriter = rpmsWriter{}
)

func (v *View) packageReader() host.PackageReader {
	if v.usesRPM() {
		return rpms{v}
	}
	return debs{v}
}

func (h *Host) packageWriter() host.PackageWriter {
	if h.usesRPM() {
		return rpmsWriter{h}
	}
	return debsWriter{h}
}

// usesRPM goes by what the system says it is, because each of dpkg and rpm can be installed as a mere
// tool on systems of the other; one that does not say is known by its database.
func (v *View) usesRPM() bool {
	facts := v.osRelease()
	for word := range strings.FieldsSeq(facts["ID"] + " " + facts["ID_LIKE"]) {
		switch word {
		case "debian", "ubuntu":
			return false
		case "rhel", "centos", "fedora", "sles", "sle_hpc", "suse", "opensuse":
			return true
		}
	}
	return !v.exists("/var/lib/dpkg/status") && (v.exists("/var/lib/rpm") || v.exists("/usr/lib/sysimage/rpm"))
}

// PackageManager names the manager and its version.
func (v *View) PackageManager() (host.PackageManager, error) {
	return v.packageReader().PackageManager()
}

// Packages reads the package database.
func (v *View) Packages() ([]host.Package, error) { return v.packageReader().Packages() }

// PackageFiles lists what an installed package owns.
func (v *View) PackageFiles(name string) ([]string, error) {
	return v.packageReader().PackageFiles(name)
}

// Candidates tells what the configured repositories offer, as far as their lists are at hand.
func (v *View) Candidates(names []string) (map[string][]host.Candidate, error) {
	return v.packageReader().Candidates(names)
}

// Solve asks the manager what a transaction would do.
func (v *View) Solve(tx host.Transaction) (host.Solution, error) {
	return v.packageReader().Solve(tx)
}

// PackageLock tells who holds one of the manager's locks.
func (v *View) PackageLock() (*host.LockHolder, error) { return v.packageReader().PackageLock() }

// PackageAudit tells what is broken or half-way.
func (v *View) PackageAudit() ([]string, error) { return v.packageReader().PackageAudit() }

// ProbeRepository tries a repository that is not configured yet.
func (v *View) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	return v.packageReader().ProbeRepository(ctx, probe)
}

// CommitPackages carries a transaction out.
func (h *Host) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	commit := func() error { return h.packageWriter().CommitPackages(ctx, tx, w) }
	if len(tx.Remove) == 0 {
		return commit()
	}
	return h.withoutLost(commit)
}

// RefreshPackages rereads the repositories' lists.
func (h *Host) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	return h.packageWriter().RefreshPackages(ctx, only, w)
}

// RepairPackages ends what an interrupted transaction left.
func (h *Host) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	return h.packageWriter().RepairPackages(ctx, stay, w)
}

// ExpelPackages purges packages whatever state they are in.
func (h *Host) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	return h.withoutLost(func() error { return h.packageWriter().ExpelPackages(ctx, list, keep, w) })
}

// SavePackages keeps installed packages as package files.
func (h *Host) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	return h.packageWriter().SavePackages(ctx, names, dir, w)
}
