package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// Status is how far a run is, by its journal.
type Status struct {
	Run Run `json:"-"`
	ways.Standing
	Order   Order          `json:"order"`
	Step    string         `json:"step,omitempty"` // the last that began
	Steps   []string       `json:"steps,omitempty"`
	Ended   []string       `json:"ended,omitempty"` // steps that ended
	Verdict *story.Verdict `json:"verdict,omitempty"`
	Last    time.Time      `json:"last,omitzero"`    // of the last record
	Damage  string         `json:"damage,omitempty"` // of the journal
	Now     *story.Event   `json:"now,omitempty"`    // how far what it does is, while a process is at work for it
}

// Status reads the run's journal. It names commands as they are where no other run is: Dir.Status
// knows of those.
func (r Run) Status() (Status, error) {
	s := Status{Run: r}
	s.ID = r.ID
	var err error
	if s.Order, err = r.Order(); err != nil {
		return s, err
	}
	_, records, damage, err := journal.ReadFile(r.Journal())
	if r.never(err) {
		s.Phase = ways.Untouched
		return s, nil
	}
	damage = journal.Cut(records, damage, r.witnessed())
	switch {
	case errors.Is(err, journal.ErrOtherFormat):
		s.Phase, s.Trouble = ways.Unknown, err
		return s, nil
	case errors.Is(err, journal.ErrNoHeader):
		s.Phase, s.Trouble = ways.Unknown, err
		return s, nil
	case err != nil:
		return s, fmt.Errorf("run %s: %w", r.ID, err)
	}
	s.read(records)
	s.Standing = engine.Stand(records)
	s.ID, s.Own = r.ID, engine.OwnRunbook(s.Order.Label)
	s.Around, s.Barred = r.barred(s.Order)
	if s.Order.Forgotten != nil {
		s.Phase, s.Barred, s.Around = ways.Forgotten, nil, ""
	}
	if damage != nil {
		s.Damage = damage.Error()
		if !damage.Torn {
			s.Phase = ways.Unknown // what stands behind the damage may have changed everything
			s.Trouble = damage.Refusal()
		}
	}
	return s, nil
}

// barred tells why a resume cannot go by what was kept with the run, and around it the flag that leaves it
// aside. A rollback needs none of it.
func (r Run) barred(o Order) (around string, why error) {
	keeper, err := r.Keeper()
	if err == nil {
		_, err = r.Secrets(o, keeper)
	}
	if err != nil {
		return "", err
	}
	if modules, err := r.Modules(); err != nil || modules[o.Label] == "" {
		return ways.Runbook, errors.Join(err, fmt.Errorf("the copy of its runbook is lost: %s is not in it", o.Label))
	}
	if _, err := r.Plan(); err != nil && !o.Unheld {
		return ways.NoPlan, err
	}
	return "", nil
}

// never reports whether the journal was never begun: it is missing, or not even its header was written
// whole. The header is synced before anything is said about the run: where something was, a journal without
// it has lost what it held.
func (r Run) never(err error) bool {
	if info, err := os.Stat(r.Events()); err == nil && info.Size() > 0 || journal.Durable(r.Journal()) > 0 {
		return false
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if !errors.Is(err, journal.ErrNoHeader) {
		return false
	}
	data, err := os.ReadFile(r.Journal())
	return err == nil && !bytes.Contains(data, []byte{'\n'})
}

func (s *Status) read(records []journal.Record) {
	for _, rec := range records {
		s.Last = rec.Time
		var named struct {
			Name string `json:"name"`
		}
		switch rec.Type {
		case "run", "resume", "rollback":
			s.Verdict = nil
			var info story.RunInfo
			if json.Unmarshal(rec.Data, &info) == nil && len(info.Steps) > 0 {
				s.Steps = info.Steps
			}
		case "step", "step-done", "step-undone":
			if json.Unmarshal(rec.Data, &named) == nil {
				s.step(rec.Type, named.Name)
			}
		case "verdict":
			s.Verdict = &story.Verdict{}
			if json.Unmarshal(rec.Data, s.Verdict) != nil {
				s.Verdict = nil
			}
		}
	}
}

func (s *Status) step(typ, name string) {
	switch typ {
	case "step":
		s.Step = name
	case "step-done":
		s.Ended = append(s.Ended, name)
	case "step-undone":
		for i, ended := range s.Ended {
			if ended == name {
				s.Ended = append(s.Ended[:i:i], s.Ended[i+1:]...)
				break
			}
		}
	}
}

// Accept notes that the admin has accepted what the run, or its rollback, left. The caller holds the
// lock.
func (r Run) Accept(program string) error {
	log, _, err := r.Open(program, time.Now)
	if err != nil {
		return err
	}
	return errors.Join(engine.Accept(log, program), log.Close())
}

// SetAside takes a run whose journal cannot be gone by out of the way, whole, and returns where it is
// now. The caller holds the lock.
func (d Dir) SetAside(r Run) (string, error) {
	aside := filepath.Join(d.Path, "aside", r.ID)
	if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
		return "", err
	}
	if err := os.Rename(r.Path, aside); err != nil {
		return "", err
	}
	return aside, errors.Join(syncDir(filepath.Dir(aside)), syncDir(filepath.Dir(r.Path)), syncDir(d.Path))
}

// Open opens the run's journal in order to write to it, and returns what it holds. One that was
// never begun is begun; a torn tail is cut off.
func (r Run) Open(program string, now func() time.Time) (*journal.Log, []journal.Record, error) {
	_, _, _, err := journal.ReadFile(r.Journal())
	if r.never(err) {
		if err := os.Remove(r.Journal()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		log, err := journal.Create(r.Journal(), program, now)
		return log, nil, err
	}
	log, records, damage, err := journal.Open(r.Journal(), now)
	if err != nil {
		return nil, nil, err
	}
	damage = journal.Cut(records, damage, r.witnessed())
	switch {
	case damage == nil:
		return log, records, nil
	case damage.Torn:
		err = log.Repair()
	default:
		err = fmt.Errorf("journal %s: %w", r.Journal(), damage.Refusal())
	}
	if err != nil {
		log.Close()
		return nil, nil, err
	}
	return log, records, nil
}

// witnessed is the number of the last record that the journal is known to have held, by what the run left
// outside of it: each event says how far the journal was, and what an action keeps bears the number of
// its call.
func (r Run) witnessed() uint64 {
	return max(r.told(), r.kept())
}

// told is the newest number in the events: they grow.
func (r Run) told() (last uint64) {
	for line := range bytes.Lines(r.lastEvents()) {
		var e struct {
			Journal uint64 `json:"journal"`
		}
		if json.Unmarshal(line, &e) == nil {
			last = max(last, e.Journal)
		}
	}
	return last
}

// Now is what the process that is at work for the run has told last of what it does; nil for nothing.
func (r Run) Now() (now *story.Event) {
	for line := range bytes.Lines(r.lastEvents()) {
		var e story.Event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		switch {
		case e.Kind == story.ProgressMade && e.Progress != nil:
			now = &e
		case e.Kind != story.ProgressMade:
			now = nil
		}
	}
	return now
}

// lastEvents is the end of the events file.
func (r Run) lastEvents() []byte {
	f, err := os.Open(r.Events())
	if err != nil {
		return nil
	}
	defer f.Close()
	const tail = 256 << 10
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	return data
}

func (r Run) kept() (last uint64) {
	entries, _ := os.ReadDir(filepath.Join(r.Backup(), "kept"))
	for _, e := range entries {
		var seq uint64
		var index int
		if rest, ok := strings.CutPrefix(e.Name(), r.ID+"-"); ok {
			if n, _ := fmt.Sscanf(rest, "%d-%d", &seq, &index); n == 2 {
				last = max(last, seq+1) // its intent was durable, behind the call
			}
		}
	}
	return last
}
