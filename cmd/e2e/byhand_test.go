package e2e

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

// byHand is a root that has been migrated, and whose packages somebody has been at since.
type byHand struct {
	*Root
	t       *testing.T
	before  *manifest.Manifest
	content string // of the database
}

// migrated takes the state from before, and migrates.
func migrated(t *testing.T, r *Root, m Migration) *byHand {
	t.Helper()
	b := &byHand{r, t, r.State(), unnumbered(dumped(r))}
	if res := r.Migrate(m); res.Code != exit.Done {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	return b
}

// looks asks all that only looks: it names a way on, and changes nothing.
func (b *byHand) looks(check int, words string) {
	b.t.Helper()
	now := b.State()
	if res := b.Zcp2kopano("status"); res.Code != exit.Done || !strings.Contains(res.Output, "`zcp2kopano rollback --restore-database` goes back") {
		b.t.Errorf("status: exit status %d\n%s", res.Code, res.Output)
	}
	for _, args := range [][]string{{"check"}, {"simulate", "--live"}} {
		if res := b.Zcp2kopano(args...); res.Code != check || !strings.Contains(squeezed(res.Output), words) {
			b.t.Errorf("%q: exit status %d, want %d and %q\n%s", args, res.Code, check, words, res.Output)
		}
	}
	if diffs := manifest.Compare(now, b.State(), nil); len(diffs) != 0 {
		b.t.Errorf("who looks changes:\n%s", manifest.Table(diffs, "before", "after"))
	}
}

// goesBack rolls back, by more arguments if there are some, and wants words in what is said.
func (b *byHand) goesBack(code int, more []string, words ...string) string {
	b.t.Helper()
	res := b.Zcp2kopano(append([]string{"rollback", "--yes"}, more...)...)
	said := squeezed(res.Output)
	for _, text := range words {
		if !strings.Contains(said, text) {
			b.t.Errorf("it does not say %q", text)
		}
	}
	if res.Code != code || b.t.Failed() {
		b.t.Fatalf("rollback %q: exit status %d, want %d\n%s", more, res.Code, code, res.Output)
	}
	return said
}

// isBack wants all as it was: files, packages, services, the database, and nothing of Kopano's that runs.
func (b *byHand) isBack() {
	b.t.Helper()
	compareBack(b.t, b.Root, b.before)
	if unnumbered(dumped(b.Root)) != b.content {
		b.t.Error("the database is not as it was before the run")
	}
	if running := b.Processes(); slices.ContainsFunc(running, func(name string) bool { return strings.HasPrefix(name, "kopano-") }) {
		b.t.Errorf("there run %v", running)
	}
	b.until("ZCP serves again", func() bool { return b.Server("/run/zarafad/server.sock").Serves() == nil })
}

// holdingStops does something while no script of a package may start or stop a service.
func (r *Root) holdingStops(do func()) {
	r.t.Helper()
	const policy = "/usr/sbin/policy-rc.d"
	r.WriteFile(policy, "#!/bin/sh\nexit 101\n", 0o755)
	do()
	if err := os.Remove(r.Path(policy)); err != nil {
		r.t.Fatal(err)
	}
}

// TestDebiansServerPurgedByHand: Debian's kopano-server takes the attachments along when it is purged, a daemon of a purged
// package runs on, and somebody has installed a package that needs the run's. The rollback brings the attachments back, and
// stops where somebody has to do something: when that is done, it goes on to its end.
func TestDebiansServerPurgedByHand(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	m := Migration{Repository: "kopano-debian"}
	takesDebians(r, &m)
	b := migrated(t, r, m)
	r.Must("apt-get", "purge", "-y", "kopano-server")
	if r.exists("/var/lib/kopano/attachments") {
		t.Fatal("the purge has left the attachments")
	}
	r.Must("apt-get", "remove", "-y", "kopano-gateway")
	r.holdingStops(func() { r.Must("apt-get", "purge", "-y", "kopano-ical") })
	site := fakepkg.Package{Name: "site-reports", Version: "1", Maintainer: "Nobody <nobody@example.org>", Summary: "reports", Depends: "kopano-utils"}
	data, err := site.Deb()
	if err != nil {
		t.Fatal(err)
	}
	r.WriteFile("/root/"+site.FileName(), string(data), 0o644)
	r.Must("dpkg", "-i", "/root/"+site.FileName())
	if err := os.Remove(r.Path("/root/" + site.FileName())); err != nil {
		t.Fatal(err)
	}
	b.looks(exit.Inhibited, "no ZCP to migrate")

	restore := []string{"--restore-database"}
	said := b.goesBack(exit.RollbackIncomplete, restore, "by whoever removed them since: kopano-gateway, kopano-ical, kopano-server; the", "(/usr/sbin/kopano-ical) run on")
	end := regexp.MustCompile(`end them \(kill ([0-9]+)\), then roll back again`).FindStringSubmatch(said)
	if end == nil {
		t.Fatalf("no next step is named: %s", said)
	}
	r.Must("kill", end[1])
	r.until("it has ended", func() bool { return r.Run("kill", "-0", end[1]).Code != 0 })
	b.goesBack(exit.RollbackIncomplete, restore, "site-reports 1: it was installed since the run, and needs what the rollback takes away; remove it by hand, then roll back again")
	r.Must("dpkg", "--purge", "site-reports")
	b.goesBack(exit.Done, restore)
	b.isBack()
}

// TestVendorsPackagesPurgedByHand: a daemon that runs on without its unit is stopped, so that ZCP's can have its port again,
// and the database comes back later.
func TestVendorsPackagesPurgedByHand(t *testing.T) {
	t.Parallel()
	r := NewSite(t, Systemd())
	b := migrated(t, r, Migration{Repository: "kopano87"})
	r.Must("apt-get", "purge", "-y", "kopano-search")
	r.Must("apt-get", "remove", "-y", "kopano-gateway")
	r.holdingStops(func() { r.Must("apt-get", "purge", "-y", "kopano-ical") })
	b.looks(exit.Done, "nothing to migrate")
	b.goesBack(exit.RollbackIncomplete, nil, "by whoever removed them since: kopano-gateway, kopano-ical, kopano-search; the",
		"the service kopano-ical ran on without its unit, which somebody has removed since the run, and was stopped:", "rollback --restore-database` loads")
	if diffs := manifest.Compare(servicesOnly(b.before), servicesOnly(r.State()), nil); len(diffs) != 1 || diffs[0].Path != "service zarafa-server" {
		t.Errorf("services:\n%s", manifest.Table(diffs, "before", "after"))
	}
	b.goesBack(exit.Done, []string{"--restore-database"})
	b.isBack()
}

// TestRPMsErasedByHand erases daemons as rpm does it, and then all that is left of Kopano without its scripts: then one runs
// on, whose unit systemd still has in mind.
func TestRPMsErasedByHand(t *testing.T) {
	t.Parallel()
	NeedRPM(t)
	s := rpmSystems[chance.Rand(t, 0).IntN(len(rpmSystems))]
	t.Run(s.String(), func(t *testing.T) {
		r := NewRPMSite(t, s)
		logs := r.logs()
		b := migrated(t, r, s.migration())
		r.Must("rpm", "-e", "kopano-server", "kopano-search", "kopano-gateway")
		b.looks(exit.Inhibited, "zcp2kopano status names the way back")
		var rest []string
		now := r.State().Packages
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if b.before.Packages[name] != now[name] { // those that replaced ZCP's, too
				rest = append(rest, name)
			}
		}
		r.Must("rpm", append([]string{"-e", "--noscripts"}, rest...)...)
		b.goesBack(exit.Done, []string{"--restore-database"}, "the service kopano-ical ran on without its unit")
		b.isBack()
		r.keepsLogs(logs)
		r.rpmTidy()
	})
}
