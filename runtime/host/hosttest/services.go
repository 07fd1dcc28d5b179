package hosttest

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// ServiceOp is one call of host.ServiceWriter: Do is "start", "stop", "kill", "enable", "disable", "mask", "unmask",
// "reread" (its configuration), "erase" (its unit, as rpm -e
// --noscripts does) or "reload" (the init system's units).
type ServiceOp struct {
	Do, Name string
	Patience time.Duration // of a stop
}

// ServiceOutcome is how a call ended, and how the service was then.
type ServiceOutcome struct {
	Error     string
	State     string   // "active enabled", ...; "unknown"
	Kind      string   // "systemd" or "sysv"; empty if it is unknown
	Processes int      // that run the service's program
	Own       int      // that the host calls the service's
	Links     []string // that start or mask services at boot
}

// On makes a call on a host.
func (op ServiceOp) On(h host.Host) ServiceOutcome {
	o := ServiceOutcome{State: "unknown"}
	if err := op.call(h); err != nil {
		o.Error = err.Error()
	}
	list, err := h.Services(op.Name)
	if err != nil {
		o.State = err.Error()
	}
	for _, s := range list {
		o.State, o.Kind = stateWords(s), s.Kind
	}
	processes, err := h.Processes()
	if err != nil {
		o.State += ", " + err.Error()
	}
	for _, p := range processes {
		if p.Name == op.Name {
			o.Processes++
		}
	}
	own, _ := h.ServiceProcesses(op.Name)
	o.Own = len(own)
	o.Links = bootLinks(h)
	return o
}

func (op ServiceOp) call(h host.Host) error {
	switch op.Do {
	case "start":
		return h.StartService(context.Background(), op.Name)
	case "stop":
		return h.StopService(context.Background(), op.Name, op.Patience)
	case "kill":
		return h.KillService(context.Background(), op.Name, []string{"/run/" + op.Name + ".lock"})
	case "reread":
		return h.ReloadService(context.Background(), op.Name)
	case "enable":
		return h.EnableService(op.Name)
	case "disable":
		return h.DisableService(op.Name)
	case "mask":
		return h.MaskService(op.Name)
	case "unmask":
		return h.UnmaskService(op.Name)
	case "erase":
		return h.Unlink(UnitFile(op.Name))
	}
	return h.ReloadServices()
}

func stateWords(s host.Service) string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{{s.Active, "active"}, {s.Failed, "failed"}, {s.Enabled, "enabled"}, {s.Masked, "masked"}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}

// bootLinks are the symlinks in /etc that make services start or masked; the sequence number of an
// init script is left out.
func bootLinks(v host.View) []string {
	dirs := []string{"/etc/systemd/system"}
	if entries, err := v.ReadDir(dirs[0]); err == nil {
		for _, e := range entries {
			if e.Type.IsDir() {
				dirs = append(dirs, path.Join(dirs[0], e.Name))
			}
		}
	}
	for _, level := range "0123456S" {
		dirs = append(dirs, "/etc/rc"+string(level)+".d")
	}
	var links []string
	for _, dir := range dirs {
		entries, _ := v.ReadDir(dir)
		for _, e := range entries {
			target, err := v.Readlink(path.Join(dir, e.Name))
			if err != nil {
				continue
			}
			name := e.Name
			if strings.HasPrefix(dir, "/etc/rc") && len(name) > 3 {
				name = name[:1] + name[3:]
			}
			links = append(links, path.Join(dir, name)+" -> "+target)
		}
	}
	slices.Sort(links)
	return links
}

// ServiceProgram is where a host that is tested has a copy of sleep(1) for a service.
func ServiceProgram(name string) string { return "/usr/local/sbin/" + name }

// Unit is a unit file for such a program. Has no line a type, it has started when the program runs.
func Unit(name string, lines ...string) string {
	lines = append(lines, "ExecStart="+ServiceProgram(name)+" 1000000")
	if !strings.Contains(strings.Join(lines, "\n"), "Type=") {
		lines = append(lines, "Type=exec")
	}
	return "[Unit]\nDescription=" + name + "\n\n[Service]\n" + strings.Join(lines, "\n") + "\n\n[Install]\nWantedBy=multi-user.target\n"
}

// UnitFile is where a package puts it.
func UnitFile(name string) string { return "/usr/lib/systemd/system/" + name + ".service" }

// InitScript is an init script for such a program.
func InitScript(name string) string {
	return fmt.Sprintf(`#!/bin/sh
### BEGIN INIT INFO
# Provides:          %[1]s
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: %[1]s
### END INIT INFO
DAEMON=%[2]s
case "$1" in
start) start-stop-daemon --start --quiet --oknodo --background --make-pidfile --pidfile /run/%[1]s.pid --exec $DAEMON -- 1000000 ;;
stop) start-stop-daemon --stop --quiet --oknodo --retry 5 --pidfile /run/%[1]s.pid --exec $DAEMON ;;
reload) start-stop-daemon --stop --quiet --signal CONT --pidfile /run/%[1]s.pid --exec $DAEMON ;;
status) start-stop-daemon --status --pidfile /run/%[1]s.pid --exec $DAEMON ;;
esac
`, name, ServiceProgram(name))
}

// ServiceStep is a call, and what must come of it.
type ServiceStep struct {
	Do        string
	Err       string // part of the message; Refused for any
	State     string
	Processes int
}

// Refused is an error of any text.
const Refused = "error"

// ServiceCase is a service, and calls one after the other.
type ServiceCase struct {
	Name     string
	Of       string // name of the service; "test-" and Name if empty
	Files    map[string]string
	Programs []string // names of services with a program
	Links    string   // runlevels that have a link of its init script; allLinks is what update-rc.d defaults makes
	Steps    []ServiceStep
}

// halfLinks are what insserv has made when it meets a full disk, or is killed.
const (
	allLinks  = "0123456"
	halfLinks = "01"
)

// ServiceName is the service's.
func (c ServiceCase) ServiceName() string {
	if c.Of != "" {
		return c.Of
	}
	return "test-" + c.Name
}

// Ops are the calls.
func (c ServiceCase) Ops() []ServiceOp {
	var ops []ServiceOp
	for _, s := range c.Steps {
		ops = append(ops, ServiceOp{Do: s.Do, Name: c.ServiceName(), Patience: 5 * time.Minute})
	}
	return ops
}

// Check holds the outcomes of the calls to what must come of them.
func (c ServiceCase) Check(t *testing.T, on string, got []ServiceOutcome) {
	t.Helper()
	for i, s := range c.Steps {
		what, o := fmt.Sprintf("%d. %s on %s", i+1, s.Do, on), got[i]
		if o.State != s.State || o.Processes != s.Processes || o.Own != s.Processes {
			t.Errorf("%s: %q with %d processes, %d of the service; want %q with %d", what, o.State, o.Processes, o.Own, s.State, s.Processes)
		}
		if (o.Error == "") != (s.Err == "") || s.Err != Refused && !strings.Contains(o.Error, s.Err) {
			t.Errorf("%s: error %q, want %q", what, o.Error, s.Err)
		}
	}
}

// unitCase is a service with a unit of its name.
func unitCase(name string, steps ...ServiceStep) ServiceCase {
	of := "test-" + name
	return ServiceCase{Name: name, Files: map[string]string{UnitFile(of): Unit(of)}, Programs: []string{of}, Steps: steps}
}

// scriptCase is a service with an init script that has its links.
func scriptCase(name string, steps ...ServiceStep) ServiceCase {
	of := "test-" + name
	return ServiceCase{Name: name, Files: map[string]string{"/etc/init.d/" + of: InitScript(of)}, Programs: []string{of}, Links: allLinks, Steps: steps}
}

// half is a case whose init script has some of its links only.
func (c ServiceCase) half() ServiceCase {
	c.Links = halfLinks
	return c
}

// nobody are calls for a service that is not there, or that no service can be called.
func nobody(name, of, stop string) ServiceCase {
	return ServiceCase{Name: name, Of: of, Steps: []ServiceStep{
		{"stop", stop, "unknown", 0}, {"start", Refused, "unknown", 0}, {"enable", Refused, "unknown", 0},
		{"disable", Refused, "unknown", 0}, {"reread", Refused, "unknown", 0},
	}}
}

// SystemdCases are the suite of services for a host with systemd, in which nothing of them runs yet.
func SystemdCases() []ServiceCase {
	both := unitCase("unit-and-script",
		ServiceStep{"enable", "", "enabled", 0},
		ServiceStep{"start", "", "active enabled", 1},
		ServiceStep{"disable", "", "active", 1},
		ServiceStep{"stop", "", "-", 0},
		ServiceStep{"enable", "", "enabled", 0})
	both.Files["/etc/init.d/test-unit-and-script"], both.Links = InitScript("test-unit-and-script"), allLinks

	admins := unitCase("of-the-admin",
		ServiceStep{"enable", "", "enabled", 0},
		ServiceStep{"mask", Refused, "enabled", 0},
		ServiceStep{"start", "", "active enabled", 1},
		ServiceStep{"stop", "", "enabled", 0},
		ServiceStep{"disable", "", "-", 0})
	admins.Files = map[string]string{"/etc/systemd/system/test-of-the-admin.service": Unit("test-of-the-admin")}

	linked := unitCase("with-links",
		ServiceStep{"enable", "", "enabled", 0},
		ServiceStep{"enable", "", "enabled", 0},
		ServiceStep{"disable", "", "-", 0})
	linked.Files[UnitFile("test-with-links")] += "RequiredBy=rescue.target\nAlias=test-other-name.service\nAlso=test-with-links-too.service\n"
	linked.Files[UnitFile("test-with-links-too")] = Unit("test-with-links-too")
	linked.Programs = append(linked.Programs, "test-with-links-too")

	stranger := unitCase("as-nobody-known",
		ServiceStep{"start", Refused, "failed", 0},
		ServiceStep{"stop", "", "failed", 0})
	stranger.Files[UnitFile("test-as-nobody-known")] = Unit("test-as-nobody-known", "User=nosuchuser")

	// What this program adds to units while packages come and go.
	held := unitCase("held",
		ServiceStep{"enable", "", "enabled", 0},
		ServiceStep{"start", Refused, "enabled", 0},
		ServiceStep{"disable", "", "-", 0})
	held.Files["/run/systemd/system/test-held.service.d/hold.conf"] = "[Unit]\nConditionPathExists=!/\n"

	bothHalf := unitCase("unit-and-half-linked",
		ServiceStep{"disable", "", "-", 0},
		ServiceStep{"enable", "", "enabled", 0})
	bothHalf.Files["/etc/init.d/test-unit-and-half-linked"] = InitScript("test-unit-and-half-linked")

	return []ServiceCase{
		unitCase("usual",
			ServiceStep{"stop", "", "-", 0},
			ServiceStep{"reread", Refused, "-", 0},
			ServiceStep{"start", "", "active", 1},
			ServiceStep{"start", "", "active", 1},
			ServiceStep{"enable", "", "active enabled", 1},
			ServiceStep{"enable", "", "active enabled", 1},
			ServiceStep{"stop", "", "enabled", 0},
			ServiceStep{"disable", "", "-", 0},
			ServiceStep{"disable", "", "-", 0},
			ServiceStep{"reload", "", "-", 0}),
		unitCase("masked",
			ServiceStep{"enable", "", "enabled", 0},
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"mask", "", "active masked", 1},
			ServiceStep{"mask", "", "active masked", 1},
			ServiceStep{"stop", "", "masked", 0},
			ServiceStep{"start", "masked", "masked", 0},
			ServiceStep{"enable", "masked", "masked", 0},
			ServiceStep{"unmask", "", "enabled", 0},
			ServiceStep{"unmask", "", "enabled", 0},
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"stop", "", "enabled", 0}),
		unitCase("erased",
			ServiceStep{"start", "", "active", 1},
			ServiceStep{"erase", "", "active", 1},
			ServiceStep{"reload", "", "unknown", 1},
			ServiceStep{"stop", "", "unknown", 0},
			ServiceStep{"start", Refused, "unknown", 0}),
		both,
		scriptCase("script",
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"disable", "", "active", 1},
			ServiceStep{"stop", "", "-", 0},
			ServiceStep{"mask", "", "masked", 0},
			ServiceStep{"start", "masked", "masked", 0},
			ServiceStep{"unmask", "", "-", 0},
			ServiceStep{"enable", "", "enabled", 0}),
		scriptCase("half-linked",
			ServiceStep{"enable", "", "enabled", 0},
			ServiceStep{"disable", "", "-", 0}).half(),
		bothHalf.half(), admins, linked, stranger, held,
		nobody("nobody", "test-nobody", ""), nobody("option", "--help", Refused), nobody("path", "../x", Refused),
	}
}

// SysvCases are the suite of services for a host whose init runs scripts.
func SysvCases() []ServiceCase {
	return []ServiceCase{
		scriptCase("script",
			ServiceStep{"stop", "", "enabled", 0},
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"reread", "", "active enabled", 1},
			ServiceStep{"disable", "", "active", 1},
			ServiceStep{"disable", "", "active", 1},
			ServiceStep{"mask", Refused, "active", 1},
			ServiceStep{"unmask", Refused, "active", 1},
			ServiceStep{"stop", "", "-", 0},
			ServiceStep{"stop", "", "-", 0},
			ServiceStep{"reread", Refused, "-", 0},
			ServiceStep{"enable", "", "enabled", 0},
			ServiceStep{"enable", "", "enabled", 0},
			ServiceStep{"start", "", "active enabled", 1},
			ServiceStep{"kill", "", "enabled", 0},
			ServiceStep{"kill", "", "enabled", 0},
			ServiceStep{"reload", "", "enabled", 0}),
		scriptCase("half-linked",
			ServiceStep{"enable", "", "enabled", 0},
			ServiceStep{"disable", "", "-", 0}).half(),
		scriptCase("half-linked-off",
			ServiceStep{"disable", "", "-", 0},
			ServiceStep{"enable", "", "enabled", 0}).half(),
		nobody("nobody", "test-nobody", ""), nobody("option", "--help", Refused), nobody("path", "../x", Refused),
	}
}
