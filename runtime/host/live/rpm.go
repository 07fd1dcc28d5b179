package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// rpms is a system of rpm packages. rpm itself keeps the database; a front over it knows repositories
// and dependencies.
//
// Reading leaves no trace of ours, but rpm's own: root's rpm before 4.16 makes the files __db.* and
// .dbenv.lock beside its Berkeley DB, as after any query. A process that may not write gets by without
// them.
type (
	rpms struct {
		m         *machine
		downloads downloads
		owned     *ownedFiles
	}
	rpmsWriter struct {
		m     *machine
		rpms  rpms
		write filesWriter
		turn  turn
	}
)

// rpmEnv is the environment of rpm and of the fronts over it.
var rpmEnv = []string{"HOME=/root"}

// rpmDir is the directory of the database.
func (v rpms) rpmDir() string {
	for _, dir := range rpm.DatabaseDirs {
		for _, name := range rpm.DatabaseFiles {
			if v.m.files.exists(dir + "/" + name) {
				return dir
			}
		}
	}
	return "/var/lib/rpm"
}

// rpm runs rpm for an answer. With a broken database some versions say so and exit with 0.
func (v rpms) rpm(ctx context.Context, args ...string) (answer, error) {
	path, err := v.m.program("rpm")
	if err != nil {
		return answer{}, err
	}
	got, err := v.m.run(ctx, command{Path: path, Args: args, Env: rpmEnv, Timeout: queryTimeout})
	if err == nil && containsAny(got.Stderr, brokenDatabase) {
		err = &host.CommandError{Path: path, Status: "the database cannot be read", Output: strings.TrimSpace(got.Stderr)}
	}
	return got, err
}

// brokenDatabase is how rpm complains of a database that it cannot read.
var brokenDatabase = []string{"cannot open Packages", "rpmdb open failed", "DB_RUNRECOVERY", "DB_PAGE_NOTFOUND", "error from dbenv", "rpmdbNextIterator: skipping"}

// records reads the whole database in one query. The public keys that rpm keeps among the packages are
// left out.
func (v rpms) records() ([]rpm.Record, error) {
	got, err := v.rpm(context.Background(), "-qa", "--qf", rpm.QueryFormat+rpm.RecordSeparator)
	if err != nil {
		return nil, err
	}
	machine := v.m.rpmArch()
	var records []rpm.Record
	for text := range strings.SplitSeq(got.Stdout, rpm.RecordSeparator) {
		if strings.TrimSpace(text) == "" {
			continue
		}
		r, err := rpm.ParseRecord(text, machine)
		if err != nil {
			return nil, err
		}
		if r.Package.Name == "gpg-pubkey" {
			continue
		}
		records = append(records, r)
	}
	sort.SliceStable(records, func(i, j int) bool {
		a, b := records[i].Package, records[j].Package
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return rpm.Compare(a.Version, b.Version) < 0
	})
	return records, nil
}

func (m *machine) rpmArch() string {
	facts, err := m.Facts()
	if err != nil {
		return ""
	}
	return facts.Arch
}

// PackageManager tells the front's version.
func (v rpms) PackageManager() (host.PackageManager, error) {
	front, err := v.front()
	if err != nil {
		return host.PackageManager{}, err
	}
	return front.manager()
}

// Packages reads rpm's database. Of a package that may be installed in several versions, like the
// kernel, each one is listed. A package of a foreign architecture is named NAME.ARCH.
func (v rpms) Packages() ([]host.Package, error) {
	records, err := v.records()
	if err != nil {
		return nil, err
	}
	held := v.heldPackages()
	packages := make([]host.Package, 0, len(records))
	for _, r := range records {
		r.Package.Held = matchesName(r.Package.Name, held)
		packages = append(packages, r.Package)
	}
	return packages, nil
}

func (v rpms) packagesByName() (map[string]host.Package, error) { return packagesByName(v.Packages()) }

// ownedFiles remembers which paths each package owns, for as long as the database does not change:
// rpm takes longer for the files of one package than for those of ten.
type ownedFiles struct {
	mutex  sync.Mutex
	state  string
	byName map[string][]string
}

// PackageFiles lists the paths of a package.
func (v rpms) PackageFiles(name string) ([]string, error) {
	if err := host.CheckPackageNames([]string{name}); err != nil {
		return nil, err
	}
	v.owned.mutex.Lock()
	defer v.owned.mutex.Unlock()
	state, err := v.databaseState()
	if err != nil {
		return nil, err
	}
	if v.owned.byName == nil || v.owned.state != state {
		records, err := v.records()
		if err != nil {
			return nil, err
		}
		v.owned.state, v.owned.byName = state, map[string][]string{}
		for _, r := range records {
			v.owned.byName[r.Package.Name] = append(v.owned.byName[r.Package.Name], r.Files...)
		}
		for _, files := range v.owned.byName {
			sort.Strings(files)
		}
	}
	files, known := v.owned.byName[name]
	if !known {
		return nil, fmt.Errorf("files of package %s: it is not installed", name)
	}
	return append([]string(nil), files...), nil
}

// databaseState changes whenever rpm writes to its database.
func (v rpms) databaseState() (string, error) {
	dir := v.rpmDir()
	entries, err := v.m.files.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("rpm's database: %w", err)
	}
	var b strings.Builder
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "__db.") || strings.HasSuffix(e.Name, "-shm") || strings.HasSuffix(e.Name, "lock") {
			continue
		}
		st, err := v.m.files.Lstat(dir + "/" + e.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %d %v\n", e.Name, st.Ino, st.Size, st.Mtime.UnixNano())
	}
	return b.String(), nil
}

// rpmFile reads the header of a package file, which must be whole: its digests are checked.
func (v rpms) rpmFile(path string) (rpm.Record, error) {
	if got, err := v.rpm(context.Background(), "-K", "--nosignature", "--", path); err != nil {
		return rpm.Record{}, fmt.Errorf("package file %s: %w", path, err)
	} else if !saysWhole(got.Stdout) {
		return rpm.Record{}, fmt.Errorf("package file %s: %s", path, strings.TrimSpace(got.Stdout))
	}
	got, err := v.rpm(context.Background(), "-qp", "--nosignature", "--qf", rpm.QueryFormat, "--", path)
	if err != nil {
		return rpm.Record{}, fmt.Errorf("package file %s: %w", path, err)
	}
	r, err := rpm.ParseRecord(got.Stdout, v.m.rpmArch())
	if err != nil {
		return r, fmt.Errorf("package file %s: %w", path, err)
	}
	return r, nil
}

// saysWhole reads rpm -K.
func saysWhole(said string) bool {
	return strings.Contains(said, "OK") && !strings.Contains(said, "NOT OK")
}
