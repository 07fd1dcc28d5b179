package journal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/testdata/hosts"
)

// realJournal is what a run of the stock runbook on the example host and its rollback write.
func realJournal(t testing.TB) []byte {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := fs.ReadFile(hosts.FS, hosts.Example)
	must(err)
	fixture, err := sim.ReadFixture(text)
	must(err)
	var opts sim.Options
	names, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	must(err)
	for _, name := range names {
		text, err := runbooks.FS.ReadFile(name)
		must(err)
		list, err := sim.ParseCatalog(text)
		must(err)
		opts.Catalog = append(opts.Catalog, list...)
	}
	h, err := fixture.Host(opts)
	must(err)
	defer h.Close()
	book, err := runbook.Load(t.Context(), script.LoadOptions{Name: "debian", Stock: runbooks.FS, Builtins: builtins.All()})
	must(err)
	log := journal.Memory("test", h.Now)
	cfg := engine.Config{
		Mode: "run", ID: "r1", Runbook: book, Host: h, HostLabel: "test", Dir: "/var/lib/zcp2kopano/runs/r1",
		Journal: log, Keeper: state.Memory(), Version: "test", Now: h.Now, Stop: make(chan struct{}),
	}
	if v := engine.Execute(t.Context(), cfg); v.Code != exit.Done {
		t.Fatal(v.Text)
	}
	_, cfg.Previous, _, err = journal.Read(bytes.NewReader(log.Bytes()))
	must(err)
	if v := engine.Rollback(t.Context(), cfg, ""); v.Code != exit.RollbackIncomplete { // the server was started
		t.Fatal(v.Text)
	}
	return log.Bytes()
}

func pieces(t testing.TB, data []byte) *journal.Piece {
	t.Helper()
	p, err := journal.ReadPieces(data)
	if err != nil {
		t.Fatal(err)
	}
	if p.Lines() < 300 {
		t.Fatalf("%d lines are no real journal", p.Lines())
	}
	return p
}

// samePrefix holds what was read of a damaged journal against the whole one.
func samePrefix(t testing.TB, got, whole []journal.Record) {
	t.Helper()
	if len(got) > len(whole) {
		t.Fatalf("%d records of %d", len(got), len(whole))
	}
	for i, r := range got {
		w := whole[i]
		if r.Seq != w.Seq || r.Type != w.Type || !r.Time.Equal(w.Time) || !bytes.Equal(r.Data, w.Data) {
			t.Fatalf("record %d is read as %d %s %.60s, was %d %s %.60s", i+1, r.Seq, r.Type, r.Data, w.Seq, w.Type, w.Data)
		}
	}
}

// TestRealTruncatedAtEveryByte cuts a real journal at each byte. Once a line, the cut journal is opened,
// repaired and gone on with.
func TestRealTruncatedAtEveryByte(t *testing.T) {
	data := realJournal(t)
	p := pieces(t, data)
	_, whole, _, _ := journal.Read(bytes.NewReader(data))
	for line := range p.Lines() {
		from, to := p.Bounds(line)
		for n := from; n < to; n++ {
			records, damage, err := p.From(line, data[:n])
			switch {
			case line == 0:
				if !errors.Is(err, journal.ErrNoHeader) {
					t.Fatalf("cut at %d within the header: %v", n, err)
				}
			case n == from && (err != nil || damage != nil || records != 0):
				t.Fatalf("cut at %d behind line %d: %d records, %v, %v", n, line-1, records, damage, err)
			case n > from && (err != nil || damage == nil || !damage.Torn || damage.Offset != int64(from) || records != 0):
				t.Fatalf("cut at %d in line %d: %d records, %+v, %v; want it torn at %d", n, line, records, damage, err, from)
			}
		}
		if line > 0 {
			goOn(t, data[:from+(to-from)/2], whole[:line-1])
		}
	}
	t.Logf("%d lines cut at %d bytes", p.Lines(), len(data))
}

// goOn opens a torn journal, repairs it, and appends to it.
func goOn(t *testing.T, torn []byte, want []journal.Record) {
	t.Helper()
	log, got, damage, err := journal.OpenMemory(torn, time.Now)
	if err != nil || damage == nil || !damage.Torn || len(got) != len(want) {
		t.Fatalf("%d bytes: %d records, %v, %v", len(torn), len(got), damage, err)
	}
	samePrefix(t, got, want)
	if err := log.Repair(); err != nil {
		t.Fatal(err)
	}
	if seq, err := log.Append("resume", nil); err != nil || seq != uint64(len(want))+1 {
		t.Fatalf("after the repair: record %d, %v", seq, err)
	}
	_, again, damage, err := journal.Read(bytes.NewReader(log.Bytes()))
	if err != nil || damage != nil || len(again) != len(want)+1 {
		t.Fatalf("after the repair: %d records, %v, %v", len(again), damage, err)
	}
	samePrefix(t, again[:len(want)], want)
}

// TestRealFlippedBitAtEveryPosition flips each bit of a byte of a real journal that ends with the line in
// which the byte is, and one bit of a journal that goes on for some lines; and for a line some bits of
// the whole. The bytes are a sample: the frame of each line, and some of its record, and of each eighth
// line some in the whole; with make crash they are all.
func TestRealFlippedBitAtEveryPosition(t *testing.T) {
	const further, frame, sampled = 4, 20, 25 // a line begins with its checksum and its length
	begun := time.Now()
	rnd := chance.Rand(t, 0)
	flipped := 0
	data := realJournal(t)
	p := pieces(t, data)
	_, whole, _, _ := journal.Read(bytes.NewReader(data))
	for line := range p.Lines() {
		from, to := p.Bounds(line)
		last := min(line+further, p.Lines()-1)
		_, end := p.Bounds(last)
		relied := false
		for l := line + 1; l <= last; l++ {
			relied = relied || p.Relies(data, l, line)
		}
		for pos := from; pos < to; pos++ {
			if !chance.Nothing() && pos >= from+frame && pos < to-1 && rnd.IntN(to-from) >= sampled {
				continue
			}
			flipped++
			for bit := range 8 {
				flip(data, pos, bit, func() {
					told(t, p, line, data[:to], false, pos, bit)
					if bit == pos%8 {
						told(t, p, line, data[:end], relied, pos, bit)
					}
				})
			}
		}
		if !chance.Nothing() && line > 0 && rnd.IntN(8) > 0 { // the whole is long
			continue
		}
		for _, pos := range []int{from, from + 10, (from + to) / 2, to - 1} { // checksum, length, record, line feed
			flip(data, pos, 0, func() {
				_, got, damage, err := journal.Read(bytes.NewReader(data))
				if line > 0 && (err != nil || damage == nil || len(got) != line-1) || line == 0 && err == nil {
					t.Fatalf("bit 0 of byte %d in line %d: %d records, %v, %v", pos, line, len(got), damage, err)
				}
				samePrefix(t, got, whole)
			})
		}
	}
	chance.Figures(t, begun, "bits of %d of %d bytes flipped, in %d lines", flipped, len(data), p.Lines())
}

func flip(data []byte, pos, bit int, do func()) {
	data[pos] ^= 1 << bit
	defer func() { data[pos] ^= 1 << bit }()
	do()
}

// told wants the damage in a line to be told, and no record of it or behind it to be read. What a later
// record relies on must not be called torn: a repair would cut it off.
func told(t *testing.T, p *journal.Piece, line int, data []byte, relied bool, pos, bit int) {
	t.Helper()
	from, _ := p.Bounds(line)
	records, damage, err := p.From(line, data)
	switch {
	case line == 0:
		if err == nil {
			t.Fatalf("bit %d of byte %d in the header goes unseen", bit, pos)
		}
	case err != nil || damage == nil || damage.Offset != int64(from) || records != 0:
		t.Fatalf("bit %d of byte %d in line %d: %d records, %+v, %v", bit, pos, line, records, damage, err)
	case relied && damage.Torn:
		t.Fatalf("bit %d of byte %d in line %d is called torn, but a later record relies on it", bit, pos, line)
	}
}

// FuzzRealDamage damages a real journal: it cuts it, flips bits, and puts bytes in. What is read then is
// the beginning of what was written, and if it is not all of it, that is told.
func FuzzRealDamage(f *testing.F) {
	data := realJournal(f)
	_, whole, _, _ := journal.Read(bytes.NewReader(data))
	f.Add(uint32(5000), uint32(90000), byte(0), []byte(nil))
	f.Add(uint32(60000), uint32(1<<31), byte(4), []byte(nil))
	f.Add(uint32(40000), uint32(1<<31), byte(0), make([]byte, 512))
	f.Add(uint32(0), uint32(1<<31), byte(1), []byte("43aae92f 104 {}\n"))
	f.Fuzz(func(t *testing.T, at, cut uint32, bits byte, more []byte) {
		damaged := bytes.Clone(data[:min(int(cut), len(data))])
		pos := min(int(at), len(damaged))
		if pos < len(damaged) {
			damaged[pos] ^= bits
		}
		damaged = append(damaged[:pos:pos], append(more, damaged[pos:]...)...)
		_, got, damage, err := journal.Read(bytes.NewReader(damaged))
		if err != nil {
			return
		}
		samePrefix(t, got, whole)
		if damage == nil && !bytes.HasPrefix(data, damaged) {
			t.Fatalf("damage at %d goes unseen", pos)
		}
		if damage != nil && !strings.Contains(damage.Error(), "journal is") {
			t.Fatalf("damage is told as %q", damage)
		}
	})
}
