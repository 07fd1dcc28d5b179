package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zcp2kopano/runtime/journal"
)

// place is where a record stands in a run: the n-th of its type in its step, counted as if nobody had
// interrupted the run.
type place struct {
	Step string
	Type string
	N    int
}

func (p place) String() string { return fmt.Sprintf("%s/%s %d", p.Step, p.Type, p.N) }

// backwards is the step of a place in a rollback.
const backwards = "rollback"

// trail follows a journal from the outside and tells where its records stand.
type trail struct {
	file   *os.File
	offset int64
	part   []byte
	writes int // each with one record at its end that is no read

	step    string
	records []trailRecord // of the step, those that a resumed run does not make again
	undone  map[string]int
	seen    map[place]bool

	touched   bool // an action was begun
	back      bool // the newest attempt is a rollback
	ended     bool // the newest attempt has its verdict
	code      int  // of that verdict
	restarted bool // a step was undone and begun again

	each func(p place, when time.Time) // called for every record; may be nil
}

type trailRecord struct {
	typ   string
	call  uint64
	index int
}

func newTrail() *trail { return &trail{seen: map[place]bool{}, undone: map[string]int{}} }

// open opens the journal of the newest run in a directory of runs that is not among old; false if
// there is none yet.
func (tr *trail) open(runs string, old []string) bool {
	if tr.file != nil {
		return true
	}
	files, _ := filepath.Glob(runs + "/[0-9]*/journal")
	for _, name := range files {
		known := false
		for _, o := range old {
			known = known || o == name
		}
		if known {
			continue
		}
		if f, err := os.Open(name); err == nil {
			tr.file = f
			return true
		}
	}
	return false
}

func (tr *trail) close() {
	if tr.file != nil {
		tr.file.Close()
	}
}

// read takes what was written since, and returns the places of the new records.
func (tr *trail) read() (places []place, err error) {
	if tr.file == nil {
		return nil, nil
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := tr.file.ReadAt(buffer, tr.offset)
		tr.offset += int64(n)
		tr.part = append(tr.part, buffer[:n]...)
		for {
			line, rest, whole := bytes.Cut(tr.part, []byte{'\n'})
			if !whole {
				break
			}
			tr.part = rest
			p, err := tr.line(line)
			if err != nil {
				return places, err
			}
			if p.Type != "read" {
				tr.writes++
			}
			if p.Type != "" {
				places = append(places, p)
			}
		}
		if err == io.EOF {
			return places, nil
		}
		if err != nil {
			return places, err
		}
	}
}

// arrived reports whether the newest attempt went that way and has come to its end with this code.
func (tr *trail) arrived(back bool, code int) bool {
	return tr.ended && tr.back == back && tr.code == code
}

// cut forgets half a record: who opens the journal next cuts it off, too.
func (tr *trail) cut() {
	tr.offset -= int64(len(tr.part))
	tr.part = nil
}

// line reads "CRC LENGTH JSON".
func (tr *trail) line(line []byte) (place, error) {
	parts := strings.SplitN(string(line), " ", 3)
	var rec journal.Record
	if len(parts) != 3 {
		return place{}, fmt.Errorf("journal: %q is no record", line)
	}
	if err := json.Unmarshal([]byte(parts[2]), &rec); err != nil {
		return place{}, fmt.Errorf("journal: %w", err)
	}
	if rec.Seq == 0 {
		return place{}, nil
	}
	p, err := tr.take(rec)
	tr.seen[p] = true
	if tr.each != nil {
		tr.each(p, rec.Time)
	}
	return p, err
}

func (tr *trail) take(rec journal.Record) (place, error) {
	var data struct {
		Name  string `json:"name"`
		Call  uint64 `json:"call"`
		Index int    `json:"index"`
		Code  int    `json:"code"`
	}
	if err := json.Unmarshal(rec.Data, &data); err != nil {
		return place{}, err
	}
	switch rec.Type {
	case "run", "resume":
		tr.ended = false
		tr.forget()
		return place{"", rec.Type, 1}, nil
	case "rollback":
		tr.step, tr.records = backwards, nil
		tr.back, tr.ended = true, false
		return place{backwards, rec.Type, 1}, nil
	case "verdict":
		tr.ended, tr.code = true, data.Code
		return place{tr.step, rec.Type, 1}, nil
	case "restart":
		tr.restarted = true
		tr.records = nil
		return place{tr.step, rec.Type, 1}, nil
	}
	if tr.step == backwards {
		tr.undone[rec.Type]++
		return place{backwards, rec.Type, tr.undone[rec.Type]}, nil
	}
	switch rec.Type {
	case "step":
		tr.step, tr.records = data.Name, nil
		return place{tr.step, rec.Type, 1}, nil
	case "step-done":
		return place{tr.step, rec.Type, 1}, nil
	case "intent":
		tr.touched = true
	case "read", "call":
		data.Call = rec.Seq
	case "no-return":
		data.Call = tr.lastCall()
	}
	return tr.add(trailRecord{rec.Type, data.Call, data.Index}), nil
}

// add counts a record within its step. An action that is brought to its end may mark again what it
// had marked.
func (tr *trail) add(r trailRecord) place {
	n := 0
	for _, known := range tr.records {
		if known.typ == r.typ {
			n++
		}
		if r.typ == "mark" && known == r {
			return place{tr.step, r.typ, n}
		}
	}
	tr.records = append(tr.records, r)
	return place{tr.step, r.typ, n + 1}
}

func (tr *trail) lastCall() uint64 {
	for i := len(tr.records) - 1; i >= 0; i-- {
		if tr.records[i].typ == "call" {
			return tr.records[i].call
		}
	}
	return 0
}

// forget drops what a resumed run asks, decides and tells again: everything behind the last call
// whose actions were begun, and all findings and grants.
func (tr *trail) forget() {
	var last uint64
	for _, r := range tr.records {
		if r.typ == "intent" {
			last = max(last, r.call)
		}
	}
	var kept []trailRecord
	for _, r := range tr.records {
		if r.typ != "finding" && r.typ != "grant" && r.call <= last {
			kept = append(kept, r)
		}
	}
	tr.records = kept
}
