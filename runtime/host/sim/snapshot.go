package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/packagesystem"
	"zcp2kopano/runtime/host/secrets"
)

// SnapshotOptions says what of a host goes into a snapshot beside its facts, packages, services,
// processes, accounts and mounts.
type SnapshotOptions struct {
	// Packages are globs of the names of packages whose files are captured.
	Packages []string
	// Config are files and directories whose content is captured, secrets replaced.
	Config []string
	// Sparse leaves out the content of all that is neither below Config nor among Read, nor as its package shipped it,
	// and Directive, if set, the values of directives that it does not know.
	Sparse    bool
	Directive func(file, name string) bool
	// Trees are directories of which all is captured but the content of files.
	Trees []string
	// Conn and Queries are questions to the database, whose answers are recorded.
	Conn    host.DatabaseConn
	Queries []string
	// Directory and Searches are questions to a directory, whose entries are recorded.
	Directory host.DirectoryConn
	Searches  []host.DirectorySearch
	// Ports are those of other hosts that a run tried, and whether something accepted connections there.
	Ports map[string]bool
	// Seen, Listed and Read are what a run looks at beside all this: names, directories with the names
	// in them, and files, of which text is captured with secrets replaced.
	Seen, Listed, Read []string
	// Offered is what the package index offers of the names that a run asked for.
	Offered map[string][]host.Candidate
	// Lost are packages of which nothing can be kept, and why.
	Lost map[string]string
	// Params are the parameters of the run that was meant, and Secrets the names of its secret ones.
	Params  map[string]string
	Secrets []string
	// Holds is told of each file whose content is captured; it may be nil.
	Holds func(name string)
	// Progress is told what is captured, and how many files were until now; it may be nil.
	Progress func(what string, files int64)
}

// standardConfig is captured from every host.
var standardConfig = []string{
	"/etc/os-release", "/usr/lib/os-release", "/etc/passwd", "/etc/group", "/etc/machine-id", "/etc/apt/sources.list",
	"/etc/apt/sources.list.d", "/etc/yum.repos.d", "/etc/zypp/repos.d", "/etc/redhat-release", "/etc/SuSE-release", "/etc/init.d",
	"/etc/systemd/system", "/usr/sbin/policy-rc.d",
}

// standardTrees are captured without content.
var standardTrees = []string{"/etc/rc0.d", "/etc/rc1.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d", "/etc/rc6.d", "/etc/rcS.d"}

// configLimit is the size up to which a configuration file's content is captured.
const configLimit = 1 << 20

// Snapshot writes a fixture of a host. It streams: nothing but the text of configuration files is kept
// in memory. That is read first, before the walk of trees, which can take long.
func Snapshot(ctx context.Context, w io.Writer, view host.View, o SnapshotOptions) error {
	s := &snapshot{ctx: ctx, out: bufio.NewWriterSize(w, 64<<10), view: view, o: o, seen: map[string]bool{}, shipped: map[string]string{}, links: map[[2]uint64]string{}, dirs: map[string]string{}, linked: map[string]bool{}}
	steps := []func() error{s.host, s.meant, s.mounts, s.packages, s.offered, s.listServices, s.processes, s.tree, s.files, s.database, s.directory, s.ports}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	return s.out.Flush()
}

type snapshot struct {
	ctx   context.Context
	out   *bufio.Writer
	view  host.View
	o     SnapshotOptions
	table *accounts.Table

	format   Format
	captured []host.Package
	owned    [][]string // files of captured, in the same order
	shipped  map[string]string
	seen     map[string]bool // paths in the tree, or kept for the section of their own
	services []host.Service
	texts    bytes.Buffer // sections of files
	links    map[[2]uint64]string
	maps     []string          // files in which Postfix finds passwords; nil until they are asked for
	reads    map[string]bool   // what the run reads, by real names; nil until it is asked for
	dirs     map[string]string // where directories are
	linked   map[string]bool   // real names of files that have several
	dir      string
	count    int64
}

func (s *snapshot) section(title string) { fmt.Fprintf(s.out, "-- %s --\n", title) }

func (s *snapshot) progress(what string) {
	if s.o.Progress != nil {
		s.o.Progress(what, s.count)
	}
}

// meant writes which run the snapshot is for.
func (s *snapshot) meant() error {
	if len(s.o.Params)+len(s.o.Secrets) == 0 {
		return nil
	}
	s.section("parameters")
	for _, name := range slices.Sorted(maps.Keys(s.o.Params)) {
		fmt.Fprintln(s.out, quoteWord(name), quoteWord(s.o.Params[name]))
	}
	for _, name := range slices.Sorted(slices.Values(s.o.Secrets)) {
		fmt.Fprintln(s.out, "secret", quoteWord(name))
	}
	return nil
}

func (s *snapshot) host() error {
	f, err := s.view.Facts()
	if err != nil {
		return err
	}
	manager, err := s.view.PackageManager()
	if err != nil {
		return err
	}
	s.format = formatOf(manager.Name)
	s.section("host")
	fmt.Fprintf(s.out, "base: none\nprograms: listed\nhostname: %s\nmachine-id: %s\narch: %s\nkernel: %s\ninit: %s\nsecurity: %s\nuid: %d\n", f.Hostname, f.MachineID, f.Arch, f.Kernel, f.Init, f.Security, f.UID)
	fmt.Fprintf(s.out, "time: %s\nmanager: %s %s\n", s.view.Now().UTC().Format(time.RFC3339Nano), manager.Name, manager.Version)
	for _, name := range slices.Sorted(maps.Keys(f.OSRelease)) {
		fmt.Fprintf(s.out, "os-release.%s: %s\n", name, f.OSRelease[name])
	}
	lock, err := s.view.PackageLock()
	if err != nil {
		return err
	}
	if lock != nil {
		fmt.Fprintf(s.out, "lock: %d %s %s\n", lock.PID, lock.Path, lock.Command)
	}
	audit, err := s.view.PackageAudit()
	if err != nil {
		return err
	}
	for _, line := range audit {
		fmt.Fprintf(s.out, "audit: %s\n", strings.ReplaceAll(line, "\n", " "))
	}
	for _, name := range slices.Sorted(maps.Keys(s.o.Lost)) {
		fmt.Fprintf(s.out, "lost: %s %s\n", name, strings.ReplaceAll(s.o.Lost[name], "\n", " "))
	}
	passwd, err := readBelow(s.view, "/etc/passwd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	group, err := readBelow(s.view, "/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.table = accounts.NewTable(string(passwd), string(group))
	return nil
}

func (s *snapshot) mounts() error {
	mounts, _, err := mountsOf(s.view)
	if err != nil {
		return err
	}
	s.section("mounts")
	for _, m := range mounts {
		b := m.Budget
		fmt.Fprintf(s.out, "%s %s %s %d %d available=%d dev=%d", quoteWord(m.Point), quoteWord(m.Source), quoteWord(m.Type), b.Total, b.Free, b.Available, m.Device)
		if b.Inodes > 0 {
			fmt.Fprintf(s.out, " inodes=%d free-inodes=%d", b.Inodes, b.FreeInodes)
		}
		if m.ReadOnly {
			fmt.Fprint(s.out, " ro")
		}
		fmt.Fprintln(s.out)
	}
	return nil
}

func (s *snapshot) packages() error {
	list, err := s.view.Packages()
	if err != nil {
		return err
	}
	s.section("packages")
	dirs := map[string]bool{}
	for _, p := range list {
		if !matchesAny(p.Name, s.o.Packages) {
			continue
		}
		files, err := filesOfPackage(s.view, p)
		if err != nil {
			return err
		}
		for i := range files {
			files[i] = path.Clean(files[i])
			for d := path.Dir(files[i]); !dirs[d]; d = path.Dir(d) {
				dirs[d] = true
			}
		}
		s.captured, s.owned = append(s.captured, p), append(s.owned, files)
	}
	n := 0
	for _, p := range list {
		files := []string{}
		if n < len(s.captured) && s.captured[n].Name == p.Name {
			files = s.owned[n]
			n++
		} else {
			all, err := filesOfPackage(s.view, p)
			if err != nil {
				return err
			}
			for _, f := range all {
				if f = path.Clean(f); dirs[f] { // directories that they share with the captured ones
					files = append(files, f)
				}
			}
		}
		if err := s.writePackage(p, files); err != nil {
			return err
		}
	}
	s.progress("packages")
	return nil
}

// offered writes what the package index has on offer, from repositories that need not be read again.
func (s *snapshot) offered() error {
	if len(s.o.Offered) == 0 {
		return nil
	}
	s.section("available")
	for _, name := range slices.Sorted(maps.Keys(s.o.Offered)) {
		for _, c := range s.o.Offered[name] {
			fmt.Fprintf(s.out, "Package: %s\nVersion: %s\n", name, c.Version)
			if c.Depends != "" {
				fmt.Fprintf(s.out, "Depends: %s\n", strings.Join(strings.Fields(c.Depends), " "))
			}
			fmt.Fprintln(s.out)
		}
	}
	return nil
}

func matchesAny(name string, globs []string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { ok, _ := path.Match(g, name); return ok })
}

func (s *snapshot) writePackage(p host.Package, files []string) error {
	status := "install ok " + p.Status
	if p.Held {
		status = "hold ok " + p.Status
	}
	fmt.Fprintf(s.out, "Package: %s\nVersion: %s\nArchitecture: %s\nStatus: %s\n", p.Name, p.Version, p.Arch, status)
	d := s.format.describe(s.view, p)
	for _, f := range []struct{ name, value string }{
		{d.origin, p.Origin}, {"Source", p.Source}, {"Description", p.Summary}, {d.depends, p.Depends},
		{"Provides", p.Provides}, {"Conflicts", p.Conflicts}, {"Scripts", strings.Join(d.scripts, " ")},
	} {
		if f.value != "" {
			fmt.Fprintf(s.out, "%s: %s\n", f.name, strings.Join(strings.Fields(f.value), " "))
		}
	}
	if p.Auto {
		fmt.Fprintln(s.out, "Auto-Installed: 1")
	}
	if p.SizeKiB > 0 {
		fmt.Fprintf(s.out, "Installed-Size: %d\n", p.SizeKiB)
	}
	for i, c := range p.Conffiles {
		if i == 0 {
			fmt.Fprintln(s.out, "Conffiles:")
		}
		s.shipped[c.Path] = c.MD5
		fmt.Fprintf(s.out, " %s %s", quoteWord(c.Path), c.MD5)
		if c.Obsolete {
			fmt.Fprint(s.out, " obsolete")
		}
		fmt.Fprintln(s.out)
	}
	for i, f := range files {
		if i == 0 {
			fmt.Fprintln(s.out, "Files:")
		}
		fmt.Fprintf(s.out, " %s%s\n", quoteWord(f), d.flags[f])
	}
	fmt.Fprintln(s.out)
	return nil
}

func (s *snapshot) listServices() (err error) {
	if s.services, err = s.view.Services("*"); err != nil {
		return err
	}
	s.section("services")
	for _, v := range s.services {
		words := []string{quoteWord(v.Name)}
		for word, on := range map[string]bool{"active": v.Active, "failed": v.Failed} {
			if on {
				words = append(words, word)
			}
		}
		slices.Sort(words[1:])
		if v.PID > 0 {
			words = append(words, fmt.Sprintf("pid=%d", v.PID))
		}
		fmt.Fprintln(s.out, strings.Join(words, " "))
	}
	return nil
}

func (s *snapshot) processes() error {
	list, err := s.view.Processes()
	if err != nil {
		return err
	}
	listeners, err := s.view.Listeners()
	if err != nil {
		return err
	}
	s.section("processes")
	for _, p := range list {
		if !path.IsAbs(p.Exe) {
			continue
		}
		words := []string{strconv.Itoa(p.PID), quoteWord(p.User), quoteWord(p.Exe)}
		if p.Config != "" {
			words = append(words, quoteWord("config="+p.Config))
		}
		for _, l := range listeners {
			if l.PID == p.PID {
				words = append(words, "listen="+net.JoinHostPort(l.Address, strconv.Itoa(l.Port)))
			}
		}
		fmt.Fprintln(s.out, strings.Join(words, " "))
	}
	return nil
}

// tree writes the metadata of all that is captured, and notes what has a section of its own.
func (s *snapshot) tree() error {
	s.section("tree")
	for _, name := range slices.Concat(standardConfig, siteFiles, s.o.Config) {
		if err := s.capture(name, true, -1); err != nil {
			return err
		}
	}
	for _, name := range s.o.Read {
		if err := s.capture(name, packagesystem.IsFile(name) || s.isText(name), 0); err != nil {
			return err
		}
	}
	for i := range s.captured {
		for _, name := range s.owned[i] {
			text := strings.HasPrefix(name, "/etc/") || strings.HasSuffix(name, ".service")
			if err := s.capture(name, text, 0); err != nil {
				return err
			}
		}
		for _, c := range s.captured[i].Conffiles {
			if err := s.capture(c.Path, true, 0); err != nil {
				return err
			}
		}
	}
	if err := s.neighbours(); err != nil {
		return err
	}
	for _, v := range s.services {
		template, _, instance := strings.Cut(v.Name, "@")
		for _, dir := range unitDirs {
			if err := s.capture(path.Join(dir, v.Name+".service"), true, 0); err != nil {
				return err
			}
			if !instance {
				continue
			}
			if err := s.capture(path.Join(dir, template+"@.service"), true, 0); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Concat(standardTrees, s.o.Trees) {
		if err := s.capture(name, false, -1); err != nil {
			return err
		}
	}
	if err := s.programs(); err != nil {
		return err
	}
	return s.lookedAt()
}

// programs captures the names of the system's programs, so that it is known which of them a maintainer
// script finds, and which it does not.
func (s *snapshot) programs() error {
	for _, dir := range systemDirs {
		if st, err := s.view.Lstat(dir); err != nil || !st.IsDir() {
			if err := s.capture(dir, false, 0); err != nil { // a link to another of them, or nothing
				return err
			}
			continue
		}
		entries, err := s.view.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type.IsDir() {
				continue
			}
			if err := s.capture(path.Join(dir, e.Name), false, 1); err != nil { // and what a link leads to
				return err
			}
		}
	}
	return nil
}

// lookedAt captures the names that a run looks at, after all that has its content captured.
func (s *snapshot) lookedAt() error {
	for _, name := range s.o.Seen {
		if err := s.capture(name, false, 0); err != nil {
			return err
		}
	}
	for _, name := range s.o.Listed {
		if err := s.capture(name, false, 1); err != nil {
			return err
		}
	}
	return nil
}

// isText reports whether a file is small and can be read by people.
func (s *snapshot) isText(name string) bool {
	st, err := s.view.Lstat(name)
	if err != nil || !st.IsRegular() || st.Size > configLimit {
		return false
	}
	content, err := readBelow(s.view, name)
	return err == nil && utf8.Valid(content) && !bytes.Contains(content, []byte{0})
}

// neighbours captures, for each directory of the captured packages, what lies beside their files, so
// that the directory is as full as it really is.
func (s *snapshot) neighbours() error {
	done := map[string]bool{}
	for i := range s.captured {
		for _, name := range s.owned[i] {
			dir := path.Dir(name)
			if done[dir] {
				continue
			}
			done[dir] = true
			entries, err := s.view.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if err := s.capture(path.Join(dir, e.Name), false, 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// capture writes a path, with its parents, and what is below it down to a depth; -1 for all.
func (s *snapshot) capture(name string, content bool, depth int) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if isBelowAny(name, []string{"/proc", "/sys", "/dev"}) {
		return nil
	}
	st, err := s.view.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.seen[name] {
		if err := s.write(name, st, content); err != nil {
			return err
		}
	}
	if st.IsSymlink() && depth != 0 { // a configured directory that is a symlink
		if target, err := s.view.Readlink(name); err == nil {
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(name), target)
			}
			if !s.seen[target] {
				return s.capture(path.Clean(target), content, depth)
			}
		}
	}
	if !st.IsDir() || depth == 0 {
		return nil
	}
	entries, err := s.view.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone by now
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.capture(path.Join(name, e.Name), content, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) write(name string, st host.Stat, content bool) error {
	if parent := path.Dir(name); parent != name && !s.seen[parent] {
		pst, err := s.view.Stat(parent)
		if err != nil {
			return err
		}
		if lst, err := s.view.Lstat(parent); err == nil && lst.IsSymlink() {
			if err := s.write(parent, lst, false); err != nil {
				return err
			}
			target, err := s.view.Readlink(parent)
			if err != nil {
				return err
			}
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(parent), target)
			}
			if err := s.capture(path.Clean(target), false, 0); err != nil {
				return err
			}
		} else if err := s.write(parent, pst, false); err != nil {
			return err
		}
	}
	s.seen[name] = true
	s.count++
	if s.count%10000 == 0 {
		s.progress("files")
	}
	if name == "/" && !st.IsDir() {
		return nil
	}
	if st.IsRegular() && st.Nlink > 1 {
		id := [2]uint64{st.Dev, st.Ino}
		if s.linked[s.real(name)] {
			return nil // this name, by way of a symlink to its directory
		}
		s.linked[s.real(name)] = true
		if firstName := s.links[id]; firstName != "" {
			fmt.Fprintf(s.out, "hardlink %s -> %s\n", quoteWord(name), quoteWord(firstName))
			return nil
		}
		s.links[id] = name
		content = false // a file with several names has to be in the tree before its other names
	}
	if content && st.IsRegular() && st.Size <= configLimit {
		return s.text(name, st)
	}
	return s.line(name, st)
}

// line writes one line of the tree; below the last directory the path is short.
func (s *snapshot) line(name string, st host.Stat) error {
	short := name
	if s.dir != "" && path.Dir(name) == s.dir && !st.IsDir() {
		short = path.Base(name)
	}
	if strings.HasPrefix(short, "-") || short == "" {
		short = name
	}
	size, target := "-", ""
	switch {
	case st.IsSymlink():
		to, err := s.view.Readlink(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone by now
		}
		if err != nil {
			return err
		}
		target = " -> " + quoteWord(to)
	case st.IsRegular():
		size = fmt.Sprint(st.Size)
	case st.Mode&fs.ModeDevice != 0:
		size = fmt.Sprint(st.Rdev)
	}
	fmt.Fprintf(s.out, "%c%s %s %s %s %s%s\n", typeLetter(st.Mode), formatPerm(st.Mode), s.owner(st), size, st.Mtime.UTC().Format(time.RFC3339Nano), quoteWord(short), target)
	if st.IsDir() {
		s.dir = name
	}
	return s.xattrs(name, st)
}

func (s *snapshot) xattrs(name string, st host.Stat) error {
	if st.IsSymlink() {
		return nil
	}
	names, err := s.view.Listxattr(name)
	if err != nil {
		return nil // a file system without them
	}
	for _, attr := range names {
		if strings.HasPrefix(attr, "security.selinux") {
			continue
		}
		value, err := s.view.Getxattr(name, attr)
		if err != nil {
			continue
		}
		fmt.Fprintf(s.out, "xattr %s %s %s\n", quoteWord(attr), cmpEmpty(base64.StdEncoding.EncodeToString(value)), quoteWord(name))
	}
	return nil
}

func cmpEmpty(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

func (s *snapshot) owner(st host.Stat) string {
	user, group := fmt.Sprint(st.UID), fmt.Sprint(st.GID)
	if u, ok := s.table.UserID(st.UID); ok && !strings.Contains(u.Name, ":") {
		user = u.Name
	}
	if g, ok := s.table.GroupID(st.GID); ok {
		group = g.Name
	}
	return user + ":" + group
}

// text keeps the section of a configuration file. One that cannot be read, or is no text in which
// secrets could be found, gets a section of metadata only.
func (s *snapshot) text(name string, st host.Stat) error {
	st, content, err := s.readStill(name, st)
	if err == nil && packagesystem.IsFile(name) && s.isRead(name) {
		if small := packed(name, content); small != nil {
			s.fileSection(name, st, small, fmt.Sprintf(" fill=%d", st.Size))
			return s.xattrs(name, st)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone by now
		return nil
	case errors.Is(err, host.ErrUnknown), err == nil && secrets.Opaque(name, content):
		s.fileSection(name, st, nil, fmt.Sprintf(" size=%d", st.Size))
		return s.xattrs(name, st)
	case err != nil:
		return err
	}
	if want := s.shipped[name]; want == "" || digest.Of(content, want) != want {
		if s.o.Sparse && !s.wanted(name) {
			s.fileSection(name, st, nil, fmt.Sprintf(" size=%d", st.Size))
			return s.xattrs(name, st)
		}
		content = s.hide(name, content)
	}
	if s.o.Holds != nil {
		s.o.Holds(name)
	}
	s.fileSection(name, st, content, "")
	return s.xattrs(name, st)
}

// always are what a snapshot is none without.
var always = []string{"/etc/os-release", "/usr/lib/os-release", "/etc/passwd", "/etc/group", "/etc/machine-id"}

// wanted reports whether the content of a file was asked for, by a run or by name.
func (s *snapshot) wanted(name string) bool {
	return slices.Contains(always, name) || isBelowAny(name, s.o.Config) || s.isRead(name)
}

// isRead reports whether a run reads a file, by whatever name: /lib may be a symlink to usr/lib, where its package has it.
func (s *snapshot) isRead(name string) bool {
	if s.reads == nil {
		s.reads = map[string]bool{}
		for _, read := range s.o.Read {
			s.reads[s.real(read)] = true
		}
	}
	return s.reads[s.real(name)]
}

// real is the name of a file in the directory where it is.
func (s *snapshot) real(name string) string {
	return path.Join(s.realDir(path.Dir(name), 0), path.Base(name))
}

// realDir is where a directory is that symlinks may lead to.
func (s *snapshot) realDir(dir string, links int) string {
	if real, known := s.dirs[dir]; known {
		return real
	}
	if dir == "/" || dir == "." {
		return dir
	}
	parent := s.realDir(path.Dir(dir), links)
	real := path.Join(parent, path.Base(dir))
	if target, err := s.view.Readlink(real); err == nil && links < maxLinks {
		if !path.IsAbs(target) {
			target = path.Join(parent, target)
		}
		real = s.realDir(path.Clean(target), links+1)
	}
	s.dirs[dir] = real
	return real
}

// maxLinks is how many symlinks may lead to one another, as the kernel has it.
const maxLinks = 40

// readStill reads a file together with its metadata: both from before, or both from after a change that
// happens meanwhile.
func (s *snapshot) readStill(name string, st host.Stat) (host.Stat, []byte, error) {
	for range 5 {
		content, err := readBelow(s.view, name)
		if err != nil {
			return st, nil, err
		}
		after, err := s.view.Lstat(name)
		if err != nil {
			return st, nil, err
		}
		if sameState(st, after) && st.Size == int64(len(content)) {
			return st, content, nil
		}
		if st = after; !st.IsRegular() {
			break
		}
	}
	return st, nil, fmt.Errorf("%s changes again and again while it is read; take the snapshot when it is at rest", name)
}

func sameState(a, b host.Stat) bool {
	return a.Ino == b.Ino && a.Size == b.Size && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Mtime.Equal(b.Mtime) && a.Ctime.Equal(b.Ctime)
}

// files writes the sections of configuration files.
func (s *snapshot) files() error {
	_, err := s.texts.WriteTo(s.out)
	return err
}

// hide replaces the secrets of a file.
func (s *snapshot) hide(name string, content []byte) []byte {
	if s.maps == nil {
		main, _ := readBelow(s.view, "/etc/postfix/main.cf") // without it there are none
		s.maps = secrets.PasswordMaps(string(main))
	}
	if slices.Contains(s.maps, name) {
		name = secrets.PasswordMap
	}
	text := secrets.Hide(name, string(content))
	if s.o.Directive != nil {
		text = secrets.HideUnknown(name, text, s.o.Directive)
	}
	return []byte(text)
}

func (s *snapshot) fileSection(name string, st host.Stat, content []byte, option string) {
	text, how := encodeContent(content)
	fmt.Fprintf(&s.texts, "-- %s %s %s %s%s%s --\n", quoteWord(name), formatPerm(st.Mode), s.owner(st), st.Mtime.UTC().Format(time.RFC3339Nano), how, option)
	s.texts.WriteString(text)
}

// encodeContent gives the text of a section, and the word that says how to read it back.
func encodeContent(content []byte) (text, how string) {
	text = string(content)
	plain := utf8.Valid(content) && !strings.Contains(text, "\x00")
	for line := range strings.Lines(text) {
		if _, ok := marker(line); ok {
			plain = false
		}
	}
	switch {
	case !plain:
		return base64.StdEncoding.EncodeToString(content) + "\n", " base64"
	case text != "" && !strings.HasSuffix(text, "\n"):
		return text + "\n", " noeol"
	}
	return text, ""
}

func (s *snapshot) database() error {
	if len(s.o.Queries) == 0 {
		return nil
	}
	d := newDatabase()
	for _, query := range s.o.Queries {
		rows, err := s.view.Query(s.ctx, s.o.Conn, query)
		if err != nil {
			return err
		}
		d.record(query, rows)
	}
	s.section("database")
	var text strings.Builder
	d.write(&text)
	s.out.WriteString(text.String())
	return nil
}
