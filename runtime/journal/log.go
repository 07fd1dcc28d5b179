package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Writer is what a run needs of a journal.
type Writer interface {
	// Append writes a record and returns once it, and all before it, are durable. After an error the
	// record is not in the journal, and what it would have announced must not be done.
	Append(typ string, data any) (seq uint64, err error)
	// AppendLazy writes a record that becomes durable with the next Append or Sync; a power cut may
	// lose it, a killed process does not.
	AppendLazy(typ string, data any) (seq uint64, err error)
	// AppendWithNext writes a record together with the next one. A killed process loses it: it is for
	// what nothing rests on before something else is written.
	AppendWithNext(typ string, data any) error
	// Sync makes everything written durable.
	Sync() error
	Close() error
}

// medium is where a Log's bytes are: a file, or memory.
type medium interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Log is an open journal. Its methods may be called from several goroutines.
type Log struct {
	Header Header

	mu      sync.Mutex
	path    string
	medium  medium
	ended   *end // nil for a journal in memory, or of a version that kept none
	now     func() time.Time
	next    uint64 // seq of the next record
	end     int64  // of what is written
	pending []byte // records that go there with the next one
	first   uint64 // seq of the first of these
	durable int64  // end of what is known to be synced
	since   uint64 // first record behind durable
	damage  *Damage
	broken  error // set when the log could not be brought back to a known end
}

var _ Writer = (*Log)(nil)

// Create begins a journal in a new file of mode 0600 and makes file and name durable. program is
// the program's version; now is the clock that stamps the records.
func Create(path, program string, now func() time.Time) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	ended, err := createEnd(path)
	var l *Log
	if err == nil {
		l, err = begin(f, path, program, now)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	l.ended = ended
	return l, nil
}

// Open reads an existing journal, in order to go on with it, and changes nothing. It returns all
// records before the first damage. With damage, Append is refused until Repair.
func Open(path string, now func() time.Time) (*Log, []Record, *Damage, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("journal: %w", err)
	}
	data, err := readRegular(f)
	if err != nil {
		f.Close()
		return nil, nil, nil, fmt.Errorf("journal %s: %w", path, err)
	}
	l, records, damage, err := resume(f, data, path, now)
	if err == nil {
		l.damage = Cut(records, damage, Durable(path))
		l.ended, err = openEnd(path)
	}
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	return l, records, l.damage, nil
}

// ReadFile reads a journal without opening it for writing.
func ReadFile(path string) (Header, []Record, *Damage, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Header{}, nil, nil, fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	data, err := readRegular(f)
	if err != nil {
		return Header{}, nil, nil, fmt.Errorf("journal %s: %w", path, err)
	}
	c, err := parse(data)
	if err != nil {
		return Header{}, nil, nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return c.header, c.records, Cut(c.records, c.damage, Durable(path)), nil
}

func readRegular(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return io.ReadAll(f)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// begin writes the header.
func begin(m medium, path, program string, now func() time.Time) (*Log, error) {
	l := &Log{Header: Header{Format: Format, Program: program}, path: path, medium: m, now: now}
	if _, err := l.Append(headerType, l.Header); err != nil {
		return nil, err
	}
	return l, nil
}

// resume takes up a journal with this content. All that could be read counts as durable: the
// next Append syncs it with its own record.
func resume(m medium, data []byte, path string, now func() time.Time) (*Log, []Record, *Damage, error) {
	c, err := parse(data)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("journal %s: %w", path, err)
	}
	next := uint64(len(c.records)) + 1
	l := &Log{Header: c.header, path: path, medium: m, now: now,
		next: next, first: next, since: next, end: c.end, durable: c.end, damage: c.damage}
	if err := m.Sync(); err != nil {
		return nil, nil, nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return l, c.records, c.damage, nil
}

// Repair cuts a torn tail off, so that the journal can be gone on with. It refuses any other damage:
// records that the run relied on are lost then, and only a person can decide what that means.
func (l *Log) Repair() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.damage == nil {
		return nil
	}
	if !l.damage.Torn {
		return fmt.Errorf("journal %s: %w", l.path, l.damage.Refusal())
	}
	if err := l.medium.Truncate(l.end); err != nil {
		return fmt.Errorf("journal %s: cut the torn tail: %w", l.path, err)
	}
	if err := l.medium.Sync(); err != nil {
		return fmt.Errorf("journal %s: cut the torn tail: %w", l.path, err)
	}
	l.damage = nil
	return nil
}

// Append implements Writer.
func (l *Log) Append(typ string, data any) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, err := l.write(typ, data)
	if err != nil {
		return 0, err
	}
	return seq, l.sync()
}

// AppendLazy implements Writer.
func (l *Log) AppendLazy(typ string, data any) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(typ, data)
}

// AppendWithNext implements Writer.
func (l *Log) AppendWithNext(typ string, data any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.add(typ, data)
	return err
}

// Sync implements Writer.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	return l.settle()
}

// Close syncs and closes.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.broken == nil && l.damage == nil {
		err = l.settle()
	}
	return errors.Join(err, l.medium.Close(), l.ended.Close())
}

// settle makes all records durable.
func (l *Log) settle() error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.sync()
}

// write puts one record at the end, and those before it that waited for it.
func (l *Log) write(typ string, data any) (uint64, error) {
	seq, err := l.add(typ, data)
	if err != nil {
		return 0, err
	}
	if err := l.flush(); err != nil {
		return 0, err
	}
	if l.ended != nil {
		wrote()
	}
	return seq, nil
}

// wrote is called behind each write to a file. It does something in a build for tests only; see halt.go.
var wrote = func() {}

// add makes one record, which is not written yet.
func (l *Log) add(typ string, data any) (uint64, error) {
	switch {
	case l.broken != nil:
		return 0, l.broken
	case l.damage != nil:
		return 0, fmt.Errorf("journal %s: %w", l.path, l.damage)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return 0, fmt.Errorf("journal %s: record %q: %w", l.path, typ, err)
	}
	rec := Record{Seq: l.next, Time: l.now().UTC(), Type: typ, Data: raw}
	line, err := encode(rec, l.since)
	if err != nil {
		return 0, fmt.Errorf("journal %s: %w", l.path, err)
	}
	l.pending = append(l.pending, line...)
	l.next++
	return rec.Seq, nil
}

// flush writes the records that wait. What a failed write left is cut off again: the disk may have
// room later, and the journal must then go on from a whole record.
func (l *Log) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	if _, err := l.medium.WriteAt(l.pending, l.end); err != nil {
		return l.cut(l.end, l.first, err)
	}
	l.end += int64(len(l.pending))
	l.pending, l.first = l.pending[:0], l.next
	return nil
}

// sync makes durable what was written. After a failed fsync the kernel may have dropped the pages,
// so all that was not durable before is taken back, lazy records too.
func (l *Log) sync() error {
	if l.end == l.durable {
		return nil
	}
	if err := l.medium.Sync(); err != nil {
		return l.cut(l.durable, l.since, err)
	}
	l.durable, l.since = l.end, l.next
	// That it cannot be written is no reason to stop: it is behind then, as after a power cut.
	_ = l.ended.write(l.next - 1)
	return nil
}

// Durable is the number of the last record that is known to be on the disk.
func (l *Log) Durable() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.since, 1) - 1
}

// cut takes the journal back to an end, and returns cause as the error to show.
func (l *Log) cut(end int64, next uint64, cause error) error {
	err := fmt.Errorf("journal %s: %w", l.path, cause)
	if errors.Is(cause, syscall.ENOSPC) {
		err = fmt.Errorf("%w; free space on that file system first", err)
	}
	if e := l.medium.Truncate(end); e != nil {
		l.broken = fmt.Errorf("%w (and it could not be cut back to its last whole record: %w)", err, e)
		return l.broken
	}
	l.end, l.next, l.first, l.pending = end, next, next, l.pending[:0]
	return err
}

// Memory begins a journal that is kept in memory, for simulated runs. It is the same Log over
// another medium.
func Memory(program string, now func() time.Time) *Log {
	l, err := begin(&memory{}, "(memory)", program, now)
	if err != nil {
		panic("journal: memory cannot fail: " + err.Error())
	}
	return l
}

// OpenMemory takes up a journal from its bytes, as Open does from a file. Only tests do: a simulated run that is cut
// short is over.
func OpenMemory(data []byte, now func() time.Time) (*Log, []Record, *Damage, error) {
	m := &memory{data: append([]byte(nil), data...)}
	return resume(m, m.data, "(memory)", now)
}

// Bytes returns a copy of the content of a journal in memory, and nil for one in a file.
func (l *Log) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.medium.(*memory)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]byte(nil), m.data...)
}

type memory struct {
	mu   sync.Mutex
	data []byte
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = append(m.data[:off], p...)
	return len(p), nil
}

func (m *memory) Truncate(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = m.data[:size]
	return nil
}

func (m *memory) Sync() error  { return nil }
func (m *memory) Close() error { return nil }
