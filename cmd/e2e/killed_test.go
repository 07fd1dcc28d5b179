package e2e

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

// wantedKills is how many kills of a run at work all trials must make.
const wantedKills = 200

// TestKilledRuns kills real migrations, with all that they started, at each write to the journal, at
// random instants within what takes long (package transactions, the dump, the starts), and at
// random instants of the whole. Each kill is followed by a resume or a rollback, which may be killed
// again. In the end the host must be what an uninterrupted run makes of it, or what it was.
//
// It makes a sample of these kills: of every kind some, and one in each step. With make crash it makes all.
func TestKilledRuns(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	rnd := chance.Rand(t, 0)
	s := prepareSiege(t, onDebian)
	trials := s.trials(rnd.Uint64())
	if !chance.Nothing() {
		trials = s.thinOut(rnd, trials)
	}
	ran, tried := s.carryOutAll(t, trials)
	chance.Figures(t, begun, "%d kills of a run at work (%d tried), at %d of %d records",
		s.hits, tried, len(s.struck), len(s.onward)+len(s.backward))
	if t.Failed() || !chance.Nothing() || ran < len(trials) {
		return
	}
	if left := s.missed(); len(left) > 0 {
		t.Errorf("no kill came at these records: %v", left)
	}
	if s.hits < wantedKills {
		t.Errorf("only %d kills hit a run at work, want %d at least", s.hits, wantedKills)
	}
}

// carryOutAll does trials, as many at once as there are processors. It tells how many ran (a filter of
// tests may leave some out), and how many kills they were to make.
func (s *siege) carryOutAll(t *testing.T, trials []trial) (ran, kills int) {
	var mu sync.Mutex
	t.Run("trials", func(t *testing.T) {
		for _, tr := range trials {
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				mu.Lock()
				ran, kills = ran+1, kills+len(tr.onward)+len(tr.back)
				mu.Unlock()
				s.carryOut(t, tr)
			})
		}
	})
	return ran, kills
}

// missed are the records that no kill was at.
func (s *siege) missed() []milestone {
	return slices.DeleteFunc(slices.Concat(s.onward, s.backward), func(m milestone) bool { return s.struck[m.at] })
}

// siege is what the trials have in common: the site, what it is before, and what an uninterrupted
// run and rollback are like.
type siege struct {
	ground
	image      Image
	before     *manifest.Manifest
	beforeData string // of the database
	bootBefore string // see bootOrder
	after      *manifest.Manifest
	afterData  string
	bootAfter  string
	onward     []milestone
	backward   []milestone
	noReturn   place
	turn       place // the last from which a rollback goes all the way, safely before noReturn

	mu     sync.Mutex
	hits   int
	struck map[place]bool
}

// milestone is a record of an uninterrupted run, and how long it took to the next. What is read is none:
// it is written with the record behind it.
type milestone struct {
	at   place
	took time.Duration
}

// wound is when to kill: so long after a record, or after the beginning where there is none.
type wound struct {
	at    place
	after time.Duration
	alone bool // the worker alone; what it had started goes on
}

func (w wound) String() string {
	var words []string
	if w.at.Type != "" {
		words = append(words, w.at.String())
	}
	if w.after > 0 {
		words = append(words, "+"+w.after.Round(time.Microsecond).String())
	}
	if w.alone {
		words = append(words, "(alone)")
	}
	return strings.Join(words, " ")
}

// trial is one site's fate: the kills on the way onward, then, if it turns, those on the way back.
type trial struct {
	name   string
	onward []wound
	turn   bool
	back   []wound
}

// ground is what a siege goes on upon.
type ground struct {
	site      func(testing.TB) *Root // that is migrated; nobody offers its packages any more
	wake      func(testing.TB, Image) *Root
	migration Migration
	schema    string             // that the migration brings the database to
	inOrder   func(*Root)        // fails if the package manager is not
	boot      func(*Root) string // what starts before what, where that may be written in several ways
}

var onDebian = ground{
	site: func(t testing.TB) *Root {
		site := NewSite(t)
		// ZCP came as package files: only what the run keeps of its packages can lead back.
		site.Must("rm", "/etc/apt/sources.list.d/zcp.list")
		site.Must("apt-get", "update")
		return site
	},
	wake:      func(t testing.TB, image Image) *Root { return WakeSite(t, image) },
	migration: Migration{Repository: "kopano84"},
	schema:    "66",
	inOrder: func(r *Root) {
		if got := r.Must("dpkg", "--audit"); got != "" {
			r.t.Errorf("dpkg --audit: %s", got)
		}
		r.Must("apt-get", "check")
	},
	boot: (*Root).bootOrder,
}

func prepareSiege(t *testing.T, on ground) *siege {
	site := on.site(t)
	site.InstallHaltingProgram()
	s := &siege{ground: on, before: site.State(), beforeData: site.databaseText(), bootBefore: on.boot(site), struck: map[place]bool{}}
	s.image = site.Rest()

	v := s.enter(t)
	if diffs := manifest.Compare(s.before, v.State(), nil); len(diffs) != 0 {
		t.Fatalf("a copy of the site is not like it:\n%s", manifest.Table(diffs, "site", "copy"))
	}
	s.onward = v.milestones(v.onwards())
	if v.trail.code != 0 {
		t.Fatalf("an uninterrupted run fails:\n%s", v.output)
	}
	s.after, s.afterData, s.bootAfter = v.State(), v.databaseText(), s.boot(v.Root)
	everythingRunsAt(t, v.Root, s.schema)
	for _, m := range s.onward {
		switch m.at.Type {
		case "no-return":
			s.noReturn = m.at
		case "intent":
			if s.noReturn.Type == "" {
				s.turn = m.at
			}
		}
	}

	v = s.enter(t)
	v.strike(v.onwards(), wound{at: s.turn})
	s.backward = v.milestones(v.backwards())
	v.isBack()
	return s
}

// victim is a site that is migrated and killed.
type victim struct {
	*Root
	t      *testing.T
	siege  *siege
	trail  *trail
	old    []string // journals of runs that changed nothing
	output string   // of the last command
	file   *os.File // that it goes to
}

func (s *siege) enter(t *testing.T) *victim {
	t.Helper()
	v := &victim{Root: s.wake(t, s.image), t: t, siege: s, trail: newTrail()}
	t.Cleanup(func() { v.trail.close() })
	return v
}

// onwards is the command that begins or goes on. A run that was killed before its first change left
// nothing to resume: a new one begins.
func (v *victim) onwards() *exec.Cmd {
	if v.trail.touched {
		return v.program("resume", "--yes")
	}
	v.trail.close()
	v.trail = newTrail()
	v.old, _ = filepath.Glob(v.runs() + "/[0-9]*/journal")
	return v.MigrateCommand(v.siege.migration)
}

func (v *victim) backwards() *exec.Cmd { return v.program("rollback", "--yes") }

func (v *victim) runs() string { return v.Path("/var/lib/zcp2kopano/runs") }

// start starts a command; ended is closed when it has ended.
func (v *victim) start(cmd *exec.Cmd) (ended chan struct{}) {
	v.t.Helper()
	var err error
	if v.file, err = os.CreateTemp(v.layers, "out"); err != nil {
		v.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = v.file, v.file
	if err := v.Start(cmd); err != nil {
		v.t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	return ended
}

// gather takes what a command that has ended said and wrote.
func (v *victim) gather() {
	v.t.Helper()
	data, err := os.ReadFile(v.file.Name())
	v.file.Close()
	os.Remove(v.file.Name())
	if err != nil {
		v.t.Fatal(err)
	}
	v.output = string(data)
	v.trail.open(v.runs(), v.old)
	if _, err := v.trail.read(); err != nil {
		v.t.Fatal(err)
	}
	v.trail.cut()
}

// finish lets a command come to its end and returns its exit status.
func (v *victim) finish(cmd *exec.Cmd) int {
	v.t.Helper()
	<-v.start(cmd)
	v.gather()
	return cmd.ProcessState.ExitCode()
}

// milestones lets a command come to its end and lists the records that it wrote.
func (v *victim) milestones(cmd *exec.Cmd) []milestone {
	v.t.Helper()
	var all []milestone
	last := time.Time{}
	v.trail.each = func(p place, when time.Time) {
		if p.Type == "read" {
			return
		}
		if len(all) > 0 {
			all[len(all)-1].took = when.Sub(last)
		}
		all, last = append(all, milestone{at: p}), when
	}
	v.finish(cmd)
	v.trail.each = nil
	return all
}

// strike starts a command and kills it when the wound says so.
func (v *victim) strike(cmd *exec.Cmd, w wound) {
	v.t.Helper()
	halted := v.halt(w)
	ended := v.start(cmd)
	due := v.await(w, halted, ended)
	hit, err := false, error(nil)
	switch {
	case due && w.alone:
		hit, err = killWorker(cmd.Process.Pid)
	case due:
		hit, err = killFamily(cmd.Process.Pid)
	}
	<-ended
	os.Remove(v.Path(haltPipe))
	v.gather()
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Logf("%-8s killed at %-40v hit %-5v exit status %d", cmd.Args[1], w, hit, cmd.ProcessState.ExitCode())
	if code := cmd.ProcessState.ExitCode(); !due && code != 0 && !(v.mayDiffer() && code == exit.RollbackIncomplete) {
		v.t.Fatalf("%v failed before it was killed:\n%s", cmd.Args[1:], v.output)
	}
	if hit {
		v.siege.count(w)
	}
}

// halt prepares for a wound at a record; nil for one that comes at any time.
func (v *victim) halt(w wound) *halter {
	v.t.Helper()
	if w.at.Type == "" {
		return nil
	}
	h, err := newHalter(v.Root, v.trail.writes)
	if err != nil {
		v.t.Fatal(err)
	}
	return h
}

func (s *siege) count(w wound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits++
	if w.after == 0 && w.at.Type != "" {
		s.struck[w.at] = true
	}
}

// await waits until a wound is due. It is false if the command ends before.
func (v *victim) await(w wound, halted *halter, ended <-chan struct{}) bool {
	v.t.Helper()
	if halted != nil {
		if !v.awaitRecord(w.at, halted, ended) {
			return false
		}
		if w.after == 0 {
			return true
		}
		if err := halted.end(); err != nil {
			v.t.Fatal(err)
		}
	}
	select {
	case <-ended:
		return false
	case <-time.After(w.after):
		return true
	}
}

// watchPause is how often a journal is looked at.
const watchPause = time.Millisecond

// awaitRecord lets the program go on from record to record, up to this one.
func (v *victim) awaitRecord(at place, halted *halter, ended <-chan struct{}) bool {
	v.t.Helper()
	for {
		if v.trail.open(v.runs(), v.old) {
			places, err := v.trail.read()
			if err != nil {
				v.t.Fatal(err)
			}
			if slices.Contains(places, at) {
				return true
			}
			halted.release(v.trail.writes)
		}
		select {
		case <-ended:
			return false
		case <-time.After(watchPause):
		}
	}
}

// carryOut does a trial, and holds the end against what it must be.
func (s *siege) carryOut(t *testing.T, tr trial) {
	v := s.enter(t)
	v.suffer(tr.onward, false)
	if tr.turn && v.trail.touched {
		v.suffer(tr.back, true)
		v.isBack()
		return
	}
	v.arrives()
}

// suffer strikes one command after the other until the way ends. A kill within something that was
// begun before is counted from the new beginning.
func (v *victim) suffer(wounds []wound, back bool) {
	v.t.Helper()
	next, begin := v.onwards, place{"", "resume", 1}
	if back {
		next, begin = v.backwards, place{backwards, "rollback", 1}
	}
	for _, w := range wounds {
		if v.trail.arrived(back, exit.Done) || v.trail.arrived(true, exit.RollbackIncomplete) {
			return
		}
		cmd := next()
		if v.trail.seen[w.at] {
			if w.after == 0 {
				v.t.Fatalf("%v was passed", w)
			}
			w.at = begin
		}
		v.strike(cmd, w)
	}
}

// arrives brings the run to its end, which must be that of an uninterrupted run.
func (v *victim) arrives() {
	v.t.Helper()
	if !v.trail.arrived(false, exit.Done) {
		if code := v.finish(v.onwards()); code != 0 {
			v.t.Fatalf("resume: exit status %d\n%s", code, v.output)
		}
	}
	if v.trail.restarted {
		v.t.Error("a step was undone and begun again, though the runbook is the same")
	}
	if diffs := v.notExcused(v.siege.bootAfter, manifest.Compare(v.siege.after, v.State(), nil)); len(diffs) != 0 {
		v.t.Errorf("the host is not what an uninterrupted run makes of it:\n%s", manifest.Table(diffs, "uninterrupted", "killed"))
	}
	if diff := cmp.Diff(v.siege.afterData, v.databaseText()); diff != "" {
		v.t.Errorf("the database (-uninterrupted +killed):\n%s", diff)
	}
	if diff := cmp.Diff(v.siege.beforeData, v.dumped()); diff != "" {
		v.t.Errorf("the dump does not hold the database (-before +dump):\n%s", diff)
	}
	serverSettings(v.t, v.Root, "/var/lib/kopano/attachments")
	everythingRunsAt(v.t, v.Root, v.siege.schema)
	v.tidy()
}

// notExcused leaves out the two differences that a kill may make.
func (v *victim) notExcused(boot string, diffs []manifest.Difference) []manifest.Difference {
	sameBoot := v.siege.boot(v.Root) == boot
	return slices.DeleteFunc(diffs, func(d manifest.Difference) bool {
		switch {
		case d.Aspect != "content":
			return false
		case d.Path == dumpFile:
			return true // mysqldump notes the time in its last line; what the dump holds is compared
		case slices.Contains(bootFiles, d.Path):
			return sameBoot // the order of services that do not need each other is that of their packages' configuration
		}
		return false
	})
}

// bootFiles are made by insserv: what starts and stops before what.
var bootFiles = []string{"/etc/init.d/.depend.boot", "/etc/init.d/.depend.start", "/etc/init.d/.depend.stop"}

// bootOrder is what bootFiles say, whatever order they say it in.
func (r *Root) bootOrder() string {
	r.t.Helper()
	var lines []string
	for _, file := range bootFiles {
		for line := range strings.Lines(r.ReadFile(file)) {
			words := strings.Fields(line)
			slices.Sort(words)
			lines = append(lines, file+": "+strings.Join(words, " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// isBack brings a rollback to its end. The host must be as it was; beyond the first start of
// kopano-server, but for the database, what needs it, and its dump.
func (v *victim) isBack() {
	v.t.Helper()
	code := func() int {
		if v.mayDiffer() {
			return exit.RollbackIncomplete
		}
		return exit.Done
	}
	if !v.trail.arrived(true, code()) {
		v.finish(v.backwards())
	}
	if !v.trail.arrived(true, code()) {
		v.t.Fatalf("rollback: its code is %d, want %d\n%s", v.trail.code, code(), v.output)
	}
	if v.isBeyond() {
		v.isBackBeyond()
		return
	}
	if diffs := v.notExcused(v.siege.bootBefore, manifest.Compare(v.siege.before, v.State(), nil)); len(diffs) != 0 {
		v.t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
	if diff := cmp.Diff(v.siege.beforeData, v.databaseText()); diff != "" {
		v.t.Errorf("the database (-before +after):\n%s", diff)
	}
	v.tidy()
}

// mayDiffer reports whether a rollback is to end with a difference: beyond the first start of kopano-server, or where rpm was
// killed among the files of a package, and may have left whole ones. The rpm of the bed gives them their names in the end
// only, so that the host must be as it was all the same.
func (v *victim) mayDiffer() bool {
	return v.isBeyond() || strings.Contains(squeezed(v.output), "may be there still")
}

// isBeyond reports whether the run has begun to start kopano-server, and that may have changed the database: one that
// was seen to have done nothing to it needs no dump.
func (v *victim) isBeyond() bool {
	p := v.siege.noReturn
	for seen := range v.trail.seen {
		if seen.Step == p.Step && seen.Type == "intent" && v.siege.isAfter(seen, p) {
			return v.trail.code != exit.Done || v.revision() != "64"
		}
	}
	return false
}

// isAfter reports whether a record comes after another in an uninterrupted run.
func (s *siege) isAfter(a, b place) bool {
	index := func(p place) int {
		return slices.IndexFunc(s.onward, func(m milestone) bool { return m.at == p })
	}
	return index(a) > index(b)
}

func (v *victim) isBackBeyond() {
	v.t.Helper()
	if strings.Contains(v.output, "fix the cause") {
		v.t.Fatalf("the rollback stopped on its way:\n%s", v.output)
	}
	if v.Run("test", "-s", dumpFile).Code != 0 {
		v.t.Fatal("the dump, which alone leads back, is gone")
	}
	if diff := cmp.Diff(v.siege.beforeData, v.dumped()); diff != "" {
		v.t.Errorf("the dump does not hold the database (-before +dump):\n%s", diff)
	}
	before, after := withoutServices(v.siege.before), withoutServices(v.State())
	for path := range after.Files {
		// The dump stays, and so do the logs that the daemons wrote.
		if strings.HasPrefix(path, filepath.Dir(dumpFile)) || strings.HasPrefix(path, "/var/log/kopano") {
			delete(after.Files, path)
		}
	}
	if diffs := v.notExcused(v.siege.bootBefore, manifest.Compare(before, after, nil)); len(diffs) != 0 {
		v.t.Errorf("beyond the database, the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
	v.tidy()
}

func withoutServices(m *manifest.Manifest) *manifest.Manifest {
	return &manifest.Manifest{Files: m.Files, Packages: m.Packages}
}

// tidy looks at what manifests leave out: the package manager must be in order, and no temporary
// file of the program may be left, least of all one with a password.
func (v *victim) tidy() {
	v.t.Helper()
	v.siege.inOrder(v.Root)
	for _, pattern := range []string{"/run/*zcp2kopano*", "/tmp/*zcp2kopano*", "/var/tmp/*zcp2kopano*"} {
		if left, _ := filepath.Glob(v.Path(pattern)); len(left) > 0 {
			v.t.Errorf("left behind: %v", left)
		}
	}
}

const dumpFile = "/var/backups/zcp2kopano/zarafa.sql.zst"

// upgradeTime is when kopano-server upgraded the schema.
var upgradeTime = regexp.MustCompile(`(,(?:6[5-9]|[7-9][0-9]|1[01][0-9])),'[-0-9: ]+'\)`)

// databaseText is the database as SQL, without the times of the dump and of the upgrade.
func (r *Root) databaseText() string {
	r.t.Helper()
	text := r.Must("mysqldump", "--no-defaults", "-uroot", "--skip-comments", "--hex-blob", "--default-character-set=utf8mb4", "--routines", "--triggers", "zarafa")
	return upgradeTime.ReplaceAllString(statements(text), "$1,...)")
}

// dumped is what the run's dump holds, without its comments.
func (v *victim) dumped() string {
	v.t.Helper()
	packed, err := zstd.NewReader(strings.NewReader(v.ReadFile(dumpFile)))
	if err != nil {
		v.t.Fatal(err)
	}
	defer packed.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(packed); err != nil {
		v.t.Fatalf("%s: %v", dumpFile, err)
	}
	return statements(b.String())
}

// statements leaves out comments and empty lines.
func statements(dump string) string {
	var text strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, "--") && line != "\n" {
			text.WriteString(line)
		}
	}
	return text.String()
}

// How many sites share the kills of a kind.
const (
	recordTrials = 14 // onward, a kill at each record
	undoTrials   = 7  // back, a kill at each record
	longTrials   = 4  // onward and back each, a kill within all that takes long
	turnTrials   = 14 // onward to some record, then back
	randomTrials = 10
	aloneTrials  = 6 // the worker alone, while the package manager or mysqldump is at work for it
)

// longFrom is the time from one record to the next from which a kill in between is worth its while.
const longFrom = 25 * time.Millisecond

// trials plans all kills.
func (s *siege) trials(seed uint64) []trial {
	var trials []trial
	add := func(make func(rnd *rand.Rand, n int) trial, kind string, n int) {
		for i := range n {
			tr := make(rand.New(rand.NewPCG(seed, uint64(len(trials)))), i)
			tr.name = kind + strconv.Itoa(i)
			trials = append(trials, tr)
		}
	}
	add(func(_ *rand.Rand, i int) trial { return trial{onward: everyRecord(s.onward, i, recordTrials)} }, "record", recordTrials)
	add(func(_ *rand.Rand, i int) trial {
		return trial{onward: []wound{{at: s.turn}}, turn: true, back: everyRecord(s.backward, i, undoTrials)}
	}, "undo", undoTrials)
	add(func(rnd *rand.Rand, _ int) trial { return trial{onward: within(rnd, s.onward)} }, "long", longTrials)
	add(func(rnd *rand.Rand, _ int) trial {
		return trial{onward: []wound{{at: s.turn}}, turn: true, back: within(rnd, s.backward)}
	}, "longundo", longTrials)
	add(func(rnd *rand.Rand, i int) trial {
		changing := s.changing()
		at := (i*len(changing) + rnd.IntN(len(changing))) / turnTrials
		m := changing[at]
		return trial{onward: []wound{{at: m.at, after: upTo(rnd, m.took+1)}}, turn: true, back: anyTime(rnd, total(s.backward), i%2)}
	}, "turn", turnTrials)
	add(func(rnd *rand.Rand, i int) trial {
		return trial{onward: anyTime(rnd, total(s.onward), 1+rnd.IntN(4)), turn: i%2 == 0, back: anyTime(rnd, total(s.backward), rnd.IntN(3))}
	}, "random", randomTrials)
	add(func(rnd *rand.Rand, i int) trial {
		long := within(rnd, s.withoutServices())
		w := long[(i/2*len(long)+rnd.IntN(len(long)))*2/aloneTrials]
		w.alone = true
		return trial{onward: []wound{w}, turn: i%2 == 0}
	}, "alone", aloneTrials)
	return trials
}

// everyRecord kills at the i-th of every n records.
func everyRecord(all []milestone, i, n int) []wound {
	var wounds []wound
	for ; i < len(all); i += n {
		wounds = append(wounds, wound{at: all[i].at})
	}
	return wounds
}

// within kills once within all that takes long, and three times within what takes longest.
func within(rnd *rand.Rand, all []milestone) []wound {
	var wounds []wound
	for _, m := range all {
		times := 0
		switch {
		case m.took >= 20*longFrom:
			times = 3
		case m.took >= longFrom:
			times = 1
		}
		for range times {
			wounds = append(wounds, wound{at: m.at, after: upTo(rnd, m.took)})
		}
	}
	return wounds
}

// anyTime kills n times, each time after no longer than the whole takes.
func anyTime(rnd *rand.Rand, whole time.Duration, n int) []wound {
	var wounds []wound
	for range n {
		wounds = append(wounds, wound{after: upTo(rnd, whole)})
	}
	return wounds
}

func total(all []milestone) time.Duration {
	var sum time.Duration
	for _, m := range all {
		sum += m.took
	}
	return sum
}

// changing are the records from the first change on.
func (s *siege) changing() []milestone {
	first := slices.IndexFunc(s.onward, func(m milestone) bool { return m.at.Type == "intent" })
	return s.onward[first:]
}

// withoutServices are the records from the first change on, but for those of steps that start and stop
// services: an init script that outlives the worker cannot be told from the daemon yet.
func (s *siege) withoutServices() []milestone {
	return slices.DeleteFunc(slices.Clone(s.changing()), func(m milestone) bool {
		return m.at.Step == "stop_zarafa" || m.at.Step == s.noReturn.Step
	})
}

// thinOut takes one site of each kind. The kills at records, which the sites of a kind share, it takes
// again: onward one in each step, back a few.
func (s *siege) thinOut(rnd *rand.Rand, trials []trial) []trial {
	var kept []trial
	kinds := byKind(trials)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		of := kinds[kind]
		tr := of[rnd.IntN(len(of))]
		tr.onward, tr.back = some(rnd, tr.onward, sampledKills), some(rnd, tr.back, sampledKills)
		switch kind {
		case "record":
			tr.onward = onePerStep(rnd, s.onward)
		case "undo":
			tr.back = some(rnd, everyRecord(s.backward, 0, 1), 2*sampledKills)
		}
		kept = append(kept, tr)
	}
	return kept
}

// sampledKills is how many kills a sample has of what one site suffers.
const sampledKills = 5

func byKind(trials []trial) map[string][]trial {
	kinds := map[string][]trial{}
	for _, tr := range trials {
		kind := strings.TrimRight(tr.name, "0123456789")
		kinds[kind] = append(kinds[kind], tr)
	}
	return kinds
}

// onePerStep kills at one record of each step.
func onePerStep(rnd *rand.Rand, all []milestone) []wound {
	var wounds []wound
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].at.Step == all[from].at.Step {
			to++
		}
		wounds = append(wounds, wound{at: all[from+rnd.IntN(to-from)].at})
		from = to
	}
	return wounds
}

// some takes n wounds, one of each n-th part.
func some(rnd *rand.Rand, wounds []wound, n int) []wound {
	if len(wounds) <= n {
		return wounds
	}
	var kept []wound
	for i := range n {
		from, to := i*len(wounds)/n, (i+1)*len(wounds)/n
		kept = append(kept, wounds[from+rnd.IntN(to-from)])
	}
	return kept
}

func upTo(rnd *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(d)) + 1)
}
