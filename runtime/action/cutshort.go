package action

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// What a package manager leaves that was killed. dpkg's database tells it. rpm's has a package whole whose files are gone
// in part, and knows nothing of one whose files have come in part.

// system is the package system of the host.
func (env *Env) system() (packagesystem.System, error) {
	manager, err := env.Host.PackageManager()
	return packagesystem.Of(manager.Name), err
}

// absentFiles are the files of an installed package that are not there: but for its configuration and its ghosts, which others
// may remove, and what lies in directories that a machine clears by itself.
func absentFiles(v host.View, p host.Package) ([]string, error) {
	files, err := v.PackageFiles(p.Name)
	if err != nil {
		return nil, err
	}
	var absences []string
	for _, file := range files {
		file = path.Clean(file)
		if slices.Contains(p.Ghosts, file) || slices.ContainsFunc(p.Conffiles, func(c host.Conffile) bool { return c.Path == file }) ||
			strings.HasPrefix(file, "/run/") || strings.HasPrefix(file, "/tmp/") || strings.HasPrefix(file, "/var/") {
			continue
		}
		if _, err := v.Lstat(file); absent(err) {
			absences = append(absences, file)
		} else if err != nil {
			return nil, err
		}
	}
	return absences, nil
}

// unwhole is what was not whole before a transaction, where the database does not tell how far one went.
type unwhole struct {
	// Looked is when it was looked at. It never was where the database tells, nor by a program that did not know of it yet:
	// then nobody can tell afterwards what this transaction has left.
	Looked time.Time `json:"looked,omitzero"`
	// Absent are files of the packages that go which were not there, by package.
	Absent map[string][]string `json:"absent,omitempty"`
	// Parts are files that were being unpacked when somebody else's transaction was killed.
	Parts []string `json:"parts,omitempty"`
}

// look notes when it is looked at.
func (u *unwhole) look(env *Env) error {
	system, err := env.system()
	if err == nil && !system.TellsRemovals() {
		u.Looked = env.Host.Now().UTC()
	}
	return err
}

// recordAbsent notes what of the packages that go is not there beforehand.
func (u *unwhole) recordAbsent(env *Env, have map[string]host.Package, names []string) error {
	if u.Looked.IsZero() {
		return nil
	}
	u.Absent = map[string][]string{}
	for _, name := range names {
		absences, err := absentFiles(env.Host, have[bareName(name)])
		if err != nil {
			return err
		}
		if len(absences) > 0 {
			u.Absent[name] = absences
		}
	}
	return nil
}

// lost are the files that a package has lost since, although it counts as installed: its removal was cut short.
func (u *unwhole) lost(env *Env, p host.Package) ([]string, error) {
	if u.Looked.IsZero() {
		return nil, nil
	}
	absences, err := absentFiles(env.Host, p)
	return slices.DeleteFunc(absences, func(file string) bool { return slices.Contains(u.Absent[p.Name], file) }), err
}

// endRemovals brings removals to their end that were cut short: what is put back has to be away.
func (a *Commit) endRemovals(env *Env) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	var cut []string
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		item := a.Files[old.Name]
		if !old.Installed() || !now.Installed() || now.Version != old.Version || item == "" {
			continue
		}
		lost, err := a.lost(env, now)
		if err != nil {
			return err
		}
		if len(lost) == 0 {
			continue
		}
		if err := a.asKept(env, item); err != nil {
			return err
		}
		cut = append(cut, old.Name)
	}
	if len(cut) == 0 {
		return nil
	}
	return a.expel(env, cut)
}

// compareLost says what of the packages that are back is not.
func (a *Commit) compareLost(env *Env) ([]string, error) {
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if !old.Installed() || !now.Installed() || now.Version != old.Version {
			continue
		}
		lost, err := a.lost(env, now)
		if err != nil {
			return nil, err
		}
		if len(lost) > 0 {
			lines = append(lines, fmt.Sprintf("package %s counts as installed, and %d of its files are not there, %s the first", old.Name, len(lost), lost[0]))
		}
	}
	return lines, nil
}

// sweepParts removes what was left of files that were being unpacked, beside the files of packages that are there now.
func sweepParts(env *Env, names []string) error {
	system, err := env.system()
	if err != nil || system.TellsRemovals() {
		return err
	}
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	owned, dirs := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		p := have[bareName(name)]
		if !p.Installed() {
			continue
		}
		files, err := env.Host.PackageFiles(p.Name)
		if err != nil {
			return err
		}
		for _, file := range files {
			owned[path.Clean(file)], dirs[path.Dir(path.Clean(file))] = true, true
		}
	}
	for dir := range dirs {
		entries, err := env.Host.ReadDir(dir)
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if whole := system.PartOf(e.Name); whole == "" || e.Type.IsDir() || !owned[path.Join(dir, whole)] {
				continue
			}
			if err := removePath(env.Host, path.Join(dir, e.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepNew removes what was left of files that were being unpacked of packages that came in part: nobody knows where their
// files are. Nobody may be at work on packages by then, or it takes from an rpm what that is about to rename.
func (a *Commit) sweepNew(env *Env) error {
	if a.Looked.IsZero() || len(a.New) == 0 {
		return nil
	}
	_, parts, err := hollowWays(env)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if slices.Contains(a.Parts, part) {
			continue
		}
		if err := removePath(env.Host, part); err != nil {
			return err
		}
	}
	return nil
}
