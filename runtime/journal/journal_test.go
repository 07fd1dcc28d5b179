package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clock counts seconds, so that journals in tests are reproducible.
func clock() func() time.Time {
	t := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)
	return func() time.Time {
		t = t.Add(time.Second)
		return t
	}
}

type call struct {
	Name string   `json:"name"`
	Args []string `json:"args"`
}

// sample appends records of several sizes, lazy ones among them.
func sample(t testing.TB, l *Log) []Record {
	t.Helper()
	var want []Record
	add := func(lazy bool, typ string, data any) {
		appender := l.Append
		if lazy {
			appender = l.AppendLazy
		}
		seq, err := appender(typ, data)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, Record{Seq: seq, Type: typ, Data: raw})
	}
	add(false, "begin", map[string]string{"runbook": "debian.star"})
	add(true, "read", call{"fs.stat", []string{"/etc/zarafa"}})
	add(true, "read", call{"pkg.installed", nil})
	add(false, "intent", call{"fs.write", []string{"/etc/kopano/server.cfg", "two\nlines\x00"}})
	add(false, "done", nil)
	add(true, "read", strings.Repeat("ü", 300))
	return want
}

func sameRecords(t testing.TB, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Seq != w.Seq || g.Type != w.Type || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("record %d: got %d %s %s, want %d %s %s", i, g.Seq, g.Type, g.Data, w.Seq, w.Type, w.Data)
		}
		if i > 0 && !got[i].Time.After(got[i-1].Time) {
			t.Errorf("record %d: time does not advance", i)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	now := clock()
	l, err := Create(path, "1.2.0", now)
	if err != nil {
		t.Fatal(err)
	}
	want := sample(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if _, err := Create(path, "1.2.0", now); !errors.Is(err, os.ErrExist) {
		t.Errorf("second Create: %v, want an error that the file exists", err)
	}

	l, got, damage, err := Open(path, now)
	if err != nil || damage != nil {
		t.Fatal(err, damage)
	}
	sameRecords(t, got, want)
	if l.Header != (Header{Format, "1.2.0"}) {
		t.Errorf("header %+v", l.Header)
	}
	seq, err := l.Append("resume", nil)
	if err != nil || seq != uint64(len(want))+1 {
		t.Errorf("Append after Open: %d, %v", seq, err)
	}
	want = append(want, Record{Seq: seq, Type: "resume", Data: []byte("null")})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	header, got, damage, err := ReadFile(path)
	if err != nil || damage != nil || header.Program != "1.2.0" {
		t.Fatal(header, err, damage)
	}
	sameRecords(t, got, want)
}

func TestNotAJournal(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l := Memory("1", clock())
	sample(t, l)
	all := l.Bytes()
	second := all[bytes.IndexByte(all, '\n')+1:]
	newer, err := encode(Record{Type: headerType, Data: []byte(`{"format":2,"program":"9.1"}`)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(write("good", string(all)), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{write("empty", ""), "header"},
		{write("text", "hello\n"), "header"},
		{write("headless", string(second)), "not a journal"},
		{write("newer", string(newer)), "use version 9.1"},
		{filepath.Join(dir, "link"), "too many levels"},
		{dir, "directory"},
		{filepath.Join(dir, "none"), "no such file"},
	} {
		if _, _, _, err := Open(c.path, clock()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
	if _, _, _, err := ReadFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("ReadFile of a directory: %v", err)
	}
}

// bounds returns the end of each line.
func bounds(data []byte) map[int]int {
	ends := map[int]int{}
	for i, c := range data {
		if c == '\n' {
			ends[i+1] = len(ends)
		}
	}
	return ends
}

func TestTruncatedAtEveryByte(t *testing.T) {
	l := Memory("1.2.0", clock())
	want := sample(t, l)
	data := l.Bytes()
	ends := bounds(data)
	whole := -1
	for n := 0; n <= len(data); n++ {
		records, atEnd := ends[n]
		if atEnd {
			whole = records
		}
		l, got, damage, err := OpenMemory(data[:n], clock())
		if whole < 0 {
			if !errors.Is(err, ErrNoHeader) {
				t.Fatalf("cut at %d within the header: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		sameRecords(t, got, want[:whole])
		if atEnd != (damage == nil) {
			t.Fatalf("cut at %d: damage %v", n, damage)
		}
		if damage == nil {
			continue
		}
		if !damage.Torn || damage.Later != 0 {
			t.Fatalf("cut at %d: %+v, want torn", n, damage)
		}
		if _, err := l.Append("x", nil); err == nil {
			t.Fatalf("cut at %d: Append before Repair succeeded", n)
		}
		if err := l.Repair(); err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if seq, err := l.Append("x", nil); err != nil || seq != uint64(whole)+1 {
			t.Fatalf("cut at %d: Append after Repair: %d, %v", n, seq, err)
		}
		if _, got, damage, err = OpenMemory(l.Bytes(), clock()); err != nil || damage != nil || len(got) != whole+1 {
			t.Fatalf("cut at %d: after Repair %d records, %v, %v", n, len(got), damage, err)
		}
	}
}

func TestFlippedBitAtEveryPosition(t *testing.T) {
	l := Memory("1.2.0", clock())
	want := sample(t, l)
	data := l.Bytes()
	ends := bounds(data)
	line := 0
	for pos := range data {
		for bit := range 8 {
			flipped := bytes.Clone(data)
			flipped[pos] ^= 1 << bit
			l, got, damage, err := OpenMemory(flipped, clock())
			if line == 0 {
				if err == nil {
					t.Fatalf("bit %d of byte %d in the header went unseen", bit, pos)
				}
				continue
			}
			if err != nil || damage == nil {
				t.Fatalf("bit %d of byte %d: %v, damage %v", bit, pos, err, damage)
			}
			sameRecords(t, got, want[:line-1])
			// A flip to NUL in the last, lazy record looks like an unwritten block, and nothing relied
			// on that record.
			if damage.Torn && line < len(want)-1 {
				t.Fatalf("bit %d of byte %d: called torn, records behind it would be lost", bit, pos)
			}
			if !damage.Torn {
				if err := l.Repair(); err == nil || !strings.Contains(err.Error(), "restore") {
					t.Fatalf("bit %d of byte %d: Repair: %v", bit, pos, err)
				}
			}
		}
		if n, ok := ends[pos+1]; ok {
			line = n + 1
		}
	}
}

func TestDroppedSwappedAndRepeatedRecords(t *testing.T) {
	l := Memory("1", clock())
	sample(t, l)
	lines := bytes.SplitAfter(l.Bytes(), []byte("\n"))
	join := func(order ...int) []byte {
		var b []byte
		for _, i := range order {
			b = append(b, lines[i]...)
		}
		return b
	}
	for name, c := range map[string]struct {
		data    []byte
		records int
	}{
		"dropped":  {join(0, 1, 2, 4, 5), 2},
		"swapped":  {join(0, 1, 3, 2, 4), 1},
		"repeated": {join(0, 1, 2, 2, 3), 2},
		"header":   {join(0, 0, 1), 0},
	} {
		_, got, damage, err := OpenMemory(c.data, clock())
		if err != nil || damage == nil || damage.Torn || len(got) != c.records || !strings.Contains(damage.Reason, "must be") {
			t.Errorf("%s: %d records, %+v, %v", name, len(got), damage, err)
		}
	}
}

// TestUnwrittenBlocks plays a power cut while a batch of lazy records was written: file systems may
// leave NULs for any block that was not written yet.
func TestUnwrittenBlocks(t *testing.T) {
	l := Memory("1", clock())
	if _, err := l.Append("intent", 1); err != nil {
		t.Fatal(err)
	}
	synced := len(l.Bytes())
	for range 20 {
		if _, err := l.AppendLazy("read", strings.Repeat("x", 40)); err != nil {
			t.Fatal(err)
		}
	}
	data := l.Bytes()
	for from := synced; from < len(data); from += 7 {
		for _, size := range []int{1, 64, 512} {
			holed := bytes.Clone(data)
			clear(holed[from:min(from+size, len(holed))])
			_, got, damage, err := OpenMemory(holed, clock())
			if err != nil || damage == nil || !damage.Torn || len(got) < 1 {
				t.Fatalf("hole of %d at %d: %d records, %+v, %v", size, from, len(got), damage, err)
			}
		}
	}
	// The same hole in front of a record that was synced later is damage.
	if _, err := l.Append("done", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append("intent", 2); err != nil {
		t.Fatal(err)
	}
	holed := l.Bytes()
	clear(holed[synced+10 : synced+300])
	if _, _, damage, _ := OpenMemory(holed, clock()); damage == nil || damage.Torn || damage.Later == 0 {
		t.Fatalf("hole in synced records: %+v", damage)
	}
}

// faulty is a medium that fails on demand.
type faulty struct {
	memory
	write, sync, truncate error
	partial               int // bytes that a failing write leaves
	syncs                 int
}

func (f *faulty) WriteAt(p []byte, off int64) (int, error) {
	if f.write == nil {
		return f.memory.WriteAt(p, off)
	}
	n, _ := f.memory.WriteAt(p[:f.partial], off)
	return n, f.write
}

func (f *faulty) Sync() error {
	f.syncs++
	return f.sync
}

func (f *faulty) Truncate(size int64) error {
	if f.truncate != nil {
		return f.truncate
	}
	return f.memory.Truncate(size)
}

// holds wants a whole journal with records of these types.
func (f *faulty) holds(t *testing.T, want ...string) {
	t.Helper()
	_, got, damage, err := OpenMemory(f.data, clock())
	if err != nil || damage != nil {
		t.Fatal(err, damage)
	}
	var types []string
	for _, r := range got {
		types = append(types, r.Type)
	}
	if !slices.Equal(types, want) {
		t.Fatalf("the journal holds %v, want %v", types, want)
	}
}

func TestFaults(t *testing.T) {
	f := &faulty{}
	l, err := begin(f, "journal", "1", clock())
	if err != nil {
		t.Fatal(err)
	}
	if f.syncs != 1 {
		t.Fatalf("%d syncs after the header", f.syncs)
	}
	must := func(seq uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Append("a", nil))
	must(l.AppendLazy("b", nil))
	if f.syncs != 2 {
		t.Fatalf("%d syncs; a lazy record must not sync", f.syncs)
	}

	f.write, f.partial = syscall.ENOSPC, 11
	before := bytes.Clone(f.data)
	if _, err := l.Append("c", nil); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
		t.Fatalf("full disk: %v", err)
	}
	if !bytes.Equal(f.data, before) {
		t.Fatal("a failed write left bytes behind")
	}
	f.write = nil
	if seq, err := l.Append("d", nil); err != nil || seq != 3 {
		t.Fatalf("after room was made: %d, %v", seq, err)
	}

	must(l.AppendLazy("e", nil))
	f.sync = syscall.EIO
	if _, err := l.Append("f", nil); !errors.Is(err, syscall.EIO) {
		t.Fatalf("failed sync: %v", err)
	}
	f.sync = nil
	if seq, err := l.Append("g", nil); err != nil || seq != 4 {
		t.Fatalf("after a failed sync: %d, %v; the lazy record before it must be gone too", seq, err)
	}
	f.holds(t, "a", "b", "d", "g")

	f.write, f.truncate = syscall.EIO, syscall.EIO
	if _, err := l.Append("h", nil); err == nil {
		t.Fatal("no error")
	}
	f.write, f.truncate = nil, nil
	if _, err := l.Append("i", nil); err == nil {
		t.Fatal("a log in an unknown state was written to")
	}
	if err := l.Sync(); err == nil {
		t.Fatal("a log in an unknown state was synced")
	}
}

func TestTooLarge(t *testing.T) {
	l := Memory("1", clock())
	before := l.Bytes()
	if _, err := l.Append("big", strings.Repeat("x", MaxRecord)); err == nil || !strings.Contains(err.Error(), "the most is") {
		t.Fatalf("%v", err)
	}
	if _, err := l.Append("func", func() {}); err == nil {
		t.Fatal("a function was encoded")
	}
	if !bytes.Equal(before, l.Bytes()) {
		t.Fatal("refused records left bytes")
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs a writable /dev/full: ", err)
	}
	defer f.Close()
	if _, err := begin(f, "/dev/full", "1", clock()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
}

// TestAppendWithNext: what waits for the next record is written with it, and is lost with it.
func TestAppendWithNext(t *testing.T) {
	f := &faulty{}
	l, err := begin(f, "journal", "1", clock())
	if err != nil {
		t.Fatal(err)
	}
	read := func(typ string) {
		t.Helper()
		before := len(f.data)
		if err := l.AppendWithNext(typ, nil); err != nil {
			t.Fatal(err)
		}
		if len(f.data) != before {
			t.Fatalf("%s was written", typ)
		}
	}
	read("a")
	read("b")
	f.holds(t)
	if seq, err := l.AppendLazy("c", nil); err != nil || seq != 3 {
		t.Fatalf("%d, %v", seq, err)
	}
	f.holds(t, "a", "b", "c")
	read("d")
	f.write, f.partial = syscall.ENOSPC, 120 // more than one record
	if _, err := l.Append("e", nil); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("full disk: %v", err)
	}
	f.write = nil
	if seq, err := l.Append("f", nil); err != nil || seq != 4 {
		t.Fatalf("after a failed write: %d, %v; what waited must be gone, too", seq, err)
	}
	f.holds(t, "a", "b", "c", "f")
	read("g")
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	read("h")
	f.sync = syscall.EIO
	if _, err := l.Append("i", nil); !errors.Is(err, syscall.EIO) {
		t.Fatalf("failed sync: %v", err)
	}
	f.sync = nil
	read("j")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f.holds(t, "a", "b", "c", "f", "g", "j")
}

func TestFormIsAsDocumented(t *testing.T) {
	l := Memory("1.2.0", clock())
	if _, err := l.AppendLazy("read", map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append("done", nil); err != nil {
		t.Fatal(err)
	}
	want := `43aae92f 104 {"seq":0,"time":"2024-05-06T07:08:10.123456789Z","type":"journal","data":{"format":1,"program":"1.2.0"}}
`
	if got := string(l.Bytes()); !strings.HasPrefix(got, want) || !strings.Contains(got, `{"seq":2,"since":1,`) {
		t.Errorf("got\n%swant it to begin with\n%s", got, want)
	}
}

// FuzzParse reads damaged journals. They are short, so that many are tried: what a long one has more is more records.
func FuzzParse(f *testing.F) {
	l := Memory("1", clock())
	if _, err := l.AppendLazy("read", nil); err != nil {
		f.Fatal(err)
	}
	if _, err := l.Append("done", 1); err != nil {
		f.Fatal(err)
	}
	data := l.Bytes()
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add(append(bytes.Clone(data), make([]byte, 16)...))
	f.Add([]byte("00000000 0 \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<10 {
			return
		}
		c, err := parse(data)
		if err != nil {
			return
		}
		if c.damage == nil != (c.end == int64(len(data))) {
			t.Fatalf("end %d of %d bytes, damage %v", c.end, len(data), c.damage)
		}
		// Every byte up to the end is part of a whole line with its checksum and its number.
		rest := data[:c.end]
		for seq := 0; len(rest) > 0; seq++ {
			e, size, _, err := decode(rest)
			if err != nil || e.Seq != uint64(seq) {
				t.Fatalf("record %d: %v", seq, err)
			}
			rest = rest[size:]
		}
		if l, _, damage, err := OpenMemory(data, clock()); err == nil && damage != nil && damage.Torn {
			if err := l.Repair(); err != nil {
				t.Fatal(err)
			}
			if _, again, damage, err := OpenMemory(l.Bytes(), clock()); err != nil || damage != nil || len(again) != len(c.records) {
				t.Fatalf("after Repair: %d records, %v, %v", len(again), damage, err)
			}
		}
	})
}

func BenchmarkAppendLazy(b *testing.B) {
	l, err := Create(filepath.Join(b.TempDir(), "journal"), "1", time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for i := range b.N {
		if _, err := l.AppendLazy("mark", call{"chown", []string{fmt.Sprint(i)}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l, err := Create(filepath.Join(b.TempDir(), "journal"), "1", time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for range b.N {
		if _, err := l.Append("mark", nil); err != nil {
			b.Fatal(err)
		}
	}
}
