package live

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

func TestParseUnits(t *testing.T) {
	out := `Id=zarafa-server.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
MainPID=812
Type=forking
SourcePath=

Id=zarafa-ical.service
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=generated
MainPID=0
SourcePath=/etc/init.d/zarafa-ical

Id=kopano-server.service
LoadState=masked
ActiveState=inactive
UnitFileState=masked-runtime
MainPID=0

Id=mentioned.service
LoadState=not-found
ActiveState=inactive

Id=zarafa-server.service
LoadState=loaded
ActiveState=active
`
	got := parseUnits(out, map[string]bool{"zarafa-ical": true})
	want := []host.Service{
		{Name: "zarafa-server", Kind: "systemd", Active: true, Enabled: true, PID: 812},
		{Name: "zarafa-ical", Kind: "systemd", Enabled: true, Failed: true},
		{Name: "kopano-server", Kind: "systemd", Masked: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestParseOldUnits has what systemctl show of versions 208 (Red Hat 7) and 215 (Debian 8) says of init
// scripts: no state of a unit file, and the script as the source.
func TestParseOldUnits(t *testing.T) {
	out := `Id=zarafa-server.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=
SourcePath=/etc/rc.d/init.d/zarafa-server
MainPID=0
Type=forking

Id=hwclock.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=bad
SourcePath=/etc/init.d/hwclock.sh
MainPID=0

Id=getty@tty1.service
LoadState=loaded
ActiveState=inactive
UnitFileState=disabled
MainPID=0

Id=getty@tty2.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
MainPID=77
`
	got := parseUnits(out, map[string]bool{"zarafa-server": true, "hwclock.sh": true})
	want := []host.Service{
		{Name: "zarafa-server", Kind: "systemd", Active: true, Enabled: true},
		{Name: "hwclock", Kind: "systemd", Enabled: true},
		{Name: "getty@tty2", Kind: "systemd", Active: true, Enabled: true, PID: 77},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestInitScriptsAreUnits: an init script that systemd has not loaded is listed by nobody else.
func TestInitScriptsAreUnits(t *testing.T) {
	h, dir := open(t)
	for name, mode := range map[string]os.FileMode{"zarafa-gateway": 0o755, "hwclock.sh": 0o755, "README": 0o644, "functions": 0o644} {
		write(t, dir, "etc/init.d/"+name, "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(dir, "etc/init.d", name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if got := (systemd{h.parts.m}).scripts(); got != "hwclock.service\nzarafa-gateway.service\n" {
		t.Errorf("got %q", got)
	}
}

func TestUnitNames(t *testing.T) {
	files := "zarafa-server.service enabled enabled\ngetty@.service enabled enabled\ncron.service enabled\n"
	units := "  zarafa-server.service loaded active running Zarafa\n● zarafa-ical.service loaded failed failed LSB: x\ngetty@tty1.service loaded active running Getty\n"
	got := unitNames(files, units)
	if want := []string{"zarafa-server.service", "cron.service", "zarafa-ical.service", "getty@tty1.service"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestProgramName(t *testing.T) {
	cases := []struct{ exe, cmdline, want string }{
		{"/usr/sbin/zarafa-server", "/usr/sbin/zarafa-server\x00-c\x00x\x00", "zarafa-server"},
		{"/usr/bin/python2.7", "python\x00-u\x00/usr/bin/zarafa-search\x00-c\x00x\x00", "zarafa-search"},
		{"/usr/bin/python3.11", "python3\x00-m\x00http.server\x00", "python3.11"},
		{"/usr/bin/dash", "sh\x00-c\x00sleep 1\x00", "dash"},
		{"/usr/bin/perl", "", "perl"},
		{"/usr/bin/pythonic", "x\x00y\x00", "pythonic"},
	}
	for _, c := range cases {
		if got := programName(c.exe, []byte(c.cmdline)); got != c.want {
			t.Errorf("%s: %q, want %q", c.exe, got, c.want)
		}
	}
}

func TestKnowsStatus(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "etc/init.d/with", "case \"$1\" in\n  start) x;;\n  reload|status)\n   y;;\nesac\n")
	write(t, dir, "etc/init.d/without", "case \"$1\" in\n start) x;;\n *) echo \"Usage: status\";;\nesac\n")
	if s := (sysv{m: h.parts.m}); !s.knows("with", "status") || s.knows("without", "status") {
		t.Error("status actions are not told apart")
	}
}

func TestServiceNames(t *testing.T) {
	for _, bad := range []string{"", "-x", "../x", "a/b", "a b", "x;y"} {
		if host.CheckServiceName(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestUnitOf(t *testing.T) {
	cases := []struct{ groups, want string }{
		{"4:memory:/x.service\n1:name=systemd:/system.slice/zarafa-server.service\n", "zarafa-server.service"},
		{"0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service"},
		{"0::/user.slice/user-0.slice/user@0.service/app.slice/x.service\n", "user@0.service"},
		{"1:name=systemd:/\n0::/\n", ""},
		{"3:cpu:/system.slice/cron.service\n", ""},
		{"", ""},
	}
	for _, c := range cases {
		if got := unitOf(c.groups); got != c.want {
			t.Errorf("%q: %q, want %q", c.groups, got, c.want)
		}
	}
}

// A failed service whose package went is told from one that is there, and from one that is only mentioned.
func TestParseLostUnits(t *testing.T) {
	lost := parseLost("Id=kopano-server.service\nLoadState=not-found\nActiveState=failed\n\n" +
		"Id=zarafa-server.service\nLoadState=loaded\nActiveState=failed\n\nId=mysql.service\nLoadState=not-found\nActiveState=inactive\n")
	if names := unitNames("* kopano-server.service not-found failed failed kopano-server.service\n"); len(names) != 1 {
		t.Errorf("a failed unit's mark hides its name: %v", names)
	}
	if len(lost) != 1 || !lost["kopano-server.service"] {
		t.Errorf("%v", lost)
	}
}

// A unit that is on its way down has neither stopped nor started, and one that waits for its next attempt has not started.
func TestUnitStates(t *testing.T) {
	for _, c := range []struct {
		kind, active, sub string
		runs, started     bool
	}{
		{"forking", "active", "running", true, true},
		{"forking", "activating", "start", true, true},
		{"simple", "reloading", "reload", true, true},
		{"simple", "deactivating", "stop-sigterm", true, false},
		{"simple", "activating", "auto-restart", true, false},
		{"simple", "failed", "failed", false, false},
		{"simple", "inactive", "dead", false, false},
		{"oneshot", "inactive", "dead", false, true},
		{"oneshot", "failed", "failed", false, false},
	} {
		runs, started := isActive(c.active), hasStarted(map[string]string{"Type": c.kind, "ActiveState": c.active, "SubState": c.sub})
		if runs != c.runs || started != c.started {
			t.Errorf("%+v: runs %v, started %v", c, runs, started)
		}
	}
}

// scriptedInit is an init system that says what a test has it say.
type scriptedInit struct {
	initSystem
	states  []bool // of the service, look by look; the last stays
	looks   int
	do      func() // when it is to reload or to forget the service
	dropped bool
}

func (s *scriptedInit) active(string) (bool, error) {
	s.looks++
	return len(s.states) > 0 && s.states[min(s.looks, len(s.states))-1], nil
}

func (s *scriptedInit) mainPID(string, []host.Process) (int, error) { return 0, nil }
func (s *scriptedInit) stop(context.Context, string) error          { return nil }

func (s *scriptedInit) reloadOne(context.Context, string) (bool, error) {
	s.do()
	return true, nil
}

func (s *scriptedInit) forget(context.Context, string) error {
	s.dropped = true
	s.do()
	return nil
}

func scriptedServices(t *testing.T, s *scriptedInit) servicesWriter {
	h, err := Open("/")
	must(t, err)
	t.Cleanup(func() { h.Close() })
	w := h.ServiceWriter.(servicesWriter)
	w.services.system = func() initSystem { return s }
	return w
}

// daemon is a copy of a program by the name of a service that no other test has.
func daemon(t *testing.T) (name string, start func() *exec.Cmd) {
	name = "zcp2kopano-test-daemon"
	data, err := os.ReadFile("/bin/sleep")
	must(t, err)
	file := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(file, data, 0o700))
	return name, func() *exec.Cmd {
		cmd := exec.Command(file, "infinity")
		cmd.Args[0] = "sleep" // which it is told by where one program is many
		must(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
}

// TestStoppedIsSeenTwice: between two looks a service can start a child, so one look at nothing is not enough.
func TestStoppedIsSeenTwice(t *testing.T) {
	s := &scriptedInit{states: []bool{false, true, false, false}}
	must(t, scriptedServices(t, s).StopService(t.Context(), "zcp2kopano-none", time.Minute))
	if s.looks != len(s.states) {
		t.Errorf("it looked %d times", s.looks)
	}
}

// TestReloadThatEndsTheService: a service whose process is another one after it was to reload has not survived that.
func TestReloadThatEndsTheService(t *testing.T) {
	name, start := daemon(t)
	old := start()
	s := &scriptedInit{do: func() {}}
	w := scriptedServices(t, s)
	must(t, w.ReloadService(t.Context(), name))
	s.do = func() {
		old.Process.Kill()
		old.Wait()
		start()
	}
	if err := w.ReloadService(t.Context(), name); err == nil || !strings.Contains(err.Error(), "ended by it") {
		t.Errorf("got %v", err)
	}
}

// TestKilledIsForgottenFirst: init is told that a service is not to run while it runs yet, or it would start it again.
func TestKilledIsForgottenFirst(t *testing.T) {
	name, start := daemon(t)
	cmd := start()
	s := &scriptedInit{}
	s.do = func() {
		if gone(cmd.Process.Pid) {
			t.Error("it was killed before")
		}
	}
	must(t, scriptedServices(t, s).KillService(t.Context(), name, nil))
	if !gone(cmd.Process.Pid) {
		t.Error("it runs")
	}
	if !s.dropped {
		t.Error("init was not told")
	}
}
