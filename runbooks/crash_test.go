package runbooks_test

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	stdruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

//go:embed testdata/crash.txtar
var crashFixture []byte

// TestMain has garbage collected less often: worlds are small and many.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// kills end the process, errnos do not.
var (
	kills = []fault{
		{name: "killed before"},
		{name: "killed after", after: true},
		{name: "power lost before", power: true},
		{name: "power lost after", after: true, power: true},
	}
	half   = fault{name: "killed half-way", after: true, half: true}
	errnos = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EPERM}
)

// world is a host with what is kept of a run on it.
type world struct {
	t       testing.TB
	host    *sim.Host
	journal []byte
	log     *journal.Log     // the journal, taken up
	records []journal.Record // of it
	keeper  *state.Keeper
	rec     *recorder // of the last process
	trap    *trap
	now     string // the step that the process is in
}

// route is a way through the stock runbook: a host, and the parameters of the run.
type route struct {
	name    string
	fixture []byte
	edits   []string // of the fixture: what is replaced, and by what
	params  map[string]string
	secrets map[string]host.Secret
}

var mainRoute = route{name: "stock", fixture: crashFixture}

// kit is what all worlds share.
type kit struct {
	route
	book  *runbook.Runbook
	start *sim.Host // which each world begins as a clone of
}

func newKit(t testing.TB, r route) *kit {
	t.Helper()
	k := &kit{route: r}
	text := string(r.fixture)
	for i := 0; i < len(r.edits); i += 2 {
		if !strings.Contains(text, r.edits[i]) {
			t.Fatalf("route %s: the fixture does not hold %q", r.name, r.edits[i])
		}
		text = strings.ReplaceAll(text, r.edits[i], r.edits[i+1])
	}
	fixture, err := sim.ReadFixture([]byte(text))
	if err != nil {
		t.Fatalf("route %s: %v", r.name, err)
	}
	var opts sim.Options
	names, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := runbooks.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := sim.ParseCatalog(data)
		if err != nil {
			t.Fatal(err)
		}
		opts.Catalog = append(opts.Catalog, list...)
	}
	if k.start, err = fixture.Host(opts); err != nil {
		t.Fatalf("route %s: %v", r.name, err)
	}
	return k
}

func (k *kit) load(t testing.TB) {
	t.Helper()
	limits := script.DefaultLimits
	limits.Steps <<= 20 // what a runbook may compute is bounded for all its runs
	var err error
	k.book, err = runbook.Load(context.Background(), script.LoadOptions{Name: "debian", Stock: runbooks.FS, Builtins: builtins.All(), Limits: limits})
	if err != nil {
		t.Fatal(script.ErrorInfoOf(err))
	}
}

func (k *kit) world(t testing.TB) *world {
	t.Helper()
	if k.book == nil {
		k.load(t)
	}
	return newWorld(t, k.start, state.Memory())
}

// newWorld is a world that begins like a host.
func newWorld(t testing.TB, like *sim.Host, keeper *state.Keeper) *world {
	w := &world{t: t, host: like.Clone(), keeper: keeper, trap: &trap{}}
	w.host.Files().Watch(
		func(op, path string) error { return w.trap.before(op + " " + path) },
		func(op, path string) { w.trap.passed(op + " " + path) },
	)
	return w
}

// again is a world in which the same has happened. The secrets are the same: they only become more.
func (w *world) again() *world {
	c := newWorld(w.t, w.host, w.keeper)
	c.journal = w.journal
	return c
}

func (w *world) manifest() *manifest.Manifest { return w.take(false) }

// timed is the manifest with the times of files: what was put back is as old as it was. Those of
// directories change with what is in them.
func (w *world) timed() *manifest.Manifest {
	m := w.take(true)
	for name, e := range m.Files {
		if e.Type != "file" {
			e.Mtime = ""
			m.Files[name] = e
		}
	}
	return m
}

func (w *world) take(times bool) *manifest.Manifest {
	w.t.Helper()
	m, err := manifest.Take(w.host, manifest.Options{Ignore: manifest.Volatile, Times: times})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// process does something on the world until it ends or the trap springs, and keeps the journal.
func (w *world) process(k *kit, tr *trap, do func(context.Context, engine.Config) story.Verdict) story.Verdict {
	w.t.Helper()
	log, records := w.open()
	w.rec = &recorder{log: log, trap: tr, lines: len(records) + 1, durable: len(records) + 1, now: w.host.Now}
	w.trap = tr
	v := do(context.Background(), engine.Config{
		Mode: "run", ID: "r1", Runbook: k.book, Host: &crashHost{sim: w.host, trap: tr}, HostLabel: "test",
		Dir: "/var/lib/zcp2kopano/runs/r1", Journal: w.rec, Keeper: w.keeper, Version: "test", Now: w.host.Now,
		Stop: make(chan struct{}), Previous: records, Params: k.params, Secrets: k.secrets,
		Emit: func(e story.Event) {
			if e.Kind == story.StepBegin {
				w.now = e.Step
			}
		},
	})
	w.trap = &trap{}
	w.journal, w.log = w.rec.left(), nil
	return v
}

// open takes up what the last process left of the journal, for the next one.
func (w *world) open() (*journal.Log, []journal.Record) {
	w.t.Helper()
	if w.log != nil {
		return w.log, w.records
	}
	if w.journal == nil {
		w.log = journal.Memory("test", w.host.Now)
		return w.log, nil
	}
	var damage *journal.Damage
	var err error
	w.log, w.records, damage, err = journal.OpenMemory(w.journal, w.host.Now)
	if err == nil && damage != nil {
		err = w.log.Repair() // refuses what is not torn
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.log, w.records
}

func (w *world) run(k *kit, tr *trap) story.Verdict {
	return w.process(k, tr, engine.Execute)
}

func (w *world) rollback(k *kit, tr *trap) story.Verdict {
	return w.process(k, tr, func(ctx context.Context, cfg engine.Config) story.Verdict {
		return engine.Rollback(ctx, cfg, "")
	})
}

// noReturn reports whether the journal holds an action that cannot be undone.
func (w *world) noReturn() bool {
	_, records := w.open()
	announced := false
	for _, r := range records {
		switch {
		case r.Type == "no-return":
			announced = true
		case r.Type == "intent" && announced:
			return true
		case r.Type == "skip":
			announced = false
		}
	}
	return false
}

// goal is what every trial is held to.
type goal struct {
	kit        *kit
	start, end *manifest.Manifest
	points     int // that are no looks
	dealtWith  *leftovers
}

func newGoal(t testing.TB, r route) *goal {
	t.Helper()
	g := &goal{kit: newKit(t, r), dealtWith: &leftovers{}}
	w := g.kit.world(t)
	g.start = w.timed()
	tr := &trap{}
	v := w.run(g.kit, tr)
	if v.Code != exit.Done {
		t.Fatalf("route %s: the run without a fault: %s", r.name, v.Text)
	}
	g.end, g.points = w.manifest(), tr.n
	return g
}

// trial is a fault at a point.
type trial struct {
	fault
	at   int
	step string
}

// kind is what a sample has each of: every fault in every step.
type kind struct{ fault, step string }

func (one trial) kind() kind { return kind{one.name, one.step} }

// faultKind is every fault, wherever.
func (one trial) faultKind() string { return one.name }

// trials are all faults at all points of a run.
type trials struct {
	list   []trial
	points int
	looks  int
	kills  int // that list would hold if each were tried
	tried  int // of these
}

func (all trials) String() string {
	return fmt.Sprintf("%d points of change and %d of reading: %d crashes, of which %d leave the same host and journal as another; %d errors; %d trials to make, each with resume and rollback",
		all.points, all.looks, all.kills, all.kills-all.tried, len(all.list)-all.tried, len(all.list))
}

// leftover is all that a killed process leaves: the host, and a journal of so many lines. The journal
// only grows, so its length says which it is.
type leftover struct {
	host  [sha256.Size]byte
	lines int
}

// trials watches a run without a fault. A process killed at two points that leave the same host and
// the same journal leaves the same work to resume and rollback, so it is killed at one of them. That
// a look changes nothing is seen by this too: behind one point and before the next, the host is the same.
func (g *goal) trials(t testing.TB) trials {
	t.Helper()
	var all trials
	seen := map[leftover]bool{}
	between := leftover{}
	w := g.kit.world(t)
	tr := &trap{}
	var points, looks []string // the steps that they are in
	tr.watch = func(at place) {
		in := w.now
		if at.look {
			looks = append(looks, in)
			return
		}
		if !at.after {
			points = append(points, in)
		}
		left := leftover{lines: w.rec.lines}
		switch {
		case at.deep:
		case !at.after && between.lines > 0 && at.n%8 > 0 && !chance.Nothing():
			left.host = between.host // what comes between two points is looked at in a sample
		default:
			left.host = w.digest()
		}
		if !at.deep && !at.after && between.lines > 0 && left != between {
			t.Errorf("route %s: something changed before point %d that is no point", g.kit.name, at.n)
		}
		between = leftover{}
		if at.after && !at.deep {
			between = left
		}
		for _, f := range kills {
			if f.after != at.after {
				continue
			}
			if f.power {
				left.lines = w.rec.durable
			}
			all.kills++
			if at.deep || !seen[left] {
				all.list = append(all.list, trial{f, at.n, in})
			}
			seen[left] = seen[left] || !at.deep
		}
		if at.after && at.halfable {
			all.kills++
			all.list = append(all.list, trial{half, at.n, in})
		}
	}
	if v := w.run(g.kit, tr); v.Code != exit.Done || tr.n != g.points {
		t.Fatalf("route %s: %d points, then %d; %s", g.kit.name, g.points, tr.n, v.Text)
	}
	all.points, all.looks, all.tried = tr.n, tr.looks, len(all.list)
	for _, errno := range errnos {
		for n, in := range points {
			all.list = append(all.list, trial{fault{name: errno.Error(), errno: errno}, n + 1, in})
		}
	}
	which := chance.Rand(t, uint64(len(looks)))
	for n, in := range looks {
		some := errnos
		if !chance.Nothing() {
			i := which.IntN(len(errnos))
			some = errnos[i : i+1]
		}
		for _, errno := range some {
			all.list = append(all.list, trial{fault{name: errno.Error() + " from reading", errno: errno, look: true}, n + 1, in})
		}
	}
	return all
}

// mainTrials are those of the main route, found once for all tests.
func mainTrials(t testing.TB) trials {
	t.Helper()
	foundTrials.Do(func() { foundTrials.trials = newGoal(t, mainRoute).trials(t) })
	if foundTrials.points == 0 {
		t.Fatal("the trials of the main route could not be found: see the test that failed first")
	}
	return foundTrials.trials
}

var foundTrials struct {
	sync.Once
	trials
}

// digest is of the whole host: also of what a manifest leaves out elsewhere.
func (w *world) digest() [sha256.Size]byte {
	w.t.Helper()
	m, err := manifest.Take(w.host, manifest.Options{Times: true})
	if err != nil {
		w.t.Fatal(err)
	}
	processes, err := w.host.Processes()
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := json.Marshal([]any{m, processes})
	if err != nil {
		w.t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// runlevels is the one thing that a crash may leave otherwise: a tool that was killed while it made the
// links of an init script leaves them alone when it is run again, or does not, and a simulation says
// that it does not know them.
func runlevels(u host.Unpredicted) bool { return strings.HasPrefix(u.Path, "/etc/rc?.d/") }

func same(got, want *manifest.Manifest, unknown ...host.Unpredicted) error {
	diffs := manifest.Compare(want, got, unknown)
	diffs = slices.DeleteFunc(diffs, func(d manifest.Difference) bool { return d.Excuse != "" })
	if len(diffs) == 0 {
		return nil
	}
	if len(diffs) > 8 {
		diffs = diffs[:8]
	}
	return errors.New(manifest.Table(diffs, "want", "got"))
}

// resumed holds a world to the end of an uninterrupted run.
func (g *goal) resumed(w *world) error {
	if v := w.run(g.kit, &trap{}); v.Code != exit.Done {
		return fmt.Errorf("resume: code %d: %s", v.Code, v.Text)
	}
	unknown := slices.DeleteFunc(w.host.Unpredicted(), func(u host.Unpredicted) bool { return !runlevels(u) })
	if err := same(w.manifest(), g.end, unknown...); err != nil {
		return fmt.Errorf("after resume:\n%w", err)
	}
	return nil
}

// rolledBack holds a world to the start of the run.
func (g *goal) rolledBack(w *world) error {
	want := exit.Done
	if w.noReturn() {
		want = exit.RollbackIncomplete
	}
	var told []string
	v := w.process(g.kit, &trap{}, func(ctx context.Context, cfg engine.Config) story.Verdict {
		cfg.Emit = func(e story.Event) { told = append(told, e.Text) }
		return engine.Rollback(ctx, cfg, "")
	})
	if v.Code != want {
		return fmt.Errorf("rollback: code %d, want %d: %s\n%s", v.Code, want, v.Text, strings.Join(told, "\n"))
	}
	for _, s := range told {
		if strings.HasPrefix(s, "not as before: ") && !strings.Contains(s, "database") {
			return fmt.Errorf("rollback: %s", s)
		}
	}
	if want == exit.RollbackIncomplete && !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "database") }) {
		return fmt.Errorf("rollback does not say that the database needs the dump: %s", strings.Join(told, "\n"))
	}
	got := w.timed()
	if want == exit.RollbackIncomplete {
		// The dump is the way back for the database: it must stay.
		const dumps = "/var/backups/zcp2kopano"
		if _, ok := got.Files[dumps+"/zarafa.sql.zst"]; !ok {
			return fmt.Errorf("rollback took the dump away")
		}
		maps.DeleteFunc(got.Files, func(path string, _ manifest.Entry) bool { return strings.HasPrefix(path, dumps) })
	}
	if err := same(got, g.start); err != nil {
		return fmt.Errorf("after rollback:\n%w", err)
	}
	store := action.Store{Host: w.host, Dir: "/var/lib/zcp2kopano/runs/r1/backup"}
	if changed, err := store.Changed(context.Background()); err != nil || len(changed) > 0 {
		return fmt.Errorf("the rollback kept %q as changed since, and nobody changed anything (%v)", changed, err)
	}
	return nil
}

// begun reports whether the journal holds an action. Without one there is nothing to resume or to roll
// back: the program says so, and a new run begins.
func (w *world) begun() bool {
	_, records := w.open()
	return slices.ContainsFunc(records, func(r journal.Record) bool { return r.Type == "intent" })
}

// leftovers are what faults left that were gone on from and gone back from. What leaves the same host and
// the same journal leaves the same work.
type leftovers struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]bool
}

// add is false for what is known.
func (l *leftovers) add(w *world) bool {
	key := w.left()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[key] {
		return false
	}
	if l.known == nil {
		l.known = map[[sha256.Size]byte]bool{}
	}
	l.known[key] = true
	return true
}

// forPeople are the fields of a record that only people read: what a failure is called.
var forPeople = map[string][]string{"failed": {"error"}, "verdict": {"text", "elapsed_ns"}}

// left is the digest of all that a process left, but for what only people read of it: words, and when a
// record was written.
func (w *world) left() [sha256.Size]byte {
	w.t.Helper()
	sum := sha256.New()
	host := w.digest()
	sum.Write(host[:])
	_, records := w.open()
	for _, r := range records {
		if fields := forPeople[r.Type]; fields != nil {
			var data map[string]any
			if err := json.Unmarshal(r.Data, &data); err != nil {
				w.t.Fatal(err)
			}
			for _, field := range fields {
				delete(data, field)
			}
			r.Data, _ = json.Marshal(data)
		}
		fmt.Fprintf(sum, "%d %s %s\n", r.Seq, r.Type, r.Data)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// crash springs a trap at a point, in two worlds: one goes on, one goes back. Before the first action
// the world must be as it was.
func (g *goal) crash(t testing.TB, what trial) error {
	w, where, err := g.meet(t, what)
	if err != nil {
		return err
	}
	return g.goesOn(w, where)
}

// goesOn holds what a fault left to the goal.
func (g *goal) goesOn(w *world, where string) error {
	if !w.begun() {
		if err := same(w.timed(), g.start); err != nil {
			return fmt.Errorf("%s: nothing was begun, but:\n%w", where, err)
		}
		return nil
	}
	if !g.dealtWith.add(w) {
		return nil
	}
	other := w.again()
	if err := g.resumed(w); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := g.rolledBack(other); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// meet lets a run meet a fault. If it ends well all the same, it must end as without.
func (g *goal) meet(t testing.TB, what trial) (w *world, where string, err error) {
	w = g.kit.world(t)
	where, err = g.meetIn(w, what)
	return w, where, err
}

func (g *goal) meetIn(w *world, what trial) (where string, err error) {
	tr := &trap{fault: what.fault, at: what.at}
	v := w.run(g.kit, tr)
	where = fmt.Sprintf("point %d (%s), %s", what.at, tr.point, what.name)
	if tr.point == "" || what.errno == nil && !tr.dead {
		return where, fmt.Errorf("%s: the trap did not spring", where)
	}
	if v.Code == exit.Done && !tr.dead {
		if err := same(w.manifest(), g.end); err != nil {
			return where, fmt.Errorf("%s: the run ended well, but:\n%w", where, err)
		}
	}
	return where, nil
}

// crashAll makes trials on all processors.
func crashAll(t *testing.T, r route, list []trial) {
	begun := time.Now()
	var next atomic.Int64
	dealtWith := &leftovers{}
	for shard := range stdruntime.GOMAXPROCS(0) {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			g := newGoal(t, r) // a runbook belongs to one run at a time
			g.dealtWith = dealtWith
			report := newFailures(t)
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				if err := g.crash(t, list[i]); err != nil {
					report.add(err)
				}
			}
			report.end()
		})
	}
	t.Cleanup(func() {
		chance.Figures(t, begun, "%d trials at %d points; behind an action, they left %d different hosts and journals, of which each was resumed and rolled back",
			min(int(next.Load()), len(list)), pointsIn(list), len(dealtWith.known))
	})
}

// pointsIn counts the points of trials: of change and of reading.
func pointsIn(list []trial) int {
	type point struct {
		look bool
		at   int
	}
	seen := map[point]bool{}
	for _, one := range list {
		seen[point{one.look, one.at}] = true
	}
	return len(seen)
}

// TestCrashEverywhere crashes the stock runbook at a sample of the points of change of its run; with make crash at every
// point, those of reading too, in every way.
func TestCrashEverywhere(t *testing.T) {
	all := mainTrials(t)
	t.Log(all)
	list := all.list
	if !chance.Nothing() { // TestEachReadingFails has the others
		list = slices.DeleteFunc(slices.Clone(list), func(one trial) bool { return one.look })
	}
	crashAll(t, mainRoute, chance.Pick(t, list, 200, trial.kind))
}

const withoutSystemd = "no systemd, Kopano 8.4, copied configuration"

// otherRoutes are hosts and parameters that lead other ways through the stock runbook.
func otherRoutes(t testing.TB) []route {
	t.Helper()
	example := func(name string) []byte {
		data, err := fs.ReadFile(hosts.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const disk = "/boot  /dev/sda2  ext4  480M 400M\n"
	const tree = "-- tree --\n"
	old, legacy := example("debian8-zcp72.txtar"), example("debian8-zcp71-ldap.txtar")
	few := []string{
		"spread 5000 240G 10x20", "spread 20 240G 2x2",
		// On a real host other packages have these directories, too.
		"-- packages --\n", `-- packages --
Package: base-files
Version: 8+deb8u10
Maintainer: Santiago Vila <sanvila@debian.org>
Source: base-files
Description: Debian base system
Files:
 /etc/logrotate.d/
 /lib/systemd/system/
 /usr/share/doc/

`,
	}
	return []route{
		{
			name: "copied configuration, attachments mounted elsewhere, mail held, a dependant put back, all components, no purge, a password", fixture: crashFixture,
			edits: []string{
				disk, disk + strings.Replace(attachmentDisk, "nas:/mail", "/dev/sdb1", 1) + "\n",
				"-- packages --\n", "-- packages --\n" + zPush,
				"-- services --\n", "-- services --\npostfix active enabled pid=1100 exe=/usr/lib/postfix/master\n",
				tree, "-- /lib/systemd/system/postfix.service --\n[Service]\nExecStart=/usr/lib/postfix/master\n[Install]\nWantedBy=multi-user.target\n" +
					"-- /etc/postfix/main.cf --\n" + agentCommand + "-- /etc/fstab --\n" + attachmentLine + "-- /home/alice/.forward 0644 alice:alice --\n|/usr/bin/zarafa-dagent alice\n" + tree,
			},
			params:  map[string]string{"config": "copy", "attachments": "remount", "delivery": "soft_bounce", "components": "all", "purge": "no"},
			secrets: map[string]host.Secret{"repo_password": host.NewSecret("k0pano-subscription")},
		},
		{
			name: "attachments to another disk, copied ahead", fixture: crashFixture,
			params: map[string]string{"attachments": "presync"},
			edits: []string{
				disk, disk + "/var/lib/kopano /dev/sdb1 xfs 400G 300G\n",
				tree, "-- /var/lib/zarafa/attachments/read.gz 0640 zarafa:zarafa --\nwhat is in it is compared\n" + tree +
					"hardlink /var/lib/zarafa/attachments/twice.gz -> /var/lib/zarafa/attachments/read.gz\n",
			},
		},
		{
			name: "leftovers of an earlier attempt", fixture: crashFixture,
			edits: []string{tree, `-- /etc/kopano/server.cfg 0640 root:zarafa --
mysql_password = from-the-earlier-attempt
-- /etc/kopano/dagent.cfg --
log_level = 6
-- /etc/kopano/mine.cfg --
keep = me
-- /etc/kopano/userscripts/createuser 0755 --
#!/bin/sh
-- /etc/default/kopano --
KOPANO_LOCALE=de_DE.UTF-8
-- /etc/logrotate.d/kopano --
daily
-- /var/log/kopano/server.log --
an old line
-- /var/lib/kopano/note --
kept
` + tree},
		},
		{name: "the example with WebApp", fixture: old, edits: []string{"spread 10000 6G 10x20", "spread 20 6G 2x2"}},
		{
			name: "a mount among the attachments, ZCP stopped for the dump", fixture: old,
			edits:  []string{"spread 10000 6G 10x20", "spread 20 6G 2x2", "/boot  /dev/sda2", "/var/lib/zarafa/attachments/1 /dev/sdb1 ext4 10G 9G\n/boot  /dev/sda2"},
			params: map[string]string{"dump": "stopped"},
		},
		{name: "init scripts, LDAP, daemons as root", fixture: legacy, edits: few},
		{
			name: withoutSystemd, fixture: legacy,
			edits:  append([]string{"init: systemd", "init: sysv", "core:/final/", "core:/8.4/"}, few...),
			params: map[string]string{"config": "copy", "target": "8.4.5", "repo_url": "https://download.kopano.io/supported/core:/8.4"},
		},
	}
}

// TestCrashOtherRoutes crashes at a sample of the points of each other route, with make crash at all of
// them.
func TestCrashOtherRoutes(t *testing.T) {
	for _, r := range otherRoutes(t) {
		t.Run(r.name, func(t *testing.T) {
			all := newGoal(t, r).trials(t)
			t.Log(all)
			crashAll(t, r, chance.Pick(t, all.list, 20, trial.faultKind))
		})
	}
}

// TestCrashAmongRunlevelLinks fills the disk at each link that starts or stops kopano-server: what is there of them then is
// left alone by the tools that made it, and the service must be enabled all the same.
func TestCrashAmongRunlevelLinks(t *testing.T) {
	routes := otherRoutes(t)
	i := slices.IndexFunc(routes, func(r route) bool { return r.name == withoutSystemd })
	g := newGoal(t, routes[i])
	var points []int
	tr := &trap{watch: func(at place) {
		if !at.look && !at.after && strings.HasPrefix(at.point, "symlink /etc/rc") && strings.HasSuffix(at.point, "kopano-server") {
			points = append(points, at.n)
		}
	}}
	g.kit.world(t).run(g.kit, tr)
	if len(points) != 7 {
		t.Fatalf("%d links of kopano-server, want one in each runlevel", len(points))
	}
	for _, n := range points {
		if err := g.crash(t, trial{fault: fault{name: "disk full", errno: syscall.ENOSPC}, at: n}); err != nil {
			t.Error(err)
		}
	}
}

// TestCrashAmongUnitLinks loses the power before each link by which a unit of Kopano starts at boot: the scripts of the
// packages make it once, and have noted by then that it was made.
func TestCrashAmongUnitLinks(t *testing.T) {
	routes := otherRoutes(t)
	i := slices.IndexFunc(routes, func(r route) bool { return r.name == withoutSystemd })
	g := newGoal(t, routes[i])
	var points []int
	tr := &trap{watch: func(at place) {
		if !at.look && !at.after && strings.HasPrefix(at.point, "symlink /etc/systemd/system/multi-user.target.wants/kopano-") {
			points = append(points, at.n)
		}
	}}
	g.kit.world(t).run(g.kit, tr)
	if len(points) == 0 {
		t.Fatal("no unit of Kopano is enabled")
	}
	for _, n := range points {
		if err := g.crash(t, trial{fault: fault{name: "power lost before", power: true}, at: n}); err != nil {
			t.Error(err)
		}
	}
}

// sample picks so many trials, and at least one of each kind.
func sample(t *testing.T, list []trial, n int) []trial {
	return chance.Pick(t, list, n, trial.kind)
}

// TestCrashAgain crashes a second and a third time, while the run is resumed or rolled back.
func TestCrashAgain(t *testing.T) {
	n := 100
	switch {
	case testing.Short():
		n /= 6
	case chance.Nothing():
		n *= 20
	}
	const shards = 2
	for shard := range shards {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			crashAgain(t, chance.Rand(t, uint64(shard)), n/shards)
		})
	}
}

func crashAgain(t *testing.T, rnd *rand.Rand, n int) {
	begun := time.Now()
	g := newGoal(t, mainRoute)
	list := mainTrials(t).list
	sprung := 0
	report := newFailures(t)
	for range n {
		w := g.kit.world(t)
		var past []string
		crash := func(what string, process func(*kit, *trap) story.Verdict) {
			one := list[rnd.IntN(len(list))]
			if len(past) > 0 { // what is left to do is shorter
				one.at = rnd.IntN(one.at) + 1
			}
			tr := &trap{fault: one.fault, at: one.at}
			process(g.kit, tr)
			past = append(past, fmt.Sprintf("%s: point %d (%s), %s", what, tr.at, tr.point, tr.name))
			if tr.point != "" {
				sprung++
			}
		}
		crash("run", w.run)
		then := g.resumed
		for range 1 + rnd.IntN(2) {
			if rnd.IntN(2) == 0 {
				crash("resume", w.run)
				continue
			}
			crash("rollback", w.rollback)
			then = g.rolledBack
			break
		}
		if rnd.IntN(3) == 0 {
			then = g.rolledBack
		}
		if err := then(w); err != nil {
			report.add(fmt.Errorf("%s: %w", strings.Join(past, "; "), err))
		}
	}
	chance.Figures(t, begun, "%d runs that met %d faults", n, sprung)
	report.end()
}

// failures tells the first failures whole, the others by their first lines, and counts all.
type failures struct {
	t *testing.T
	n int
}

func newFailures(t *testing.T) *failures { return &failures{t: t} }

func (f *failures) add(err error) {
	f.n++
	if f.n <= 12 {
		f.t.Error(err)
		return
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	f.t.Errorf("%.400s", first)
}

func (f *failures) end() {
	if f.n > 0 {
		f.t.Errorf("%d trials failed", f.n)
	}
}
