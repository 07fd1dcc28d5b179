package action

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"syscall"

	"zcp2kopano/runtime/host"
)

// Spare is what a run leaves free on each file system that it writes to, but no more than a fiftieth of it: the way back
// writes, too, and so does what else works on the host. A way back may use it.
const Spare = 64 << 20

const sparePart = 50

// againAfter is how much may be written before it is looked again what is left: others write, too.
const againAfter = 16 << 20

// allowance is what may still be written to one file system. Nil allows all.
type allowance struct {
	files host.FileReader
	at    string // a path on it
	most  uint64 // to be spared

	mu   sync.Mutex
	left int64 // until it is looked again; below 0 at once
}

// allow is the allowance of the file system of a path, which need not exist yet; nil on the way back.
func (s *Store) allow(at string) *allowance {
	if s == nil || s.Spare == 0 {
		return nil
	}
	return &allowance{files: s.Host, at: at, most: s.Spare, left: -1}
}

// Room is an error if the file system of a path has less left than is to be spared, and so many bytes.
func (s *Store) Room(at string, need int64) error { return s.allow(at).take(need, need) }

// take counts what is written, and is an error if the file system has less left than is to be spared, and need.
func (a *allowance) take(written, need int64) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left -= written; a.left >= 0 {
		return nil
	}
	st, at, err := statfsOf(a.files, a.at)
	if err != nil || st.Total == 0 {
		return nil // not every file system counts; who writes meets what else there is
	}
	spare := min(a.most, st.Total/sparePart)
	if uint64(need)+spare > st.Available {
		return fmt.Errorf("%w: the file system of %s has %s left, of which %s stay free for the way back and for others, and %s are to be written; free some space",
			syscall.ENOSPC, at, sizeOf(st.Available), sizeOf(spare), sizeOf(uint64(need)))
	}
	a.left = int64(min(againAfter, (st.Available-spare-uint64(need))/2))
	return nil
}

func sizeOf(n uint64) string {
	if n < 10e6 {
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1000000)
}

// statfsOf asks for the file system of a path, or of what is above it and there.
func statfsOf(files host.FileReader, at string) (st host.Statfs, there string, err error) {
	for {
		st, err = files.Statfs(at)
		if !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return st, at, err
		}
		at = path.Dir(at)
	}
}
