package action

import (
	"maps"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// A keeper keeps one thing that a transaction of packages, and what their scripts do, may change. Commit has a list of
// them, and knows no more of any: to keep one thing more is a file with its keeper, and its place in that list.
type keeper interface {
	// record completes, before the transaction, what is needed to restore and to compare.
	record(env *Env, a *Commit, f *found) error
	// restore puts the thing back, from any half-way point, and does nothing where it is as it was.
	restore(env *Env, a *Commit) error
	// compare lists how the thing differs from what was recorded, a line each.
	compare(env *Env, a *Commit) ([]string, error)
}

// A beginner is a keeper that does something before the transaction begins, also one that is brought to its end.
type beginner interface {
	begins(env *Env, a *Commit) error
}

// An ender is a keeper that notes, when the transaction has ended, how that has left the thing.
type ender interface {
	ended(env *Env) error
}

// keepers are those of a transaction. They are embedded so that what they record stands in the journal as fields of
// the transaction itself.
type keepers struct {
	wantsKeeper
	masksKeeper
	notesKeeper
	servicesKeeper
	accountsKeeper
	linksKeeper
	conffilesKeeper
	namesakesKeeper
	ghostsKeeper
	dirsKeeper
	marksKeeper
	remainsKeeper
	startsKeeper
	departuresKeeper
	detoursKeeper
	arrivalsKeeper
}

// inOrder lists the keepers in the order in which they record. The way back goes from the last to the first:
//   - what came is removed before what went comes back, and both before any file is restored, because packages change
//     files, directories and links as they come and go;
//   - accounts are restored before the services that run under them, and links that enable a service before it is
//     enabled, because the tools for that give new numbers to what is missing;
//   - directories are restored before what lies in them, so they are recorded after it.
func (k *keepers) inOrder() []keeper {
	return []keeper{
		&k.wantsKeeper, &k.masksKeeper, &k.notesKeeper, &k.servicesKeeper, &k.accountsKeeper, &k.linksKeeper, &k.conffilesKeeper,
		&k.namesakesKeeper, &k.ghostsKeeper, &k.dirsKeeper, &k.marksKeeper, &k.remainsKeeper, &k.startsKeeper, &k.departuresKeeper, &k.detoursKeeper, &k.arrivalsKeeper,
	}
}

// found is what there was before a transaction, for its keepers.
type found struct {
	have     map[string]host.Package // all packages
	paths    map[string]bool         // of the packages that go; keepers add directories that are to be recorded
	detours  map[string]string       // symlinks in the place of the packages' directories, and what each leads to
	services []host.Service          // of the packages that go
}

// find finds what the packages of a transaction have.
func (a *Commit) find(v host.View, have map[string]host.Package) (*found, error) {
	f := &found{have: have, paths: map[string]bool{}}
	names := map[string]bool{}
	for _, p := range a.Old {
		if !p.Installed() && p.Status != "config-files" {
			continue
		}
		files, err := v.PackageFiles(p.Name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			f.paths[path.Clean(file)] = true
			if name := serviceOf(path.Clean(file)); name != "" {
				names[name] = true
			}
		}
	}
	if err := f.findDetours(v); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s, there, err := (&Service{Name: name}).Now(v)
		if err != nil {
			return nil, err
		}
		if there {
			f.services = append(f.services, s)
		}
	}
	return f, nil
}

// record has all keepers record.
func (a *Commit) record(env *Env, f *found) error {
	for _, k := range a.inOrder() {
		if err := k.record(env, a, f); err != nil {
			return err
		}
	}
	return nil
}

// begins has those keepers do what they do before the transaction. Whoever is at work on the packages ends first: a
// script may outlive the run that it was started for.
func (a *Commit) begins(env *Env) error {
	if err := env.Host.ExpelPackages(env.Ctx, nil, "", a.watch(env)); err != nil {
		return err
	}
	for _, k := range a.inOrder() {
		if b, ok := k.(beginner); ok {
			if err := b.begins(env, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// ended has those keepers note how the transaction has ended that want to know.
func (a *Commit) ended(env *Env) error {
	for _, k := range a.inOrder() {
		if e, ok := k.(ender); ok {
			if err := e.ended(env); err != nil {
				return err
			}
		}
	}
	return nil
}

// restore has all keepers restore, from the last to the first.
func (a *Commit) restore(env *Env) error {
	for _, k := range slices.Backward(a.inOrder()) {
		if err := k.restore(env, a); err != nil {
			return err
		}
	}
	return nil
}

// compare has keepers compare, from the last to the first.
func (a *Commit) compare(env *Env, keepers ...keeper) ([]string, error) {
	var lines []string
	for _, k := range slices.Backward(keepers) {
		more, err := k.compare(env, a)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// compareOld compares what the package database knew with what it knows, package by package.
func (a *Commit) compareOld(env *Env, compare func(old, now host.Package) string) ([]string, error) {
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, old := range a.Old {
		if line := compare(old, have[bareName(old.Name)]); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
