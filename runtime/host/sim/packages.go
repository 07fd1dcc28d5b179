package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
)

// PackageManager names the simulated manager.
func (h *Host) PackageManager() (host.PackageManager, error) {
	if h.manager.Name == "" {
		return h.manager, fmt.Errorf("package manager: %w", host.ErrUnknown)
	}
	return h.manager, nil
}

// Packages lists the package database.
func (h *Host) Packages() ([]host.Package, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]host.Package, 0, len(h.packages))
	for _, name := range sortedKeys(h.packages) {
		p := h.packages[name].Package
		p.Conffiles = slices.Clone(p.Conffiles)
		if _, half := h.halfway[name]; half {
			p.Status = "half-installed"
		}
		list = append(list, p)
	}
	for _, old := range h.surplus {
		list = append(list, old.Package)
	}
	for name, p := range h.halfway {
		if h.packages[name] == nil {
			list = append(list, host.Package{Name: name, Version: p.Version, Arch: p.Arch, Origin: p.Origin, Source: p.Source, Status: "half-installed"})
		}
	}
	slices.SortStableFunc(list, func(a, b host.Package) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// PackageFiles lists what a package owns.
func (h *Host) PackageFiles(name string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.packages[name] == nil {
		return nil, fmt.Errorf("package %s is not installed", name)
	}
	if err := h.loadFiles(); err != nil {
		return nil, err
	}
	p := h.packages[name]
	paths := make([]string, len(p.Files))
	for i, f := range p.Files {
		paths[i] = f.Path
	}
	return paths, nil
}

// installed is the record of a package that is fully there, or nil.
func (h *Host) installed(name string) *Package {
	if p := h.packages[name]; p != nil && p.Status == "installed" {
		return p
	}
	return nil
}

// candidates lists what is on offer of a name, newest first.
func (h *Host) candidates(name string) []*Package {
	var list []*Package
	h.askIndex(name)
	for _, p := range h.offered() {
		if p.Name == name {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b *Package) int { return h.format().compareVersions(b.Version, a.Version) })
	return list
}

// Candidates returns what the configured repositories offer.
func (h *Host) Candidates(names []string) (map[string][]host.Candidate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[string][]host.Candidate{}
	h.askIndex(names...)
	for _, name := range names {
		for _, p := range h.candidates(name) {
			found[name] = append(found[name], host.Candidate{Version: p.Version, Origin: p.From, Depends: p.Depends})
		}
	}
	return found, nil
}

// PackageLock and PackageAudit answer from the fixture.
func (h *Host) PackageLock() (*host.LockHolder, error) { return h.lock, nil }
func (h *Host) PackageAudit() ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := slices.Clone(h.audit)
	for _, name := range sortedKeys(h.packages) {
		if p := h.packages[name]; p.Status != "installed" && p.Status != "config-files" {
			lines = append(lines, fmt.Sprintf("%s %s is %s", name, p.Version, p.Status))
		}
	}
	for _, name := range sortedKeys(h.halfway) {
		lines = append(lines, name+" is half-installed")
	}
	for _, name := range sortedKeys(h.surplus) {
		lines = append(lines, fmt.Sprintf("%s-%s is a duplicate with %s-%s", name, h.surplus[name].Version, name, h.packages[name].Version))
	}
	return lines, nil
}

// RepairPackages finishes packages that were left half-way.
func (h *Host) RepairPackages(ctx context.Context, _ []string, _ *host.PackageWatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, nil); err != nil {
		return err
	}
	for _, name := range sortedKeys(h.halfway) {
		if err := h.finishHalfway(name); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(h.packages) {
		p := h.packages[name]
		if p.Status == "unpacked" || p.Status == "half-configured" {
			if err := h.configure(p); err != nil {
				return err
			}
		}
	}
	if err := h.repairRPM(); err != nil {
		return err
	}
	h.audit = nil
	return nil
}

// finishHalfway brings a removal or an unpacking to its end.
func (h *Host) finishHalfway(name string) error {
	if p := h.halfway[name]; p != nil {
		return h.unpack(p)
	}
	return h.removePackage(h.packages[name])
}

// awaitLock waits as a live host does. Who holds the lock in a simulation never ends.
func (h *Host) awaitLock(ctx context.Context, w *host.PackageWatch) error {
	return packagelock.Usual.With(ctx, h, w, func() error { return nil })
}

// CommitPackages carries a transaction out with the rules of rpm, or of dpkg with conffiles kept
// (--force-confdef --force-confold).
func (h *Host) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, w); err != nil {
		return err
	}
	if err := h.loadFiles(); err != nil {
		return err
	}
	pl, err := h.solve(tx)
	if err != nil {
		return err
	}
	if err := tx.RefuseExtra(h.removals(pl)); err != nil {
		return err
	}
	if len(pl.install)+len(pl.remove)+len(pl.purge) > 0 {
		h.unpredictPackageFiles()
		h.unpredictSite(pl)
	}
	if h.format() == RPM {
		return h.commitRPM(ctx, pl, w.Line)
	}
	for _, name := range pl.remove {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := h.packages[name]
		w.Line(fmt.Sprintf("Removing %s (%s) ...", name, p.Version))
		if err := h.removePackage(p); err != nil {
			return fmt.Errorf("removing %s: %w", name, err)
		}
		if tx.Purge {
			pl.purge = append(pl.purge, name)
		}
	}
	for _, name := range pl.purge {
		p := h.packages[name]
		if p == nil {
			continue
		}
		w.Line(fmt.Sprintf("Purging configuration files for %s (%s) ...", name, p.Version))
		if err := h.purgePackage(p); err != nil {
			return fmt.Errorf("purging %s: %w", name, err)
		}
	}
	had := map[string]bool{}
	for _, p := range pl.install {
		had[p.Name] = h.installed(p.Name) != nil
	}
	if err := h.installAll(ctx, pl.install, w.Line); err != nil {
		return err
	}
	h.markAuto(tx, pl.install, had)
	return nil
}

// removals are the packages that a plan removes.
func (h *Host) removals(pl *plan) []host.Change {
	var list []host.Change
	for _, name := range pl.remove {
		list = append(list, host.Change{Name: name, Version: h.packages[name].Version})
	}
	return list
}

// installAll unpacks all packages, then sets them up, as apt has dpkg do it.
func (h *Host) installAll(ctx context.Context, list []*Package, progress func(string)) error {
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(fmt.Sprintf("Unpacking %s (%s) ...", p.Name, p.Version))
		if err := h.unpack(p); err != nil {
			return fmt.Errorf("unpacking %s: %w", p.Name, err)
		}
	}
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(fmt.Sprintf("Setting up %s (%s) ...", p.Name, p.Version))
		if err := h.configure(h.packages[p.Name]); err != nil {
			return fmt.Errorf("setting up %s: %w", p.Name, err)
		}
	}
	return nil
}

// Sources tells for each package that the simulation installed where its knowledge of it came from.
func (h *Host) Sources() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	sources := map[string]string{}
	for name, from := range h.sources {
		sources[name] = from
	}
	return sources
}

// SavePackages makes package files of declared size in dir, which CommitPackages can install again.
func (h *Host) SavePackages(ctx context.Context, names []string, dir string, _ *host.PackageWatch) (files, missing map[string]string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files, missing = map[string]string{}, map[string]string{}
	if err := h.loadFiles(); err != nil {
		return files, missing, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return files, missing, err
		}
		p := h.installed(name)
		if p == nil {
			missing[name] = "not installed"
			continue
		}
		kept, err := h.capture(p)
		if err != nil {
			missing[name] = err.Error()
			continue
		}
		file := path.Join(dir, p.fileName())
		kept.FileSize = max(p.fileSize(), 1024)
		if err := h.savePackage(file, kept); err != nil {
			return files, missing, err
		}
		files[name] = file
	}
	return files, missing, nil
}

func (h *Host) savePackage(file string, p *Package) error {
	if err := h.Unlink(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.CreateSized(file, p.FileSize, 0o600); err != nil {
		return err
	}
	h.packageFiles[file] = p
	h.unpredict(host.Unpredicted{What: "content and size of " + file, Why: "a simulation packs no packages; the size is an estimate", Path: file, Aspect: "content"})
	return nil
}

// keptContent is the size up to which the content of an installed file is kept with a saved package.
const keptContent = 1 << 20

// capture describes an installed package as its package file would, from the installed files.
func (h *Host) capture(p *Package) (*Package, error) {
	kept := p.clone()
	kept.Status, kept.From, kept.rel = "", "saved from the installed state", nil
	shipped := map[string]string{}
	for _, c := range p.Conffiles {
		shipped[c.Path] = c.MD5
	}
	kept.Files = kept.Files[:0]
	for _, f := range p.Files {
		st, err := h.Lstat(f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			if _, conffile := shipped[f.Path]; conffile || f.Ghost {
				kept.Files = append(kept.Files, f)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Mode, f.Mtime = st.Mode, st.Mtime
		f.User, f.Group = fmt.Sprint(st.UID), fmt.Sprint(st.GID)
		f.Bare = false
		switch {
		case st.IsSymlink():
			if f.Target, err = h.Readlink(f.Path); err != nil {
				return nil, err
			}
		case st.IsRegular():
			f.Size, f.Content = st.Size, nil
			if st.Size <= keptContent {
				if content, err := h.readFile(f.Path); err == nil {
					f.Content = content
				}
			}
			if want := shipped[f.Path]; want != "" && (f.Content == nil || digestOf(f.Content, want) != want) {
				f.Content = nil // edited: what the package ships is not known
			}
		}
		kept.Files = append(kept.Files, f)
	}
	return kept, nil
}

// packageFile is the package in a file of the simulated host.
func (h *Host) packageFile(file string) (*Package, error) {
	if p := h.packageFiles[file]; p != nil {
		if _, err := h.Stat(file); err != nil {
			return nil, err
		}
		return p, nil
	}
	f, err := h.Open(file)
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
	h.learnEffects(p)
	h.packageFiles[file] = p
	return p, nil
}

// learnEffects takes what maintainer scripts do from the fixture or the catalogue, for a package that
// is known from elsewhere.
func (h *Host) learnEffects(p *Package) {
	if len(p.Effects) > 0 {
		return
	}
	known := h.knownEffects(p)
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
func (h *Host) knownEffects(p *Package) *Package {
	var first *Package
	for _, known := range slices.Concat(h.lists, h.catalog) {
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
