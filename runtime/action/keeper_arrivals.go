package action

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// arrivalsKeeper takes away what came with a transaction.
type arrivalsKeeper struct {
	// Hollow are the directories that were there before and had no file, where the package manager makes such and leaves
	// them.
	Hollow []string `json:"hollow,omitempty"`
}

func (k *arrivalsKeeper) record(env *Env, a *Commit, _ *found) (err error) {
	if len(a.New) > 0 {
		k.Hollow, err = hollowWays(env)
	}
	return err
}

func (k *arrivalsKeeper) restore(env *Env, a *Commit) error {
	return errors.Join(a.withoutStarts(env, a.purgeNew), clearWays(env, k.Hollow), unshelter(env))
}

func (*arrivalsKeeper) compare(env *Env, a *Commit) ([]string, error) {
	lines, err := a.compareOld(env, func(old, now host.Package) string {
		if old.Installed() || !now.Installed() {
			return ""
		}
		return fmt.Sprintf("package %s is installed, was not", old.Name)
	})
	if err != nil {
		return nil, err
	}
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	for _, name := range a.New {
		if p, ok := have[bareName(name)]; ok {
			lines = append(lines, fmt.Sprintf("package %s is still there (%s)", name, p.Status))
		}
	}
	return lines, nil
}

// purgeNew removes what came with the transaction, and nothing else. What had left only its conffiles
// before is among it, because others that came may need it; other keepers bring back what it had left.
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
	if err := shelter(env, tx.Remove); err != nil {
		return err
	}
	if err := noteWays(env, have, tx.Remove); err != nil {
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

// fileOf is the package file that the transaction took for what it installed; empty if it came from a
// repository.
func (a *Commit) fileOf(c host.Change) string {
	for _, item := range a.Need.Install {
		if path.IsAbs(item) && targetName(item) == bareName(c.Name) {
			return item
		}
	}
	return ""
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
		if real == "" || len(a.before(c.Path+deb.Unpacked)) > 0 {
			continue
		}
		if err := removePath(env.Host, c.Path+deb.Unpacked); err != nil {
			return err
		}
	}
	return nil
}

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
