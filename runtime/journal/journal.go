// Package journal keeps the durable log of a run.
//
// A journal is a text file, only ever appended to. Its grammar:
//
//	journal = header *record
//	header  = line                      ; record 0, type "journal", data {"format":1,"program":"1.2.0"}
//	record  = line
//	line    = crc SP length SP json LF
//	crc     = 8 lower-case hexadecimal digits: CRC-32C (Castagnoli) of json
//	length  = bytes of json, decimal, no leading zero
//	json    = {"seq":N,"since":N,"time":T,"type":S,"data":any}
//
// JSON escapes line feeds and NUL, so a line feed always ends a line: a reader finds its way again
// after a damaged one, and a person can read the file with any pager. seq counts from 0 without a
// gap. since is the first record that was not yet known to be durable when this one was written; it
// is left out where that is the record itself. It is what tells a torn tail (everything behind the
// last sync) from damage to records that the run had relied on.
//
// The types of a run's records belong to package engine, which documents them together with this
// format: see "zcp2kopano doc journal".
//
// Beside it, in a file of the same name and ".end", is the number of its last durable record: it reports
// a journal that was cut off behind a whole line.
//
// An Append returns only after fsync: what is written ahead of a change is on disk before the
// change. AppendLazy writes without waiting; the next Append makes it durable too. AppendWithNext does
// not even write before the next record.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Format is the version of the file format that this package writes.
const Format = 1

// MaxRecord is the most bytes of JSON that one record may hold. Longer content belongs in the
// run's store, with its digest in the journal.
const MaxRecord = 16 << 20

// headerType is the type of record 0.
const headerType = "journal"

// ErrNoHeader is a file whose first line is not a journal's: something else, or a run that ended
// before it began.
var ErrNoHeader = errors.New("not a journal, or its header is damaged")

// ErrOtherFormat is a journal of another format than this version of the program reads.
var ErrOtherFormat = errors.New("the journal has another format")

// Record is one entry. Data is the JSON of what was appended.
type Record struct {
	Seq  uint64          `json:"seq"`
	Time time.Time       `json:"time"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Header says who wrote a journal.
type Header struct {
	Format  int    `json:"format"`
	Program string `json:"program"` // version of the program
}

// Damage is where a journal stops being readable.
type Damage struct {
	Offset int64  // of the first byte that is not part of a valid record; -1 for a cut behind a whole one
	Reason string // what is wrong there
	// Torn is true if only a tail is damaged that was never durable: what an interrupted write leaves.
	// Nothing had relied on it, and Repair cuts it off.
	Torn bool
	// Later counts valid records behind the damage. They are not returned.
	Later int
}

func (d *Damage) Error() string {
	kind := "damaged"
	if d.Torn {
		kind = "torn"
	}
	if d.Offset < 0 {
		return "journal is cut: " + d.Reason
	}
	return fmt.Sprintf("journal is %s at byte %d: %s", kind, d.Offset, d.Reason)
}

// Refusal is why a journal that is damaged, and not only torn, cannot be gone on with, and what to do.
func (d *Damage) Refusal() error {
	return fmt.Errorf("%w; this is not what an interruption leaves: check the disk, restore the file from a copy, or go back by hand with the backup next to it", d)
}

// entry is a record as it is written.
type entry struct {
	Seq   uint64          `json:"seq"`
	Since *uint64         `json:"since,omitempty"`
	Time  time.Time       `json:"time"`
	Type  string          `json:"type"`
	Data  json.RawMessage `json:"data,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode makes the line of a record.
func encode(rec Record, since uint64) ([]byte, error) {
	e := entry{Seq: rec.Seq, Time: rec.Time, Type: rec.Type, Data: rec.Data}
	if since < rec.Seq {
		e.Since = &since
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(payload) > MaxRecord {
		return nil, fmt.Errorf("record %q has %d bytes; the most is %d", rec.Type, len(payload), MaxRecord)
	}
	return framed(payload), nil
}

// framed is the line of a record.
func framed(payload []byte) []byte {
	line := make([]byte, 0, len(payload)+24)
	line = fmt.Appendf(line, "%08x %d ", crc32.Checksum(payload, castagnoli), len(payload))
	line = append(line, payload...)
	return append(line, '\n')
}

// Rewritten is a journal with each record changed, as JSON, and whole again. Of a damaged one what is whole is changed,
// and the rest is left out: it could hold what was to be changed.
func Rewritten(data []byte, change func(record []byte) []byte) []byte {
	var all []byte
	for len(data) > 0 {
		_, size, _, err := decode(data)
		if err != nil {
			break
		}
		head, length, _, _ := frame(data)
		all = append(all, framed(change(bytes.Clone(data[head:head+length])))...)
		data = data[size:]
	}
	return all
}

// decode reads the line at the start of data and returns it with its length. The error says why
// there is none; short is true if data ends before the line does.
func decode(data []byte) (e entry, size int, short bool, err error) {
	head, length, short, err := frame(data)
	if err != nil {
		return entry{}, 0, short, err
	}
	size = head + length + 1
	if len(data) < size {
		return entry{}, 0, true, errors.New("the record is cut short")
	}
	payload := data[head : head+length]
	switch {
	case data[size-1] != '\n':
		return entry{}, 0, false, errors.New("the record does not end where its length says")
	case fmt.Sprintf("%08x", crc32.Checksum(payload, castagnoli)) != string(data[:8]):
		return entry{}, 0, false, errors.New("the checksum does not fit")
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return entry{}, 0, false, fmt.Errorf("the record is no JSON of a journal: %w", err)
	}
	return e, size, false, nil
}

// frame reads checksum and length, strictly in the one form that encode writes.
func frame(data []byte) (head, length int, short bool, err error) {
	const maxDigits = 8 // of MaxRecord
	const longest = 8 + 1 + maxDigits + 1
	for i := range min(len(data), longest) {
		switch c := data[i]; {
		case i < 8:
			if !isHex(c) {
				return 0, 0, false, errors.New("no checksum where one must be")
			}
		case i == 8:
			if c != ' ' {
				return 0, 0, false, errors.New("no blank behind the checksum")
			}
		case c == ' ' && i > 9:
			length, err = strconv.Atoi(string(data[9:i]))
			if err != nil || length > MaxRecord {
				return 0, 0, false, errors.New("the length is out of range")
			}
			return i + 1, length, false, nil
		case c < '0' || c > '9' || (i == 9 && c == '0'):
			return 0, 0, false, errors.New("the length is not a number")
		}
	}
	if len(data) < longest {
		return 0, 0, true, errors.New("the record is cut short")
	}
	return 0, 0, false, errors.New("the length is out of range")
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// content is what parse found.
type content struct {
	header  Header
	records []Record
	end     int64 // of the last valid record
	damage  *Damage
}

// parse reads a whole journal. It is an error if the header cannot be read or is of another format.
func parse(data []byte) (content, error) {
	var c content
	e, size, _, err := decode(data)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrNoHeader, err)
	}
	if e.Seq != 0 || e.Type != headerType || e.Since != nil {
		return c, ErrNoHeader
	}
	if err := json.Unmarshal(e.Data, &c.header); err != nil {
		return c, fmt.Errorf("%w: %w", ErrNoHeader, err)
	}
	if c.header.Format != Format {
		return c, fmt.Errorf("%w: %d, written by version %s of the program; this version reads format %d: use version %s to go on, or back",
			ErrOtherFormat, c.header.Format, c.header.Program, Format, c.header.Program)
	}
	c.end = int64(size)
	c.scan(data)
	return c, nil
}

// scan reads the records of data behind those that were read, up to the first damage.
func (c *content) scan(data []byte) {
	for next := uint64(len(c.records)) + 1; c.end < int64(len(data)); next++ {
		rest := data[c.end:]
		e, size, short, err := decode(rest)
		if err == nil && e.Seq != next {
			err = fmt.Errorf("record %d stands where record %d must be", e.Seq, next)
			c.damage = assess(rest, next, err, false)
		} else if err != nil {
			c.damage = assess(rest, next, err, short)
		}
		if c.damage != nil {
			c.damage.Offset = c.end
			return
		}
		c.records = append(c.records, e.record())
		c.end += int64(size)
	}
}

func (e entry) record() Record {
	return Record{Seq: e.Seq, Time: e.Time, Type: e.Type, Data: e.Data}
}

// assess tells a torn tail from damage. rest begins with the damage, in the place of record seq.
// An interrupted write leaves a line cut short, or stretches of NUL where blocks were not written;
// behind it there may be records of the same unsynced batch, but none that was begun later.
func assess(rest []byte, seq uint64, cause error, short bool) *Damage {
	d := &Damage{Reason: cause.Error()}
	relied := false
	gap := true // still within the damage itself
	torn := short && !bytes.ContainsRune(rest, '\n')
	for line := rest; len(line) > 0; {
		e, size, _, err := decode(line)
		if err == nil {
			gap = false
			d.Later++
			if e.Seq > seq && e.start() > seq {
				relied = true
			}
			line = line[size:]
			continue
		}
		end := bytes.IndexByte(line, '\n') + 1
		if end == 0 {
			end = len(line)
		}
		if gap && bytes.IndexByte(line[:end], 0) >= 0 {
			torn = true
		}
		line = resync(line, end)
	}
	d.Torn = torn && !relied
	return d
}

// resync goes past a damaged line. NULs of unwritten blocks may stand in front of a good line
// without a line feed between them.
func resync(line []byte, end int) []byte {
	last := bytes.LastIndexByte(line[:end], 0)
	if last >= 0 && last+1 < end {
		return line[last+1:]
	}
	return line[end:]
}

// start is the first record of the batch that e was written in.
func (e entry) start() uint64 {
	if e.Since == nil {
		return e.Seq
	}
	return *e.Since
}

// Read reads a journal in memory or behind r; it is for looking on, not for going on.
func Read(r io.Reader) (Header, []Record, *Damage, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Header{}, nil, nil, err
	}
	c, err := parse(data)
	return c.header, c.records, c.damage, err
}

// end is the file beside a journal that holds the number of its last durable record: whoever cuts the
// journal at the end of a line leaves a journal that reads well, and only what is beside it can tell.
//
// It is written in place after each sync of the journal, so it never names a record that a power cut
// can take back, and synced itself when the journal is closed and now and then between: a second sync
// for each record would double what the journal costs. A killed process leaves it exact; after a power
// cut it may be behind, and is never ahead.
type end struct {
	f     *os.File
	since int // writes since the last sync
}

// syncEvery is how many numbers are written between two syncs.
const syncEvery = 16

// EndPath is the path of the file beside a journal.
func EndPath(journal string) string { return journal + ".end" }

// endWidth is the length of the file: a number, and a line feed.
const endWidth = 20

func endText(seq uint64) []byte { return fmt.Appendf(nil, "%0*d\n", endWidth-1, seq) }

// createEnd makes the file durable before the journal is begun. What is there of a journal that never
// was is begun again.
func createEnd(journal string) (*end, error) {
	f, err := os.OpenFile(EndPath(journal), os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	e := &end{f: f, since: syncEvery}
	if err := e.write(0); err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// openEnd opens the file in order to go on with it; nil where there is none, as beside the journal of a
// version that kept none.
func openEnd(journal string) (*end, error) {
	f, err := os.OpenFile(EndPath(journal), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &end{f: f}, nil
}

func (e *end) write(seq uint64) error {
	if e == nil {
		return nil
	}
	if _, err := e.f.WriteAt(endText(seq), 0); err != nil {
		return err
	}
	if e.since++; e.since < syncEvery {
		return nil
	}
	return e.sync()
}

func (e *end) sync() error {
	e.since = 0
	return e.f.Sync()
}

func (e *end) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.sync(), e.f.Close())
}

// Durable is the number of the last record that a journal is known to have held durably, by the file
// beside it; 0 where that tells nothing.
func Durable(journal string) uint64 {
	f, err := os.OpenFile(EndPath(journal), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, endWidth))
	if err != nil || len(data) != endWidth {
		return 0
	}
	seq, err := strconv.ParseUint(strings.TrimSuffix(string(data), "\n"), 10, 64)
	if err != nil {
		return 0 // what a power cut left of it
	}
	return seq
}

// Cut reports a journal that ends before a record which it is known to have held: nil if it does not.
func Cut(records []Record, damage *Damage, known uint64) *Damage {
	if uint64(len(records)) >= known {
		return damage
	}
	d := &Damage{Offset: -1}
	if damage != nil {
		*d = *damage
	}
	d.Reason = fmt.Sprintf("it ends with record %d, and has held %d: the rest was cut off", len(records), known)
	d.Torn = false
	return d
}
