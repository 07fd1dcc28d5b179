package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/sim/simfs"
)

// FromView makes a simulation over a real machine. Files lie below as a layer that is only read;
// packages, services, processes and mounts are read once, now, save for the files of packages, which
// are read when a transaction needs them; the database and the directory answer for themselves.
// Pseudo file systems (/proc, /sys, /dev, ...) are empty directories, but for /dev/null: nothing in them
// is opened.
func FromView(view host.View, o Options) (*Host, error) {
	facts, err := view.Facts()
	if err != nil {
		return nil, err
	}
	mounts, hidden, err := mountsOf(view)
	if err != nil {
		return nil, err
	}
	c := &clock{now: view.Now()}
	files := simfs.New(simfs.Options{
		Lower: guarded{view, hidden}, Now: c.Now, Mounts: mounts,
		User: o.User, Fault: o.Fault, After: o.After,
	})
	h := newHost(files, c, view, o.Catalog)
	h.system.facts = facts
	if st, err := view.Lstat(maskUnit); err == nil {
		if err := h.files.putNullDevice(st); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	if err := h.readPackages(view); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.services.readServices(view); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	b := &builder{f: &Fixture{Time: c.now}, h: h}
	if err := b.packageFiles(o); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// pseudoTypes are file systems that hold no files of their own.
var pseudoTypes = []string{
	"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore",
	"bpf", "mqueue", "hugetlbfs", "configfs", "fusectl", "efivarfs", "autofs", "binfmt_misc", "rpc_pipefs", "nsfs", "selinuxfs",
}

// mountsOf reads the mount table with what each file system has left, and lists the mount points of
// pseudo file systems.
func mountsOf(view host.View) (mounts []simfs.Mount, hidden []string, err error) {
	table, err := view.Mounts()
	if err != nil {
		return nil, nil, err
	}
	hidden = []string{"/proc", "/sys", "/dev"}
	for _, m := range table {
		if slices.Contains(pseudoTypes, m.Type) || isBelowAny(m.Point, hidden) {
			hidden = append(hidden, m.Point)
			continue
		}
		budget, err := view.Statfs(m.Point)
		if err != nil {
			continue // under another mount, or out of reach
		}
		mount := simfs.Mount{Mount: m, Budget: budget}
		if i := slices.IndexFunc(mounts, func(have simfs.Mount) bool { return have.Point == m.Point }); i >= 0 {
			mounts[i] = mount // mounted over: the last one counts
			continue
		}
		mounts = append(mounts, mount)
	}
	slices.SortStableFunc(mounts, func(a, b simfs.Mount) int { return strings.Compare(a.Point, b.Point) })
	return mounts, hidden, nil
}

func isBelowAny(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return name == d || strings.HasPrefix(name, d+"/") })
}

func (h *Host) readPackages(view host.View) error {
	manager, err := view.PackageManager()
	if err != nil {
		return err
	}
	list, err := view.Packages()
	if err != nil {
		return err
	}
	h.setManager(manager)
	if h.db.lock, err = view.PackageLock(); err != nil {
		return err
	}
	if h.db.audit, err = view.PackageAudit(); err != nil {
		return err
	}
	for _, p := range list {
		h.db.byName[p.Name] = &Package{Package: p, Format: h.system.format(), From: "package database of the machine", onHost: true, configured: p.Version}
	}
	return nil
}

// filesOfPackage reads dpkg's own list, which is much faster than asking for one package after the
// other, and asks where there is none, as with rpm.
func filesOfPackage(view host.View, p host.Package) ([]string, error) {
	for _, name := range []string{p.Name, p.Name + ":" + p.Arch} {
		if text, err := readBelow(view, deb.InfoDir+"/"+name+".list"); err == nil {
			return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), nil
		}
	}
	return view.PackageFiles(p.Name)
}

func readBelow(files host.FileReader, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// describeFiles completes what rpm's database says about ghosts and configuration files. It does not tell which
// scriptlets there are.
func describeFiles(p *Package, below host.View) {
	p.unknownScripts = true
	for _, ghost := range p.Ghosts {
		if i := host.FindPacked(p.Files, ghost); i >= 0 {
			p.Files[i].Ghost = true
		}
	}
	for _, c := range p.Conffiles {
		i := host.FindPacked(p.Files, c.Path)
		if i < 0 || c.MD5 != "" {
			continue
		}
		f := &p.Files[i]
		if target := withoutDigest(below, c.Path); target != "" {
			f.Mode, f.Target, f.Bare = fs.ModeSymlink|0o777, target, false
			continue
		}
		f.Ghost = true
	}
}

// assumeUnits takes a package of which rpm does not tell the scriptlets for one that takes its services away as the
// macros do that RHEL and SUSE have for that: disabled, then stopped. What else its scriptlets do stays open.
func (p *Package) assumeUnits() {
	if !p.unknownScripts || len(p.Effects) > 0 {
		return
	}
	for _, f := range p.Files {
		name, isService := strings.CutSuffix(path.Base(f.Path), ".service")
		if !isService || !slices.Contains(unitDirs, path.Dir(f.Path)) || strings.HasSuffix(name, "@") {
			continue
		}
		for _, verb := range []string{"disable", "stop"} {
			p.Effects = append(p.Effects, Effect{When: "preun", Verb: verb, Args: []string{name}})
		}
	}
}

// withoutDigest tells what a configuration file is that rpm has no digest of: a symlink, whose target
// is taken to be that of the package, or, if empty, a ghost.
func withoutDigest(files host.FileReader, name string) (target string) {
	st, err := files.Lstat(name)
	if err != nil || !st.IsSymlink() {
		return ""
	}
	target, err = files.Readlink(name)
	if err != nil {
		return ""
	}
	return target
}

// scriptsBelow lists the maintainer scripts that dpkg keeps of an installed package.
func scriptsBelow(view host.View, p host.Package) []string {
	var scripts []string
	for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
		for _, name := range []string{p.Name, p.Name + ":" + p.Arch} {
			if _, err := view.Lstat("/var/lib/dpkg/info/" + name + "." + script); err == nil {
				scripts = append(scripts, script)
			}
		}
	}
	return scripts
}

// guarded reads the machine below, except for its pseudo file systems.
type guarded struct {
	host.FileReader
	hidden []string
}

func (g guarded) below(op, name string) error {
	if isBelowAny(path.Dir(path.Clean(name)), g.hidden) {
		return &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
	}
	return nil
}

func (g guarded) Lstat(name string) (host.Stat, error) {
	if err := g.below("lstat", name); err != nil {
		return host.Stat{}, err
	}
	return g.FileReader.Lstat(name)
}

func (g guarded) Stat(name string) (host.Stat, error) {
	if err := g.below("stat", name); err != nil {
		return host.Stat{}, err
	}
	return g.FileReader.Stat(name)
}

func (g guarded) Readlink(name string) (string, error) {
	if err := g.below("readlink", name); err != nil {
		return "", err
	}
	return g.FileReader.Readlink(name)
}

func (g guarded) ReadDir(name string) ([]host.DirEntry, error) {
	if isBelowAny(path.Clean(name), g.hidden) {
		return nil, g.below("readdir", name)
	}
	return g.FileReader.ReadDir(name)
}

func (g guarded) Open(name string) (host.File, error) {
	if err := g.below("open", name); err != nil {
		return nil, err
	}
	return g.FileReader.Open(name)
}

func (g guarded) OpenTree(name string) (host.DirReader, error) {
	if err := g.below("open", name); err != nil {
		return nil, err
	}
	if isBelowAny(path.Clean(name), g.hidden) {
		st, err := g.FileReader.Lstat(name)
		return emptyDir{st}, err
	}
	return g.FileReader.OpenTree(name)
}

func (g guarded) Getxattr(name, attr string) ([]byte, error) {
	if err := g.below("getxattr", name); err != nil {
		return nil, err
	}
	return g.FileReader.Getxattr(name, attr)
}

func (g guarded) Listxattr(name string) ([]string, error) {
	if err := g.below("listxattr", name); err != nil {
		return nil, err
	}
	return g.FileReader.Listxattr(name)
}

// emptyDir stands for the mount point of a pseudo file system.
type emptyDir struct{ self host.Stat }

func none(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT} }

func (d emptyDir) Self() (host.Stat, error)                  { return d.self, nil }
func (emptyDir) ReadDir() ([]host.DirEntry, error)           { return nil, nil }
func (emptyDir) Lstat(name string) (host.Stat, error)        { return host.Stat{}, none("lstat", name) }
func (emptyDir) Readlink(name string) (string, error)        { return "", none("readlink", name) }
func (emptyDir) Open(name string) (host.File, error)         { return nil, none("open", name) }
func (emptyDir) Listxattr(name string) ([]string, error)     { return nil, none("listxattr", name) }
func (emptyDir) Getxattr(name, _ string) ([]byte, error)     { return nil, none("getxattr", name) }
func (emptyDir) OpenDir(name string) (host.DirReader, error) { return nil, none("open", name) }
func (emptyDir) Hold(name string) (host.Held, error)         { return nil, none("open", name) }
func (emptyDir) Close() error                                { return nil }
