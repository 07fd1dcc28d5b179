package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestDebianSplit installs Kopano Core as Debian packages it, and sees what its scripts do: an account by
// adduser, a log directory for adm, links that start the units whatever the init system, a database and
// an access to it of its own, and a purge that takes the attachments along.
func TestDebianSplit(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{"sysv": nil, "systemd": {Systemd()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewRoot(t, opts...)
			r.StartMariaDB()
			r.AddRepository("kopano-debian")
			r.Install("kopano-core")
			got := map[string]string{
				"account":  strings.TrimSpace(r.Must("sh", "-c", "getent passwd kopano | cut -d: -f5-")),
				"logs":     strings.TrimSpace(r.Must("stat", "-c", "%a %U:%G", "/var/log/kopano")),
				"access":   strings.TrimSpace(r.Must("stat", "-c", "%a %U:%G", "/etc/kopano/debian-db.cfg")),
				"override": strings.TrimSpace(r.Must("dpkg-statoverride", "--list", "/etc/kopano/debian-db.cfg")),
			}
			want := map[string]string{
				"account": "Kopano,,,:/var/lib/kopano:/usr/sbin/nologin", "logs": "750 kopano:adm",
				"access": "640 root:kopano", "override": "root kopano 640 /etc/kopano/debian-db.cfg",
			}
			for what := range want {
				if got[what] != want[what] {
					t.Errorf("%s: %q, want %q", what, got[what], want[what])
				}
			}
			if !r.exists("/etc/systemd/system/multi-user.target.wants/kopano-server.service") {
				t.Error("no link starts the unit")
			}
			r.until("an answer of the server", func() bool { return r.exists(kopanoSocket) && r.Server(kopanoSocket).Serves() == nil })
			if got := strings.TrimSpace(r.SQL("SELECT MAX(databaserevision) FROM kopano.versions")); got != "118" {
				t.Errorf("its own database has schema %q", got)
			}
			r.Server(kopanoSocket).Deliver("an attachment")
			r.Must("apt-get", "remove", "-y", "-q", "kopano-server")
			if !r.exists("/var/lib/kopano/attachments/1/0/1.gz") {
				t.Error("a removal took attachments along")
			}
			r.Must("dpkg", "--purge", "kopano-server")
			if r.exists("/var/lib/kopano/attachments") {
				t.Error("a purge left the attachments")
			}
		})
	}
}

// TestScriptsMisbehave has a maintainer script fail, and another one hang.
func TestScriptsMisbehave(t *testing.T) {
	t.Parallel()
	r := NewRoot(t)
	r.AddRepository("kopano87", "debian")
	r.Behave("kopano-server.postinst", "echo no luck; exit 3")
	if res := r.Run("apt-get", "install", "-y", "-q", "kopano-server"); res.Code != 100 || !strings.Contains(res.Output, "no luck") {
		t.Errorf("exit status %d\n%s", res.Code, res.Output)
	}
	r.Behave("kopano-server.postinst", "echo $$ >/run/bed/process; mv /run/bed/process /run/bed/hanging; exec sleep 600")
	cmd := r.Command("dpkg", "--configure", "-a")
	if err := r.Start(cmd); err != nil {
		t.Fatal(err)
	}
	r.until("a hanging script", func() bool { return r.exists("/run/bed/hanging") })
	r.Must("sh", "-c", "kill $(cat /run/bed/hanging)")
	cmd.Wait()
	r.Behave("kopano-server.postinst")
	if err := os.Remove(r.Path("/run/bed/hanging")); err != nil {
		t.Fatal(err)
	}
	r.Must("dpkg", "--configure", "-a")
}
