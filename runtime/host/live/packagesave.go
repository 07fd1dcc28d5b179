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
)

// SavePackages keeps a .deb of each installed package: the one in apt's cache, or one that a repository
// still offers in this very version, or one packed anew from the files on disk. The last kind holds
// conffiles as they are now, not as the package shipped them.
func (h debsWriter) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	if err := checkPackageNames(names); err != nil {
		return nil, nil, err
	}
	packages, err := h.packagesByName()
	if err != nil {
		return nil, nil, err
	}
	candidates, err := h.Candidates(names)
	if err != nil {
		return nil, nil, err
	}
	if err := h.removeLeftovers(dir); err != nil {
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
	return files, missing, h.SyncDir(dir)
}

func offered(candidates []host.Candidate, version string) bool {
	for _, c := range candidates {
		if c.Version == version {
			return true
		}
	}
	return false
}

// archiveName is how apt names a package file; a colon in the version (an epoch) is written %3a.
func archiveName(p host.Package) string {
	name, _, _ := strings.Cut(p.Name, ":")
	return fmt.Sprintf("%s_%s_%s.deb", name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Arch)
}

func (h *Host) savePackage(ctx context.Context, p host.Package, offered bool, dir string) (string, error) {
	target := dir + "/" + archiveName(p)
	if h.isPackageFile(target, p) {
		return target, nil // kept before
	}
	// dpkg-deb reads the control fields of a file that is cut short, too. Only a whole one gets its name.
	part := target + partSuffix
	for _, path := range []string{target, part} {
		if err := h.space.unlink(path); err != nil && !isErrno(err, unix.ENOENT) {
			return "", err // what lies there is not the package
		}
	}
	if err := h.fetchPackage(ctx, p, offered, part); err != nil {
		return "", err
	}
	return target, h.Rename(part, target)
}

// partSuffix ends the name of a package file that is not all there yet.
const partSuffix = ".part"

func (h *Host) fetchPackage(ctx context.Context, p host.Package, offered bool, part string) error {
	if cached := "/var/cache/apt/archives/" + archiveName(p); h.isPackageFile(cached, p) {
		return h.copyFile(cached, part)
	}
	if offered {
		if err := h.download(ctx, p, part); err == nil || ctx.Err() != nil {
			return err
		}
	}
	if err := h.repack(ctx, p, part); err != nil {
		return fmt.Errorf("it is neither in apt's cache nor offered by a repository, and cannot be packed anew: %w", err)
	}
	return nil
}

func (v *View) isPackageFile(path string, p host.Package) bool {
	if st, err := v.Lstat(path); err != nil || !st.IsRegular() {
		return false
	}
	control, err := v.packageFile(path)
	name, _, _ := strings.Cut(p.Name, ":")
	return err == nil && control["Package"] == name && control["Version"] == p.Version && control["Architecture"] == p.Arch
}

func (h *Host) copyFile(from, to string) error {
	in, err := h.Open(from)
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
func (h *Host) download(ctx context.Context, p host.Package, target string) error {
	s, err := h.newScratch(parent(target))
	if err != nil {
		return err
	}
	defer s.remove()
	path, err := h.program("apt-get")
	if err != nil {
		return err
	}
	_, err = h.run(ctx, command{
		Path: path, Env: aptEnv, Dir: s.path,
		Args: []string{"-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20",
			"download", p.Name + "=" + p.Version},
	})
	if err != nil {
		return err
	}
	entries, err := h.ReadDir(s.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fetched := s.path + "/" + e.Name; h.isPackageFile(fetched, p) {
			return h.copyFile(fetched, target)
		}
	}
	return errors.New("apt-get download fetched another package")
}

// parent is the directory of a path.
func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// repack builds a package from what dpkg's database and the file system hold of it.
func (h *Host) repack(ctx context.Context, p host.Package, target string) error {
	s, err := h.newScratch(parent(target))
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
	if err := h.Chmod(s.path, 0o755); err != nil { // becomes the package's "/"
		return err
	}
	path, err := h.program("dpkg-deb")
	if err != nil {
		return err
	}
	// gzip -1 packs programs ten times as fast as gzip -9, and by a tenth worse; the services are down.
	_, err = h.run(ctx, command{Path: path, Env: []string{"TMPDIR=" + parent(target)}, Args: []string{"-Zgzip", "-z1", "-b", s.path, target}})
	if err == nil {
		err = h.Chmod(target, 0o600)
	}
	if err == nil {
		err = h.syncFile(target)
	}
	if err != nil {
		h.Unlink(target)
	}
	return err
}

func (h *Host) syncFile(path string) error {
	f, err := h.OpenWrite(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// stageFiles copies a package's files below a directory and tells which were there. Files that the
// admin (or dpkg, by a path-exclude) removed are left out.
func (h *Host) stageFiles(p host.Package, stage string) (map[string]bool, error) {
	paths, err := h.PackageFiles(p.Name)
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
func (h *Host) stageFile(from, to string, holdsFiles bool) error {
	look := h.Lstat
	if holdsFiles {
		look = h.Stat
	}
	st, err := look(from)
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		err = h.Mkdir(to, 0o700)
	case st.IsRegular():
		err = h.copyFile(from, to)
	case st.IsSymlink():
		return h.stageSymlink(from, to, st)
	default:
		err = h.Mknod(to, st.Mode, st.Rdev)
	}
	if err != nil {
		return err
	}
	if err := h.Lchown(to, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	if err := h.Chmod(to, st.Perm()); err != nil {
		return err
	}
	return h.Chtimes(to, st.Mtime, st.Mtime)
}

func (h *Host) stageSymlink(from, to string, st host.Stat) error {
	target, err := h.Readlink(from)
	if err != nil {
		return err
	}
	if err := h.Symlink(target, to); err != nil {
		return err
	}
	return h.Lchown(to, int(st.UID), int(st.GID))
}

// statusFields are those that dpkg adds to a package's own control fields in its database.
var statusFields = []string{"Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited"}

// stageControl writes DEBIAN/: the control fields as the database has them, and the scripts and lists
// that dpkg keeps of the package.
func (h *Host) stageControl(p host.Package, s *scratch, staged map[string]bool) error {
	if err := h.space.mkdir(s.path+"/DEBIAN", 0o755); err != nil {
		return err
	}
	status, err := h.ask("dpkg-query", "-s", p.Name)
	if err != nil {
		return err
	}
	if err := s.write("DEBIAN/control", []byte(withoutFields(status, statusFields))); err != nil {
		return err
	}
	if err := h.Chmod(s.path+"/DEBIAN/control", 0o644); err != nil {
		return err
	}
	paths, err := h.ask("dpkg-query", "--control-path", p.Name)
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
func (h *Host) stageControlFile(path string, s *scratch, staged map[string]bool) error {
	kind := path[strings.LastIndexByte(path, '.')+1:]
	if kind == "list" || kind == "control" {
		return nil
	}
	data, err := h.readFile(path)
	if err != nil {
		return err
	}
	if kind == "conffiles" {
		data = keepLines(data, func(line string) bool { return staged[line] })
	}
	st, err := h.Stat(path)
	if err != nil {
		return err
	}
	if err := s.write("DEBIAN/"+kind, data); err != nil {
		return err
	}
	return h.Chmod(s.path+"/DEBIAN/"+kind, st.Perm())
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

// withoutFields drops fields, with their continuation lines, from a paragraph.
func withoutFields(paragraph string, names []string) string {
	var b strings.Builder
	drop := false
	for line := range strings.Lines(paragraph) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(line, ":")
			drop = contains(names, name)
		}
		if !drop {
			b.WriteString(line)
		}
	}
	return b.String()
}
