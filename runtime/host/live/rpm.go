package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"sync"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"zcp2kopano/runtime/host"
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

// rpmFields are asked of each package, in the order in which parseRPMRecord reads them. FILEMD5S is the
// name of file digests, of whatever kind, that every rpm since 4.4 knows.
var rpmFields = []string{
	"%{NAME}", "%{EPOCH}", "%{VERSION}-%{RELEASE}", "%{ARCH}", "%{VENDOR}", "%{SOURCERPM}", "%{SUMMARY}", "%{SIZE}",
	"[%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}" + itemSeparator + "]",
	"[%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}" + itemSeparator + "]",
	"[%{CONFLICTNAME} %{CONFLICTFLAGS:depflags} %{CONFLICTVERSION}" + itemSeparator + "]",
	"[%{FILEFLAGS} %{FILEMD5S} %{FILENAMES}" + itemSeparator + "]",
}

const itemSeparator = "\x1d"

// Flags of files in a package (rpmfileAttrs).
const (
	fileIsConfig  = 1 << 0
	fileMissingOK = 1 << 3
	fileNoReplace = 1 << 4
	fileIsGhost   = 1 << 6
)

// rpmRecord is a package of the database with the paths that it owns.
type rpmRecord struct {
	host.Package
	files []string
}

// rpmDirs are where rpm keeps its database, the newer place first.
var rpmDirs = []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"}

// databaseFiles are the names of rpm's main table in Berkeley DB, ndb and SQLite.
var databaseFiles = []string{"Packages", "Packages.db", "rpmdb.sqlite"}

// rpmDir is the directory of the database.
func (v rpms) rpmDir() string {
	for _, dir := range rpmDirs {
		for _, name := range databaseFiles {
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
func (v rpms) records() ([]rpmRecord, error) {
	format := strings.Join(rpmFields, fieldSeparator) + recordSeparator
	got, err := v.rpm(context.Background(), "-qa", "--qf", format)
	if err != nil {
		return nil, err
	}
	machine := v.m.rpmArch()
	var records []rpmRecord
	for text := range strings.SplitSeq(got.Stdout, recordSeparator) {
		if strings.TrimSpace(text) == "" {
			continue
		}
		r, err := parseRPMRecord(text)
		if err != nil {
			return nil, err
		}
		if r.Name == "gpg-pubkey" {
			continue
		}
		r.Name = rpmName(r.Name, r.Arch, machine)
		records = append(records, r)
	}
	sort.SliceStable(records, func(i, j int) bool {
		a, b := records[i], records[j]
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return compareEVR(a.Version, b.Version) < 0
	})
	return records, nil
}

// compareEVR orders versions of the form [EPOCH:]VERSION[-RELEASE] as rpm does.
func compareEVR(a, b string) int {
	return rpmversion.NewVersion(a).Compare(rpmversion.NewVersion(b))
}

// rpmName is NAME, or NAME.ARCH for a package of another architecture than the machine's, which may be
// installed beside it.
func rpmName(name, arch, machine string) string {
	if arch == machine || arch == "noarch" || arch == "" || isX86(arch) && isX86(machine) {
		return name
	}
	return name + "." + arch
}

// isX86 tells whether it is one of the names of 32-bit x86, of which a system mixes several.
func isX86(arch string) bool {
	switch arch {
	case "i386", "i486", "i586", "i686", "athlon":
		return true
	}
	return false
}

func (m *machine) rpmArch() string {
	facts, err := m.Facts()
	if err != nil {
		return ""
	}
	return facts.Arch
}

func parseRPMRecord(text string) (rpmRecord, error) {
	f := strings.Split(text, fieldSeparator)
	if len(f) != len(rpmFields) {
		return rpmRecord{}, fmt.Errorf("rpm -qa: record of %d fields instead of %d: %.80q", len(f), len(rpmFields), text)
	}
	for i := range f {
		if f[i] == "(none)" {
			f[i] = ""
		}
	}
	size, _ := strconv.ParseInt(f[7], 10, 64)
	r := rpmRecord{Package: host.Package{
		Name: f[0], Version: rpmEVR(f[1], f[2]), Arch: f[3], Status: "installed",
		Origin: f[4], Source: sourceName(f[5], f[0]), Summary: f[6], SizeKiB: (size + 1023) >> 10,
		Depends: relationList(f[8]), Provides: relationList(f[9]), Conflicts: relationList(f[10]),
	}}
	for item := range strings.SplitSeq(f[11], itemSeparator) {
		flags, rest, _ := strings.Cut(item, " ")
		digest, path, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(path, "/") {
			continue
		}
		r.files = append(r.files, path)
		if bits, _ := strconv.ParseUint(flags, 10, 32); bits&fileIsConfig != 0 && digest != "" || bits&(fileIsConfig|fileIsGhost) == fileIsConfig|fileIsGhost {
			r.Conffiles = append(r.Conffiles, host.Conffile{
				Path: path, MD5: digest,
				NoReplace: bits&fileNoReplace != 0, Ghost: bits&fileIsGhost != 0, MissingOK: bits&fileMissingOK != 0,
			})
		}
	}
	return r, nil
}

// rpmEVR leaves out an epoch of 0, which is the same as none.
func rpmEVR(epoch, versionRelease string) string {
	if epoch == "" || epoch == "0" || epoch == "(none)" {
		return versionRelease
	}
	return epoch + ":" + versionRelease
}

// sourceName takes version and release off the name of a source package: zarafa-7.2.6-1.src.rpm.
func sourceName(file, name string) string {
	parts := strings.Split(file, "-")
	if len(parts) < 3 {
		return name
	}
	return strings.Join(parts[:len(parts)-2], "-")
}

// relationList writes relations as "NAME OP VERSION", parted by commas. What a package demands of rpm
// itself (rpmlib(...)) is left out.
func relationList(text string) string {
	var list []string
	seen := map[string]bool{}
	for item := range strings.SplitSeq(text, itemSeparator) {
		relation := strings.Join(strings.Fields(item), " ")
		if relation == "" || seen[relation] || strings.HasPrefix(relation, "rpmlib(") || strings.HasPrefix(relation, "(none)") {
			continue
		}
		seen[relation] = true
		list = append(list, relation)
	}
	return strings.Join(list, ", ")
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
		r.Held = matchesName(r.Name, held)
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
	if err := checkPackageNames([]string{name}); err != nil {
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
			v.owned.byName[r.Name] = append(v.owned.byName[r.Name], r.files...)
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
func (v rpms) rpmFile(path string) (rpmRecord, error) {
	if got, err := v.rpm(context.Background(), "-K", "--nosignature", "--", path); err != nil {
		return rpmRecord{}, fmt.Errorf("package file %s: %w", path, err)
	} else if !strings.Contains(got.Stdout, "OK") || strings.Contains(got.Stdout, "NOT OK") {
		return rpmRecord{}, fmt.Errorf("package file %s: %s", path, strings.TrimSpace(got.Stdout))
	}
	got, err := v.rpm(context.Background(), "-qp", "--nosignature", "--qf", strings.Join(rpmFields, fieldSeparator), "--", path)
	if err != nil {
		return rpmRecord{}, fmt.Errorf("package file %s: %w", path, err)
	}
	r, err := parseRPMRecord(got.Stdout)
	if err != nil {
		return r, fmt.Errorf("package file %s: %w", path, err)
	}
	r.Name = rpmName(r.Name, r.Arch, v.m.rpmArch())
	return r, nil
}
