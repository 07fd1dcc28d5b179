package action

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"zcp2kopano/runtime/host"
)

// departuresKeeper keeps package files of what a transaction removes or replaces, and installs them.
type departuresKeeper struct {
	Files   map[string]string `json:"files,omitempty"`   // kept package files, by name
	Missing map[string]string `json:"missing,omitempty"` // why others could not be kept
}

func (k *departuresKeeper) record(env *Env, a *Commit, f *found) error {
	var save []string
	for _, c := range slices.Concat(a.Solution.Remove, a.Solution.Upgrade) {
		if p := f.have[bareName(c.Name)]; p.Installed() {
			save = append(save, p.Name)
		}
	}
	if len(save) == 0 {
		return nil
	}
	dir, err := keptFilesDir(env)
	if err != nil {
		return err
	}
	given, save, err := a.keepOriginals(env, f.have, save)
	if err != nil {
		return err
	}
	if k.Files, k.Missing, err = env.Host.SavePackages(env.Ctx, save, dir, a.watch(env)); err != nil {
		return err
	}
	maps.Copy(k.Files, given)
	return a.noteSums(env, k.Files)
}

// keepOriginals copies the package files that were given, and returns the names of which it has none.
func (a *Commit) keepOriginals(env *Env, have map[string]host.Package, names []string) (kept map[string]string, rest []string, err error) {
	kept = map[string]string{}
	for _, name := range names {
		file := a.Originals[name]
		if file == "" {
			rest = append(rest, name)
			continue
		}
		if kept[name], err = keepOriginal(env, file, have[bareName(name)]); err != nil {
			return nil, nil, fmt.Errorf("package file %s: %w", file, err)
		}
	}
	return kept, rest, nil
}

// keepOriginal copies one, and reads the copy to its end: what was looked at before may be another file by now.
func keepOriginal(env *Env, file string, p host.Package) (string, error) {
	system := systemOf(file)
	if system == nil {
		return "", errors.New("it is no package file by its name")
	}
	kept, err := takeCopy(env, file, keptFilesRoom, system.FileName(p))
	if err != nil {
		return "", err
	}
	return kept, host.WithFile(env.Host, kept, func(r io.ReaderAt, size int64) error {
		f, err := system.ReadFile(r, size)
		if err != nil {
			return err
		}
		if !host.IsFileOf(f, p) {
			return fmt.Errorf("it holds %s %s (%s), and %s %s (%s) is installed", f.Name, f.Version, f.Arch, p.Name, p.Version, p.Arch)
		}
		return system.CheckFile(r, size)
	})
}

func (*departuresKeeper) restore(env *Env, a *Commit) error { return a.withoutStarts(env, a.bringBack) }

func (*departuresKeeper) compare(env *Env, a *Commit) ([]string, error) {
	return a.compareOld(env, func(old, now host.Package) string {
		switch {
		case old.Installed() && !now.Installed():
			return fmt.Sprintf("package %s %s is not installed", old.Name, old.Version)
		case old.Installed() && now.Version != old.Version:
			return fmt.Sprintf("package %s is version %s, was %s", old.Name, now.Version, old.Version)
		}
		return ""
	})
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
// to /dev/null, say. dpkg unpacks no package over them; their own keeper puts them back.
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

// remainsKeeper keeps what the package database knows of packages that are removed but for their configuration files.
type remainsKeeper struct {
	Remains map[string]string `json:"remains,omitempty"` // kept records, by name
}

func (k *remainsKeeper) record(env *Env, a *Commit, _ *found) error {
	var left []string
	for _, p := range a.Old {
		if p.Status == "config-files" {
			left = append(left, p.Name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	dir, err := keptFilesDir(env)
	if err != nil {
		return err
	}
	if k.Remains, err = env.Host.SaveRemains(env.Ctx, left, dir); err != nil {
		return err
	}
	return a.noteSums(env, k.Remains)
}

// restore makes the database know them again.
func (k *remainsKeeper) restore(env *Env, a *Commit) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	for _, old := range a.Old {
		file := k.Remains[old.Name]
		if file == "" || sameRemains(old, have[bareName(old.Name)]) {
			continue
		}
		if err := a.asKept(env, file); err != nil {
			return err
		}
		if err := env.Host.RestoreRemains(env.Ctx, file); err != nil {
			return err
		}
	}
	return nil
}

func (*remainsKeeper) compare(env *Env, a *Commit) ([]string, error) {
	return a.compareOld(env, func(old, now host.Package) string {
		if !lostRemains(old, now) {
			return ""
		}
		return fmt.Sprintf("package %s %s had left its configuration files, and the package database does not know that as before", old.Name, old.Version)
	})
}

// lostRemains reports whether the database does not know any more what a package had left.
func lostRemains(old, now host.Package) bool {
	return old.Status == "config-files" && !sameRemains(old, now)
}

func sameRemains(a, b host.Package) bool {
	return a.Status == b.Status && a.Version == b.Version && slices.Equal(a.Conffiles, b.Conffiles)
}
