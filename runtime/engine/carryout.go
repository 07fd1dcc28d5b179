package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// CarryOut is where every call of a Read or Change builtin arrives.
func (r *Run) CarryOut(c *script.Call) (starlark.Value, error) {
	c.View = r.view()
	if c.Builtin.Effect == script.Read {
		return r.read(c)
	}
	return r.change(c)
}

func (r *Run) read(c *script.Call) (starlark.Value, error) {
	args, err := r.encodeArgs(c)
	if err != nil {
		return nil, err
	}
	if past, err := r.replay.next(c.Builtin.Name, args); past != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return r.replayRead(past)
	}
	var value starlark.Value
	err = r.wait("wait for "+c.Builtin.Name, func() error {
		var err error
		value, err = c.Answer()
		return err
	})
	from := r.connections.sources()
	r.tellUnpredicted()
	if err != nil {
		return nil, err
	}
	encoded, err := script.EncodeAnswer(value, r.secrets)
	if err != nil {
		return nil, c.Errorf("its result: %w", err)
	}
	result, blob, err := r.seal(mustJSON(encoded))
	if err != nil {
		return nil, err
	}
	rec := &callRecord{Builtin: c.Builtin.Name, Pos: c.Pos(), Args: args, Value: result, Blob: blob, From: from}
	if err := r.hold(rec); err != nil {
		return nil, err
	}
	// What was read behind the last change is asked again by a resume, so it need not outlive a kill.
	return value, r.cfg.Journal.AppendWithNext("read", rec)
}

// maxInline is the size above which a read's result is kept in the store instead of the journal.
const maxInline = 16 << 10

// seal keeps a large result, and one in which a secret stands, out of the journal. That of a check is in memory, and
// gone with it: a check has nowhere to write to.
func (r *Run) seal(data json.RawMessage) (json.RawMessage, *action.Blob, error) {
	if r.cfg.Mode == "check" || len(data) <= maxInline && !r.secrets.within(data) {
		return data, nil, nil
	}
	blob, err := r.store.PutBytes(data)
	if err != nil {
		return nil, nil, fmt.Errorf("keeping a result: %w", err)
	}
	return nil, &blob, nil
}

func (r *Run) replayRead(past *callRecord) (starlark.Value, error) {
	value, err := r.unseal(past.Value, past.Blob)
	if err != nil {
		return nil, fmt.Errorf("the journal's copy of the result of %s: %w", past.Builtin, err)
	}
	return value, nil
}

// unseal is a value that seal took apart.
func (r *Run) unseal(data json.RawMessage, blob *action.Blob) (starlark.Value, error) {
	if blob != nil {
		var err error
		if data, err = r.store.Bytes(*blob); err != nil {
			return nil, err
		}
	}
	return script.Decode(data, r.secrets)
}

func (r *Run) change(c *script.Call) (starlark.Value, error) {
	if r.readOnly {
		return nil, c.Errorf("step %s may not change anything: it is the runbook's check or verify", r.step.Name)
	}
	if r.inhibited {
		return nil, errInhibited
	}
	args, err := r.encodeArgs(c)
	if err != nil {
		return nil, err
	}
	past, err := r.replay.next(c.Builtin.Name, args)
	if err != nil {
		return nil, err
	}
	if past != nil {
		return r.resumeCall(c, past)
	}
	var decision script.Decision
	err = r.wait("wait for "+c.Builtin.Name+" to decide", func() error {
		var err error
		decision, err = c.Builtin.Decide(c)
		return err
	})
	from := r.connections.sources()
	if err != nil {
		return nil, err
	}
	rec, err := r.decided(c, args, decision)
	if err != nil {
		return nil, err
	}
	rec.From = from
	if err := r.hold(rec); err != nil {
		return nil, err
	}
	r.inHand = r.planned - 1
	seq, err := r.cfg.Journal.AppendLazy("call", rec)
	if err != nil {
		return nil, err
	}
	if len(decision.Actions) == 0 {
		r.emit(story.Event{Kind: story.Unchanged, Call: c.Builtin.Name, Pos: c.Pos()})
	}
	var last action.Result
	for i, a := range decision.Actions {
		if last, err = r.perform(c, seq, i, a); err != nil {
			return nil, err
		}
	}
	if decision.Result != nil {
		return decision.Result, nil
	}
	return resultValue(last), nil
}

// decided checks a decision against the policy and makes its journal form.
func (r *Run) decided(c *script.Call, args json.RawMessage, decision script.Decision) (*callRecord, error) {
	rec := &callRecord{Builtin: c.Builtin.Name, Pos: c.Pos(), Args: args}
	for i, a := range decision.Actions {
		if err := r.policy.Judge(a.Touches(), r.resolve); err != nil {
			return nil, c.Errorf("%w", err)
		}
		if source, ok := a.(action.Reader); ok {
			if err := r.view().judgeTree(source.Source()); err != nil {
				return nil, c.Errorf("%w", err)
			}
		}
		if far, ok := a.(action.Connector); ok {
			if err := r.connectAll(far.Servers()); err != nil {
				return nil, c.Errorf("%w", err)
			}
		}
		if err := a.Stage(r.env(0, i, nil)); err != nil {
			return nil, c.Errorf("%w", err)
		}
		data, err := encodeAction(a)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		rec.Actions = append(rec.Actions, actionRecord{Kind: a.Kind(), Data: data})
	}
	if decision.Result != nil {
		encoded, err := script.Encode(decision.Result, r.secrets)
		if err != nil {
			return nil, c.Errorf("its result: %w", err)
		}
		if rec.Value, rec.Blob, err = r.seal(mustJSON(encoded)); err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// perform carries one action out: prepared, announced, journaled, applied, journaled.
func (r *Run) perform(c *script.Call, seq uint64, i int, a action.Action) (action.Result, error) {
	if r.stopping() {
		return action.Result{}, errInterrupted
	}
	env := r.env(seq, i, nil)
	var needed bool
	err := r.wait("prepare to "+a.Summary(), func() error {
		defer r.giveWay(a)()
		var err error
		needed, err = a.Prepare(env)
		return err
	})
	if err != nil {
		return action.Result{}, r.failed(seq, i, a, false, err)
	}
	if !needed {
		r.emit(story.Event{Kind: story.Unchanged, Call: c.Builtin.Name, Action: a.Kind(), Text: a.Summary(), Pos: c.Pos()})
		_, err := r.cfg.Journal.AppendLazy("skip", actionRecord{Call: seq, Index: i, Kind: a.Kind()})
		return action.Result{}, err
	}
	if err := r.holdFound(c, i, a); err != nil {
		return action.Result{}, err
	}
	if a.Irreversible() != "" && r.until == UntilNoReturn {
		return action.Result{}, &untilError{fmt.Sprintf("the point of no return (step %s: %s)", r.step.Name, a.Summary())}
	}
	r.estimate.action(a, r.limited(a))
	r.stoppedOne = r.stoppedOne || action.Stops(a)
	if err := r.announce(c, a, env); err != nil {
		return action.Result{}, err
	}
	data, err := encodeAction(a)
	if err != nil {
		return action.Result{}, err
	}
	if _, err := r.cfg.Journal.Append("intent", actionRecord{Call: seq, Index: i, Kind: a.Kind(), Data: data, Step: r.step.Name}); err != nil {
		return action.Result{}, err
	}
	r.changes(a)
	return r.apply(c.Builtin.Name, c.Pos(), seq, i, a, env)
}

// encodeAction is an action's journal form. It refuses an action that JSON would not keep to the byte:
// what is read back must be what was meant.
func encodeAction(a action.Action) (json.RawMessage, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(data, []byte(`\ufffd`)) && replaced.Match(data) {
		return nil, fmt.Errorf("%q: a name in it is not UTF-8, and the journal cannot keep it; rename it first", a.Summary())
	}
	return data, nil
}

// replaced finds what encoding/json writes for a byte that is not UTF-8. A character U+FFFD that is
// meant stands as itself.
var replaced = regexp.MustCompile(`(^|[^\\])(\\\\)*\\ufffd`)

// announce tells what will change, and the point of no return.
func (r *Run) announce(c *script.Call, a action.Action, env *action.Env) error {
	if reason := a.Irreversible(); reason != "" {
		text := fmt.Sprintf("step %s: %s: %s", r.step.Name, a.Summary(), reason)
		if r.verdict.NoReturn == "" {
			r.verdict.NoReturn = text
		}
		r.upgraded = r.upgraded || changesDatabase(a)
		r.emit(story.Event{Kind: story.NoReturn, Action: a.Kind(), Text: text})
		if _, err := r.cfg.Journal.AppendLazy("no-return", noReturnRecord{Text: text}); err != nil {
			return err
		}
	}
	if err := r.warnOfNoLimit(a); err != nil {
		return err
	}
	detail, err := r.detail(a, env)
	if err != nil {
		return err
	}
	r.emit(story.Event{Kind: story.ChangeBegin, Call: c.Builtin.Name, Action: a.Kind(), Text: a.Summary(), Pos: c.Pos(), Detail: detail})
	return nil
}

// detail is what exactly an action will change; nil where its summary says it all.
func (r *Run) detail(a action.Action, env *action.Env) (*action.Detail, error) {
	d, ok := a.(action.Detailer)
	if !ok {
		return nil, nil
	}
	var detail action.Detail
	err := r.wait("look through "+a.Summary(), func() error {
		var err error
		detail, err = d.Detail(env)
		return err
	})
	return &detail, err
}

func (r *Run) apply(builtin, pos string, seq uint64, i int, a action.Action, env *action.Env) (action.Result, error) {
	start := r.cfg.Now()
	result, err := r.applyAndTell(a, env)
	r.tellUnpredicted()
	if errors.Is(err, action.ErrStopped) {
		return result, errInterrupted
	}
	if err != nil {
		return result, r.failed(seq, i, a, r.tellSpared(a, env), err)
	}
	r.verdict.Changes++
	ended := story.Event{Kind: story.ChangeEnd, Call: builtin, Action: a.Kind(), Text: result.Summary, Pos: pos, Elapsed: r.cfg.Now().Sub(start)}
	if len(result.Lines) > 0 {
		ended.Detail = &action.Detail{Lines: result.Lines}
	}
	r.emit(ended)
	_, err = r.cfg.Journal.AppendLazy("done", actionRecord{Call: seq, Index: i, Kind: a.Kind(), Result: &result})
	return result, err
}

// applyAndTell applies an action, and tells each second that it goes on.
func (r *Run) applyAndTell(a action.Action, env *action.Env) (result action.Result, err error) {
	err = r.wait(a.Summary(), func() error {
		defer r.giveWay(a)()
		var err error
		result, err = a.Apply(env)
		return err
	})
	r.noteBroken(a, err)
	return result, err
}

// noteBroken notes what was in hand when the run was told to break off.
func (r *Run) noteBroken(a action.Action, err error) {
	if err != nil && r.ctx.Err() != nil {
		r.broken = a.Summary() + " was broken off: " + action.BrokenOff(a)
	}
}

func (r *Run) failed(seq uint64, i int, a action.Action, spared bool, cause error) error {
	_, err := r.cfg.Journal.Append("failed", actionRecord{Call: seq, Index: i, Kind: a.Kind(), Spared: spared, Error: r.secrets.mask(cause.Error())})
	if err != nil {
		return fmt.Errorf("%w (and the journal could not be written: %w)", cause, err)
	}
	return cause
}

// resumeCall brings a call of the interrupted run to its end.
func (r *Run) resumeCall(c *script.Call, past *callRecord) (starlark.Value, error) {
	r.inHand = r.planned - len(r.replay.calls) + r.replay.at - 1
	var last action.Result
	for i := range past.Actions {
		var err error
		if last, err = r.resumeAction(c, past, i); err != nil {
			return nil, err
		}
	}
	if len(past.Value) > 0 || past.Blob != nil {
		return r.replayRead(past)
	}
	return resultValue(last), nil
}

func (r *Run) resumeAction(c *script.Call, past *callRecord, i int) (action.Result, error) {
	rec := past.Actions[i]
	switch state := past.state(i); {
	case state.done != nil:
		a, err := action.Decode(rec.Kind, rec.Data)
		if err != nil {
			return action.Result{}, err
		}
		r.emit(story.Event{Kind: story.Replayed, Call: c.Builtin.Name, Action: rec.Kind, Text: a.Summary(), Pos: c.Pos()})
		return *state.done, nil
	case state.skipped:
		return action.Result{}, nil
	case state.intent != nil:
		a, err := action.Decode(rec.Kind, state.intent.Data)
		if err != nil {
			return action.Result{}, err
		}
		r.emit(story.Event{Kind: story.ChangeBegin, Call: c.Builtin.Name, Action: rec.Kind, Text: a.Summary() + " (begun before; brought to its end)", Pos: c.Pos()})
		return r.apply(c.Builtin.Name, c.Pos(), past.seq, i, a, r.env(past.seq, i, state.marks))
	}
	a, err := action.Decode(rec.Kind, rec.Data)
	if err != nil {
		return action.Result{}, err
	}
	return r.perform(c, past.seq, i, a)
}

func (r *Run) env(seq uint64, i int, marks []json.RawMessage) *action.Env {
	limit := r.limiter
	if r.stoppedOne {
		limit = nil
	}
	return &action.Env{
		Limit: limit, Ctx: r.ctx, Host: r.cfg.Host, Store: r.store, Secrets: r.secrets, Hide: r.secrets.mask,
		Tag:      fmt.Sprintf("%s-%d-%d", r.cfg.ID, seq, i),
		Progress: r.progress,
		Mark: func(v any) error {
			data, err := json.Marshal(v)
			if err != nil {
				return err
			}
			_, err = r.cfg.Journal.Append("mark", actionRecord{Call: seq, Index: i, Data: data})
			return err
		},
		Marks: marks, Stop: r.cfg.Stop, Trust: r.Trust, TrustAlone: r.trustAlone, Guards: r.guards, Kill: r.cfg.KillGuarded,
		Upgraded: r.upgraded, Restored: r.restored, Data: r.data, InPlace: r.inPlace, Logs: r.logs,
	}
}

// resultValue is an action's result as the runbook sees it.
func resultValue(result action.Result) starlark.Value {
	if len(result.Values) == 0 {
		return starlark.None
	}
	return script.NewRecord(plain(result.Values))
}

// plain undoes what a way through JSON did to numbers and lists.
func plain(values map[string]any) map[string]any {
	fixed := make(map[string]any, len(values))
	for k, v := range values {
		if f, ok := v.(float64); ok {
			v = int64(f)
		}
		fixed[k] = v
	}
	return fixed
}

func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // encodeValue only makes what JSON can hold
	}
	return data
}

func (r *Run) encodeArgs(c *script.Call) (json.RawMessage, error) {
	encoded := map[string]any{}
	for name, v := range c.Args() {
		e, err := script.Encode(v, r.secrets)
		if err != nil {
			return nil, c.Errorf("argument %s: %w", name, err)
		}
		encoded[name] = e
		if data := mustJSON(e); len(data) > maxInline || r.secrets.within(data) {
			encoded[name] = sealedArg{SHA256: digestJSON(data), Bytes: len(data)}
		}
	}
	return mustJSON(encoded), nil
}

// sealedArg stands for an argument that is too large for the journal, or in which a secret stands. There
// arguments are kept to be compared only: what an action needs of them is in the store.
type sealedArg struct {
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
}
