package sim

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// solver works a transaction out as the package manager does for the plain cases: the named packages
// and what they depend on come, the first alternative that can be had is taken, and what depends on
// something that goes, goes too. What conflicts with a newcomer goes with apt, and is an error with
// yum and zypper.
type solver struct {
	packages *packages
	tx       host.Transaction
	install  map[string]*Package
	remove   map[string]bool
	purge    map[string]bool // removed already; conffiles go
	replace  map[string]bool // those of remove that a newcomer obsoletes
	errors   []string

	recommends bool // recommended packages come too

	providers map[string][]*Package // installed packages by their names and what they provide
}

// solution is a transaction that was solved: all that comes and goes.
type solution struct {
	install []*Package // dependencies first
	remove  []string   // what depends on others first
	purge   []string   // packages of which only conffiles are left
}

func (pk *packages) solve(tx host.Transaction) (*solution, error) {
	if err := host.CheckPackageNames(slices.Concat(tx.Remove, tx.Install)); err != nil {
		return nil, err
	}
	if pk.system.packager.dependsOnFiles() {
		if err := pk.loadFiles(); err != nil {
			return nil, err
		}
	}
	s := &solver{packages: pk, tx: tx, install: map[string]*Package{}, remove: map[string]bool{}, purge: map[string]bool{}, replace: map[string]bool{}}
	s.recommends = pk.system.packager.recommends(tx)
	s.indexProviders()
	for _, name := range tx.Remove {
		s.askRemove(name)
	}
	for _, spec := range tx.Install {
		s.askInstall(spec)
	}
	if len(s.errors) > 0 {
		return nil, &host.SolveError{Summary: "the package manager finds no way to do this", Lines: s.errors}
	}
	for s.step() && len(s.errors) == 0 {
	}
	if len(s.errors) > 0 {
		return nil, &host.SolveError{Summary: "the packages have unmet dependencies", Lines: s.errors}
	}
	return s.solution(), nil
}

func (s *solver) fail(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}

func (s *solver) askRemove(name string) {
	p := s.packages.db.byName[name]
	switch {
	case p == nil: // what is not there is removed already
	case p.Status == "config-files":
		if s.tx.Purge {
			s.purge[name] = true
		}
	case p.Held:
		s.fail("package %s is held", name)
	default:
		s.remove[name] = true
	}
}

// askInstall takes NAME, NAME=VERSION or the path of a package file.
func (s *solver) askInstall(spec string) {
	if path.IsAbs(spec) {
		p, err := s.packages.repositories.packageFile(spec)
		if err != nil {
			s.fail("%s: %v", spec, err)
			return
		}
		s.addFile(p)
		return
	}
	name, want, exact := strings.Cut(spec, "=")
	candidates := s.packages.repositories.candidates(name)
	if exact {
		candidates = slices.DeleteFunc(candidates, func(p *Package) bool { return p.Version != want })
		if len(candidates) == 0 {
			s.fail("Version '%s' for '%s' was not found", want, name)
			return
		}
	}
	if have := s.packages.db.installed(name); have != nil && !s.remove[name] {
		if len(candidates) == 0 || have.Version == candidates[0].Version {
			return
		}
		if c := s.packages.system.format().Compare(candidates[0].Version, have.Version); c < 0 && !exact {
			return
		} else if c < 0 && !s.tx.Downgrade {
			s.fail("Packages were downgraded and downgrades are not allowed: %s", name)
			return
		}
	}
	if len(candidates) == 0 {
		if provider := s.provider(name); provider != nil {
			s.add(provider)
			return
		}
		s.fail("Unable to locate package %s", name)
		return
	}
	s.add(candidates[0])
}

// addFile installs a package file.
func (s *solver) addFile(p *Package) {
	if have := s.packages.db.installed(p.Name); have != nil && !s.remove[p.Name] {
		switch c := p.Format.Compare(p.Version, have.Version); {
		case c == 0 && !s.packages.system.packager.installsAgain():
			return
		case c < 0 && !s.tx.Downgrade:
			s.fail("package %s %s is older than the installed %s", p.Name, p.Version, have.Version)
			return
		}
	}
	s.add(p)
}

// provider is the one package on offer that provides a name.
func (s *solver) provider(name string) *Package {
	var found *Package
	for _, p := range s.packages.repositories.offered() {
		if p.Name != name && p.matches(dependency.Possibility{Name: name}) && (found == nil || p.Name == found.Name) {
			found = newer(found, p)
		}
	}
	return found
}

func newer(a, b *Package) *Package {
	if a == nil || b.Format.Compare(b.Version, a.Version) > 0 {
		return b
	}
	return a
}

func (s *solver) add(p *Package) {
	s.install[p.Name] = p
	delete(s.remove, p.Name)
	delete(s.purge, p.Name)
}

// step brings the state one change nearer to one in which all dependencies are met; false if it is.
func (s *solver) step() bool {
	for _, name := range slices.Sorted(maps.Keys(s.install)) {
		if s.stepConflicts(s.install[name]) || s.stepDepends(s.install[name]) {
			return true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.packages.db.byName)) {
		p := s.packages.db.byName[name]
		if p.Status != "installed" || s.remove[name] || s.install[name] != nil {
			continue
		}
		if s.broken(p) && s.packages.system.packager.bereave(s, p) {
			return true
		}
	}
	return false
}

// stepConflicts removes what a newcomer conflicts with or breaks, and the other way round.
func (s *solver) stepConflicts(p *Package) bool {
	for _, other := range slices.Sorted(maps.Keys(s.packages.db.byName)) {
		old := s.packages.db.byName[other]
		if old.Status != "installed" || other == p.Name || s.remove[other] || s.install[other] != nil {
			continue
		}
		if obsoletes(p, old) {
			s.replace[other] = true
			s.goes(old)
			return true
		}
		if !conflict(p, old) && !conflict(old, p) {
			continue
		}
		return s.packages.system.packager.clash(s, p, old)
	}
	for _, other := range slices.Sorted(maps.Keys(s.install)) {
		if other != p.Name && conflict(p, s.install[other]) {
			s.fail("%s : Conflicts: %s", p.Name, other)
			return false
		}
	}
	return false
}

func conflict(a, b *Package) bool {
	for _, r := range a.relations().conflicts {
		if slices.ContainsFunc(r.Possibilities, b.matches) {
			return true
		}
	}
	return false
}

func (s *solver) goes(p *Package) {
	if p.Held {
		s.fail("package %s is held, and would have to be removed", p.Name)
		return
	}
	s.remove[p.Name] = true
}

// stepDepends adds a package that a newcomer needs, and recommended ones unless they are not wanted.
func (s *solver) stepDepends(p *Package) bool {
	for _, r := range p.relations().depends {
		if s.met(r) {
			continue
		}
		if choice := s.choose(r); choice != nil {
			s.add(choice)
			return true
		}
		s.fail("%s : Depends: %s but it is not installable", p.Name, relationText(r))
		return false
	}
	if !s.recommends {
		return false
	}
	for _, r := range p.relations().recommends {
		if choice := s.choose(r); choice != nil && !s.met(r) {
			s.add(choice)
			return true
		}
	}
	return false
}

// met reports whether the state after the transaction fulfils a relation.
func (s *solver) met(r dependency.Relation) bool {
	for _, want := range r.Possibilities {
		if want.Substvar {
			return true
		}
		for _, p := range s.install {
			if p.matches(want) {
				return true
			}
		}
		for _, p := range s.installedFor(want) {
			if !s.remove[p.Name] && s.install[p.Name] == nil && p.matches(want) {
				return true
			}
		}
		if s.packages.system.packager.basic(want) {
			return true
		}
	}
	return len(r.Possibilities) == 0
}

// choose is the package to install for a relation: of the first alternative that can be had. A
// package that was asked to go is not brought back.
func (s *solver) choose(r dependency.Relation) *Package {
	for _, want := range r.Possibilities {
		s.packages.repositories.askIndex(want.Name)
		var best *Package
		for _, p := range s.packages.repositories.offered() {
			if s.remove[p.Name] || !p.matches(want) {
				continue
			}
			if best == nil || (p.Name == want.Name) && best.Name != want.Name || p.Name == best.Name && s.packages.system.format().Compare(p.Version, best.Version) > 0 {
				best = p
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// broken reports whether an installed package has a dependency that was met and no longer is.
func (s *solver) broken(p *Package) bool {
	return slices.ContainsFunc(p.relations().depends, func(r dependency.Relation) bool { return !s.met(r) && s.wasMet(r) })
}

// losesToRemoval reports whether what a package depends on is removed, and not replaced.
func (s *solver) losesToRemoval(p *Package) bool {
	for _, r := range p.relations().depends {
		if s.met(r) || !s.wasMet(r) {
			continue
		}
		for name, gone := range s.packages.db.byName {
			if s.remove[name] && !s.replace[name] && slices.ContainsFunc(r.Possibilities, gone.matches) {
				return true
			}
		}
	}
	return false
}

// obsoletes reports whether a newcomer takes the place of another package, which it names by its name.
func obsoletes(p, old *Package) bool {
	for _, r := range p.relations().obsoletes {
		if slices.ContainsFunc(r.Possibilities, func(w dependency.Possibility) bool { return rpm.Is(old.Name, old.Version, w) }) {
			return true
		}
	}
	return false
}

// wasMet reports whether the host as it is fulfils a relation.
func (s *solver) wasMet(r dependency.Relation) bool {
	for _, want := range r.Possibilities {
		if slices.ContainsFunc(s.installedFor(want), func(p *Package) bool { return p.matches(want) }) {
			return true
		}
	}
	return false
}

// indexProviders makes it cheap to find what meets a dependency: a real host has thousands of each.
func (s *solver) indexProviders() {
	s.providers = map[string][]*Package{}
	for _, name := range slices.Sorted(maps.Keys(s.packages.db.byName)) {
		p := s.packages.db.byName[name]
		if p.Status != "installed" {
			continue
		}
		s.providers[name] = append(s.providers[name], p)
		for _, r := range p.relations().provides {
			for _, offer := range r.Possibilities {
				s.providers[offer.Name] = append(s.providers[offer.Name], p)
			}
		}
	}
}

// installedFor lists the installed packages that may meet a dependency.
func (s *solver) installedFor(want dependency.Possibility) []*Package {
	list := s.providers[want.Name]
	if !path.IsAbs(want.Name) || !s.packages.system.packager.dependsOnFiles() {
		return list
	}
	list = slices.Clone(list)
	for _, owner := range s.packages.db.owners[want.Name] {
		list = append(list, s.packages.db.byName[owner])
	}
	return list
}

func relationText(r dependency.Relation) string {
	var words []string
	for _, p := range r.Possibilities {
		text := p.Name
		if p.Version != nil {
			text += " (" + p.Version.Operator + " " + p.Version.Number + ")"
		}
		words = append(words, text)
	}
	return strings.Join(words, " | ")
}

// solution orders the result: removals so that nothing loses what it depends on before it goes itself,
// installations the other way round.
func (s *solver) solution() *solution {
	removed := map[string]*Package{}
	for name := range s.remove {
		removed[name] = s.packages.db.byName[name]
	}
	sol := &solution{purge: slices.Sorted(maps.Keys(s.purge))}
	for _, p := range dependencyOrder(removed) {
		sol.remove = append(sol.remove, p.Name)
	}
	slices.Reverse(sol.remove)
	sol.install = dependencyOrder(s.install)
	return sol
}

// dependencyOrder sorts packages so that each follows what it depends on; a circle is cut anywhere.
func dependencyOrder(set map[string]*Package) []*Package {
	var order []*Package
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, r := range set[name].relations().depends {
			for _, other := range slices.Sorted(maps.Keys(set)) {
				if slices.ContainsFunc(r.Possibilities, set[other].matches) {
					visit(other)
				}
			}
		}
		order = append(order, set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		visit(name)
	}
	return order
}

// Solve says what a transaction would do.
func (pk *packages) Solve(tx host.Transaction) (host.Solution, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	sol, err := pk.solve(tx)
	if err != nil {
		return host.Solution{}, err
	}
	return sol.onHost(pk, tx), nil
}

// onHost is a solution as a host tells it.
func (sol *solution) onHost(pk *packages, tx host.Transaction) host.Solution {
	var told host.Solution
	for _, p := range sol.install {
		c := host.Change{Name: p.Name, Version: p.Version, Origin: cmp.Or(p.From, p.Origin)}
		told.Download += p.fileSize()
		told.DiskDelta += p.SizeKiB * 1024
		if have := pk.db.installed(p.Name); have != nil {
			c.Old = have.Version
			told.DiskDelta -= have.SizeKiB * 1024
			told.Upgrade = append(told.Upgrade, c)
			continue
		}
		told.Install = append(told.Install, c)
	}
	for _, name := range sol.remove {
		p := pk.db.byName[name]
		told.DiskDelta -= p.SizeKiB * 1024
		told.Remove = append(told.Remove, host.Change{Name: name, Version: p.Version, Purge: tx.Purge && p.Format.KeepsConffiles()})
	}
	for _, name := range sol.purge {
		told.Remove = append(told.Remove, host.Change{Name: name, Version: pk.db.byName[name].Version, Purge: true})
	}
	for _, changes := range [][]host.Change{told.Install, told.Upgrade, told.Remove} {
		slices.SortFunc(changes, func(a, b host.Change) int { return cmp.Compare(a.Name, b.Name) })
	}
	return told
}

// fileSize is the size of the package file, or an estimate of it: packages shrink to about a third.
func (p *Package) fileSize() int64 {
	return cmp.Or(p.FileSize, p.SizeKiB*1024/3)
}
