package action

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Commit{} }) }

// Commit ("pkg.commit") removes and installs packages. What it would do is solved first, and refused
// if a package would go that is not on the list.
//
// Prepare keeps, in the store, package files of all that will be removed or replaced, and pre-images
// of their configuration files and directories. Apply repairs what an interrupted transaction left,
// commits what of the list is still to be done, and then asks the package database, whatever the
// manager's exit status said. Undo purges what came new from whatever state it is in, repairs, installs the kept package files,
// and puts the configuration files back; until these are back, the packages must not start their
// services, which would work on the database with the packages' own configuration.
type Commit struct {
	Tx host.Transaction `json:"tx"`
	// Patience is how long one maintainer script may take, on the way and back; 0 is without end.
	Patience time.Duration `json:"patience,omitempty"`

	Need      host.Transaction  `json:"need"`              // what of Tx was still to be done
	Solution  host.Solution     `json:"solution"`          // what the manager said it would do
	Old       []host.Package    `json:"old,omitempty"`     // removed or replaced packages, as they were
	New       []string          `json:"new,omitempty"`     // packages that were not there at all
	Files     map[string]string `json:"files,omitempty"`   // kept package files, by name
	Missing   map[string]string `json:"missing,omitempty"` // why others could not be kept
	Remains   map[string]string `json:"remains,omitempty"` // kept records of packages that had left only conffiles
	Sums      map[string]string `json:"sums,omitempty"`    // digests of these files
	Conffiles []Preimage        `json:"conffiles,omitempty"`
	Dirs      []Preimage        `json:"dirs,omitempty"`      // the packages' directories
	Namesakes []Preimage        `json:"namesakes,omitempty"` // files named after what comes; of configuration with their content

	Unrecorded fileNames  `json:"unrecorded,omitempty"` // directories that held too many of these
	Beside     []string   `json:"beside,omitempty"`     // files like X.dpkg-dist that were there
	Accounts   []Preimage `json:"accounts,omitempty"`
	Services   []*Service `json:"services,omitempty"` // of the packages that go, as they were
	Links      []Preimage `json:"links,omitempty"`    // of their init scripts, in the runlevels
	Wants      []Preimage `json:"wants,omitempty"`    // links that enable masked services, which systemd does not show
	Policy     Preimage   `json:"policy,omitzero"`    // PolicyFile, where the packages' scripts ask it
}

func (a *Commit) Kind() string     { return "pkg.commit" }
func (a *Commit) Stage(*Env) error { return nil }

func (a *Commit) Summary() string {
	var parts []string
	if len(a.Tx.Remove) > 0 {
		verb := "remove "
		if a.Tx.Purge {
			verb = "purge "
		}
		parts = append(parts, verb+strings.Join(a.Tx.Remove, ", "))
	}
	if len(a.Tx.Install) > 0 {
		parts = append(parts, "install "+strings.Join(a.Tx.Install, ", "))
	}
	return strings.Join(parts, "; ")
}

func (a *Commit) Touches() []policy.Target {
	var targets []policy.Target
	for _, name := range slices.Concat(a.Tx.Remove, a.Tx.Install) {
		targets = append(targets, policy.Target{Class: policy.Package, Name: targetName(name)})
	}
	return targets
}

// targetName is the package that NAME, NAME=VERSION or a package file is about.
func targetName(item string) string {
	name := path.Base(item)
	if !path.IsAbs(item) {
		name, _, _ = strings.Cut(item, "=")
		return bareName(name)
	}
	if path.Ext(name) == ".deb" { // NAME_VERSION_ARCH.deb
		name, _, _ = strings.Cut(name, "_")
		return name
	}
	name = strings.TrimSuffix(name, ".rpm") // NAME-VERSION-RELEASE.ARCH.rpm
	for range 2 {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return name
}

// bareName leaves out dpkg's architecture: libc6:amd64.
func bareName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}

// Irreversible names the packages that cannot be installed again from a kept file.
func (a *Commit) Irreversible() string {
	if len(a.Missing) == 0 {
		return ""
	}
	var reasons []string
	for _, name := range sortedKeys(a.Missing) {
		reasons = append(reasons, name+" ("+a.Missing[name]+")")
	}
	return "these packages cannot be kept and so not be put back: " + strings.Join(reasons, ", ")
}

func (a *Commit) Prepare(env *Env) (bool, error) {
	audit, err := env.Host.PackageAudit()
	if err != nil {
		return false, err
	}
	if len(audit) > 0 {
		return false, fmt.Errorf("%s: the package database is half-way (%s); repair it first", a.Summary(), strings.Join(audit, "; "))
	}
	have, err := packages(env.Host)
	if err != nil {
		return false, err
	}
	a.Need = remaining(a.Tx, have)
	if len(a.Need.Remove)+len(a.Need.Install) == 0 {
		return false, nil
	}
	if a.Solution, err = env.Host.Solve(a.Need); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if len(a.Solution.Install)+len(a.Solution.Upgrade)+len(a.Solution.Remove) == 0 {
		return false, nil
	}
	if err := refuseMore(a.Solution, a.Tx.Remove); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return true, a.record(env, have)
}

// packages is the package database by name.
func packages(v host.View) (map[string]host.Package, error) {
	list, err := v.Packages()
	if err != nil {
		return nil, err
	}
	have := make(map[string]host.Package, len(list))
	for _, p := range list {
		if known, twice := have[bareName(p.Name)]; !twice || !known.Installed() {
			have[bareName(p.Name)] = p
		}
	}
	return have, nil
}

// remaining is what of a transaction is still to be done. Whether a package file is installed cannot
// be told from its name; the manager knows.
func remaining(tx host.Transaction, have map[string]host.Package) host.Transaction {
	need := tx
	need.Remove, need.Install = nil, nil
	for _, name := range tx.Remove {
		if p, ok := have[bareName(name)]; ok && !gone(p, tx.Purge) {
			need.Remove = append(need.Remove, name)
		}
	}
	for _, item := range tx.Install {
		name, version, exact := strings.Cut(item, "=")
		p, ok := have[bareName(name)]
		if path.IsAbs(item) || !ok || !p.Installed() || exact && p.Version != version {
			need.Install = append(need.Install, item)
		}
	}
	return need
}

func gone(p host.Package, purge bool) bool {
	return p.Status == "" || p.Status == "config-files" && !purge
}

// refuseMore refuses a solution that removes a package that nobody asked to remove.
func refuseMore(s host.Solution, asked []string) error {
	var more []string
	for _, c := range s.Remove {
		if !slices.ContainsFunc(asked, func(name string) bool { return bareName(name) == bareName(c.Name) }) {
			more = append(more, c.Name)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return fmt.Errorf("the package manager would also remove %s, which is not on the list; nothing was changed. Add them to the list if they may go, or find out what needs them",
		strings.Join(more, ", "))
}

// Detail lists the packages that come and go.
func (a *Commit) Detail(*Env) (Detail, error) {
	var d Detail
	for _, c := range a.Solution.Remove {
		verb := "remove"
		if c.Purge {
			verb = "purge"
		}
		d.Lines = append(d.Lines, verb+" "+c.Name+" "+c.Version)
	}
	for _, c := range a.Solution.Install {
		d.Lines = append(d.Lines, "install "+c.Name+" "+c.Version+origin(c))
	}
	for _, c := range a.Solution.Upgrade {
		d.Lines = append(d.Lines, fmt.Sprintf("replace %s %s by %s", c.Name, c.Old, c.Version)+origin(c))
	}
	for _, dir := range a.Unrecorded {
		d.Lines = append(d.Lines, dir+" holds so much that not every owner in it is recorded: where a package changes one, a rollback leaves that")
	}
	d.Bytes = a.Solution.Download
	return d, nil
}

// origin says where a package comes from: the repository, or what a simulation knows it from.
func origin(c host.Change) string {
	if c.Origin == "" {
		return ""
	}
	return " (" + c.Origin + ")"
}

// Cost implements Coster.
func (a *Commit) Cost() Span {
	n := time.Duration(len(a.Solution.Remove) + len(a.Solution.Install) + len(a.Solution.Upgrade))
	return Span{n * packagePace.least, n * packagePace.most}.Plus(downloadPace.of(a.Solution.Download))
}

// BrokenOff implements Breakable.
func (a *Commit) BrokenOff() string { return packagesBroken }

// packagesBroken is what it means when the work on packages is broken off.
const packagesBroken = "packages may be half installed, and the package manager refuses other work until that is mended; a resume and a rollback begin with it, and by hand `dpkg --configure -a` and `apt-get -f install` do it"

// LosesPackages implements PackageTransaction.
func (a *Commit) LosesPackages() bool { return len(a.Missing) > 0 }

func (a *Commit) Apply(env *Env) (Result, error) {
	if err := env.Undisturbed(""); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := repairWith(env, nil, a.watch(env), a.installFiles); err != nil {
		return Result{}, err
	}
	have, err := packages(env.Host)
	if err != nil {
		return Result{}, err
	}
	rest := a.rest(have)
	if len(rest.Remove)+len(rest.Install) > 0 {
		if err := env.Host.CommitPackages(env.Ctx, rest, a.watch(env)); err != nil {
			return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
		}
	}
	if err := a.verify(env); err != nil {
		return Result{}, err
	}
	if err := syncFileSystems(env.Host, packagePlaces...); err != nil {
		return Result{}, err
	}
	if err := a.markAccounts(env); err != nil {
		return Result{}, err
	}
	return Result{Summary: fmt.Sprintf("%d packages removed, %d installed, %d replaced",
		len(a.Solution.Remove), len(a.Solution.Install), len(a.Solution.Upgrade))}, nil
}

// unsolved lists what the solution promised to install and is not there.
func (a *Commit) unsolved(have map[string]host.Package) []string {
	var names []string
	for _, c := range a.unsolvedChanges(have) {
		names = append(names, c.Name)
	}
	return names
}

func (a *Commit) unsolvedChanges(have map[string]host.Package) []host.Change {
	var changes []host.Change
	for _, c := range slices.Concat(a.Solution.Install, a.Solution.Upgrade) {
		if p := have[bareName(c.Name)]; !p.Installed() || c.Version != "" && p.Version != c.Version {
			changes = append(changes, c)
		}
	}
	return changes
}

// rest is what is still to be done: of the list, and of what the solution brings with it, because
// after an interruption the asked package can be there without those that come along.
func (a *Commit) rest(have map[string]host.Package) host.Transaction {
	rest := remaining(a.Need, have)
	unsolved := a.unsolvedChanges(have)
	if len(unsolved) == 0 {
		rest.Install = nil // package files, whose names tell nothing
	}
	for _, c := range unsolved {
		named := func(item string) bool { return targetName(item) == bareName(c.Name) }
		if slices.ContainsFunc(rest.Install, named) {
			continue
		}
		item := c.Name
		if c.Version != "" {
			item += "=" + c.Version
		}
		rest.Install = append(rest.Install, item)
	}
	return rest
}

// verify asks the package database whether all is as wanted.
func (a *Commit) verify(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	rest := remaining(a.Need, have)
	left := append(rest.Remove, a.unsolved(have)...)
	if len(left) > 0 {
		return fmt.Errorf("%s: the package manager reported success, but these are not as wanted: %s; see its log (/var/log/apt/term.log, /var/log/yum.log)",
			a.Summary(), strings.Join(left, ", "))
	}
	return nil
}

func (a *Commit) watch(env *Env) *host.PackageWatch { return watchPackages(env, a.Patience) }

// watchPackages tells what the package manager says, and what keeps it: a script by its name.
func watchPackages(env *Env, patience time.Duration) *host.PackageWatch {
	n := int64(0)
	return &host.PackageWatch{Patience: patience, Tell: func(work host.PackageWork) {
		switch {
		case work.Said:
			n++
			env.Progress(Progress{What: "packages", Done: n, Unit: "lines", Text: work.Line})
		case work.Script && patience > 0:
			env.Progress(Progress{What: "script " + work.Doing, Done: seconds(work.For), Total: seconds(patience), Unit: "s", Text: work.Line})
		case work.Script:
			env.Progress(Progress{What: "script " + work.Doing, Done: seconds(work.For), Unit: "s", Text: work.Line})
		default:
			env.Progress(Progress{What: work.Doing, Done: seconds(work.For), Unit: "s", Text: work.Line})
		}
	}}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// repair finishes what an interrupted transaction left. If only this program was killed, the package
// manager that it had started may be at work still: nothing can be said of the packages before it
// has ended, and RepairPackages waits for that.
func repair(env *Env, stay []string, w *host.PackageWatch) error {
	holder, err := env.Host.PackageLock()
	if err != nil {
		return err
	}
	audit, err := env.Host.PackageAudit()
	if err != nil || holder == nil && len(audit) == 0 {
		return err
	}
	if err := env.Host.RepairPackages(env.Ctx, stay, w); err != nil {
		return fmt.Errorf("repair the package database: %w", err)
	}
	return nil
}

// repairWith repairs, and where that fails installs package files first: a package that was being
// unpacked can only be unpacked again, and no repository may offer it.
func repairWith(env *Env, stay []string, w *host.PackageWatch, install func(*Env) error) error {
	failed := repair(env, stay, w)
	if failed == nil || env.Ctx.Err() != nil {
		return failed
	}
	if err := install(env); err != nil {
		return errors.Join(failed, err)
	}
	return repair(env, stay, w)
}

// installFiles installs what is still to be installed from package files.
func (a *Commit) installFiles(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	tx := a.Tx
	tx.Remove, tx.Install = nil, nil
	for _, item := range a.rest(have).Install {
		if path.IsAbs(item) {
			tx.Install = append(tx.Install, item)
		}
	}
	if len(tx.Install) == 0 {
		return nil
	}
	return env.Host.CommitPackages(env.Ctx, tx, a.watch(env))
}
