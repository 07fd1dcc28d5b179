package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
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
		if err := run.Mend("//mended.star", map[string]string{"//mended.star": source}); err != nil {
			t.Fatal(err)
		}
	}
	modules, err := run.Modules()
	if err != nil || len(modules) != 1 || modules["//mended.star"] != "second" {
		t.Errorf("modules %v, %v", modules, err)
	}
	if order, err := run.Order(); err != nil || order.Label != "//mended.star" || order.Params["config"] != "copy" {
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
	if !errors.As(err, &locked) || locked.Holder.PID != 42 || !strings.Contains(err.Error(), "process 42 (zcp2kopano run)") {
		t.Errorf("second lock: %v", err)
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

func TestPhases(t *testing.T) {
	verdict := func(code int) record { return record{"verdict", runtime.Verdict{Code: code}} }
	named := func(typ, name string) record { return record{typ, map[string]string{"name": name}} }
	run, intent := record{"run", runtime.RunInfo{Steps: []string{"a", "b"}}}, record{"intent", nil}
	back, part := named("rollback", ""), named("rollback", "b")
	tests := []struct {
		name    string
		records []record
		want    Phase
	}{
		{"begun", []record{run}, Untouched},
		{"refused by inhibitors", []record{run, verdict(2)}, Untouched},
		{"failed before a change", []record{run, verdict(1)}, Untouched},
		{"nothing to do", []record{run, verdict(0)}, Done},
		{"killed", []record{run, intent}, BrokenOff},
		{"failed", []record{run, intent, verdict(1)}, Failed},
		{"inhibited after a change", []record{run, intent, verdict(2)}, Failed},
		{"interrupted", []record{run, intent, verdict(130)}, Interrupted},
		{"done", []record{run, intent, verdict(0)}, Done},
		{"killed again", []record{run, intent, verdict(1), {"resume", runtime.RunInfo{}}}, BrokenOff},
		{"done at last", []record{run, intent, verdict(1), {"resume", runtime.RunInfo{}}, verdict(0)}, Done},
		{"rolling back", []record{run, intent, verdict(1), back}, BrokenOff},
		{"rolled back", []record{run, intent, verdict(1), back, verdict(0)}, RolledBack},
		{"rolled back to a step", []record{run, intent, verdict(0), part, verdict(0)}, RolledBackPart},
		{"rollback stopped", []record{run, intent, verdict(0), back, verdict(130)}, Interrupted},
		{"rollback failed", []record{run, intent, verdict(0), back, verdict(4)}, RollbackIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
			log, _, err := r.Open("1", time.Now)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range tt.records {
				if _, err := log.Append(rec.typ, rec.data); err != nil {
					t.Fatal(err)
				}
			}
			log.Close()
			s, err := r.Status()
			if err != nil || s.Phase != tt.want {
				t.Errorf("phase %q, want %q (%v)", s.Phase, tt.want, err)
			}
		})
	}
}

func TestOpenGoesOnAfterAnyTornTail(t *testing.T) {
	r := begin(t, Dir{filepath.Join(t.TempDir(), "state")}, begun)
	if s, err := r.Status(); err != nil || s.Phase != Untouched {
		t.Errorf("without a journal: %q, %v", s.Phase, err)
	}
	log, _, err := r.Open("1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append("run", runtime.RunInfo{}); err != nil {
		t.Fatal(err)
	}
	log.Close()
	whole, err := os.ReadFile(r.Journal())
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
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
		if _, err := log.Append("run", runtime.RunInfo{}); err != nil {
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

func TestUnfinished(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "state")}
	if s, err := d.Unfinished(); s != nil || err != nil {
		t.Fatalf("unfinished in nothing: %v, %v", s, err)
	}
	old := begin(t, d, begun)
	log, _, err := old.Open("1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append("intent", nil); err != nil {
		t.Fatal(err)
	}
	log.Close()
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
		t.Errorf("after a mend that was cut short: %v, %v", modules, err)
	}
	if err := run.Mend("//mended.star", map[string]string{"//mended.star": "x"}); err != nil {
		t.Fatal(err)
	}
	if modules, err := run.Modules(); err != nil || len(modules) != 1 || modules["//mended.star"] != "x" {
		t.Errorf("mended after that: %v, %v", modules, err)
	}
	if order, err := run.Order(); err != nil || !order.Unheld || order.Copy != "runbook.2" {
		t.Errorf("order %+v, %v", order, err)
	}
}
