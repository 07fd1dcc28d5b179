package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

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
