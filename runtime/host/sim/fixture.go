package sim

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/packagesystem"
	"zcp2kopano/runtime/host/sim/simfs"
)

// Fixture is a host written down: see testdata/hosts/README.md for the text form.
type Fixture struct {
	Comment   string
	Facts     host.Facts
	Manager   host.PackageManager
	Time      time.Time
	Lock      *host.LockHolder
	Audit     []string
	Lost      map[string]string // installed packages of which nothing can be kept, with the reason
	Mounts    []simfs.Mount
	Packages  []*Package
	Available []*Package
	Services  []FixtureService
	Processes []host.Process
	Listeners []host.Listener
	Entries   []Entry
	Database  *database
	Directory []host.Entry
	Downloads map[string][]byte
	Dead      map[string]string // repositories that do not answer: URL to what is said
	Ports     map[string]bool   // of other hosts, by HOST:PORT: whether something accepts connections there

	Params  map[string]string // of the run that the fixture is for, where the admin gives none
	Secrets []string          // its secret parameters, whose values are not in the fixture

	NoBase bool   // the implicit base system is left out
	Base   string // which one it is, a key of bases; empty for that of the package manager
	Passwd string // lines added to the base's /etc/passwd
	Group  string

	hasDirectory   bool
	programsListed bool // the programs of the system are in the fixture, all of them
}

// FixtureService is a line of the section "services".
type FixtureService struct {
	Name     string
	Active   bool
	Enabled  bool
	Masked   bool
	Failed   bool
	Stubborn bool // does not stop
	Coming   bool // a package brings it
	Mute     bool // accepts connections and never answers
	Dies     bool // ends as soon as it was started
	Upgrades bool // is at work on its database, under its lock, and does not come to an end
	PID      int
	Exe      string
	User     string
}

// defaultTime is when a fixture that does not say so plays.
var defaultTime = time.Date(2017, 3, 14, 9, 0, 0, 0, time.UTC)

// sectionError says where in a fixture something is wrong.
func sectionError(section string, line int, err error) error {
	if strings.HasPrefix(err.Error(), "line ") {
		return fmt.Errorf("fixture: section %q: %w", section, err)
	}
	return fmt.Errorf("fixture: section %q: line %d: %w", section, line, err)
}

// section is a file of the archive, with the line on which its text begins.
type section struct {
	title string
	text  string
	line  int
}

// sections parts a text archive in the txtar format: a line "-- TITLE --" begins a section, what
// stands before the first one is a comment.
func sections(data []byte) (comment string, list []section) {
	n, start := 0, 0
	text := string(data)
	end := func(at int) {
		body := text[start:at]
		if body != "" && !strings.HasSuffix(body, "\n") {
			body += "\n"
		}
		if len(list) == 0 {
			comment = body
			return
		}
		list[len(list)-1].text = body
	}
	at := 0
	for line := range strings.Lines(text) {
		n++
		if title, ok := marker(line); ok {
			end(at)
			list = append(list, section{title: title, line: n + 1})
			start = at + len(line)
		}
		at += len(line)
	}
	end(len(text))
	return comment, list
}

// marker reads the line that begins a section.
func marker(line string) (title string, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) < 7 || !strings.HasPrefix(line, "-- ") || !strings.HasSuffix(line, " --") {
		return "", false
	}
	title = strings.TrimSpace(line[3 : len(line)-3])
	return title, title != ""
}

// sectionReaders read the sections that are not files.
var sectionReaders = map[string]func(f *Fixture, s section) error{
	"host": (*Fixture).readHost, "parameters": (*Fixture).readParams,
	"mounts":    (*Fixture).readMounts,
	"packages":  (*Fixture).readPackages,
	"available": (*Fixture).readAvailable,
	"services":  (*Fixture).readServices,
	"processes": (*Fixture).readProcesses,
	"tree":      (*Fixture).readTree,
	"database":  (*Fixture).readDatabase,
	"directory": (*Fixture).readDirectory,
	"dead":      (*Fixture).readDead,
	"ports":     (*Fixture).readPorts,
	"passwd":    func(f *Fixture, s section) error { f.Passwd = s.text; return nil },
	"group":     func(f *Fixture, s section) error { f.Group = s.text; return nil },
}

// ReadFixture reads a fixture. Errors name section and line.
func ReadFixture(data []byte) (*Fixture, error) {
	f := &Fixture{Time: defaultTime, Database: newDatabase(), Downloads: map[string][]byte{}, Dead: map[string]string{}, Ports: map[string]bool{}}
	f.Facts = host.Facts{Init: "systemd", OSRelease: map[string]string{}}
	var list []section
	f.Comment, list = sections(data)
	if len(list) == 0 {
		return nil, fmt.Errorf("fixture: no section; one begins with a line like \"-- host --\"")
	}
	seen := map[string]int{}
	for _, s := range list {
		if seen[s.title] > 0 {
			return nil, sectionError(s.title, s.line-1, fmt.Errorf("the section is on line %d already", seen[s.title]))
		}
		seen[s.title] = s.line - 1
	}
	for _, s := range hostFirst(list) {
		if err := f.readSection(s); err != nil {
			return nil, sectionError(s.title, s.line-1, err)
		}
	}
	f.readOSRelease()
	f.Facts.Arch = cmp.Or(f.Facts.Arch, f.format().Arch())
	return f, nil
}

// hostFirst sorts the section "host" to the front: it says of what format the packages are.
func hostFirst(list []section) []section {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b section) int { return order(b.title == "host") - order(a.title == "host") })
	return sorted
}

func order(first bool) int {
	if first {
		return 1
	}
	return 0
}

func (f *Fixture) readSection(s section) error {
	words, err := splitWords(s.title)
	if err != nil {
		return err
	}
	if read := sectionReaders[s.title]; read != nil {
		return read(f, s)
	}
	switch {
	case strings.HasPrefix(words[0], "/"):
		e, err := parseFileHeader(words, s.text)
		if err != nil {
			return err
		}
		if e.Approx {
			return fmt.Errorf("%s: only a payload is approximate", e.Path)
		}
		e.line = s.line - 1
		f.Entries = append(f.Entries, e)
		return nil
	case words[0] == "download" && len(words) == 2:
		if u, err := url.Parse(words[1]); err != nil || u.Scheme == "" {
			return fmt.Errorf("%q is not a URL", words[1])
		}
		f.Downloads[words[1]] = []byte(s.text)
		return nil
	case words[0] == "payload" && len(words) >= 3:
		return f.readPayload(words, s.text)
	}
	return fmt.Errorf("unknown section; known are %s, download URL, payload PACKAGE PATH, and absolute paths of files", strings.Join(slices.Sorted(maps.Keys(sectionReaders)), ", "))
}

// lines calls do for each line that is neither empty nor a comment.
func (s section) lines(do func(words []string, line string) error) error {
	n := s.line - 1
	for line := range strings.Lines(s.text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := splitWords(line)
		if err == nil {
			err = do(words, line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// readParams reads lines NAME VALUE, and "secret NAME".
func (f *Fixture) readParams(s section) error {
	return s.lines(func(words []string, line string) error {
		switch {
		case len(words) != 2:
			return fmt.Errorf("%q is not of the form \"NAME VALUE\" or \"secret NAME\"", line)
		case words[0] == "secret":
			f.Secrets = append(f.Secrets, words[1])
			return nil
		}
		if f.Params == nil {
			f.Params = map[string]string{}
		}
		f.Params[words[0]] = words[1]
		return nil
	})
}

func (f *Fixture) readHost(s section) error {
	given := map[string]bool{}
	return s.lines(func(_ []string, line string) error {
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok {
			return fmt.Errorf("%q is not of the form \"key: value\"", line)
		}
		if given[key] && key != "audit" && key != "lost" {
			return fmt.Errorf("%s is given twice", key)
		}
		given[key] = true
		return f.setHost(key, value)
	})
}

func (f *Fixture) setHost(key, value string) error {
	if field, ok := strings.CutPrefix(key, "os-release."); ok {
		f.Facts.OSRelease[field] = value
		return nil
	}
	texts := map[string]*string{
		"hostname": &f.Facts.Hostname, "machine-id": &f.Facts.MachineID, "arch": &f.Facts.Arch,
		"kernel": &f.Facts.Kernel, "init": &f.Facts.Init, "security": &f.Facts.Security,
	}
	if to := texts[key]; to != nil {
		*to = value
		if key == "init" && value != "systemd" && value != "sysv" {
			return fmt.Errorf("init is %q; it must be systemd or sysv", value)
		}
		return nil
	}
	switch key {
	case "uid":
		n, err := strconv.ParseUint(value, 10, 32)
		f.Facts.UID = uint32(n)
		return err
	case "time":
		t, err := time.Parse(time.RFC3339Nano, value)
		f.Time = t
		return err
	case "manager":
		f.Manager.Name, f.Manager.Version, _ = strings.Cut(value, " ")
		if known := packagesystem.Managers(); !slices.Contains(known, f.Manager.Name) {
			return fmt.Errorf("manager is %q; it must be %s, and a version", f.Manager.Name, strings.Join(known, ", "))
		}
		return nil
	case "lock":
		return f.setLock(value)
	case "base":
		f.NoBase, f.Base = value == "none", value
		if _, known := bases[value]; !known && !f.NoBase {
			return fmt.Errorf("base is %q; it must be %s or none", value, strings.Join(slices.Sorted(maps.Keys(bases)), ", "))
		}
		return nil
	case "programs":
		f.programsListed = value == "listed"
		if !f.programsListed {
			return fmt.Errorf("programs is %q; it can only be listed", value)
		}
		return nil
	case "audit":
		f.Audit = append(f.Audit, value)
		return nil
	case "lost":
		name, why, ok := strings.Cut(value, " ")
		if !ok {
			return fmt.Errorf("lost: %q is not \"PACKAGE WHY\"", value)
		}
		if f.Lost == nil {
			f.Lost = map[string]string{}
		}
		f.Lost[name] = why
		return nil
	}
	return fmt.Errorf("unknown key %q; known are %s, uid, time, manager, lock, audit, lost, base, programs, os-release.FIELD", key, strings.Join(slices.Sorted(maps.Keys(texts)), ", "))
}

// setLock reads "PID PATH COMMAND".
func (f *Fixture) setLock(value string) error {
	words := strings.SplitN(value, " ", 3)
	if len(words) != 3 {
		return fmt.Errorf("lock: %q is not \"PID PATH COMMAND\"", value)
	}
	pid, err := strconv.Atoi(words[0])
	f.Lock = &host.LockHolder{PID: pid, Path: words[1], Command: words[2]}
	return err
}

// readOSRelease takes the fields from the file, where the fixture has it.
func (f *Fixture) readOSRelease() {
	for _, name := range []string{"/usr/lib/os-release", "/etc/os-release"} {
		for _, e := range f.Entries {
			if e.Path == name && e.Content != nil {
				f.Facts.OSRelease = parseOSRelease(string(e.Content))
			}
		}
	}
}

func parseOSRelease(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		fields[name] = value
	}
	return fields
}

// readMounts reads lines "POINT SOURCE TYPE SIZE FREE [ro] [dev=N] [inodes=N] [free-inodes=N]
// [available=SIZE]".
func (f *Fixture) readMounts(s section) error {
	return s.lines(func(words []string, line string) error {
		if len(words) < 5 {
			return fmt.Errorf("%q is not \"POINT SOURCE TYPE SIZE FREE\"", line)
		}
		m := simfs.Mount{Mount: host.Mount{Point: words[0], Source: words[1], Type: words[2]}}
		total, err1 := parseSize(words[3])
		free, err2 := parseSize(words[4])
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		if !path.IsAbs(m.Point) || len(f.Mounts) == 0 && m.Point != "/" {
			return fmt.Errorf("mount point %q: the first is \"/\", and all are absolute", m.Point)
		}
		m.Budget = host.Statfs{Total: uint64(total), Free: uint64(free), Available: uint64(free)}
		for _, w := range words[5:] {
			if err := setMountOption(&m, w); err != nil {
				return err
			}
		}
		if err := f.checkMount(m); err != nil {
			return fmt.Errorf("mount point %q: %w", m.Point, err)
		}
		if m.Budget.Inodes > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "free-inodes=") }) {
			m.Budget.FreeInodes = m.Budget.Inodes
		}
		f.Mounts = append(f.Mounts, m)
		return nil
	})
}

// checkMount refuses what no file system can be.
func (f *Fixture) checkMount(m simfs.Mount) error {
	b := m.Budget
	switch {
	case slices.ContainsFunc(f.Mounts, func(other simfs.Mount) bool { return other.Point == m.Point }):
		return fmt.Errorf("it is given twice")
	case b.Free > b.Total, b.Available > b.Free:
		return fmt.Errorf("of %d bytes %d are free, and %d available; each must be at most the one before", b.Total, b.Free, b.Available)
	case b.FreeInodes > b.Inodes:
		return fmt.Errorf("of %d inodes %d are free; inodes=N says how many there are", b.Inodes, b.FreeInodes)
	}
	return nil
}

func setMountOption(m *simfs.Mount, word string) error {
	name, value, _ := strings.Cut(word, "=")
	if word == "ro" {
		m.ReadOnly = true
		return nil
	}
	if value == "" {
		return fmt.Errorf("unknown mount option %q", word)
	}
	n, err := parseSize(value)
	if err != nil {
		return err
	}
	switch name {
	case "dev":
		m.Device = uint64(n)
	case "inodes":
		m.Budget.Inodes = uint64(n)
	case "free-inodes":
		m.Budget.FreeInodes = uint64(n)
	case "available":
		m.Budget.Available = uint64(n)
	default:
		return fmt.Errorf("unknown mount option %q", word)
	}
	return nil
}

func (f *Fixture) readPackages(s section) (err error) {
	f.Packages, err = parsePackages(s.text, "fixture", s.line, f.format())
	seen := map[string]bool{}
	for _, p := range f.Packages {
		if seen[p.Name] {
			return fmt.Errorf("package %s is there twice", p.Name)
		}
		seen[p.Name] = true
		p.Status = cmp.Or(p.Status, "installed")
	}
	return err
}

func (f *Fixture) readAvailable(s section) (err error) {
	f.Available, err = parsePackages(s.text, "fixture", s.line, f.format())
	return err
}

// readPayload reads the content of a file in an available package: "payload PACKAGE PATH [MODE]
// [USER:GROUP] [approximate]".
func (f *Fixture) readPayload(words []string, text string) error {
	return setPayload(f.Available, words[1], words[2:], text)
}

func setPayload(packages []*Package, name string, words []string, text string) error {
	e, err := parseFileHeader(words, text)
	if err != nil {
		return err
	}
	if !e.Mtime.IsZero() {
		return fmt.Errorf("%s: a file of a package that is not installed has no time", e.Path)
	}
	found := false
	for _, p := range packages {
		if p.Name != name {
			continue
		}
		found = true
		for i := range p.Files {
			if p.Files[i].Path == e.Path {
				p.Files[i].Content, p.Files[i].Size, p.Files[i].Approx = e.Content, e.Size, e.Approx
				if p.Files[i].Bare {
					p.Files[i].Mode, p.Files[i].User, p.Files[i].Group = e.Mode, e.User, e.Group
				}
				p.Files[i].Bare = false
				continue
			}
		}
		if _, ok := p.file(e.Path); !ok {
			p.Files = p.Format.Owned(append(p.Files, host.PackedFile{Path: e.Path, Mode: e.Mode, User: e.User, Group: e.Group, Size: e.Size, Content: e.Content, Approx: e.Approx}))
		}
	}
	if !found {
		return fmt.Errorf("no available package is called %s; its stanza must come before its payload", name)
	}
	return nil
}

// flags are the words of a service's line that have no value.
func (svc *FixtureService) flags() map[string]*bool {
	return map[string]*bool{
		"active": &svc.Active, "enabled": &svc.Enabled, "masked": &svc.Masked, "failed": &svc.Failed, "stubborn": &svc.Stubborn,
		"coming": &svc.Coming, "mute": &svc.Mute, "dies": &svc.Dies, "upgrades": &svc.Upgrades,
	}
}

// readServices reads lines "NAME [active] [enabled] [masked] [failed] [stubborn] [coming] [mute] [dies]
// [upgrades] [pid=N] [exe=PATH] [user=NAME]".
func (f *Fixture) readServices(s section) error {
	return s.lines(func(words []string, _ string) error {
		svc := FixtureService{Name: words[0]}
		for _, w := range words[1:] {
			if err := svc.set(w); err != nil {
				return fmt.Errorf("%s: %w", svc.Name, err)
			}
		}
		if err := f.checkService(svc); err != nil {
			return fmt.Errorf("%s: %w", svc.Name, err)
		}
		f.Services = append(f.Services, svc)
		return nil
	})
}

func (svc *FixtureService) set(word string) error {
	name, value, valued := strings.Cut(word, "=")
	flag := svc.flags()[word]
	switch {
	case !valued && flag != nil:
		*flag = true
	case name == "exe" && path.IsAbs(value):
		svc.Exe = value
	case name == "user" && value != "":
		svc.User = value
	case name == "pid":
		pid, err := strconv.Atoi(value)
		if err != nil || pid <= 0 {
			return fmt.Errorf("pid %q is not a process number", value)
		}
		svc.PID = pid
	default:
		return fmt.Errorf("unknown word %q; known are %s, pid=N, exe=PATH, user=NAME", word, strings.Join(slices.Sorted(maps.Keys(svc.flags())), ", "))
	}
	return nil
}

// checkService refuses words that contradict each other.
func (f *Fixture) checkService(svc FixtureService) error {
	switch {
	case slices.ContainsFunc(f.Services, func(other FixtureService) bool { return other.Name == svc.Name }):
		return fmt.Errorf("it is given twice")
	case svc.Active && svc.Failed:
		return fmt.Errorf("a service is active or failed, not both")
	case svc.PID > 0 && !svc.Active:
		return fmt.Errorf("pid=%d is the process of an active service, and this one is not", svc.PID)
	case svc.Coming && (svc.Active || svc.Enabled || svc.Masked || svc.Failed):
		return fmt.Errorf("a service that is still to come has no state")
	case svc.Masked && f.Facts.Init != "systemd":
		return fmt.Errorf("only systemd has masked services")
	}
	return nil
}

// readProcesses reads lines "PID USER EXE [config=PATH]".
func (f *Fixture) readProcesses(s section) error {
	return s.lines(func(words []string, line string) error {
		if len(words) < 3 || !path.IsAbs(words[2]) {
			return fmt.Errorf("%q is not \"PID USER EXE [config=PATH] [listen=ADDRESS:PORT]...\"", line)
		}
		pid, err := strconv.Atoi(words[0])
		if err != nil || pid <= 0 {
			return fmt.Errorf("%q is not a process number", words[0])
		}
		if slices.ContainsFunc(f.Processes, func(p host.Process) bool { return p.PID == pid }) {
			return fmt.Errorf("process %d is given twice", pid)
		}
		p := host.Process{PID: pid, User: words[1], Exe: words[2], Name: path.Base(words[2])}
		for _, word := range words[3:] {
			if err := f.readProcessWord(&p, word); err != nil {
				return err
			}
		}
		f.Processes = append(f.Processes, p)
		return nil
	})
}

func (f *Fixture) readProcessWord(p *host.Process, word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "config":
		if p.Config = value; !path.IsAbs(value) {
			return fmt.Errorf("%q is not the absolute path of a file", value)
		}
		return nil
	case "listen":
		at, err := netip.ParseAddrPort(value)
		if err != nil || at.Port() == 0 {
			return fmt.Errorf("%q is not ADDRESS:PORT, such as 0.0.0.0:143 or [::1]:143", value)
		}
		f.Listeners = append(f.Listeners, host.Listener{Address: at.Addr().String(), Port: int(at.Port()), PID: p.PID})
		return nil
	}
	return fmt.Errorf("unknown word %q of a process; known are config= and listen=", word)
}

func (f *Fixture) readDirectory(s section) (err error) {
	f.hasDirectory = true
	f.Directory, err = directory.ParseLDIF(s.text, s.line)
	return err
}

// readPorts reads lines "HOST:PORT answers" and "HOST:PORT refuses".
func (f *Fixture) readPorts(s section) error {
	return s.lines(func(words []string, line string) error {
		if len(words) != 2 || words[1] != "answers" && words[1] != "refuses" {
			return fmt.Errorf("%q is neither \"HOST:PORT answers\" nor \"HOST:PORT refuses\"", line)
		}
		if err := host.CheckAddress(words[0]); err != nil {
			return err
		}
		f.Ports[words[0]] = words[1] == "answers"
		return nil
	})
}

// readDead reads lines "URL WHAT THE PACKAGE MANAGER SAYS".
func (f *Fixture) readDead(s section) error {
	return s.lines(func(words []string, line string) error {
		if len(words) < 2 {
			return fmt.Errorf("%q is not \"URL MESSAGE\"", line)
		}
		f.Dead[strings.TrimSuffix(words[0], "/")] = strings.Join(words[1:], " ")
		return nil
	})
}

// parseFileHeader reads the title of a file's section: "PATH [MODE] [USER:GROUP] [TIME] [noeol]
// [base64] [size=N] [fill=N]", and takes its text as the content; with a size, the content is not known.
func parseFileHeader(words []string, text string) (Entry, error) {
	e := Entry{Path: words[0], Mode: guessMode(words[0]) &^ fs.ModeDir, Content: []byte(text)}
	if path.Clean(e.Path) != e.Path || !path.IsAbs(e.Path) || e.Path == "/" {
		return e, fmt.Errorf("%q is not the clean absolute path of a file", e.Path)
	}
	has := map[string]bool{}
	var fill int64 // NULs behind the content, up to this size
	for _, w := range words[1:] {
		option, _, _ := strings.Cut(w, "=")
		has[option] = true
		switch {
		case w == "noeol":
			e.Content = bytes.TrimSuffix(e.Content, []byte("\n"))
		case strings.HasPrefix(w, "size="):
			size, err := parseSize(w[len("size="):])
			if err != nil {
				return e, err
			}
			e.Content, e.Size = nil, size
		case strings.HasPrefix(w, "fill="):
			var err error
			if fill, err = parseSize(w[len("fill="):]); err != nil {
				return e, err
			}
		case w == "approximate":
			e.Approx = true
		case w == "base64":
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				return e, err
			}
			e.Content = raw
		case w[0] == '0' && len(w) <= 5:
			perm, err := parsePerm(w)
			if err != nil {
				return e, err
			}
			e.Mode = perm
		case len(w) > 10 && w[4] == '-' && w[10] == 'T':
			t, err := time.Parse(time.RFC3339Nano, w)
			if err != nil {
				return e, err
			}
			e.Mtime = t
		case strings.Contains(w, ":"):
			e.User, e.Group, _ = strings.Cut(w, ":")
		default:
			return e, fmt.Errorf("unknown word %q; known are an octal mode, USER:GROUP, a time, noeol, base64, size=N, fill=N, and approximate for a payload", w)
		}
	}
	switch {
	case has["noeol"] && has["base64"]:
		return e, fmt.Errorf("%s: noeol is for text, and base64 for what is none", e.Path)
	case has["size"] && strings.TrimSpace(text) != "":
		return e, fmt.Errorf("%s: it has a content, and so no size=N", e.Path)
	case has["size"]:
		return e, nil
	}
	if more := fill - int64(len(e.Content)); more > 0 {
		e.Content = append(e.Content, make([]byte, more)...)
	}
	e.Size = int64(len(e.Content))
	return e, nil
}
