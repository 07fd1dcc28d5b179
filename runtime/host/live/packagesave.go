package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// SavePackages keeps a .deb of each installed package: the one in apt's cache, or one that a repository
// still offers in this very version, or one packed from the files on disk. The last kind holds
// conffiles as they are now, not as the package shipped them.
func (h debsWriter) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	if err := host.CheckPackageNames(names); err != nil {
		return nil, nil, err
	}
	packages, err := h.debs.packagesByName()
	if err != nil {
		return nil, nil, err
	}
	candidates, err := h.debs.Candidates(names)
	if err != nil {
		return nil, nil, err
	}
	if err := h.m.files.removeLeftovers(dir); err != nil {
		return nil, nil, err
	}
	files, missing = map[string]string{}, map[string]string{}
	for i, name := range names {
		p, known := packages[name]
		if !known || !p.Installed() {
			missing[name] = "it is not installed"
			continue
		}
		done := w.During(fmt.Sprintf("keeping package %s (%d of %d)", name, i+1, len(names)))
		path, err := h.savePackage(ctx, p, offered(candidates[name], p.Version), dir)
		done()
		switch {
		case err == nil:
			files[name] = path
		case ctx.Err() != nil, isErrno(err, unix.ENOSPC), isErrno(err, unix.EROFS):
			return files, missing, err
		default:
			missing[name] = err.Error()
		}
	}
	return files, missing, h.write.SyncDir(dir)
}

func offered(candidates []host.Candidate, version string) bool {
	for _, c := range candidates {
		if c.Version == version {
			return true
		}
	}
	return false
}

func (h debsWriter) savePackage(ctx context.Context, p host.Package, offered bool, dir string) (string, error) {
	target := dir + "/" + deb.FileName(p)
	if h.debs.isPackageFile(target, p) {
		return target, nil // kept before
	}
	// dpkg-deb reads the control fields of a file that is cut short, too. Only a whole one gets its name.
	part := target + partSuffix
	for _, path := range []string{target, part} {
		if err := h.m.files.unlink(path); err != nil && !isErrno(err, unix.ENOENT) {
			return "", err // what lies there is not the package
		}
	}
	if err := h.fetchPackage(ctx, p, offered, part); err != nil {
		return "", err
	}
	return target, h.write.Rename(part, target)
}

// partSuffix ends the name of a package file that is not all there yet.
const partSuffix = ".part"

func (h debsWriter) fetchPackage(ctx context.Context, p host.Package, offered bool, part string) error {
	if cached := deb.ArchivesDir + "/" + deb.FileName(p); h.debs.isPackageFile(cached, p) {
		return h.write.copyFile(cached, part)
	}
	if offered {
		if err := h.download(ctx, p, part); err == nil || ctx.Err() != nil {
			return err
		}
	}
	if err := h.repack(ctx, p, part); err != nil {
		return notRepacked(err)
	}
	return nil
}

func notRepacked(err error) error {
	return fmt.Errorf("it is neither in apt's cache nor offered by a repository, and cannot be repacked: %w", err)
}

func (v debs) isPackageFile(path string, p host.Package) bool {
	if st, err := v.m.files.Lstat(path); err != nil || !st.IsRegular() {
		return false
	}
	control, err := v.packageFile(path)
	return err == nil && control.Get("Package") == deb.BareName(p.Name) && control.Get("Version") == p.Version && control.Get("Architecture") == p.Arch
}

func (h filesWriter) copyFile(from, to string) error {
	in, err := h.space.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := h.Create(to, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		h.Unlink(to)
	}
	return err
}

// download fetches the package in its installed version into a directory of its own, because apt
// chooses the name.
func (h debsWriter) download(ctx context.Context, p host.Package, target string) error {
	s, err := h.m.files.newScratch(parent(target))
	if err != nil {
		return err
	}
	defer s.remove()
	path, err := h.m.program("apt-get")
	if err != nil {
		return err
	}
	_, err = h.m.run(ctx, command{
		Path: path, Env: aptEnv, Dir: s.path,
		Args: []string{"-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20",
			"download", p.Name + "=" + p.Version},
	})
	if err != nil {
		return err
	}
	entries, err := h.m.files.ReadDir(s.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fetched := s.path + "/" + e.Name; h.debs.isPackageFile(fetched, p) {
			return h.write.copyFile(fetched, target)
		}
	}
	return errors.New("apt-get download fetched another package")
}

// parent is the directory of a path.
func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// repack builds a package from what dpkg's database and the file system hold of it.
func (h debsWriter) repack(ctx context.Context, p host.Package, target string) error {
	s, err := h.m.files.newScratch(parent(target))
	if err != nil {
		return err
	}
	defer s.remove()
	staged, err := h.stageFiles(p, s.path)
	if err != nil {
		return err
	}
	if err := h.stageControl(p, s, staged); err != nil {
		return err
	}
	if err := h.write.Chmod(s.path, 0o755); err != nil { // becomes the package's "/"
		return err
	}
	path, err := h.m.program("dpkg-deb")
	if err != nil {
		return err
	}
	// gzip -1 packs programs ten times as fast as gzip -9, and by a tenth worse; the services are down.
	_, err = h.m.run(ctx, command{Path: path, Env: []string{"TMPDIR=" + parent(target)}, Args: []string{"-Zgzip", "-z1", "-b", s.path, target}})
	if err == nil {
		err = h.write.Chmod(target, 0o600)
	}
	if err == nil {
		err = h.write.syncFile(target)
	}
	if err != nil {
		h.write.Unlink(target)
	}
	return err
}

func (h filesWriter) syncFile(path string) error {
	f, err := h.OpenWrite(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// stageFiles copies a package's files below a directory and tells which were there. Files that the
// admin (or dpkg, by a path-exclude) removed are left out.
func (h debsWriter) stageFiles(p host.Package, stage string) (map[string]bool, error) {
	paths, err := h.debs.PackageFiles(p.Name)
	if err != nil {
		return nil, err
	}
	holds := map[string]bool{}
	for _, path := range paths {
		holds[parent(path)] = true
	}
	staged := map[string]bool{}
	for _, path := range paths {
		err := h.stageFile(path, stage+path, holds[path])
		switch {
		case err == nil:
			staged[path] = true
		case !errors.Is(err, fs.ErrNotExist) && !isErrno(err, unix.ENOTDIR):
			return nil, err
		}
	}
	return staged, nil
}

// stageFile copies one entry with its owner, mode and time. One that the package has files below is a
// directory of the package, also where a symlink to a directory stands in for it on disk (a merged
// /usr, data moved to another disk).
func (h debsWriter) stageFile(from, to string, holdsFiles bool) error {
	look := h.m.files.Lstat
	if holdsFiles {
		look = h.m.files.Stat
	}
	st, err := look(from)
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		err = h.write.Mkdir(to, 0o700)
	case st.IsRegular():
		err = h.write.copyFile(from, to)
	case st.IsSymlink():
		return h.stageSymlink(from, to, st)
	default:
		err = h.write.Mknod(to, st.Mode, st.Rdev)
	}
	if err != nil {
		return err
	}
	if err := h.write.Lchown(to, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	if err := h.write.Chmod(to, st.Perm()); err != nil {
		return err
	}
	return h.write.Chtimes(to, st.Mtime, st.Mtime)
}

func (h debsWriter) stageSymlink(from, to string, st host.Stat) error {
	target, err := h.m.files.Readlink(from)
	if err != nil {
		return err
	}
	if err := h.write.Symlink(target, to); err != nil {
		return err
	}
	return h.write.Lchown(to, int(st.UID), int(st.GID))
}

// stageControl writes DEBIAN/: the control fields as the database has them, and the scripts and lists
// that dpkg keeps of the package.
func (h debsWriter) stageControl(p host.Package, s *scratch, staged map[string]bool) error {
	if err := h.m.files.mkdir(s.path+"/DEBIAN", 0o755); err != nil {
		return err
	}
	status, err := h.m.ask("dpkg-query", "-s", p.Name)
	if err != nil {
		return err
	}
	if err := s.write("DEBIAN/control", []byte(deb.OwnFields(status))); err != nil {
		return err
	}
	if err := h.write.Chmod(s.path+"/DEBIAN/control", 0o644); err != nil {
		return err
	}
	paths, err := h.m.ask("dpkg-query", "--control-path", p.Name)
	if err != nil {
		return err
	}
	for path := range strings.FieldsSeq(paths) {
		if err := h.stageControlFile(path, s, staged); err != nil {
			return err
		}
	}
	return nil
}

// stageControlFile copies /var/lib/dpkg/info/NAME.KIND. A conffile that is gone may not be declared.
func (h debsWriter) stageControlFile(path string, s *scratch, staged map[string]bool) error {
	kind := path[strings.LastIndexByte(path, '.')+1:]
	if kind == "list" || kind == "control" {
		return nil
	}
	data, err := h.m.files.readFile(path)
	if err != nil {
		return err
	}
	if kind == "conffiles" {
		data = keepLines(data, func(line string) bool { return staged[line] })
	}
	st, err := h.m.files.Stat(path)
	if err != nil {
		return err
	}
	if err := s.write("DEBIAN/"+kind, data); err != nil {
		return err
	}
	return h.write.Chmod(s.path+"/DEBIAN/"+kind, st.Perm())
}

func keepLines(data []byte, keep func(string) bool) []byte {
	var kept []byte
	for line := range strings.Lines(string(data)) {
		if keep(strings.TrimSpace(line)) {
			kept = append(kept, line...)
		}
	}
	return kept
}
