package host

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// PackageReader reads the package databases.
type PackageReader interface {
	// PackageManager names the manager and its version.
	PackageManager() (PackageManager, error)
	// Packages lists every package that the database knows, in order of name: also those that left
	// only their conffiles.
	Packages() ([]Package, error)
	// PackageFiles lists the paths that an installed package owns, directories included.
	PackageFiles(name string) ([]string, error)
	// Candidates returns what the configured repositories offer for these names, newest first;
	// a name that none offers is absent from the map.
	Candidates(names []string) (map[string][]Candidate, error)
	// Solve asks the manager what a transaction would do. An impossible one is *SolveError.
	Solve(tx Transaction) (Solution, error)
	// PackageLock says who holds the manager's lock, nil if it is free.
	PackageLock() (*LockHolder, error)
	// PackageAudit lists what is broken or half-way in the database, one line each; nil if nothing.
	PackageAudit() ([]string, error)
	// Losses says why nothing could be kept of installed packages if SavePackages were called now. It builds none, so that
	// what goes wrong only while one is built is not foreseen.
	Losses(names []string) (map[string]string, error)
	// ProbeRepository checks, in a scratch directory and without touching the configured ones, that a
	// repository answers, is signed as its files demand, and offers the named packages.
	ProbeRepository(ctx context.Context, repo RepositoryProbe) (RepositoryAnswer, error)
}

// IsFileOf reports whether a package file is what an installed package was installed from, by what it says of itself.
func IsFileOf(f PackageFile, p Package) bool {
	name, _, _ := strings.Cut(p.Name, ":") // dpkg's packages of a foreign architecture
	name = strings.TrimSuffix(name, "."+p.Arch)
	return p.Installed() && f.Name == name && f.Version == p.Version && f.Arch == p.Arch
}

// PackageWriter changes what is installed.
type PackageWriter interface {
	// RefreshPackages rereads the repositories' lists. A repository that does not answer, or is not
	// signed as configured, is an error that names it. Only names the source files to refresh
	// (absolute paths); empty for all.
	RefreshPackages(ctx context.Context, only []string, w *PackageWatch) error
	// CommitPackages carries a transaction out, noninteractively, keeping old conffiles.
	CommitPackages(ctx context.Context, tx Transaction, w *PackageWatch) error
	// RepairPackages finishes what an interrupted transaction left (dpkg --configure -a; the locks and
	// the second versions that a dead rpm leaves). Of packages that are to stay it ends no removal that
	// was begun.
	RepairPackages(ctx context.Context, stay []string, w *PackageWatch) error
	// ExpelPackages purges packages from whatever state they are in, and configures none of them before.
	// A maintainer script that fails or hangs is tried once; then it is kept in a directory, and its
	// package goes without it. So does one whose script hung the last time. Of an empty list, it only waits
	// until nobody else is at work on the packages.
	ExpelPackages(ctx context.Context, list []Change, keep string, w *PackageWatch) error
	// SavePackages keeps installed packages as package files in dir, so that they can be installed
	// again: from the manager's cache, a repository, or packed from the installed state. It
	// returns the file of each package, and the reason for each that cannot be kept.
	SavePackages(ctx context.Context, names []string, dir string, w *PackageWatch) (files map[string]string, missing map[string]string, err error)
	// SaveRemains keeps in dir what the database knows of packages that have left only their conffiles,
	// the conffiles themselves left out, and returns the file of each. RestoreRemains makes the
	// database know it again, also over later remains of the same package.
	SaveRemains(ctx context.Context, names []string, dir string) (files map[string]string, err error)
	RestoreRemains(ctx context.Context, file string) error
	// MarkPackages sets marks of installed packages. Those that the manager has no notion of are
	// ErrUnsupported.
	MarkPackages(ctx context.Context, marks []PackageMark) error
}

// PackageWatch is how long work on packages may take, and who hears of it. A nil one has all patience and
// tells nobody.
type PackageWatch struct {
	// Patience is for one maintainer script: then it is ended, with all that it started. 0 is without end.
	Patience time.Duration
	// Doomed are packages that go whatever becomes of them. While a process of an earlier, broken off run has
	// the manager's lock and hangs in a script of theirs, that script is ended.
	Doomed []string
	// Tell is told each line that the manager says, and each second what it is at.
	Tell func(PackageWork)
	// Warned is what went wrong beside the packages, which are as wanted all the same.
	Warned []string
}

// PackageWork is what a package manager is at.
type PackageWork struct {
	Doing  string        // "packing kopano-server", or a script: "kopano-server.postinst"; empty if nothing is known but Line
	For    time.Duration // how long it has been at it
	Line   string        // what it said last
	Script bool          // Doing is a maintainer script
	Said   bool          // Line is new
}

// Line tells a line that the manager has just said.
func (w *PackageWatch) Line(line string) {
	if w != nil && w.Tell != nil {
		w.Tell(PackageWork{Line: line, Said: true})
	}
}

// Warn notes what went wrong beside the packages.
func (w *PackageWatch) Warn(text string) {
	if w != nil {
		w.Warned = append(w.Warned, text)
		w.Line(text)
	}
}

// Doing tells what the manager is at.
func (w *PackageWatch) Doing(work PackageWork) {
	if w != nil && w.Tell != nil {
		w.Tell(work)
	}
}

// During tells each second that the manager is at something, until the function that it returns is called.
func (w *PackageWatch) During(doing string) (done func()) {
	if w == nil || w.Tell == nil {
		return func() {}
	}
	began := time.Now()
	w.Tell(PackageWork{Doing: doing})
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				w.Tell(PackageWork{Doing: doing, For: time.Since(began)})
			}
		}
	}()
	return func() { close(over); <-gone }
}

// PackageMark is what the database notes of an installed package for later decisions.
type PackageMark struct {
	Name string `json:"name"`
	Held bool   `json:"held"`
	Auto bool   `json:"auto"`
}

// PackageManager is "apt", "yum", "dnf" or "zypper" and its version.
type PackageManager struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Package is one entry of the package database.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	// Status is "installed", "config-files" (removed, conffiles left), or the manager's own word for
	// anything half-way ("half-configured", "unpacked", ...).
	Status    string     `json:"status"`
	Held      bool       `json:"held,omitempty"`
	Auto      bool       `json:"auto,omitempty"` // came as a dependency; nobody asked for it
	Origin    string     `json:"origin"`         // dpkg: Maintainer; rpm: Vendor
	Source    string     `json:"source"`         // source package, the name itself if none is said
	Summary   string     `json:"summary,omitempty"`
	SizeKiB   int64      `json:"size_kib,omitempty"`
	Depends   string     `json:"depends,omitempty"` // Pre-Depends and Depends, dpkg syntax; rpm: Requires, comma separated
	Provides  string     `json:"provides,omitempty"`
	Conflicts string     `json:"conflicts,omitempty"`
	Conffiles []Conffile `json:"conffiles,omitempty"`
	// Ghosts are rpm's: paths that it owns and does not bring, such as logs, which go with it; but for configuration.
	Ghosts []string `json:"ghosts,omitempty"`
}

// Installed reports whether the package is fully there.
func (p Package) Installed() bool { return p.Status == "installed" }

// Conffile is a configuration file of a package with the digest that the package shipped.
type Conffile struct {
	Path string `json:"path"`
	// MD5 is a digest in hexadecimal. Packages of rpm say in their own header which kind they use; the
	// length tells it: 32 digits are MD5, 64 are SHA-256.
	MD5      string `json:"md5"`
	Obsolete bool   `json:"obsolete,omitempty"` // dpkg
	// The rest is rpm's: an edited NoReplace file stays where the package brings another one (.rpmnew),
	// any other gives way (.rpmsave); a Ghost is owned but not shipped; MissingOK may be deleted.
	NoReplace bool `json:"no_replace,omitempty"`
	Ghost     bool `json:"ghost,omitempty"`
	MissingOK bool `json:"missing_ok,omitempty"`
}

// Candidate is a version that a repository offers.
type Candidate struct {
	Version string `json:"version"`
	Origin  string `json:"origin"` // the repository, as the manager names it
	Depends string `json:"depends,omitempty"`
}

// Transaction is what is asked of the package manager.
type Transaction struct {
	Remove  []string `json:"remove,omitempty"`
	Purge   bool     `json:"purge,omitempty"`   // remove conffiles too (dpkg); applies to Remove
	Install []string `json:"install,omitempty"` // NAME, NAME=VERSION, or the absolute path of a package file
	// NoRecommends leaves recommended packages out.
	NoRecommends bool `json:"no_recommends,omitempty"`
	// Downgrade allows an older version (used to go back).
	Downgrade bool `json:"downgrade,omitempty"`
}

// Solution is what the manager says it would do.
type Solution struct {
	Install   []Change `json:"install,omitempty"`
	Upgrade   []Change `json:"upgrade,omitempty"`
	Remove    []Change `json:"remove,omitempty"`
	Download  int64    `json:"download,omitempty"`   // bytes
	DiskDelta int64    `json:"disk_delta,omitempty"` // bytes; negative when space is freed
}

// RefuseExtra refuses to remove packages that the transaction does not list, and that may not go along
// either. Names are those of the package database: dpkg's NAME:ARCH and rpm's NAME.ARCH of a foreign
// architecture are other packages than NAME.
func (tx Transaction) RefuseExtra(remove []Change, along ...string) error {
	var extra []string
	for _, c := range remove {
		if !slices.Contains(tx.Remove, c.Name) && !slices.Contains(along, c.Name) {
			extra = append(extra, strings.TrimSpace(c.Name+" "+c.Version))
		}
	}
	if len(extra) == 0 {
		return nil
	}
	slices.Sort(extra)
	return &SolveError{Summary: "the package manager would also remove " + strings.Join(extra, ", ")}
}

// Change is a package that a solution touches.
type Change struct {
	Name    string `json:"name"`
	Version string `json:"version"`       // the version that comes, or goes
	Old     string `json:"old,omitempty"` // for an upgrade
	Purge   bool   `json:"purge,omitempty"`
	Origin  string `json:"origin,omitempty"`
}

// LockHolder is a process that holds the package manager's lock.
type LockHolder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	Path    string `json:"path"`
}

// RepositoryProbe is a repository to check before it is configured: its files as they would be
// written, and the packages that it must offer.
type RepositoryProbe struct {
	Files    []ConfigFile
	Packages []string
	// Tx is solved, too, as if the repository were configured beside the others and what Tx removes were
	// gone already; may be nil.
	Tx *Transaction
}

// ConfigFile is a file's path and content.
type ConfigFile struct {
	Path    string
	Content Secret
	Mode    uint32
}

// RepositoryAnswer is what a probed repository offers of the packages asked for.
type RepositoryAnswer struct {
	Offers  map[string]string `json:"offers"` // name to newest version
	Missing []string          `json:"missing,omitempty"`
	// Known is false where the host may not ask (a simulation): then Offers says what it assumes.
	Known bool `json:"known"`
	// Solution is of the installation that the probe's transaction asks for; an impossible one is *SolveError.
	Solution Solution `json:"solution,omitzero"`
}

// CheckPackageNames refuses what a package manager would read as an option or a pattern: NAME, NAME:ARCH,
// NAME=VERSION and absolute paths remain.
func CheckPackageNames(names []string) error {
	for _, name := range names {
		if strings.HasPrefix(name, "/") {
			continue
		}
		base, version, hasVersion := strings.Cut(name, "=")
		if !isPackageName(base) || hasVersion && !isPackageName(version) {
			return fmt.Errorf("%q is not the name of a package", name)
		}
	}
	return nil
}

func isPackageName(name string) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && strings.ContainsRune("+-.:~_", c):
		default:
			return false
		}
	}
	return name != ""
}

// PackedFile is a path that a package brings, or owns.
type PackedFile struct {
	Path    string
	Mode    fs.FileMode // with the type
	User    string      // name or number; empty for root
	Group   string
	Size    int64
	Target  string // of a symlink
	Link    string // path of the file that this one is a hard link to
	Content []byte // nil where it is not known
	Mtime   time.Time
	Bare    bool // only the path is known: mode and size are guesses
	Approx  bool // Content is only like the real one

	NoReplace bool   // rpm: a configuration file that stays if it was edited
	Ghost     bool   // rpm: owned, and not in the package
	MissingOK bool   // rpm: not made again where it was deleted
	Digest    string // rpm: of the content that the package has
}

// PackedContent is the size up to which the content of a file in a package is kept in memory. Larger files keep
// their size.
const PackedContent = 4 << 20

// SortPacked sorts files by path, parents before children.
func SortPacked(files []PackedFile) {
	slices.SortFunc(files, func(a, b PackedFile) int { return cmp.Compare(a.Path, b.Path) })
}

// FindPacked finds a path among files that are sorted; -1 if it is not there.
func FindPacked(files []PackedFile, path string) int {
	i, ok := slices.BinarySearchFunc(files, path, func(f PackedFile, s string) int { return cmp.Compare(f.Path, s) })
	if !ok {
		return -1
	}
	return i
}
