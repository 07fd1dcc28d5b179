package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

// Where deb-systemd-helper notes what it has enabled and masked.
const (
	unitsEtc      = "/etc/systemd/system"
	helperEnabled = "/var/lib/systemd/deb-systemd-helper-enabled"
	helperMasked  = "/var/lib/systemd/deb-systemd-helper-masked"
)

// systemdHelper is deb-systemd-helper(1), which makes the links of units with and without systemd.
func (m *machine) systemdHelper(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "quiet system")
	if !ok || len(f.rest) < 2 {
		return notUnderstood()
	}
	d := unitHelper{m.services}
	asks := map[string]func(unit string) (bool, error){
		"was-enabled": d.wasEnabled, "is-enabled": d.isEnabled,
		"debian-installed": func(unit string) (bool, error) { return d.services.files.exists(d.state(unit)), nil },
	}
	does := map[string]func(unit string) error{
		"enable": d.enable, "update-state": d.updateState, "mask": d.mask, "unmask": d.unmask,
		"disable":  func(unit string) error { return d.disable(unit, false) },
		"purge":    func(unit string) error { return d.disable(unit, true) },
		"reenable": d.reenable,
	}
	action := f.rest[0]
	if ask := asks[action]; ask != nil {
		for _, unit := range f.rest[1:] {
			if yes, err := ask(unit); err != nil || yes {
				return byErrno(err)
			}
		}
		return failed()
	}
	do := does[action]
	if do == nil {
		return notUnderstood()
	}
	for _, unit := range f.rest[1:] {
		if err := do(unit); err != nil {
			return byErrno(err)
		}
	}
	return done()
}

// unitHelper keeps the links of units and the notes about them.
type unitHelper struct{ services *services }

// unitLink is a link that enabling a unit makes.
type unitLink struct{ at, target string }

func (d unitHelper) state(unit string) string {
	return path.Join(helperEnabled, path.Base(unit)+".dsh-also")
}

// noted is where it notes that a link was made once.
func noted(link, dir string) string { return path.Join(dir, strings.TrimPrefix(link, unitsEtc+"/")) }

func (d unitHelper) find(unit string) string {
	for _, dir := range []string{unitsEtc, "/lib/systemd/system", "/usr/lib/systemd/system"} {
		if st, err := d.services.files.Stat(path.Join(dir, unit)); err == nil && st.IsRegular() {
			return path.Join(dir, unit)
		}
	}
	return unit
}

var unitSetting = regexp.MustCompile(`(?i)^\s*(WantedBy|RequiredBy|Also|Alias|DefaultInstance)=\s*(.+?)\s*$`)

// links are those of a unit, and of the units that it names along with it.
func (d unitHelper) links(unit, file string, visited map[string]bool) ([]unitLink, error) {
	text, err := d.services.files.readFile(file)
	if errors.Is(err, host.ErrUnknown) {
		d.services.gaps.add(host.Unpredicted{What: "where " + unit + " is enabled", Why: "the content of " + file + " is not known; multi-user.target is taken", Path: wantsGlob})
		text, err = []byte("WantedBy=multi-user.target\n"), nil
	}
	if err != nil {
		return nil, err
	}
	name, wanted := path.Base(file), path.Base(file)
	var links []unitLink
	var dirs []string
	for line := range strings.Lines(string(text)) {
		set := unitSetting.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if set == nil {
			continue
		}
		for _, value := range strings.Fields(set[2]) {
			value = strings.Trim(value, `"'`)
			switch strings.ToLower(set[1]) {
			case "wantedby":
				dirs = append(dirs, path.Join(unitsEtc, value+".wants"))
			case "requiredby":
				dirs = append(dirs, path.Join(unitsEtc, value+".requires"))
			case "also":
				if value == name || visited[value] {
					continue
				}
				visited[value] = true
				more, err := d.links(value, d.find(value), visited)
				if err != nil {
					return nil, err
				}
				links = append(links, more...)
			case "alias":
				if value != name {
					links = append(links, unitLink{path.Join(unitsEtc, value), file})
				}
			case "defaultinstance":
				if at := strings.Index(name, "@."); at >= 0 {
					wanted = name[:at+1] + value + name[at+1:]
				}
			}
		}
	}
	for _, dir := range dirs {
		links = append(links, unitLink{path.Join(dir, wanted), file})
	}
	return links, nil
}

func (d unitHelper) linksOf(unit string) ([]unitLink, error) {
	return d.links(unit, d.find(unit), map[string]bool{})
}

func (d unitHelper) isLink(name string) bool {
	st, err := d.services.files.Lstat(name)
	return err == nil && st.IsSymlink()
}

// entries are the links that were noted of a unit. A fixture has no notes: all that are there count as noted.
func (d unitHelper) entries(unit string) []string {
	text, err := d.services.files.readFile(d.state(unit))
	if err == nil {
		return strings.Fields(string(text))
	}
	if d.services.below != nil {
		return nil
	}
	var links []string
	for _, e := range d.services.files.entries(unitsEtc) {
		if link := path.Join(unitsEtc, e.Name, path.Base(unit)); strings.HasSuffix(e.Name, ".wants") && d.isLink(link) {
			links = append(links, link)
		}
	}
	return links
}

func (d unitHelper) wasEnabled(unit string) (bool, error) {
	return !slices.ContainsFunc(d.entries(unit), func(l string) bool { return !d.isLink(l) }), nil
}

func (d unitHelper) isEnabled(unit string) (bool, error) {
	links, err := d.linksOf(unit)
	return !slices.ContainsFunc(links, func(l unitLink) bool { return !d.isLink(l.at) }), err
}

// enable makes the links once. Where systemd is installed, its presets decide on a unit that is new.
func (d unitHelper) enable(unit string) error {
	links, err := d.linksOf(unit)
	if err != nil {
		return err
	}
	create := true
	if d.services.files.hasProgram("systemctl") || d.services.below == nil && d.services.system.facts.Init == "systemd" {
		create = d.services.files.exists(d.state(unit)) && slices.ContainsFunc(links, func(l unitLink) bool { return d.isLink(l.at) })
		if !d.services.files.exists(d.state(unit)) && d.services.presetEnables(unit) {
			if err := d.preset(unit); err != nil {
				return err
			}
		}
	}
	return d.make(unit, links, create)
}

// preset has systemctl enable a unit.
func (d unitHelper) preset(unit string) error {
	name, isService := strings.CutSuffix(unit, ".service")
	if file := d.services.unitFile(name); isService && file != "" {
		if d.services.isMasked(name) || path.Dir(file) == unitsEtc {
			return nil
		}
		return d.services.enableUnit(name, file)
	}
	links, err := d.linksOf(unit)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := d.link(l); err != nil {
			return err
		}
	}
	return nil
}

func (d unitHelper) link(l unitLink) error {
	if d.isLink(l.at) {
		return nil
	}
	if err := d.services.files.mkdirAll(path.Dir(l.at)); err != nil {
		return err
	}
	return d.services.files.Symlink(l.target, l.at)
}

func (d unitHelper) make(unit string, links []unitLink, create bool) error {
	for _, l := range links {
		if err := d.note(unit, l.at); err != nil {
			return err
		}
		state := noted(l.at, helperEnabled)
		if d.services.files.exists(state) {
			continue
		}
		if create {
			if err := d.link(l); err != nil {
				return err
			}
		}
		if err := d.touch(state); err != nil {
			return err
		}
	}
	return nil
}

func (d unitHelper) touch(name string) error {
	if err := d.services.files.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	if d.services.files.exists(name) {
		return nil
	}
	return d.services.files.writeFile(name, nil, 0o644)
}

func (d unitHelper) note(unit, link string) error {
	entries := d.entries(unit)
	if !slices.Contains(entries, link) {
		entries = append(entries, link)
	}
	return d.writeState(unit, entries)
}

func (d unitHelper) writeState(unit string, entries []string) error {
	if err := d.services.files.mkdirAll(helperEnabled); err != nil {
		return err
	}
	text := ""
	for _, e := range entries {
		text += e + "\n"
	}
	state := d.state(unit)
	if err := d.services.files.Unlink(state); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.services.files.writeFile(state, []byte(text), 0o644)
}

func (d unitHelper) updateState(unit string) error {
	links, err := d.linksOf(unit)
	if err != nil {
		return err
	}
	var entries []string
	for _, l := range links {
		entries = append(entries, l.at)
	}
	return d.writeState(unit, entries)
}

func (d unitHelper) reenable(unit string) error {
	if err := d.removeLinks(unit, false); err != nil {
		return err
	}
	links, err := d.linksOf(unit)
	if err != nil {
		return err
	}
	return d.make(unit, links, true)
}

func (d unitHelper) removeLinks(unit string, purge bool) error {
	entries := d.entries(unit)
	var gone []string
	if purge {
		gone = append(gone, d.state(unit))
	}
	for _, l := range entries {
		if purge || d.isLink(l) {
			gone = append(gone, noted(l, helperEnabled))
		}
		if d.isLink(l) {
			gone = append(gone, l)
		}
	}
	for _, name := range gone {
		if err := d.services.files.Unlink(name); err != nil && !isLeft(err) {
			return err
		}
	}
	text, err := d.services.files.readFile(d.find(unit))
	if err != nil {
		return nil // what it names along with it, the package has to disable itself
	}
	for line := range strings.Lines(string(text)) {
		if set := unitSetting.FindStringSubmatch(strings.TrimSuffix(line, "\n")); set != nil && strings.EqualFold(set[1], "also") {
			if err := d.removeLinks(set[2], purge); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d unitHelper) disable(unit string, purge bool) error {
	if err := d.removeLinks(unit, purge); err != nil {
		return err
	}
	if err := d.removeEmpty(helperEnabled); err != nil {
		return err
	}
	if err := d.removeEmpty("/var/lib/systemd/deb-systemd-user-helper-enabled"); err != nil {
		return err
	}
	for _, dir := range []string{unitsEtc, "/etc/systemd/user"} {
		for _, e := range d.services.files.entries(dir) {
			if err := d.removeEmpty(path.Join(dir, e.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeEmpty removes a directory, and those below, as far as they are empty.
func (d unitHelper) removeEmpty(dir string) error {
	st, err := d.services.files.Stat(dir)
	if err != nil || !st.IsDir() {
		return nil
	}
	for _, e := range d.services.files.entries(dir) {
		if err := d.removeEmpty(path.Join(dir, e.Name)); err != nil {
			return err
		}
	}
	if err := d.services.files.Rmdir(dir); err != nil && !isLeft(err) {
		return err
	}
	return nil
}

func (d unitHelper) mask(unit string) error {
	link := path.Join(unitsEtc, path.Base(d.find(unit)))
	if _, err := d.services.files.Stat(link); err == nil {
		return nil
	}
	if err := d.services.files.mkdirAll(unitsEtc); err != nil {
		return err
	}
	if err := d.services.files.Unlink(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.services.files.Symlink(maskUnit, link); err != nil {
		return err
	}
	return d.touch(noted(link, helperMasked))
}

func (d unitHelper) unmask(unit string) error {
	link := path.Join(unitsEtc, path.Base(d.find(unit)))
	state := noted(link, helperMasked)
	if target, err := d.services.files.Readlink(link); err == nil && target == maskUnit && d.services.files.exists(state) {
		if err := d.services.files.Unlink(link); err != nil {
			return err
		}
		if err := d.services.files.Unlink(state); err != nil {
			return err
		}
	}
	return d.removeEmpty(helperMasked)
}

// systemdInvoke is deb-systemd-invoke(1): what policy-rc.d allows is done. A unit that is not enabled is
// not started.
func (m *machine) systemdInvoke(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "system no-dbus")
	if !ok || len(f.rest) < 1 {
		return notUnderstood()
	}
	action, units := f.rest[0], f.rest[1:]
	if strings.HasPrefix(action, "daemon-re") {
		return done()
	}
	if m.system.facts.Init != "systemd" {
		return failed() // systemctl finds no systemd
	}
	for _, unit := range units {
		name, isService := strings.CutSuffix(unit, ".service")
		if !isService {
			m.leave(action+" of "+unit+" by "+m.p.Name, "of units, a simulation knows services")
			continue
		}
		s, err := m.services.service(name)
		if (action == "start" || action == "restart") && (err != nil || !s.Enabled && !s.Active) {
			continue
		}
		if r, err := m.act(name, action); err != nil || r.Status != (shell.Status{}) {
			return r, err
		}
	}
	return done()
}

// act starts or stops a service as a package wants it.
func (m *machine) act(name, action string) (shell.Result, error) {
	switch allowed, why := m.services.policyAllows(name, action); {
	case !allowed && why == "":
		return done()
	case !allowed:
		m.leave(action+" of "+name+" by "+m.call.script+" of "+m.p.Name, why)
		return done()
	}
	return m.actDirectly(name, action)
}

// actDirectly does so without asking policy-rc.d.
func (m *machine) actDirectly(name, action string) (shell.Result, error) {
	s, err := m.services.service(name)
	if err != nil {
		return ended(5)
	}
	switch action {
	case "stop", "force-stop":
		return m.stop(name)
	case "try-restart", "condrestart":
		if !s.Active {
			return done()
		}
		fallthrough
	case "restart", "start":
		if s.Masked {
			return failed()
		}
		if action != "start" && s.Active {
			if r, err := m.stop(name); err != nil || r.Status.Unknown {
				return r, err
			}
		}
		return byStart(m.services.startService(name))
	case "status", "is-active":
		if s.Active {
			return done()
		}
		return ended(3)
	}
	m.leave(fmt.Sprintf("%s of %s by %s of %s", action, name, m.call.script, m.p.Name), "of what is done to services, a simulation knows start and stop")
	return done()
}

// byStart ends a command by whether a service started.
func byStart(err error) (shell.Result, error) {
	if err != nil && !errors.Is(err, errUnmet) {
		return failed()
	}
	return done()
}

func (m *machine) stop(name string) (shell.Result, error) {
	if s := m.services.known[name]; s != nil && s.active && s.stubborn {
		return unanswered()
	}
	m.services.stopService(name)
	return done()
}

// initScript is a script of System V init that is called directly.
func (m *machine) initScript(name, action string) (shell.Result, error) {
	if !m.services.isInitScript(name) {
		if m.system.implied || m.unlisted() {
			return unknown("whether this init script is there is not known")
		}
		return ended(127)
	}
	return m.actDirectly(m.services.scriptService(name), action)
}

func (m *machine) serviceCommand(c shell.Command) (shell.Result, error) {
	if len(c.Args) != 3 {
		return notUnderstood()
	}
	if _, err := m.services.service(c.Args[1]); err != nil {
		return failed()
	}
	return m.actDirectly(c.Args[1], c.Args[2])
}

func (m *machine) systemctl(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "system q|quiet no-reload no-block no-ask-password")
	if !ok || len(f.rest) == 0 {
		return notUnderstood()
	}
	switch action := f.rest[0]; action {
	case "daemon-reload", "daemon-reexec":
		if m.system.facts.Init != "systemd" {
			return failed()
		}
		return done()
	case "is-active", "is-enabled", "is-failed", "is-system-running", "show", "status", "cat", "list-units", "list-unit-files":
		return unanswered()
	case "start", "stop", "restart", "try-restart":
		if m.system.facts.Init != "systemd" {
			return failed()
		}
		for _, unit := range f.rest[1:] {
			if r, err := m.actDirectly(strings.TrimSuffix(unit, ".service"), action); err != nil || r.Status != (shell.Status{}) {
				return r, err
			}
		}
		return done()
	}
	return notUnderstood()
}

// invokeRC is invoke-rc.d(8).
func (m *machine) invokeRC(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "quiet force try-anyway disclose-deny no-fallback skip-systemd-native")
	if !ok || len(f.rest) < 2 || f.on["force"] || f.on["disclose-deny"] {
		return notUnderstood()
	}
	script, action := f.rest[0], f.rest[1]
	name := script
	starts := action == "start" || action == "restart" || action == "try-restart"
	if m.system.facts.Init == "systemd" {
		name = strings.TrimSuffix(script, ".sh")
		if f.on["skip-systemd-native"] && m.services.unitFile(name) != "" {
			return done()
		}
		s, err := m.services.service(name)
		if starts && (err != nil || !s.Enabled && !s.Active && !m.services.sysvEnabled(script)) {
			return done()
		}
		if err != nil {
			return ended(100)
		}
		return m.act(name, action)
	}
	if !m.services.isInitScript(script) {
		return ended(100)
	}
	if starts && !m.inRunlevel(script) {
		return done()
	}
	return m.act(name, action)
}

// inRunlevel reports whether the present runlevel starts a script. Where no runlevel is noted, none does.
func (m *machine) inRunlevel(script string) bool {
	if m.below != nil && !m.files.exists("/run/utmp") && !m.files.exists("/var/run/utmp") {
		return false
	}
	return m.services.sysvEnabled(script)
}

// updateRC is update-rc.d(8).
func (m *machine) updateRC(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f")
	if !ok || len(f.rest) < 2 {
		return notUnderstood()
	}
	name, action := f.rest[0], f.rest[1]
	script := "/etc/init.d/" + name
	if m.services.hasInsserv() {
		m.services.unpredictOrder()
	}
	st, err := m.files.Stat(script)
	there := err == nil && st.IsRegular()
	links := m.services.rcLinks(name)
	switch action {
	case "remove":
		return byErrno(m.services.removeRCLinks(name))
	case "defaults", "start", "stop":
		if !there {
			return failed()
		}
		if len(links) > 0 { // however few they are, and disabled stays disabled
			return byErrno(nil)
		}
		return byErrno(m.services.sysvLinks(name, true))
	case "defaults-disabled":
		if !there || len(links) > 0 {
			return byErrno(nil)
		}
		if err := m.services.sysvLinks(name, true); err != nil {
			return byErrno(err)
		}
		return byErrno(m.services.sysvLinks(name, false))
	case "disable", "enable":
		if !slices.ContainsFunc(links, couldStart) { // it has none to turn
			return failed()
		}
		if err := m.services.sysvLinks(name, action == "enable"); err != nil {
			return byErrno(err)
		}
		return done()
	}
	return notUnderstood()
}

// declare is systemd-tmpfiles(8) --create or systemd-sysusers(8) with the files of a package.
func (m *machine) declare(c shell.Command) (shell.Result, error) {
	program := path.Base(c.Args[0])
	f, ok := parseFlags(c.Args[1:], "create")
	if !ok || len(f.rest) == 0 || f.on["create"] != (program == "systemd-tmpfiles") {
		return notUnderstood()
	}
	for _, name := range f.rest {
		file := m.declarationFile(program, name)
		if file == "" {
			return failed()
		}
		t, err := m.ReadFile(file)
		if err != nil || t.Unknown {
			return unknown("the content of " + file + " is not known")
		}
		for _, d := range parseDeclarations(program, host.PackedFile{Path: file, Content: []byte(t.S)}) {
			done, err := m.carryOut(d)
			if err != nil {
				return byErrno(err)
			}
			if !done {
				m.unpredictDeclaration(m.p, d)
			}
		}
	}
	return done()
}

func (m *machine) declarationFile(program, name string) string {
	if path.IsAbs(name) {
		return name
	}
	kind := strings.TrimPrefix(program, "systemd-") + ".d"
	for _, dir := range []string{"/etc/", "/run/", "/usr/local/lib/", "/usr/lib/", "/lib/"} {
		if file := dir + kind + "/" + name; m.files.exists(file) {
			return file
		}
	}
	return ""
}
