package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// service is what the file system does not show of a service.
type service struct {
	active   bool
	failed   bool
	stubborn bool   // it does not stop
	mute     bool   // it accepts connections and never answers
	dies     bool   // it ends as soon as it was started
	upgrades bool   // it works on its database, under its lock, for ever
	found    bool   // it ran at the start, and has run since
	exe      string // of its process; empty for what the unit file or init script says
	user     string // that it runs as; empty for what the unit file says
	pids     []int
}

// unitDirs are searched in this order, as systemd does.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"}

const (
	wantsGlob = "/etc/systemd/system/*.wants"
	maskUnit  = "/dev/null"
)

// runlevels are those in which update-rc.d defaults starts a service, then those in which it stops it.
var runlevels = []string{"2", "3", "4", "5", "0", "1", "6"}

// Services lists the services that unit files, init scripts or running processes tell of.
func (h *Host) Services(pattern string) ([]host.Service, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("service pattern %q: %w", pattern, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []host.Service
	for _, name := range h.serviceNames() {
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		s, err := h.service(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (h *Host) serviceNames() []string {
	names := map[string]bool{}
	if h.facts.Init == "systemd" {
		for _, dir := range unitDirs {
			for _, e := range h.entries(dir) {
				if name, ok := strings.CutSuffix(e.Name, ".service"); ok && !strings.HasSuffix(name, "@") && !h.isAlias(name) {
					names[name] = true
				}
			}
		}
		for _, name := range h.enabledInstances() {
			names[name] = true
		}
	}
	for _, e := range h.entries("/etc/init.d") {
		if name := h.scriptService(e.Name); name != "" && !h.isAlias(name) {
			names[name] = true
		}
	}
	for name, s := range h.services {
		if s.active && h.facts.Init == "systemd" {
			names[name] = true
		}
	}
	return sortedKeys(names)
}

// scriptService is the service that an init script is; empty for what is no init script. systemd's
// generator drops the ending .sh.
func (h *Host) scriptService(script string) string {
	if !h.isInitScript(script) {
		return ""
	}
	if h.facts.Init == "systemd" {
		return strings.TrimSuffix(script, ".sh")
	}
	return script
}

// initScript is the path of a service's init script; empty if it has none.
func (h *Host) initScript(name string) string {
	for _, script := range []string{name, name + ".sh"} {
		if h.scriptService(script) == name {
			return "/etc/init.d/" + script
		}
	}
	return ""
}

// isAlias tells whether a unit is only another name of one. Of one that is masked systemd does not
// know that any more: the alias then counts as a masked service of its own.
func (h *Host) isAlias(name string) bool {
	unit := h.unitFile(name)
	if unit == "" {
		return false
	}
	target, err := h.Readlink(unit)
	if err != nil || !strings.HasSuffix(target, ".service") {
		return false
	}
	other := strings.TrimSuffix(path.Base(target), ".service")
	return other != name && !strings.HasSuffix(other, "@") && !h.isMasked(other)
}

// isMasked follows aliases.
func (h *Host) isMasked(name string) bool {
	for range 8 {
		unit := h.unitFile(name)
		if unit == "" {
			return false
		}
		target, err := h.Readlink(unit)
		switch {
		case err != nil:
			return false
		case target == maskUnit:
			return true
		}
		name = strings.TrimSuffix(path.Base(target), ".service")
	}
	return false
}

// enabledInstances are the instances of templates (name@instance) that are started at boot.
func (h *Host) enabledInstances() []string {
	var names []string
	for _, e := range h.entries("/etc/systemd/system") {
		if !isWantsDir(e.Name) {
			continue
		}
		for _, link := range h.entries(path.Join("/etc/systemd/system", e.Name)) {
			name, ok := strings.CutSuffix(link.Name, ".service")
			if ok && strings.Contains(name, "@") && !strings.HasSuffix(name, "@") && h.unitFile(name) != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func isWantsDir(name string) bool {
	return strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires")
}

func (h *Host) entries(dir string) []host.DirEntry {
	list, err := h.ReadDir(dir)
	if err != nil {
		return nil
	}
	return list
}

func (h *Host) isInitScript(name string) bool {
	switch name {
	case "README", "skeleton", "rc", "rcS", "halt", "reboot", "single":
		return false
	}
	if strings.Contains(name, ".dpkg-") || strings.HasSuffix(name, ".rpmsave") || strings.HasSuffix(name, ".rpmnew") || strings.HasSuffix(name, ".rpmorig") {
		return false
	}
	st, err := h.Stat("/etc/init.d/" + name)
	return err == nil && st.IsRegular() && st.Mode&0o111 != 0
}

// unitFile is the path of a service's unit file, or of its template's; empty if it has none.
func (h *Host) unitFile(name string) string {
	if h.facts.Init != "systemd" {
		return ""
	}
	names := []string{name}
	if template, _, found := strings.Cut(name, "@"); found {
		names = append(names, template+"@")
	}
	for _, name := range names {
		for _, dir := range unitDirs {
			file := path.Join(dir, name+".service")
			if _, err := h.Lstat(file); err == nil {
				return file
			}
		}
	}
	return ""
}

var errNoService = errors.New("no such service")

func (h *Host) service(name string) (host.Service, error) {
	s := host.Service{Name: name, Kind: "sysv"}
	unit := h.unitFile(name)
	if unit != "" {
		s.Kind = "systemd"
	}
	state := h.services[name]
	if unit == "" && h.initScript(name) == "" && (state == nil || !state.active) {
		return s, fmt.Errorf("%s: %w", name, errNoService)
	}
	if state != nil {
		s.Active, s.Failed = state.active, state.failed
		if len(state.pids) > 0 {
			s.PID = state.pids[0]
		}
	}
	if unit == "" {
		s.Enabled = h.sysvEnabled(path.Base(h.initScript(name)))
		return s, nil
	}
	if h.isMasked(name) {
		s.Masked = true
		return s, nil
	}
	s.Enabled = len(h.wantLinks(name)) > 0
	return s, nil
}

// wantLinks are the symlinks that make systemd start a service, or know it by another name.
func (h *Host) wantLinks(name string) []string {
	const etc = "/etc/systemd/system"
	unit := name + ".service"
	var links []string
	for _, e := range h.entries(etc) {
		link := path.Join(etc, e.Name)
		if isWantsDir(e.Name) {
			if link = path.Join(link, unit); h.exists(link) {
				links = append(links, link)
			}
			continue
		}
		if target, err := h.Readlink(link); err == nil && e.Name != unit && path.Base(target) == unit {
			links = append(links, link)
		}
	}
	return links
}

func (h *Host) exists(name string) bool {
	_, err := h.Lstat(name)
	return err == nil
}

// sysvEnabled tells whether one of the runlevels 2 to 5 starts an init script.
func (h *Host) sysvEnabled(name string) bool {
	return slices.ContainsFunc(h.rcLinks(name), func(l string) bool {
		return path.Base(l)[0] == 'S' && strings.Contains("2345", l[len("/etc/rc"):len("/etc/rcN")])
	})
}

// rcLinks are the links of an init script in the directories of the runlevels.
func (h *Host) rcLinks(name string) []string {
	var links []string
	for _, level := range append([]string{"S"}, runlevels...) {
		dir := "/etc/rc" + level + ".d"
		for _, e := range h.entries(dir) {
			if len(e.Name) > 3 && e.Name[3:] == name && (e.Name[0] == 'S' || e.Name[0] == 'K') {
				links = append(links, path.Join(dir, e.Name))
			}
		}
	}
	return links
}

// Processes lists the simulated processes.
func (h *Host) Processes() ([]host.Process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Clone(h.processes)
	slices.SortFunc(list, func(a, b host.Process) int { return a.PID - b.PID })
	return list, nil
}

// StartService starts a service that can start: it has a unit file or init script, is not masked,
// and its program is there. What the program then does is not simulated.
func (h *Host) StartService(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	return h.startService(name)
}

func (h *Host) startService(name string) error {
	s, err := h.service(name)
	if err != nil {
		return err
	}
	if s.Masked {
		return fmt.Errorf("start %s: unit %s.service is masked", name, name)
	}
	if s.Active {
		return nil
	}
	state := h.services[name]
	if state == nil {
		state = &service{}
		h.services[name] = state
	}
	exe, user := h.program(name, state)
	if exe != "" {
		if st, err := h.Stat(exe); err != nil || !st.IsRegular() || st.Mode&0o111 == 0 {
			state.failed = true
			return fmt.Errorf("start %s: its program %s is not there or cannot be executed", name, exe)
		}
		if _, _, err := h.ownerIDs(user, ""); errors.Is(err, host.ErrNoAccount) {
			state.failed = true
			return fmt.Errorf("start %s: there is no user %s for it to run as", name, user)
		}
		h.lastPID++
		p := host.Process{PID: h.lastPID, Name: path.Base(exe), Exe: exe, User: user, Started: h.clock.Now()}
		if u, err := h.User(user); err == nil {
			p.UID = u.UID
		}
		h.processes = append(h.processes, p)
		state.pids = []int{p.PID}
	}
	state.active, state.failed = true, false
	h.unpredict(host.Unpredicted{
		What:  "what " + name + " does when it starts",
		Why:   "a simulation runs no programs: whether it comes up and how long that takes, files that it makes, changes to its database and ports are not seen",
		Check: "the start itself, which waits until the service answers where that is asked for, and the verification after it",
	})
	if state.dies {
		h.stopService(name)
		state.failed = true
	}
	return nil
}

// program finds a service's program, and the user that its unit names or that its daemon becomes. What
// a fixture says of them wins.
func (h *Host) program(name string, state *service) (exe, user string) {
	unit := h.unitFile(name)
	file := unit
	if unit == "" {
		file = h.initScript(name)
	}
	exe, user = h.declaredProgram(file, unit != "")
	return cmp.Or(state.exe, exe), cmp.Or(state.user, user, h.runAs(file), "root")
}

// declaredProgram is what a unit file or init script says.
func (h *Host) declaredProgram(file string, unit bool) (exe, user string) {
	text, err := h.readFile(file)
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch key = strings.TrimSpace(key); {
		case !ok || value == "":
		case unit && key == "User":
			user = value
		case unit && key == "ExecStart", !unit && key == "DAEMON":
			word, _, _ := strings.Cut(strings.TrimLeft(value, "-@+!:"), " ")
			if path.IsAbs(word) && exe == "" {
				exe = word
			}
		}
	}
	return exe, user
}

// runAs is the user that a package's daemons become, for the package that owns a unit or init script.
func (h *Host) runAs(file string) string {
	for _, owner := range h.owners[file] {
		if p := h.packages[owner]; p != nil && p.RunAs != "" {
			return p.RunAs
		}
	}
	return ""
}

// StopService stops a service with all its processes. One that is not there is stopped; but a process
// of its name that somebody started by hand is nothing that the init system ends.
func (h *Host) StopService(ctx context.Context, name string, patience time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	s, err := h.service(name)
	if err != nil && !errors.Is(err, errNoService) {
		return err
	}
	state := h.services[name]
	byScript := err == nil && s.Kind == "sysv" && h.facts.Init == "sysv" // which ends what bears its name
	if state != nil && state.active && state.stubborn || !s.Active && !byScript {
		if left := h.processesOf(name, state); len(left) > 0 || s.Active {
			return host.StillRunning(name, patience, left)
		}
	}
	if err == nil && s.Active { // one that has failed stays so
		h.stopService(name)
	}
	if byScript {
		h.processes = slices.DeleteFunc(h.processes, func(p host.Process) bool { return p.Name == name })
	}
	return nil
}

// processesOf are a service's processes, and others of its name.
func (h *Host) processesOf(name string, state *service) []host.Process {
	var found []host.Process
	for _, p := range h.processes {
		if p.Name == name || state != nil && slices.Contains(state.pids, p.PID) {
			found = append(found, p)
		}
	}
	return found
}

func (h *Host) stopService(name string) {
	s := h.services[name]
	if s == nil {
		return
	}
	h.processes = slices.DeleteFunc(h.processes, func(p host.Process) bool { return slices.Contains(s.pids, p.PID) || s.active && p.Name == name })
	s.active, s.failed, s.found, s.pids = false, false, false, nil
}

// EnableService does what systemctl enable, or update-rc.d enable, does to the links in /etc.
func (h *Host) EnableService(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.service(name)
	if err != nil {
		return err
	}
	if s.Masked {
		return fmt.Errorf("enable %s: unit %s.service is masked", name, name)
	}
	return h.enable(name)
}

func (h *Host) enable(name string) error {
	if script := h.initScript(name); script != "" { // systemctl keeps the links of a script beside a unit in step
		if err := h.sysvLinks(path.Base(script), true); err != nil {
			return err
		}
	}
	unit := h.unitFile(name)
	if unit == "" {
		return nil
	}
	return h.enableUnit(name, unit)
}

// enableUnit makes the links that a unit's section [Install] asks for, and those of the units that it
// names there.
func (h *Host) enableUnit(name, unit string) error {
	for _, also := range h.alsoEnabled(name, unit) {
		if h.unitFile(also) == "" {
			h.unpredict(host.Unpredicted{What: "whether " + name + " can be enabled", Why: "it is enabled together with " + also + ", which has no unit; versions of systemd differ in what they make of that"})
		}
	}
	for _, name := range append(h.alsoEnabled(name, unit), name) {
		unit := h.unitFile(name)
		for _, link := range h.installSection(name, unit).links {
			if err := h.mkdirAll(path.Dir(link)); err != nil {
				return err
			}
			err := h.Symlink(unit, link)
			if target, _ := h.Readlink(link); errors.Is(err, fs.ErrExist) && path.Base(target) == path.Base(unit) {
				continue
			}
			if err != nil {
				return fmt.Errorf("enable %s: %w", name, err)
			}
		}
	}
	return nil
}

// alsoEnabled are the units that are enabled and disabled together with one.
func (h *Host) alsoEnabled(name, unit string) []string {
	var names []string
	var visit func(name, unit string)
	visit = func(name, unit string) {
		for _, other := range h.installSection(name, unit).also {
			if !slices.Contains(names, other) {
				names = append(names, other)
				visit(other, h.unitFile(other))
			}
		}
	}
	visit(name, unit)
	return slices.DeleteFunc(names, func(other string) bool { return other == name })
}

// installation is what a unit's section [Install] asks for.
type installation struct {
	links []string // symlinks to the unit
	also  []string // other services
}

func (h *Host) installSection(name, unit string) installation {
	const etc = "/etc/systemd/system"
	var in installation
	text, err := h.readFile(unit)
	if errors.Is(err, fs.ErrNotExist) {
		return in
	}
	if err != nil {
		h.unpredict(host.Unpredicted{What: "where " + path.Base(unit) + " is enabled", Why: "the content of " + unit + " is not known; multi-user.target is taken", Path: wantsGlob})
		in.links = []string{path.Join(etc, "multi-user.target.wants", name+".service")}
		return in
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, _ := strings.Cut(line, "=")
		if section != "[Install]" {
			continue
		}
		for _, word := range strings.Fields(value) {
			switch strings.TrimSpace(key) {
			case "WantedBy":
				in.links = append(in.links, path.Join(etc, word+".wants", name+".service"))
			case "RequiredBy":
				in.links = append(in.links, path.Join(etc, word+".requires", name+".service"))
			case "Alias":
				in.links = append(in.links, path.Join(etc, word))
			case "Also":
				if other, ok := strings.CutSuffix(word, ".service"); ok {
					in.also = append(in.also, other)
				}
			}
		}
	}
	return in
}

// sysvLinks makes the links of update-rc.d, or turns the start links into stop links and back. The
// numbers that insserv works out from the dependencies of all scripts are not known.
func (h *Host) sysvLinks(name string, on bool) error {
	links := h.rcLinks(name)
	if len(links) == 0 {
		if !on {
			return nil
		}
		return h.makeRCLinks(name)
	}
	for _, link := range links {
		dir, base := path.Split(link)
		level := strings.TrimSuffix(strings.TrimPrefix(path.Base(dir), "rc"), ".d")
		if !strings.Contains("2345", level) {
			continue
		}
		want := "S" + base[1:]
		if !on {
			want = "K" + base[1:]
		}
		if base != want {
			if h.hasInsserv() {
				h.unpredictOrder()
			}
			if err := h.Rename(link, path.Join(dir, want)); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeRCLinks makes links for the runlevels that an init script names.
func (h *Host) makeRCLinks(name string) error {
	start, stop := "S01", "K01"
	if h.hasInsserv() {
		start, stop = "S20", "K20"
		h.unpredictOrder()
	}
	starts, stops := h.runlevelsOf(name)
	for prefix, levels := range map[string][]string{start: starts, stop: stops} {
		for _, level := range levels {
			dir := "/etc/rc" + level + ".d"
			if err := h.mkdirAll(dir); err != nil {
				return err
			}
			if err := h.Symlink("../init.d/"+name, path.Join(dir, prefix+name)); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// unpredictOrder tells of what insserv(8) writes when the links of an init script change.
func (h *Host) unpredictOrder() {
	const why = "insserv works them out from all init scripts"
	h.unpredict(host.Unpredicted{What: "sequence numbers of runlevel links", Why: why, Path: "/etc/rc?.d/[SK][0-9][0-9]*"})
	if _, err := h.Lstat("/etc/init.d/.depend.start"); err == nil {
		h.unpredict(host.Unpredicted{What: "dependencies of the init scripts", Why: why, Path: "/etc/init.d/.depend.*", Aspect: "content"})
	}
}

// DisableService takes the links away that EnableService makes.
func (h *Host) DisableService(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.service(name); err != nil {
		return err
	}
	return h.disable(name)
}

func (h *Host) disable(name string) error {
	if script := h.initScript(name); script != "" {
		if err := h.sysvLinks(path.Base(script), false); err != nil {
			return err
		}
	}
	for _, other := range append(h.alsoEnabled(name, h.unitFile(name)), name) {
		if err := h.unlinkWants(other); err != nil {
			return err
		}
	}
	return nil
}

// unlinkWants takes the links away that make systemd start a service, and directories that are empty
// then, as systemctl and deb-systemd-helper do.
func (h *Host) unlinkWants(name string) error {
	for _, link := range h.wantLinks(name) {
		if err := h.Unlink(link); err != nil {
			return err
		}
		if !isWantsDir(path.Dir(link)) {
			continue
		}
		if _, err := h.removePath(path.Dir(link)); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) unlinkAll(names []string) error {
	for _, name := range names {
		if err := h.Unlink(name); err != nil {
			return err
		}
	}
	return nil
}

// enableByPackage is what a package's postinst does with update-rc.d and deb-systemd-helper, or with chkconfig
// and systemctl.
func (h *Host) enableByPackage(name string) error {
	if h.isInitScript(name) && len(h.rcLinks(name)) == 0 {
		if err := h.sysvLinks(name, true); err != nil {
			return err
		}
	}
	if h.format() == RPM {
		unit := h.unitFile(name)
		if unit == "" || path.Dir(unit) == unitsEtc {
			return nil
		}
		return h.enableUnit(name, unit)
	}
	d, unit := unitHelper{h}, name+".service"
	if !h.exists(d.find(unit)) {
		return nil
	}
	if err := d.unmask(unit); err != nil {
		return err
	}
	if was, _ := d.wasEnabled(unit); was {
		return d.enable(unit)
	}
	return d.updateState(unit)
}

// disableByPackage is what a package's postrm does at purge.
func (h *Host) disableByPackage(name string) error {
	if err := h.unlinkWants(name); err != nil {
		return err
	}
	if h.format() != RPM {
		d, unit := unitHelper{h}, name+".service"
		if err := d.disable(unit, true); err != nil {
			return err
		}
		if err := d.unmask(unit); err != nil {
			return err
		}
	}
	if _, err := h.Lstat("/etc/init.d/" + name); err == nil {
		return nil
	}
	return h.removeRCLinks(name)
}

// MaskService and UnmaskService link the unit to /dev/null in /etc, and take the link away.
func (h *Host) MaskService(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.facts.Init != "systemd" {
		return fmt.Errorf("mask %s: %w", name, host.ErrUnsupported)
	}
	file := "/etc/systemd/system/" + name + ".service"
	if target, err := h.Readlink(file); err == nil && target == maskUnit {
		return nil
	}
	if _, err := h.Lstat(file); err == nil {
		return fmt.Errorf("mask %s: %s exists", name, file)
	}
	return h.Symlink(maskUnit, file)
}

func (h *Host) UnmaskService(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.facts.Init != "systemd" {
		return fmt.Errorf("unmask %s: %w", name, host.ErrUnsupported)
	}
	file := "/etc/systemd/system/" + name + ".service"
	if target, err := h.Readlink(file); err != nil || target != maskUnit {
		return nil
	}
	return h.Unlink(file)
}

// ReloadService has nothing to do but to see that the service runs.
func (h *Host) ReloadService(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	s, err := h.service(name)
	if err == nil && !s.Active {
		err = fmt.Errorf("reload of service %s: it does not run", name)
	}
	if err != nil {
		return err
	}
	h.unpredict(host.Unpredicted{
		What:  "what " + name + " does with its configuration when it reads it again",
		Why:   "a simulation runs no programs",
		Check: "the log of " + name,
	})
	return nil
}

// KillService ends a service and its processes, whatever they are at.
func (h *Host) KillService(ctx context.Context, name string, locks []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	h.stopService(name)
	h.processes = slices.DeleteFunc(h.processes, func(p host.Process) bool { return p.Name == name })
	for _, lock := range locks {
		if err := h.Unlink(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReloadServices has nothing to do: unit files are read when they are asked for.
func (h *Host) ReloadServices() error { return nil }
