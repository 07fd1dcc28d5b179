package action

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/fstab"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/runtime/tree"
)

var (
	now      = time.Date(2016, 3, 1, 12, 0, 0, 0, time.UTC)
	long     = time.Date(2015, 5, 5, 5, 5, 5, 0, time.UTC)
	errCrash = errors.New("the machine lost power")
)

// tester is a testing.T or a rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	FailNow()
}

// fakeHost is a host whose files are simulated truly, and whose packages, services and database are
// as simple as they can be. Every change can be its last.
type fakeHost struct {
	host.Host // the rest is not there: calling it panics
	*simfs.FS

	users    map[string]uint32
	packages map[string]host.Package
	offers   map[string]host.Package // what a repository or package file brings
	half     []string                // half-way packages
	owned    map[string][]string     // by package, what it owns beside its own directory
	purged   func()                  // told before a package is purged
	wild     bool                    // a package of ZCP that came back has started its service by itself
	services map[string]host.Service
	reload   func() // told when the init system reads its files again
	dump     host.DumpResult
	answers  map[string]host.Rows
	content  string            // of the database
	standing []string          // what the last load was told to leave
	dumps    map[string]string // what was dumped, by path

	directory *sim.Host // whose directory it has; nil for none
	running   []host.Process

	manager host.PackageManager // apt if empty
	ahead   bool                // something was copied ahead: that is not the business of who takes it up

	ops     int // changes and syncs so far
	crashAt int // 1 for the first; 0 for never
	mode    crashMode
	dead    bool

	unsynced map[string]string // of each disk the last change that no sync followed
}

// note keeps account of what a power cut could take back. File systems write changes of metadata in
// their order, so a sync of what was changed last makes all that was changed before durable, on its
// disk only. A sync of what was not changed may do nothing.
func (h *fakeHost) note(op, name string) {
	disk := "/"
	if strings.HasPrefix(name, "/srv") {
		disk = "/srv"
	}
	last, changed, _ := strings.Cut(h.unsynced[disk], " ")
	switch op {
	case "mount", "unmount": // which a power cut takes back at once, and fstab decides
	case "syncfs":
		delete(h.unsynced, disk)
	case "fsync":
		if changed == name {
			delete(h.unsynced, disk)
		}
	case "syncdir":
		names := slices.Contains([]string{"create", "mkdir", "symlink", "link", "mknod", "unlink", "rmdir"}, last)
		if changed == name || names && path.Dir(changed) == name || last == "rename" { // of which one of two directories is known
			delete(h.unsynced, disk)
		}
	default:
		h.unsynced[disk] = op + " " + name
	}
}

// durable wants everything that an action did to be on the disks before the journal says so.
func (tr *trial) durable(t tester, what string) {
	t.Helper()
	for disk, change := range tr.unsynced {
		t.Errorf("%s: a power cut can take back %q: nothing on %s was synced after it", what, change, disk)
	}
}

type crashMode int

const (
	before  crashMode = iota // the change is not made, and nothing after it
	after                    // the change is made, and nothing after it
	failure                  // this change fails, others do not
)

var errDisk = &fs.PathError{Op: "test", Path: "?", Err: errors.New("input/output error")}

func newFake(mounts ...simfs.Mount) *fakeHost {
	h := &fakeHost{
		users:    map[string]uint32{"root": 0, "zarafa": 110, "kopano": 998},
		packages: map[string]host.Package{}, offers: map[string]host.Package{}, services: map[string]host.Service{},
		unsynced: map[string]string{},
	}
	h.FS = simfs.New(simfs.Options{
		Now:    func() time.Time { return now },
		Mounts: mounts,
		Fault:  func(op, path string) error { return h.fault() },
		After: func(op, path string) {
			h.note(op, path)
			h.survived()
		},
	})
	return h
}

func (h *fakeHost) fault() error {
	if h.dead {
		return errCrash
	}
	h.ops++
	if h.ops != h.crashAt {
		return nil
	}
	switch h.mode {
	case before:
		h.dead = true
		return errCrash
	case failure:
		return errDisk
	}
	return nil
}

func (h *fakeHost) survived() {
	if h.ops == h.crashAt && h.mode == after {
		h.dead = true
	}
}

// arm makes the n-th change from now on the last; 0 none.
func (h *fakeHost) arm(n int, mode crashMode) {
	h.ops, h.crashAt, h.mode, h.dead = 0, n, mode, false
}

// change is a change that is not one of files.
func (h *fakeHost) change(f func() error) error {
	if err := h.fault(); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	h.survived()
	return nil
}

// The files' methods are in both embedded types.
func (h *fakeHost) Lstat(p string) (host.Stat, error)                 { return h.FS.Lstat(p) }
func (h *fakeHost) Stat(p string) (host.Stat, error)                  { return h.FS.Stat(p) }
func (h *fakeHost) Readlink(p string) (string, error)                 { return h.FS.Readlink(p) }
func (h *fakeHost) ReadDir(p string) ([]host.DirEntry, error)         { return h.FS.ReadDir(p) }
func (h *fakeHost) Open(p string) (host.File, error)                  { return h.FS.Open(p) }
func (h *fakeHost) OpenTree(p string) (host.DirReader, error)         { return h.FS.OpenTree(p) }
func (h *fakeHost) Statfs(p string) (host.Statfs, error)              { return h.FS.Statfs(p) }
func (h *fakeHost) Getxattr(p, n string) ([]byte, error)              { return h.FS.Getxattr(p, n) }
func (h *fakeHost) Listxattr(p string) ([]string, error)              { return h.FS.Listxattr(p) }
func (h *fakeHost) Create(p string, m fs.FileMode) (host.File, error) { return h.FS.Create(p, m) }
func (h *fakeHost) OpenWrite(p string) (host.File, error)             { return h.FS.OpenWrite(p) }
func (h *fakeHost) Mkdir(p string, m fs.FileMode) error               { return h.FS.Mkdir(p, m) }
func (h *fakeHost) Unlink(p string) error                             { return h.FS.Unlink(p) }
func (h *fakeHost) Rmdir(p string) error                              { return h.FS.Rmdir(p) }
func (h *fakeHost) Rename(o, n string) error                          { return h.FS.Rename(o, n) }
func (h *fakeHost) Link(o, n string) error                            { return h.FS.Link(o, n) }
func (h *fakeHost) Symlink(t, p string) error                         { return h.FS.Symlink(t, p) }
func (h *fakeHost) Mknod(p string, m fs.FileMode, r uint64) error     { return h.FS.Mknod(p, m, r) }
func (h *fakeHost) Chmod(p string, m fs.FileMode) error               { return h.FS.Chmod(p, m) }
func (h *fakeHost) Lchown(p string, u, g int) error                   { return h.FS.Lchown(p, u, g) }
func (h *fakeHost) Chtimes(p string, a, m time.Time) error            { return h.FS.Chtimes(p, a, m) }
func (h *fakeHost) Setxattr(p, n string, v []byte) error              { return h.FS.Setxattr(p, n, v) }
func (h *fakeHost) Removexattr(p, n string) error                     { return h.FS.Removexattr(p, n) }
func (h *fakeHost) SyncDir(p string) error                            { return h.FS.SyncDir(p) }
func (h *fakeHost) OpenTreeWrite(p string) (host.Dir, error)          { return h.FS.OpenTreeWrite(p) }
func (h *fakeHost) Close() error                                      { return h.FS.Close() }
func (h *fakeHost) Now() time.Time                                    { return now }
func (h *fakeHost) Sleep(ctx context.Context, d time.Duration) error  { return ctx.Err() }
func (h *fakeHost) Mounts() ([]host.Mount, error)                     { return h.FS.Mounts(), nil }

// Mount and Unmount know a file system by what fstab calls it.
func (h *fakeHost) Mount(ctx context.Context, point string) error {
	text, err := fstab.Read(h)
	if err != nil {
		return err
	}
	line, err := fstab.At(text, point)
	if err != nil {
		return err
	}
	return h.FS.Remount(line.Source, point)
}

func (h *fakeHost) Unmount(ctx context.Context, point string) error {
	m, err := mountedAt(h, point)
	if err != nil || m == nil {
		return fmt.Errorf("%s is not mounted: %w", point, err)
	}
	_, err = h.FS.Unmount(point, m.Source)
	return err
}

func (h *fakeHost) User(name string) (host.User, error) {
	id, ok := h.users[name]
	if !ok {
		return host.User{}, host.ErrNoAccount
	}
	return host.User{Name: name, UID: id, GID: id}, nil
}

func (h *fakeHost) Group(name string) (host.Group, error) {
	u, err := h.User(name)
	return host.Group{Name: name, GID: u.GID, Members: h.members()}, err
}

func (h *fakeHost) PackageLock() (*host.LockHolder, error) { return nil, nil }

func (h *fakeHost) PackageAudit() ([]string, error) { return slices.Clone(h.half), nil }

func (h *fakeHost) Packages() ([]host.Package, error) {
	var list []host.Package
	for _, name := range slices.Sorted(maps.Keys(h.packages)) {
		list = append(list, h.packages[name])
	}
	return list, nil
}

func (h *fakeHost) PackageFiles(name string) ([]string, error) {
	files := append([]string{"/", "/etc", "/etc/" + name}, h.owned[name]...)
	for _, c := range h.packages[name].Conffiles {
		files = append(files, c.Path)
	}
	return files, nil
}

// wanted finds the package that an item of a transaction is about.
func (h *fakeHost) wanted(item string) (host.Package, error) {
	name, version, exact := strings.Cut(item, "=")
	if path.IsAbs(item) {
		if _, err := h.FS.Lstat(item); err != nil {
			return host.Package{}, err
		}
		base := strings.TrimSuffix(path.Base(item), ".deb")
		name, version, exact = strings.Cut(base, "_")
	}
	p, ok := h.offers[name]
	if exact {
		p, ok = h.offers[name+"="+version]
	}
	if !ok {
		return p, &host.SolveError{Summary: "no such package: " + item}
	}
	return p, nil
}

func (h *fakeHost) Solve(tx host.Transaction) (host.Solution, error) {
	var s host.Solution
	for _, name := range tx.Remove {
		s.Remove = append(s.Remove, host.Change{Name: name, Version: h.packages[name].Version, Purge: tx.Purge})
		for _, other := range slices.Sorted(maps.Keys(h.packages)) {
			if p := h.packages[other]; p.Installed() && p.Depends == name && !slices.Contains(tx.Remove, other) {
				s.Remove = append(s.Remove, host.Change{Name: other, Version: p.Version})
			}
		}
	}
	for _, item := range tx.Install {
		p, err := h.wanted(item)
		if err != nil {
			return s, err
		}
		needs := h.offers[p.Depends]
		if h.packages[p.Depends].Installed() || slices.ContainsFunc(tx.Install, func(item string) bool { return targetName(item) == p.Depends }) {
			needs = host.Package{}
		}
		for _, p := range []host.Package{p, needs} {
			old := h.packages[p.Name]
			switch {
			case p.Name == "" || old.Installed() && old.Version == p.Version:
			case old.Installed():
				s.Upgrade = append(s.Upgrade, host.Change{Name: p.Name, Version: p.Version, Old: old.Version})
			default:
				s.Install = append(s.Install, host.Change{Name: p.Name, Version: p.Version})
			}
		}
	}
	return s, nil
}

func (h *fakeHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	if len(h.half) > 0 {
		return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1", Output: "dpkg was interrupted"}
	}
	solution, err := h.Solve(tx)
	if err != nil {
		return err
	}
	for _, c := range solution.Remove {
		if err := h.remove(c.Name, tx.Purge); err != nil {
			return err
		}
	}
	for _, c := range slices.Concat(solution.Install, solution.Upgrade) {
		p, ok := h.offers[c.Name+"="+c.Version]
		if !ok {
			p = h.offers[c.Name]
		}
		if err := h.install(p); err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHost) remove(name string, purge bool) error {
	if h.purged != nil && purge {
		h.purged()
	}
	p := h.packages[name]
	p.Status = "half-installed"
	err := h.change(func() error { h.packages[name] = p; h.half = append(h.half, name); return nil })
	if err != nil {
		return err
	}
	return h.finish(name, purge)
}

func (h *fakeHost) finish(name string, purge bool) error {
	if err := h.forgetService(name, purge); err != nil {
		return err
	}
	p := h.packages[name]
	for _, ghost := range p.Ghosts {
		err := h.FS.Unlink(ghost)
		if errors.Is(err, syscall.EISDIR) {
			err = h.FS.Rmdir(ghost)
		}
		if err != nil && !host.Absent(err) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	if purge {
		for _, c := range p.Conffiles {
			for _, name := range []string{c.Path, c.Path + ".dpkg-new"} {
				if err := h.FS.Unlink(name); err != nil && !host.Absent(err) {
					return err
				}
			}
		}
		if err := h.FS.Rmdir("/etc/" + name); err != nil && !host.Absent(err) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return h.change(func() error {
		p.Status = "config-files"
		h.packages[name] = p
		if purge {
			delete(h.packages, name)
		}
		h.half = nil
		return nil
	})
}

// forgetService is what the scripts of a package that goes do to its service: stop it, and in a purge forget how it
// was set.
func (h *fakeHost) forgetService(name string, purge bool) error {
	if _, there := h.services[name]; !there {
		return nil
	}
	if err := h.StopService(context.Background(), name, 0); err != nil || !purge {
		return err
	}
	for _, link := range []string{systemdDir + "/multi-user.target.wants/" + name + ".service", "/etc/rc2.d/S20" + name} {
		if err := h.FS.Unlink(link); err != nil && !host.Absent(err) {
			return err
		}
	}
	return h.setService(name, func(s *host.Service) { s.Enabled, s.Masked = false, false })
}

func (h *fakeHost) install(p host.Package) error {
	name := p.Name
	p.Status = "unpacked"
	err := h.change(func() error { h.packages[name] = p; h.half = append(h.half, name); return nil })
	if err != nil {
		return err
	}
	return h.configure(name)
}

func (h *fakeHost) configure(name string) error {
	p := h.packages[name]
	if err := h.FS.Mkdir("/etc/"+name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, c := range p.Conffiles {
		if _, err := h.FS.Lstat(c.Path); err == nil {
			continue
		}
		unpacked := c.Path + ".dpkg-new"
		if err := h.FS.Unlink(unpacked); err != nil && !host.Absent(err) {
			return err
		}
		f, err := h.FS.Create(unpacked, 0o644)
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte("default of " + p.Version)); err != nil {
			return err
		}
		f.Close()
		if err := h.FS.Rename(unpacked, c.Path); err != nil {
			return err
		}
	}
	return h.change(func() error {
		p.Status = "installed"
		h.packages[name] = p
		h.half = nil
		if s, there := h.services[name]; there && !s.Masked {
			s.Enabled = true
			h.services[name] = s
		}
		if _, err := h.FS.Lstat(PolicyFile); err != nil && p.Version == "7.2.0" {
			h.wild = true
		}
		return nil
	})
}

func (h *fakeHost) PackageManager() (host.PackageManager, error) {
	if h.manager.Name != "" {
		return h.manager, nil
	}
	return host.PackageManager{Name: "apt"}, nil
}

func (h *fakeHost) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	for _, name := range slices.Clone(h.half) {
		var err error
		if h.packages[name].Status == "unpacked" {
			err = h.configure(name)
		} else {
			err = h.finish(name, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ExpelPackages purges from any state, and configures nothing.
func (h *fakeHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	for _, c := range list {
		p, known := h.packages[c.Name]
		if !known {
			continue
		}
		p.Status = "half-installed"
		h.packages[c.Name] = p
		if err := h.finish(c.Name, true); err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHost) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (map[string]string, map[string]string, error) {
	files, missing := map[string]string{}, map[string]string{}
	for _, name := range names {
		p := h.packages[name]
		if _, ok := h.offers[name+"="+p.Version]; !ok {
			missing[name] = "no repository has it"
			continue
		}
		files[name] = path.Join(dir, name+"_"+p.Version+".deb")
		if _, err := h.FS.Lstat(files[name]); err == nil {
			continue
		}
		if _, err := h.FS.Create(files[name], 0o600); err != nil {
			return nil, nil, err
		}
	}
	return files, missing, nil
}

func (h *fakeHost) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	return h.change(func() error { return nil })
}

func (h *fakeHost) Services(pattern string) ([]host.Service, error) {
	var list []host.Service
	for _, name := range slices.Sorted(maps.Keys(h.services)) {
		if ok, _ := path.Match(pattern, name); ok {
			list = append(list, h.services[name])
		}
	}
	return list, nil
}

func (h *fakeHost) setService(name string, set func(*host.Service)) error {
	return h.change(func() error {
		s, ok := h.services[name]
		if !ok {
			return errors.New("no such service")
		}
		set(&s)
		h.services[name] = s
		return nil
	})
}

func (h *fakeHost) StartService(ctx context.Context, name string) error {
	if h.services[name].Masked {
		return errors.New("unit is masked")
	}
	return h.setService(name, func(s *host.Service) { s.Active = true })
}
func (h *fakeHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	if _, there := h.services[name]; !there { // systemd knows what runs without a unit
		h.running = slices.DeleteFunc(h.running, func(p host.Process) bool { return p.Name == name })
		return nil
	}
	return h.setService(name, func(s *host.Service) { s.Active = false })
}
func (h *fakeHost) ReloadServices() error {
	if h.reload != nil {
		h.reload()
	}
	return nil
}
func (h *fakeHost) ServiceProcesses(name string) ([]host.Process, error) {
	return slices.DeleteFunc(slices.Clone(h.running), func(p host.Process) bool { return p.Name != name }), nil
}

func (h *fakeHost) EnableService(name string) error {
	return h.linkService(name, func(s *host.Service) { s.Enabled = true })
}
func (h *fakeHost) DisableService(name string) error {
	return h.linkService(name, func(s *host.Service) { s.Enabled = false })
}
func (h *fakeHost) MaskService(name string) error {
	return h.linkService(name, func(s *host.Service) { s.Masked = true })
}
func (h *fakeHost) UnmaskService(name string) error {
	return h.linkService(name, func(s *host.Service) { s.Masked = false })
}

// linkService is a setting that init keeps as links, which its tools do not sync.
func (h *fakeHost) linkService(name string, set func(*host.Service)) error {
	if err := h.setService(name, set); err != nil {
		return err
	}
	h.note("link", systemdDir+"/"+name+".service")
	return nil
}

func (h *fakeHost) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	rows, ok := h.answers[query]
	if !ok {
		return rows, host.ErrUnknown
	}
	return rows, nil
}

func (h *fakeHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	name := req.Path
	if req.Compression == host.ParallelDump {
		if err := h.FS.Mkdir(req.Path, 0o700); err != nil {
			return host.DumpResult{}, err
		}
		name += "/metadata"
	}
	f, err := h.FS.Create(name, 0o600)
	if err != nil {
		return host.DumpResult{}, err
	}
	defer f.Close()
	for _, part := range []string{"CREATE TABLE users", "-- Dump completed"} {
		if _, err := f.Write([]byte(part + req.Conn.Password.Reveal())); err != nil {
			return host.DumpResult{}, err
		}
		progress(10)
	}
	if h.dumps != nil {
		h.dumps[req.Final] = h.content
	}
	return h.dump, f.Sync()
}

const storeDir = "/var/lib/zcp2kopano/runs/1/backup"

// state is everything that an admin could see of a host, outside the run's own directory.
func (h *fakeHost) state(t tester) map[string]string {
	t.Helper()
	s := map[string]string{}
	names := map[inode][]string{}
	root, err := h.FS.OpenTree("/")
	must(t, err)
	defer root.Close()
	w := tree.Reader(context.Background(), func(e tree.Entry[host.DirReader]) error {
		if e.Rel == "var/lib/zcp2kopano" || strings.HasPrefix(e.Rel, "var/lib/zcp2kopano/") {
			return nil
		}
		if h.ahead && strings.Contains(e.Rel, presyncName) {
			return nil
		}
		line, err := describe(e)
		s["/"+e.Rel] = line
		if e.Stat.IsRegular() && e.Stat.Nlink > 1 {
			id := inode{e.Stat.Dev, e.Stat.Ino}
			names[id] = append(names[id], "/"+e.Rel)
		}
		return err
	})
	must(t, w.Walk(root, "", 0))
	for _, group := range names {
		sort.Strings(group)
		s["links of "+group[0]] = strings.Join(group, " ")
	}
	for name, p := range h.packages {
		s["package "+name] = fmt.Sprintf("%s %s held=%v auto=%v", p.Status, p.Version, p.Held, p.Auto)
	}
	s["database"] = h.content
	if h.directory != nil {
		describeDirectory(t, h, s)
		delete(s, "entry cn=new,cn=schema,cn=config") // which no undo takes away; TestConfigure looks at it
	}
	for name, svc := range h.services {
		s["service "+name] = fmt.Sprintf("%+v", svc)
	}
	s["half-way"] = fmt.Sprint(h.half)
	s["started by a package"] = fmt.Sprint(h.wild)
	return s
}

func describe(e tree.Entry[host.DirReader]) (string, error) {
	m, err := readMeta(e.Dir, e.Name)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("%v %d:%d %q", m.mode, m.uid, m.gid, m.xattrs)
	switch {
	case e.Stat.IsRegular():
		line += m.mtime.UTC().Format(" 2006-01-02T15:04:05.999 ") + fmt.Sprint(e.Stat.Size)
		f, err := e.Dir.Open(e.Name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		sum := sha256.New()
		buf := make([]byte, 1<<16)
		for {
			n, err := f.Read(buf)
			sum.Write(buf[:n])
			if err != nil {
				break
			}
		}
		line += fmt.Sprintf(" %x", sum.Sum(nil)[:8])
	case e.Stat.IsSymlink():
		target, err := e.Dir.Readlink(e.Name)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	case isType(e.Stat.Mode, fs.ModeDevice, fs.ModeDevice|fs.ModeCharDevice):
		line += fmt.Sprintf(" %d", e.Stat.Rdev)
	}
	return line, nil
}

func sameState(t tester, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	both := maps.Clone(want)
	maps.Copy(both, got)
	for _, k := range slices.Sorted(maps.Keys(both)) {
		if got[k] != want[k] {
			t.Errorf("%s: %s\n  is     %s\n  should %s", what, k, got[k], want[k])
		}
	}
	t.FailNow()
}

// scenario is an action and a host to try it on.
type scenario struct {
	name   string
	mounts []simfs.Mount
	setup  func(t tester, h *fakeHost)
	act    func() Action
}

// trial is one life of an action on a host.
type trial struct {
	*fakeHost
	env  *Env
	kind string
	data json.RawMessage
}

type fakeSecrets map[string]host.Secret

func (s fakeSecrets) Put(secret host.Secret) (string, error) {
	ref := fmt.Sprint(len(s))
	s[ref] = secret
	return ref, nil
}

func (s fakeSecrets) Get(ref string) (host.Secret, error) { return s[ref], nil }

func newEnv(h host.Host) *Env {
	env := &Env{
		Ctx: context.Background(), Host: h, Store: &Store{Host: h, Dir: storeDir},
		Secrets: fakeSecrets{}, Tag: "run1-7-0", Progress: func(Progress) {},
	}
	env.Mark = func(v any) error {
		data, err := json.Marshal(v)
		env.Marks = append(env.Marks, data)
		return err
	}
	return env
}

func (s scenario) start(t tester) *trial {
	t.Helper()
	h := newFake(s.mounts...)
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	s.setup(t, h)
	return &trial{fakeHost: h, env: newEnv(h)}
}

// prepared starts a trial and makes the action's journal form.
func (s scenario) prepared(t tester) *trial {
	t.Helper()
	tr := s.start(t)
	must(t, tr.prepare(t, s.act()))
	return tr
}

func (tr *trial) prepare(t tester, a Action) error {
	t.Helper()
	if err := a.Stage(tr.env); err != nil {
		return err
	}
	staged, err := json.Marshal(a)
	must(t, err)
	if a, err = Decode(a.Kind(), staged); err != nil {
		return err
	}
	needed, err := a.Prepare(tr.env)
	if err != nil {
		return err
	}
	if !needed {
		t.Fatal("Prepare finds nothing to do")
	}
	tr.kind = a.Kind()
	tr.data, err = json.Marshal(a)
	return err
}

// action is the action as the journal has it.
func (tr *trial) action(t tester) Action {
	t.Helper()
	a, err := Decode(tr.kind, tr.data)
	must(t, err)
	return a
}

func (tr *trial) apply(t tester) error {
	_, err := tr.action(t).Apply(tr.env)
	return err
}

func (tr *trial) undo(t tester) error { return tr.action(t).Undo(tr.env) }

// crashes kills an action before and after each of its changes, and lets each of them fail, and
// expects that Apply can still reach the end, and Undo the start. It returns the number of trials.
func (s scenario) crashes(t tester) int {
	t.Helper()
	tr := s.prepared(t)
	start := tr.state(t)
	must(t, tr.undo(t))
	sameState(t, "Undo after Prepare only", tr.state(t), start)
	tr.arm(0, 0)
	clear(tr.unsynced)
	must(t, tr.apply(t))
	tr.durable(t, "Apply")
	applyOps := tr.ops
	end := tr.state(t)
	if maps.Equal(start, end) {
		t.Fatal("Apply changes nothing")
	}
	must(t, tr.apply(t))
	sameState(t, "Apply again", tr.state(t), end)
	tr.arm(0, 0)
	must(t, tr.undo(t))
	tr.durable(t, "Undo")
	undoOps := tr.ops
	sameState(t, "Undo", tr.state(t), start)
	if r, ok := tr.action(t).(interface {
		Differences(*Env) ([]string, error)
	}); ok {
		lines, err := r.Differences(tr.env)
		must(t, err)
		if len(lines) > 0 {
			t.Fatalf("after Undo: %q", lines)
		}
	}
	must(t, tr.undo(t))
	sameState(t, "Undo again", tr.state(t), start)

	trials := s.prepareCrashes(t, start, end)
	for mode := before; mode <= failure; mode++ {
		for k := 1; k <= applyOps; k++ {
			s.applyCrash(t, k, mode, start, end)
			trials += 2
		}
		for k := 1; k <= undoOps; k++ {
			s.undoCrash(t, k, mode, start)
			trials++
		}
		// Two crashes: in Apply, and then in Undo.
		for k := 1; k <= applyOps; k += 1 + applyOps/5 {
			for j := 1; j <= undoOps; j += 1 + undoOps/5 {
				s.doubleCrash(t, k, j, mode, start)
				trials++
			}
		}
	}
	return trials
}

func (s scenario) prepareCrashes(t tester, start, end map[string]string) int {
	tr := s.start(t)
	tr.arm(0, 0)
	must(t, tr.prepare(t, s.act()))
	ops := tr.ops
	for k := 1; k <= ops; k++ {
		for mode := before; mode <= after; mode++ {
			tr := s.start(t)
			tr.arm(k, mode)
			_ = tr.prepare(t, s.act())
			tr.arm(0, 0)
			sameState(t, fmt.Sprintf("crash %d in Prepare", k), tr.state(t), start)
			must(t, tr.prepare(t, s.act()))
			must(t, tr.apply(t))
			sameState(t, fmt.Sprintf("crash %d in Prepare, then Apply", k), tr.state(t), end)
		}
	}
	return 2 * ops
}

func (s scenario) applyCrash(t tester, k int, mode crashMode, start, end map[string]string) {
	t.Helper()
	for _, finish := range []bool{true, false} {
		tr := s.prepared(t)
		tr.arm(k, mode)
		err := tr.apply(t)
		tr.arm(0, 0)
		what := fmt.Sprintf("crash %d (mode %d, %v) in Apply", k, mode, err)
		if finish {
			if err := tr.apply(t); err != nil {
				t.Fatalf("%s, then Apply: %v", what, err)
			}
			sameState(t, what+", then Apply", tr.state(t), end)
		}
		if err := tr.undo(t); err != nil {
			t.Fatalf("%s, then (Apply=%v) Undo: %v", what, finish, err)
		}
		sameState(t, what+", then Undo", tr.state(t), start)
		tr.nothingKept(t, what)
	}
}

func (s scenario) undoCrash(t tester, k int, mode crashMode, start map[string]string) {
	t.Helper()
	tr := s.prepared(t)
	must(t, tr.apply(t))
	tr.arm(k, mode)
	err := tr.undo(t)
	tr.arm(0, 0)
	what := fmt.Sprintf("crash %d (mode %d, %v) in Undo", k, mode, err)
	if err := tr.undo(t); err != nil {
		t.Fatalf("%s, then Undo: %v", what, err)
	}
	sameState(t, what+", then Undo", tr.state(t), start)
	tr.nothingKept(t, what)
}

func (s scenario) doubleCrash(t tester, k, j int, mode crashMode, start map[string]string) {
	t.Helper()
	tr := s.prepared(t)
	tr.arm(k, mode)
	_ = tr.apply(t)
	tr.arm(j, mode)
	err := tr.undo(t)
	tr.arm(0, 0)
	what := fmt.Sprintf("crash %d in Apply and %d in Undo (mode %d, %v)", k, j, mode, err)
	if err := tr.undo(t); err != nil {
		t.Fatalf("%s, then Undo: %v", what, err)
	}
	sameState(t, what+", then Undo", tr.state(t), start)
	tr.nothingKept(t, what)
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustJSON(t tester, v any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return data
}
