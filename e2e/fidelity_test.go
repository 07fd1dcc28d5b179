package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/manifest"
)

// keepsLibrary removes ZCP, but a library of it that orage has come to need: edited conffiles go with a
// purge, and stay with a removal.
const keepsLibrary = `"""Remove ZCP, but not what others need."""

def stop_zarafa():
    """Stop the daemons."""
    for service in svc.list("zarafa-*"):
        svc.stop(service.name)

def remove_zcp():
    """Remove the packages that only ZCP needs; keep the conffiles of the gateway."""
    names = [p.name for p in pkg.installed(pattern = "zarafa*")]
    plan = pkg.solve(remove = names + ["libical0"], purge = True)
    taken = [c.name for c in plan.remove if c.name == "orage"]
    if not taken:
        fail("orage does not need libical0 here")
    kept = ["zarafa", "zarafa-gateway"]
    pkg.remove(kept)
    pkg.remove([n for n in names if n not in kept], purge = True)

runbook = define(
    systems = ["debian >= 7"],
    allow = policy(packages = ["zarafa*", "libical0"], services = ["zarafa-*"]),
    steps = [stop_zarafa, remove_zcp],
)
`

// TestSimulationAgrees simulates a migration over the root, carries the same one out for real, and
// compares the two final states entry by entry.
func TestSimulationAgrees(t *testing.T) {
	cases := []struct {
		name    string
		params  []string
		runbook string // of the case's own; empty for the stock runbook
		code    int
		prepare func(*Root)
	}{
		{name: "merge"},
		{name: "copy", params: []string{"config=copy"}},
		{name: "keep", params: []string{"attachments=keep"}},
		{name: "attachments on a mount", prepare: func(r *Root) {
			r.Must("service", "zarafa-server", "stop")
			r.Must("mv", "/var/lib/zarafa/attachments", "/var/lib/zarafa/a")
			r.Mount("/var/lib/zarafa/attachments", "64m")
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
		{name: "extra files", prepare: func(r *Root) {
			r.WriteFile("/etc/zarafa/notes/of the admin.txt", "remember\n", 0o600)
			r.Must("ln", "-s", "/usr/share/zarafa-webapp", "/etc/zarafa/webapp-link")
		}},
		{name: "leftovers of an earlier attempt", prepare: func(r *Root) {
			r.WriteFile("/etc/kopano/server.cfg", "# from an earlier attempt\nserver_name = Earlier\n", 0o644)
			r.WriteFile("/etc/zarafa.bak/old", "old\n", 0o600)
			r.Must("mkdir", "-p", "/var/lib/kopano/attachments")
		}},
		{name: "another package needs a library", code: exit.Inhibited, prepare: func(r *Root) { r.Install("orage") }},
		{name: "a library that another package needs stays", runbook: keepsLibrary, prepare: func(r *Root) { r.Install("orage") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := NewSite(t)
			m := Migration{Repository: "kopano84", Params: c.params}
			r.BindRepositories()
			if c.runbook != "" {
				m.Runbook = "/root/site.star"
				r.WriteFile(m.Runbook, c.runbook, 0o644)
			}
			if c.prepare != nil {
				c.prepare(r)
			}
			before := r.State()
			simulated := r.Rehearse(Simulation{Migration: m})
			if simulated.Verdict.Code != c.code {
				t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
			}
			if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
				t.Errorf("the simulation changed the host:\n%s", manifest.Table(diffs, "before", "after"))
			}
			if diffs := manifest.Unexcused(manifest.Compare(simulated.Start, before, nil)); len(diffs) != 0 {
				t.Errorf("the simulation does not start from this host:\n%s", manifest.Table(diffs, "simulated", "real"))
			}
			if res := r.Migrate(m); res.Code != c.code {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			compareEnds(t, simulated, r.State())
		})
	}
}

// announced is all that a simulation of a migration may leave open, each a path and an aspect: insserv's order, programs
// that are too large to be kept in memory, the dump, and the day on which a password was changed.
var announced = []string{
	"/etc/init.d/.depend.* content", "/etc/rc?.d/[SK][0-9][0-9]* existence", "/usr/sbin/kopano-* content",
	"/var/backups/zcp2kopano/zarafa.sql.zst content", "/etc/shadow content",
}

// compareEnds fails for each difference between the two final states that the simulation did not
// announce, and for each that it announced though it should know. Links of runlevels are compared without their
// numbers, too.
func compareEnds(t *testing.T, simulated Simulated, real *manifest.Manifest, more ...string) {
	t.Helper()
	diffs := manifest.Compare(simulated.End, real, simulated.Unpredicted)
	if wrong := manifest.Unexcused(diffs); len(wrong) != 0 {
		t.Errorf("%d differences that were not announced:\n%s", len(wrong), manifest.Table(wrong, "simulated", "real"))
	}
	known := slices.DeleteFunc(slices.Clone(diffs), func(d manifest.Difference) bool {
		return d.Excuse == "" || slices.ContainsFunc(slices.Concat(announced, more), func(pattern string) bool {
			is, _ := path.Match(pattern, d.Path+" "+d.Aspect)
			return is
		})
	})
	if len(known) != 0 {
		t.Errorf("%d differences are announced that a simulation can know:\n%s", len(known), manifest.Table(known, "simulated", "real"))
	}
	if diff := cmp.Diff(runlevelLinks(simulated.End), runlevelLinks(real)); diff != "" {
		t.Errorf("links of runlevels, their numbers left out:\n%s", diff)
	}
	t.Logf("%d entries, %d announced differences", len(real.Files), len(diffs))
}

// TestFixtureAgrees captures a site, simulates the capture, and compares what that changed with what
// the same migration changes for real.
func TestFixtureAgrees(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	packages := ReposDir + "/unsigned"
	m := Migration{Params: []string{"packages_dir=" + packages}}
	if res := r.Zcp2kopano("snapshot", "/root/site.txtar"); res.Code != 0 {
		t.Fatalf("snapshot: exit status %d\n%s", res.Code, res.Output)
	}
	if fixture := r.ReadFile("/root/site.txtar"); strings.Contains(fixture, Password) {
		t.Error("the snapshot holds the database's password")
	}
	before := r.CensoredState()
	simulated := r.Rehearse(Simulation{Migration: m, Fixture: "/root/site.txtar", Packages: packages})
	if simulated.Verdict.Code != 0 {
		t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
	}
	if res := r.Migrate(m); res.Code != 0 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	after := r.CensoredState()
	touched := map[string]bool{}
	for _, d := range append(manifest.Compare(before, after, nil), manifest.Compare(simulated.Start, simulated.End, nil)...) {
		touched[d.Path] = true
	}
	simulated.End = only(simulated.End, touched)
	compareEnds(t, simulated, only(after, touched), "/etc/gshadow content",
		"/var/lib/kopano/attachments/*/*/* content", "/var/lib/kopano/search/*/postlist.glass content") // known by their size
}

// only keeps the files of some paths, and all packages and services of ZCP and Kopano Core.
func only(m *manifest.Manifest, paths map[string]bool) *manifest.Manifest {
	kept := &manifest.Manifest{Files: map[string]manifest.Entry{}, Packages: m.Packages, Services: map[string]string{}}
	for name, entry := range m.Files {
		if paths[name] {
			kept.Files[name] = entry
		}
	}
	for name, state := range m.Services {
		if strings.HasPrefix(name, "kopano-") || strings.HasPrefix(name, "zarafa-") {
			kept.Services[name] = state
		}
	}
	return kept
}
