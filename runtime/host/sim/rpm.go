package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// commitRPM carries a plan out as rpm does: what happens to each file is decided before anything is
// changed, then each new package is put in place and the rest of its former version goes, and at last
// the packages go that nothing replaces.
func (h *Host) commitRPM(ctx context.Context, pl *plan, progress func(string)) error {
	t := h.newRPMTransaction(pl)
	if err := t.check(); err != nil {
		return err
	}
	steps, err := t.steps(pl)
	if err != nil {
		return err
	}
	for _, p := range pl.install {
		if err := h.runScriptlet(p, "pretrans"); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(s.String())
		if err := s.do(h); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	for _, p := range pl.install {
		if err := h.runScriptlet(p, "posttrans"); err != nil {
			return err
		}
	}
	return nil
}

// rpmStep is one package that comes or goes.
type rpmStep struct {
	verb  string
	p     *Package
	fates []fate
	run   func(h *Host, p *Package, fates []fate) error
}

func (s rpmStep) do(h *Host) error { return s.run(h, s.p, s.fates) }

func (s rpmStep) String() string { return fmt.Sprintf("%s %s-%s", s.verb, s.p.Name, s.p.Version) }

func (t *rpmTransaction) steps(pl *plan) ([]rpmStep, error) {
	var steps []rpmStep
	for _, p := range pl.install {
		fates, err := t.fates(p)
		if err != nil {
			return nil, err
		}
		old := t.h.packages[p.Name]
		verb := "Installing"
		if old != nil {
			verb = "Updating"
		}
		steps = append(steps, rpmStep{verb, p, fates, (*Host).installRPM})
		if old == nil {
			continue
		}
		if fates, err = t.oldFates(old); err != nil {
			return nil, err
		}
		steps = append(steps, rpmStep{"Cleanup", old, fates, (*Host).cleanupRPM})
	}
	for _, name := range pl.remove {
		p := t.h.packages[name]
		fates, err := t.oldFates(p)
		if err != nil {
			return nil, err
		}
		steps = append(steps, rpmStep{"Erasing", p, fates, (*Host).eraseRPM})
	}
	return steps, nil
}

// installRPM puts a package's files in place and records it. The former version is in the database
// too until its rest is gone.
func (h *Host) installRPM(p *Package, fates []fate) error {
	if err := h.runScriptlet(p, "pre"); err != nil {
		return err
	}
	if len(p.Files) == 0 && !p.complete {
		h.unpredict(host.Unpredicted{What: "files of package " + p.Name, Why: "only its name and version are known, from the " + p.From})
	}
	now := p.clone()
	now.Status = "installed"
	for i, f := range now.Files {
		if err := h.unpackRPM(now, f, fates[i]); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	for i := range now.Conffiles {
		c := &now.Conffiles[i]
		if f, ok := now.file(c.Path); ok && c.MD5 == "" {
			c.MD5 = f.digest(sha256Like)
		}
	}
	if old := h.packages[p.Name]; old != nil {
		h.surplus[p.Name], now.Held = old, old.Held
	}
	h.record(now)
	h.sources[p.Name] = p.From
	return h.runScriptlet(now, "post")
}

// unpackRPM puts one path of a package in place.
func (h *Host) unpackRPM(p *Package, f PackageFile, what fate) error {
	to := f.Path
	switch what {
	case skip:
		return nil
	case save, backup:
		if err := h.Rename(to, beside(to, what)); err != nil {
			return err
		}
	case altname:
		to = beside(to, what)
	}
	if err := h.mkdirAll(path.Dir(to)); err != nil {
		return err
	}
	switch {
	case f.Mode.IsDir():
		return h.placeDir(f, to)
	case f.Mode&fs.ModeSymlink != 0:
		return h.placeLink(f, to)
	}
	return h.placeFile(p, f, to)
}

// placeDir makes a directory, or gives one that is there the owner and mode of the package's. A
// symlink to a directory counts as one if root made it, or the owner of the directory did.
func (h *Host) placeDir(f PackageFile, to string) error {
	st, err := h.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case st.IsDir():
		return h.own(f, to)
	default:
		if dir, err := h.Stat(to); err == nil && st.IsSymlink() && dir.IsDir() && (st.UID == 0 || st.UID == dir.UID) {
			target, _ := h.conffilePath(to)
			return h.own(f, target)
		}
		if err := h.Unlink(to); err != nil {
			return err
		}
	}
	if err := h.Mkdir(to, 0o700); err != nil {
		return err
	}
	return h.own(f, to)
}

// placeLink makes a symlink, unless it is there.
func (h *Host) placeLink(f PackageFile, to string) error {
	if target, err := h.Readlink(to); err == nil && target == f.Target {
		return h.own(f, to)
	}
	if err := h.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.Symlink(f.Target, to); err != nil {
		return err
	}
	return h.own(f, to)
}

// placeFile makes a file under a name of its own and renames it over what is there.
func (h *Host) placeFile(p *Package, f PackageFile, to string) error {
	tmp := to + ";rpm"
	if err := h.clear(tmp); err != nil {
		return err
	}
	if err := h.makePackageFile(p, f, tmp); err != nil {
		return err
	}
	if err := h.own(f, tmp); err != nil {
		return err
	}
	if !f.Mtime.IsZero() {
		if err := h.Chtimes(tmp, f.Mtime, f.Mtime); err != nil {
			return err
		}
	}
	return h.Rename(tmp, to)
}

// own gives a path the owner and mode of the package's file. An account that the host lacks becomes
// root, without the set-id bits.
func (h *Host) own(f PackageFile, name string) error {
	mode := f.Mode
	uid, _, err1 := h.ownerIDs(f.User, "")
	_, gid, err2 := h.ownerIDs("", f.Group)
	for _, err := range []error{err1, err2} {
		if errors.Is(err, host.ErrNoAccount) {
			mode &^= fs.ModeSetuid | fs.ModeSetgid
		} else if err != nil {
			return err
		}
	}
	if err := h.Lchown(name, int(uid), int(gid)); err != nil || f.Mode&fs.ModeSymlink != 0 {
		return err
	}
	return h.Chmod(name, mode&^fs.ModeType)
}

// cleanupRPM removes what is left of the former version of a package.
func (h *Host) cleanupRPM(old *Package, fates []fate) error {
	if err := h.eraseFiles(old, fates); err != nil {
		return err
	}
	if err := h.runUpgradeScriptlets(old); err != nil {
		return err
	}
	delete(h.surplus, old.Name)
	return nil
}

// eraseRPM removes a package: edited configuration files stay as .rpmsave, directories while something
// is in them. A symlink that the admin put in the place of a directory goes.
func (h *Host) eraseRPM(p *Package, fates []fate) error {
	if err := h.runScriptlet(p, "preun"); err != nil {
		return err
	}
	if err := h.eraseFiles(p, fates); err != nil {
		return err
	}
	if err := h.runScriptlet(p, "postun"); err != nil {
		return err
	}
	h.forget(p.Name)
	return nil
}

func (h *Host) eraseFiles(p *Package, fates []fate) error {
	for i, f := range slices.Backward(p.Files) {
		switch {
		case fates[i] == save && f.Ghost: // rpm neither keeps a copy of a ghost nor removes an edited one
		case fates[i] == save:
			if err := h.Rename(f.Path, beside(f.Path, save)); err != nil && !isLeft(err) {
				return err
			}
		case fates[i] == erase:
			if err := h.eraseFile(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// repairRPM removes the rest of former versions that an interrupted transaction left.
func (h *Host) repairRPM() error {
	for _, name := range sortedKeys(h.surplus) {
		old := h.surplus[name]
		t := h.newRPMTransaction(&plan{install: []*Package{h.packages[name]}})
		t.going[old] = true
		fates, err := t.oldFates(old)
		if err != nil {
			return err
		}
		if err := h.cleanupRPM(old, fates); err != nil {
			return err
		}
	}
	return nil
}

// runScriptlet carries out what is known of a scriptlet, and reports the rest.
func (h *Host) runScriptlet(p *Package, when string) error {
	complete, err := h.effects(p, when)
	if err != nil || complete {
		return err
	}
	if p.hasScript(when) {
		h.unpredictScriptlet(p, "scriptlet %"+when+" of ")
	}
	if p.unknownScripts && (when == "preun" || when == "postun") {
		h.unpredictScriptlet(p, "scriptlet %"+when+", if there is one, of ")
	}
	if when == "post" && p.hasScript("triggers") {
		h.unpredictScriptlet(p, "triggers of ")
	}
	return nil
}

// runUpgradeScriptlets is what the scriptlets of a former version do.
func (h *Host) runUpgradeScriptlets(old *Package) error {
	complete, err := h.effects(old, "upgrade")
	if err != nil || complete {
		return err
	}
	if old.hasScript("preun", "postun") || old.unknownScripts {
		h.unpredictScriptlet(old, "what the scriptlets do at an update of ")
	}
	return nil
}

func (h *Host) unpredictScriptlet(p *Package, what string) {
	h.unpredict(host.Unpredicted{
		What: what + p.Name + " " + p.Version,
		Why:  "a scriptlet is a program; a simulation carries out only what is known of it (" + p.From + ")",
	})
}
