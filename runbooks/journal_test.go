package runbooks_test

import (
	"path/filepath"
	"testing"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/journal"
)

// BenchmarkJournalCost plays the stock runbook over 200,000 attachments, once with its journal in a
// file, synced before each change, and once with it in memory. It reports the time of the one over
// that of the other ("ratio"). A simulated host does its work in memory: on a real one, where the
// work takes longer, the journal's share is smaller.
func BenchmarkJournalCost(b *testing.B) {
	few, many := "spread 20 12M 2x2", "spread 200000 20G 10x20"
	r := mainRoute
	r.edits = []string{few, many}
	k := newKit(b, r)
	play := func(log journal.Writer) time.Duration {
		w := k.world(b)
		defer w.host.Close()
		begin := time.Now()
		v := runtime.Execute(b.Context(), runtime.Config{
			Mode: "run", ID: "r1", Runbook: k.book, Host: w.host, HostLabel: "test", Dir: "/var/lib/zcp2kopano/runs/r1",
			Journal: log, Keeper: w.keeper, Version: "test", Now: w.host.Now, Stop: make(chan struct{}),
		})
		if v.Code != runtime.CodeDone {
			b.Fatal(v.Text)
		}
		return time.Since(begin)
	}
	var file, memory time.Duration
	for b.Loop() {
		log, err := journal.Create(filepath.Join(b.TempDir(), "journal"), "test", time.Now)
		if err != nil {
			b.Fatal(err)
		}
		file += play(log)
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		memory += play(journal.Memory("test", time.Now))
	}
	b.ReportMetric(file.Seconds()/memory.Seconds(), "ratio")
}
