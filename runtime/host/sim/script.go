package sim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

// scripts carries out what maintainer scripts do.
type scripts struct {
	files    *files
	gaps     *gaps
	clock    *clock
	system   *system
	accounts *accountFiles
	services *services
	db       *packageDB
	unpacker *unpacker
	site     *dpkgSite
	below    host.View
}

// scriptCall is a maintainer script as dpkg calls it.
type scriptCall struct {
	script string   // preinst, postinst, prerm or postrm
	args   []string // "configure 8.4.5", "remove", ...
	effect string   // the time that a catalogue has for it; empty if it has none
}

func call(script string, args ...string) scriptCall {
	return scriptCall{script: script, args: args, effect: script}
}

// withoutEffect is a call that catalogues say nothing of.
func (c scriptCall) withoutEffect() scriptCall {
	c.effect = ""
	return c
}

// runScript carries out what a maintainer script does. The script itself is followed where the package
// has it; where only a catalogue knows of it, what that says is assumed; the rest is reported.
func (sc *scripts) runScript(p *Package, c scriptCall) error {
	text, known, err := sc.scriptText(p, c.script)
	switch {
	case err != nil:
		return err
	case known && text != "":
		return sc.followScript(p, c, text)
	case known || c.effect == "":
		return nil
	}
	return sc.assumeScript(p, c)
}

// scriptText is a maintainer script of a package: from its file, or from dpkg's database of the host that
// it is installed on. It is empty if the package has none.
func (sc *scripts) scriptText(p *Package, script string) (text string, known bool, err error) {
	if p.texts != nil {
		return p.texts[script], true, nil
	}
	if !p.onHost || !p.hasScript(script) {
		return "", p.onHost && !sc.system.implied, nil
	}
	for _, name := range []string{p.Name, p.Name + ":" + p.Arch} {
		data, err := sc.files.readFile("/var/lib/dpkg/info/" + name + "." + script)
		switch {
		case err == nil:
			return string(data), true, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, host.ErrUnknown):
		default:
			return "", false, err
		}
	}
	return "", false, nil
}

// scriptNames are how dpkg calls the scripts of a package when one fails.
var scriptNames = map[string]string{"preinst": "pre-installation", "postinst": "post-installation", "prerm": "pre-removal", "postrm": "post-removal"}

// followScript has a script followed. One that surely fails ends the transaction, as with dpkg.
func (sc *scripts) followScript(p *Package, c scriptCall, text string) error {
	m := &machine{scripts: sc, p: p, call: c}
	end, complete, err := shell.Follow(m, shell.Script{
		Text: text, Name: "/var/lib/dpkg/info/" + p.Name + "." + c.script, Args: c.args,
		Env: map[string]string{
			"PATH": scriptPath, "DPKG_MAINTSCRIPT_NAME": c.script, "DPKG_MAINTSCRIPT_PACKAGE": p.Name,
			"DPKG_MAINTSCRIPT_ARCH": p.Arch, "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1", "DPKG_ROOT": "",
			"DPKG_ADMINDIR": "/var/lib/dpkg", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C",
		},
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", c.script, p.Name, err)
	}
	if end.Unknown || end.Code == 0 {
		return nil
	}
	if !complete {
		sc.gaps.add(host.Unpredicted{
			What: fmt.Sprintf("whether %s of %s fails", c.script, p.Name),
			Why:  fmt.Sprintf("it would end with status %d, if what of it is not simulated changes nothing in that", end.Code),
		})
		return nil
	}
	kind := "installed"
	if c.script == "preinst" {
		kind = "new"
	}
	return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1",
		Output: fmt.Sprintf("%s %s package %s script subprocess returned error exit status %d", kind, p.Name, scriptNames[c.script], end.Code)}
}

// assumeScript carries out what a catalogue says of a script that nobody has.
func (sc *scripts) assumeScript(p *Package, c scriptCall) error {
	if c.effect == "postinst" {
		if err := sc.carryOutDeclared(p); err != nil {
			return err
		}
	}
	complete, err := sc.effects(p, c.effect)
	if err != nil {
		return err
	}
	sc.unpredictAssumed(p, c)
	if !complete && p.hasScript(c.script) {
		sc.gaps.add(host.Unpredicted{
			What: fmt.Sprintf("maintainer script %s of %s %s", c.script, p.Name, p.Version),
			Why:  "a maintainer script is a program; a simulation carries out only what is known of it (" + p.From + ")",
		})
	}
	return nil
}

// unpredictAssumed tells what of a script is taken from a catalogue, and what will show whether it is so.
func (sc *scripts) unpredictAssumed(p *Package, c scriptCall) {
	var does, checks []string
	for _, e := range p.Effects {
		if e.When != c.effect || e.Verb == "nothing-else" {
			continue
		}
		does = append(does, strings.TrimPrefix(e.String(), e.When+" "))
		if check := effectVerbs[e.Verb].check; !slices.Contains(checks, check) {
			checks = append(checks, check)
		}
	}
	if len(does) == 0 {
		return
	}
	sc.gaps.add(host.Unpredicted{
		What:  fmt.Sprintf("%s of %s is assumed to do: %s", c.script, p.Name, strings.Join(does, "; ")),
		Why:   "the script itself is not at hand; the " + cmp.Or(p.effectsFrom, p.From) + " says so of it",
		Check: strings.Join(checks, "; "),
	})
}

// scriptPath is where dpkg's scripts look for programs.
const scriptPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// machine is the simulated host as a maintainer script meets it.
type machine struct {
	*scripts
	p    *Package
	call scriptCall
}

// done, failed and ended are how commands end.
func done() (shell.Result, error)   { return shell.Result{}, nil }
func failed() (shell.Result, error) { return ended(1) }
func ended(code int) (shell.Result, error) {
	return shell.Result{Status: shell.Status{Code: code}}, nil
}
func said(text string) (shell.Result, error) { return shell.Result{Out: shell.Text{S: text}}, nil }
func unanswered() (shell.Result, error) {
	return shell.Result{Status: shell.Status{Unknown: true}, Out: shell.Text{Unknown: true}}, nil
}

// unknown is the end of a command that is not simulated; it leaves paths open.
func unknown(why string, leaves ...shell.Path) (shell.Result, error) {
	return shell.Result{Unknown: true, Why: why, Leaves: leaves}, nil
}

// byErrno ends a command with the error of a file: status 1, unless the error is none of files.
func byErrno(err error) (shell.Result, error) {
	var named *fs.PathError
	switch {
	case err == nil:
		return done()
	case errors.As(err, &named), errors.Is(err, host.ErrNoAccount):
		return failed()
	case isErrno(err):
		return failed()
	}
	return shell.Result{}, err
}

// Run carries out a command by its program's name.
func (m *machine) Run(c shell.Command) (shell.Result, error) {
	name := path.Base(c.Args[0])
	if strings.HasPrefix(c.Args[0], "/etc/init.d/") && len(c.Args) > 1 {
		return m.initScript(name, c.Args[1])
	}
	if strings.HasPrefix(name, "db_") || name == "dbc_go" {
		return m.library(name, c)
	}
	file, found, known := m.LookPath(c.Args[0])
	switch {
	case known && !found:
		return ended(127)
	case !known:
		return unknown("whether this program is there is not known")
	case !isSystemDir(path.Dir(file)):
		return unknown("it is a program of the site")
	}
	if do, ok := scriptCommands[name]; ok {
		return do(m, c)
	}
	if slices.Contains(askingPrograms, name) {
		return unanswered()
	}
	return unknown("what this program does is not known to a simulation")
}

// systemDirs are where the system's own programs are.
var systemDirs = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

func isSystemDir(dir string) bool { return slices.Contains(systemDirs, dir) }

// askingPrograms change nothing; what they would say is not known.
var askingPrograms = strings.Fields(`awk base64 cmp date df diff du egrep env expr fgrep file find free gawk grep head hostname id ischroot locale
	ls lsb_release lsof mawk md5sum mktemp nproc pgrep pidof ps python2 python3 sed sha1sum sha256sum sleep sort stat tail tee tr tty uname uniq wc
	whoami xargs dpkg dpkg-query dpkg-architecture systemctl perl logger`)

// LookPath finds a program. A fixture need not list those of the system.
func (m *machine) LookPath(name string) (file string, found, known bool) {
	dirs, known := strings.Split(scriptPath, ":"), true
	if strings.Contains(name, "/") {
		dirs, name = []string{path.Dir(name)}, path.Base(name)
	}
	for _, dir := range dirs {
		file := path.Join(dir, name)
		st, err := m.files.Stat(file)
		if err == nil && st.IsRegular() && st.Mode&0o111 != 0 {
			return file, true, true
		}
		known = known && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, host.ErrUnknown)
	}
	for _, dir := range dirs {
		file := path.Join(dir, name)
		is, sure := m.implied(file)
		if is {
			return file, true, true
		}
		known = known && sure
	}
	return "", false, known
}

// listsPrograms reports whether a program that is not found is known not to be there.
func (m *machine) listsPrograms() bool { return m.below != nil || m.system.programsListed }

// unlisted reports whether a package was unpacked of whose files nothing is known: it could have brought any program.
func (m *machine) unlisted() bool {
	for _, p := range m.db.byName {
		if !p.onHost && p.texts == nil && len(p.Files) == 0 {
			return true
		}
	}
	return false
}

// elsewhere reports whether a program is in another directory of the system than a script expects it in.
func (m *machine) elsewhere(file string) bool {
	return slices.ContainsFunc(systemDirs, func(dir string) bool {
		_, err := m.files.Lstat(path.Join(dir, path.Base(file)))
		return dir != path.Dir(file) && err == nil
	})
}

// implied reports whether the system that a fixture describes has a file that the fixture does not list.
func (m *machine) implied(file string) (is, known bool) {
	name := path.Base(file)
	switch {
	case m.listsPrograms() && isSystemDir(path.Dir(file)):
		return false, !m.unlisted()
	case m.below != nil:
		return false, true
	case strings.HasPrefix(file, "/usr/share/dbconfig-common/"):
		return m.db.installed("dbconfig-common") != nil, true
	case file == debconfModule:
		return true, true
	case !isSystemDir(path.Dir(file)):
		return false, true
	case name == "systemctl":
		return m.system.facts.Init == "systemd", true
	case strings.HasPrefix(name, "systemd-"):
		systemd := m.system.facts.Init == "systemd"
		return systemd && m.system.implied, m.system.implied || !systemd
	case scriptCommands[name] != nil || slices.Contains(askingPrograms, name):
		return !m.elsewhere(file), true
	}
	return false, false
}

const debconfModule = "/usr/share/debconf/confmodule"

// isHidden reports a path that a simulation does not look at.
func isHidden(name string) bool {
	return name != maskUnit && isBelowAny(path.Clean(name), []string{"/proc", "/sys", "/dev"})
}

// Test answers as test(1) does for root.
func (m *machine) Test(op byte, name string) (is, known bool) {
	if path.Clean(name) == "/run/systemd/system" {
		return strings.IndexByte("derwx", op) >= 0 && m.system.facts.Init == "systemd", true
	}
	if isHidden(name) {
		return false, false
	}
	look := m.files.Stat
	if op == 'h' || op == 'L' {
		look = m.files.Lstat
	}
	st, err := look(name)
	if errors.Is(err, fs.ErrNotExist) && strings.IndexByte("efrx", op) >= 0 {
		return m.implied(path.Clean(name))
	}
	if err != nil {
		return false, true
	}
	switch op {
	case 'd':
		return st.IsDir(), true
	case 'f':
		return st.IsRegular(), true
	case 'h', 'L':
		return st.IsSymlink(), true
	case 's':
		return st.Size > 0, !st.IsDir()
	case 'x':
		return st.IsDir() || st.Mode&0o111 != 0, true
	case 'e', 'r', 'w':
		return true, true
	case 'p':
		return st.Mode&fs.ModeNamedPipe != 0, true
	case 'S':
		return st.Mode&fs.ModeSocket != 0, true
	case 'u':
		return st.Mode&fs.ModeSetuid != 0, true
	case 'g':
		return st.Mode&fs.ModeSetgid != 0, true
	case 'k':
		return st.Mode&fs.ModeSticky != 0, true
	case 'O':
		return st.UID == 0, true
	case 'G':
		return st.GID == 0, true
	}
	return false, false
}

// Same compares two files by their time or identity.
func (m *machine) Same(op, a, b string) (is, known bool) {
	x, err1 := m.files.Stat(a)
	y, err2 := m.files.Stat(b)
	switch {
	case isHidden(a) || isHidden(b):
		return false, false
	case op == "ef":
		return err1 == nil && err2 == nil && x.Dev == y.Dev && x.Ino == y.Ino, true
	case op == "nt":
		return err1 == nil && (err2 != nil || x.Mtime.After(y.Mtime)), true
	}
	return err2 == nil && (err1 != nil || x.Mtime.Before(y.Mtime)), true
}

// scriptFileLimit is the size up to which a script can read a file.
const scriptFileLimit = 64 << 10

func (m *machine) ReadFile(name string) (shell.Text, error) {
	if isHidden(name) {
		return shell.Text{Unknown: true}, nil
	}
	st, err := m.files.Stat(name)
	if err != nil {
		return shell.Text{}, err
	}
	if st.IsDir() {
		return shell.Text{}, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	if st.Size > scriptFileLimit || !st.IsRegular() {
		return shell.Text{Unknown: true}, nil
	}
	data, err := m.files.readFile(name)
	if errors.Is(err, host.ErrUnknown) {
		return shell.Text{Unknown: true}, nil
	}
	return shell.Text{S: string(data)}, err
}

func (m *machine) WriteFile(name string, content shell.Text, extend bool, umask fs.FileMode) error {
	if isHidden(name) {
		return nil
	}
	if content.Unknown {
		m.leave("what is written to "+name, "the output of a command is not known", shell.Path{Name: name, Aspect: "content"})
	}
	var former []byte
	st, err := m.files.Stat(name)
	if err == nil && st.IsDir() {
		return &fs.PathError{Op: "open", Path: name, Err: errIsDir}
	}
	if err == nil && extend {
		if content.S == "" {
			return nil
		}
		if former, err = m.files.readFile(name); err != nil {
			m.leave("what is written to "+name, "its former content is not known", shell.Path{Name: name, Aspect: "content"})
			return nil
		}
	}
	return m.files.rewriteFile(name, append(former, content.S...), 0o666&^umask)
}

func (m *machine) ReadDir(name string) ([]fs.DirEntry, error) {
	if isHidden(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	entries, err := m.files.ReadDir(name)
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, len(entries))
	for i, e := range entries {
		list[i] = dirEntry{e}
	}
	return list, nil
}

// dirEntry is an entry of a directory as a pattern of the shell looks at it.
type dirEntry struct{ host.DirEntry }

func (e dirEntry) Name() string               { return e.DirEntry.Name }
func (e dirEntry) IsDir() bool                { return e.DirEntry.Type.IsDir() }
func (e dirEntry) Type() fs.FileMode          { return e.DirEntry.Type }
func (e dirEntry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// Source answers what a script reads in with ".": libraries whose commands are known, or a text.
func (m *machine) Source(name string) (shell.Library, error) {
	name = path.Clean(name)
	if is, known := m.Test('f', name); !is {
		if !known || m.unlisted() || m.below == nil && isBelowAny(name, []string{"/usr", "/lib"}) {
			return shell.Library{Opaque: "whether the file is there is not known"}, nil
		}
		return shell.Library{Missing: true}, nil
	}
	if name == debconfModule || strings.HasPrefix(name, "/usr/share/dbconfig-common/") {
		return shell.Library{Known: true}, nil
	}
	t, err := m.ReadFile(name)
	if err == nil && t.Unknown {
		return shell.Library{Opaque: "the content of the file is not known"}, nil
	}
	return shell.Library{Text: t.S}, err
}

// Missed reports what a script does and the simulation does not.
func (m *machine) Missed(missed shell.Missed) {
	where := fmt.Sprintf("%s of %s %s, line %d", m.call.script, m.p.Name, m.p.Version, missed.Line)
	if missed.Script != "" {
		where = fmt.Sprintf("%s, line %d (by %s of %s)", missed.Script, missed.Line, m.call.script, m.p.Name)
	}
	m.leave(where+": "+missed.Code, missed.Why, missed.Leaves...)
}

// leave reports something once, and the paths that it leaves open.
func (m *machine) leave(what, why string, leaves ...shell.Path) {
	if len(leaves) == 0 {
		m.gaps.add(host.Unpredicted{What: what, Why: why})
	}
	for _, l := range leaves {
		m.gaps.add(host.Unpredicted{What: what, Why: why, Path: l.Name, Aspect: l.Aspect})
	}
}

// flags are the options of a command and what follows them.
type flags struct {
	on    map[string]bool
	value map[string]string
	rest  []string
}

func (f flags) given(name string) bool { _, has := f.value[name]; return has }

// parseFlags reads options as getopt_long does. Spec lists them as "R|recursive" or, with a value,
// "m|mode=". It fails if there is another one.
func parseFlags(args []string, spec string) (flags, bool) {
	f := flags{on: map[string]bool{}, value: map[string]string{}}
	names, valued := map[string]string{}, map[string]bool{}
	for _, option := range strings.Fields(spec) {
		option, hasValue := strings.CutSuffix(option, "=")
		aliases := strings.Split(option, "|")
		for _, alias := range aliases {
			names[alias], valued[alias] = aliases[0], hasValue
		}
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			f.rest = append(f.rest, args[i+1:]...)
			return f, true
		case strings.HasPrefix(a, "--"):
			name, value, has := strings.Cut(a[2:], "=")
			known, ok := names[name]
			if !ok || has && !valued[name] {
				return f, false
			}
			if valued[name] && !has {
				if i++; i >= len(args) {
					return f, false
				}
				value = args[i]
			}
			f.note(known, value, valued[name])
		case len(a) > 1 && a[0] == '-':
			for j := 1; j < len(a); j++ {
				name := a[j : j+1]
				known, ok := names[name]
				if !ok {
					return f, false
				}
				if !valued[name] {
					f.note(known, "", false)
					continue
				}
				value := a[j+1:]
				if value == "" {
					if i++; i >= len(args) {
						return f, false
					}
					value = args[i]
				}
				f.note(known, value, true)
				break
			}
		default:
			f.rest = append(f.rest, a)
		}
	}
	return f, true
}

func (f flags) note(name, value string, valued bool) {
	if valued {
		f.value[name] = value
		return
	}
	f.on[name] = true
}

func notUnderstood() (shell.Result, error) {
	return unknown("an option or form of this command is not known to a simulation")
}

// at makes the path of an argument absolute.
func at(c shell.Command, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(cmp.Or(c.Dir, "/"), name)
}
