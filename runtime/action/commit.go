package action

import (
	"fmt"
	"maps"
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
// Prepare has keepers record all that the packages and their scripts may change, a keeper for each kind of thing. Apply
// repairs what an interrupted transaction left, commits what of the list is still to be done, and then asks
// the package database, whatever the manager's exit status said. Undo has the keepers put things back, the
// packages first, and the comparison after it has them compare.
type Commit struct {
	Tx host.Transaction `json:"tx"`
	// Patience is how long one maintainer script may take, on the way and back; 0 is without end.
	Patience time.Duration `json:"patience,omitempty"`
	// Kept takes what is installed from the package files that the run keeps of what it has removed.
	Kept bool `json:"kept,omitempty"`
	// Lose goes on even where nothing could be kept of a package that goes: a point of no return that somebody chose.
	Lose bool `json:"lose,omitempty"`
	// Originals are package files that somebody gives, by the name of the installed package: they are kept of what goes.
	Originals map[string]string `json:"originals,omitempty"`
	// Solved is what the package manager has just said that it would do with all of Tx, for whoever has asked:
	// then Prepare does not ask again. The manager is asked once more when it has its lock.
	Solved *host.Solution `json:"-"`

	Need     host.Transaction `json:"need"`          // what of Tx was still to be done
	Solution host.Solution    `json:"solution"`      // what the manager said it would do
	Old      []host.Package   `json:"old,omitempty"` // packages that it changes, as they were
	New      []string         `json:"new,omitempty"` // packages that were not there at all

	keptFiles
	takenFiles
	unwhole
	keepers
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
		verb := "install "
		if a.Kept {
			verb = "put back "
		}
		parts = append(parts, verb+strings.Join(a.Tx.Install, ", "))
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

// Irreversible names the packages that cannot be installed again from a kept file.
func (a *Commit) Irreversible() string {
	if len(a.Missing) == 0 {
		return ""
	}
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(a.Missing)) {
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
	if a.Kept {
		if a.Need.Install, err = keptFor(env, a.Need.Install); err != nil {
			return false, fmt.Errorf("%s: %w", a.Summary(), err)
		}
	}
	if a.Need.Install, err = a.take(env, a.Need.Install); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := a.solve(env.Host); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if len(a.Solution.Install)+len(a.Solution.Upgrade)+len(a.Solution.Remove) == 0 {
		return false, nil
	}
	if err := refuseMore(a.Solution, a.Tx.Remove); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	a.noteChanged(have)
	if err := a.look(env); err != nil {
		return false, err
	}
	f, err := a.find(env.Host, have)
	if err != nil {
		return false, err
	}
	if err := a.record(env, f); err != nil {
		return false, err
	}
	return true, a.refuseLoss()
}

// refuseLoss begins nothing that nobody has agreed to.
func (a *Commit) refuseLoss() error {
	if reason := a.Irreversible(); reason != "" && !a.Lose {
		return fmt.Errorf("%s: %s; nothing was removed. Put their package files where the package manager looks for them (its cache, "+
			"a repository that is configured, or the directory of originals), then resume; or agree to lose them", a.Summary(), reason)
	}
	return nil
}

// solve asks what would be done, unless that is known.
func (a *Commit) solve(h host.PackageReader) (err error) {
	if a.Solved != nil && slices.Equal(a.Need.Remove, a.Tx.Remove) && slices.Equal(a.Need.Install, a.Tx.Install) {
		a.Solution = *a.Solved
		return nil
	}
	a.Solution, err = h.Solve(a.Need)
	a.Solution = a.named(a.Solution)
	return err
}

// noteChanged notes the packages that come, and those that go, as they are.
func (a *Commit) noteChanged(have map[string]host.Package) {
	for _, c := range slices.Concat(a.Solution.Remove, a.Solution.Upgrade, a.Solution.Install) {
		if p, ok := have[bareName(c.Name)]; ok {
			a.Old = append(a.Old, p)
		}
	}
	for _, c := range a.Solution.Install {
		if _, ok := have[bareName(c.Name)]; !ok {
			a.New = append(a.New, c.Name)
		}
	}
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

// LosesPackages implements PackageTransaction.
func (a *Commit) LosesPackages() bool { return len(a.Missing) > 0 }

func (a *Commit) Apply(env *Env) (Result, error) {
	if err := env.Undisturbed(""); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := a.asTaken(env); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := a.begins(env); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	w := a.watch(env)
	if err := a.withoutHeld(env, func(env *Env) error { return a.carryOut(env, w) }); err != nil {
		return Result{}, err
	}
	if err := a.verify(env); err != nil {
		return Result{}, err
	}
	var came []string
	for _, c := range slices.Concat(a.Solution.Install, a.Solution.Upgrade) {
		came = append(came, c.Name)
	}
	if err := a.sweepParts(env, came); err != nil {
		return Result{}, err
	}
	if err := syncFileSystems(env.Host, packagePlaces...); err != nil {
		return Result{}, err
	}
	if err := a.ended(env); err != nil {
		return Result{}, err
	}
	if err := a.noteBrought(env); err != nil {
		return Result{}, err
	}
	return Result{Summary: fmt.Sprintf("%d packages removed, %d installed, %d replaced",
		len(a.Solution.Remove), len(a.Solution.Install), len(a.Solution.Upgrade)), Lines: w.Warned}, nil
}

// carryOut repairs what an interrupted transaction left, and commits what is still to be done.
func (a *Commit) carryOut(env *Env, w *host.PackageWatch) error {
	if err := repairWith(env, nil, w, a.installFiles); err != nil {
		return err
	}
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	rest := a.rest(have)
	if len(rest.Remove)+len(rest.Install) == 0 {
		return nil
	}
	if err := env.Host.CommitPackages(env.Ctx, rest, w); err != nil {
		return fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return nil
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

func (a *Commit) Undo(env *Env) error {
	if err := env.Undisturbed(""); err != nil {
		return err
	}
	if err := a.restore(env); err != nil {
		return fmt.Errorf("undo %s: %w", a.Summary(), err)
	}
	if err := syncFileSystems(env.Host, packagePlaces...); err != nil {
		return err
	}
	wrong, err := a.compare(env, &a.departuresKeeper, &a.arrivalsKeeper)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("undo %s: %s", a.Summary(), strings.Join(wrong, "; "))
	}
	return err
}

// Differences implements Comparer.
func (a *Commit) Differences(env *Env) ([]string, error) {
	lines, err := a.compare(env, a.inOrder()...)
	if err != nil {
		return nil, err
	}
	more, err := sweptParts(env)
	return append(lines, more...), err
}

// Preimages implements Recorder. Of directories, owner and mode are compared with the packages.
func (a *Commit) Preimages() []Preimage { return slices.Concat(a.Conffiles, a.Accounts) }
