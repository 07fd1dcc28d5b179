package e2e

import (
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/script"
)

// hostile tries to write by every builtin that changes a host, as far as a policy can be made to allow
// it.
const hostile = `"""Change all that can be named."""

def everything():
    """Change the machine by every builtin."""
    conn = mysql.connection(cfg.read("/etc/zarafa/server.cfg"))
    mysql_dump(conn, "/srv/dump.sql", "none")
    cfg.set("/etc/zarafa/spooler.cfg", {"log_level": "6"})
    cfg.rename("/etc/zarafa/spooler.cfg", "log_level", "loglevel")
    cfg.drop("/etc/zarafa/spooler.cfg", ["loglevel"], "harm")
    fs.mkdir("/srv/taken")
    cfg.takeover(target = "/srv/taken", from_version = "7.2.6", to_version = "8.7.20", group = "root")
    fs.write("/etc/zarafa/server.cfg", "gone")
    fs.write("/etc/hostile", "* * * * * root true")
    fs.mkdir("/etc/zarafa/new", mode = "0777")
    fs.symlink("/etc/shadow", "/etc/zarafa/link", replace = True)
    fs.copy("/etc/zarafa", "/srv/copy")
    fs.keep("/var/lib/zarafa/attachments")
    fs.give_back("/var/lib/zarafa/attachments")
    fs.mkdir("/srv/attachments")
    fs.presync("/var/lib/zarafa/attachments", "/srv/attachments")
    fs.move("/var/lib/zarafa/attachments", "/srv/attachments", contents = True)
    fs.remove("/etc/zarafa")
    chown("/var/lib/zarafa", owner = "nobody", dir_mode = "0777")
    svc.hold_starts()
    for s in svc.list("zarafa-*"):
        svc.stop(s.name)
        svc.disable(s.name)
        svc.enable(s.name)
        svc.start(s.name)
        svc.reload(s.name)
        svc.restart(s.name)
        svc.stop(s.name)
    svc.release_starts()
    pkg.add_repository(pkg.repository("hostile", "file:` + ReposDir + `/unsigned/", trusted = True))
    postfix.set("/etc/hostile", {"mailbox_command": "/bin/rm"})
    zarafa = [p.name for p in pkg.installed(pattern = "zarafa*")]
    pkg.remove(zarafa, purge = True)
    pkg.put_back(["zarafa-lang"])
    fs.write("/etc/fstab", "hostile /srv/mounted tmpfs rw 0 0\n")
    fstab.move("/srv/mounted", "/srv/elsewhere")
    host.join_group("nobody", "shadow")
    run(["/usr/bin/touch", "/srv/hostile"], undo = ["/bin/rm", "-rf", "/srv"])

def masks():
    """Mask a service, where the machine can."""
    if host.facts().init == "systemd":
        svc.mask("zarafa-server")
        svc.unmask("zarafa-server")

def installs():
    """Ask repositories and install."""
    pkg.refresh()
    pkg.install(["zarafa-server"])

runbook = define(
    steps = [everything, masks, installs],
    allow = policy(
        write = ["/etc/zarafa", "/etc/hostile", "/srv/dump.sql", "/srv/taken", "/srv/copy", "/srv/attachments", "/srv/mounted", "/srv/elsewhere", "/var/lib/zarafa", "/etc/apt", "/etc/fstab", "/usr/sbin/policy-rc.d"], programs = ["/usr/bin/touch", "/bin/rm"],
        packages = ["*"],
        services = ["*"],
        databases = ["*"],
        groups = ["shadow"],
    ),
)
`

// TestHostileIsComplete wants the hostile runbook to call every builtin that changes a host.
func TestHostileIsComplete(t *testing.T) {
	// There is no directory here, and no mount that a simulation knows; TestConvertOnSlapd, TestOffline and TestRemount have them.
	elsewhere := map[string]bool{
		"ldap.convert": true, "ldap.export": true, "ldap.transplant": true, "ldap.configure": true, "fs.mount": true, "fs.unmount": true,
	}
	for _, b := range builtins.All() {
		if b.Effect == script.Change && !elsewhere[b.Name] && !strings.Contains(hostile, b.Name+"(") {
			t.Errorf("the hostile runbook does not call %s", b.Name)
		}
	}
}

// TestSimulationWritesNothing takes the whole machine down before and after simulations of it, times
// included: also after one of a runbook that means harm.
func TestSimulationWritesNothing(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	r.InstallProgram()
	r.WriteFile("/root/hostile.star", hostile, 0o600)
	// The bed puts the program there again for each call, and the database server sorts some answers in files; nothing else
	// may differ.
	whole := manifest.Options{Times: true, Ignore: []string{"/proc", "/sys", "/dev", Program, "/run/mysqld/tmp"}}
	before := r.settled(whole)
	stock := Migration{Repository: "kopano84"}
	for name, args := range map[string][]string{
		"stock":   append([]string{"simulate", "--live"}, stock.args()...),
		"hostile": {"simulate", "/root/hostile.star", "--live"},
	} {
		res := r.Zcp2kopano(args...)
		if res.Code != 0 || !strings.Contains(res.Output, "the simulation succeeded") {
			t.Errorf("%s: exit status %d\n%s", name, res.Code, res.Output)
		}
		if !strings.Contains(res.Output, "seccomp") {
			t.Errorf("%s: the report does not say what kept the process from writing", name)
		}
		if diff := manifest.Compare(before, r.Manifest(whole), nil); len(diff) > 0 {
			t.Errorf("%s: the machine is another one:\n%s", name, manifest.Table(diff, "before", "after"))
		}
	}
}

// settled is the root's state once its daemons write no more: a database server goes on for a while.
func (r *Root) settled(opts manifest.Options) *manifest.Manifest {
	r.t.Helper()
	before := r.Manifest(opts)
	for range 60 {
		time.Sleep(2 * time.Second)
		now := r.Manifest(opts)
		if len(manifest.Compare(before, now, nil)) == 0 {
			return now
		}
		before = now
	}
	r.t.Fatal("the root does not come to rest")
	return nil
}
