package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/manifest"
)

func TestMain(m *testing.M) { Main(m) }

func TestRootIsFreshAndApart(t *testing.T) {
	r := NewRoot(t)
	if got := strings.TrimSpace(r.Must("hostname")); got != hostname {
		t.Errorf("host name %q", got)
	}
	if got := r.Processes(); len(got) != 0 {
		t.Errorf("processes at start: %v", got)
	}
	r.WriteFile("/etc/motd", "changed\n", 0o644)
	if other := NewRoot(t); strings.Contains(other.ReadFile("/etc/motd"), "changed") {
		t.Error("a change shows in another root")
	}
	before, err := os.Hostname()
	if err != nil || before == hostname {
		t.Errorf("the test machine's host name is %q, %v", before, err)
	}
}

func TestInstallEditPurge(t *testing.T) {
	t.Parallel()
	r := NewRoot(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa")
	for _, path := range []string{"/etc/zarafa/server.cfg", "/etc/zarafa/ldap.propmap.cfg", "/usr/sbin/zarafa-server", "/var/log/zarafa"} {
		if _, err := os.Lstat(r.Path(path)); err != nil {
			t.Errorf("after installation: %v", err)
		}
	}
	r.Must("id", "zarafa")
	r.Edit("/etc/zarafa/dagent.cfg", "log_level = 3", "log_level = 4")
	r.WriteFile("/etc/zarafa/own.cfg", "mine\n", 0o600)
	r.Must("apt-get", "purge", "-y", "zarafa-*", "zarafa")
	if _, err := os.Lstat(r.Path("/etc/zarafa/dagent.cfg")); !os.IsNotExist(err) {
		t.Errorf("an edited conffile outlived the purge: %v", err)
	}
	if r.ReadFile("/etc/zarafa/own.cfg") != "mine\n" {
		t.Error("a file of nobody's did not outlive the purge")
	}
}

func TestMariaDBAnswersAndDumps(t *testing.T) {
	t.Parallel()
	r := NewRoot(t)
	r.StartMariaDB()
	if got := strings.TrimSpace(r.SQL("SELECT MAX(databaserevision) FROM zarafa.versions")); got != "64" {
		t.Errorf("schema %q", got)
	}
	r.WriteFile("/root/my.cnf", "[client]\nuser=zarafa\npassword=\""+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Password)+"\"\n", 0o600)
	dump := r.Must("mysqldump", "--defaults-file=/root/my.cnf", "--single-transaction", "--hex-blob", "zarafa")
	for _, want := range []string{"CREATE TABLE `stores`", "'anna'", "-- Dump completed"} {
		if !strings.Contains(dump, want) {
			t.Errorf("dump has no %s", want)
		}
	}
	r.StopMariaDB()
}

func TestZarafaServerRunsAndStops(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.Must("service", "zarafa-server", "start")
	r.Must("service", "zarafa-server", "status")
	if !slices.Contains(r.Processes(), "zarafa-server") {
		t.Errorf("processes: %v", r.Processes())
	}
	if log := r.ReadFile("/var/log/zarafa/server.log"); !strings.Contains(log, "database zarafa, attachments /var/lib/zarafa/attachments") {
		t.Errorf("log: %s", log)
	}
	r.Must("service", "zarafa-server", "stop")
	if slices.Contains(r.Processes(), "zarafa-server") {
		t.Error("zarafa-server goes on after stop")
	}
	if code := r.Run("service", "zarafa-server", "status").Code; code != 3 {
		t.Errorf("status of a stopped service: %d", code)
	}
}

func TestManifestSeesChanges(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	before := r.State()
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Fatalf("the state changes by itself:\n%s", manifest.Table(diffs, "first", "second"))
	}
	r.Edit("/etc/zarafa/ical.cfg", "log_level = 3", "log_level = 5")
	r.Chown("/var/lib/zarafa/attachments/1/0/1", "root", "zarafa")
	r.Must("service", "zarafa-ical", "stop")
	r.Must("apt-get", "remove", "-y", "zarafa-webapp")
	diffs := manifest.Compare(before, r.State(), nil)
	for _, want := range []string{"/etc/zarafa/ical.cfg content", "/var/lib/zarafa/attachments/1/0/1 owner", "service zarafa-ical state", "package zarafa-webapp state"} {
		if !slices.ContainsFunc(diffs, func(d manifest.Difference) bool { return d.Path+" "+d.Aspect == want }) {
			t.Errorf("not noticed: %s", want)
		}
	}
}
