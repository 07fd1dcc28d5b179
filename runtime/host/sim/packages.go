package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/packagelock"
)

// packages is the package manager of the host.
type packages struct {
	mu           *sync.Mutex
	files        *files
	gaps         *gaps
	clock        *clock
	system       *system
	db           *packageDB
	repositories *repositories
	below        host.View

	filesLoaded bool            // Files of packages of the machine below are known
	asked       map[string]bool // packages that the machine below was asked whether they can be kept
}

// PackageManager names the simulated manager.
func (pk *packages) PackageManager() (host.PackageManager, error) {
	m := pk.system.manager
	if m.Name == "" {
		return m, fmt.Errorf("package manager: %w", host.ErrUnknown)
	}
	return m, nil
}

// Packages, PackageLock and PackageAudit answer from the database.
func (pk *packages) Packages() ([]host.Package, error)      { return pk.db.Packages() }
func (pk *packages) PackageLock() (*host.LockHolder, error) { return pk.db.PackageLock() }
func (pk *packages) PackageAudit() ([]string, error)        { return pk.db.PackageAudit() }

// lockedClock is who has the lock of the package manager, and how time passes meanwhile.
type lockedClock struct {
	*packageDB
	*clock
}

// PackageFiles lists what a package owns.
func (pk *packages) PackageFiles(name string) ([]string, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if pk.db.byName[name] == nil {
		return nil, fmt.Errorf("package %s is not installed", name)
	}
	if err := pk.loadFiles(); err != nil {
		return nil, err
	}
	p := pk.db.byName[name]
	paths := make([]string, len(p.Files))
	for i, f := range p.Files {
		paths[i] = f.Path
	}
	return paths, nil
}

// Candidates returns what the configured repositories offer.
func (pk *packages) Candidates(names []string) (map[string][]host.Candidate, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	found := map[string][]host.Candidate{}
	if err := host.CheckPackageNames(names); err != nil {
		return found, err
	}
	pk.repositories.askIndex(names...)
	for _, name := range names {
		for _, p := range pk.repositories.candidates(name) {
			found[name] = append(found[name], host.Candidate{Version: p.Version, Origin: p.From, Depends: p.Depends})
		}
	}
	return found, nil
}

// RepairPackages finishes packages that were left half-way.
func (pk *packages) RepairPackages(ctx context.Context, _ []string, _ *host.PackageWatch) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, nil); err != nil {
		return err
	}
	if err := pk.system.packager.repair(); err != nil {
		return err
	}
	pk.db.audit = nil
	return nil
}

// finishHalfway brings a removal or an unpacking to its end.
func (ds *debs) finishHalfway(name string) error {
	if p := ds.db.halfway[name]; p != nil {
		return ds.unpack(p)
	}
	return ds.removePackage(ds.db.byName[name])
}

// awaitLock waits as a live host does. Who holds the lock in a simulation never ends.
func (pk *packages) awaitLock(ctx context.Context, w *host.PackageWatch) error {
	return packagelock.Usual.With(ctx, lockedClock{pk.db, pk.clock}, w, func() error { return nil })
}

// CommitPackages carries a transaction out with the rules of rpm, or of dpkg with conffiles kept
// (--force-confdef --force-confold).
func (pk *packages) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, w); err != nil {
		return err
	}
	if err := pk.loadFiles(); err != nil {
		return err
	}
	sol, err := pk.solve(tx)
	if err != nil {
		return err
	}
	if err := tx.RefuseExtra(pk.db.removals(sol)); err != nil {
		return err
	}
	if len(sol.install)+len(sol.remove)+len(sol.purge) > 0 {
		pk.unpredictPackageFiles()
		pk.system.packager.unpredictSite(sol)
	}
	return pk.system.packager.commit(ctx, tx, sol, w)
}

// commit removes, purges, unpacks and sets up, as apt has dpkg do it.
func (ds *debs) commit(ctx context.Context, tx host.Transaction, sol *solution, w *host.PackageWatch) error {
	for _, name := range sol.remove {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := ds.db.byName[name]
		w.Line(fmt.Sprintf("Removing %s (%s) ...", name, p.Version))
		if err := ds.removePackage(p); err != nil {
			return fmt.Errorf("removing %s: %w", name, err)
		}
		if tx.Purge {
			sol.purge = append(sol.purge, name)
		}
	}
	for _, name := range sol.purge {
		p := ds.db.byName[name]
		if p == nil {
			continue
		}
		w.Line(fmt.Sprintf("Purging configuration files for %s (%s) ...", name, p.Version))
		if err := ds.purgePackage(p); err != nil {
			return fmt.Errorf("purging %s: %w", name, err)
		}
	}
	had := map[string]bool{}
	for _, p := range sol.install {
		had[p.Name] = ds.db.installed(p.Name) != nil
	}
	if err := ds.installAll(ctx, sol.install, w.Line); err != nil {
		return err
	}
	ds.markAuto(tx, sol.install, had)
	return nil
}

// installAll unpacks all packages, then sets them up, as apt has dpkg do it.
func (ds *debs) installAll(ctx context.Context, list []*Package, progress func(string)) error {
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(fmt.Sprintf("Unpacking %s (%s) ...", p.Name, p.Version))
		if err := ds.unpack(p); err != nil {
			return fmt.Errorf("unpacking %s: %w", p.Name, err)
		}
	}
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(fmt.Sprintf("Setting up %s (%s) ...", p.Name, p.Version))
		if err := ds.configure(ds.db.byName[p.Name]); err != nil {
			return fmt.Errorf("setting up %s: %w", p.Name, err)
		}
	}
	return nil
}

// Losses answers from the fixture, or asks the machine below; a package that this simulation has installed can be kept.
func (pk *packages) Losses(names []string) (map[string]string, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.loadFiles(); err != nil {
		return nil, err
	}
	if err := pk.askLosses(names); err != nil {
		return nil, err
	}
	lost := map[string]string{}
	for _, name := range names {
		p := pk.db.installed(name)
		if p == nil {
			continue
		}
		if _, err := pk.keepable(p); err != nil {
			lost[name] = err.Error()
		}
	}
	return lost, nil
}

// askLosses has the machine below say once what of its packages cannot be kept.
func (pk *packages) askLosses(names []string) error {
	if pk.below == nil {
		return nil
	}
	var ask []string
	for _, name := range names {
		if p := pk.db.installed(name); p != nil && p.onHost && !pk.asked[name] {
			ask = append(ask, name)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := pk.below.Losses(ask)
	if err != nil {
		return err
	}
	for _, name := range ask {
		pk.asked[name] = true
	}
	maps.Copy(pk.db.lost, found)
	return nil
}

// keepable is what is kept of an installed package, unless nothing can be.
func (pk *packages) keepable(p *Package) (*Package, error) {
	if why := pk.db.lost[p.Name]; why != "" && p.onHost {
		return nil, errors.New(why)
	}
	return pk.capture(p)
}

// SavePackages makes package files of declared size in dir, which CommitPackages can install again.
func (pk *packages) SavePackages(ctx context.Context, names []string, dir string, _ *host.PackageWatch) (files, missing map[string]string, err error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	files, missing = map[string]string{}, map[string]string{}
	if err := errors.Join(pk.loadFiles(), pk.askLosses(names)); err != nil {
		return files, missing, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return files, missing, err
		}
		p := pk.db.installed(name)
		if p == nil {
			missing[name] = "not installed"
			continue
		}
		kept, err := pk.keepable(p)
		if err != nil {
			missing[name] = err.Error()
			continue
		}
		file := path.Join(dir, p.Format.FileName(p.Package))
		kept.FileSize = max(p.fileSize(), 1024)
		if err := pk.savePackage(file, kept); err != nil {
			return files, missing, err
		}
		files[name] = file
	}
	return files, missing, nil
}

// copied knows a copy of a package file for what the file is.
func (pk *packages) copied(from, to string) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if p := pk.repositories.packageFiles[from]; p != nil {
		pk.repositories.packageFiles[to] = p
	}
}

func (pk *packages) savePackage(file string, p *Package) error {
	if err := pk.files.Unlink(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := pk.files.CreateSized(file, p.FileSize, 0o600); err != nil {
		return err
	}
	pk.repositories.packageFiles[file] = p
	pk.gaps.add(host.Unpredicted{What: "content and size of " + file, Why: "a simulation packs no packages; the size is an estimate", Path: file, Aspect: "content"})
	return nil
}

// keptContent is the size up to which the content of an installed file is kept with a saved package.
const keptContent = 1 << 20

// capture describes an installed package as its package file would, from the installed files.
func (pk *packages) capture(p *Package) (*Package, error) {
	kept := p.clone()
	kept.Status, kept.From, kept.rel = "", "saved from the installed state", nil
	shipped := map[string]string{}
	for _, c := range p.Conffiles {
		shipped[c.Path] = c.MD5
	}
	kept.Files = kept.Files[:0]
	for _, f := range p.Files {
		st, err := pk.files.Lstat(f.Path)
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
			if f.Target, err = pk.files.Readlink(f.Path); err != nil {
				return nil, err
			}
		case st.IsRegular():
			f.Size, f.Content = st.Size, nil
			if st.Size <= keptContent {
				if content, err := pk.files.readFile(f.Path); err == nil {
					f.Content = content
				}
			}
			if want := shipped[f.Path]; want != "" && (f.Content == nil || digest.Of(f.Content, want) != want) {
				f.Content = nil // edited: what the package ships is not known
			}
		}
		kept.Files = append(kept.Files, f)
	}
	return kept, nil
}

// ExpelPackages purges packages from whatever state they are in. Simulated scripts do not hang, and one that
// fails has met a fault of the host: it is not passed over.
func (pk *packages) ExpelPackages(ctx context.Context, list []host.Change, _ string, w *host.PackageWatch) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, w); err != nil {
		return err
	}
	if err := pk.loadFiles(); err != nil {
		return err
	}
	if len(list) > 0 {
		pk.unpredictPackageFiles()
	}
	return pk.system.packager.expel(ctx, list, w)
}

func (ds *debs) expelOne(name string, w *host.PackageWatch) error {
	if half := ds.db.halfway[name]; half != nil { // dpkg knows what to take away once all is unpacked
		if err := ds.unpack(half); err != nil {
			return err
		}
	}
	p := ds.db.byName[name]
	if p == nil {
		return nil
	}
	if p.Status != "config-files" {
		w.Line(fmt.Sprintf("Removing %s (%s) ...", name, p.Version))
		if err := ds.removePackage(p); err != nil {
			return err
		}
	}
	if p = ds.db.byName[name]; p == nil {
		return nil
	}
	w.Line(fmt.Sprintf("Purging configuration files for %s (%s) ...", name, p.Version))
	return ds.purgePackage(p)
}

// expelRPM erases packages. A scriptlet cannot leave one half-way.
func (rs *rpms) expel(ctx context.Context, list []host.Change, w *host.PackageWatch) error {
	sol := &solution{}
	for _, c := range list {
		if rs.db.byName[c.Name] != nil {
			sol.remove = append(sol.remove, c.Name)
		}
	}
	return rs.commit(ctx, host.Transaction{}, sol, w)
}

// unpacker puts files of packages in place.
type unpacker struct {
	files    *files
	gaps     *gaps
	accounts *accountFiles
}

// writePackageFile makes a path of a package, under a temporary name first, as dpkg does.
func (up *unpacker) writePackageFile(p *Package, f host.PackedFile, to string) error {
	uid, gid, err := up.accounts.ownerIDs(f.User, f.Group)
	if errors.Is(err, host.ErrNoAccount) {
		uid, gid, err = 0, 0, nil // the payload names an account that this host lacks
	}
	if err != nil {
		return err
	}
	tmp := to + ".dpkg-tmp"
	if f.Mode.IsDir() {
		tmp = to
		if err := up.files.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if tmp != to {
		if err := up.files.clear(tmp); err != nil {
			return err
		}
	}
	if err := up.makePackageFile(p, f, tmp); err != nil {
		return err
	}
	if err := up.files.Lchown(tmp, int(uid), int(gid)); err != nil {
		return err
	}
	if f.Mode&fs.ModeSymlink == 0 {
		if err := up.files.Chmod(tmp, f.Mode&^fs.ModeType); err != nil {
			return err
		}
	}
	if !f.Mtime.IsZero() {
		if err := up.files.Chtimes(tmp, f.Mtime, f.Mtime); err != nil {
			return err
		}
	}
	if tmp == to {
		return nil
	}
	return up.files.Rename(tmp, to)
}

func (up *unpacker) makePackageFile(p *Package, f host.PackedFile, at string) error {
	switch {
	case f.Mode.IsDir():
		return up.files.Mkdir(at, f.Mode&^fs.ModeType)
	case f.Mode&fs.ModeSymlink != 0:
		return up.files.Symlink(f.Target, at)
	case f.Link != "":
		return up.files.Link(f.Link, at)
	case !f.Mode.IsRegular():
		return up.files.Mknod(at, f.Mode, 0)
	case f.Content != nil && !f.Approx:
		return up.files.writeFile(at, f.Content, f.Mode.Perm())
	}
	why := "it is known by the " + p.From + ", which does not have the contents of files"
	if f.Approx {
		why = "it is known by the " + p.From + ", which has only the like of its content"
	}
	up.gaps.add(host.Unpredicted{What: "content of " + f.Path, Why: why, Path: f.Path, Aspect: "content"})
	if f.Approx {
		return up.files.writeFile(at, f.Content, f.Mode.Perm())
	}
	return up.files.CreateSized(at, f.Size, f.Mode.Perm())
}

// loadFiles reads which files the packages of the machine below own, the first time it matters.
func (pk *packages) loadFiles() error {
	if pk.below == nil || pk.filesLoaded {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(pk.db.byName)) {
		p := pk.db.byName[name]
		paths, err := filesOfPackage(pk.below, p.Package)
		if err != nil {
			return err
		}
		for _, file := range paths {
			p.Files = append(p.Files, host.PackedFile{Path: path.Clean("/" + file), Bare: true})
		}
		p.Files = p.Format.Owned(p.Files)
		pk.system.packager.note(p, pk.below)
		p.Scripts = scriptsBelow(pk.below, p.Package)
		pk.repositories.learnEffects(p)
		p.assumeUnits()
		pk.db.record(p)
	}
	pk.filesLoaded = true
	return nil
}
