package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/manifest"
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

// TestNeededLibrary has another package need a library of ZCP: the stock runbook refuses in simulation as for real, and one
// that leaves the library ends in both alike.
func TestNeededLibrary(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.Install("orage")
	before := r.State()
	stock := Migration{Repository: "kopano84"}
	if simulated := r.Rehearse(Simulation{Migration: stock}); simulated.Verdict.Code != exit.Inhibited {
		t.Errorf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
	}
	if res := r.Migrate(stock); res.Code != exit.Inhibited {
		t.Errorf("exit status %d\n%s", res.Code, res.Output)
	}
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Errorf("what was refused changed the host:\n%s", manifest.Table(diffs, "before", "after"))
	}
	r.WriteFile("/root/site.star", keepsLibrary, 0o644)
	rehearsedRun(t, r, Simulation{Migration: Migration{Repository: "kopano84", Runbook: "/root/site.star"}}, r.State())
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
	compareSnapshot(t, simulated, before, r.CensoredState(), nil)
}

// compareSnapshot compares what a simulation over a snapshot changed with what the same migration changed for real. Not
// means paths that the two have on different ways.
func compareSnapshot(t *testing.T, simulated Simulated, before, after *manifest.Manifest, not []string) {
	t.Helper()
	touched := map[string]bool{}
	for _, d := range append(manifest.Compare(before, after, nil), manifest.Compare(simulated.Start, simulated.End, nil)...) {
		touched[d.Path] = !slices.Contains(not, d.Path)
	}
	simulated.End = only(simulated.End, touched)
	compareEnds(t, simulated, only(after, touched), "/etc/gshadow content",
		"/etc/*/ssl/server.pem content",                                                                // a key, which nothing reads and a snapshot does not hold
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
