package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

// system is a host with ZCP, and whose packages of Kopano Core it goes to.
type system struct {
	name       string
	repository string
	opts       []Option
	prepare    func(r *Root, m *Migration)
	open       []string // differences that may stay, beside those of every system
}

// packager is whose packages it takes: the first word of its name.
func (s system) packager() string { return strings.Fields(s.name)[0] }

// systems are all that the bed has: releases with System V init and with systemd, the vendor's packages and
// Debian's own split, Ubuntu's releases with the PHP of each.
var systems = []system{
	{name: "vendor's 8.4, System V", repository: "kopano84"},
	{name: "vendor's 8.7, systemd", repository: "kopano87", opts: []Option{Systemd()}},
	{name: "Debian's, System V", repository: "kopano-debian", prepare: takesDebians, open: []string{
		"/etc/kopano/debian-db.cfg content", "/etc/kopano-orig/debian-db.cfg content",
		"/var/lib/kopano owner", "/var/lib/kopano/* owner", "/var/lib/kopano/*/* owner",
		"/var/lib/kopano/attachments/.zcp2kopano-names-*/* owner", "/var/lib/kopano/attachments/.zcp2kopano-names-*/*/* owner",
	}},
	{name: "Debian's, systemd", repository: "kopano-debian", opts: []Option{Systemd()}, prepare: takesDebians, open: []string{
		"/etc/kopano/debian-db.cfg content", "/etc/kopano-orig/debian-db.cfg content",
	}},
	{name: "Ubuntu 14.04", repository: "ubuntu14.04", opts: []Option{Ubuntu("14.04")}, prepare: takesBindings},
	{name: "Ubuntu 16.04", repository: "ubuntu16.04", opts: []Option{Ubuntu("16.04"), Systemd()}, prepare: takesBindings},
	{name: "Ubuntu 18.04", repository: "ubuntu18.04", opts: []Option{Ubuntu("18.04"), Systemd()}, prepare: takesBindings},
}

// takesDebians makes the runbook one that does not refuse Debian's packages, nor their age's need of systemd, since they
// have init scripts: a site may want them.
func takesDebians(r *Root, m *Migration) {
	r.t.Helper()
	if res := r.Zcp2kopano("fork", "/root/site"); res.Code != exit.Done {
		r.t.Fatalf("fork: exit status %d\n%s", res.Code, res.Output)
	}
	r.Edit("/root/site/lib/target.star", "    if foreign:", "    if False:", `facts.init == "sysv" and`, "False and")
	m.Runbook, m.Site = "/root/site/debian.star", true
}

// takesBindings installs ZCP's bindings for a release's PHP.
func takesBindings(r *Root, m *Migration) {
	r.t.Helper()
	release := strings.TrimPrefix(m.Repository, "ubuntu")
	r.AddRepository("zcp-ubuntu" + release)
	r.Install(bindings(release))
}

func bindings(release string) string {
	if release < "16" {
		return "php5-mapi"
	}
	return "php7-mapi"
}

// peculiarity is where a site keeps its attachments, or what else it has that a migration comes upon.
type peculiarity struct {
	name    string
	prepare func(*Root)
	listed  bool // the attachments' mount has a line in fstab
}

// detoured is a site with symlinks in the place of directories that ZCP's packages have: dpkg takes them away with the packages.
const detoured = "directories behind symlinks"

var peculiarities = []peculiarity{
	{name: "plain"},
	{name: "attachments on a mount", listed: true, prepare: func(r *Root) {
		r.Must("service", "zarafa-server", "stop")
		r.Must("mv", "/var/lib/zarafa/attachments", "/var/lib/zarafa/a")
		r.MountListed("/var/lib/zarafa/attachments")
		r.Must("cp", "-a", "/var/lib/zarafa/a/.", "/var/lib/zarafa/attachments")
		r.Must("rm", "-r", "/var/lib/zarafa/a")
		r.Must("service", "zarafa-server", "start")
	}},
	{name: "attachments behind a symlink", prepare: func(r *Root) {
		r.Must("service", "zarafa-server", "stop")
		r.Must("mv", "/var/lib/zarafa/attachments", "/srv/attachments")
		r.Must("ln", "-s", "/srv/attachments", "/var/lib/zarafa/attachments")
		r.Must("service", "zarafa-server", "start")
	}},
	{name: detoured, prepare: func(r *Root) {
		r.Must("service", "zarafa-server", "stop")
		for _, dir := range []string{"/var/lib/zarafa", "/etc/zarafa"} {
			r.Must("mkdir", "-p", "/srv/site"+path.Dir(dir))
			r.Must("mv", dir, "/srv/site"+dir)
			r.Must("ln", "-s", "/srv/site"+dir, dir)
		}
		r.Must("service", "zarafa-server", "start")
	}},
	{name: "extra files", prepare: func(r *Root) {
		r.WriteFile("/etc/zarafa/notes/of the admin.txt", "remember\n", 0o600)
		r.Must("ln", "-s", "/usr/share/zarafa-webapp", "/etc/zarafa/webapp-link")
	}},
	{name: "leftovers of an earlier attempt", prepare: func(r *Root) {
		r.WriteFile("/etc/kopano/server.cfg", "# from an earlier attempt\nserver_name = Earlier\n", 0o644)
		r.WriteFile("/etc/zarafa.bak/old", "old\n", 0o600)
		r.Must("mkdir", "-p", "/var/lib/kopano/attachments")
	}},
}

// route is one way of a migration, and back again.
type route struct {
	system
	peculiarity
	params []string
}

// ahead reports whether the attachments are copied to another file system while ZCP serves.
func (r route) ahead() bool { return slices.Contains(r.params, "attachments=presync") }

// kind is what a sample has one of, at least: each packager, the attachments that are copied ahead, and symlinks.
func (r route) kind() string {
	switch {
	case r.ahead():
		return "ahead"
	case r.peculiarity.name == detoured:
		return detoured
	}
	return r.system.packager()
}

func (r route) String() string {
	return strings.Join(append([]string{r.system.name, r.peculiarity.name}, r.params...), ", ")
}

// routes are all combinations.
func routes() []route {
	var all []route
	for _, s := range systems {
		for _, p := range peculiarities {
			for _, config := range []string{"merge", "copy"} {
				attachments := []string{"move", "keep"}
				if p.listed {
					attachments = append(attachments, "remount", "presync")
				}
				for _, attachments := range attachments {
					r := route{s, p, []string{"config=" + config, "attachments=" + attachments}}
					if r.ahead() && config == "copy" { // both are for the large sites
						r.params = append(r.params, "dump_tool=mydumper")
					}
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// TestRoutes goes each route in simulation and back, and for real and back, beyond the first start of kopano-server.
// What the simulation said is there in the end, and what was there before is there again, in either: no difference is left
// that was not announced. Where the attachments are copied ahead, mail comes and goes meanwhile. It makes a sample, of each
// kind one at least; make crash makes all.
func TestRoutes(t *testing.T) {
	t.Parallel()
	picked, begun := chance.Pick(t, routes(), 4, route.kind), time.Now()
	t.Cleanup(func() {
		chance.Figures(t, begun, "%d of %d routes simulated and gone, there and back, and compared", len(picked), len(routes()))
	})
	for _, route := range picked {
		t.Run(route.String(), func(t *testing.T) {
			t.Parallel()
			r := NewSite(t, route.opts...)
			m := Migration{Repository: route.repository, Params: route.params}
			if slices.Contains(route.params, "attachments=remount") || route.ahead() { // a mount hides its directory from a simulation
				route.open = append(slices.Clone(route.open), "/var/lib/zarafa/attachments owner")
			}
			if route.system.prepare != nil {
				route.system.prepare(r, &m)
			}
			if route.peculiarity.prepare != nil {
				route.peculiarity.prepare(r)
			}
			if slices.Contains(route.params, "dump_tool=mydumper") {
				r.Lend("/usr/bin/mydumper", "/usr/bin/myloader")
				route.open = append(slices.Clone(route.open), "/var/backups/zcp2kopano/zarafa.mydumper/* *")
			}
			mail := newTraffic(t, r, route.ahead())
			before, content := r.State(), unnumbered(dumped(r))
			simulated := rehearse(t, r, Simulation{Migration: m, Back: true}, before)
			if mail.passing {
				content = mail.migrate(m)
			} else if res := r.Migrate(m); res.Code != exit.Done {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			after := r.State()
			mail.arrived(before, after)
			mail.takeFrom(after, simulated.End)
			compareEnds(t, simulated, after, route.open...)
			if release, is := strings.CutPrefix(route.repository, "ubuntu"); is {
				if got := r.Must("dpkg-query", "-W", "-f", "${Maintainer}", bindings(release)); !strings.Contains(got, "kopano") {
					t.Errorf("%s is of %s", bindings(release), got)
				}
			}
			if res := r.Zcp2kopano("rollback", "--restore-database", "--yes"); res.Code != exit.Done {
				t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
			} else if stay := r.exists("/var/log/kopano/server.log"); stay != strings.Contains(squeezed(res.Output), "kept, and yours to remove: the logs in /var/log/kopano") {
				t.Errorf("Kopano's logs stay: %v; the rollback says:\n%s", stay, res.Output)
			}
			r.until("ZCP serves again", func() bool { return r.Server("/run/zarafad/server.sock").Serves() == nil })
			mail.returned(before, simulated.Back.End)
			compareWaysBack(t, simulated.Back, compareBack(t, r, before))
			if unnumbered(dumped(r)) != content {
				t.Error("the database is not as it was before the run")
			}
		})
	}
}

// rehearsedRun simulates a migration over the root, carries the same one out, and compares the two final states.
func rehearsedRun(t *testing.T, r *Root, s Simulation, before *manifest.Manifest, open ...string) Simulated {
	t.Helper()
	simulated := rehearse(t, r, s, before)
	if res := r.Migrate(s.Migration); res.Code != exit.Done {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	compareEnds(t, simulated, r.State(), open...)
	return simulated
}

// rehearse simulates a migration over the root, which does not change it.
func rehearse(t *testing.T, r *Root, s Simulation, before *manifest.Manifest) Simulated {
	t.Helper()
	simulated := r.Rehearse(s)
	if simulated.Verdict.Code != exit.Done {
		t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
	}
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Errorf("the simulation changed the host:\n%s", manifest.Table(diffs, "before", "after"))
	}
	if diffs := manifest.Unexcused(manifest.Compare(simulated.Start, before, nil)); len(diffs) != 0 {
		t.Errorf("the simulation does not start from this host:\n%s", manifest.Table(diffs, "simulated", "real"))
	}
	return simulated
}

// withoutStays leaves out what a rollback leaves: the dumps, and the logs that the daemons wrote.
func withoutStays(m *manifest.Manifest) *manifest.Manifest {
	for path := range m.Files {
		if strings.HasPrefix(path, "/var/backups/zcp2kopano") || strings.HasPrefix(path, "/var/log/kopano") {
			delete(m.Files, path)
		}
	}
	return m
}

// compareWaysBack fails for each difference between what a simulated rollback left and what a real one left, that the
// simulation did not announce.
func compareWaysBack(t *testing.T, simulated *Back, real *manifest.Manifest) {
	t.Helper()
	if simulated.Verdict.Code != exit.Done {
		t.Errorf("the simulated rollback: %+v", simulated.Verdict)
	}
	if wrong := manifest.Unexcused(manifest.Compare(withoutStays(simulated.End), real, simulated.Unpredicted)); len(wrong) != 0 {
		t.Errorf("%d differences that were not announced, after the way back:\n%s", len(wrong), manifest.Table(wrong, "simulated", "real"))
	}
}

// compareBack fails for each difference between what was there before a run, and what a rollback left.
func compareBack(t *testing.T, r *Root, before *manifest.Manifest) *manifest.Manifest {
	t.Helper()
	after := withoutStays(r.State())
	if diffs := manifest.Compare(before, after, nil); len(diffs) != 0 {
		t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
	return after
}
