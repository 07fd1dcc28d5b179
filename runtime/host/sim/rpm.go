package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/rpm"
)

// rpms does what rpm does.
type rpms struct {
	files    *files
	gaps     *gaps
	system   *system
	accounts *accountFiles
	db       *packageDB
	scripts  *scripts
	unpacker *unpacker

	repositories *repositories
	services     *services
}

// commit carries a solution out as rpm does: what happens to each file is decided before anything is
// changed, then each new package is put in place and the rest of its former version goes, and at last
// the packages go that nothing replaces.
func (rs *rpms) commit(ctx context.Context, _ host.Transaction, sol *solution, w *host.PackageWatch) error {
	t := rs.newTransaction(sol)
	if err := t.check(); err != nil {
		return err
	}
	steps, err := t.steps(sol)
	if err != nil {
		return err
	}
	for _, p := range sol.install {
		if err := rs.scripts.runScriptlet(p, "pretrans"); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.Line(s.String())
		if err := s.do(rs); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	for _, p := range sol.install {
		if err := rs.scripts.runScriptlet(p, "posttrans"); err != nil {
			return err
		}
	}
	return nil
}

// rpmStep is one package that comes or goes.
type rpmStep struct {
	verb  string
	p     *Package
	fates []rpm.Fate
	run   func(rs *rpms, p *Package, fates []rpm.Fate) error
}

func (s rpmStep) do(rs *rpms) error { return s.run(rs, s.p, s.fates) }

func (s rpmStep) String() string { return fmt.Sprintf("%s %s-%s", s.verb, s.p.Name, s.p.Version) }

func (t *rpmTransaction) steps(sol *solution) ([]rpmStep, error) {
	var steps []rpmStep
	for _, p := range sol.install {
		fates, err := t.fates(p)
		if err != nil {
			return nil, err
		}
		old := t.rpms.db.byName[p.Name]
		verb := "Installing"
		if old != nil {
			verb = "Updating"
		}
		steps = append(steps, rpmStep{verb, p, fates, (*rpms).install})
		if old == nil {
			continue
		}
		if fates, err = t.oldFates(old); err != nil {
			return nil, err
		}
		steps = append(steps, rpmStep{"Cleanup", old, fates, (*rpms).cleanup})
	}
	for _, name := range sol.remove {
		p := t.rpms.db.byName[name]
		fates, err := t.oldFates(p)
		if err != nil {
			return nil, err
		}
		steps = append(steps, rpmStep{"Erasing", p, fates, (*rpms).erase})
	}
	return steps, nil
}

// install puts a package's files in place and records it. The former version is in the database
// too until its rest is gone.
func (rs *rpms) install(p *Package, fates []rpm.Fate) error {
	if err := rs.scripts.runScriptlet(p, "pre"); err != nil {
		return err
	}
	if len(p.Files) == 0 && !p.complete {
		rs.gaps.add(host.Unpredicted{What: "files of package " + p.Name, Why: "only its name and version are known, from the " + p.From})
	}
	now := p.clone()
	now.Status, now.pristine = "installed", nil
	stays := map[string]bool{}
	for i, f := range now.Files {
		if err := rs.unpack(now, f, fates[i]); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		stays[f.Path] = fates[i] == rpm.Skip || fates[i] == rpm.AltName
	}
	for i := range now.Conffiles {
		c := &now.Conffiles[i]
		if f, ok := now.file(c.Path); ok && c.MD5 == "" {
			c.MD5 = rpm.DigestOf(f, digest.SHA256Like)
		}
	}
	rs.notePristine(now, slices.DeleteFunc(slices.Clone(now.Conffiles), func(c host.Conffile) bool { return stays[c.Path] }))
	if old := rs.db.byName[p.Name]; old != nil {
		rs.db.surplus[p.Name], now.Held = old, old.Held
	}
	rs.db.record(now)
	rs.db.sources[p.Name] = p.From
	return rs.scripts.runScriptlet(now, "post")
}

// unpack puts one path of a package in place.
func (rs *rpms) unpack(p *Package, f host.PackedFile, what rpm.Fate) error {
	to := f.Path
	switch what {
	case rpm.Skip:
		return nil
	case rpm.Save, rpm.Backup:
		if err := rs.files.Rename(to, what.Beside(to)); err != nil {
			return err
		}
	case rpm.AltName:
		to = what.Beside(to)
	}
	if err := rs.files.mkdirAll(path.Dir(to)); err != nil {
		return err
	}
	switch {
	case f.Mode.IsDir():
		return rs.placeDir(f, to)
	case f.Mode&fs.ModeSymlink != 0:
		return rs.placeLink(f, to)
	}
	return rs.placeFile(p, f, to)
}

// placeDir makes a directory, or gives one that is there the owner and mode of the package's. A
// symlink to a directory counts as one if root made it, or the owner of the directory did.
func (rs *rpms) placeDir(f host.PackedFile, to string) error {
	st, err := rs.files.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case st.IsDir():
		return rs.own(f, to)
	default:
		target, _ := rs.files.conffilePath(to) // as rpm follows it: this program follows no link of another user's
		if dir, err := rs.files.Lstat(target); err == nil && st.IsSymlink() && dir.IsDir() && (st.UID == 0 || st.UID == dir.UID) {
			return rs.own(f, target)
		}
		if err := rs.files.Unlink(to); err != nil {
			return err
		}
	}
	if err := rs.files.Mkdir(to, 0o700); err != nil {
		return err
	}
	return rs.own(f, to)
}

// placeLink makes a symlink, unless it is there.
func (rs *rpms) placeLink(f host.PackedFile, to string) error {
	if target, err := rs.files.Readlink(to); err == nil && target == f.Target {
		return rs.own(f, to)
	}
	if err := rs.files.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := rs.files.Symlink(f.Target, to); err != nil {
		return err
	}
	return rs.own(f, to)
}

// placeFile makes a file under a name of its own and renames it over what is there.
func (rs *rpms) placeFile(p *Package, f host.PackedFile, to string) error {
	tmp := to + ";rpm"
	if err := rs.files.clear(tmp); err != nil {
		return err
	}
	if err := rs.unpacker.makePackageFile(p, f, tmp); err != nil {
		return err
	}
	if err := rs.own(f, tmp); err != nil {
		return err
	}
	if !f.Mtime.IsZero() {
		if err := rs.files.Chtimes(tmp, f.Mtime, f.Mtime); err != nil {
			return err
		}
	}
	return rs.files.Rename(tmp, to)
}

// own gives a path the owner and mode of the package's file. An account that the host lacks becomes
// root, without the set-id bits.
func (rs *rpms) own(f host.PackedFile, name string) error {
	mode := f.Mode
	uid, _, err1 := rs.accounts.ownerIDs(f.User, "")
	_, gid, err2 := rs.accounts.ownerIDs("", f.Group)
	for _, err := range []error{err1, err2} {
		if errors.Is(err, host.ErrNoAccount) {
			mode &^= fs.ModeSetuid | fs.ModeSetgid
		} else if err != nil {
			return err
		}
	}
	if err := rs.files.Lchown(name, int(uid), int(gid)); err != nil || f.Mode&fs.ModeSymlink != 0 {
		return err
	}
	return rs.files.Chmod(name, mode&^fs.ModeType)
}

// cleanup removes what is left of the former version of a package.
func (rs *rpms) cleanup(old *Package, fates []rpm.Fate) error {
	if err := rs.eraseFiles(old, fates); err != nil {
		return err
	}
	if err := rs.scripts.runUpgradeScriptlets(old); err != nil {
		return err
	}
	delete(rs.db.surplus, old.Name)
	return nil
}

// erase removes a package: edited configuration files stay as .rpmsave, directories while something
// is in them. A symlink that the admin put in the place of a directory goes.
func (rs *rpms) erase(p *Package, fates []rpm.Fate) error {
	if err := rs.scripts.runScriptlet(p, "preun"); err != nil {
		return err
	}
	if err := rs.eraseFiles(p, fates); err != nil {
		return err
	}
	if err := rs.scripts.runScriptlet(p, "postun"); err != nil {
		return err
	}
	rs.db.forget(p.Name)
	return nil
}

func (rs *rpms) eraseFiles(p *Package, fates []rpm.Fate) error {
	for i, f := range slices.Backward(p.Files) {
		switch {
		case fates[i] == rpm.Save && f.Ghost: // rpm neither keeps a copy of a ghost nor removes an edited one
		case fates[i] == rpm.Save:
			if err := rs.files.Rename(f.Path, rpm.Save.Beside(f.Path)); err != nil && !isLeft(err) {
				return err
			}
		case fates[i] == rpm.Erase:
			if err := rs.files.eraseFile(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// repair removes the rest of former versions that an interrupted transaction left.
func (rs *rpms) repair() error {
	for _, name := range slices.Sorted(maps.Keys(rs.db.surplus)) {
		old := rs.db.surplus[name]
		t := rs.newTransaction(&solution{install: []*Package{rs.db.byName[name]}})
		t.going[old] = true
		fates, err := t.oldFates(old)
		if err != nil {
			return err
		}
		if err := rs.cleanup(old, fates); err != nil {
			return err
		}
	}
	return nil
}

// runScriptlet carries out what is known of a scriptlet, and reports the rest.
func (sc *scripts) runScriptlet(p *Package, when string) error {
	complete, err := sc.effects(p, when)
	if err != nil || complete {
		return err
	}
	if p.hasScript(when) {
		sc.unpredictScriptlet(p, "scriptlet %"+when+" of ")
	}
	if p.unknownScripts && (when == "preun" || when == "postun") {
		sc.unpredictScriptlet(p, "scriptlet %"+when+", if there is one, of ")
	}
	if when == "post" && p.hasScript("triggers") {
		sc.unpredictScriptlet(p, "triggers of ")
	}
	return nil
}

// runUpgradeScriptlets is what the scriptlets of a former version do.
func (sc *scripts) runUpgradeScriptlets(old *Package) error {
	complete, err := sc.effects(old, "upgrade")
	if err != nil || complete {
		return err
	}
	if old.hasScript("preun", "postun") || old.unknownScripts {
		sc.unpredictScriptlet(old, "what the scriptlets do at an update of ")
	}
	return nil
}

func (sc *scripts) unpredictScriptlet(p *Package, what string) {
	sc.gaps.add(host.Unpredicted{
		What: what + p.Name + " " + p.Version,
		Why:  "a scriptlet is a program; a simulation carries out only what is known of it (" + p.From + ")",
	})
}
