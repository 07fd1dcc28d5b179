package sim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
	"zcp2kopano/runtime/host/sim/simfs"
)

// Options says what a simulation of a fixture knows beside it.
type Options struct {
	// Catalog lists packages that vendors' repositories offer, as ParseCatalog reads them.
	Catalog []*Package
	// PackagesDir holds package files of the admin, which the simulated host sees at PackagesPath.
	PackagesDir  fs.FS
	PackagesPath string
	// User is who runs the program; nil for root.
	User *simfs.Credentials
	// Fault and After are asked before, and told after, every change of a file.
	Fault func(op, path string) error
	After func(op, path string)
}

// Host makes the host that a fixture describes.
func (f *Fixture) Host(o Options) (*Host, error) {
	c := &clock{now: f.Time}
	mounts := f.Mounts
	if len(mounts) == 0 {
		mounts = defaultMounts
	}
	loading := true
	files := simfs.New(simfs.Options{
		Now: func() time.Time {
			if loading {
				return f.Time
			}
			return c.Now()
		},
		Mounts: mounts[:1], User: o.User, Fault: o.Fault, After: o.After,
	})
	h := newHost(files, c, nil, o.Catalog)
	b := &builder{f: f, h: h, mounts: mounts}
	if err := b.build(o); err != nil {
		return nil, err
	}
	loading = false
	return h, nil
}

var defaultMounts = []simfs.Mount{{
	Mount:  host.Mount{Point: "/", Source: "/dev/sda1", Type: "ext4"},
	Budget: host.Statfs{Total: 100 << 30, Free: 60 << 30, Available: 60 << 30},
}}

// builder carries a fixture over to a host.
type builder struct {
	f      *Fixture
	h      *Host
	mounts []simfs.Mount
	table  *accounts.Table
	times  []Entry // directories, whose times are set last
}

func (b *builder) build(o Options) error {
	steps := []func() error{b.base, b.addMounts, b.accounts, b.entries, b.nullDevice, b.packages, func() error { return b.packageFiles(o) }, b.services, b.dirTimes, b.budgets}
	b.facts()
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("fixture: %w", err)
		}
	}
	return nil
}

func (b *builder) facts() {
	f, h := b.f, b.h
	h.system.facts, h.db.lock, h.db.audit = f.Facts, f.Lock, slices.Clone(f.Audit)
	maps.Copy(h.db.lost, f.Lost)
	h.system.programsListed = f.programsListed
	h.setManager(f.manager())
	h.repositories.lists, h.database.data, h.directory.entries, h.directory.known = f.Available, f.Database, f.Directory, f.hasDirectory
	h.downloads.known, h.repositories.dead, h.ports.known = f.Downloads, f.Dead, f.Ports
	for _, p := range h.repositories.lists {
		if len(p.Files) == 0 {
			h.repositories.completePayload(p)
		}
	}
}

func (b *builder) addMounts() error {
	for _, m := range b.mounts[1:] {
		if err := b.h.files.AddMount(m); err != nil {
			return err
		}
	}
	return nil
}

// accounts writes the account files first, because owners are resolved through them.
func (b *builder) accounts() error {
	passwd, group := b.f.base().passwd, b.f.base().group
	if b.f.NoBase {
		passwd, group = "", ""
	}
	for _, e := range b.f.Entries {
		switch e.Path {
		case "/etc/passwd":
			passwd = string(e.Content)
		case "/etc/group":
			group = string(e.Content)
		}
	}
	passwd = others(passwd, b.f.Passwd) + b.f.Passwd
	group = others(group, b.f.Group) + b.f.Group
	b.table = accounts.NewTable(passwd, group)
	for name, text := range map[string]string{"/etc/passwd": passwd, "/etc/group": group} {
		if text == "" {
			continue
		}
		if err := b.h.files.PutFile(name, []byte(text), 0o644, 0, 0, b.f.Time); err != nil {
			return err
		}
	}
	return b.shadow()
}

// others are those lines of an account file whose names a second one does not have.
func others(text, second string) string {
	named := map[string]bool{}
	for line := range strings.Lines(second) {
		name, _, _ := strings.Cut(line, ":")
		named[name] = true
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if name, _, _ := strings.Cut(line, ":"); !named[name] {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func (b *builder) ids(user, group string) (uid, gid uint32, err error) {
	uid, ok1 := lookupID(user, func(n string) (uint32, bool) { u, ok := b.table.User(n); return u.UID, ok })
	gid, ok2 := lookupID(group, func(n string) (uint32, bool) { g, ok := b.table.Group(n); return g.GID, ok })
	switch {
	case !ok1:
		return 0, 0, fmt.Errorf("the user %q is not in the fixture's /etc/passwd", user)
	case !ok2:
		return 0, 0, fmt.Errorf("the group %q is not in the fixture's /etc/group", group)
	}
	return uid, gid, nil
}

func lookupID(name string, find func(string) (uint32, bool)) (uint32, bool) {
	if name == "" {
		return 0, true
	}
	if id, ok := find(name); ok {
		return id, true
	}
	var n uint32
	if _, err := fmt.Sscanf(name, "%d", &n); err == nil && fmt.Sprint(n) == name {
		return n, true
	}
	return 0, name == "root"
}

func (b *builder) entries() error {
	var last []*Entry // attributes: a file can be in a section after that of its attributes
	for i := range b.f.Entries {
		e := &b.f.Entries[i]
		if e.Xattr != "" {
			last = append(last, e)
			continue
		}
		if e.Path == "/etc/passwd" && b.f.Passwd != "" || e.Path == "/etc/group" && b.f.Group != "" {
			return fmt.Errorf("%s is given as a file and as lines to add", e.Path)
		}
		if err := b.putEntry(e); err != nil {
			return err
		}
	}
	for _, e := range last {
		if err := b.putEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) putEntry(e *Entry) error {
	if err := b.put(e); err != nil {
		return fmt.Errorf("line %d: %s: %w", e.line, e.Path, unwrapPath(err))
	}
	return nil
}

func unwrapPath(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func (b *builder) put(e *Entry) error {
	uid, gid, err := b.ids(e.User, e.Group)
	if err != nil {
		return err
	}
	mtime := e.Mtime
	if mtime.IsZero() {
		mtime = b.f.Time
	}
	h := b.h
	switch {
	case e.Xattr != "":
		return h.files.PutXattr(e.Path, e.Xattr, e.Content)
	case e.Link != "":
		return h.files.PutLink(e.Link, e.Path)
	case e.Spread != nil:
		return b.spread(e, uid, gid, mtime)
	case e.Mode.IsDir():
		if !e.Mtime.IsZero() {
			b.times = append(b.times, *e)
		}
		return h.files.PutDir(e.Path, e.Mode, uid, gid)
	case e.Mode&fs.ModeSymlink != 0:
		if err := h.files.PutSymlink(e.Path, e.Target, uid, gid); err != nil {
			return err
		}
		return h.files.PutTimes(e.Path, mtime)
	case !e.Mode.IsRegular():
		if err := h.files.PutNode(e.Path, e.Mode, e.Rdev, uid, gid); err != nil {
			return err
		}
		return h.files.PutTimes(e.Path, mtime)
	case e.Content != nil || e.Size == 0:
		return h.files.PutFile(e.Path, e.Content, e.Mode, uid, gid, mtime)
	}
	return h.files.PutSized(e.Path, e.Size, e.Mode, uid, gid, mtime)
}

func (b *builder) spread(e *Entry, uid, gid uint32, mtime time.Time) error {
	dirs := map[string]bool{}
	perm := e.Mode.Perm() | e.Mode.Perm()>>2&0o111
	for n := 1; n <= e.Spread.Count; n++ {
		name := path.Join(e.Path, e.Spread.name(n))
		for dir := path.Dir(name); len(dir) > len(e.Path) && !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
			if err := b.h.files.PutDir(dir, perm, uid, gid); err != nil {
				return err
			}
		}
		if err := b.h.files.PutSized(name, e.Spread.size(n), e.Mode, uid, gid, mtime); err != nil {
			return err
		}
	}
	return nil
}

// packages fills the package database, makes the files of packages that the fixture does not list
// otherwise, and works out digests of conffiles that are as they were shipped.
func (b *builder) packages() error {
	for _, p := range b.f.Packages {
		p := p.clone()
		p.onHost, p.configured = true, p.Version
		b.h.repositories.learnEffects(p)
		p.assumeUnits()
		if err := b.ownedFiles(p); err != nil {
			return err
		}
		for i := range p.Conffiles {
			c := &p.Conffiles[i]
			if f, _ := p.file(c.Path); c.MD5 != "" || f.Ghost {
				continue
			}
			sum, _, err := b.h.files.digest(c.Path, b.h.system.format().digestLike())
			if err != nil {
				return fmt.Errorf("package %s: %w", p.Name, err)
			}
			c.MD5 = b.h.system.packager.shipped(sum)
		}
		b.h.system.packager.note(p, nil)
		b.h.db.record(p)
	}
	return nil
}

func (b *builder) ownedFiles(p *Package) error {
	if p.Status == "config-files" || b.f.NoBase {
		return nil
	}
	for _, f := range p.Files {
		if _, err := b.h.files.Lstat(f.Path); err == nil || f.Path == "/" {
			continue
		}
		e := Entry{Path: f.Path, Mode: f.Mode, User: f.User, Group: f.Group, Size: f.Size, Target: f.Target, Content: f.Content}
		if c := p.conffile(f.Path); c != nil && c.MD5 != "" {
			continue // the admin deleted it
		}
		if e.Size == 0 && e.Content == nil && e.Mode.IsRegular() {
			e.Size = 4096
		}
		if err := b.put(&e); err != nil {
			return fmt.Errorf("package %s: %s: %w", p.Name, f.Path, unwrapPath(err))
		}
	}
	return nil
}

// packageFiles shows the admin's package files on the host.
func (b *builder) packageFiles(o Options) error {
	if o.PackagesDir == nil {
		return nil
	}
	entries, err := fs.ReadDir(o.PackagesDir, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		data, err := fs.ReadFile(o.PackagesDir, e.Name())
		if err != nil {
			return err
		}
		name := path.Join(o.PackagesPath, e.Name())
		if err := b.h.files.PutFile(name, data, 0o644, 0, 0, info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) services() error {
	h := b.h
	h.services.processes = slices.Clone(b.f.Processes)
	h.services.listeners = slices.Clone(b.f.Listeners)
	for i := range h.services.processes {
		if u, ok := b.table.User(h.services.processes[i].User); ok {
			h.services.processes[i].UID = u.UID
		}
		h.services.lastPID = max(h.services.lastPID, h.services.processes[i].PID)
	}
	for _, fs := range b.f.Services {
		if err := b.service(fs); err != nil {
			return fmt.Errorf("service %s: %w", fs.Name, err)
		}
	}
	return nil
}

func (b *builder) service(fs FixtureService) error {
	h := b.h
	s := &service{
		active: fs.Active, failed: fs.Failed, stubborn: fs.Stubborn, exe: fs.Exe, user: fs.User,
		mute: fs.Mute || fs.Upgrades, dies: fs.Dies, upgrades: fs.Upgrades, found: fs.Active,
	}
	h.services.known[fs.Name] = s
	if fs.Coming {
		return nil
	}
	if _, err := h.services.service(fs.Name); err != nil && b.f.NoBase {
		delete(h.services.known, fs.Name) // a generated unit, which has no file
		return nil
	} else if err != nil {
		return fmt.Errorf("neither a unit file nor an init script of that name is in the fixture")
	}
	if fs.Active {
		b.process(fs, s)
	}
	if fs.Enabled {
		if err := b.enabled(fs.Name); err != nil {
			return err
		}
	}
	if fs.Masked {
		return h.files.PutSymlink("/etc/systemd/system/"+fs.Name+".service", maskUnit, 0, 0)
	}
	if is, err := h.services.service(fs.Name); err != nil || fs.Enabled && !is.Enabled {
		return cmp.Or(err, errors.New("it is said to be enabled; its unit has no WantedBy, or its init script has links that do not start it"))
	}
	return nil
}

// process gives an active service its process: one that the fixture lists with its number, or one
// made from its unit.
func (b *builder) process(fs FixtureService, s *service) {
	h := b.h
	if fs.PID > 0 && slices.ContainsFunc(h.services.processes, func(p host.Process) bool { return p.PID == fs.PID }) {
		s.pids = []int{fs.PID}
		return
	}
	exe, user := h.services.program(fs.Name, s)
	if exe == "" {
		if fs.PID > 0 {
			s.pids = []int{fs.PID} // of a program that is not known
		}
		return
	}
	p := host.Process{PID: fs.PID, Name: path.Base(exe), Exe: exe, User: user}
	if p.PID == 0 {
		h.services.lastPID++
		p.PID = h.services.lastPID
	}
	h.services.lastPID = max(h.services.lastPID, p.PID)
	if u, ok := b.table.User(user); ok {
		p.UID = u.UID
	}
	h.services.processes = append(h.services.processes, p)
	s.pids = []int{p.PID}
}

// enabled makes the links of an enabled service, unless the fixture has some.
func (b *builder) enabled(name string) error {
	h := b.h
	unit := h.services.unitFile(name)
	if unit == "" {
		if len(h.services.rcLinks(name)) > 0 {
			return nil
		}
		for i, level := range runlevels {
			prefix := "S20"
			if i >= 4 {
				prefix = "K20"
			}
			if err := h.files.PutSymlink("/etc/rc"+level+".d/"+prefix+name, "../init.d/"+name, 0, 0); err != nil {
				return err
			}
		}
		return nil
	}
	if len(h.services.wantLinks(name)) > 0 {
		return nil
	}
	for _, link := range h.services.installSection(name, unit).links {
		if err := h.files.PutSymlink(link, unit, 0, 0); err != nil {
			return err
		}
	}
	h.gaps.forget()
	return nil
}

func (b *builder) dirTimes() error {
	for _, e := range b.times {
		if err := b.h.files.PutTimes(e.Path, e.Mtime); err != nil {
			return err
		}
	}
	return nil
}

// budgets says what is free with all files in place.
func (b *builder) budgets() error {
	for _, m := range b.mounts {
		if err := b.h.files.SetBudget(m.Point, m.Budget); err != nil {
			return err
		}
	}
	return nil
}

// catalogSections are the sections of a catalogue that list packages, with their format.
var catalogSections = map[string]Format{"available": Deb, "available rpm": RPM}

// ParseCatalog reads a catalogue of packages: a text archive with sections "available" (.deb) or
// "available rpm" and, for the content of files, "payload PACKAGE PATH".
func ParseCatalog(data []byte) ([]*Package, error) {
	f := &Fixture{}
	_, list := sections(data)
	for _, s := range list {
		words, err := splitWords(s.title)
		switch {
		case err != nil:
		case catalogSections[s.title] != nil:
			var list []*Package
			list, err = parsePackages(s.text, "catalogue", s.line, catalogSections[s.title])
			f.Available = append(f.Available, list...)
		case words[0] == "payload" && len(words) >= 3:
			err = f.readPayload(words, s.text)
		default:
			err = fmt.Errorf("unknown section of a catalogue; known are available, available rpm, and payload PACKAGE PATH")
		}
		if err != nil {
			return nil, sectionError(s.title, s.line-1, err)
		}
	}
	return f.Available, nil
}
