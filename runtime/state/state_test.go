package state

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

var begun = time.Date(2015, 8, 30, 22, 10, 5, 0, time.UTC)

func begin(t *testing.T, d Dir, at time.Time) Run {
	t.Helper()
	run, err := d.Begin(Order{Runbook: "debian", Label: "@stock//debian.star", Program: "1", Begun: at, Params: map[string]string{"config": "copy"}},
		map[string]host.Secret{"key": host.NewSecret("hunter2")},
		map[string]string{"@stock//debian.star": "a", "@stock//lib/x.star": "b", "//site.star": "c"})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestBeginKeepsWhatWasAskedFor(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	run := begin(t, d, begun)
	if !strings.HasPrefix(run.ID, "20150830-221005-") {
		t.Errorf("ID %s does not sort by time", run.ID)
	}
	found, err := d.Find("2015")
	if err != nil || found != run {
		t.Fatalf("found %v, %v", found, err)
	}
	order, err := run.Order()
	if err != nil || order.Params["config"] != "copy" || order.Secrets["key"] != "s1" {
		t.Errorf("order %+v, %v", order, err)
	}
	keeper, err := run.Keeper()
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := run.Secrets(order, keeper)
	if err != nil || secrets["key"].Reveal() != "hunter2" {
		t.Errorf("secrets lost: %v", err)
	}
	modules, err := run.Modules()
	if err != nil || len(modules) != 3 || modules["@stock//lib/x.star"] != "b" || modules["//site.star"] != "c" {
		t.Errorf("modules %v, %v", modules, err)
	}
	private(t, d.Path)
}

// private wants no bit for group and others, and secrets in one file only.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), "hunter2") && info.Name() != "secrets" {
			t.Errorf("%s holds the secret", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMendKeepsTheOldRunbook(t *testing.T) {
	run := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
	for _, source := range []string{"first", "second"} {
		if err := run.Correct("//corrected.star", map[string]string{"//corrected.star": source}); err != nil {
			t.Fatal(err)
		}
	}
	modules, err := run.Modules()
	if err != nil || len(modules) != 1 || modules["//corrected.star"] != "second" {
		t.Errorf("modules %v, %v", modules, err)
	}
	if order, err := run.Order(); err != nil || order.Label != "//corrected.star" || order.Params["config"] != "copy" {
		t.Errorf("order %+v, %v", order, err)
	}
	for _, old := range []string{"runbook.1", "runbook.2"} {
		if _, err := os.Stat(filepath.Join(run.Path, old)); err != nil {
			t.Error(err)
		}
	}
}

func TestModulesWithBadLabelsAreRefused(t *testing.T) {
	for _, label := range []string{"x.star", "//../x.star", "@stock///etc/x.star", "//"} {
		d := Dir{filepath.Join(t.TempDir(), "state")}
		if _, err := d.Begin(Order{Begun: begun}, nil, map[string]string{label: ""}); err == nil {
			t.Errorf("label %q is kept", label)
		}
		if runs, _ := d.Runs(); len(runs) != 0 {
			t.Errorf("label %q leaves a run behind", label)
		}
	}
}

// A run sorts behind those before it, whatever the clock says.
func TestNewestIsLast(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	for i, at := range []time.Time{begun, begun, begun, begun.Add(-time.Hour), begun.Add(time.Hour)} {
		run := begin(t, d, at)
		if newest, err := d.Find(""); err != nil || newest != run {
			t.Errorf("run %d is %s, the newest is %s (%v)", i, run.ID, newest.ID, err)
		}
	}
}

func TestFind(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	if _, err := d.Find(""); err == nil {
		t.Error("found a run in nothing")
	}
	begin(t, d, begun)
	newest := begin(t, d, begun.Add(time.Hour))
	if run, err := d.Find(""); err != nil || run != newest {
		t.Errorf("newest is %v, %v", run, err)
	}
	if _, err := d.Find("2015"); err == nil || !strings.Contains(err.Error(), "2 runs begin with") {
		t.Errorf("two runs: %v", err)
	}
	if _, err := d.Find("2016"); err == nil || !strings.Contains(err.Error(), newest.ID) {
		t.Errorf("no run: %v", err)
	}
}

func TestPrepareRefusesAnOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Dir{dir}).Prepare(); err == nil || !strings.Contains(err.Error(), "chmod it to 0700") {
		t.Errorf("got %v", err)
	}
}

func TestKeeper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	k, err := openKeeper(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"s1", "s2", "s1"} {
		ref, err := k.Put(host.NewSecret([]string{"a", "b\n\x00", "a"}[i]))
		if err != nil || ref != want {
			t.Errorf("Put %d: %s, %v", i, ref, err)
		}
	}
	again, err := openKeeper(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := again.Get("s2"); err != nil || s.Reveal() != "b\n\x00" {
		t.Errorf("s2 is lost: %v", err)
	}
	if _, err := again.Get("s3"); err == nil {
		t.Error("s3 exists")
	}
	if err := os.WriteFile(path, []byte(`["hunter2`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeeper(path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("damaged secrets: %v", err)
	}
}

func TestLock(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	if h, err := d.Holder(); h != nil || err != nil {
		t.Fatalf("held before anybody came: %v, %v", h, err)
	}
	lock, err := d.Lock(Holder{PID: 42, Start: begun, Command: "zcp2kopano run", Run: "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Lock(Holder{PID: 43})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != 42 || !strings.Contains(err.Error(), "process 42 (zcp2kopano run)") ||
		!strings.Contains(err.Error(), "`zcp2kopano --state "+d.Path+" status x --follow` shows it") {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Name(Holder{PID: 42, Start: begun, Command: "zcp2kopano run"}); err != nil {
		t.Fatal(err)
	}
	if _, err = d.Lock(Holder{PID: 43}); err == nil || !strings.Contains(err.Error(), "has not begun") {
		t.Errorf("second lock while the first asks: %v", err)
	}
	if err := lock.Name(Holder{PID: 42, Run: "x"}); err != nil {
		t.Fatal(err)
	}
	if h, err := d.Holder(); err != nil || h == nil || h.Run != "x" {
		t.Errorf("holder %v, %v", h, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if h, err := d.Holder(); h != nil || err != nil {
		t.Errorf("held after its end: %v, %v", h, err)
	}
	// what an old holder wrote, or anything else in the file, does not hold it
	if err := os.WriteFile(d.lockPath(), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err = d.Lock(Holder{PID: 44})
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

// record is a record of a journal to be written.
type record struct {
	typ  string
	data any
}

// changed are the records of a run that was about to write a file in its first step.
var changed = []record{
	{"run", story.RunInfo{Steps: []string{"a", "b"}}},
	{"step", map[string]string{"name": "a"}},
	{"call", map[string]any{"builtin": "fs.write", "args": nil, "actions": []any{aWrite}}},
	{"intent", map[string]any{"call": 3, "index": 0, "kind": "fs.write", "step": "a", "data": map[string]string{"path": "/x"}}},
}

var aWrite = map[string]any{"index": 0, "kind": "fs.write", "data": map[string]string{"path": "/x"}}

// journaled is a run with these records.
func journaled(t *testing.T, d Dir, at time.Time, records ...record) Run {
	t.Helper()
	r := begin(t, d, at)
	log, _, err := r.Open("1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, rec := range records {
		if _, err := log.Append(rec.typ, rec.data); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestPhases(t *testing.T) {
	verdict := func(code int, left ...string) record {
		return record{"verdict", story.Verdict{Code: code, Left: left}}
	}
	named := func(typ, name string) record { return record{typ, map[string]string{"name": name}} }
	run, resume := changed[0], record{"resume", story.RunInfo{}}
	began := func(more ...record) []record { return append(slices.Clone(changed), more...) }
	two := func(more ...record) []record {
		return began(append([]record{named("step-done", "a"), named("step", "b"), named("step-done", "b")}, more...)...)
	}
	undone := record{"undone", map[string]any{"call": 3, "index": 0}}
	back, part := named("rollback", ""), named("rollback", "b")
	a, b := named("step-undone", "a"), named("step-undone", "b")
	tests := []struct {
		name    string
		records []record
		want    ways.Phase
	}{
		{"begun", []record{run}, ways.Untouched},
		{"refused by inhibitors", []record{run, verdict(2)}, ways.Untouched},
		{"failed before a change", []record{run, verdict(1)}, ways.Untouched},
		{"nothing to do", []record{run, verdict(0)}, ways.NothingToDo},
		{"killed", began(), ways.BrokenOff},
		{"failed", began(verdict(1)), ways.Failed},
		{"inhibited after a change", began(verdict(2)), ways.Failed},
		{"interrupted", began(verdict(130)), ways.Interrupted},
		{"done", began(verdict(0)), ways.Done},
		{"killed again", began(verdict(1), resume), ways.BrokenOff},
		{"done at last", began(verdict(1), resume, verdict(0)), ways.Done},
		{"rolling back", began(verdict(1), back), ways.RollbackIncomplete},
		{"rolled back", began(verdict(1), back, undone, a, verdict(0)), ways.RolledBack},
		{"rolled back, and killed before it said so", began(back, undone, a), ways.RollbackIncomplete},
		{"rolled back to a step", two(verdict(0), part, b, verdict(0)), ways.RolledBackPart},
		{"rolled back to the first step", began(verdict(0), named("rollback", "a"), undone, a, verdict(0)), ways.RolledBack},
		{"rolled back to a step, with differences", two(verdict(0), part, b, verdict(4, "x")), ways.RolledBackPart},
		{"and gone on with", two(verdict(0), part, b, verdict(0), resume, verdict(1)), ways.Failed},
		{"rollback stopped", began(verdict(0), back, verdict(130)), ways.RollbackIncomplete},
		{"rollback to a step stopped", two(verdict(0), part, verdict(130)), ways.RollbackIncomplete},
		{"rollback failed", began(verdict(0), back, verdict(4)), ways.RollbackIncomplete},
		{"differences", began(verdict(0), back, undone, a, verdict(4, "x")), ways.Differing},
		{"differences accepted", began(verdict(0), back, undone, a, verdict(4, "x"), record{"accept", map[string]string{}}), ways.Accepted},
		{"tried again after that", began(back, undone, a, verdict(4, "x"), record{"accept", map[string]string{}}, back, verdict(4, "x")), ways.Differing},
		{"done, by a later version", began(record{"leap", nil}, verdict(0)), ways.Done},
		{"failed, by a later version", began(record{"leap", nil}, verdict(1)), ways.Failed},
		{"at work, by a later version", []record{run, {"leap", nil}}, ways.Failed},
		{"rolled back, by a later version", began(record{"leap", nil}, back, verdict(0)), ways.RolledBack},
		{"rolled back to a step, by a later version", began(record{"leap", nil}, part, verdict(0)), ways.RolledBackPart},
		{"rolling back, by a later version", began(record{"leap", nil}, back), ways.RollbackIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := journaled(t, Dir{filepath.Join(t.TempDir(), "state")}, begun, tt.records...).Status()
			if err != nil || s.Phase != tt.want {
				t.Errorf("phase %q, want %q (%v)", s.Phase, tt.want, err)
			}
			if later := strings.Contains(tt.name, "later version"); later != (s.Trouble != nil) {
				t.Errorf("trouble: %v", s.Trouble)
			}
		})
	}
}

// Behind damage may stand anything: such a run blocks others, and says what to do.
func TestDamagedRunIsUnknown(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	run := journaled(t, d, begun, append(slices.Clone(changed), record{"verdict", story.Verdict{}})...)
	data, err := os.ReadFile(run.Journal())
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), `"run"`)
	data[at]++
	if err := os.WriteFile(run.Journal(), data, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked(t, d, "check the disk")
	if err := os.WriteFile(run.Journal(), append([]byte("x"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	blocked(t, d, "its header is damaged")
	if err := os.WriteFile(run.Journal(), otherFormat(t), 0o600); err != nil {
		t.Fatal(err)
	}
	blocked(t, d, "written by version 1 of the program", "use version 1 to go on, or back")
}

// otherFormat is a journal of another format.
func otherFormat(t *testing.T) []byte {
	t.Helper()
	payload := fmt.Sprintf(`{"seq":0,"time":"2015-08-30T22:10:05Z","type":"journal","data":{"format":%d,"program":"1"}}`, journal.Format+1)
	sum := crc32.Checksum([]byte(payload), crc32.MakeTable(crc32.Castagnoli))
	return fmt.Appendf(nil, "%08x %d %s\n", sum, len(payload), payload)
}

// blocked wants the only run to block others, and to say why and what to do.
func blocked(t *testing.T, d Dir, want ...string) {
	t.Helper()
	s, err := d.Unfinished()
	if err != nil || s == nil || s.Phase != ways.Unknown || !s.Touched() {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := s.Accept(); err != nil {
		t.Errorf("it cannot be given up: %v", err)
	}
	want = append(want, "rollback --accept` undoes nothing, and sets the run's records aside")
	for _, refusal := range []error{s.Resume(), s.Rollback("", false)} {
		for _, words := range want {
			if refusal == nil || !strings.Contains(refusal.Error(), words) {
				t.Errorf("%v does not say %q", refusal, words)
			}
		}
	}
}

// Without an ID, a rollback is for the newest run that has left something.
func TestRunToUndo(t *testing.T) {
	verdict := func(code int) record { return record{"verdict", story.Verdict{Code: code}} }
	kinds := map[string][]record{
		"untouched": {changed[0], verdict(2)},
		"nothing":   {changed[0], verdict(0)},
		"done":      append(slices.Clone(changed), verdict(0)),
		"failed":    append(slices.Clone(changed), verdict(1)),
		"undone": append(slices.Clone(changed), record{"rollback", map[string]string{}}, record{"undone", map[string]any{"call": 3}},
			record{"step-undone", map[string]string{"name": "a"}}, verdict(0)),
	}
	for name, want := range map[string]struct {
		pick  int      // -1 for none
		id    []string // whether a command needs the ID of each run
		above []bool   // whether a later run has left something
	}{
		"done untouched nothing undone": {0, []string{"", "", "", ""}, []bool{false, false, false, false}},
		"done done":                     {1, []string{"id", ""}, []bool{true, false}},
		"failed untouched":              {0, []string{"", "id"}, []bool{false, false}},
		"failed done":                   {0, []string{"id", "id"}, []bool{true, false}},
		"done failed undone":            {1, []string{"id", "", "id"}, []bool{true, false, false}},
		"untouched nothing undone":      {-1, []string{"", "", ""}, []bool{false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir{filepath.Join(t.TempDir(), "state")}
			var runs []Run
			for i, kind := range strings.Fields(name) {
				runs = append(runs, journaled(t, d, begun.Add(time.Duration(i)*time.Hour), kinds[kind]...))
			}
			all, err := d.Statuses()
			if err != nil || len(all) != len(runs) {
				t.Fatal(all, err)
			}
			s := ToUndo(all)
			if want.pick < 0 && s != nil || want.pick >= 0 && (s == nil || s.Run != runs[want.pick]) {
				t.Errorf("took %+v, want run %d of %v", s, want.pick, runs)
			}
			for i, above := range want.above {
				if s := Above(all, runs[i]); (s != nil) != above {
					t.Errorf("above run %d is %v", i, s)
				}
			}
			for i := range all {
				if got := all[i].Caller.ID; (got != "") != (want.id[i] != "") {
					t.Errorf("run %d: ID %q", i, got)
				}
				if got := all[i].Caller.Command("status"); !strings.HasPrefix(got, "zcp2kopano --state "+d.Path) {
					t.Errorf("run %d is spoken of by %s", i, got)
				}
			}
		})
	}
}

// One run that cannot be read keeps nobody from another that is named.
func TestUnreadableRun(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	good := journaled(t, d, begun, append(slices.Clone(changed), record{"verdict", story.Verdict{Code: 1}})...)
	bad := begin(t, d, begun.Add(time.Hour))
	if err := os.Remove(filepath.Join(bad.Path, "order.json")); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Status(good); err != nil || s.Resume() != nil || !strings.Contains(ways.Join(s.Ways()), "resume "+good.ID) {
		t.Errorf("the good one: %v, %v", s.Ways(), err)
	}
	if s, err := d.Unfinished(); err != nil || s == nil || s.ID != bad.ID || s.Accept() != nil || !strings.Contains(s.Resume().Error(), "nobody knows what run "+bad.ID+" has left") {
		t.Errorf("without an ID: %+v, %v", s, err)
	}
	aside, err := d.SetAside(bad)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(aside, "secrets")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if s, err := d.Unfinished(); err != nil || s == nil || s.ID != good.ID {
		t.Errorf("after it was set aside: %+v, %v", s, err)
	}
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{"/srv/a-b_c.d": "/srv/a-b_c.d", "/srv/it's": `'/srv/it'\''s'`, "/a b": "'/a b'"} {
		if got := Quote(path); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

func TestOpenGoesOnAfterAnyTornTail(t *testing.T) {
	r := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
	if s, err := r.Status(); err != nil || s.Phase != ways.Untouched {
		t.Errorf("without a journal: %q, %v", s.Phase, err)
	}
	log, _, err := r.Open("1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append("run", story.RunInfo{}); err != nil {
		t.Fatal(err)
	}
	log.Close()
	whole, err := os.ReadFile(r.Journal())
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.RemoveAll(journal.EndPath(r.Journal())); err != nil { // as if the record had never been durable
			t.Fatal(err)
		}
		if err := os.WriteFile(r.Journal(), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		log, records, err := r.Open("1", time.Now)
		if err != nil {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if len(records) != 0 {
			t.Errorf("cut to %d bytes: %d records", n, len(records))
		}
		if _, err := log.Append("run", story.RunInfo{}); err != nil {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		log.Close()
	}
	// a damaged header of a journal that went on is not taken for one that never began
	if err := os.WriteFile(r.Journal(), append([]byte("x"), whole[1:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Open("1", time.Now); !errors.Is(err, journal.ErrNoHeader) {
		t.Errorf("damaged header: %v", err)
	}
}

// A journal that is empty or gone although the run has told something is not that of a run that never
// began: nobody may begin another one over it.
func TestEmptiedJournalIsDamage(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	run := journaled(t, d, begun, append(slices.Clone(changed), record{"verdict", story.Verdict{}})...)
	if err := os.WriteFile(run.Events(), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(run.Journal(), 0); err != nil {
		t.Fatal(err)
	}
	blocked(t, d, "its header is damaged")
	if err := os.Remove(run.Journal()); err != nil {
		t.Fatal(err)
	}
	blocked(t, d, "nobody knows what run "+run.ID+" has left")
	if _, _, err := run.Open("1", time.Now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing journal: %v", err)
	}
}

// A journal that was cut off behind a whole record reads well. What is beside it tells: the file with the
// number of its last durable record, and without that what was told and kept since.
func TestCutJournalIsDamage(t *testing.T) {
	records := append(slices.Clone(changed), record{"verdict", story.Verdict{}})
	for n := range len(records) {
		for what, spoil := range map[string]func(Run){
			"": func(Run) {},
			"told": func(run Run) {
				must(t, os.Remove(journal.EndPath(run.Journal())))
				must(t, os.WriteFile(run.Events(), fmt.Appendf(nil, "{}\n{\"journal\":%d}\n", len(records)), 0o600))
			},
		} {
			d := Dir{filepath.Join(t.TempDir(), "state")}
			run := journaled(t, d, begun, records...)
			if s, err := run.Status(); err != nil || s.Trouble != nil || s.Phase != ways.Done {
				t.Fatalf("whole: %+v, %v", s, err)
			}
			spoil(run)
			whole, err := os.ReadFile(run.Journal())
			must(t, err)
			lines := bytes.SplitAfter(whole, []byte("\n"))
			must(t, os.WriteFile(run.Journal(), bytes.Join(lines[:1+n], nil), 0o600))
			blocked(t, d, fmt.Sprintf("it ends with record %d, and has held %d", n, len(records)))
			if _, _, err := run.Open("1", time.Now); err == nil || !strings.Contains(err.Error(), "the rest was cut off") {
				t.Errorf("%s: cut to %d records, it is opened: %v", what, n, err)
			}
		}
	}
}

// What an action keeps bears the number of its call, behind which its intent was durable.
func TestKeptTellsOfACut(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	run := journaled(t, d, begun, changed...)
	must(t, os.MkdirAll(filepath.Join(run.Backup(), "kept", run.ID+"-3-0"), 0o700))
	if s, err := run.Status(); err != nil || s.Trouble != nil {
		t.Errorf("whole: %v, %v", s.Trouble, err)
	}
	must(t, os.Remove(journal.EndPath(run.Journal())))
	must(t, os.MkdirAll(filepath.Join(run.Backup(), "kept", fmt.Sprintf("%s-%d-0", run.ID, len(changed))), 0o700))
	blocked(t, d, fmt.Sprintf("it ends with record %d, and has held %d", len(changed), len(changed)+1))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnfinished(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	if s, err := d.Unfinished(); s != nil || err != nil {
		t.Fatalf("unfinished in nothing: %v, %v", s, err)
	}
	old := journaled(t, d, begun, changed...)
	begin(t, d, begun.Add(time.Hour))
	if s, err := d.Unfinished(); err != nil || s == nil || s.ID != old.ID {
		t.Errorf("unfinished is %v, %v", s, err)
	}
}

// A copy that was cut short is never taken for the runbook.
func TestMendCutShort(t *testing.T) {
	run := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
	if err := os.MkdirAll(filepath.Join(run.Path, "runbook.1", "fork"), 0o700); err != nil {
		t.Fatal(err)
	}
	if modules, err := run.Modules(); err != nil || len(modules) != 3 {
		t.Errorf("after a correct that was cut short: %v, %v", modules, err)
	}
	if err := run.Correct("//corrected.star", map[string]string{"//corrected.star": "x"}); err != nil {
		t.Fatal(err)
	}
	if modules, err := run.Modules(); err != nil || len(modules) != 1 || modules["//corrected.star"] != "x" {
		t.Errorf("corrected after that: %v, %v", modules, err)
	}
	if order, err := run.Order(); err != nil || !order.Unheld || order.Copy != "runbook.2" {
		t.Errorf("order %+v, %v", order, err)
	}
}

// What the process at work has told last is what it does now, unless that has ended meanwhile.
func TestNow(t *testing.T) {
	run := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
	if now := run.Now(); now != nil {
		t.Errorf("before the first word: %+v", now)
	}
	const progress = `{"kind":"progress","progress":{"what":"copy","done":7,"unit":"files"},"elapsed_ns":5000000000}` + "\n"
	for events, want := range map[string]int64{
		progress: 7,
		progress + `{"kind":"progress","progress":{"what":"copy","done":8,"unit":"files"}}` + "\n" + `{"kind":"prog`: 8,
		progress + `{"kind":"changed"}` + "\n": 0,
		strings.Repeat(progress, 5000):         7,
	} {
		if err := os.WriteFile(run.Events(), []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		var done int64
		if now := run.Now(); now != nil {
			done = now.Progress.Done
		}
		if done != want {
			t.Errorf("%.200s: %d, want %d", events, done, want)
		}
	}
}
