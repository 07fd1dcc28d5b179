package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unit puts a service into the root: a unit with a program of its own name, which is a copy of
// sleep(1) or a script. It has started when the program runs (Type=exec), if no other type is given.
func (r *Root) unit(name, script string, lines ...string) {
	r.t.Helper()
	program := "/usr/local/sbin/" + name
	if script == "" {
		r.Must("cp", "/usr/bin/sleep", program)
	} else {
		r.WriteFile(program, "#!/bin/sh\n"+script+"\n", 0o755)
	}
	lines = append(lines, "ExecStart="+program+" 1000000")
	if !strings.Contains(strings.Join(lines, "\n"), "Type=") {
		lines = append(lines, "Type=exec")
	}
	r.WriteFile("/usr/lib/systemd/system/"+name+".service",
		"[Unit]\nDescription="+name+"\n\n[Service]\n"+strings.Join(lines, "\n")+"\n\n[Install]\nWantedBy=multi-user.target\n", 0o644)
}

// initScript puts an init script into the root, for a copy of sleep(1) of its name.
func (r *Root) initScript(name string) {
	r.t.Helper()
	r.Must("cp", "/usr/bin/sleep", "/usr/local/sbin/"+name)
	r.WriteFile("/etc/init.d/"+name, fmt.Sprintf(`#!/bin/sh
### BEGIN INIT INFO
# Provides:          %[1]s
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: %[1]s
### END INIT INFO
DAEMON=/usr/local/sbin/%[1]s
case "$1" in
start) start-stop-daemon --start --quiet --oknodo --background --make-pidfile --pidfile /run/%[1]s.pid --exec $DAEMON -- 1000000 ;;
stop) start-stop-daemon --stop --quiet --oknodo --retry 5 --pidfile /run/%[1]s.pid --exec $DAEMON ;;
status) start-stop-daemon --status --pidfile /run/%[1]s.pid --exec $DAEMON ;;
esac
`, name), 0o755)
}

// TestServicesSystemd makes the same calls on systemd and on a simulated host, holds both to what is
// written here, and the links that they make to one another.
func TestServicesSystemd(t *testing.T) {
	t.Parallel()
	const ok, refused = "", "error"
	type step struct {
		op        ServiceOp
		err       string // part of the message, or refused for any; both hosts must agree
		state     string
		processes int
	}
	const wait = 5 * time.Minute
	cases := []struct {
		name    string
		prepare func(*Root, string)
		steps   []step
	}{
		{"usual", func(r *Root, name string) { r.unit(name, "") }, []step{
			{ServiceOp{Do: "stop", Patience: wait}, ok, "-", 0},
			{ServiceOp{Do: "start"}, ok, "active", 1},
			{ServiceOp{Do: "start"}, ok, "active", 1},
			{ServiceOp{Do: "enable"}, ok, "active enabled", 1},
			{ServiceOp{Do: "enable"}, ok, "active enabled", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "enabled", 0},
			{ServiceOp{Do: "disable"}, ok, "-", 0},
			{ServiceOp{Do: "disable"}, ok, "-", 0},
			{ServiceOp{Do: "reload"}, ok, "-", 0},
		}},
		{"masked", func(r *Root, name string) { r.unit(name, "") }, []step{
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
			{ServiceOp{Do: "start"}, ok, "active enabled", 1},
			{ServiceOp{Do: "mask"}, ok, "active masked", 1},
			{ServiceOp{Do: "mask"}, ok, "active masked", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "masked", 0},
			{ServiceOp{Do: "start"}, "masked", "masked", 0},
			{ServiceOp{Do: "enable"}, "masked", "masked", 0},
			{ServiceOp{Do: "unmask"}, ok, "enabled", 0},
			{ServiceOp{Do: "unmask"}, ok, "enabled", 0},
			{ServiceOp{Do: "start"}, ok, "active enabled", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "enabled", 0},
		}},
		{"unit-and-script", func(r *Root, name string) {
			r.initScript(name)
			r.unit(name, "")
			r.Must("update-rc.d", name, "defaults")
		}, []step{
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
			{ServiceOp{Do: "start"}, ok, "active enabled", 1},
			{ServiceOp{Do: "disable"}, ok, "active", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "-", 0},
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
		}},
		{"script", func(r *Root, name string) { r.initScript(name); r.Must("update-rc.d", name, "defaults") }, []step{
			{ServiceOp{Do: "start"}, ok, "active enabled", 1},
			{ServiceOp{Do: "disable"}, ok, "active", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "-", 0},
			{ServiceOp{Do: "mask"}, ok, "masked", 0},
			{ServiceOp{Do: "start"}, "masked", "masked", 0},
			{ServiceOp{Do: "unmask"}, ok, "-", 0},
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
		}},
		{"of-the-admin", func(r *Root, name string) {
			r.unit(name, "")
			r.Must("mv", "/usr/lib/systemd/system/"+name+".service", "/etc/systemd/system/")
		}, []step{
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
			{ServiceOp{Do: "mask"}, refused, "enabled", 0},
			{ServiceOp{Do: "start"}, ok, "active enabled", 1},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "enabled", 0},
			{ServiceOp{Do: "disable"}, ok, "-", 0},
		}},
		{"with-links", func(r *Root, name string) {
			r.unit(name, "")
			r.unit(name+"-too", "")
			file := "/usr/lib/systemd/system/" + name + ".service"
			text := r.ReadFile(file)
			r.WriteFile(file, text+"RequiredBy=rescue.target\nAlias=test-other-name.service\nAlso="+name+"-too.service\n", 0o644)
		}, []step{
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
			{ServiceOp{Do: "enable"}, ok, "enabled", 0},
			{ServiceOp{Do: "disable"}, ok, "-", 0},
		}},
		{"as-nobody-known", func(r *Root, name string) { r.unit(name, "", "User=nosuchuser") }, []step{
			{ServiceOp{Do: "start"}, refused, "failed", 0},
			{ServiceOp{Do: "stop", Patience: wait}, ok, "failed", 0},
		}},
		{"nobody", nil, []step{
			{ServiceOp{Do: "stop", Patience: wait}, ok, "unknown", 0},
			{ServiceOp{Do: "start"}, refused, "unknown", 0},
			{ServiceOp{Do: "enable"}, refused, "unknown", 0},
			{ServiceOp{Do: "disable"}, refused, "unknown", 0},
		}},
	}
	r := NewRoot(t, Systemd())
	for _, c := range cases {
		if c.prepare != nil {
			c.prepare(r, "test-"+c.name)
		}
	}
	r.Must("systemctl", "daemon-reload")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var ops []ServiceOp
			for _, s := range c.steps {
				s.op.Name = "test-" + c.name
				ops = append(ops, s.op)
			}
			got := r.TellServices(ops...)
			for i, s := range c.steps {
				what := fmt.Sprintf("%d. %s", i+1, s.op.Do)
				for host, o := range map[string]ServiceOutcome{"systemd": got.Real[i], "simulation": got.Simulated[i]} {
					if o.State != s.state || o.Processes != s.processes {
						t.Errorf("%s on %s: %q with %d processes, want %q with %d", what, host, o.State, o.Processes, s.state, s.processes)
					}
					if (o.Error == "") != (s.err == ok) || s.err != refused && !strings.Contains(o.Error, s.err) {
						t.Errorf("%s on %s: error %q, want %q", what, host, o.Error, s.err)
					}
				}
				if diff := cmp.Diff(got.Real[i].Links, got.Simulated[i].Links); diff != "" {
					t.Errorf("%s: links (-systemd +simulation):\n%s", what, diff)
				}
			}
		})
	}
}

// TestServicesThatMisbehave is about what a simulation cannot know: programs that fail, or do not end.
func TestServicesThatMisbehave(t *testing.T) {
	t.Parallel()
	r := NewRoot(t, Systemd())
	tell := func(do, name string, patience time.Duration) ServiceOutcome {
		t.Helper()
		return r.TellServices(ServiceOp{Do: do, Name: name, Patience: patience}).Real[0]
	}
	expect := func(what string, o ServiceOutcome, state string, processes int, words ...string) {
		t.Helper()
		if o.State != state || o.Processes != processes || (o.Error == "") != (len(words) == 0) {
			t.Errorf("%s: %q with %d processes, error %q; want %q with %d", what, o.State, o.Processes, o.Error, state, processes)
		}
		for _, word := range words {
			if !strings.Contains(o.Error, word) {
				t.Errorf("%s: error %q does not say %q", what, o.Error, word)
			}
		}
	}
	// ready waits until a script has come to its "touch".
	ready := func(file string) {
		t.Helper()
		r.await(t, file, func() bool { _, err := os.Lstat(r.Path(file)); return err == nil })
	}
	r.unit("test-fails", "", "ExecStartPre=/usr/bin/test -e /run/mended")
	expect("start of one that fails", tell("start", "test-fails", 0), "failed", 0, "test-fails")
	r.WriteFile("/run/mended", "", 0o644)
	expect("start of one that had failed", tell("start", "test-fails", 0), "active", 1)

	r.unit("test-unready", "exit 3", "Type=forking")
	expect("start of a forking one that fails", tell("start", "test-unready", 0), "failed", 0, "test-unready")

	// To systemd the start of these two is a success.
	r.unit("test-ends", "exit 0", "Type=forking")
	expect("start of one that ends at once", tell("start", "test-ends", 0), "-", 0, "test-ends", "ended right after its start")
	r.unit("test-again", "exit 0", "Type=forking", "Restart=always", "RestartSec=1h")
	expect("start of one that waits for its next attempt", tell("start", "test-again", 0), "active", 0, "ended right after its start")
	expect("stop of one that waits for its next attempt", tell("stop", "test-again", 5*time.Minute), "-", 0)

	r.unit("test-slow", "", "ExecStartPre=/usr/bin/sleep 2")
	expect("start of a slow one", tell("start", "test-slow", 0), "active", 1)

	const deaf = "trap '' TERM; touch /run/${0##*/}; while :; do sleep 1; done"
	r.unit("test-deaf", deaf, "TimeoutStopSec=1h")
	expect("start of a deaf one", tell("start", "test-deaf", 0), "active", 1)
	ready("/run/test-deaf")
	expect("stop of a deaf one", tell("stop", "test-deaf", 2*time.Second), "active", 1, "test-deaf", "still run")
	r.Must("systemctl", "kill", "--signal=KILL", "test-deaf.service")
	expect("second stop of a deaf one", tell("stop", "test-deaf", 5*time.Minute), "failed", 0)

	r.unit("test-killed", deaf, "TimeoutStopSec=2")
	expect("start of one that systemd will kill", tell("start", "test-killed", 0), "active", 1)
	ready("/run/test-killed")
	expect("stop of one that systemd kills", tell("stop", "test-killed", 5*time.Minute), "failed", 0)

	// The main process ends, its child stays, and systemd calls that stopped.
	r.Must("cp", "/usr/bin/sleep", "/usr/local/sbin/child")
	r.unit("test-parent", "/usr/local/sbin/child 1000000 & touch /run/test-parent; while :; do sleep 1; done", "KillMode=process")
	expect("start of a parent", tell("start", "test-parent", 0), "active", 1)
	ready("/run/test-parent")
	r.await(t, "the child", func() bool { return r.Run("pgrep", "-x", "child").Code == 0 })
	expect("stop of a parent", tell("stop", "test-parent", 2*time.Second), "-", 0, "/usr/local/sbin/child")
	r.Must("pkill", "-KILL", "-x", "child")
	expect("second stop of a parent", tell("stop", "test-parent", 5*time.Minute), "-", 0)

	// A changed unit takes effect after a reload only.
	r.unit("test-changed", "")
	expect("start", tell("start", "test-changed", 0), "active", 1)
	r.Must("cp", "/usr/bin/sleep", "/usr/local/sbin/other")
	r.WriteFile("/usr/lib/systemd/system/test-changed.service", "[Service]\nType=exec\nExecStart=/usr/local/sbin/other 1000000\n", 0o644)
	tell("reload", "", 0)
	tell("stop", "test-changed", 5*time.Minute)
	expect("start of the changed one", tell("start", "test-changed", 0), "active", 0)
	r.Must("pgrep", "-x", "other")
}
