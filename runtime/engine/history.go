package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
)

// The types of the journal's records and their meaning are in journaldoc.go.

type stepRecord struct {
	Name     string          `json:"name"`
	Result   json.RawMessage `json:"result,omitempty"`
	Blob     *action.Blob    `json:"blob,omitempty"`     // the result, where it is large or holds a secret
	Finished string          `json:"finished,omitempty"` // the step ended the run in success, and why
}

// backRecord is the begin of a rollback.
type backRecord struct {
	Name    string `json:"name"` // the step that it goes back to, empty for all
	Version string `json:"version,omitempty"`
}

type callRecord struct {
	Builtin string          `json:"builtin"`
	Pos     string          `json:"pos,omitempty"`
	Args    json.RawMessage `json:"args"`
	Value   json.RawMessage `json:"value,omitempty"`
	Blob    *action.Blob    `json:"blob,omitempty"` // the value, where it is large or holds a secret
	Actions []actionRecord  `json:"actions,omitempty"`
	From    []string        `json:"from,omitempty"` // files that it has read

	seq    uint64
	states map[int]*actionState
}

type actionRecord struct {
	Call   uint64          `json:"call,omitempty"` // seq of the call's record
	Index  int             `json:"index"`
	Kind   string          `json:"kind,omitempty"`
	Step   string          `json:"step,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Result *action.Result  `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Spared bool            `json:"spared,omitempty"` // of a failed action: it was seen not to have changed its database

	Differences []string `json:"differences,omitempty"` // of an undone action: what is not as before
}

type grantRecord struct {
	Path  string       `json:"path"`
	Why   string       `json:"why"`
	Class policy.Class `json:"class,omitempty"` // of what else than a path
}

func (g grantRecord) class() policy.Class {
	if g.Class == "" {
		return policy.Path
	}
	return g.Class
}

type noReturnRecord struct {
	Text string `json:"text"`
}

// actionState is how far an action of an earlier run came.
type actionState struct {
	intent  *actionRecord
	endSeq  uint64 // of the record that it was undone
	marks   []json.RawMessage
	done    *action.Result
	skipped bool
	undone  bool
	spared  bool // it has not changed its database after all

	differences []string // that were left when it was undone
}

func (c *callRecord) state(i int) *actionState {
	if c.states == nil {
		c.states = map[int]*actionState{}
	}
	if c.states[i] == nil {
		c.states[i] = &actionState{}
	}
	return c.states[i]
}

// begun reports whether any of the call's actions was begun.
func (c *callRecord) begun() bool {
	for i := range c.Actions {
		if c.state(i).intent != nil {
			return true
		}
	}
	return false
}

// history is what the records of an earlier run amount to.
type history struct {
	begun    bool
	info     story.RunInfo
	writer   string                // version of the program that wrote last
	steps    map[string]stepRecord // that ended
	open     *replay               // the unfinished step, nil if there is none
	grants   []grantRecord
	sources  []string          // files that calls have read
	reads    int               // of the version that began the run
	sourced  bool              // that version noted what calls have read
	findings []runbook.Finding // of steps that ended
	noReturn string
	intents  []*pastAction   // in order
	order    []string        // steps in the order in which they last began
	calls    map[string]int  // of each step that is not undone, the calls made
	verdict  *story.Verdict  // of the last attempt, nil if it was cut short
	undone   map[string]bool // steps that a rollback has undone
	restored uint64          // seq of the record that the dump was loaded, 0 if it was not
	restore  *callRecord     // the last loading of the dump, nil if there was none since the last upgrade
	rollback bool            // the last attempt was a rollback
	to       string          // the step that it was to go back to; empty for all
	half     string          // the step that a rollback has undone in part
	spent    span            // the time that its processes were at work
	until    string          // where it was to stop, and has not
	accepted bool            // the admin has accepted what the last rollback left
}

// succeeded reports whether the run has ended in success.
func (h *history) succeeded() bool {
	return !h.rollback && h.verdict != nil && h.verdict.Code == exit.Done && h.verdict.Until == ""
}

// unsourced reports whether the version that began the run did not note which files it read.
func (h *history) unsourced() bool { return h.reads > 0 && !h.sourced }

// rolledBack reports whether a rollback has undone all steps.
func (h *history) rolledBack() bool {
	for _, name := range h.order {
		if !h.undone[name] {
			return false
		}
	}
	return h.rollback && len(h.order) > 0
}

// rollbackEnded reports whether the last rollback has undone all that it was asked to.
func (h *history) rollbackEnded() bool {
	for _, name := range stepsToUndo(h, h.to) {
		if !h.undone[name] {
			return false
		}
	}
	return true
}

// changes counts what was carried out and is not undone.
func (h *history) changes() (n int) {
	for _, p := range h.intents {
		if p.state().done != nil && !p.state().undone {
			n++
		}
	}
	return n
}

// span is the time that the processes of a run, or of its way back, were at work. What a process did
// behind its last record, nobody knows.
type span struct {
	total       time.Duration
	begin, last time.Time // of the newest process
}

func (s *span) take(rec journal.Record, wasRollback bool) {
	switch rec.Type {
	case "run", "resume", "rollback":
		s.total += s.last.Sub(s.begin)
		if rec.Type == "run" || wasRollback != (rec.Type == "rollback") {
			s.total = 0 // another way
		}
		s.begin = rec.Time
	}
	s.last = rec.Time
}

// before is what came before a process that begins now, and goes the same way.
func (s *span) before() time.Duration { return s.total + s.last.Sub(s.begin) }

// pastAction is an action with the place that rollback needs.
type pastAction struct {
	call  *callRecord
	index int
	step  string
}

func (p *pastAction) state() *actionState { return p.call.state(p.index) }

// readHistory reads the records of a run.
func readHistory(records []journal.Record) (*history, error) {
	h := &history{steps: map[string]stepRecord{}, undone: map[string]bool{}, calls: map[string]int{}}
	calls := map[uint64]*callRecord{}
	var pending []runbook.Finding
	for _, rec := range records {
		if err := h.take(rec, calls, &pending); err != nil {
			return nil, h.explain(fmt.Errorf("journal: record %d (%s): %w", rec.Seq, rec.Type, err))
		}
	}
	for _, p := range h.intents {
		if _, err := p.action(); err != nil {
			return nil, h.explain(fmt.Errorf("journal: call %d: %w", p.call.seq, err))
		}
	}
	h.forgetTail()
	return h, nil
}

// explain adds which version of the program understands what this one does not.
func (h *history) explain(err error) error {
	if !errors.Is(err, action.ErrOtherVersion) {
		return err
	}
	return fmt.Errorf("%w: version %s; go on, or back, with that one. Nothing was changed", err, h.writer)
}

// forgetTail drops what the unfinished step asked and decided after its last change: nothing rests on
// it, and the host may have been fixed meanwhile, so it is asked and decided again.
func (h *history) forgetTail() {
	if h.open == nil {
		return
	}
	calls := h.open.calls
	for len(calls) > 0 && !calls[len(calls)-1].begun() {
		calls = calls[:len(calls)-1]
	}
	h.calls[h.open.name] = len(calls)
	h.open.calls = calls
}

func (h *history) take(rec journal.Record, calls map[uint64]*callRecord, pending *[]runbook.Finding) error {
	h.spent.take(rec, h.rollback)
	switch rec.Type {
	case "run":
		return h.takeRun(rec)
	case "resume":
		return h.takeResume(rec, pending)
	case "step", "step-done", "step-undo", "restart", "step-undone":
		var s stepRecord
		if err := action.Strict(rec.Data, &s); err != nil {
			return err
		}
		h.takeStep(rec.Type, s, pending)
		return nil
	case "read", "call", "restore":
		return h.takeCall(rec, calls)
	case "intent", "mark", "done", "skip", "failed", "undone":
		return h.takeActionOf(rec, calls)
	case "finding":
		var f runbook.Finding
		err := json.Unmarshal(rec.Data, &f)
		*pending = append(*pending, f)
		return err
	case "grant":
		var g grantRecord
		err := action.Strict(rec.Data, &g)
		h.grants = append(h.grants, g)
		return err
	case "no-return":
		var n noReturnRecord
		err := json.Unmarshal(rec.Data, &n)
		h.noReturn = cmp.Or(h.noReturn, n.Text)
		return err
	case "verdict":
		return h.takeVerdict(rec)
	case "rollback", "accept":
		return h.takeBack(rec)
	}
	return fmt.Errorf("unknown type: %w", action.ErrOtherVersion)
}

func (h *history) takeRun(rec journal.Record) error {
	h.begun = true
	err := json.Unmarshal(rec.Data, &h.info)
	h.writer, h.until = h.info.Version, h.info.Until
	return err
}

func (h *history) takeResume(rec journal.Record, pending *[]runbook.Finding) error {
	var info story.RunInfo
	if err := json.Unmarshal(rec.Data, &info); err != nil {
		return err
	}
	h.writer, h.until = info.Version, info.Until
	h.verdict, h.rollback, h.accepted = nil, false, false
	for _, p := range h.intents { // what failed is done again
		p.state().spared = false
	}
	h.forgetTail() // as the run that wrote this record did
	*pending = nil
	return nil
}

func (h *history) takeCall(rec journal.Record, calls map[uint64]*callRecord) error {
	c := &callRecord{seq: rec.Seq}
	if err := action.Strict(rec.Data, c); err != nil {
		return err
	}
	calls[rec.Seq] = c
	h.sources = append(h.sources, c.From...)
	if h.writer == h.info.Version {
		h.sourced = h.sourced || len(c.From) > 0
		if rec.Type == "read" {
			h.reads++
		}
	}
	switch {
	case rec.Type == "restore":
		h.restore = c
	case h.open != nil:
		h.open.calls = append(h.open.calls, c)
		h.calls[h.open.name]++
	}
	return nil
}

func (h *history) takeActionOf(rec journal.Record, calls map[uint64]*callRecord) error {
	var a actionRecord
	if err := action.Strict(rec.Data, &a); err != nil {
		return err
	}
	c := calls[a.Call]
	if c == nil {
		return fmt.Errorf("it speaks of call %d, which is not in the journal", a.Call)
	}
	h.takeAction(rec.Type, a, c)
	switch {
	case rec.Type == "undone":
		c.state(a.Index).endSeq = rec.Seq
	case rec.Type == "done" && c == h.restore:
		h.restored = rec.Seq
	}
	return nil
}

func (h *history) takeVerdict(rec journal.Record) error {
	v := &story.Verdict{}
	if err := json.Unmarshal(rec.Data, v); err != nil {
		return err
	}
	h.verdict = v
	if v.Until != "" {
		h.until = ""
	}
	return nil
}

// takeBack takes the begin of a rollback, or that its end was accepted.
func (h *history) takeBack(rec journal.Record) error {
	var b backRecord
	if err := action.Strict(rec.Data, &b); err != nil {
		return err
	}
	if rec.Type == "accept" {
		h.accepted = true
		return nil
	}
	h.verdict, h.rollback, h.to, h.accepted = nil, true, b.Name, false
	h.until = ""
	h.writer = cmp.Or(b.Version, h.writer)
	return nil
}

func (h *history) takeStep(typ string, s stepRecord, pending *[]runbook.Finding) {
	switch typ {
	case "step":
		if h.open != nil && h.open.name != s.Name { // of the preflight: it found what stands in the way, and begins again
			delete(h.calls, h.open.name)
		}
		h.open = &replay{name: s.Name}
		if at := slices.Index(h.order, s.Name); at >= 0 { // undone before, and begun again, behind what ran meanwhile
			h.order = append(h.order[:at:at], h.order[at+1:]...)
		}
		h.order = append(h.order, s.Name)
		delete(h.undone, s.Name)
		*pending = nil
	case "step-done":
		h.steps[s.Name] = s
		h.open = nil
		h.findings = append(h.findings, *pending...)
		*pending = nil
	case "step-undo":
		if h.open != nil {
			h.open.undoing = true
		}
	case "restart":
		h.open = &replay{name: s.Name}
		delete(h.calls, s.Name)
		*pending = nil
	case "step-undone":
		delete(h.steps, s.Name)
		delete(h.calls, s.Name)
		h.undone[s.Name] = true
		h.open = nil
		h.half = ""
	}
}

func (h *history) takeAction(typ string, a actionRecord, c *callRecord) {
	state := c.state(a.Index)
	switch typ {
	case "intent":
		if state.intent == nil && c != h.restore {
			h.intents = append(h.intents, &pastAction{call: c, index: a.Index, step: a.Step})
		}
		state.intent = &a
		state.undone = false
	case "mark":
		state.marks = append(state.marks, a.Data)
	case "done":
		state.done = a.Result
		if state.done == nil {
			state.done = &action.Result{}
		}
	case "skip":
		state.skipped = true
	case "failed":
		state.spared = a.Spared
	case "undone":
		state.undone, state.differences = true, a.Differences
		if h.rollback && state.intent != nil && !h.undone[state.intent.Step] {
			h.half = state.intent.Step
		}
	}
}

// replay answers the calls of an unfinished step from the journal, in order.
type replay struct {
	name    string
	calls   []*callRecord
	at      int
	undoing bool // what the step did was to be undone, and may have been
}

// next returns the journal's record of the call that the runbook makes now; nil once the journal has
// ended, and errDiverged if the runbook calls something else.
func (p *replay) next(builtin string, args json.RawMessage) (*callRecord, error) {
	if p.at >= len(p.calls) {
		return nil, nil
	}
	past := p.calls[p.at]
	if past.Builtin != builtin || !sameJSON(past.Args, args) {
		return nil, errDiverged
	}
	p.at++
	return past, nil
}

// intents lists the actions of the unfinished step that had begun.
func (p *replay) intents() []*pastAction {
	var begun []*pastAction
	for _, c := range p.calls {
		for i := range c.Actions {
			if c.state(i).intent != nil {
				begun = append(begun, &pastAction{call: c, index: i, step: p.name})
			}
		}
	}
	return begun
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return string(mustJSON(x)) == string(mustJSON(y))
}

// memory is a journal that remembers what it was given, but for what was read: by it a run knows at
// its end where it stands.
type memory struct {
	journal.Writer
	records []journal.Record
	room    func() error // what is to be left where the journal is
}

// Append implements journal.Writer.
func (m *memory) Append(typ string, data any) (uint64, error) {
	// What has begun may come to its end, and a way back to its own, in what is spared for that.
	if m.room != nil && typ == "intent" {
		if err := m.room(); err != nil {
			return 0, fmt.Errorf("journal: %w", err)
		}
	}
	seq, err := m.Writer.Append(typ, data)
	m.note(seq, typ, data, err)
	return seq, err
}

// AppendLazy implements journal.Writer.
func (m *memory) AppendLazy(typ string, data any) (uint64, error) {
	seq, err := m.Writer.AppendLazy(typ, data)
	m.note(seq, typ, data, err)
	return seq, err
}

func (m *memory) note(seq uint64, typ string, data any, err error) {
	if err != nil || typ == "mark" || typ == "finding" {
		return
	}
	m.records = append(m.records, journal.Record{Seq: seq, Type: typ, Data: mustJSON(data)})
}
