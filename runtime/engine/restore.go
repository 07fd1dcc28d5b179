package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/story"
)

// restoring is the way back for a database that an action of the run has changed for good: by the dump
// that the run made before.
type restoring struct {
	cause *pastAction // the last action that changed it
	dump  *pastAction
	done  bool
}

// restoring looks for an action that changed a database for good, and for the dump. It is nil if no
// such action was begun.
func (h *history) restoring() (*restoring, error) {
	var way *restoring
	var dump *pastAction
	for _, p := range h.intents {
		a, err := p.action()
		if err != nil {
			return nil, err
		}
		if _, ok := a.(action.Dumper); ok && !p.state().undone {
			dump = p
		}
		if changesDatabase(a) && !p.state().spared {
			way = &restoring{cause: p, dump: dump}
		}
	}
	if way != nil && h.restore != nil && h.restore.seq > way.cause.call.seq {
		way.done = h.restore.state(0).done != nil
	}
	return way, nil
}

// changesDatabase reports whether an action changes a database for good.
func changesDatabase(a action.Action) bool {
	c, ok := a.(action.DatabaseChanger)
	return ok && c.ChangesDatabase()
}

// lookSpared looks, before a rollback, which actions that did not come to their end have changed no database after
// all, whatever was seen when they failed: somebody may have started a server since, or fixed what kept one from it.
func (r *Run) lookSpared(past *history) error {
	for _, p := range past.intents {
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		state := p.state()
		if state.done != nil || state.undone || !changesDatabase(a) {
			continue
		}
		spared := a.(action.DatabaseChanger).Spared(env)
		if spared == state.spared {
			continue
		}
		state.spared = spared
		_, err = r.cfg.Journal.Append("failed", actionRecord{Call: p.call.seq, Index: p.index, Kind: a.Kind(), Spared: spared, Error: "looked at again before a rollback"})
		if err != nil {
			return err
		}
	}
	return nil
}

// tellSpared tells that a failed action has not changed the database; then the way back needs no dump.
func (r *Run) tellSpared(a action.Action, env *action.Env) bool {
	if !changesDatabase(a) || !a.(action.DatabaseChanger).Spared(env) {
		return false
	}
	r.verdict.NoReturn = ""
	r.emit(story.Event{Kind: story.Output, Text: "the database is as it was: " + a.Summary() + " failed before anything was done to it, and the way back needs no dump"})
	return true
}

// learn tells the run's actions what has become of the database, and where data was put.
func (r *Run) learn(past *history) error {
	way, err := past.restoring()
	if err != nil {
		return err
	}
	r.upgraded, r.restored = way != nil && !way.done, nil
	if way != nil && way.done {
		r.restored = action.RestoredBy(past.restore.state(0).done)
	}
	r.data, r.inPlace = nil, nil
	actions, err := past.actions()
	for _, a := range actions {
		k, ok := a.(action.DataKeeper)
		if ok && k.MovedData() != "" {
			r.data = append(r.data, k.MovedData())
		}
		if ok && k.KeptData() != "" && !slices.Contains(r.inPlace, k.KeptData()) {
			r.inPlace = append(r.inPlace, k.KeptData())
		}
	}
	return err
}

// actions lists the run's actions, in order.
func (h *history) actions() ([]action.Action, error) {
	list := make([]action.Action, len(h.intents))
	for i, p := range h.intents {
		var err error
		if list[i], err = p.action(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// giveBack undoes once more what was undone before the database was restored, and rests on that.
func (r *Run) giveBack(past *history) error {
	for _, p := range slices.Backward(past.intents) {
		if !p.state().undone || past.restored > 0 && p.state().endSeq > past.restored {
			continue
		}
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		if d, ok := a.(action.DatabaseRester); !ok || !d.RestsOnDatabase() {
			continue
		}
		if err := r.undoAndTell(p, a, env); err != nil {
			return err
		}
	}
	return nil
}

func (p *pastAction) action() (action.Action, error) {
	return action.Decode(p.state().intent.Kind, p.state().intent.Data)
}

// restoreBegun reports whether the loading has begun and must be brought to its end.
func (h *history) restoreBegun(way *restoring) bool {
	return way != nil && !way.done && h.restore != nil && h.restore.seq > way.cause.call.seq && h.restore.state(0).intent != nil
}

// advise tells, before a rollback goes beyond the point of no return without the database, what that
// means and what there is to do.
func (r *Run) advise(way *restoring) (string, error) {
	text := "the database was changed for good, and is left as it is: what is put back will not work with it"
	if way.dump == nil {
		return text + "; the run has made no dump", nil
	}
	dump, takes, err := way.loading()
	if err != nil || takes == "" {
		return text, err
	}
	return fmt.Sprintf("%s. It needs the dump %s: `%s` loads it, now or later; %s",
		text, dump, r.cfg.Caller.Command("rollback", "--restore-database"), takes), nil
}

// loading says which dump leads back, and how long it takes to load it; nothing if there is none that is complete.
func (w *restoring) loading() (path, takes string, err error) {
	if w == nil || w.done || w.dump == nil {
		return "", "", nil
	}
	a, err := w.dump.action()
	if err != nil {
		return "", "", err
	}
	dump := a.(action.Dumper)
	made, complete, err := dump.Dumped(&action.Env{Marks: w.dump.state().marks})
	if err != nil || !complete {
		return "", "", err
	}
	return dump.DumpPath(), dump.LoadTime(made), nil
}

// Loading says which dump a rollback of a run can load, and how long that takes; nothing if there is none to load.
func Loading(records []journal.Record) (path, takes string, err error) {
	past, err := readHistory(records)
	if err != nil {
		return "", "", err
	}
	way, err := past.restoring()
	if err != nil {
		return "", "", err
	}
	return way.loading()
}

// restoreDatabase loads the dump, or goes on with that. What changed the database is undone: its service
// is stopped.
func (r *Run) restoreDatabase(past *history, way *restoring) error {
	if way.done {
		return nil
	}
	a, seq, marks, err := r.restoreAction(past, way)
	if err != nil {
		return err
	}
	env := r.env(seq, 0, marks)
	detail, err := r.detail(a, env)
	if err != nil {
		return err
	}
	r.emit(story.Event{Kind: story.ChangeBegin, Action: a.Kind(), Text: a.Summary(), Detail: detail})
	result, err := r.applyAndTell(a, env)
	if err != nil {
		return err
	}
	r.emit(story.Event{Kind: story.ChangeEnd, Action: a.Kind(), Text: result.Summary})
	for _, line := range result.Lines {
		r.emit(story.Event{Kind: story.Output, Text: line})
	}
	r.verdict.Changes++
	if _, err := r.cfg.Journal.Append("done", actionRecord{Call: seq, Kind: a.Kind(), Result: &result}); err != nil {
		return err
	}
	way.done, r.upgraded, r.restored = true, false, action.RestoredBy(&result)
	past.restored = 0 // all that is undone so far was undone before
	return nil
}

// restoreAction is the loading that was begun, or a new one, journaled.
func (r *Run) restoreAction(past *history, way *restoring) (a action.Action, seq uint64, marks []json.RawMessage, err error) {
	if past.restoreBegun(way) {
		state := past.restore.state(0)
		a, err = action.Decode(state.intent.Kind, state.intent.Data)
		return a, past.restore.seq, state.marks, err
	}
	made, env, err := r.recall(way.dump)
	if err != nil {
		return nil, 0, nil, err
	}
	actions, err := past.actions()
	if err != nil {
		return nil, 0, nil, err
	}
	if a, err = made.(action.Dumper).Loading(env, action.NumberedTrees(actions)); err != nil {
		return nil, 0, nil, err
	}
	if seq, err = r.cfg.Journal.Append("restore", callRecord{Builtin: "rollback"}); err != nil {
		return nil, 0, nil, err
	}
	err = r.wait("check the dump "+made.(action.Dumper).DumpPath(), func() error {
		_, err := a.Prepare(r.env(seq, 0, nil))
		return err
	})
	if err != nil {
		return nil, 0, nil, err
	}
	data, err := encodeAction(a)
	if err != nil {
		return nil, 0, nil, err
	}
	_, err = r.cfg.Journal.Append("intent", actionRecord{Call: seq, Kind: a.Kind(), Data: data})
	return a, seq, nil, err
}

// retryServices starts services once more that an earlier rollback could not start again: the database
// may be back by now, by this rollback or by hand.
func (r *Run) retryServices(failed []*pastAction) error {
	for _, p := range failed {
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		if err := r.undoAndTell(p, a, env); err != nil {
			return err
		}
	}
	return nil
}

// notStarted lists, from the last to the first, the actions that were undone but for a service that
// did not start again.
func (h *history) notStarted() ([]*pastAction, error) {
	var failed []*pastAction
	for _, p := range slices.Backward(h.intents) {
		if !p.state().undone || len(p.state().differences) == 0 {
			continue
		}
		a, err := p.action()
		if err != nil {
			return nil, err
		}
		if startsAgain(a) {
			failed = append(failed, p)
		}
	}
	return failed, nil
}
