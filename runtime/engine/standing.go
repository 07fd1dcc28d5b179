package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// Stand tells where a run stands, by the records of its journal. What is not in them, the run's ID, how
// it is called, and whose its runbook is, is to be added.
func Stand(records []journal.Record) ways.Standing {
	h, err := readHistory(records)
	if err != nil {
		return ways.Standing{Phase: roughly(records), Trouble: err}
	}
	return h.standing()
}

func (h *history) standing() ways.Standing {
	s := ways.Standing{Phase: h.phase(), Begun: h.order, Half: h.half}
	if h.rollback {
		s.To = h.to
	}
	if v := h.verdict; v != nil {
		s.Left = v.Left
		s.Differs = !h.rollback && v.Code == exit.Differs
		s.Stuck = h.rollback && v.Code == exit.RollbackIncomplete
	}
	s.Stays = h.stays()
	// readHistory has decoded every action: neither of these can fail
	s.Packages, _ = h.lostPackages()
	way, _ := h.restoring()
	if way == nil {
		return s
	}
	s.Changed, s.Stopped = way.cause.step, way.cause.state().undone
	switch {
	case way.done:
	case way.dump == nil:
		s.Database = ways.Lost
	default:
		s.Database = ways.Restorable
	}
	return s
}

// stays lists what was begun and is not undone.
func (h *history) stays() []string {
	var all []string
	for _, p := range h.intents {
		if p.state().undone {
			continue
		}
		if a, err := p.action(); err == nil { // readHistory has decoded every action
			all = append(all, fmt.Sprintf("step %s: %s", p.step, a.Summary()))
		}
	}
	return all
}

func (h *history) phase() ways.Phase {
	if phase := h.ended(); !h.accepted || phase == ways.Untouched {
		return phase
	} else if phase != ways.Differing {
		return ways.GivenUp
	}
	return ways.Accepted
}

// ended is the phase as the last attempt left it.
func (h *history) ended() ways.Phase {
	code := -1
	if h.verdict != nil {
		code = h.verdict.Code
	}
	switch {
	case len(h.intents) == 0 && h.succeeded():
		return ways.NothingToDo
	case len(h.intents) == 0:
		return ways.Untouched
	case h.rollback:
		return h.phaseBack(code)
	case code < 0:
		return ways.BrokenOff
	case h.verdict.Until != "":
		return ways.Waiting
	case code == exit.Done:
		return ways.Done
	case code == exit.Interrupted:
		return ways.Interrupted
	}
	return ways.Failed
}

// phaseBack is the phase of a run whose last attempt was a rollback.
func (h *history) phaseBack(code int) ways.Phase {
	differing := code == exit.RollbackIncomplete && len(h.verdict.Left) > 0
	switch {
	case code == exit.Done && h.rolledBack():
		return ways.RolledBack
	case (code == exit.Done || differing) && h.to != "" && h.rollbackEnded() && !h.rolledBack():
		return ways.RolledBackPart
	case differing:
		return ways.Differing
	}
	return ways.RollbackIncomplete
}

// roughly is the phase by a journal that this version does not understand: enough to tell a run that
// has ended well from one that has not.
func roughly(records []journal.Record) ways.Phase {
	good, back := ways.Done, ways.Failed
	for _, rec := range records {
		switch rec.Type {
		case "run", "resume":
			good, back = ways.Done, ways.Failed
		case "rollback":
			var to stepRecord
			good, back = ways.RolledBack, ways.RollbackIncomplete
			if json.Unmarshal(rec.Data, &to) != nil || to.Name != "" {
				good = ways.RolledBackPart
			}
		}
	}
	if n := len(records); n > 0 && records[n-1].Type == "verdict" {
		var v story.Verdict
		if json.Unmarshal(records[n-1].Data, &v) == nil && v.Code == exit.Done && v.Until == "" {
			return good
		}
	}
	return back
}

// standing is where the run stands if this verdict closes it.
func (r *Run) standing(v *story.Verdict) ways.Standing {
	records := slices.Clone(r.cfg.Previous)
	if r.memory != nil {
		records = append(records, r.memory.records...)
	}
	if v != nil && !r.refused {
		records = append(records, journal.Record{Type: "verdict", Data: mustJSON(v)})
	}
	s := r.named(Stand(records))
	if r.real() && s.Blocks() && len(r.guards) > 0 {
		env := r.env(0, 0, nil)
		env.Ctx = context.WithoutCancel(r.ctx)
		busy, _ := env.Disturbs()
		s.Busy = busy != nil
	}
	return s
}

// named adds who the run and the caller are.
func (r *Run) named(s ways.Standing) ways.Standing {
	s.ID, s.Caller, s.Own = r.cfg.ID, r.cfg.Caller, OwnRunbook(r.rb.Name)
	return s
}

// OwnRunbook reports whether a runbook with this label is not one that the program brings.
func OwnRunbook(label string) bool { return !strings.HasPrefix(label, "@stock//") }

// Accept notes in a run's journal that the admin has accepted what its rollback left. Whether there
// is anything to accept, ways.Standing.Accept tells.
func Accept(log journal.Writer, version string) error {
	_, err := log.Append("accept", backRecord{Version: version})
	return err
}
