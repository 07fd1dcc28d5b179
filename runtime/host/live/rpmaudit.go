package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// PackageAudit tells what an interrupted transaction may have left: a database that cannot be read, two
// versions of one package, dependencies that are not met, and transactions that yum began and did not
// end.
func (v rpms) PackageAudit() ([]string, error) {
	records, err := v.records()
	var failed *host.CommandError
	if errors.As(err, &failed) {
		return []string{"rpm's database: " + strings.Join(strings.Fields(failed.Output+" "+failed.Status), " ")}, nil
	}
	if err != nil {
		return nil, err
	}
	var broken []string
	for _, d := range duplicates(records) {
		broken = append(broken, fmt.Sprintf("package %s is installed twice, as %s and %s", d.Name, d.Version, d.newer))
	}
	unmet, err := v.unmetRequirements()
	if err != nil {
		return nil, err
	}
	broken = append(broken, unmet...)
	for _, path := range v.unfinished() {
		broken = append(broken, "a transaction of yum was interrupted: "+path)
	}
	return broken, nil
}

// duplicate is the older of two versions of a package.
type duplicate struct {
	host.Package
	newer string
}

// duplicates are what an interrupted upgrade leaves: rpm enters the new version before it removes the
// old one. Packages that are meant to be installed in several versions say so, but for the kernel of old.
func duplicates(records []rpm.Record) []duplicate {
	var found []duplicate
	for i := 1; i < len(records); i++ {
		a, b := records[i-1].Package, records[i].Package // in order of name, then version
		if a.Name != b.Name || a.Arch != b.Arch || strings.HasPrefix(a.Name, "kernel") ||
			containsAny(a.Provides, []string{"installonlypkg(", "multiversion(", "kernel = "}) {
			continue
		}
		found = append(found, duplicate{a, b.Version})
	}
	return found
}

// unmetRequirements asks rpm to verify dependencies alone.
func (v rpms) unmetRequirements() ([]string, error) {
	path, err := v.m.program("rpm")
	if err != nil {
		return nil, err
	}
	got, err := v.m.run(context.Background(), command{
		Path: path, Env: rpmEnv, Timeout: queryTimeout, Accept: []int{1},
		Args: []string{"-Va", "--nofiles", "--noscripts", "--nodigest", "--nosignature"},
	})
	if err != nil {
		return nil, err
	}
	return parseUnmet(got.Stdout + "\n" + got.Stderr), nil
}

// parseUnmet reads rpm -V: a heading for each package and an indented line for each requirement.
func parseUnmet(out string) []string {
	var unmet []string
	for line := range strings.Lines(out) {
		if text := strings.TrimSpace(line); strings.Contains(text, " is needed by ") {
			unmet = append(unmet, text)
		} else if strings.HasPrefix(text, "Unsatisfied dependencies for ") && !strings.HasSuffix(text, ":") {
			unmet = append(unmet, text) // rpm 4.4: "Unsatisfied dependencies for NAME: REQUIREMENT"
		}
	}
	return unmet
}

const yumStateDir = "/var/lib/yum"

// unfinished are yum's own records of transactions that did not come to their end (it removes them when
// they do).
func (v rpms) unfinished() []string {
	entries, _ := v.m.files.ReadDir(yumStateDir)
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "transaction-all.") {
			found = append(found, yumStateDir+"/"+e.Name)
		}
	}
	return found
}

// RepairPackages ends what an interrupted transaction left. The lock of a dead process goes with it; what
// stays of it in the shared memory of a Berkeley DB is removed when nobody uses it, and a database that
// still cannot be read is rebuilt. Then the older of two versions is removed, as rpm would have done.
//
// A package whose installation was cut short is not in the database, and one whose removal was cut short
// still is: to repeat the transaction ends both.
func (h rpmsWriter) RepairPackages(ctx context.Context, _ []string, w *host.PackageWatch) error {
	err := h.turn.take(ctx, w, func() error { return h.repairDatabase(ctx) })
	if err != nil {
		return err
	}
	failed := h.turn.take(ctx, w, func() error { return h.removeDuplicates(ctx, w) })
	broken, err := h.rpms.PackageAudit()
	if err != nil {
		return err
	}
	if broken = h.forgetUnfinished(broken); len(broken) == 0 {
		return failed
	}
	if failed != nil {
		return fmt.Errorf("the package database is still broken (%s): %w", strings.Join(broken, "; "), failed)
	}
	return fmt.Errorf("the package database is still broken: %s", strings.Join(broken, "; "))
}

func (h rpmsWriter) repairDatabase(ctx context.Context) error {
	if err := h.removeStaleRegions(); err != nil {
		return err
	}
	_, err := h.rpms.records()
	var failed *host.CommandError
	if !errors.As(err, &failed) || ctx.Err() != nil {
		return err
	}
	if _, err := h.rpmWrite(ctx, nil, "--rebuilddb"); err != nil {
		return fmt.Errorf("rpm's database cannot be read, nor rebuilt: %w", err)
	}
	_, err = h.rpms.records()
	return err
}

// removeStaleRegions removes the shared memory of Berkeley DB (__db.*), which rpm makes again. Locks in it
// outlive the process that held them.
func (h rpmsWriter) removeStaleRegions() error {
	dir := h.rpms.rpmDir()
	entries, err := h.m.files.ReadDir(dir)
	if err != nil {
		return err
	}
	var stale []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "__db.") {
			stale = append(stale, dir+"/"+e.Name)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	user, err := h.m.files.mapper(stale)
	if err != nil {
		return err
	}
	if user != 0 {
		return fmt.Errorf("rpm's database is in use by %s (process %d); let it end, then go on", commandLine(user), user)
	}
	for _, path := range stale {
		if err := h.write.Unlink(path); err != nil {
			return err
		}
	}
	return nil
}

// mapper finds a process that has one of the files in its memory. Files are told by inode, because a
// process in a root of its own sees other paths.
func (s *space) mapper(paths []string) (pid int, err error) {
	inodes := map[string]bool{}
	for _, path := range paths {
		st, err := s.Lstat(path)
		if err != nil {
			return 0, err
		}
		inodes[fmt.Sprint(st.Ino)] = true
	}
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return 0, err
	}
	for _, file := range maps {
		data, _ := os.ReadFile(file) // a process that ended meanwhile has none
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 5 && inodes[f[4]] && strings.Contains(f[5], "/__db.") {
				fmt.Sscanf(file, "/proc/%d/", &pid)
				return pid, nil
			}
		}
	}
	return 0, nil
}

// removeDuplicates removes older versions. Files that the newer one has, too, stay: rpm sees to that.
func (h rpmsWriter) removeDuplicates(ctx context.Context, w *host.PackageWatch) error {
	records, err := h.rpms.records()
	if err != nil {
		return err
	}
	for _, d := range duplicates(records) {
		if _, err := h.rpmWrite(ctx, w, "-e", "--nodeps", rpm.FullName(d.Package)); err != nil {
			return err
		}
	}
	return nil
}

// rpmWrite runs rpm for a change, without a deadline.
func (h rpmsWriter) rpmWrite(ctx context.Context, w *host.PackageWatch, args ...string) (answer, error) {
	return h.m.managePackages(ctx, w, nil, command{Args: args, Env: rpmEnv}, "rpm")
}

// forgetUnfinished removes yum's records of interrupted transactions when they are all that is wrong, as
// yum-complete-transaction --cleanup-only does: to take such a transaction up again, perhaps years later,
// would install and remove what nobody asked for.
func (h rpmsWriter) forgetUnfinished(broken []string) []string {
	records := h.rpms.unfinished()
	if len(records) == 0 || len(broken) > len(records) {
		return broken
	}
	for _, path := range records {
		for _, name := range []string{path, strings.Replace(path, "transaction-all.", "transaction-done.", 1)} {
			if err := h.write.Unlink(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return append(broken, err.Error())
			}
		}
	}
	return nil
}
