package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

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
// manager's exit status said. Undo repairs, purges what came new, installs the kept package files,
// and puts the configuration files back; until these are back, the packages must not start their
// services, which would work on the database with the packages' own configuration.
type Commit struct {
	Tx host.Transaction `json:"tx"`

	Need      host.Transaction  `json:"need"`              // what of Tx was still to be done
	Solution  host.Solution     `json:"solution"`          // what the manager said it would do
	Old       []host.Package    `json:"old,omitempty"`     // removed or replaced packages, as they were
	New       []string          `json:"new,omitempty"`     // packages that were not there at all
	Files     map[string]string `json:"files,omitempty"`   // kept package files, by name
	Missing   map[string]string `json:"missing,omitempty"` // why others could not be kept
	Remains   map[string]string `json:"remains,omitempty"` // kept records of packages that had left only conffiles
	Conffiles []Preimage        `json:"conffiles,omitempty"`
	Dirs      []Preimage        `json:"dirs,omitempty"`   // the packages' directories
	Beside    []string          `json:"beside,omitempty"` // files like X.dpkg-dist that were there
	Accounts  []Preimage        `json:"accounts,omitempty"`
	Services  []*Service        `json:"services,omitempty"` // of the packages that go, as they were
	Links     []Preimage        `json:"links,omitempty"`    // of their init scripts, in the runlevels
	Wants     []Preimage        `json:"wants,omitempty"`    // links that enable masked services, which systemd does not show
	Policy    Preimage          `json:"policy,omitzero"`    // PolicyFile, where the packages' scripts ask it
}

// accountFiles are changed by the packages' scripts, which make accounts and never remove them.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}

// leftovers are the names that dpkg and rpm give to the other version of a configuration file.
var leftovers = []string{".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".rpmnew", ".rpmorig", ".rpmsave"}

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

// record completes the undo information.
func (a *Commit) record(env *Env, have map[string]host.Package) error {
	var save []string
	for _, c := range slices.Concat(a.Solution.Remove, a.Solution.Upgrade) {
		p, ok := have[bareName(c.Name)]
		if !ok {
			continue
		}
		a.Old = append(a.Old, p)
		if p.Installed() {
			save = append(save, p.Name)
		}
	}
	for _, c := range a.Solution.Install {
		if p, ok := have[bareName(c.Name)]; ok {
			a.Old = append(a.Old, p)
		} else {
			a.New = append(a.New, c.Name)
		}
	}
	if err := a.recordFiles(env); err != nil {
		return err
	}
	if err := a.recordAccounts(env); err != nil {
		return err
	}
	if err := a.recordPolicy(env); err != nil {
		return err
	}
	var left []string
	for _, p := range a.Old {
		if p.Status == "config-files" {
			left = append(left, p.Name)
		}
	}
	if len(save)+len(left) == 0 {
		return nil
	}
	dir := path.Join(env.Store.Dir, "packages")
	if err := mkdirAll(env.Host, dir); err != nil {
		return err
	}
	var err error
	if len(left) > 0 {
		if a.Remains, err = env.Host.SaveRemains(env.Ctx, left, dir); err != nil {
			return err
		}
	}
	if len(save) == 0 {
		return nil
	}
	a.Files, a.Missing, err = env.Host.SavePackages(env.Ctx, save, dir)
	return err
}

// recordFiles takes pre-images of configuration files and of the packages' directories.
func (a *Commit) recordFiles(env *Env) error {
	dirs, services := map[string]bool{}, map[string]bool{}
	for _, p := range a.Old {
		for _, c := range p.Conffiles {
			if err := a.recordConffile(env, c.Path); err != nil {
				return err
			}
		}
		if !p.Installed() && p.Status != "config-files" {
			continue
		}
		files, err := env.Host.PackageFiles(p.Name)
		if err != nil {
			return err
		}
		for _, f := range files {
			dirs[path.Clean(f)] = true
			if name := serviceOf(path.Clean(f)); name != "" {
				services[name] = true
			}
		}
	}
	for _, name := range sortedKeys(services) {
		if err := a.recordService(env, name); err != nil {
			return err
		}
	}
	if err := a.namesakes(env.Host, dirs); err != nil {
		return err
	}
	for _, name := range sortedKeys(dirs) {
		there, err := isDir(env.Host, name)
		if err != nil {
			return err
		}
		if !there || name == "/" {
			continue
		}
		p, err := saveMeta(env, name)
		if err != nil {
			return err
		}
		a.Dirs = append(a.Dirs, p)
	}
	return nil
}

// packagePlaces are where packages and their scripts change something; each can be a file system of its
// own. Package managers make durable what they unpack; what the scripts do is not.
var packagePlaces = []string{"/", "/etc", "/opt", "/srv", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool"}

// stateParents are where packages keep directories of their own name.
var stateParents = []string{"/etc", "/opt", "/srv", "/var/cache", "/var/lib", "/var/log", "/var/spool"}

// namesakes adds the directories, and those in them, that are named after packages that come new: they
// are there before (a mount point, the remains of an earlier installation), and the packages' scripts
// may give them another owner, or their removal take them along.
func (a *Commit) namesakes(v host.FileReader, dirs map[string]bool) error {
	tops := map[string]bool{}
	for _, name := range a.New {
		stem, _, _ := strings.Cut(bareName(name), "-")
		for _, parent := range stateParents {
			tops[path.Join(parent, stem)] = true
			tops[path.Join(parent, bareName(name))] = true
		}
	}
	for _, top := range sortedKeys(tops) {
		there, err := isDir(v, top)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		list, err := v.ReadDir(top)
		if err != nil {
			return err
		}
		dirs[top] = true
		for _, e := range list {
			if e.Type.IsDir() {
				dirs[path.Join(top, e.Name)] = true
			}
		}
	}
	return nil
}

// isDir tells whether a directory is at a path; a symlink to one is none.
func isDir(v host.FileReader, name string) (bool, error) {
	st, err := v.Lstat(name)
	if absent(err) {
		return false, nil
	}
	return err == nil && st.IsDir(), err
}

func (a *Commit) recordAccounts(env *Env) error {
	for _, name := range accountFiles {
		p, err := env.Store.Save(name)
		if errors.Is(err, host.ErrUnknown) { // a simulated host may lack what root alone can read
			continue
		}
		if err != nil {
			return err
		}
		a.Accounts = append(a.Accounts, p)
	}
	return nil
}

// accountMark is what the account files were when the transaction had ended, by path.
type accountMark struct {
	Accounts map[string]string `json:"accounts"`
}

// markAccounts notes how the scripts left the account files, so that Undo can tell their changes from
// those that somebody else makes later.
func (a *Commit) markAccounts(env *Env) error {
	now, err := a.accountDigests(env)
	if err != nil || env.Mark == nil {
		return err
	}
	return env.Mark(accountMark{now})
}

func (a *Commit) accountDigests(env *Env) (map[string]string, error) {
	digests := map[string]string{}
	for _, p := range a.Accounts {
		now, err := env.Store.sum(p.Path)
		if err != nil && !absent(err) {
			return nil, err
		}
		digests[p.Path] = now
	}
	return digests, nil
}

// restoreAccounts puts the account files back that nobody else has changed since.
func (a *Commit) restoreAccounts(env *Env) error {
	var left accountMark
	for _, m := range env.Marks {
		if err := json.Unmarshal(m, &left); err != nil {
			return err
		}
	}
	now, err := a.accountDigests(env)
	if err != nil {
		return err
	}
	for _, p := range a.Accounts {
		if then, known := left.Accounts[p.Path]; known && then != now[p.Path] {
			continue // Differences tells
		}
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}

// serviceOf is the service whose unit file or init script a path is; empty if it is neither.
func serviceOf(name string) string {
	dir, base := path.Split(name)
	switch dir {
	case "/lib/systemd/system/", "/usr/lib/systemd/system/":
		if unit, ok := strings.CutSuffix(base, ".service"); ok && !strings.HasSuffix(unit, "@") {
			return unit
		}
	case "/etc/init.d/", "/etc/rc.d/init.d/":
		return base
	}
	return ""
}

// recordService keeps how a service is, because a purge forgets it and an installation sets it anew.
func (a *Commit) recordService(env *Env, name string) error {
	s := &Service{Name: name}
	was, there, err := s.now(env.Host)
	if err != nil || !there {
		return err
	}
	s.Active, s.Enabled = &was.Active, &was.Enabled
	if was.Kind == "systemd" {
		s.Masked = &was.Masked
	}
	a.Services = append(a.Services, s)
	if err := a.recordLinks(env, name); err != nil {
		return err
	}
	if was.Masked {
		return a.recordWants(env, name)
	}
	return nil
}

func (a *Commit) recordConffile(env *Env, name string) error {
	p, err := env.Store.Save(name)
	if err != nil {
		return err
	}
	if p.Mode.IsDir() {
		return nil
	}
	a.Conffiles = append(a.Conffiles, p)
	for _, suffix := range leftovers {
		there, err := exists(env.Host, name+suffix)
		if err != nil {
			return err
		}
		if there {
			if p, err = env.Store.Save(name + suffix); err != nil {
				return err
			}
			a.Conffiles = append(a.Conffiles, p)
			a.Beside = append(a.Beside, name+suffix)
		}
	}
	return nil
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

func (a *Commit) Apply(env *Env) (Result, error) {
	if err := repairWith(env, a.installFiles); err != nil {
		return Result{}, err
	}
	have, err := packages(env.Host)
	if err != nil {
		return Result{}, err
	}
	rest := a.rest(have)
	if len(rest.Remove)+len(rest.Install) > 0 {
		if err := env.Host.CommitPackages(env.Ctx, rest, tellPackages(env)); err != nil {
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

func tellPackages(env *Env) func(string) {
	n := int64(0)
	return func(line string) {
		n++
		env.Progress(Progress{What: "packages", Done: n, Unit: "lines", Text: line})
	}
}

// repair finishes what an interrupted transaction left. If only this program was killed, the package
// manager that it had started may be at work still: nothing can be said of the packages before it
// has ended, and RepairPackages waits for that.
func repair(env *Env) error {
	holder, err := env.Host.PackageLock()
	if err != nil {
		return err
	}
	audit, err := env.Host.PackageAudit()
	if err != nil || holder == nil && len(audit) == 0 {
		return err
	}
	if err := env.Host.RepairPackages(env.Ctx); err != nil {
		return fmt.Errorf("repair the package database: %w", err)
	}
	return nil
}

// repairWith repairs, and where that fails installs package files first: a package that was being
// unpacked can only be unpacked again, and no repository may offer it.
func repairWith(env *Env, install func(*Env) error) error {
	failed := repair(env)
	if failed == nil || env.Ctx.Err() != nil {
		return failed
	}
	if err := install(env); err != nil {
		return errors.Join(failed, err)
	}
	return repair(env)
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
	return env.Host.CommitPackages(env.Ctx, tx, tellPackages(env))
}

func (a *Commit) Undo(env *Env) error {
	again := func(env *Env) error { return repairWith(env, a.reinstall) }
	if err := a.withoutStarts(env, again); err != nil {
		return err
	}
	if err := a.purgeNew(env); err != nil {
		return err
	}
	if err := a.withoutStarts(env, a.reinstall); err != nil {
		return err
	}
	if err := a.removeAgain(env); err != nil {
		return err
	}
	if err := a.restoreRemains(env); err != nil {
		return err
	}
	if err := a.restoreMarks(env); err != nil {
		return err
	}
	if err := a.restoreFiles(env); err != nil {
		return err
	}
	if err := a.restoreLinks(env); err != nil {
		return err
	}
	if err := a.restoreAccounts(env); err != nil {
		return err
	}
	for _, s := range a.Services {
		if err := s.bring(env, s.want); err != nil {
			return fmt.Errorf("undo %s: %w", a.Summary(), err)
		}
	}
	if err := a.restoreWants(env); err != nil {
		return err
	}
	if err := syncFileSystems(env.Host, packagePlaces...); err != nil {
		return err
	}
	differences, err := a.packageDifferences(env)
	if err == nil && len(differences) > 0 {
		err = fmt.Errorf("undo %s: %s", a.Summary(), strings.Join(differences, "; "))
	}
	return err
}

// purgeNew removes what came with the transaction, and nothing else.
func (a *Commit) purgeNew(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	tx := remaining(host.Transaction{Remove: a.New, Purge: true}, have)
	if len(tx.Remove) == 0 {
		return nil
	}
	solution, err := env.Host.Solve(tx)
	if err != nil {
		return fmt.Errorf("undo %s: %w", a.Summary(), err)
	}
	if err := refuseMore(solution, a.New); err != nil {
		return fmt.Errorf("undo %s: %w", a.Summary(), err)
	}
	return env.Host.CommitPackages(env.Ctx, tx, tellPackages(env))
}

// reinstall brings back the old versions, from the kept files, or from a repository where none could
// be kept.
func (a *Commit) reinstall(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	tx := host.Transaction{NoRecommends: true, Downgrade: true}
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if !old.Installed() || now.Installed() && now.Version == old.Version {
			continue
		}
		item := a.Files[old.Name]
		if item == "" {
			item = old.Name + "=" + old.Version
		}
		tx.Install = append(tx.Install, item)
	}
	if len(tx.Install) == 0 {
		return nil
	}
	return env.Host.CommitPackages(env.Ctx, tx, tellPackages(env))
}

// removeAgain removes packages of which only configuration files were there.
func (a *Commit) removeAgain(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	var tx host.Transaction
	for _, old := range a.Old {
		if now := have[bareName(old.Name)]; !old.Installed() && now.Installed() {
			tx.Remove = append(tx.Remove, old.Name)
		}
	}
	if len(tx.Remove) == 0 {
		return nil
	}
	return env.Host.CommitPackages(env.Ctx, tx, tellPackages(env))
}

// restoreRemains makes the database know again what was removed but for its conffiles.
func (a *Commit) restoreRemains(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if file := a.Remains[old.Name]; file == "" || sameRemains(old, now) {
			continue
		} else if err := env.Host.RestoreRemains(env.Ctx, file); err != nil {
			return fmt.Errorf("undo %s: %w", a.Summary(), err)
		}
	}
	return nil
}

func sameRemains(a, b host.Package) bool {
	return a.Status == b.Status && a.Version == b.Version && slices.Equal(a.Conffiles, b.Conffiles)
}

// restoreMarks sets holds, and what counts as installed automatically, as they were.
func (a *Commit) restoreMarks(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	var marks []host.PackageMark
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if old.Installed() && now.Installed() && (old.Held != now.Held || old.Auto != now.Auto) {
			marks = append(marks, host.PackageMark{Name: old.Name, Held: old.Held, Auto: old.Auto})
		}
	}
	if len(marks) == 0 {
		return nil
	}
	err = env.Host.MarkPackages(env.Ctx, marks)
	if errors.Is(err, host.ErrUnsupported) {
		return nil // Differences tells
	}
	return err
}

func (a *Commit) restoreFiles(env *Env) error {
	for _, p := range a.Dirs { // in order of path, so from the top
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	for _, p := range a.Conffiles {
		if err := env.Store.Restore(p); err != nil {
			return err
		}
		if slices.Contains(a.Beside, p.Path) {
			continue
		}
		for _, suffix := range leftovers {
			if slices.Contains(a.Beside, p.Path+suffix) {
				continue
			}
			if err := removePath(env.Host, p.Path+suffix); err != nil {
				return err
			}
		}
	}
	return nil
}

// packageDifferences lists packages that are not as they were.
func (a *Commit) packageDifferences(env *Env) ([]string, error) {
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		switch {
		case old.Installed() && !now.Installed():
			lines = append(lines, fmt.Sprintf("package %s %s is not installed", old.Name, old.Version))
		case old.Installed() && now.Version != old.Version:
			lines = append(lines, fmt.Sprintf("package %s is version %s, was %s", old.Name, now.Version, old.Version))
		case !old.Installed() && now.Installed():
			lines = append(lines, fmt.Sprintf("package %s is installed, was not", old.Name))
		}
	}
	for _, name := range a.New {
		if p, ok := have[bareName(name)]; ok {
			lines = append(lines, fmt.Sprintf("package %s is still there (%s)", name, p.Status))
		}
	}
	return lines, nil
}

// lostMarks lists what else the package database does not know as before.
func (a *Commit) lostMarks(env *Env) ([]string, error) {
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		switch {
		case old.Status == "config-files" && !sameRemains(old, now):
			lines = append(lines, fmt.Sprintf("package %s %s had left its configuration files, and the package database does not know that as before", old.Name, old.Version))
		case old.Held != now.Held:
			lines = append(lines, fmt.Sprintf("package %s is %s, was %s", old.Name, heldOrNot(now), heldOrNot(old)))
		case old.Auto != now.Auto:
			lines = append(lines, fmt.Sprintf("package %s counts as %s, counted as %s", old.Name, autoOrNot(now), autoOrNot(old)))
		}
	}
	return lines, nil
}

func heldOrNot(p host.Package) string {
	if p.Held {
		return "on hold"
	}
	return "not on hold"
}

func autoOrNot(p host.Package) string {
	if p.Auto {
		return "installed automatically"
	}
	return "installed by hand"
}

// Differences lists packages, configuration files and directories that are not as they were.
func (a *Commit) Differences(env *Env) ([]string, error) {
	lines, err := a.packageDifferences(env)
	if err != nil {
		return nil, err
	}
	more, err := a.lostMarks(env)
	if err != nil {
		return nil, err
	}
	lines = append(lines, more...)
	for _, s := range a.Services {
		now, _, err := s.now(env.Host)
		if err != nil {
			return nil, err
		}
		if was := s.want(now); was != now {
			lines = append(lines, fmt.Sprintf("service %s is %s, was %s", s.Name, stateOf(now), stateOf(was)))
		}
	}
	more, err = compareAll(env, slices.Concat(a.Dirs, a.Conffiles, a.Links, a.Accounts, a.Wants))
	return append(lines, more...), err
}

// Preimages implements Recorder. Of directories, owner and mode are compared with the packages.
func (a *Commit) Preimages() []Preimage { return slices.Concat(a.Conffiles, a.Accounts) }
