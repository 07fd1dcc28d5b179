package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/hosttest"

	"github.com/google/go-cmp/cmp"
)

// unit puts a service into the root: a unit with a program of its own name, which is a copy of
// sleep(1) or a script.
func (r *Root) unit(name, script string, lines ...string) {
	r.t.Helper()
	program := hosttest.ServiceProgram(name)
	if script == "" {
		r.Must("cp", "/usr/bin/sleep", program)
	} else {
		r.WriteFile(program, "#!/bin/sh\n"+script+"\n", 0o755)
	}
	r.WriteFile(hosttest.UnitFile(name), hosttest.Unit(name, lines...), 0o644)
}

// TestServicesSystemd carries the suite out on systemd and on a simulation of the same root, and holds the links that
// they make to one another.
func TestServicesSystemd(t *testing.T) {
	t.Parallel()
	r := NewRoot(t, Systemd())
	for _, c := range hosttest.SystemdCases() {
		r.PutService(c)
	}
	r.Must("systemctl", "daemon-reload")
	for _, c := range hosttest.SystemdCases() {
		t.Run(c.Name, func(t *testing.T) {
			got := r.TellServices(c.Ops()...)
			c.Check(t, "systemd", got.Real)
			c.Check(t, "the simulation", got.Simulated)
			for i, op := range c.Ops() {
				if diff := cmp.Diff(got.Real[i].Links, got.Simulated[i].Links); diff != "" {
					t.Errorf("%d. %s: links (-systemd +simulation):\n%s", i+1, op.Do, diff)
				}
			}
		})
	}
}

// TestServicesThatMisbehave is about what a simulation cannot know: programs that fail, or do not end.
func TestServicesThatMisbehave(t *testing.T) {
	t.Parallel()
	r := NewRoot(t, Systemd())
	tell := func(do, name string, patience time.Duration) hosttest.ServiceOutcome {
		t.Helper()
		return r.TellServices(hosttest.ServiceOp{Do: do, Name: name, Patience: patience}).Real[0]
	}
	expect := func(what string, o hosttest.ServiceOutcome, state string, processes int, words ...string) {
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
	// ready waits until a script has made a file.
	ready := func(file string) {
		t.Helper()
		r.await(t, file, func() bool { _, err := os.Lstat(r.Path(file)); return err == nil })
	}
	r.unit("test-fails", "", "ExecStartPre=/usr/bin/test -e /run/repaired")
	expect("start of one that fails", tell("start", "test-fails", 0), "failed", 0, "test-fails")
	r.WriteFile("/run/repaired", "", 0o644)
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

	// These scripts start no program: until it is one of its own, it would count as a second process of the service.
	r.Must("mkfifo", "/run/never")
	const forever = "while :; do read -r x <>/run/never; done"
	const deaf = "trap '' TERM; : >/run/${0##*/}; " + forever
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
	r.unit("test-parent", "/usr/local/sbin/child 1000000 & "+forever, "KillMode=process")
	var stopped hosttest.ServiceOutcome
	for range 3 { // a child that something else ends says nothing about the stop of its parent
		if started := tell("start", "test-parent", 0); started.Error != "" || started.State != "active" {
			t.Fatalf("start of a parent: %q, error %q", started.State, started.Error)
		}
		r.await(t, "the child", func() bool { return r.runs("child") })
		if stopped = tell("stop", "test-parent", 20*time.Second); stopped.Error != "" || r.runs("child") {
			break
		}
		t.Logf("the child ended; of the stop %+v\n%s", stopped, r.Run("ps", "-eo", "pid,ppid,stat,etimes,args").Output)
	}
	expect("stop of a parent", stopped, "-", 0, "/usr/local/sbin/child")
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

	heardInTheJournal(t, r)
}

// runs reports whether a program runs: one that has ended and waits for its parent does not.
func (r *Root) runs(program string) bool {
	r.t.Helper()
	res := r.Run("ps", "-C", program, "-o", "stat=")
	return res.Code == 0 && !strings.HasPrefix(res.Output, "Z")
}

// heardInTheJournal starts a service that logs to the journal of systemd alone: a failure that it logs while it comes up stops
// the run, what it said before does not, and what somebody should read is returned.
func heardInTheJournal(t *testing.T, r *Root) {
	t.Helper()
	r.WriteFile("/usr/local/sbin/says", "#!/bin/sh\ncat /run/says\njournalctl --sync\n", 0o755)
	r.unit("test-says", "", "ExecStartPre=/usr/local/sbin/says")
	r.WriteFile("/run/says", "session: logon failed of old\n", 0o644)
	r.Must("systemctl", "daemon-reload")
	r.Must("systemctl", "start", "test-says")
	r.Must("systemctl", "stop", "test-says")
	r.WriteFile("/root/says.star", `"""Start a service, and hear what it says."""

def begin():
    """Start it."""
    heard = svc.start("test-says", failures = svc.failures(stops = ["logon failed"], warns = ["closed"]))
    info("heard", "; ".join(heard.failures) if heard else "nothing")

runbook = define(systems = ["debian >= 7"], allow = policy(services = ["test-says"]), steps = [begin])
`, 0o644)
	r.WriteFile("/run/says", "session: logon failed again\n", 0o644)
	res := r.Zcp2kopano("run", "/root/says.star", "--yes", "--no-forecast")
	for _, text := range []string{`its log says "session: logon failed again"`, "journalctl -u test-says"} {
		if res.Code != 1 || !strings.Contains(squeezed(res.Output), text) || strings.Contains(squeezed(res.Output), `says "session: logon failed of old"`) {
			t.Errorf("exit status %d; want %q\n%s", res.Code, text, res.Output)
		}
	}
	r.WriteFile("/run/says", "client: closed\n", 0o644)
	r.Must("systemctl", "stop", "test-says")
	if res := r.Zcp2kopano("resume"); res.Code != 0 || !strings.Contains(squeezed(res.Output), "client: closed") {
		t.Errorf("resume: exit status %d\n%s", res.Code, res.Output)
	}
}
