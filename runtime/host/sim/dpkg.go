package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
)

// removePackage does what dpkg --remove does: all files but conffiles go, directories when they are
// empty and no other package has them, and the package stays in the database while it has conffiles
// or a postrm script.
func (h *Host) removePackage(p *Package) error {
	h.halfway[p.Name] = nil
	if err := h.runScript(p, call("prerm", "remove")); err != nil {
		return h.backOut(err, p, call("postinst", "abort-remove"))
	}
	left, err := h.removeFiles(p)
	if err != nil {
		return err
	}
	if err := h.runScript(p, call("postrm", "remove")); err != nil {
		return err
	}
	h.forget(p.Name)
	delete(h.halfway, p.Name)
	if len(p.Conffiles) == 0 && !p.hasScript("postrm") {
		return nil
	}
	p.Status, p.Files = "config-files", left
	h.record(p)
	return nil
}

// backOut has a package's script undo what it can after another one has failed, as dpkg does. The package is
// then what it was.
func (h *Host) backOut(failed error, p *Package, c scriptCall) error {
	var script *host.CommandError
	if !errors.As(failed, &script) {
		return failed
	}
	delete(h.halfway, p.Name)
	if err := h.runScript(p, c.withoutEffect()); err != nil && !errors.As(err, &script) {
		return err
	}
	return failed
}

// removeFiles deletes from the last path to the first, and returns those that stay.
func (h *Host) removeFiles(p *Package) ([]PackageFile, error) {
	var left []PackageFile
	for _, f := range slices.Backward(p.Files) {
		if f.Path == "/" {
			left = append(left, f)
			continue
		}
		if p.conffile(f.Path) != nil {
			left = append(left, f)
			continue
		}
		if st, err := h.Stat(f.Path); err == nil && st.IsDir() {
			if p.conffileBelow(f.Path) {
				left = append(left, f)
				continue
			}
			if h.ownedByOther(f.Path, p) {
				continue
			}
			if usedBelow(f.Path, left) {
				left = append(left, f)
				continue
			}
		}
		stays, err := h.removePath(f.Path)
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

func usedBelow(dir string, files []PackageFile) bool {
	return slices.ContainsFunc(files, func(f PackageFile) bool { return strings.HasPrefix(f.Path, dir+"/") })
}

// removePath removes a name as dpkg does: a directory if it is empty, anything else at once. It
// tells whether a directory stays.
func (h *Host) removePath(name string) (stays bool, err error) {
	err = h.Rmdir(name)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
		return false, nil
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EEXIST), errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EPERM):
		return true, nil
	case !errors.Is(err, syscall.ENOTDIR):
		return false, err
	}
	if err := h.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return false, err
	}
	return false, nil
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

// ownedByOther tells whether another package that is at least unpacked has a path.
func (h *Host) ownedByOther(name string, p *Package) bool {
	return slices.ContainsFunc(h.owners[name], func(other string) bool { return other != p.Name })
}

// record puts a package into the database, and forget takes it out; both keep the index of owners.
func (h *Host) record(p *Package) {
	h.forget(p.Name)
	h.packages[p.Name] = p
	for _, f := range p.Files {
		h.owners[f.Path] = append(h.owners[f.Path], p.Name)
	}
}

func (h *Host) forget(name string) {
	p := h.packages[name]
	if p == nil {
		return
	}
	for _, f := range p.Files {
		h.owners[f.Path] = slices.DeleteFunc(h.owners[f.Path], func(n string) bool { return n == name })
	}
	delete(h.packages, name)
}

// conffileLeftovers are what dpkg deletes beside a purged conffile.
var conffileLeftovers = []string{"~", ".bak", "%", ".dpkg-tmp", ".dpkg-new", ".dpkg-old", ".dpkg-dist"}

// purgePackage does what dpkg --purge does to a package that is removed: its conffiles go, edited or
// not, with their backups, and directories that are empty then.
func (h *Host) purgePackage(p *Package) error {
	for _, c := range p.Conffiles {
		name, ok := h.conffilePath(c.Path)
		if !ok {
			continue
		}
		if err := h.purgeConffile(name); err != nil {
			return err
		}
	}
	if err := h.runScript(p, scriptCall{"postrm", []string{"purge"}, "purge"}); err != nil {
		return err
	}
	if err := h.removeLeft(p); err != nil {
		return err
	}
	h.forget(p.Name)
	return nil
}

// removeLeft deletes the directories that a removal left, unless one that stays is below: behind a symlink
// only that keeps the symlink.
func (h *Host) removeLeft(p *Package) error {
	var left []PackageFile
	for _, f := range slices.Backward(p.Files) {
		if f.Path == "/" || p.conffile(f.Path) != nil || h.ownedByOther(f.Path, p) {
			continue
		}
		stays := usedBelow(f.Path, left)
		if !stays {
			var err error
			if stays, err = h.removePath(f.Path); err != nil {
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

func (h *Host) purgeConffile(name string) error {
	if err := h.Unlink(name); err != nil && !isLeft(err) && !errors.Is(err, syscall.EISDIR) {
		return err
	}
	dir, base := path.Split(name)
	entries, err := h.ReadDir(dir)
	if err != nil {
		return nil // no directory, no leftovers
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name, base)
		numbered := ours && len(rest) > 2 && rest[0] == '~' && rest[len(rest)-1] == '~' && strings.Trim(rest[1:len(rest)-1], "0123456789") == ""
		if e.Name == "#"+base+"#" || numbered || ours && slices.Contains(conffileLeftovers, rest) {
			if err := h.Unlink(dir + e.Name); err != nil && !isLeft(err) && !errors.Is(err, syscall.EISDIR) {
				return err
			}
		}
	}
	return nil
}

// conffilePath follows the symlinks of a conffile to the file itself, as dpkg does. It tells whether a file,
// or nothing, is there: anything else dpkg leaves alone.
func (h *Host) conffilePath(name string) (file string, ok bool) {
	for range 25 {
		st, err := h.Lstat(name)
		if err != nil || st.IsRegular() {
			return name, true
		}
		if !st.IsSymlink() {
			return name, false
		}
		target, err := h.Readlink(name)
		if err != nil {
			return name, false
		}
		if !path.IsAbs(target) {
			target = name[:strings.LastIndexByte(name, '/')+1] + target // not cleaned: .. may follow a symlink
		}
		name = target
	}
	return name, false
}

// unpack does what dpkg --unpack does with a package file.
func (h *Host) unpack(p *Package) error {
	h.halfway[p.Name] = p
	old := h.packages[p.Name]
	if old != nil && old.Status != "config-files" {
		if err := h.runScript(old, call("prerm", "upgrade", p.Version)); err != nil {
			return h.backOut(err, old, call("postinst", "abort-upgrade", p.Version))
		}
	}
	if err := h.runScript(p, preinstCall(old, p)); err != nil {
		return h.backOut(err, p, call("postrm", "abort-install"))
	}
	if len(p.Files) == 0 {
		h.unpredict(host.Unpredicted{What: "files of package " + p.Name, Why: "only its name and version are known, from the " + p.From})
	}
	now := p.clone()
	now.Status, now.Auto = "unpacked", false
	now.onHost, now.configured = now.onHost && p.texts == nil, ""
	if old != nil {
		now.configured = old.configured
		now.Held, now.Auto = old.Held, old.Auto && old.Status != "config-files"
	}
	overrides, filters := h.readOverrides(), h.readFilters()
	for _, f := range now.Files {
		if leavesOut(filters, f) {
			continue
		}
		if o, has := overrides[f.Path]; has {
			f = f.overridden(o)
		}
		to := f.Path
		if now.conffile(f.Path) != nil {
			to = f.Path + ".dpkg-new"
			if _, ok := h.conffilePath(f.Path); !ok {
				return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1",
					Output: fmt.Sprintf("conffile '%s' is not a plain file or symlink; unable to open '%s'", f.Path, to)}
			}
		} else if err := h.checkOverwrite(now, f); err != nil {
			return err
		}
		if err := h.unpackFile(now, f, to); err != nil {
			return err
		}
	}
	h.mergeConffiles(now, old)
	if old != nil && old.Status != "config-files" {
		if err := h.runScript(old, call("postrm", "upgrade", p.Version).withoutEffect()); err != nil {
			return err
		}
		if err := h.removeDropped(now, old); err != nil {
			return err
		}
	}
	h.record(now)
	delete(h.halfway, p.Name)
	h.sources[p.Name] = p.From
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
func (h *Host) mergeConffiles(now, old *Package) {
	now.pending = nil
	for i := range now.Conffiles {
		c := &now.Conffiles[i]
		f, _ := now.file(c.Path)
		shipped := c.MD5
		if f.Content != nil {
			shipped = md5Of(f.Content)
		}
		now.pending = append(now.pending, pendingConffile{path: c.Path, shipped: shipped})
		c.MD5, c.Obsolete = newConffile, false
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
		if _, err := h.Lstat(was.Path); err == nil {
			was.Obsolete = true
			now.Conffiles = append(now.Conffiles, was)
		}
	}
}

// removeDropped deletes what the former version had and the new one lacks, conffiles excepted.
func (h *Host) removeDropped(now, old *Package) error {
	for _, f := range slices.Backward(old.Files) {
		if _, kept := now.file(f.Path); kept || f.Path == "/" || old.conffile(f.Path) != nil || h.ownedByOther(f.Path, old) {
			continue
		}
		if _, err := h.removePath(f.Path); err != nil {
			return err
		}
	}
	return nil
}

// checkOverwrite is dpkg's refusal to overwrite a file of another package that the new one does not
// replace.
func (h *Host) checkOverwrite(p *Package, f PackageFile) error {
	if f.Mode.IsDir() {
		return nil
	}
	for _, name := range h.owners[f.Path] {
		other := h.packages[name]
		if name == p.Name || other.Status == "config-files" {
			continue
		}
		if st, err := h.Stat(f.Path); err == nil && st.IsDir() {
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
func (h *Host) unpackFile(p *Package, f PackageFile, to string) error {
	if f.Mode.IsDir() || f.Mode&fs.ModeSymlink != 0 {
		if st, err := h.Stat(to); err == nil && st.IsDir() {
			return nil
		}
	}
	if !f.Mode.IsDir() {
		if st, err := h.Lstat(to); err == nil && st.IsDir() {
			return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1", Output: fmt.Sprintf("'%s' is a directory, and a file is to be unpacked there", to)}
		}
	}
	return h.writePackageFile(p, f, to)
}

// writePackageFile makes a path of a package anew, under a temporary name first, as dpkg does.
func (h *Host) writePackageFile(p *Package, f PackageFile, to string) error {
	uid, gid, err := h.ownerIDs(f.User, f.Group)
	if errors.Is(err, host.ErrNoAccount) {
		uid, gid, err = 0, 0, nil // the payload names an account that this host lacks
	}
	if err != nil {
		return err
	}
	tmp := to + ".dpkg-tmp"
	if f.Mode.IsDir() {
		tmp = to
		if err := h.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if tmp != to {
		if err := h.clear(tmp); err != nil {
			return err
		}
	}
	if err := h.makePackageFile(p, f, tmp); err != nil {
		return err
	}
	if err := h.Lchown(tmp, int(uid), int(gid)); err != nil {
		return err
	}
	if f.Mode&fs.ModeSymlink == 0 {
		if err := h.Chmod(tmp, f.Mode&^fs.ModeType); err != nil {
			return err
		}
	}
	if !f.Mtime.IsZero() {
		if err := h.Chtimes(tmp, f.Mtime, f.Mtime); err != nil {
			return err
		}
	}
	if tmp == to {
		return nil
	}
	return h.Rename(tmp, to)
}

func (h *Host) makePackageFile(p *Package, f PackageFile, at string) error {
	switch {
	case f.Mode.IsDir():
		return h.Mkdir(at, f.Mode&^fs.ModeType)
	case f.Mode&fs.ModeSymlink != 0:
		return h.Symlink(f.Target, at)
	case f.Link != "":
		return h.Link(f.Link, at)
	case !f.Mode.IsRegular():
		return h.Mknod(at, f.Mode, 0)
	case f.Content != nil && !f.Approx:
		return h.writeFile(at, f.Content, f.Mode.Perm())
	}
	why := "it is known by the " + p.From + ", which does not have the contents of files"
	if f.Approx {
		why = "it is known by the " + p.From + ", which has only the like of its content"
	}
	h.unpredict(host.Unpredicted{What: "content of " + f.Path, Why: why, Path: f.Path, Aspect: "content"})
	if f.Approx {
		return h.writeFile(at, f.Content, f.Mode.Perm())
	}
	return h.CreateSized(at, f.Size, f.Mode.Perm())
}

// newConffile marks a conffile that the package database does not know yet.
const newConffile = "newconffile"

// pendingConffile is a conffile that is unpacked and not yet configured.
type pendingConffile struct {
	path    string
	shipped string // digest; empty if not known
}

// configure does what dpkg --configure does with --force-confdef --force-confold.
func (h *Host) configure(p *Package) error {
	for _, pending := range p.pending {
		if err := h.configureConffile(p, pending); err != nil {
			return err
		}
	}
	p.pending = nil
	if err := h.runScript(p, call("postinst", "configure", p.configured)); err != nil {
		p.Status = "half-configured"
		return err
	}
	p.Status, p.configured = "installed", p.Version
	return nil
}

// configureConffile decides between the file on the host and the new one of the package. Untouched
// files are replaced, edited ones are kept with the new one beside them as .dpkg-dist, and deleted
// ones stay deleted.
func (h *Host) configureConffile(p *Package, pending pendingConffile) error {
	c := p.conffile(pending.path)
	name, ok := h.conffilePath(pending.path)
	if !ok {
		return nil
	}
	fresh := name + ".dpkg-new"
	if _, err := h.Lstat(fresh); err != nil {
		// Behind a symlink dpkg looks for the new file where the link leads, does not find it, and
		// leaves everything as it is.
		if c.MD5 == newConffile {
			c.MD5 = pending.shipped
		}
		return nil
	}
	if err := h.choose(name, fresh, c.MD5, pending.shipped); err != nil {
		return err
	}
	c.MD5 = pending.shipped
	return nil
}

// choose puts one of the two in place, from the digests that the former and the new version ship.
func (h *Host) choose(name, fresh, was, shipped string) error {
	current, exists, err := h.digest(name, editedMD5)
	if err != nil {
		return err
	}
	if !exists {
		if was == newConffile {
			return h.Rename(fresh, name)
		}
		if was == shipped {
			return h.Unlink(fresh)
		}
		return h.replaceIfExists(fresh, name+".dpkg-dist")
	}
	if err := h.copyOwnerMode(name, fresh); err != nil {
		return err
	}
	switch edited := was == newConffile || current == "" || current != was; {
	case current != "" && current == shipped, !edited:
		return h.Rename(fresh, name)
	case was == shipped && was != "":
		return h.Unlink(fresh)
	}
	return h.replaceIfExists(fresh, name+".dpkg-dist")
}

func (h *Host) replaceIfExists(from, to string) error {
	return h.Rename(from, to)
}

func (h *Host) copyOwnerMode(from, to string) error {
	st, err := h.Stat(from)
	if err != nil {
		return err
	}
	if err := h.Lchown(to, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	return h.Chmod(to, st.Perm())
}

// mkdirAll makes a directory and those above it, as mkdir -p with mode 0755.
func (h *Host) mkdirAll(dir string) error {
	if st, err := h.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if dir == "/" {
		return nil
	}
	if err := h.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	return h.Mkdir(dir, 0o755)
}

// removeAll is rm -rf.
func (h *Host) removeAll(name string) error {
	st, err := h.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return h.Unlink(name)
	}
	entries, err := h.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := h.removeAll(path.Join(name, e.Name)); err != nil {
			return err
		}
	}
	return h.Rmdir(name)
}
