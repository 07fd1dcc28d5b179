package action

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

func (a *Commit) Undo(env *Env) error {
	if err := env.Undisturbed(""); err != nil {
		return err
	}
	if err := a.withoutStarts(env, a.purgeNew); err != nil {
		return fmt.Errorf("undo %s: %w", a.Summary(), err)
	}
	if err := a.withoutStarts(env, a.bringBack); err != nil {
		return fmt.Errorf("undo %s: %w", a.Summary(), err)
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
	if err := a.restoreNamesakes(env); err != nil {
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

// purgeNew removes what came with the transaction, and nothing else. What had left only its conffiles
// before is among it, because others that came may need it; restoreRemains and restoreFiles bring back
// what it had left.
//
// Nothing of what goes is configured before. The package manager does it where all is whole; where
// something is half-way, or a script keeps it from its work, the packages are expelled.
func (a *Commit) purgeNew(env *Env) error {
	if err := env.Host.ExpelPackages(env.Ctx, nil, "", a.undoWatch(env)); err != nil {
		return err // somebody is at work on the packages
	}
	audit, err := env.Host.PackageAudit()
	if err != nil {
		return err
	}
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	came := a.came(have)
	tx := remaining(host.Transaction{Remove: came, Purge: true}, have)
	if len(tx.Remove) == 0 {
		return nil
	}
	for _, name := range tx.Remove {
		if err := a.keepConffiles(env, have[bareName(name)]); err != nil {
			return err
		}
	}
	if err := rescueData(env); err != nil {
		return err
	}
	if len(audit) > 0 {
		return a.expel(env, tx.Remove)
	}
	solution, err := env.Host.Solve(tx)
	if err != nil {
		return err
	}
	if err := refuseMore(solution, came); err != nil {
		return err
	}
	err = env.Host.CommitPackages(env.Ctx, tx, a.watch(env))
	if script := new(host.ScriptError); errors.As(err, &script) && env.Ctx.Err() == nil {
		return a.expel(env, tx.Remove)
	}
	return err
}

// undoWatch lets no script of what came hold the rollback up.
func (a *Commit) undoWatch(env *Env) *host.PackageWatch {
	w := a.watch(env)
	w.Doomed = a.New
	return w
}

// came are the packages that came with the transaction, and are there by now.
func (a *Commit) came(have map[string]host.Package) []string {
	came := slices.Clone(a.New)
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if !old.Installed() && now.Status != "" && now.Status != old.Status {
			came = append(came, old.Name)
		}
	}
	return came
}

func (a *Commit) expel(env *Env, names []string) error {
	keep := env.Store.Scripts()
	if err := mkdirAll(env.Host, keep); err != nil {
		return err
	}
	var list []host.Change
	for _, name := range names {
		change := host.Change{Name: name}
		for _, c := range a.Solution.Install {
			if bareName(c.Name) == bareName(name) {
				change.Version, change.Origin = c.Version, a.fileOf(c)
			}
		}
		list = append(list, change)
	}
	return env.Host.ExpelPackages(env.Ctx, list, keep, a.undoWatch(env))
}

// fileOf is the package file that the transaction named for what it installed; empty if it came from a
// repository.
func (a *Commit) fileOf(c host.Change) string {
	for _, item := range a.Tx.Install {
		if path.IsAbs(item) && targetName(item) == bareName(c.Name) {
			return item
		}
	}
	return ""
}

// bringBack has all configured that stays, and brings back what went. Where something was replaced it comes
// back first: a repair would complete what the new version needs.
func (a *Commit) bringBack(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	var stay []string
	replaced := false
	for _, old := range a.Old {
		if old.Installed() {
			stay = append(stay, old.Name)
			now := have[bareName(old.Name)].Version
			replaced = replaced || now != "" && now != old.Version
		}
	}
	if replaced {
		if err := a.reinstall(env); err == nil || env.Ctx.Err() != nil {
			return errors.Join(err, repair(env, stay, a.watch(env)))
		}
	}
	if err := repairWith(env, stay, a.watch(env), a.reinstall); err != nil {
		return err
	}
	return a.reinstall(env)
}

// rescueData moves aside what the packages that go were made to keep, and what was not taken back from
// them: the script of a package may remove its data when it is purged (Debian's kopano-server does).
func rescueData(env *Env) error {
	for _, name := range env.Data {
		there, err := measure(env.Ctx, env.Host, name)
		if absent(err) || err == nil && there.Files == 0 {
			continue
		}
		if err != nil {
			return err
		}
		list, err := env.Host.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := setAside(env, path.Join(name, e.Name)); err != nil {
				return fmt.Errorf("move %s out of the reach of the packages' scripts: %w", name, err)
			}
		}
	}
	return nil
}

// keepConffiles keeps a package's configuration files that are neither as it shipped them nor as they
// were before: its purge deletes them.
func (a *Commit) keepConffiles(env *Env, p host.Package) error {
	for _, c := range p.Conffiles {
		real, err := behind(env.Host, c.Path)
		if err != nil {
			return err
		}
		for _, name := range []string{c.Path, real} {
			if name == "" {
				continue
			}
			if err := keepSince(env, name, append(a.before(name), c.MD5)...); err != nil {
				return err
			}
		}
		if real == "" || len(a.before(c.Path+unpacked)) > 0 {
			continue
		}
		if err := removePath(env.Host, c.Path+unpacked); err != nil {
			return err
		}
	}
	return nil
}

// unpacked is the ending of a configuration file that dpkg has unpacked. Beside a symlink it stays, and no
// purge takes it.
const unpacked = ".dpkg-new"

// before are the digests of a file as it was recorded.
func (a *Commit) before(name string) []string {
	var known []string
	for _, p := range slices.Concat(a.Conffiles, a.Namesakes) {
		if p.Path == name {
			known = append(known, p.known())
		}
	}
	return known
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
		} else if err := a.asKept(env, item); err != nil {
			return err
		}
		tx.Install = append(tx.Install, item)
		if err := a.clearWay(env, old); err != nil {
			return err
		}
	}
	if len(tx.Install) == 0 {
		return nil
	}
	return env.Host.CommitPackages(env.Ctx, tx, a.watch(env))
}

// clearWay removes recorded symlinks in the place of a package's configuration files that lead to no file: one
// to /dev/null, say. dpkg unpacks no package over them; restoreFiles puts them back.
func (a *Commit) clearWay(env *Env, p host.Package) error {
	for _, c := range p.Conffiles {
		to, err := env.Host.Readlink(c.Path)
		if err != nil || !slices.ContainsFunc(a.Conffiles, func(p Preimage) bool { return p.Path == c.Path && p.Target == to }) {
			continue // no symlink, or not the one that was there
		}
		if st, err := env.Host.Stat(c.Path); err != nil || st.IsRegular() {
			continue
		}
		if err := removePath(env.Host, c.Path); err != nil {
			return err
		}
	}
	return nil
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
		} else if err := a.asKept(env, file); err != nil {
			return fmt.Errorf("undo %s: %w", a.Summary(), err)
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
		if err := keepSince(env, p.Path, append(a.shipped(p.Path), p.known())...); err != nil {
			return err
		}
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

// shipped are the digests of a configuration file that the packages had brought, and bring again. What a
// symlink in its place leads to may be any of them.
func (a *Commit) shipped(name string) []string {
	var sums, all []string
	for _, p := range a.Old {
		for _, c := range p.Conffiles {
			if all = append(all, c.MD5); c.Path == name {
				sums = append(sums, c.MD5)
			}
		}
	}
	if len(sums) == 0 {
		return all
	}
	return sums
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
		now, _, err := s.Now(env.Host)
		if err != nil {
			return nil, err
		}
		if was := s.want(now); was != now {
			lines = append(lines, fmt.Sprintf("service %s is %s, was %s", s.Name, stateOf(now), stateOf(was)))
		}
	}
	for _, p := range a.Namesakes {
		if more, err = compareMeta(env, p); err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	more, err = compareAll(env, slices.Concat(a.Dirs, a.Conffiles, a.Links, a.Accounts, a.Wants))
	return append(lines, more...), err
}

// Preimages implements Recorder. Of directories, owner and mode are compared with the packages.
func (a *Commit) Preimages() []Preimage { return slices.Concat(a.Conffiles, a.Accounts) }
