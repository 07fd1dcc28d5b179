package action

import (
	"encoding/json"
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
		if _, err := v.Lstat(file); host.Absent(err) {
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

// halfGone is a package that counts as installed, as before, and the files that it has lost since.
type halfGone struct {
	name string
	lost []string
}

// cutRemovals are the removals that were cut short.
func (a *Commit) cutRemovals(env *Env) ([]halfGone, error) {
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	var cut []halfGone
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
			cut = append(cut, halfGone{old.Name, lost})
		}
	}
	return cut, nil
}

// endRemovals brings removals to their end that were cut short: what is put back has to be away.
func (a *Commit) endRemovals(env *Env) error {
	cut, err := a.cutRemovals(env)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range cut {
		item := a.Files[p.name]
		if item == "" {
			continue
		}
		if err := a.asKept(env, item); err != nil {
			return err
		}
		names = append(names, p.name)
	}
	if len(names) == 0 {
		return nil
	}
	return a.expel(env, names)
}

// compareLost says what of the packages that are back is not.
func (a *Commit) compareLost(env *Env) ([]string, error) {
	cut, err := a.cutRemovals(env)
	var lines []string
	for _, p := range cut {
		lines = append(lines, fmt.Sprintf("package %s counts as installed, and %d of its files are not there, %s the first", p.name, len(p.lost), p.lost[0]))
	}
	return lines, err
}

// setBack is how far a clock may have been set back between the look and the transaction: it may have stood in a time zone.
const setBack = 24 * time.Hour

// isPart reports whether a file with such a name is what a transaction has left that came after the look: one of root's that
// bears its time. A file of somebody's may be called so by chance, or be an earlier one's. One that rpm has given to another
// owner already, and not yet its name, is not told from those, and stays.
func (u *unwhole) isPart(env *Env, system packagesystem.System, file string) (bool, error) {
	whole, began := system.PartOf(path.Base(file))
	if whole == "" || began.Before(u.Looked.Add(-setBack)) || began.After(env.Host.Now()) {
		return false, nil
	}
	st, err := env.Host.Lstat(file)
	if host.Absent(err) {
		return false, nil
	}
	return err == nil && st.UID == 0 && (st.IsRegular() || st.IsSymlink()), err
}

// sweepParts removes what was left of files that were being unpacked, beside the files of packages that are there now.
func (u *unwhole) sweepParts(env *Env, names []string) error {
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
		if host.Absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if whole, _ := system.PartOf(e.Name); whole == "" || !owned[path.Join(dir, whole)] {
				continue
			}
			file := path.Join(dir, e.Name)
			if is, err := u.isPart(env, system, file); err != nil {
				return err
			} else if !is {
				continue
			}
			if err := removePath(env.Host, file); err != nil {
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
	system, err := env.system()
	if err != nil {
		return err
	}
	_, named, err := hollowWays(env)
	if err != nil {
		return err
	}
	var parts []string
	for _, file := range named {
		is, err := a.isPart(env, system, file)
		if err != nil {
			return err
		}
		if is && !slices.Contains(a.Parts, file) {
			parts = append(parts, file)
		}
	}
	if err := a.noteSwept(env, system, parts); err != nil {
		return err
	}
	for _, part := range parts {
		if err := removePath(env.Host, part); err != nil {
			return err
		}
	}
	return nil
}

// sweptMark is what was being unpacked of packages that the database does not know: rpm enters a package behind the last
// of its files, so nobody knows either which of them were whole already.
type sweptMark struct {
	Swept []string `json:"swept"`
}

// noteSwept journals them before they go, where a package is not there; not those of packages that are.
func (a *Commit) noteSwept(env *Env, system packagesystem.System, parts []string) error {
	have, err := packages(env.Host)
	if err != nil || len(parts) == 0 || env.Mark == nil ||
		!slices.ContainsFunc(a.New, func(name string) bool { return !have[bareName(name)].Installed() }) {
		return err
	}
	owned, err := ownedPaths(env.Host)
	if err != nil {
		return err
	}
	var mark sweptMark
	for _, part := range parts {
		if whole, _ := system.PartOf(path.Base(part)); !owned[path.Join(path.Dir(part), whole)] {
			mark.Swept = append(mark.Swept, part)
		}
	}
	if len(mark.Swept) == 0 {
		return nil
	}
	data, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	env.Marks = append(env.Marks, data)
	return env.Mark(mark)
}

// sweptParts tells what a way back could not take away.
func sweptParts(env *Env) ([]string, error) {
	var lines []string
	for _, data := range env.Marks {
		var mark sweptMark
		if err := json.Unmarshal(data, &mark); err != nil {
			return nil, err
		}
		for _, part := range mark.Swept {
			line := part + ": a package was being unpacked, and this is removed; files of it that were already unpacked beside it, and " +
				"elsewhere, may be there still (the package's list: rpm -qpl FILE)"
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}
