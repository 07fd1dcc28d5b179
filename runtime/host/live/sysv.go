package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// sysv runs init scripts as Debian Policy 9.3 and the LSB describe them. They are run directly: invoke-rc.d would
// ask policy-rc.d, which is there to keep packages from starting services, not us.
type sysv struct {
	m         *machine
	processes func() ([]host.Process, error)
}

const initDir = "/etc/init.d/"

// initDirs are the names of initDir: Red Hat's systemd and chkconfig know it by the second.
var initDirs = []string{initDir, "/etc/rc.d/init.d/"}

// list lists every init script. Enabled is one that a start link of runlevels 2 to 5 names.
func (s sysv) list(string) ([]host.Service, error) {
	entries, err := s.m.files.ReadDir("/etc/init.d")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	links := s.m.files.startLinks()
	processes, err := s.processes()
	if err != nil {
		return nil, err
	}
	var services []host.Service
	for _, e := range entries {
		if !isInitScript(s.m.files, e.Name) {
			continue
		}
		service := host.Service{Name: e.Name, Kind: "sysv", Enabled: links[e.Name]}
		service.PID = s.pid(e.Name, processes)
		service.Active = service.PID != 0
		services = append(services, service)
	}
	return services, nil
}

// isInitScript leaves out what lies beside the scripts: README, skeleton, the runlevel scripts themselves.
func isInitScript(files *space, name string) bool {
	switch name {
	case "README", "skeleton", "skeleton.compat", "rc", "rcS", "halt", "reboot", "single", "killall", "functions", "boot", "halt.local", "before.local", "after.local":
		return false
	}
	if host.CheckServiceName(name) != nil || packagesystem.IsLeftover(name) {
		return false
	}
	if strings.HasPrefix(name, "boot.") { // SUSE's own steps at boot
		return false
	}
	st, err := files.Stat(initDir + name)
	return err == nil && st.IsRegular() && st.Perm()&0o111 != 0
}

// startLinks are the services that a link of runlevels 2 to 5 starts. Debian has the directories of
// links in /etc, Red Hat in /etc/rc.d, and SUSE in /etc/init.d, by the name of /etc/rc.d, too.
func (s *space) startLinks() map[string]bool {
	links := map[string]bool{}
	for _, dir := range []string{"/etc", "/etc/rc.d"} {
		for _, level := range []string{"2", "3", "4", "5"} {
			entries, _ := s.ReadDir(dir + "/rc" + level + ".d")
			for _, e := range entries {
				if len(e.Name) > 3 && e.Name[0] == 'S' {
					links[e.Name[3:]] = true
				}
			}
		}
	}
	return links
}

// onlyStops reports whether a script of Debian's has links, and none in a runlevel that could start it.
func (s *space) onlyStops(name string) bool {
	found := false
	for _, level := range []string{"S", "2", "3", "4", "5", "0", "1", "6"} {
		entries, _ := s.ReadDir("/etc/rc" + level + ".d")
		linked := slices.ContainsFunc(entries, func(e host.DirEntry) bool {
			return len(e.Name) > 3 && e.Name[3:] == name && (e.Name[0] == 'S' || e.Name[0] == 'K')
		})
		if linked && strings.Contains("S2345", level) {
			return false
		}
		found = found || linked
	}
	return found
}

// pid finds a service's process: the one that its pid file names, or one whose program bears the
// service's name. Scripts are not asked, because many of this age have no "status" action, or one
// that succeeds always.
func (s sysv) pid(name string, processes []host.Process) int {
	for _, path := range []string{"/var/run/" + name + ".pid", "/var/run/" + name + "/" + name + ".pid"} {
		if pid := s.written(path, processes); pid != 0 {
			return pid
		}
	}
	for _, p := range processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// written is the process that a pid file names, if it can be the one that wrote it: a file that was left
// behind names a number that any program may bear by now, but that one was started later.
func (s sysv) written(path string, processes []host.Process) int {
	pid, err := strconv.Atoi(s.m.files.line(path))
	if err != nil {
		return 0
	}
	st, err := s.m.files.Stat(path)
	if err != nil {
		return 0
	}
	for _, p := range processes {
		if p.PID == pid && !p.Started.After(st.Mtime.Add(startSlack)) {
			return pid
		}
	}
	return 0
}

func (s sysv) mainPID(name string, running []host.Process) (int, error) {
	return s.pid(name, running), nil
}

func (s sysv) reloadOne(ctx context.Context, name string) (bool, error) {
	if !isInitScript(s.m.files, name) || !s.knows(name, "reload") {
		return false, nil
	}
	return true, s.script(ctx, name, "reload")
}

// forget has nothing to do: nothing starts a service again.
func (s sysv) forget(context.Context, string) error { return nil }

// trace knows nothing: there is no journal.
func (s sysv) trace(context.Context, string) host.Trace { return host.Trace{} }

// active asks the script for its status (LSB: 0 running, 3 and others not) only if no process was found:
// some services have programs of another name and no pid file.
func (s sysv) active(name string) (bool, error) {
	processes, err := s.processes()
	if err != nil {
		return false, err
	}
	if s.pid(name, processes) != 0 {
		return true, nil
	}
	if !isInitScript(s.m.files, name) || !s.knows(name, "status") {
		return false, nil
	}
	got, err := s.m.run(context.Background(), command{
		Path: initDir + name, Args: []string{"status"}, Env: []string{"HOME=/"}, Timeout: queryTimeout,
		Accept: []int{1, 2, 3, 4, 5, 150},
	})
	return err == nil && got.Code == 0, err
}

func (s sysv) running(name string) (bool, error) { return s.active(name) }

// knows reports whether a script has an action, by its text: one without it often prints its usage and exits
// with 0.
func (s sysv) knows(name, action string) bool {
	data, err := s.m.files.readFile(initDir + name)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		label, _, found := strings.Cut(strings.TrimSpace(line), ")")
		if !found {
			continue
		}
		for word := range strings.SplitSeq(strings.TrimLeft(label, "("), "|") {
			if strings.Trim(word, ` "'`) == action {
				return true
			}
		}
	}
	return false
}

func (s sysv) script(ctx context.Context, name, action string) error {
	if !isInitScript(s.m.files, name) {
		return fmt.Errorf("%s%s: %w", initDir, name, os.ErrNotExist)
	}
	_, err := s.m.run(ctx, command{Path: initDir + name, Args: []string{action}, Env: []string{"HOME=/"}})
	return err
}

func (s sysv) start(ctx context.Context, name string) error { return s.script(ctx, name, "start") }

// stop of a service without a script has nobody to ask: whether something runs is seen afterwards.
func (s sysv) stop(ctx context.Context, name string) error {
	active, err := s.active(name)
	if err != nil || !active || !isInitScript(s.m.files, name) {
		return err
	}
	return s.script(ctx, name, "stop")
}

// enable makes the links that the script asks for, if it has none, and turns stop links into start links.
func (s sysv) enable(name string) error {
	if s.usesChkconfig() {
		return s.tell("chkconfig", []string{"--add", name}, []string{name, "on"})
	}
	if err := s.finishLinks(name); err != nil {
		return err
	}
	return s.tell("update-rc.d", []string{name, "defaults"}, []string{name, "enable"})
}

func (s sysv) disable(name string) error {
	if s.usesChkconfig() {
		return s.tell("chkconfig", []string{name, "off"})
	}
	if err := s.finishLinks(name); err != nil {
		return err
	}
	return s.tell("update-rc.d", []string{name, "disable"})
}

// finishLinks makes all links of a script that has only those that stop it. So what makes them leaves it when it meets
// a full disk, or is killed: insserv makes those of runlevels 0 and 1 first. Afterwards update-rc.d takes them for
// somebody's own and adds none, and refuses to turn what is not there. Chkconfig adds what is missing.
func (s sysv) finishLinks(name string) error {
	if s.usesChkconfig() || !s.m.files.onlyStops(name) {
		return nil
	}
	return s.tell("update-rc.d", []string{"-f", name, "remove"}, []string{name, "defaults"})
}

// usesChkconfig tells Red Hat's and SUSE's way to make the links from Debian's.
func (s sysv) usesChkconfig() bool {
	_, err := s.m.program("update-rc.d")
	_, noChkconfig := s.m.program("chkconfig")
	return err != nil && noChkconfig == nil
}

// tell runs a program with each list of arguments, one after the other.
func (s sysv) tell(program string, calls ...[]string) error {
	for _, args := range calls {
		if _, err := s.m.ask(program, args...); err != nil {
			return err
		}
	}
	return nil
}

func (s sysv) mask(string) error {
	return fmt.Errorf("SysV init has no masks: %w", host.ErrUnsupported)
}
func (s sysv) unmask(string) error {
	return fmt.Errorf("SysV init has no masks: %w", host.ErrUnsupported)
}
func (s sysv) reload() error { return nil }
