package runbooks_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	stdruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
)

//go:embed testdata/crash.txtar
var crashFixture []byte

// A fault is what happens at one point of a run: a change of the host, a sync, or a record.
type fault struct {
	name  string
	after bool  // the point's own work is done first
	power bool  // records that were not synced are lost too
	errno error // the point fails once, and the world goes on; nil if the process dies
}

var faults = []fault{
	{name: "killed before"},
	{name: "killed after", after: true},
	{name: "power lost before", power: true},
	{name: "power lost after", after: true, power: true},
	{name: "EIO", errno: syscall.EIO},
	{name: "ENOSPC", errno: syscall.ENOSPC},
	{name: "EPERM", errno: syscall.EPERM},
}

var errDead = errors.New("the process is dead")

// trap counts the points that a process passes, and springs at one of them.
type trap struct {
	fault
	at    int // the point; 0 for none
	n     int
	point string // where it sprang
	dead  bool
}

// before is asked before the work of a point, and passed told behind it.
func (tr *trap) before(point string) error {
	if tr.after && tr.at > 0 && tr.n == tr.at { // whose own work failed
		tr.dead = true
	}
	if tr.dead {
		return errDead
	}
	tr.n++
	if tr.n != tr.at {
		return nil
	}
	tr.point = point
	switch {
	case tr.errno == syscall.EPERM && strings.HasPrefix(point, "rmdir "):
		return syscall.EACCES // dpkg takes EPERM there for a mount point, warns, and goes on
	case tr.errno != nil:
		return tr.errno
	case tr.after:
		return nil
	}
	tr.dead = true
	return errDead
}

func (tr *trap) passed() {
	if tr.n == tr.at && tr.after {
		tr.dead = true
	}
}

// do does the work of a point. A dead process does not see that its work was done.
func (tr *trap) do(point string, work func() error) error {
	if err := tr.before(point); err != nil {
		return err
	}
	at := tr.n
	err := work()
	if err == nil && tr.n == at {
		tr.passed()
	}
	if tr.dead {
		return errDead
	}
	return err
}

// world is a host with what is kept of a run on it.
type world struct {
	t       testing.TB
	host    *sim.Host
	journal []byte
	keeper  *state.Keeper
	trap    *trap
}

// kit is what all worlds share.
type kit struct {
	book    *runtime.Runbook
	fixture *sim.Fixture
	opts    sim.Options
	worlds  int
}

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{}
	var err error
	if k.fixture, err = sim.ReadFixture(crashFixture); err != nil {
		t.Fatal(err)
	}
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
		k.opts.Catalog = append(k.opts.Catalog, list...)
	}
	return k
}

// worldsPerBook is how often a runbook is used: what it may compute is bounded for all its runs.
const worldsPerBook = 20

func (k *kit) load(t testing.TB) {
	t.Helper()
	var err error
	k.book, err = runtime.Load(context.Background(), runtime.LoadOptions{Name: "debian", Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(runtime.ErrorInfoOf(err))
	}
}

func (k *kit) world(t testing.TB) *world {
	t.Helper()
	if k.worlds%worldsPerBook == 0 {
		k.load(t)
	}
	k.worlds++
	w := &world{t: t, keeper: state.Memory(), trap: &trap{}}
	opts := k.opts
	opts.Fault = func(op, path string) error { return w.trap.before(op + " " + path) }
	opts.After = func(op, path string) { w.trap.passed() }
	var err error
	if w.host, err = k.fixture.Host(opts); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) manifest() *manifest.Manifest {
	w.t.Helper()
	m, err := manifest.Take(w.host, manifest.Options{Ignore: manifest.Volatile})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// process does something on the world until it ends or the trap springs, and keeps the journal.
func (w *world) process(k *kit, tr *trap, do func(context.Context, runtime.Config) runtime.Verdict) runtime.Verdict {
	w.t.Helper()
	log, records := w.open()
	rec := &recorder{log: log, trap: tr, durable: log.Bytes()}
	w.trap = tr
	v := do(context.Background(), runtime.Config{
		Mode: "run", ID: "r1", Runbook: k.book, Host: &crashHost{Host: w.host, trap: tr}, HostLabel: "test",
		Dir: "/var/lib/zcp2kopano/runs/r1", Journal: rec, Keeper: w.keeper, Version: "test", Now: w.host.Now,
		Stop: make(chan struct{}), Previous: records,
	})
	w.trap = &trap{}
	w.journal = log.Bytes()
	if tr.dead && tr.power {
		w.journal = rec.durable
	}
	return v
}

func (w *world) open() (*journal.Log, []journal.Record) {
	w.t.Helper()
	if w.journal == nil {
		return journal.Memory("test", w.host.Now), nil
	}
	log, records, damage, err := journal.OpenMemory(w.journal, w.host.Now)
	if err != nil || damage != nil {
		w.t.Fatal(err, damage)
	}
	return log, records
}

func (w *world) run(k *kit, tr *trap) runtime.Verdict {
	return w.process(k, tr, runtime.Execute)
}

func (w *world) rollback(k *kit, tr *trap) runtime.Verdict {
	return w.process(k, tr, func(ctx context.Context, cfg runtime.Config) runtime.Verdict {
		return runtime.Rollback(ctx, cfg, "")
	})
}

// noReturn tells whether the journal holds an action that cannot be undone.
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

// recorder is a journal whose writes are points.
type recorder struct {
	log     *journal.Log
	trap    *trap
	durable []byte
}

func (r *recorder) Append(typ string, data any) (seq uint64, err error) {
	err = r.trap.do("append "+typ, func() error {
		seq, err = r.log.Append(typ, data)
		r.durable = r.log.Bytes()
		return err
	})
	return seq, err
}

func (r *recorder) AppendLazy(typ string, data any) (seq uint64, err error) {
	err = r.trap.do("append lazily "+typ, func() error {
		seq, err = r.log.AppendLazy(typ, data)
		return err
	})
	return seq, err
}

func (r *recorder) Sync() error  { return r.trap.do("sync journal", r.log.Sync) }
func (r *recorder) Close() error { return nil }

// crashHost makes points of what does not go through files; those are points by sim.Options.
type crashHost struct {
	*sim.Host
	trap *trap
}

var _ host.Host = (*crashHost)(nil)

func (h *crashHost) CommitPackages(ctx context.Context, tx host.Transaction, progress func(string)) error {
	return h.trap.do("commit packages", func() error {
		return h.Host.CommitPackages(ctx, tx, func(line string) {
			_ = h.trap.before(line)
			h.trap.passed()
			progress(line)
		})
	})
}

func (h *crashHost) RefreshPackages(ctx context.Context, only []string) error {
	return h.trap.do("refresh packages", func() error { return h.Host.RefreshPackages(ctx, only) })
}

func (h *crashHost) RepairPackages(ctx context.Context) error {
	return h.trap.do("repair packages", func() error { return h.Host.RepairPackages(ctx) })
}

func (h *crashHost) SavePackages(ctx context.Context, names []string, dir string) (files, missing map[string]string, err error) {
	err = h.trap.do("save packages", func() error {
		files, missing, err = h.Host.SavePackages(ctx, names, dir)
		return err
	})
	return files, missing, err
}

func (h *crashHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (result host.DumpResult, err error) {
	err = h.trap.do("dump", func() error {
		result, err = h.Host.DumpDatabase(ctx, req, progress)
		return err
	})
	return result, err
}

func (h *crashHost) StartService(ctx context.Context, name string) error {
	return h.trap.do("start "+name, func() error { return h.Host.StartService(ctx, name) })
}

func (h *crashHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	return h.trap.do("stop "+name, func() error { return h.Host.StopService(ctx, name, patience) })
}

func (h *crashHost) EnableService(name string) error {
	return h.trap.do("enable "+name, func() error { return h.Host.EnableService(name) })
}

func (h *crashHost) DisableService(name string) error {
	return h.trap.do("disable "+name, func() error { return h.Host.DisableService(name) })
}

func (h *crashHost) MaskService(name string) error {
	return h.trap.do("mask "+name, func() error { return h.Host.MaskService(name) })
}

func (h *crashHost) UnmaskService(name string) error {
	return h.trap.do("unmask "+name, func() error { return h.Host.UnmaskService(name) })
}

func (h *crashHost) ReloadServices() error {
	return h.trap.do("reload services", h.Host.ReloadServices)
}

// goal is what every trial is held to.
type goal struct {
	kit        *kit
	start, end *manifest.Manifest
	points     int
}

func newGoal(t testing.TB) *goal {
	t.Helper()
	g := &goal{kit: newKit(t)}
	w := g.kit.world(t)
	g.start = w.manifest()
	tr := &trap{}
	v := w.run(g.kit, tr)
	if v.Code != runtime.CodeDone {
		t.Fatalf("the run without a fault: %s", v.Text)
	}
	g.end, g.points = w.manifest(), tr.n
	return g
}

func same(got, want *manifest.Manifest) error {
	diffs := manifest.Compare(want, got, nil)
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
	if v := w.run(g.kit, &trap{}); v.Code != runtime.CodeDone {
		return fmt.Errorf("resume: code %d: %s", v.Code, v.Text)
	}
	if err := same(w.manifest(), g.end); err != nil {
		return fmt.Errorf("after resume:\n%w", err)
	}
	return nil
}

// rolledBack holds a world to the start of the run.
func (g *goal) rolledBack(w *world) error {
	want := runtime.CodeDone
	if w.noReturn() {
		want = runtime.CodeRollbackIncomplete
	}
	var told []string
	v := w.process(g.kit, &trap{}, func(ctx context.Context, cfg runtime.Config) runtime.Verdict {
		cfg.Emit = func(e runtime.Event) { told = append(told, e.Text) }
		return runtime.Rollback(ctx, cfg, "")
	})
	if v.Code != want {
		return fmt.Errorf("rollback: code %d, want %d: %s\n%s", v.Code, want, v.Text, strings.Join(told, "\n"))
	}
	if want == runtime.CodeRollbackIncomplete && !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "database") }) {
		return fmt.Errorf("rollback does not say that the database needs the dump: %s", strings.Join(told, "\n"))
	}
	got := w.manifest()
	if want == runtime.CodeRollbackIncomplete {
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
	return nil
}

// crash springs a trap at a point, in two worlds: one goes on, one goes back.
func (g *goal) crash(t testing.TB, at int, f fault) (point string, err error) {
	for _, then := range []func(*world) error{g.resumed, g.rolledBack} {
		w := g.kit.world(t)
		tr := &trap{fault: f, at: at}
		v := w.run(g.kit, tr)
		point = tr.point
		if f.errno == nil && !tr.dead {
			return point, fmt.Errorf("the trap did not spring")
		}
		if v.Code == runtime.CodeDone && !tr.dead {
			if err := same(w.manifest(), g.end); err != nil {
				return point, fmt.Errorf("the run ended well, but:\n%w", err)
			}
		}
		if err := then(w); err != nil {
			return point, err
		}
	}
	return point, nil
}

// TestCrashEverywhere crashes the stock runbook at points of its run: by default at a sample, with
// ZCP2KOPANO_CRASH=all at every one of them in every way.
func TestCrashEverywhere(t *testing.T) {
	g := newGoal(t)
	total := g.points * len(faults)
	trials := trialsOf(t, total)
	t.Logf("%d points, %d ways to fail at each: %d crashes, %d of them tried, each with resume and rollback",
		g.points, len(faults), total, len(trials))
	shards := stdruntime.GOMAXPROCS(0)
	for shard := range shards {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			g := newGoal(t) // a runbook belongs to one run at a time
			report := newFailures(t)
			for i := shard; i < len(trials); i += shards {
				at, f := trials[i]/len(faults)+1, faults[trials[i]%len(faults)]
				if point, err := g.crash(t, at, f); err != nil {
					report.add(fmt.Sprintf("point %d (%s), %s", at, point, f.name), err)
				}
			}
			report.end()
		})
	}
}

// defaultTrials is how many crashes a run of the test tries by default, for its time.
const defaultTrials = 400

// trialsOf numbers the trials to make.
func trialsOf(t *testing.T, total int) []int {
	if os.Getenv("ZCP2KOPANO_CRASH") == "all" {
		all := make([]int, total)
		for i := range all {
			all[i] = i
		}
		return all
	}
	n := defaultTrials
	if testing.Short() {
		n /= 6
	}
	picked := seeded(t).Perm(total)[:min(n, total)]
	slices.Sort(picked)
	return picked
}

// seeded is a source of chance whose seed is printed; ZCP2KOPANO_SEED repeats one.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("ZCP2KOPANO_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ZCP2KOPANO_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestCrashAgain crashes a second and a third time, while the run is resumed or rolled back.
func TestCrashAgain(t *testing.T) {
	g := newGoal(t)
	chance := seeded(t)
	n := defaultTrials / 3
	if testing.Short() {
		n /= 6
	}
	if os.Getenv("ZCP2KOPANO_CRASH") == "all" {
		n *= 10
	}
	report := newFailures(t)
	for range n {
		w := g.kit.world(t)
		var story []string
		crash := func(what string, process func(*kit, *trap) runtime.Verdict) {
			tr := &trap{fault: faults[chance.IntN(len(faults))], at: chance.IntN(g.points) + 1}
			if len(story) > 0 { // what is left to do is shorter
				tr.at = chance.IntN(tr.at) + 1
			}
			process(g.kit, tr)
			story = append(story, fmt.Sprintf("%s: point %d (%s), %s", what, tr.at, tr.point, tr.name))
		}
		crash("run", w.run)
		then := g.resumed
		for range 1 + chance.IntN(2) {
			if chance.IntN(2) == 0 {
				crash("resume", w.run)
				continue
			}
			crash("rollback", w.rollback)
			then = g.rolledBack
			break
		}
		if chance.IntN(3) == 0 {
			then = g.rolledBack
		}
		if err := then(w); err != nil {
			report.add(strings.Join(story, "; "), err)
		}
	}
	report.end()
}

// failures tells the first failures whole, the others by their first lines, and counts all.
type failures struct {
	t *testing.T
	n int
}

func newFailures(t *testing.T) *failures { return &failures{t: t} }

func (f *failures) add(where string, err error) {
	f.n++
	if f.n <= 12 {
		f.t.Errorf("%s: %v", where, err)
		return
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	f.t.Errorf("%s: %.200s", where, first)
}

func (f *failures) end() {
	if f.n > 0 {
		f.t.Errorf("%d trials failed", f.n)
	}
}
