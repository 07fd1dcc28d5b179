package action

import (
	"sync"
	"time"
)

// Progress is how far a long action is. What is not known is 0.
type Progress struct {
	What  string `json:"what"` // "dump zarafa", "chown /var/lib/kopano"
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit"` // "files", "bytes", "lines"
	// Of what is counted in files, the bytes as well.
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"total_bytes,omitempty"`
	AtMost     bool   `json:"at_most,omitempty"` // Total is the most that it can be
	Text       string `json:"text,omitempty"`

	// The run works these out, by what was told in the last half minute.
	Rate      int64         `json:"per_second,omitempty"` // of Done
	BytesRate int64         `json:"bytes_per_second,omitempty"`
	Left      time.Duration `json:"left_ns,omitempty"`
}

// advance counts the files and bytes of long work, and tells them now and then. All lanes may count.
type advance struct {
	env   *Env
	what  string
	total size

	mu     sync.Mutex
	done   size
	told   size
	halves int64
}

// How much is done between two words on it.
const (
	tellFiles = 1000
	tellBytes = 16 << 20
)

func newAdvance(env *Env, what string, total size) *advance {
	return &advance{env: env, what: what, total: total}
}

// add counts what is done.
func (a *advance) add(more size) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done.Files += more.Files
	a.done.Bytes += more.Bytes
	a.tell()
}

func (a *advance) files(more int64) { a.add(size{Files: more}) }

// half counts bytes of what has to be read twice.
func (a *advance) half(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halves += n
	a.done.Bytes = a.halves / 2
	a.tell()
}

func (a *advance) tell() {
	if a.done.Files-a.told.Files < tellFiles && a.done.Bytes-a.told.Bytes < tellBytes {
		return
	}
	a.told = a.done
	a.env.Progress(Progress{
		What: a.what, Unit: "files", Done: a.done.Files, Total: a.total.Files, Bytes: a.done.Bytes, TotalBytes: a.total.Bytes,
	})
}
