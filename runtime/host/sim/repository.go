package sim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// repositories are where packages come from: those that are configured, and what the fixture and the
// catalogue say of them.
type repositories struct {
	files  *files
	gaps   *gaps
	system *system
	below  host.View

	lists        []*Package // of the fixture
	catalog      []*Package
	indexed      []*Package // of repositories on this host, as read last
	refreshed    []host.Source
	offers       []*Package // cache; nil when it has to be made again
	packageFiles map[string]*Package
	dead         map[string]string // URL to what the package manager would say
	asked        map[string]bool   // names that the package index of the machine below was asked for
}

func newRepositories(below host.View, catalog []*Package) *repositories {
	return &repositories{below: below, catalog: catalog, packageFiles: map[string]*Package{}, dead: map[string]string{}, asked: map[string]bool{}}
}

// configured reads the sources of the package manager.
func (rs *repositories) configured() ([]host.Source, error) {
	var list []host.Source
	for _, pattern := range rs.system.of().SourceFiles() {
		for _, file := range rs.files.matching(pattern) {
			text, err := rs.files.readFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			list = append(list, rs.parseSources(file, string(text))...)
		}
	}
	return list, nil
}

func (rs *repositories) parseSources(file, text string) []host.Source {
	return rs.system.of().Sources(file, text, rs.system.facts)
}

// offers reports whether a package of a fixture or catalogue comes from a repository.
func offers(r host.Source, p *Package) bool {
	return p.Repository != "" && globMatch(p.Repository, r.URL)
}

// globMatch is path.Match in which "*" also matches slashes.
func globMatch(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

// offered lists the packages that can be installed: those that the lists read last name, and those
// of the fixture that are on offer always. A package that one source knows hides what less exact
// ones say of the same version.
func (rs *repositories) offered() []*Package {
	if rs.offers == nil {
		rs.offers = rs.collectOffers()
	}
	return rs.offers
}

func (rs *repositories) collectOffers() []*Package {
	var all []*Package
	seen := map[string]bool{}
	take := func(p *Package) {
		if key := p.Name + "=" + p.Version; !seen[key] {
			seen[key] = true
			all = append(all, p)
		}
	}
	for _, p := range rs.indexed {
		take(p)
	}
	for _, list := range [][]*Package{rs.lists, rs.catalog} {
		for _, p := range list {
			always := p.Repository == "" && !rs.isCatalog(p)
			if always || slices.ContainsFunc(rs.refreshed, func(r host.Source) bool { return offers(r, p) }) {
				take(p)
			}
		}
	}
	return all
}

func (rs *repositories) isCatalog(p *Package) bool { return slices.Contains(rs.catalog, p) }

// RefreshPackages reads the configured repositories: those on this host in full, of the others what
// the fixture and the catalogue say. None is contacted.
func (pk *packages) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, w); err != nil {
		return err
	}
	for _, file := range only {
		if _, err := pk.files.Stat(file); err != nil {
			return fmt.Errorf("refresh the package lists of %s: %w", file, err)
		}
	}
	repositories, err := pk.repositories.configured()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range repositories {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(only) > 0 && !slices.Contains(only, r.File) {
			continue
		}
		if err := pk.repositories.refresh(r); err != nil {
			errs = append(errs, err)
		}
	}
	pk.repositories.offers = nil
	pk.unpredictPackageFiles()
	return errors.Join(errs...)
}

func (rs *repositories) refresh(r host.Source) error {
	if why, ok := rs.dead[r.URL]; ok {
		return rs.system.managerError("Failed to fetch %s: %s", r.URL, why)
	}
	if dir := r.Dir(); dir != "" {
		list, err := rs.system.packager.readRepository(dir)
		if err != nil {
			return fmt.Errorf("repository %s (configured in %s): %w", r.URL, r.File, err)
		}
		rs.indexed = append(list, rs.indexed...)
		return nil
	}
	if !slices.ContainsFunc(rs.refreshed, func(have host.Source) bool { return have.URL == r.URL && have.Path == r.Path }) {
		rs.refreshed = append(rs.refreshed, r)
	}
	rs.gaps.add(host.Unpredicted{
		What:  "what the repository " + r.URL + " offers",
		Why:   "a simulation contacts no repository; the fixture and the built-in catalogue stand in for it",
		Check: "the run asks the repository before anything is removed",
	})
	return nil
}

// readFlatRepository reads the index of a repository and the package files that it names; without an index, all
// package files in the directory.
func (rs *repositories) readFlatRepository(dir string) ([]*Package, error) {
	index, err := rs.readIndex(dir)
	if err != nil {
		return nil, err
	}
	if index == nil {
		return rs.readPackageDir(dir)
	}
	stanzas, err := deb.ParseStanzas(string(index), 1)
	if err != nil {
		return nil, fmt.Errorf("%s/Packages: %w", dir, err)
	}
	var list []*Package
	for i := range stanzas {
		file := stanzas[i].Get("Filename")
		if p, err := rs.packageFile(path.Join(dir, file)); file != "" && err == nil {
			list = append(list, p)
			continue
		}
		p, err := packageOf(&stanzas[i], Deb)
		if err != nil {
			return nil, fmt.Errorf("%s/Packages: %w", dir, err)
		}
		p.From = "package index " + dir + "/Packages"
		rs.completePayload(p)
		list = append(list, p)
	}
	return list, nil
}

// completePayload takes the files of a package of which only the index entry is known from the
// fixture or the catalogue.
func (rs *repositories) completePayload(p *Package) {
	for _, list := range [][]*Package{rs.lists, rs.catalog} {
		for _, known := range list {
			if known.Name == p.Name && known != p && len(known.Files) > 0 {
				p.Files, p.Effects, p.Scripts, p.Conffiles, p.RunAs = known.Files, known.Effects, known.Scripts, known.Conffiles, known.RunAs
				p.From += "; files from " + known.From
				return
			}
		}
	}
}

func (rs *repositories) readIndex(dir string) ([]byte, error) {
	index, err := rs.files.readFile(path.Join(dir, "Packages"))
	if err == nil {
		return index, nil
	}
	packed, err2 := rs.files.readFile(path.Join(dir, "Packages.gz"))
	switch {
	case err2 == nil:
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, fmt.Errorf("%s/Packages.gz: %w", dir, err)
		}
		return io.ReadAll(z)
	case errors.Is(err, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist):
		return nil, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return nil, err2
}

func (rs *repositories) readPackageDir(dir string) ([]*Package, error) {
	entries, err := rs.files.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []*Package
	for _, e := range entries {
		if !rs.system.format().IsFile(e.Name) {
			continue
		}
		p, err := rs.packageFile(path.Join(dir, e.Name))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("neither an index nor a package file (%s) is there", rs.system.format().Extension())
	}
	return list, nil
}

// ProbeRepository answers for a repository on this host from its files. For any other the answer is
// what the fixture and the catalogue assume, and is marked so.
func (pk *packages) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	answer := host.RepositoryAnswer{Offers: map[string]string{}, Known: true}
	var offered, indexed []*Package
	var remote []host.Source
	for _, file := range probe.Files {
		for _, r := range pk.repositories.parseSources(file.Path, file.Content.Reveal()) {
			if err := ctx.Err(); err != nil {
				return answer, err
			}
			list, known, err := pk.repositories.probe(r)
			if err != nil {
				return answer, err
			}
			offered = append(offered, list...)
			if r.Dir() == "" {
				remote = append(remote, r)
			} else {
				indexed = append(indexed, list...)
			}
			answer.Known = answer.Known && known
		}
	}
	for _, name := range probe.Packages {
		var best *Package
		for _, p := range offered {
			if p.Name == name {
				best = newer(best, p)
			}
		}
		if best == nil {
			answer.Missing = append(answer.Missing, name)
			continue
		}
		answer.Offers[name] = best.Version
	}
	if probe.Tx == nil {
		return answer, nil
	}
	var err error
	answer.Solution, err = pk.solveWith(remote, indexed, *probe.Tx)
	return answer, err
}

// solveWith solves an installation as if the lists of these repositories, and of these packages, had been
// read as well, and what the transaction removes were gone.
func (pk *packages) solveWith(remote []host.Source, indexed []*Package, tx host.Transaction) (host.Solution, error) {
	defer func(refreshed []host.Source, packages map[string]*Package) {
		// What the machine's own index was asked meanwhile, it is not asked again.
		pk.repositories.refreshed, pk.repositories.indexed, pk.repositories.offers, pk.db.byName = refreshed, pk.repositories.indexed[len(indexed):], nil, packages
	}(pk.repositories.refreshed, pk.db.byName)
	pk.repositories.refreshed, pk.repositories.indexed, pk.repositories.offers = slices.Concat(pk.repositories.refreshed, remote), slices.Concat(indexed, pk.repositories.indexed), nil
	pk.db.byName = maps.Clone(pk.db.byName)
	before := &solver{packages: pk}
	before.indexProviders()
	for _, name := range tx.Remove {
		delete(pk.db.byName, name)
	}
	tx.Remove = nil
	sol, err := pk.solve(tx)
	if err == nil {
		err = pk.leftBroken(before, sol)
	}
	if err != nil {
		return host.Solution{}, err
	}
	return sol.onHost(pk, tx), nil
}

// leftBroken is the error of a manager that finds packages on the host whose needs went, and that what comes does not
// meet again: it does nothing then.
func (pk *packages) leftBroken(before *solver, sol *solution) error {
	after := &solver{packages: pk, install: map[string]*Package{}, remove: map[string]bool{}}
	for _, p := range sol.install {
		after.install[p.Name] = p
	}
	for _, name := range sol.remove {
		after.remove[name] = true
	}
	after.indexProviders()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(pk.db.byName)) {
		p := pk.db.byName[name]
		if p.Status != "installed" || after.remove[name] || after.install[name] != nil {
			continue
		}
		for _, r := range p.relations().depends {
			if before.wasMet(r) && !after.met(r) {
				lines = append(lines, fmt.Sprintf("%s : Depends: %s but it is not going to be installed", name, relationText(r)))
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return &host.SolveError{Summary: "the packages have unmet dependencies", Lines: lines}
}

func (rs *repositories) probe(r host.Source) (list []*Package, known bool, err error) {
	if why, ok := rs.dead[r.URL]; ok {
		return nil, true, fmt.Errorf("repository %s does not answer: %s", r.URL, why)
	}
	if dir := r.Dir(); dir != "" {
		list, err := rs.system.packager.readRepository(dir)
		if err != nil {
			return nil, true, fmt.Errorf("repository %s: %w", r.URL, err)
		}
		return list, true, nil
	}
	for _, known := range [][]*Package{rs.lists, rs.catalog} {
		for _, p := range known {
			if offers(r, p) {
				list = append(list, p)
			}
		}
	}
	rs.gaps.add(host.Unpredicted{
		What:  "whether the repository " + r.URL + " answers, and what it offers",
		Why:   "a simulation contacts no repository; the fixture and the built-in catalogue stand in for it",
		Check: "the run asks the repository before anything is removed",
	})
	return list, false, nil
}

// candidates lists what is on offer of a name, newest first.
func (rs *repositories) candidates(name string) []*Package {
	var list []*Package
	rs.askIndex(name)
	for _, p := range rs.offered() {
		if p.Name == name {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b *Package) int { return rs.system.format().Compare(b.Version, a.Version) })
	return list
}

// packageFile is the package in a file of the simulated host.
func (rs *repositories) packageFile(file string) (*Package, error) {
	if p := rs.packageFiles[file]; p != nil {
		if _, err := rs.files.Stat(file); err != nil {
			return nil, err
		}
		return p, nil
	}
	f, err := rs.files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p, err := ReadPackageFile(f, st.Size, "package file "+file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	rs.learnEffects(p)
	rs.packageFiles[file] = p
	return p, nil
}

// learnEffects takes what maintainer scripts do from the fixture or the catalogue, for a package that
// is known from elsewhere.
func (rs *repositories) learnEffects(p *Package) {
	if len(p.Effects) > 0 {
		return
	}
	known := rs.knownEffects(p)
	if known == nil {
		return
	}
	p.RunAs = cmp.Or(p.RunAs, known.RunAs)
	if p.texts != nil {
		return // which say it themselves
	}
	p.Effects, p.effectsFrom = known.Effects, known.From
	p.From += "; what its scripts do: " + known.From
	if len(p.Scripts) == 0 {
		p.Scripts = known.Scripts
	}
}

// knownEffects is a package of that name whose effects are known: one of the same maintainer, if there is one.
func (rs *repositories) knownEffects(p *Package) *Package {
	var first *Package
	for _, known := range slices.Concat(rs.lists, rs.catalog) {
		if known.Name != p.Name || len(known.Effects) == 0 {
			continue
		}
		if p.Origin != "" && known.Origin == p.Origin {
			return known
		}
		if first == nil {
			first = known
		}
	}
	return first
}

// askIndex takes what the index of the machine below offers of some names into the packages on offer.
func (rs *repositories) askIndex(names ...string) {
	if rs.below == nil {
		return
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return rs.asked[n] })
	if len(names) == 0 {
		return
	}
	for _, n := range names {
		rs.asked[n] = true
	}
	found, err := rs.below.Candidates(names)
	if err != nil {
		return
	}
	for name, list := range found {
		for _, c := range list {
			p := &Package{Format: rs.system.format(), Package: host.Package{Name: name, Version: c.Version, Depends: c.Depends, Source: name, Origin: c.Origin}}
			p.From = "package index of the machine"
			rs.completePayload(p)
			rs.indexed = append(rs.indexed, p)
		}
	}
	rs.offers = nil
}
