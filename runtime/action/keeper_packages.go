package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
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
	if err := a.recordAbsent(env, f.have, slices.Concat(save, slices.Sorted(maps.Keys(given)))); err != nil {
		return err
	}
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

func (*departuresKeeper) restore(env *Env, a *Commit) error {
	if err := a.withoutStarts(env, a.bringBack); err != nil {
		return err
	}
	var back []string
	for _, old := range a.Old {
		back = append(back, old.Name)
	}
	return a.sweepParts(env, back)
}

func (*departuresKeeper) compare(env *Env, a *Commit) ([]string, error) {
	lines, err := a.compareOld(env, func(old, now host.Package) string {
		switch {
		case old.Installed() && !now.Installed():
			return fmt.Sprintf("package %s %s is not installed", old.Name, old.Version)
		case old.Installed() && now.Version != old.Version:
			return fmt.Sprintf("package %s is version %s, was %s", old.Name, now.Version, old.Version)
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	more, err := a.compareLost(env)
	return append(lines, more...), err
}

// bringBack has all configured that stays, and brings back what went. Where something was replaced it comes
// back first: a repair would complete what the new version needs.
func (a *Commit) bringBack(env *Env) error {
	if err := a.endRemovals(env); err != nil {
		return err
	}
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

// arrivalsKeeper takes away what came with a transaction.
type arrivalsKeeper struct {
	// Hollow are the directories that were there before and had no file, where the package manager makes such and leaves
	// them.
	Hollow []string `json:"hollow,omitempty"`
}

func (k *arrivalsKeeper) record(env *Env, a *Commit, _ *found) (err error) {
	if len(a.New) > 0 {
		k.Hollow, a.Parts, err = hollowWays(env)
	}
	return err
}

func (k *arrivalsKeeper) restore(env *Env, a *Commit) error {
	if err := errors.Join(a.clearPurged(env), a.withoutStarts(env, a.purgeNew)); err != nil { // somebody may be unpacking there
		return errors.Join(err, unshelter(env))
	}
	return errors.Join(clearWays(env, k.Hollow), a.clearBrought(env), unshelter(env))
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

// broughtMark is what each package that came has below /etc and /var: somebody who purges one by hand takes that along.
type broughtMark struct {
	Brought map[string][]string `json:"brought"`
	Shipped map[string]string   `json:"shipped,omitempty"` // digests of their configuration files, as they came
}

// noteBrought journals it as long as the package database knows, and with it the directories that lead there.
func (a *Commit) noteBrought(env *Env) error {
	if env.Mark == nil || len(a.New) == 0 {
		return nil
	}
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	mark := broughtMark{Brought: map[string][]string{}, Shipped: map[string]string{}}
	for _, name := range a.New {
		for _, c := range have[bareName(name)].Conffiles {
			mark.Shipped[c.Path] = c.MD5
		}
		files, err := env.Host.PackageFiles(have[bareName(name)].Name)
		if err != nil {
			return err
		}
		for _, file := range files {
			if file = path.Clean(file); strings.HasPrefix(file, "/etc/") || strings.HasPrefix(file, "/var/") {
				mark.Brought[bareName(name)] = append(mark.Brought[bareName(name)], file)
			}
		}
	}
	if err := noteWays(env, have, a.New); err != nil {
		return err
	}
	return env.Mark(mark)
}

// Brought implements PackageTransaction.
func (a *Commit) Brought(env *Env) (map[string][]string, error) {
	all, err := a.brought(env)
	return all.Brought, err
}

func (a *Commit) brought(env *Env) (all broughtMark, err error) {
	all = broughtMark{Brought: map[string][]string{}, Shipped: map[string]string{}}
	for _, name := range a.New {
		all.Brought[bareName(name)] = nil
	}
	for _, data := range env.Marks {
		var mark broughtMark
		if err := json.Unmarshal(data, &mark); err != nil {
			return all, err
		}
		maps.Copy(all.Brought, mark.Brought)
		maps.Copy(all.Shipped, mark.Shipped)
	}
	return all, nil
}

// arrivals is what came with a transaction, and what is installed by now.
type arrivals struct {
	broughtMark
	have  map[string]host.Package
	owned func() (map[string]bool, error) // the paths of what is installed; looked up when it is first asked, which takes long
}

func (a *Commit) arrivals(env *Env) (came arrivals, err error) {
	came.owned = sync.OnceValues(func() (map[string]bool, error) { return ownedPaths(env.Host) })
	if came.broughtMark, err = a.brought(env); err != nil {
		return came, err
	}
	came.have, err = packages(env.Host)
	return came, err
}

// clearPurged removes the files of packages that somebody has purged: what the rollback has undone to them has made them
// again, as they were shipped, and no package takes them along any more. What was there before the transaction stays, and
// what is otherwise is kept.
func (a *Commit) clearPurged(env *Env) error {
	came, err := a.arrivals(env)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(came.Brought)) {
		if came.have[name].Status != "" {
			continue // it takes its own along
		}
		for _, file := range came.Brought[name] {
			if isAbove(file, came.Brought[name]) || len(a.before(file)) > 0 {
				continue
			}
			if err := clearFile(env, came, file); err != nil {
				return err
			}
		}
	}
	return nil
}

func clearFile(env *Env, came arrivals, file string) error {
	st, err := env.Host.Lstat(file)
	if host.Absent(err) || err == nil && st.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if owned, err := came.owned(); err != nil || owned[file] {
		return err
	}
	if err := keepSince(env, file, came.Shipped[file]); err != nil {
		return err
	}
	return removePath(env.Host, file)
}

// isAbove reports whether one of the files lies below a path: a package has a directory there, and a link to one is the
// admin's.
func isAbove(dir string, files []string) bool {
	return slices.ContainsFunc(files, func(file string) bool { return strings.HasPrefix(file, dir+"/") })
}

// clearBrought removes the directories of packages that came that are empty and named after them: those of a package that
// somebody has purged by hand had something in them then, perhaps, which the rollback has taken back since. What was there
// before is recorded, and stays.
func (a *Commit) clearBrought(env *Env) error {
	came, err := a.arrivals(env)
	if err != nil {
		return err
	}
	dirs := map[string]bool{}
	for name, files := range came.Brought {
		if came.have[name].Installed() {
			continue
		}
		for _, file := range files {
			if slices.Contains(strings.Split(file, "/"), stem(name)) && !a.hadDir(file) {
				dirs[file] = true
			}
		}
	}
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(dirs))) { // what lies in a directory comes before it
		if err := clearDir(env, came, dir); err != nil {
			return err
		}
	}
	return nil
}

func clearDir(env *Env, came arrivals, dir string) error {
	list, err := entriesOf(env.Host, dir)
	if err != nil || list == nil || len(list) > 0 {
		return err
	}
	if owned, err := came.owned(); err != nil || owned[dir] {
		return err
	}
	if err := env.Host.Rmdir(dir); err != nil && !host.Absent(err) && !inUse(err) {
		return err
	}
	return nil
}

// hadDir reports whether a directory was there before the transaction.
func (a *Commit) hadDir(name string) bool {
	return slices.ContainsFunc(a.Dirs, func(p Preimage) bool { return p.Path == name })
}

// Withdrawn are those packages that came and that somebody has removed since.
func (env *Env) Withdrawn() ([]string, error) {
	if len(env.Arrived) == 0 {
		return nil, nil
	}
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(env.Arrived)), func(name string) bool {
		status := have[name].Status
		return status != "" && status != "config-files"
	}), nil
}

// withdrawnFiles are the paths that went with them, and that none of the others had.
func (env *Env) withdrawnFiles() (map[string]bool, error) {
	names, err := env.Withdrawn()
	files := map[string]bool{}
	for _, name := range names {
		for _, file := range env.Arrived[name] {
			files[file] = true
		}
	}
	for name, others := range env.Arrived {
		if slices.Contains(names, name) {
			continue
		}
		for _, file := range others {
			delete(files, file)
		}
	}
	return files, err
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
	if err := a.sweepNew(env); err != nil {
		return err
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
	if err := (host.Transaction{Remove: came}).RefuseExtra(solution.Remove); err != nil {
		return fmt.Errorf("%w: it was installed since the run, and needs what the rollback takes away; remove it by hand, then roll back again", err)
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
		if host.Absent(err) || err == nil && there.Files == 0 {
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

// marksKeeper sets again which packages are held, and which count as installed automatically. Both are recorded with
// the packages.
type marksKeeper struct{}

func (*marksKeeper) record(*Env, *Commit, *found) error { return nil }

func (*marksKeeper) restore(env *Env, a *Commit) error {
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
		return nil // compare tells
	}
	return err
}

func (*marksKeeper) compare(env *Env, a *Commit) ([]string, error) {
	return a.compareOld(env, func(old, now host.Package) string {
		switch {
		case lostRemains(old, now): // its keeper tells
		case old.Held != now.Held:
			return fmt.Sprintf("package %s is %s, was %s", old.Name, heldOrNot(now), heldOrNot(old))
		case old.Auto != now.Auto:
			return fmt.Sprintf("package %s counts as %s, counted as %s", old.Name, autoOrNot(now), autoOrNot(old))
		}
		return ""
	})
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
