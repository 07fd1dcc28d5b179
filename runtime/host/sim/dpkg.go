package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/digest"
)

// debs does what dpkg does.
type debs struct {
	files        *files
	gaps         *gaps
	db           *packageDB
	repositories *repositories
	services     *services
	scripts      *scripts
	unpacker     *unpacker
	site         *dpkgSite
}

// removePackage does what dpkg --remove does: all files but conffiles go, directories when they are
// empty and no other package has them, and the package stays in the database while it has conffiles
// or a postrm script.
func (ds *debs) removePackage(p *Package) error {
	ds.db.halfway[p.Name] = nil
	if err := ds.scripts.runScript(p, call("prerm", "remove")); err != nil {
		return ds.backOut(err, p, call("postinst", "abort-remove"))
	}
	left, err := ds.removeFiles(p)
	if err != nil {
		return err
	}
	if err := ds.scripts.runScript(p, call("postrm", "remove")); err != nil {
		return err
	}
	ds.db.forget(p.Name)
	delete(ds.db.halfway, p.Name)
	if len(p.Conffiles) == 0 && !p.hasScript("postrm") {
		return nil
	}
	p.Status, p.Files = "config-files", left
	ds.db.record(p)
	return nil
}

// backOut has a package's script undo what it can after another one has failed, as dpkg does. The package is
// then what it was.
func (ds *debs) backOut(failed error, p *Package, c scriptCall) error {
	var script *host.CommandError
	if !errors.As(failed, &script) {
		return failed
	}
	delete(ds.db.halfway, p.Name)
	if err := ds.scripts.runScript(p, c.withoutEffect()); err != nil && !errors.As(err, &script) {
		return err
	}
	return failed
}

// removeFiles deletes from the last path to the first, and returns those that stay.
func (ds *debs) removeFiles(p *Package) ([]host.PackedFile, error) {
	var left []host.PackedFile
	for _, f := range slices.Backward(p.Files) {
		if f.Path == "/" {
			left = append(left, f)
			continue
		}
		if p.conffile(f.Path) != nil {
			left = append(left, f)
			continue
		}
		if st, err := ds.files.Stat(f.Path); err == nil && st.IsDir() {
			if p.conffileBelow(f.Path) {
				left = append(left, f)
				continue
			}
			if ds.db.ownedByOther(f.Path, p) {
				continue
			}
			if usedBelow(f.Path, left) {
				left = append(left, f)
				continue
			}
		}
		stays, err := ds.files.removePath(f.Path)
		if err != nil {
			return nil, err
		}
		if stays {
			left = append(left, f)
		}
	}
	slices.Reverse(left)
	return left, nil
}

func usedBelow(dir string, files []host.PackedFile) bool {
	return slices.ContainsFunc(files, func(f host.PackedFile) bool { return strings.HasPrefix(f.Path, dir+"/") })
}

func (p *Package) conffile(name string) *host.Conffile {
	for i := range p.Conffiles {
		if p.Conffiles[i].Path == name {
			return &p.Conffiles[i]
		}
	}
	return nil
}

func (p *Package) conffileBelow(dir string) bool {
	return slices.ContainsFunc(p.Conffiles, func(c host.Conffile) bool { return strings.HasPrefix(c.Path, dir+"/") })
}

// purgePackage does what dpkg --purge does to a package that is removed: its conffiles go, edited or
// not, with their backups, and directories that are empty then.
func (ds *debs) purgePackage(p *Package) error {
	for _, c := range p.Conffiles {
		name, ok := ds.files.conffilePath(c.Path)
		if !ok {
			continue
		}
		if err := ds.files.purgeConffile(name); err != nil {
			return err
		}
	}
	if err := ds.scripts.runScript(p, scriptCall{"postrm", []string{"purge"}, "purge"}); err != nil {
		return err
	}
	if err := ds.removeLeft(p); err != nil {
		return err
	}
	ds.db.forget(p.Name)
	return nil
}

// removeLeft deletes the directories that a removal left, unless one that stays is below: behind a symlink
// only that keeps the symlink.
func (ds *debs) removeLeft(p *Package) error {
	var left []host.PackedFile
	for _, f := range slices.Backward(p.Files) {
		if f.Path == "/" || p.conffile(f.Path) != nil || ds.db.ownedByOther(f.Path, p) {
			continue
		}
		stays := usedBelow(f.Path, left)
		if !stays {
			var err error
			if stays, err = ds.files.removePath(f.Path); err != nil {
				return err
			}
		}
		if stays {
			left = append(left, f)
		}
	}
	return nil
}

func isLeft(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.ENOTEMPTY, syscall.EEXIST, syscall.ENOTDIR, syscall.EBUSY, syscall.ELOOP} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// unpack does what dpkg --unpack does with a package file.
func (ds *debs) unpack(p *Package) error {
	ds.db.halfway[p.Name] = p
	old := ds.db.byName[p.Name]
	if old != nil && old.Status != "config-files" {
		if err := ds.scripts.runScript(old, call("prerm", "upgrade", p.Version)); err != nil {
			return ds.backOut(err, old, call("postinst", "abort-upgrade", p.Version))
		}
	}
	if err := ds.scripts.runScript(p, preinstCall(old, p)); err != nil {
		return ds.backOut(err, p, call("postrm", "abort-install"))
	}
	if len(p.Files) == 0 {
		ds.gaps.add(host.Unpredicted{What: "files of package " + p.Name, Why: "only its name and version are known, from the " + p.From})
	}
	now := p.clone()
	now.Status, now.Auto = "unpacked", false
	now.onHost, now.configured = now.onHost && p.texts == nil, ""
	if old != nil {
		now.configured = old.configured
		now.Held, now.Auto = old.Held, old.Auto && old.Status != "config-files"
	}
	overrides, filters := ds.site.readOverrides(), ds.site.readFilters()
	for _, f := range now.Files {
		if leavesOut(filters, f) {
			continue
		}
		if o, has := overrides[f.Path]; has {
			f = o.of(f)
		}
		to := f.Path
		if now.conffile(f.Path) != nil {
			to = f.Path + deb.Unpacked
			if _, ok := ds.files.conffilePath(f.Path); !ok {
				return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1",
					Output: fmt.Sprintf("conffile '%s' is not a plain file or symlink; unable to open '%s'", f.Path, to)}
			}
		} else if err := ds.checkOverwrite(now, f); err != nil {
			return err
		}
		if err := ds.unpackFile(now, f, to); err != nil {
			return err
		}
	}
	ds.mergeConffiles(now, old)
	if old != nil && old.Status != "config-files" {
		if err := ds.scripts.runScript(old, call("postrm", "upgrade", p.Version).withoutEffect()); err != nil {
			return err
		}
		if err := ds.removeDropped(now, old); err != nil {
			return err
		}
	}
	ds.db.record(now)
	delete(ds.db.halfway, p.Name)
	ds.db.sources[p.Name] = p.From
	return nil
}

// preinstCall is how dpkg calls preinst: with the version that is replaced, or that left its conffiles, and the
// new one.
func preinstCall(old, p *Package) scriptCall {
	switch {
	case old == nil:
		return call("preinst", "install")
	case old.Status == "config-files":
		return call("preinst", "install", old.Version, p.Version)
	}
	return call("preinst", "upgrade", old.Version, p.Version)
}

// mergeConffiles records for each conffile the digest that the former version shipped, which decides
// what configure does, and keeps former conffiles that the new version lacks as obsolete ones.
func (ds *debs) mergeConffiles(now, old *Package) {
	now.pending = nil
	for i := range now.Conffiles {
		c := &now.Conffiles[i]
		f, _ := now.file(c.Path)
		shipped := c.MD5
		if f.Content != nil {
			shipped = digest.MD5(f.Content)
		}
		now.pending = append(now.pending, pendingConffile{path: c.Path, shipped: shipped})
		c.MD5, c.Obsolete = deb.NewConffile, false
		if old == nil {
			continue
		}
		if was := old.conffile(c.Path); was != nil {
			c.MD5 = was.MD5
		}
	}
	if old == nil {
		return
	}
	for _, was := range old.Conffiles {
		if now.conffile(was.Path) != nil {
			continue
		}
		if _, err := ds.files.Lstat(was.Path); err == nil {
			was.Obsolete = true
			now.Conffiles = append(now.Conffiles, was)
		}
	}
}

// removeDropped deletes what the former version had and the new one lacks, conffiles excepted.
func (ds *debs) removeDropped(now, old *Package) error {
	for _, f := range slices.Backward(old.Files) {
		if _, kept := now.file(f.Path); kept || f.Path == "/" || old.conffile(f.Path) != nil || ds.db.ownedByOther(f.Path, old) {
			continue
		}
		if _, err := ds.files.removePath(f.Path); err != nil {
			return err
		}
	}
	return nil
}

// checkOverwrite is dpkg's refusal to overwrite a file of another package that the new one does not
// replace.
func (ds *debs) checkOverwrite(p *Package, f host.PackedFile) error {
	if f.Mode.IsDir() {
		return nil
	}
	for _, name := range ds.db.owners[f.Path] {
		other := ds.db.byName[name]
		if name == p.Name || other.Status == "config-files" {
			continue
		}
		if st, err := ds.files.Stat(f.Path); err == nil && st.IsDir() {
			continue
		}
		if !replaces(p, other) {
			return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1",
				Output: fmt.Sprintf("trying to overwrite '%s', which is also in package %s %s", f.Path, other.Name, other.Version)}
		}
	}
	return nil
}

func replaces(a, b *Package) bool {
	for _, r := range a.relations().replaces {
		if slices.ContainsFunc(r.Possibilities, b.matches) {
			return true
		}
	}
	return false
}

// unpackFile puts one path of a package in place. A directory, or a symlink, is left alone where a
// directory is already, with whatever owner and mode it has.
func (ds *debs) unpackFile(p *Package, f host.PackedFile, to string) error {
	if f.Mode.IsDir() || f.Mode&fs.ModeSymlink != 0 {
		if st, err := ds.files.Stat(to); err == nil && st.IsDir() {
			return nil
		}
	}
	if !f.Mode.IsDir() {
		if st, err := ds.files.Lstat(to); err == nil && st.IsDir() {
			return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1", Output: fmt.Sprintf("'%s' is a directory, and a file is to be unpacked there", to)}
		}
	}
	return ds.unpacker.writePackageFile(p, f, to)
}

// pendingConffile is a conffile that is unpacked and not yet configured.
type pendingConffile struct {
	path    string
	shipped string // digest; empty if not known
}

// configure does what dpkg --configure does with --force-confdef --force-confold.
func (ds *debs) configure(p *Package) error {
	for _, pending := range p.pending {
		if err := ds.configureConffile(p, pending); err != nil {
			return err
		}
	}
	p.pending = nil
	if err := ds.scripts.runScript(p, call("postinst", "configure", p.configured)); err != nil {
		p.Status = "half-configured"
		return err
	}
	p.Status, p.configured = "installed", p.Version
	return nil
}

// configureConffile decides between the file on the host and the new one of the package. Untouched
// files are replaced, edited ones are kept with the new one beside them as .dpkg-dist, and deleted
// ones stay deleted.
func (ds *debs) configureConffile(p *Package, pending pendingConffile) error {
	c := p.conffile(pending.path)
	name, ok := ds.files.conffilePath(pending.path)
	if !ok {
		return nil
	}
	fresh := name + deb.Unpacked
	if _, err := ds.files.Lstat(fresh); err != nil {
		// Behind a symlink dpkg looks for the new file where the link leads, does not find it, and
		// leaves everything as it is, also that it is a new one.
		return nil
	}
	if err := ds.choose(name, fresh, c.MD5, pending.shipped); err != nil {
		return err
	}
	c.MD5 = pending.shipped
	return nil
}

// choose puts one of the two in place, from the digests that the former and the new version ship.
func (ds *debs) choose(name, fresh, was, shipped string) error {
	current, exists, err := ds.files.digest(name, editedMD5)
	if err != nil {
		return err
	}
	if exists {
		if err := ds.files.copyOwnerMode(name, fresh); err != nil {
			return err
		}
	}
	switch deb.FateOf(current, exists, was, shipped) {
	case deb.Place:
		return ds.files.Rename(fresh, name)
	case deb.Drop:
		return ds.files.Unlink(fresh)
	}
	return ds.files.replaceIfExists(fresh, name+deb.Dist)
}
