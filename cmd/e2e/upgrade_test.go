package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host/hosttest/chance"
)

// inits are the init systems that a site can have. The units of systemd give the server a /tmp of its own.
var inits = []struct {
	name string
	site func(*testing.T) *Root
}{
	{"sysv", func(t *testing.T) *Root { return NewSite(t) }},
	{"systemd", func(t *testing.T) *Root {
		r := NewSite(t, Systemd())
		r.WriteFile("/etc/systemd/system/kopano-server.service.d/tmp.conf", "[Service]\nPrivateTmp=yes\n", 0o644)
		r.Must("systemctl", "daemon-reload")
		return r
	}},
}

// onBothInits runs a test of the migration on init scripts and on systemd.
func onBothInits(t *testing.T, test func(*testing.T, *Root)) {
	for _, init := range inits {
		t.Run(init.name, func(t *testing.T) {
			t.Parallel()
			test(t, init.site(t))
		})
	}
}

// onOneInit runs one on an init system that the seed picks, with make crash on both. Tests that are much alike
// have different turns, so that together they come upon both.
func onOneInit(t *testing.T, turn int, test func(*testing.T, *Root)) {
	if chance.Nothing() {
		onBothInits(t, test)
		return
	}
	init := inits[(turn+chance.Rand(t, 0).IntN(len(inits)))%len(inits)]
	t.Run(init.name, func(t *testing.T) { test(t, init.site(t)) })
}

// bootedSystemd reports whether systemd runs in the root.
func (r *Root) bootedSystemd() bool {
	_, err := os.Stat(r.Path("/run/systemd/system"))
	return err == nil
}

// newest is the newest Kopano that can be had there, and the revision of its database: from 8.5 on it needs systemd.
func (r *Root) newest() (repository, revision string) {
	if r.bootedSystemd() {
		return "kopano87", "118"
	}
	return "kopano84", "66"
}

// upgrading reports whether the server upgrades: its lock is there, or, in a /tmp of its own, a step is done.
func (r *Root) upgrading() bool {
	return r.processOf("kopano-server") != "" && (r.exists(kopanoLock) || r.revision() != "64")
}

// interrupted begins a migration, interrupts it in the middle of the server's upgrade, and returns the server's process.
func interrupted(t *testing.T, r *Root) (server string) {
	t.Helper()
	return interruptedAt(t, r, "the upgrade", r.upgrading)
}

// interruptedAt interrupts it once the server has come so far.
func interruptedAt(t *testing.T, r *Root, what string, is func() bool) (server string) {
	t.Helper()
	repository, _ := r.newest()
	run := r.MigrateCommand(Migration{Repository: repository})
	told := make(chan Result, 1)
	go func() {
		res, _ := r.finish(run)
		told <- res
	}()
	r.await(t, what, func() bool {
		if len(told) > 0 {
			t.Fatalf("the run ended before %s: %+v", what, <-told)
		}
		return is()
	})
	r.interrupt(t)
	res := <-told
	if res.Code != 130 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	return r.processOf("kopano-server") // which may have gone to the background only now
}

// interrupt is Ctrl-C, as the worker gets it.
func (r *Root) interrupt(t *testing.T) {
	t.Helper()
	worker := strings.Fields(r.Must("pgrep", "-f", "^"+Program+" worker"))[0]
	r.Must("kill", "-INT", worker)
}

// processOf is the number of a program's process inside the root; empty if it has none.
func (r *Root) processOf(name string) string {
	pids := strings.Fields(r.Run("pgrep", "-o", "-x", name).Output)
	if len(pids) == 0 {
		return ""
	}
	return pids[0]
}

// TestUpgradeIsLeftAlone breaks the wait for the upgrade off, tries what would end the server, and goes on with the wait.
func TestUpgradeIsLeftAlone(t *testing.T) {
	t.Parallel()
	onOneInit(t, 5, func(t *testing.T, r *Root) {
		r.BindRepositories()
		r.Behave("kopano-server", "upgrade = 10m")
		_, target := r.newest()
		server := interrupted(t, r)
		for _, way := range [][]string{{"--yes"}, {"--restore-database", "--yes"}} {
			res := r.Zcp2kopano(append([]string{"rollback"}, way...)...)
			for _, text := range []string{"nothing was changed", "kopano-server (pid " + server + ")", "upgrades the database", "--kill-upgrade"} {
				if res.Code != 1 || !strings.Contains(squeezed(res.Output), text) {
					t.Errorf("rollback %v: exit status %d; want %q\n%s", way, res.Code, text, res.Output)
				}
			}
		}
		if res := r.check(); res.Code != 2 || !strings.Contains(squeezed(res.Output), "kopano-server upgrades the database") || strings.Contains(squeezed(res.Output), "kopano-server restart") {
			t.Errorf("check: exit status %d\n%s", res.Code, res.Output)
		}
		if r.revision() == target {
			t.Fatal("the upgrade was too short for this test")
		}
		on := r.OnTerminal(r.program("resume", "--json"))
		on.Expect("of " + target)
		r.Behave("kopano-server")
		if res := on.Finish(); res.Code != 0 {
			t.Errorf("resume: exit status %d\n%s", res.Code, res.Output)
		}
		if now := r.processOf("kopano-server"); now != server {
			t.Errorf("the server was process %s, and is %s", server, now)
		}
		if r.revision() != target {
			t.Errorf("the database is at revision %s", r.revision())
		}
		if err := r.Server(kopanoSocket).Serves(); err != nil {
			t.Error(err)
		}
		if log := r.ReadFile("/var/log/kopano/server.log"); strings.Contains(log, "Duplicate column") {
			t.Errorf("a step was repeated:\n%s", log)
		}
	})
}

// TestNothingWasUpgraded lets kopano-server refuse its configuration: it has done nothing to the database, the run
// says so, and the way back needs no dump.
func TestNothingWasUpgraded(t *testing.T) {
	t.Parallel()
	onOneInit(t, 0, func(t *testing.T, r *Root) {
		r.BindRepositories()
		before := dumped(r)
		r.Behave("kopano-server", "refuses = yes")
		repository, _ := r.newest()
		res := r.Migrate(Migration{Repository: repository})
		said := squeezed(res.Output)
		if res.Code != 1 || !strings.Contains(said, "the database is as it was: start kopano-server failed before anything was done to it") {
			t.Fatalf("exit status %d\n%s", res.Code, res.Output)
		}
		if strings.Contains(said, "--restore-database`") {
			t.Errorf("it offers to load the dump:\n%s", res.Output)
		}
		if res := r.Zcp2kopano("rollback", "--restore-database", "--yes"); res.Code != 1 || !strings.Contains(squeezed(res.Output), "there is no database to restore") {
			t.Errorf("rollback --restore-database: exit status %d\n%s", res.Code, res.Output)
		}
		if res := r.Zcp2kopano("rollback", "--yes"); res.Code != 0 {
			t.Errorf("rollback: exit status %d\n%s", res.Code, res.Output)
		}
		if err := r.Server("/run/zarafad/server.sock").Serves(); err != nil {
			t.Error(err)
		}
		if dumped(r) != before {
			t.Error("the database is another")
		}
	})
}

// squeezed is text whose lines were broken for a terminal.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestStopBeforeTheLock interrupts the run when the server runs and has no lock yet: a rollback waits to see what it is about,
// and status names no way that would be refused.
func TestStopBeforeTheLock(t *testing.T) {
	t.Parallel()
	onOneInit(t, 1, func(t *testing.T, r *Root) {
		r.BindRepositories()
		r.Behave("kopano-server", "before lock = 10m")
		_, target := r.newest()
		server := interruptedAt(t, r, "the server", func() bool { return r.processOf("kopano-server") != "" })
		if r.upgrading() {
			t.Fatal("the upgrade has begun before this test could do its part")
		}
		on := r.OnTerminal(r.program("rollback", "--yes", "--json"))
		on.Expect("it was started just now")
		r.Behave("kopano-server", "upgrade = 10m")
		res := on.Finish()
		for _, text := range []string{"nothing was changed", "kopano-server (pid " + server + ")", "upgrades the database"} {
			if res.Code != 1 || !strings.Contains(squeezed(res.Output), text) {
				t.Errorf("rollback: exit status %d; want %q\n%s", res.Code, text, res.Output)
			}
		}
		status := squeezed(r.Zcp2kopano("status").Output)
		if !strings.Contains(status, "--kill-upgrade") || !strings.Contains(status, "zcp2kopano resume") || strings.Contains(status, "zcp2kopano rollback` ") {
			t.Errorf("status lists what is refused:\n%s", status)
		}
		if now := r.processOf("kopano-server"); now != server {
			t.Fatalf("the server was process %s, and is %s", server, now)
		}
		r.Behave("kopano-server")
		if res := r.Zcp2kopano("resume"); res.Code != 0 || r.revision() != target {
			t.Errorf("resume: exit status %d, revision %s\n%s", res.Code, r.revision(), res.Output)
		}
	})
}

// TestUpgradeIsReplaced ends the server in the middle of its upgrade, since the dump replaces what that breaks.
func TestUpgradeIsReplaced(t *testing.T) {
	t.Parallel()
	onOneInit(t, 6, func(t *testing.T, r *Root) {
		r.BindRepositories()
		content := dumped(r)
		r.Behave("kopano-server", "upgrade = 5m")
		interrupted(t, r)
		if res := r.Zcp2kopano("rollback", "--yes", "--kill-upgrade"); res.Code == 0 || !strings.Contains(res.Output, "--restore-database") {
			t.Errorf("without the dump: exit status %d\n%s", res.Code, res.Output)
		}
		res := r.Zcp2kopano("rollback", "--restore-database", "--kill-upgrade", "--yes")
		if res.Code != 0 {
			t.Fatalf("exit status %d\n%s", res.Code, res.Output)
		}
		if pid := r.processOf("kopano-server"); pid != "" {
			t.Errorf("kopano-server runs as process %s", pid)
		}
		if dumped(r) != content {
			t.Error("the database is not as it was before the run")
		}
		if left, _ := filepath.Glob(r.Path("/tmp/*upgrade-lock")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if err := r.Server("/run/zarafad/server.sock").Serves(); err != nil {
			t.Error(err)
		}
	})
}

// TestKillIsAsked: on a terminal it is a full "yes", to a question that names what is killed, that ends a server in its upgrade.
func TestKillIsAsked(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	content := dumped(r)
	r.Behave("kopano-server", "upgrade = 10m")
	server := interrupted(t, r)
	ask := func(answers ...string) Result {
		t.Helper()
		on := r.OnTerminal(r.program("rollback", "--restore-database"))
		on.Expect("Undo all of run")
		on.Expect("Type yes or no: ")
		on.Type("yes\n")
		on.Expect("kopano-server (process " + server + ") upgrades the database")
		on.Expect("Kill it?")
		for _, answer := range answers {
			on.Expect("Type yes or no: ")
			on.Type(answer + "\n")
		}
		return on.Finish()
	}
	if res := ask("y", "", "no"); res.Code != 1 || !strings.Contains(squeezed(res.Output), "not rolled back: nothing was changed, and kopano-server goes on") {
		t.Errorf("no: exit status %d\n%s", res.Code, res.Output)
	}
	if now := r.processOf("kopano-server"); now != server {
		t.Fatalf("the server was process %s, and is %s", server, now)
	}
	if res := ask("yes"); res.Code != 0 {
		t.Fatalf("yes: exit status %d\n%s", res.Code, res.Output)
	}
	if pid := r.processOf("kopano-server"); pid != "" {
		t.Errorf("kopano-server runs as process %s", pid)
	}
	if dumped(r) != content {
		t.Error("the database is not as it was before the run")
	}
}

// TestServerDiesInItsUpgrade: the run fails at once, with what the log says.
func TestServerDiesInItsUpgrade(t *testing.T) {
	t.Parallel()
	onOneInit(t, 2, func(t *testing.T, r *Root) {
		r.BindRepositories()
		r.Behave("kopano-server", "upgrade = 10m", "dies after = 1m")
		repository, _ := r.newest()
		res := r.Migrate(Migration{Repository: repository})
		for _, text := range []string{"service kopano-server does not work", "ended", "/var/log/kopano/server.log", "Connection to database", "zcp2kopano resume"} {
			if res.Code != 1 || !strings.Contains(strings.ToLower(squeezed(res.Output)), strings.ToLower(text)) {
				t.Errorf("exit status %d; want %q\n%s", res.Code, text, res.Output)
			}
		}
		if running := r.Processes(); slices.Contains(running, "kopano-dagent") {
			t.Errorf("dagent was started without a server: %v", running)
		}
	})
}

// TestDaemonThatDoesNotWork: the others start, the run fails, a resume repairs it; later a check reports it.
func TestDaemonThatDoesNotWork(t *testing.T) {
	t.Parallel()
	onOneInit(t, 3, func(t *testing.T, r *Root) {
		r.BindRepositories()
		r.Behave("kopano-gateway", "refuses = yes")
		repository, _ := r.newest()
		res := r.Migrate(Migration{Repository: repository})
		if res.Code != 1 || !strings.Contains(squeezed(res.Output), "kopano-gateway") {
			t.Fatalf("exit status %d\n%s", res.Code, res.Output)
		}
		running := r.Processes()
		for _, daemon := range []string{"kopano-server", "kopano-dagent", "kopano-spooler", "kopano-ical"} {
			if !slices.Contains(running, daemon) {
				t.Errorf("%s does not run", daemon)
			}
		}
		r.Behave("kopano-gateway")
		if res := r.Zcp2kopano("resume"); res.Code != 0 {
			t.Fatalf("resume: exit status %d\n%s", res.Code, res.Output)
		}
		if res := r.check(); res.Code != 0 {
			t.Errorf("check: exit status %d\n%s", res.Code, res.Output)
		}
		r.Behave("kopano-gateway", "silent = yes")
		r.Run("pkill", "-9", "-x", "kopano-gateway")
		if err := r.restart("kopano-gateway"); err != nil {
			t.Fatal(err)
		}
		res = r.check()
		if res.Code != 2 || !strings.Contains(squeezed(res.Output), "kopano-gateway does not work") {
			t.Errorf("check: exit status %d\n%s", res.Code, res.Output)
		}
	})
}

// TestLogOfADaemon: a spooler that its server does not let in lives on, and is seen not to work; what the ical server says
// beside its work is told, and the run goes on.
func TestLogOfADaemon(t *testing.T) {
	t.Parallel()
	onOneInit(t, 4, func(t *testing.T, r *Root) {
		r.BindRepositories()
		r.Behave("kopano-spooler", "no session = yes")
		r.Behave("kopano-ical", "says = no such plugin")
		repository, _ := r.newest()
		res := r.Migrate(Migration{Repository: repository})
		for _, text := range []string{"service kopano-spooler does not work", "Unable to open admin session: logon failed"} {
			if res.Code != 1 || !strings.Contains(squeezed(res.Output), text) {
				t.Errorf("exit status %d; want %q\n%s", res.Code, text, res.Output)
			}
		}
		r.Behave("kopano-spooler")
		r.Run("pkill", "-9", "-x", "kopano-spooler")
		if err := r.restart("kopano-spooler"); err != nil {
			t.Fatal(err)
		}
		res = r.Zcp2kopano("resume")
		for _, text := range []string{"a connection that it holds to", "kopano-ical works, and its log shows failures", "no such plugin"} {
			if res.Code != 0 || !strings.Contains(squeezed(res.Output), text) {
				t.Errorf("resume: exit status %d; want %q\n%s", res.Code, text, res.Output)
			}
		}
	})
}

// check looks at the host as after the migration.
func (r *Root) check() Result {
	r.t.Helper()
	repository, _ := r.newest()
	return r.Finish(r.program("check", Migration{Repository: repository}.args()...))
}

// restart begins a service by the root's own init.
func (r *Root) restart(name string) error {
	cmd := r.Command("/etc/init.d/"+name, "restart")
	if r.bootedSystemd() {
		cmd = r.Command("systemctl", "restart", name)
	}
	_, err := r.finish(cmd)
	return err
}

// TestForgottenDaemon: a daemon of ZCP that was started by hand goes on by the service's own account of it, and keeps
// Kopano from starting.
func TestForgottenDaemon(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	r.WriteFile("/root/site.star", `load("@stock//debian.star", stock = "runbook")

def wait_here():
    """Give a monitor the time to start a daemon again."""
    if fs.exists("/root/hold"):
        fail("hold")

runbook = stock.after("set_ownership", wait_here)
`, 0o644)
	r.WriteFile("/root/hold", "", 0o644)
	gateway := r.ReadFile("/usr/sbin/zarafa-gateway")
	run := append([]string{"/root/site.star", "--yes", "--no-forecast"}, Migration{Repository: "kopano84"}.args()...)
	if res := r.Finish(r.program("run", run...)); res.Code != 1 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	r.WriteFile("/usr/local/sbin/zarafa-gateway", gateway, 0o755)
	r.WriteFile("/root/gateway.cfg", "pop3_port = 1110\nimap_port = 1143\nrun_as_user = root\nrun_as_group = root\npid_file = /root/gateway.pid\nserver_socket = http://localhost:236/zarafa\n", 0o644)
	forgotten := r.Command("/usr/local/sbin/zarafa-gateway", "-F", "-c", "/root/gateway.cfg")
	if err := r.Start(forgotten); err != nil {
		t.Fatal(err)
	}
	r.until("the forgotten daemon", func() bool { return r.processOf("zarafa-gateway") != "" })
	if err := os.Remove(r.Path("/root/hold")); err != nil {
		t.Fatal(err)
	}
	res := r.Zcp2kopano("resume")
	if res.Code != 1 || !strings.Contains(squeezed(res.Output), "still running: zarafa-gateway") || r.revision() != "64" {
		t.Errorf("exit status %d, schema %s\n%s", res.Code, r.revision(), res.Output)
	}
	end(forgotten)
	if res := r.Zcp2kopano("resume"); res.Code != 0 {
		t.Errorf("once it was gone: exit status %d\n%s", res.Code, res.Output)
	}
}

func end(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
}
