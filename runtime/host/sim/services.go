package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
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
	seen     bool   // it was started here, by a unit or init script; others may have one where no simulation looks
	erased   bool   // systemd has read its units again, and does not list it without one
	exe      string // of its process; empty for what the unit file or init script says
	user     string // that it runs as; empty for what the unit file says
	pids     []int
}

// services are those of the init system, and the processes.
type services struct {
	mu       *sync.Mutex
	files    *files
	gaps     *gaps
	clock    *clock
	system   *system
	accounts *accountFiles
	db       *packageDB // whose services become which user
	below    host.View
	command  func(args []string) (shell.Result, error) // carries out what units do before a start

	known     map[string]*service
	processes []host.Process
	listeners []host.Listener // of the start; those whose process has ended are gone
	lastPID   int
}

func newServices(below host.View) *services {
	return &services{below: below, known: map[string]*service{}, lastPID: 1000}
}

const (
	wantsGlob = "/etc/systemd/system/*.wants"
	maskUnit  = "/dev/null"
)

// Services lists the services that unit files, init scripts or running processes show.
func (sv *services) Services(pattern string) ([]host.Service, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("service pattern %q: %w", pattern, err)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	var list []host.Service
	for _, name := range sv.serviceNames() {
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		s, err := sv.service(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (sv *services) serviceNames() []string {
	names := map[string]bool{}
	if sv.system.facts.Init == "systemd" {
		for _, dir := range unitDirs {
			for _, e := range sv.files.entries(dir) {
				if name, ok := strings.CutSuffix(e.Name, ".service"); ok && !strings.HasSuffix(name, "@") && !sv.isAlias(name) {
					names[name] = true
				}
			}
		}
		for _, name := range sv.enabledInstances() {
			names[name] = true
		}
	}
	for _, e := range sv.files.entries("/etc/init.d") {
		if name := sv.scriptService(e.Name); name != "" && !sv.isAlias(name) {
			names[name] = true
		}
	}
	for name, s := range sv.known {
		if s.active && !s.erased && sv.system.facts.Init == "systemd" {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

var errNoService = errors.New("no such service")

func (sv *services) service(name string) (host.Service, error) {
	s := host.Service{Name: name, Kind: "sysv"}
	unit := sv.unitFile(name)
	if unit != "" {
		s.Kind = "systemd"
	}
	state := sv.known[name]
	if unit == "" && sv.initScript(name) == "" && (state == nil || !state.active || state.erased) {
		return s, fmt.Errorf("%s: %w", name, errNoService)
	}
	if state != nil {
		s.Active, s.Failed = state.active, state.failed
		if len(state.pids) > 0 {
			s.PID = state.pids[0]
		}
	}
	if unit == "" {
		s.Enabled = sv.sysvEnabled(path.Base(sv.initScript(name)))
		return s, nil
	}
	if sv.isMasked(name) {
		s.Masked = true
		return s, nil
	}
	s.Enabled = len(sv.wantLinks(name)) > 0
	return s, nil
}

// Processes lists the simulated processes.
func (sv *services) Processes() ([]host.Process, error) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	list := slices.Clone(sv.processes)
	slices.SortFunc(list, func(a, b host.Process) int { return a.PID - b.PID })
	return list, nil
}

// Listeners are those that were there at the start, of processes that still run. Where a service listens that the
// simulation has started is not simulated.
func (sv *services) Listeners() ([]host.Listener, error) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(sv.listeners), func(l host.Listener) bool {
		return l.PID != 0 && !slices.ContainsFunc(sv.processes, func(p host.Process) bool { return p.PID == l.PID })
	}), nil
}

// StartService starts a service that can start: it has a unit file or init script, is not masked,
// and its program is there. What the program then does is not simulated.
func (sv *services) StartService(ctx context.Context, name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	return sv.startService(name)
}

func (sv *services) startService(name string) error {
	s, err := sv.service(name)
	if err != nil {
		return err
	}
	if s.Masked {
		return fmt.Errorf("start %s: unit %s.service is masked", name, name)
	}
	if s.Active {
		return nil
	}
	if unmet := sv.unmet(name); unmet != "" {
		return fmt.Errorf("start %s: %w: ConditionPathExists=%s", name, errUnmet, unmet)
	}
	state := sv.known[name]
	if state == nil {
		state = &service{}
		sv.known[name] = state
	}
	state.seen = sv.unitFile(name) != "" || sv.initScript(name) != ""
	exe, user := sv.program(name, state)
	if exe != "" {
		if st, err := sv.files.Stat(exe); err != nil || !st.IsRegular() || st.Mode&0o111 == 0 {
			state.failed = true
			return fmt.Errorf("start %s: its program %s is not there or cannot be executed", name, exe)
		}
		if _, _, err := sv.accounts.ownerIDs(user, ""); errors.Is(err, host.ErrNoAccount) {
			state.failed = true
			return fmt.Errorf("start %s: there is no user %s for it to run as", name, user)
		}
		if err := sv.prepare(name); err != nil {
			state.failed = true
			return err
		}
		sv.lastPID++
		p := host.Process{PID: sv.lastPID, Name: path.Base(exe), Exe: exe, User: user, Started: sv.clock.Now()}
		if u, err := sv.accounts.User(user); err == nil {
			p.UID = u.UID
		}
		sv.processes = append(sv.processes, p)
		state.pids = []int{p.PID}
	}
	state.active, state.failed = true, false
	sv.gaps.add(host.Unpredicted{
		What:  "what " + name + " does when it starts",
		Why:   "a simulation runs no programs: whether it comes up and how long that takes, files that it makes, changes to its database and ports are not seen",
		Check: "the start itself, which waits until the service answers where that is asked for, and the verification after it",
	})
	if state.dies {
		sv.stopService(name)
		state.failed = true
	}
	return nil
}

// program finds a service's program, and the user that its unit names or that its daemon becomes. What
// a fixture says of them wins.
func (sv *services) program(name string, state *service) (exe, user string) {
	unit := sv.unitFile(name)
	file := unit
	if unit == "" {
		file = sv.initScript(name)
	}
	exe, user = sv.declaredProgram(file, unit != "")
	return cmp.Or(state.exe, exe), cmp.Or(state.user, user, sv.db.runAs(file), "root")
}

// declaredProgram is what a unit file or init script says.
func (sv *services) declaredProgram(file string, unit bool) (exe, user string) {
	text, err := sv.files.readFile(file)
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

// StopService stops a service with all its processes. One that is not there is stopped; but a process
// of its name that somebody started by hand is nothing that the init system ends.
func (sv *services) StopService(ctx context.Context, name string, patience time.Duration) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	s, err := sv.service(name)
	if err != nil && !errors.Is(err, errNoService) {
		return err
	}
	state := sv.known[name]
	if state != nil && state.erased {
		s.Active = state.active
	}
	byScript := err == nil && s.Kind == "sysv" && sv.system.facts.Init == "sysv" // which ends what bears its name
	if state != nil && state.active && state.stubborn || !s.Active && !byScript {
		if left := sv.processesOf(name, state); len(left) > 0 || s.Active {
			return host.StillRunning(name, patience, left)
		}
	}
	if s.Active { // one that has failed stays so
		sv.stopService(name)
	}
	if byScript {
		sv.processes = slices.DeleteFunc(sv.processes, func(p host.Process) bool { return p.Name == name })
	}
	return nil
}

// processesOf are a service's processes, and others of its name.
func (sv *services) processesOf(name string, state *service) []host.Process {
	var found []host.Process
	for _, p := range sv.processes {
		if p.Name == name || state != nil && slices.Contains(state.pids, p.PID) {
			found = append(found, p)
		}
	}
	return found
}

func (sv *services) stopService(name string) {
	s := sv.known[name]
	if s == nil {
		return
	}
	sv.processes = slices.DeleteFunc(sv.processes, func(p host.Process) bool { return slices.Contains(s.pids, p.PID) || s.active && p.Name == name })
	s.active, s.failed, s.found, s.pids = false, false, false, nil
}

// EnableService does what systemctl enable, or update-rc.d enable, does to the links in /etc.
func (sv *services) EnableService(name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	s, err := sv.service(name)
	if err != nil {
		return err
	}
	if s.Masked {
		return fmt.Errorf("enable %s: unit %s.service is masked", name, name)
	}
	return sv.enable(name)
}

func (sv *services) enable(name string) error {
	if script := sv.initScript(name); script != "" { // systemctl keeps the links of a script beside a unit in step
		if err := sv.toggleScript(path.Base(script), true); err != nil {
			return err
		}
	}
	unit := sv.unitFile(name)
	if unit == "" {
		return nil
	}
	return sv.enableUnit(name, unit)
}

// DisableService takes the links away that EnableService makes.
func (sv *services) DisableService(name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if _, err := sv.service(name); err != nil {
		return err
	}
	return sv.disable(name)
}

func (sv *services) disable(name string) error {
	if script := sv.initScript(name); script != "" {
		if err := sv.toggleScript(path.Base(script), false); err != nil {
			return err
		}
	}
	for _, other := range append(sv.alsoEnabled(name, sv.unitFile(name)), name) {
		if err := sv.unlinkWants(other); err != nil {
			return err
		}
	}
	return nil
}

// ReloadService has nothing to do but to see that the service runs.
func (sv *services) ReloadService(ctx context.Context, name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	s, err := sv.service(name)
	if err == nil && !s.Active {
		err = fmt.Errorf("reload of service %s: it does not run", name)
	}
	if err != nil {
		return err
	}
	sv.gaps.add(host.Unpredicted{
		What:  "what " + name + " does with its configuration when it reads it again",
		Why:   "a simulation runs no programs",
		Check: "the log of " + name,
	})
	return nil
}

// KillService ends a service and its processes, whatever they are at.
func (sv *services) KillService(ctx context.Context, name string, locks []string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if err := cmp.Or(ctx.Err(), host.CheckServiceName(name)); err != nil {
		return err
	}
	sv.stopService(name)
	sv.processes = slices.DeleteFunc(sv.processes, func(p host.Process) bool { return p.Name == name })
	for _, lock := range locks {
		if err := sv.files.Unlink(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReloadServices has systemd forget units that are gone. What runs of one it can still stop.
func (sv *services) ReloadServices() error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for name, s := range sv.known {
		s.erased = s.seen && sv.system.facts.Init == "systemd" && sv.unitFile(name) == "" && sv.initScript(name) == ""
	}
	return nil
}

// policyAllows answers as invoke-rc.d(8) would with the host's /usr/sbin/policy-rc.d: a script that
// is nothing but an exit of 101 forbids. Of any other script the answer is not known, and the
// action is not carried out; why then says so.
func (sv *services) policyAllows(service, action string) (allowed bool, why string) {
	const policy = "/usr/sbin/policy-rc.d"
	text, err := sv.files.readFile(policy)
	if errors.Is(err, fs.ErrNotExist) {
		return true, ""
	}
	if err != nil {
		return false, policy + " cannot be read: " + err.Error()
	}
	var commands []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			commands = append(commands, line)
		}
	}
	if len(commands) == 1 {
		switch commands[0] {
		case "exit 101":
			return false, ""
		case "exit 0":
			return true, ""
		}
	}
	return false, fmt.Sprintf("%s is a program of its own; whether it lets %s %s is not known", policy, service, action)
}

func (sv *services) readServices(view host.View) error {
	list, err := view.Services("*")
	if err != nil {
		return err
	}
	if sv.processes, err = view.Processes(); err != nil {
		return err
	}
	for _, p := range sv.processes {
		sv.lastPID = max(sv.lastPID, p.PID)
	}
	if sv.listeners, err = view.Listeners(); err != nil {
		return err
	}
	for _, s := range list {
		state := &service{active: s.Active, failed: s.Failed}
		if s.PID > 0 {
			state.pids = []int{s.PID}
		}
		sv.known[s.Name] = state
	}
	return nil
}
