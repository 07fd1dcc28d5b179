package journal

import (
	"sync"
	"time"
)

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
