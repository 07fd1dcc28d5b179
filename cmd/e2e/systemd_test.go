package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/hosttest/golden"
	"zcp2kopano/runtime/host/manifest"
)

func TestSystemdBootsAndGoes(t *testing.T) {
	t.Parallel()
	var group string
	t.Run("root", func(t *testing.T) {
		r := NewRoot(t, Systemd())
		group = r.cgroup.dir
		if got := strings.TrimSpace(r.Must("cat", "/proc/1/comm")); got != "systemd" {
			t.Errorf("the first process is %q", got)
		}
		for _, unit := range []string{"dbus.service", "systemd-logind.service"} {
			r.Must("systemctl", "is-active", unit)
		}
		if res := r.Run("sh", "-c", "echo 1 >/proc/sys/vm/overcommit_memory"); res.Code == 0 {
			t.Error("the root can change the settings of this machine's kernel")
		}
		before := r.State()
		if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
			t.Errorf("the state changes by itself:\n%s", manifest.Table(diffs, "first", "second"))
		}
	})
	if _, err := os.Lstat(group); group == "" || !os.IsNotExist(err) {
		t.Errorf("the control group %s outlives the root: %v", group, err)
	}
}

// TestMigrationSystemd carries the stock runbook out to Kopano 8.7, whose packages bring units only,
// on a host with systemd. The final state is held to the golden list, and to what the simulation said.
func TestMigrationSystemd(t *testing.T) {
	t.Parallel()
	r := NewSite(t, Systemd())
	m := Migration{Repository: "kopano87", Forecast: true}
	r.BindRepositories()
	before := r.State()
	simulated := r.Rehearse(Simulation{Migration: m})
	if simulated.Verdict.Code != 0 {
		t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
	}
	if diffs := manifest.Unexcused(manifest.Compare(simulated.Start, before, nil)); len(diffs) != 0 {
		t.Errorf("the simulation does not start from this host:\n%s", manifest.Table(diffs, "simulated", "real"))
	}
	captured := r.rehearseSnapshot()
	if diffs := manifest.Compare(servicesOnly(captured.Start), servicesOnly(before), nil); len(diffs) != 0 {
		t.Errorf("a snapshot has other services:\n%s", manifest.Table(diffs, "snapshot", "real"))
	}
	res := r.Migrate(m)
	if res.Code != 0 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	if said := squeezed(res.Output); !strings.Contains(said, "the time that it takes, a guess: ") || !strings.Contains(said, "services are down for ") {
		t.Errorf("how long it takes is not told before it begins:\n%s", res.Output)
	}
	after := r.State()
	if diffs := manifest.Compare(servicesOnly(captured.End), servicesOnly(after), nil); len(diffs) != 0 {
		t.Errorf("the simulation over a snapshot ends with other services:\n%s", manifest.Table(diffs, "simulated", "real"))
	}
	golden.File(t, "testdata/systemd.golden", changes(before, after))
	compareEnds(t, simulated, after)
	sameData(t, before, after, "/var/lib/zarafa/attachments", "/var/lib/kopano/attachments", 500)
	for _, daemon := range []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search"} {
		if got := after.Services["kopano-"+daemon]; got != "active enabled" {
			t.Errorf("kopano-%s is %q", daemon, got)
		}
		if !slices.Contains(r.Processes(), "kopano-"+daemon) {
			t.Errorf("kopano-%s has no process", daemon)
		}
	}
	secondRunChangesNothing(t, r, after)
}

// rehearseSnapshot simulates the migration to Kopano 8.7 over a snapshot of the root.
func (r *Root) rehearseSnapshot() Simulated {
	r.t.Helper()
	if res := r.Zcp2kopano("snapshot", "/root/site.txtar"); res.Code != 0 {
		r.t.Fatalf("snapshot: exit status %d\n%s", res.Code, res.Output)
	}
	packages := ReposDir + "/kopano87"
	captured := r.Rehearse(Simulation{
		Migration: Migration{Params: []string{"packages_dir=" + packages}}, Fixture: "/root/site.txtar", Packages: packages,
	})
	if captured.Verdict.Code != 0 {
		r.t.Fatalf("simulation over a snapshot: %+v\n%s", captured.Verdict, strings.Join(captured.Errors, "\n"))
	}
	if err := os.Remove(r.Path("/root/site.txtar")); err != nil {
		r.t.Fatal(err)
	}
	return captured
}

// servicesOnly keeps the services of ZCP and Kopano Core.
func servicesOnly(m *manifest.Manifest) *manifest.Manifest {
	return &manifest.Manifest{Services: only(m, nil).Services}
}

// stopBeforeStart is a runbook that fails before kopano-server starts for the first time.
const stopBeforeStart = `load("@stock//debian.star", stock = "runbook")

def stop_here():
    """Stop before the point of no return."""
    fail("far enough")

runbook = stock.after("set_ownership", stop_here)
`

// TestRollbackSystemd rolls back after the last step that can be, and wants all services as the admin
// had them.
func TestRollbackSystemd(t *testing.T) {
	t.Parallel()
	r := NewSite(t, Systemd())
	r.Must("systemctl", "disable", "zarafa-gateway") // goes on until the next boot
	r.Must("systemctl", "stop", "zarafa-monitor")
	r.Must("systemctl", "stop", "zarafa-ical")
	r.Must("systemctl", "mask", "zarafa-ical")
	r.Must("systemctl", "mask", "zarafa-spooler") // and runs
	r.WriteFile("/root/site.star", stopBeforeStart, 0o644)
	before := r.State()
	for name, want := range map[string]string{
		"zarafa-server": "active enabled", "zarafa-gateway": "active disabled", "zarafa-monitor": "inactive enabled",
		"zarafa-ical": "inactive disabled masked", "zarafa-spooler": "active disabled masked",
	} {
		if got := before.Services[name]; got != want {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
	starts := r.ReadFile("/var/log/zarafa/server.log")
	res := r.Finish(r.program("run", append([]string{"/root/site.star", "--yes", "--no-forecast"}, Migration{Repository: "kopano87"}.args()...)...))
	if res.Code != 1 || !strings.Contains(res.Output, "far enough") {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	if running := r.Processes(); slices.ContainsFunc(running, func(name string) bool { return strings.Contains(name, "zarafa-") }) {
		t.Errorf("before the rollback there run %v", running)
	}
	r.Must("systemctl", "start", "kopano-ical") // writes to its log, and dies before it is purged
	r.await(t, "the log of kopano-ical", func() bool { return r.exists("/var/log/kopano/ical.log") })
	r.Run("systemctl", "kill", "--signal=KILL", "kopano-ical")
	r.Must("sh", "-c", "while systemctl is-active -q kopano-ical; do sleep 0.1; done; systemctl is-failed kopano-ical")
	res = r.Zcp2kopano("rollback", "--yes")
	if res.Code != 0 {
		t.Errorf("rollback: exit status %d\n%s", res.Code, res.Output)
	}
	if failed := r.Run("systemctl", "list-units", "--all", "--no-legend", "--state=failed", "*kopano*"); strings.Contains(failed.Output, "kopano") {
		t.Errorf("systemd remembers failures of what is gone:\n%s", failed.Output)
	}
	if _, err := os.Lstat(r.Path("/run/kopano")); !os.IsNotExist(err) {
		t.Errorf("/run/kopano of a user who is gone: %v", err)
	}
	if _, err := os.Lstat(r.Path("/var/log/kopano/ical.log")); err != nil {
		t.Errorf("what a daemon of Kopano wrote to its log since: %v", err)
	}
	compareBack(t, r, before)
	// The reinstalled server must not have started on the configuration that its package brings.
	log := strings.TrimPrefix(r.ReadFile("/var/log/zarafa/server.log"), starts)
	if got := strings.Count(log, "Startup succeeded"); got != 1 {
		t.Errorf("zarafa-server started %d times after the rollback, want once:\n%s", got, log)
	}
	for _, name := range []string{"zarafa-ical", "zarafa-monitor"} {
		if slices.Contains(r.Processes(), name) {
			t.Errorf("%s runs", name)
		}
	}
}

// TestRunOutlivesItsSession ends the login session from which a run was started, with all that
// systemd finds in it. By nohup the command outlives the hangup, and gets the SIGTERM.
func TestRunOutlivesItsSession(t *testing.T) {
	t.Parallel()
	r := NewSite(t, Systemd())
	r.WriteFile("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n", 0o644)
	r.Must("systemctl", "restart", "systemd-logind")
	// The run waits for this service to stop until the file is gone.
	r.WriteFile("/etc/systemd/system/zarafa-dagent.service.d/hold.conf",
		"[Service]\nExecStop=/bin/sh -c 'while [ -e /run/hold ]; do sleep 0.1; done'\nTimeoutStopSec=1h\n", 0o644)
	r.WriteFile("/run/hold", "", 0o644)
	r.Must("systemctl", "daemon-reload")
	run := r.MigrateCommand(Migration{Repository: "kopano87"})
	login := r.Command("su", "-l", "root", "-c", "export NO_PASSWORD=; nohup "+strings.Join(append([]string{Program}, run.Args[1:]...), " "))
	if err := r.Start(login); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- login.Wait() }()
	r.await(t, "the run to stop zarafa-dagent", func() bool {
		return strings.Contains(r.Run("systemctl", "show", "-p", "ActiveState", "zarafa-dagent").Output, "deactivating")
	})
	sessions := strings.Fields(r.Must("loginctl", "list-sessions", "--no-legend"))
	if len(sessions) == 0 {
		t.Fatal("logind knows of no session")
	}
	follower := strings.Fields(r.Must("pgrep", "-f", "^"+Program+" run"))[0]
	if unit := r.unitOf(follower); unit != "session-"+sessions[0]+".scope" {
		t.Fatalf("the command runs in unit %q, not in session %s", unit, sessions[0])
	}
	worker := strings.Fields(r.Must("pgrep", "-f", "^"+Program+" worker"))[0]
	if unit := r.unitOf(worker); !strings.HasPrefix(unit, "zcp2kopano-") || !strings.HasSuffix(unit, ".scope") {
		t.Errorf("the worker runs in unit %q", unit)
	}
	r.killFirstSystemctl()
	r.Must("loginctl", "terminate-session", sessions[0])
	select {
	case <-ended:
	case <-time.After(hung):
		t.Fatal("the session does not end")
	}
	r.await(t, "the session to be gone", func() bool {
		return r.Run("systemctl", "is-active", "session-"+sessions[0]+".scope").Code != 0
	})
	if _, err := os.Stat(r.Path("/run/first")); err == nil {
		t.Fatal("nobody asked whether the session ends")
	}
	if res := r.Run("kill", "-0", worker); res.Code != 0 {
		t.Fatalf("the worker ended with the session: %s\n%s", res.Output, r.Zcp2kopano("status").Output)
	}
	if err := os.Remove(r.Path("/run/hold")); err != nil {
		t.Fatal(err)
	}
	res := r.Zcp2kopano("status", "--follow")
	if res.Code != 0 || !strings.Contains(res.Output, "verdict: ") {
		t.Errorf("status --follow: exit status %d\n%s", res.Code, res.Output)
	}
	if got := r.State().Services["kopano-server"]; got != "active enabled" {
		t.Errorf("kopano-server is %q", got)
	}
	r.await(t, "the scope of the run to be gone", func() bool {
		return r.Must("systemctl", "list-units", "--no-legend", "--all", "zcp2kopano-*") == ""
	})
}

// killFirstSystemctl has the first systemctl that asks for a session end by SIGTERM, as it may when
// systemd ends all that it finds in the session. The worker calls systemctl all the time: there is no
// instant without one.
func (r *Root) killFirstSystemctl() {
	r.WriteFile("/run/first", "", 0o644)
	r.WriteFile("/usr/bin/systemctl.new", `#!/bin/sh
case "$*" in *"show "*" session-"*) [ -e /run/first ] && rm /run/first && kill -TERM $$ ;; esac
exec /usr/bin/systemctl.real "$@"
`, 0o755)
	r.Must("ln", "/usr/bin/systemctl", "/usr/bin/systemctl.real")
	r.Must("mv", "/usr/bin/systemctl.new", "/usr/bin/systemctl")
}

// unitOf is the unit of a process, by its control group.
func (r *Root) unitOf(pid string) string {
	r.t.Helper()
	for _, part := range strings.Split(strings.TrimSpace(r.Must("cat", "/proc/"+pid+"/cgroup")), "/") {
		if strings.HasSuffix(part, ".scope") || strings.HasSuffix(part, ".service") {
			return part
		}
	}
	return ""
}

// await looks until it is true, for as long as a busy machine may need.
func (r *Root) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hung); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
