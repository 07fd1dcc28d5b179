package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/journal"
)

// Phase is where a run stands.
type Phase string

// The phases of a run.
const (
	BrokenOff          Phase = "broken off"  // its process ended without a verdict, or is at work now
	Failed             Phase = "failed"      // and can be resumed or rolled back
	Interrupted        Phase = "interrupted" // as asked, and can be resumed or rolled back
	RollbackIncomplete Phase = "rollback incomplete"
	RolledBackPart     Phase = "rolled back in part" // to a step, and can be resumed or rolled back further
	Done               Phase = "done"
	Untouched          Phase = "nothing changed" // it ended before the first change
	RolledBack         Phase = "rolled back"
)

// Unfinished tells whether the run has left the machine half-way.
func (p Phase) Unfinished() bool { return p != Done && p != Untouched && p != RolledBack }

// Status is how far a run is, by its journal.
type Status struct {
	Run     Run              `json:"-"`
	ID      string           `json:"id"`
	Order   Order            `json:"order"`
	Phase   Phase            `json:"phase"`
	Step    string           `json:"step,omitempty"` // the last that began
	Steps   []string         `json:"steps,omitempty"`
	Ended   []string         `json:"ended,omitempty"` // steps that ended
	Verdict *runtime.Verdict `json:"verdict,omitempty"`
	Last    time.Time        `json:"last,omitzero"`    // of the last record
	Damage  string           `json:"damage,omitempty"` // of the journal
}

// Status reads the run's journal.
func (r Run) Status() (Status, error) {
	s := Status{Run: r, ID: r.ID}
	var err error
	if s.Order, err = r.Order(); err != nil {
		return s, err
	}
	_, records, damage, err := journal.ReadFile(r.Journal())
	if never(r.Journal(), err) {
		s.Phase = Untouched
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("run %s: %w", r.ID, err)
	}
	if damage != nil {
		s.Damage = damage.Error()
	}
	s.read(records)
	return s, nil
}

// never tells whether a journal was never begun: it is missing, or not even its header, which is
// synced before the first record, was written whole.
func never(path string, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if !errors.Is(err, journal.ErrNoHeader) {
		return false
	}
	data, err := os.ReadFile(path)
	return err == nil && !bytes.Contains(data, []byte{'\n'})
}

func (s *Status) read(records []journal.Record) {
	touched, back, part := false, false, false
	for _, rec := range records {
		s.Last = rec.Time
		var named struct {
			Name string `json:"name"`
		}
		switch rec.Type {
		case "run", "resume", "rollback":
			s.Verdict, back, part = nil, rec.Type == "rollback", false
			var info runtime.RunInfo
			if json.Unmarshal(rec.Data, &info) == nil && len(info.Steps) > 0 {
				s.Steps = info.Steps
			}
			if back && json.Unmarshal(rec.Data, &named) == nil {
				part = named.Name != ""
			}
		case "step", "step-done", "step-undone":
			if json.Unmarshal(rec.Data, &named) == nil {
				s.step(rec.Type, named.Name)
			}
		case "intent":
			touched = true
		case "verdict":
			s.Verdict = &runtime.Verdict{}
			if json.Unmarshal(rec.Data, s.Verdict) != nil {
				s.Verdict = nil
			}
		}
	}
	s.Phase = phase(s.Verdict, touched, back, part)
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

func phase(v *runtime.Verdict, touched, back, part bool) Phase {
	switch {
	case v == nil && (touched || back):
		return BrokenOff
	case v == nil || !touched:
		if v != nil && v.Code == runtime.CodeDone && !back {
			return Done
		}
		return Untouched
	case v.Code == runtime.CodeInterrupted:
		return Interrupted
	case back && v.Code == runtime.CodeRollbackIncomplete:
		return RollbackIncomplete
	case back && v.Code == runtime.CodeDone && part:
		return RolledBackPart
	case back && v.Code == runtime.CodeDone:
		return RolledBack
	case v.Code == runtime.CodeDone:
		return Done
	}
	return Failed
}

// Open opens the run's journal in order to write to it, and returns what it holds. One that was
// never begun is begun; a torn tail is cut off.
func (r Run) Open(program string, now func() time.Time) (*journal.Log, []journal.Record, error) {
	_, _, _, err := journal.ReadFile(r.Journal())
	if never(r.Journal(), err) {
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
	if damage != nil {
		if err := log.Repair(); err != nil {
			log.Close()
			return nil, nil, err
		}
	}
	return log, records, nil
}
