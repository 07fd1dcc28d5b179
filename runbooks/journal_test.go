package runbooks_test

import (
	"path/filepath"
	stdruntime "runtime"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
)

// BenchmarkJournalCost plays the stock runbook over 200,000 attachments, once with its journal in a
// file of the temporary directory, synced before each change, and once with it in memory. It reports
// the fastest time of the one over that of the other ("ratio"), and of a run with the file the time
// spent in the journal ("journal-ms"), of that in syncing ("sync-ms"), and its share of the run
// ("journal-%"). A simulated host does its work in memory: on a real one, where the work takes longer,
// the journal's share is smaller. TMPDIR must lie on a disk, else there is nothing to sync.
func BenchmarkJournalCost(b *testing.B) {
	r := mainRoute
	r.edits = []string{"spread 20 12M 2x2", "spread 200000 20G 10x20"}
	k := newKit(b, r)
	play := func(log journal.Writer) time.Duration {
		w := k.world(b)
		defer w.host.Close()
		stdruntime.GC()
		begin := time.Now()
		v := engine.Execute(b.Context(), engine.Config{
			Mode: "run", ID: "r1", Runbook: k.book, Host: w.host, HostLabel: "test", Dir: "/var/lib/zcp2kopano/runs/r1",
			Journal: log, Keeper: w.keeper, Version: "test", Now: w.host.Now, Stop: make(chan struct{}),
		})
		if v.Code != exit.Done {
			b.Fatal(v.Text)
		}
		return time.Since(begin)
	}
	const never = time.Hour
	file, memory := never, never
	var best meter
	for b.Loop() {
		log, err := journal.Create(filepath.Join(b.TempDir(), "journal"), "test", time.Now)
		if err != nil {
			b.Fatal(err)
		}
		m := meter{Writer: log}
		if took := play(&m); took < file {
			file, best = took, m
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		memory = min(memory, play(journal.Memory("test", time.Now)))
	}
	b.ReportMetric(file.Seconds()/memory.Seconds(), "ratio")
	b.ReportMetric(1000*(best.synced+best.lazy).Seconds(), "journal-ms")
	b.ReportMetric(1000*best.synced.Seconds(), "sync-ms")
	b.ReportMetric(100*(best.synced+best.lazy).Seconds()/file.Seconds(), "journal-%")
	b.ReportMetric(float64(best.syncs), "syncs")
}

// meter measures the time that a run spends in its journal.
type meter struct {
	journal.Writer
	synced, lazy time.Duration
	syncs        int
}

func (m *meter) Append(typ string, data any) (uint64, error) {
	begin := time.Now()
	seq, err := m.Writer.Append(typ, data)
	m.synced += time.Since(begin)
	m.syncs++
	return seq, err
}

func (m *meter) AppendLazy(typ string, data any) (uint64, error) {
	begin := time.Now()
	seq, err := m.Writer.AppendLazy(typ, data)
	m.lazy += time.Since(begin)
	return seq, err
}

func (m *meter) Sync() error {
	begin := time.Now()
	err := m.Writer.Sync()
	m.synced += time.Since(begin)
	m.syncs++
	return err
}
