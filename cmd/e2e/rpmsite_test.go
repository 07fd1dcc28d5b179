package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

var (
	rpmSystems      = []*RPMSystem{OnCentOS7, OnSLES12}
	newerRPMSystems = []*RPMSystem{OnRHEL8, OnSLES15} // with make crash
)

// onRPMSystems runs a test on as many systems as it is worth; with make crash on all, newer ones too.
func onRPMSystems(t *testing.T, worth int, test func(t *testing.T, s *RPMSystem, r *Root)) {
	t.Parallel()
	NeedRPM(t)
	kind := func(s *RPMSystem) string { return s.Name }
	if worth == 1 {
		kind = func(*RPMSystem) string { return "rpm" }
	}
	systems := rpmSystems
	if chance.Nothing() {
		systems = slices.Concat(rpmSystems, newerRPMSystems)
	}
	for _, s := range chance.Pick(t, systems, worth, kind) {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			test(t, s, NewRPMSite(t, s))
		})
	}
}

// TestRPMMigration goes the whole way on systems of rpm packages: in simulation over the host and over a snapshot of it,
// for real, a second time, and back beyond the first start of kopano-server. ZCP's packages are offered nowhere; they come
// from the directory that the admin gives.
func TestRPMMigration(t *testing.T) {
	onRPMSystems(t, 1, func(t *testing.T, s *RPMSystem, r *Root) {
		m := s.migration()
		m.Params = []string{"zcp_packages_dir=" + RPMServersDir + "/zcp/" + s.family.Name}
		before, content, logs := r.State(), unnumbered(dumped(r)), r.logs()
		censored := r.Censored(before)
		// A vendor whose scripts start what they bring would have it work with a configuration that is not its own yet.
		const started = "/run/started-by-script"
		for _, name := range []string{"kopano-gateway", "zarafa-gateway"} {
			r.Behave(name+".post", "systemctl start "+name+".service && systemctl is-active "+name+".service >>"+started+" || :")
		}
		captured := s.rehearseSnapshot(r)
		if diffs := manifest.Compare(servicesOnly(captured.Start), servicesOnly(before), nil); len(diffs) != 0 {
			t.Errorf("a snapshot has other services:\n%s", manifest.Table(diffs, "snapshot", "real"))
		}
		simulated := rehearsedRun(t, r, Simulation{Migration: m, Back: true}, before)
		after := r.State()
		sameData(t, before, after, "/var/lib/zarafa/attachments", "/var/lib/kopano/attachments", 500)
		everythingRunsAt(t, r, "118")
		compareSnapshot(t, captured, censored, r.Censored(after), s.repositoryFiles())
		r.keepsLogs(logs)
		noSecrets(t, r, "")
		for _, kept := range strings.Fields(r.Must("sh", "-c", "ls /var/lib/zcp2kopano/runs/*/backup/packages/zarafa-*.rpm")) {
			if got := r.Must("rpm", "-qp", "--qf", "%{RSAHEADER:pgpsig}", kept); strings.Contains(got, "(none)") {
				t.Errorf("%s is not the vendor's file: it has no signature", kept)
			}
		}
		secondRunChangesNothing(t, r, after)
		if res := r.Zcp2kopano("rollback", "--restore-database", "--yes"); res.Code != exit.Done {
			t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
		}
		compareWaysBack(t, simulated.Back, compareBack(t, r, before))
		r.keepsLogs(logs)
		if unnumbered(dumped(r)) != content {
			t.Error("the database is not as it was before the run")
		}
		if err := r.Server("/run/zarafad/server.sock").Serves(); err != nil {
			t.Error(err)
		}
		if got := r.ReadFile(started); got != "inactive\ninactive\n" {
			t.Errorf("while packages came, and were put back, their scripts started: %q", got)
		}
		r.rpmTidy()
	})
}

// rehearseSnapshot simulates the migration over a snapshot of the root.
func (s *RPMSystem) rehearseSnapshot(r *Root) Simulated {
	r.t.Helper()
	if res := r.Zcp2kopano("snapshot", "/root/site.txtar"); res.Code != 0 {
		r.t.Fatalf("snapshot: exit status %d\n%s", res.Code, res.Output)
	}
	packages := RPMServersDir + "/kopano/" + s.family.Name
	captured := r.Rehearse(Simulation{
		Migration: Migration{Runbook: s.Name, Site: true, Params: []string{"packages_dir=" + packages}}, Fixture: "/root/site.txtar", Packages: packages,
	})
	if captured.Verdict.Code != 0 {
		r.t.Errorf("simulation over a snapshot: %+v\n%s", captured.Verdict, strings.Join(captured.Errors, "\n"))
	}
	if err := os.Remove(r.Path("/root/site.txtar")); err != nil {
		r.t.Fatal(err)
	}
	return captured
}

// wantedRPMKills is how many kills of a run at work all trials on one system must make.
const wantedRPMKills = 50

// TestKilledRPM kills migrations on systems of rpm packages as TestKilledRuns does on Debian: with make crash some of every
// kind, and all that come at random instants, on both systems. In make test TestRPMRollback kills enough.
func TestKilledRPM(t *testing.T) {
	t.Parallel()
	NeedRPM(t)
	begun, rnd := time.Now(), chance.Rand(t, 0)
	var systems []*RPMSystem
	if chance.Nothing() {
		systems = rpmSystems
	}
	for _, system := range systems {
		t.Run(system.String(), func(t *testing.T) {
			t.Parallel()
			s := prepareSiege(t, system.ground())
			all := s.trials(rnd.Uint64())
			trials := slices.DeleteFunc(s.thinOut(rnd, all), func(tr trial) bool { return strings.HasPrefix(tr.name, "random") })
			trials = append(trials, byKind(all)["random"]...)
			ran, tried := s.carryOutAll(t, trials)
			chance.Figures(t, begun, "%s: %d kills of a run at work (%d tried)", system, s.hits, tried)
			if !t.Failed() && ran == len(trials) && s.hits < wantedRPMKills {
				t.Errorf("only %d kills hit a run at work, want %d at least", s.hits, wantedRPMKills)
			}
		})
	}
}

func (s *RPMSystem) ground() ground {
	return ground{
		site:      func(t testing.TB) *Root { return NewRPMSite(t, s) },
		wake:      s.wake,
		migration: s.migration(),
		schema:    "118",
		inOrder:   (*Root).rpmInOrder,
		boot:      func(*Root) string { return "" },
	}
}

// rpmTidy looks at what manifests leave out: the database of packages, and temporary files.
func (r *Root) rpmTidy() {
	r.t.Helper()
	r.rpmInOrder()
	for _, dir := range []string{"/run", "/tmp", "/var/tmp"} {
		if left := r.Run("sh", "-c", "ls -d "+dir+"/*zcp2kopano*"); left.Code == 0 {
			r.t.Errorf("left behind: %s", left.Output)
		}
	}
}

func (r *Root) rpmInOrder() {
	r.t.Helper()
	if got := r.Run("rpm", "-Va", "--nofiles", "--nodigest", "--nosignature"); strings.Contains(got.Output, "is needed by zarafa") || strings.Contains(got.Output, "is needed by kopano") {
		r.t.Errorf("rpm -Va: %s", got.Output)
	}
	if got := r.Must("rpm", "-qa", "--qf", "%{NAME}\n"); strings.Count("\n"+got, "\nzarafa-server\n")+strings.Count("\n"+got, "\nkopano-server\n") != 1 {
		r.t.Errorf("packages: %s", got)
	}
}

// TestRPMRollback kills a migration in the transaction that removes ZCP, resumes it, and has it rolled back before the first
// start of kopano-server, killed on that way, too. ZCP's packages come from what the run has built anew.
func TestRPMRollback(t *testing.T) {
	onRPMSystems(t, 1, func(t *testing.T, s *RPMSystem, r *Root) {
		rnd := chance.Rand(t, 0)
		r.Must("systemctl", "disable", "zarafa-gateway") // goes on until the next boot
		r.Must("systemctl", "stop", "zarafa-ical")
		r.Must("systemctl", "mask", "zarafa-ical")
		r.InstallHaltingProgram()
		before, logs := r.State(), r.logs()
		v := &victim{Root: r, t: t, siege: &siege{ground: s.ground(), struck: map[place]bool{}}, trail: newTrail()}
		t.Cleanup(func() { v.trail.close() })
		for _, w := range []wound{
			{at: place{"remove_zcp", "intent", 1}, after: upTo(rnd, 2*time.Second)},
			{at: place{"set_ownership", "step", 1}},
		} {
			v.strike(v.onwards(), w)
		}
		v.strike(v.backwards(), wound{at: place{backwards, "undone", 1 + rnd.IntN(20)}})
		if v.siege.hits != 3 {
			t.Errorf("%d kills hit a run at work", v.siege.hits)
		}
		if code := v.finish(v.backwards()); code != exit.Done {
			t.Errorf("rollback: exit status %d\n%s", code, v.output)
		}
		compareBack(t, r, before)
		r.keepsLogs(logs)
		r.rpmTidy()
	})
}

// repositoryFiles are what configures a repository, which a migration from a directory of package files needs none of.
func (s *RPMSystem) repositoryFiles() []string {
	return append(s.keyFiles, s.Repos+"/kopano.repo")
}

// logs are those of ZCP, of which States say nothing since daemons write on: by path, owner and what is in them.
func (r *Root) logs() map[string]string {
	r.t.Helper()
	logs := map[string]string{}
	for name := range strings.FieldsSeq(r.Must("find", "/var/log/zarafa", "-type", "f")) {
		logs[name] = r.Must("stat", "-c", "%U:%G %a", name) + r.ReadFile(name)
	}
	if logs["/var/log/zarafa/server.log"] == "" {
		r.t.Fatalf("the server has written no log: %q", logs)
	}
	return logs
}

// keepsLogs wants them there, with all that was in them.
func (r *Root) keepsLogs(before map[string]string) {
	r.t.Helper()
	now := r.logs()
	for name, was := range before {
		if !strings.HasPrefix(now[name], was) {
			r.t.Errorf("%s was\n%s\nand is\n%s", name, was, now[name])
		}
	}
	for name := range now {
		if _, there := before[name]; !there {
			r.t.Errorf("%s has come", name)
		}
	}
}
