package live

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// systemd asks and tells systemd by systemctl(1).
type systemd struct{ m *machine }

// systemctl runs one command. Its answers come in English and without a pager or colours because
// there is no terminal.
func (s systemd) systemctl(ctx context.Context, timeout time.Duration, args ...string) (string, error) {
	path, err := s.m.program("systemctl")
	if err != nil {
		return "", err
	}
	got, err := s.m.run(ctx, command{Path: path, Args: append([]string{"--no-pager"}, args...), Timeout: timeout})
	return got.Stdout, err
}

func (s systemd) query(args ...string) (string, error) {
	return s.systemctl(context.Background(), queryTimeout, args...)
}

func (s systemd) tell(args ...string) error {
	_, err := s.query(args...)
	return err
}

const unitProperties = "Id,LoadState,ActiveState,SubState,UnitFileState,MainPID,Type,SourcePath"

// list asks for one service by its name, and looks for those that a pattern matches: to list all takes
// systemd a hundred times as long as to show one.
func (s systemd) list(pattern string) ([]host.Service, error) {
	names := []string{pattern + ".service"}
	if strings.ContainsAny(pattern, `*?[\`) {
		var err error
		if names, err = s.names(pattern); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	out, err := s.query(append([]string{"show", "-p", unitProperties, "--"}, names...)...)
	if err != nil {
		return nil, err
	}
	return parseUnits(out, s.m.files.startLinks()), nil
}

// names joins the units with a file, those that are loaded without one, and the init scripts: systemd
// before version 220 does not list the units that it makes of these as long as they are not loaded.
func (s systemd) names(pattern string) ([]string, error) {
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	loaded := []string{"list-units", "--type=service", "--all", "--no-legend", "--full"}
	units, err := s.query(append(loaded, "--plain")...)
	if err != nil { // before version 203 there is no --plain
		units, err = s.query(loaded...)
	}
	return slices.DeleteFunc(unitNames(files, units, s.scripts()), func(name string) bool {
		match, _ := path.Match(pattern, strings.TrimSuffix(name, ".service"))
		return !match
	}), err
}

// files lists what stands in the directories of units. list-unit-files would look each of them up in all
// directories: a third of a second of systemd's time where there are a hundred services.
func (s systemd) files() (string, error) {
	out, err := s.query("show", "-p", "UnitPath")
	if err != nil {
		return "", err
	}
	dirs := strings.Fields(properties(out)["UnitPath"])
	if len(dirs) == 0 {
		return "", errors.New("systemctl show -p UnitPath: systemd does not say where units stand")
	}
	var list strings.Builder
	for _, dir := range dirs {
		entries, err := s.m.files.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		for _, e := range entries {
			list.WriteString(e.Name + "\n")
		}
	}
	return list.String(), nil
}

// scripts lists the init scripts as units. systemd drops the ending .sh.
func (s systemd) scripts() string {
	entries, _ := s.m.files.ReadDir(initDir)
	var list strings.Builder
	for _, e := range entries {
		if isInitScript(s.m.files, e.Name) {
			list.WriteString(strings.TrimSuffix(e.Name, ".sh") + ".service\n")
		}
	}
	return list.String()
}

// unitNames are the first words of lines that name a service; templates (name@.service) are none.
func unitNames(lists ...string) []string {
	seen := map[string]bool{}
	var names []string
	for _, list := range lists {
		for line := range strings.Lines(list) {
			words := strings.Fields(line)
			if len(words) > 1 && (words[0] == "●" || words[0] == "*") { // a failed unit's mark, where --plain is not known; the latter in the locale C
				words = words[1:]
			}
			if len(words) == 0 || !strings.HasSuffix(words[0], ".service") || strings.Contains(words[0], "@.") || seen[words[0]] {
				continue
			}
			seen[words[0]] = true
			names = append(names, words[0])
		}
	}
	return names
}

// parseUnits reads the paragraphs of systemctl show. Units that are only mentioned by others do not
// exist, nor do instances of templates that are. An alias shows the unit it stands for, which is listed once. Units that
// systemd made from init scripts are enabled by the start links of these.
func parseUnits(out string, startLinks map[string]bool) []host.Service {
	var services []host.Service
	seen := map[string]bool{}
	for paragraph := range strings.SplitSeq(out, "\n\n") {
		p := properties(paragraph)
		name := strings.TrimSuffix(p["Id"], ".service")
		if name == "" || p["LoadState"] == "not-found" || seen[name] {
			continue
		}
		seen[name] = true
		service := serviceOf(name, p)
		if strings.Contains(name, "@") && !service.Active && !service.Enabled && !service.Failed {
			continue // an instance that others mention: nothing that was set up
		}
		if script := sourceScript(p["SourcePath"]); script != "" {
			service.Enabled = startLinks[script]
		}
		services = append(services, service)
	}
	return services
}

// sourceScript is the init script, with an ending .sh, of which systemd made a unit.
func sourceScript(source string) string {
	for _, dir := range initDirs {
		if script, ok := strings.CutPrefix(source, dir); ok {
			return script
		}
	}
	return ""
}

func properties(text string) map[string]string {
	p := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\n"), "="); found {
			p[name] = value
		}
	}
	return p
}

func serviceOf(name string, p map[string]string) host.Service {
	pid, _ := strconv.Atoi(p["MainPID"])
	return host.Service{
		Name:    name,
		Kind:    "systemd",
		Active:  isActive(p["ActiveState"]),
		Enabled: p["UnitFileState"] == "enabled" || p["UnitFileState"] == "enabled-runtime",
		Masked:  p["LoadState"] == "masked" || strings.HasPrefix(p["UnitFileState"], "masked"),
		Failed:  p["ActiveState"] == "failed",
		PID:     pid,
	}
}

// isActive counts what is on its way, too: a service that is still stopping has not stopped.
func isActive(state string) bool {
	switch state {
	case "active", "reloading", "activating", "deactivating", "refreshing", "maintenance":
		return true
	}
	return false
}

func (s systemd) show(name string) (map[string]string, error) {
	out, err := s.query("show", "-p", unitProperties, "--", name+".service")
	return properties(out), err
}

func (s systemd) active(name string) (bool, error) {
	p, err := s.show(name)
	return isActive(p["ActiveState"]), err
}

func (s systemd) running(name string) (bool, error) {
	p, err := s.show(name)
	return hasStarted(p), err
}

// hasStarted does not count a unit that waits for its next attempt, and is content with a one-shot unit
// that has done its work.
func hasStarted(p map[string]string) bool {
	if p["Type"] == "oneshot" {
		return p["ActiveState"] != "failed"
	}
	return isActive(p["ActiveState"]) && p["SubState"] != "auto-restart" && p["ActiveState"] != "deactivating"
}

// start returns when systemd says that the unit is up; ctx alone ends the wait.
func (s systemd) start(ctx context.Context, name string) error {
	_, err := s.systemctl(ctx, 0, "start", "--", name+".service")
	return err
}

// stop does not fail for a unit that is not there: what is not loaded does not run.
func (s systemd) stop(ctx context.Context, name string) error {
	active, err := s.active(name)
	if err != nil || !active {
		return err
	}
	_, err = s.systemctl(ctx, 0, "stop", "--no-block", "--", name+".service")
	return err
}

// mainPID falls back on the program's name: of an init script systemd knows no main process.
func (s systemd) mainPID(name string, running []host.Process) (int, error) {
	p, err := s.show(name)
	if err != nil {
		return 0, err
	}
	if pid, _ := strconv.Atoi(p["MainPID"]); pid != 0 {
		return pid, nil
	}
	for _, r := range running {
		if r.Name == name {
			return r.PID, nil
		}
	}
	return 0, nil
}

func (s systemd) reloadOne(ctx context.Context, name string) (bool, error) {
	out, err := s.query("show", "-p", "CanReload", "--", name+".service")
	if err != nil || properties(out)["CanReload"] != "yes" {
		return false, err
	}
	_, err = s.systemctl(ctx, queryTimeout, "reload", "--", name+".service")
	return true, err
}

func (s systemd) forget(ctx context.Context, name string) error { return s.stop(ctx, name) }

// trace asks for what the unit said since it was last started.
func (s systemd) trace(ctx context.Context, name string) host.Trace {
	t := host.Trace{Log: "journalctl -u " + name}
	out, err := s.query("show", "-p", "ExecMainCode,ExecMainStatus,ExecMainPID,Result", "--", name+".service")
	if err == nil {
		t.End = endOf(properties(out))
	}
	program, err := s.m.program("journalctl")
	if err != nil {
		return t
	}
	got, err := s.m.run(ctx, command{
		Path: program, Args: []string{"--no-pager", "-q", "-o", "cat", "-n", strconv.Itoa(host.TraceLines), "-u", name + ".service"},
		Timeout: traceTime,
	})
	if err == nil {
		t.Lines = lastLines(got.Stdout)
	}
	return t
}

// endOf says how a main process ended: the codes are those of waitid(2).
func endOf(p map[string]string) string {
	if p["ExecMainPID"] == "0" {
		return ""
	}
	switch p["ExecMainCode"] {
	case "1":
		return "exit status " + p["ExecMainStatus"]
	case "2", "3":
		return "killed by signal " + p["ExecMainStatus"]
	}
	return ""
}

func (s systemd) enable(name string) error  { return s.toggle("enable", name) }
func (s systemd) disable(name string) error { return s.toggle("disable", name) }
func (s systemd) mask(name string) error    { return s.tell("mask", "--", name+".service") }
func (s systemd) unmask(name string) error  { return s.tell("unmask", "--", name+".service") }
func (s systemd) reload() error             { return s.tell("daemon-reload") }

// toggle sees to the links of an init script first: systemctl keeps them in step, and fails where update-rc.d does.
func (s systemd) toggle(verb, name string) error {
	if err := (sysv{m: s.m}).finishLinks(name); err != nil {
		return err
	}
	return s.tell(verb, "--", name+".service")
}

// SessionEnds reports whether systemd is just stopping the unit that this process belongs to: a login
// session (session-N.scope), as a rule. Signals that come then are not from somebody who means the
// process.
func (v *View) SessionEnds() bool {
	m := v.parts.m
	if m.initName() != "systemd" {
		return false
	}
	groups, err := m.files.readFile("/proc/self/cgroup")
	unit := unitOf(string(groups))
	if err != nil || unit == "" {
		return false
	}
	// systemd kills all that it finds in the unit, also the one that asks for us: then it is asked again.
	for range 5 {
		out, err := systemd{m}.query("show", "-p", "ActiveState", "--", unit)
		if err == nil {
			return properties(out)["ActiveState"] == "deactivating"
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}
