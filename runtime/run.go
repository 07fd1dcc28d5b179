// Package runtime runs a runbook: it loads and bounds the script, carries out what the script asks
// for as journaled actions, resumes and rolls back.
//
// A runbook calls builtins. A builtin of effect Read looks at the host and its result is journaled;
// one of effect Change decides a list of actions, and the runtime carries them out one by one:
// policy, Prepare (undo information), journal (durable), Apply, journal. A run that was cut short
// is resumed by running the unfinished step again and answering its calls from the journal until
// the journal ends; steps that ended are not run again. Nothing here knows whether the host is
// real.
package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/policy"
)

// Run is one execution of a runbook on a host.
type Run struct {
	cfg     Config
	ctx     context.Context
	rb      *Runbook
	policy  policy.Policy
	params  map[string]starlark.Value
	results map[string]starlark.Value // of steps that ended
	store   *action.Store
	secrets *masker
	replay  *replay

	started     time.Time
	step        *Step
	readOnly    bool // check and verify change nothing
	inhibited   bool
	verdict     Verdict
	unpredicted int
	kept        []string // what a rollback leaves on purpose
	beyond      bool     // rollback of a run that passed its point of no return
	planned     int      // calls compared with the plan so far

	past      *history   // rollback: the run's
	restoring *restoring // rollback: the database is to be restored
	advice    string     // rollback: what the database needs
	refused   bool       // nothing was begun, and the journal is not to say otherwise

	doneBefore   bool // the run that is to be resumed ended in success
	undoneBefore bool // the run that is to be rolled back was rolled back
}

var (
	errInhibited   = errors.New("the preflight found inhibitors")
	errInterrupted = errors.New("interrupted")
	errDiverged    = errors.New("the runbook now asks for something else than what the journal holds")
)

// Execute carries a runbook out on a host, journals it, and returns the verdict, which it has also
// emitted as the last event. With Config.Previous it resumes. ctx ends the action in hand hard.
func Execute(ctx context.Context, cfg Config) Verdict {
	r := newRun(ctx, cfg)
	err := r.execute()
	return r.close(err)
}

func newRun(ctx context.Context, cfg Config) *Run {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Emit == nil {
		cfg.Emit = func(Event) {}
	}
	return &Run{
		cfg: cfg, ctx: ctx, rb: cfg.Runbook,
		policy:  merge(cfg.Runbook.Policy, policy.Policy{}),
		results: map[string]starlark.Value{},
		store:   &action.Store{Host: cfg.Host, Dir: cfg.Dir + "/backup"},
		secrets: newMasker(cfg.Keeper),
		replay:  &replay{},
		started: cfg.Now(),
	}
}

func (r *Run) execute() error {
	var err error
	if r.params, err = r.rb.CheckParams(r.cfg.Params, r.cfg.Secrets); err != nil {
		return err
	}
	for _, v := range r.params {
		if s, ok := v.(SecretValue); ok {
			if _, err := r.secrets.Put(s.Secret); err != nil {
				return err
			}
		}
	}
	past, err := readHistory(r.cfg.Previous)
	if err != nil {
		return r.refuse(err)
	}
	if err := past.refuseResume(); err != nil {
		return r.refuse(err)
	}
	if r.doneBefore = past.succeeded(); r.doneBefore {
		return nil
	}
	if err := r.begin(past); err != nil {
		return err
	}
	if err := r.fits(); err != nil {
		return err
	}
	if r.cfg.Plan != nil {
		if err := r.cfg.Plan.Check(r.cfg); err != nil {
			return err
		}
	}
	if err := r.settle(past); err != nil {
		return err
	}
	if err := r.steps(past); err != nil {
		return err
	}
	return r.planCarriedOut()
}

// settle undoes what the unfinished step did if the runbook, mended since, does not go on with that
// step: it was taken out or renamed, or another step now stands before it. Otherwise its half would
// stay on the host, with nobody to bring it to its end.
func (r *Run) settle(past *history) error {
	if past.open == nil {
		return nil
	}
	name := past.open.name
	if next := r.nextStep(past); next != nil && next.Name == name {
		return nil
	}
	r.emit(Event{Kind: Output, Text: fmt.Sprintf("the runbook does not go on with the unfinished step %s: what it had done is undone", name)})
	if err := r.undoStep(name, past.actionsOf(name)); err != nil {
		return err
	}
	r.planned -= past.calls[name]
	past.open = nil
	_, err := r.cfg.Journal.Append("step-undone", stepRecord{Name: name})
	return err
}

// nextStep is the step that the runbook goes on with; nil if none is left.
func (r *Run) nextStep(past *history) *Step {
	finished := false
	for _, step := range r.rb.All() {
		done, ok := past.steps[step.Name]
		switch {
		case ok:
			finished = done.Finished != ""
		case !finished || step == r.rb.Verify:
			return step
		}
	}
	return nil
}

// begin announces the run, and journals it if it is new.
func (r *Run) begin(past *history) error {
	info, err := r.info()
	if err != nil {
		return err
	}
	r.emit(Event{Kind: RunBegin, Run: info})
	if past.begun {
		for _, g := range past.grants {
			if err := r.policy.Grant(policy.Path, g.Path); err != nil {
				return err
			}
		}
		for _, f := range past.findings {
			r.count(f)
		}
		r.verdict.NoReturn = past.noReturn
		for _, n := range past.calls {
			r.planned += n
		}
		_, err = r.cfg.Journal.Append("resume", info)
		return err
	}
	_, err = r.cfg.Journal.Append("run", info)
	return err
}

func (r *Run) info() (*RunInfo, error) {
	facts, err := r.cfg.Host.Facts()
	if err != nil {
		return nil, fmt.Errorf("the host's facts: %w", err)
	}
	params := map[string]string{}
	for _, p := range r.rb.Params {
		switch v := r.params[p.Name].(type) {
		case nil, starlark.NoneType:
		case starlark.String:
			params[p.Name] = string(v)
		case SecretValue:
			if !v.Secret.Empty() {
				params[p.Name] = v.String()
			}
		default:
			params[p.Name] = v.String()
		}
	}
	return &RunInfo{
		ID: r.cfg.ID, Mode: r.cfg.Mode, Runbook: r.rb.Name, Doc: firstLine(r.rb.Doc),
		Host:   fmt.Sprintf("%s (%s)", facts.Hostname, r.cfg.HostLabel),
		System: facts.OSRelease["PRETTY_NAME"], Steps: stepNames(r.rb.All()), Params: params,
		Dir: r.cfg.Dir, Version: r.cfg.Version, MachineID: facts.MachineID,
	}, nil
}

// fits refuses a host that the runbook is not for.
func (r *Run) fits() error {
	facts, err := r.cfg.Host.Facts()
	if err != nil {
		return err
	}
	if len(r.rb.Systems) == 0 {
		return nil
	}
	for _, spec := range r.rb.Systems {
		ok, err := MatchSystem(facts, spec)
		if err != nil {
			return fmt.Errorf("%s: %w", r.rb.Name, err)
		}
		if ok {
			return nil
		}
	}
	f := Finding{
		Severity: Inhibitor, Title: "the runbook is not for this system",
		Reason: fmt.Sprintf("it is for %v; this host is %s", r.rb.Systems, facts.OSRelease["PRETTY_NAME"]),
		Remedy: "choose another runbook, or fork this one and test it in a simulation",
	}
	r.count(f)
	r.emit(Event{Kind: FindingFound, Finding: &f})
	return errInhibited
}

// steps runs check, the steps, and verify.
func (r *Run) steps(past *history) error {
	all := r.rb.All()
	finished := ""
	for i, step := range all {
		if r.cfg.Mode == "check" && step != r.rb.Check && finished == "" {
			break
		}
		if finished != "" && step != r.rb.Verify {
			r.emit(Event{Kind: StepSkipped, Step: step.Name, Text: finished})
			continue
		}
		if done, ok := past.steps[step.Name]; ok {
			v, err := r.unseal(done.Result, done.Blob)
			if err != nil {
				return fmt.Errorf("journal: result of step %s: %w", step.Name, err)
			}
			r.results[step.Name] = v
			finished = done.Finished
			r.emit(Event{Kind: StepSkipped, Step: step.Name, Text: "done before"})
			continue
		}
		reason, err := r.runStep(step, i+1, len(all), past)
		if err != nil {
			return err
		}
		if reason != "" {
			finished = reason
		}
	}
	return nil
}

// runStep runs one step; finished is set if it ended the run in success.
func (r *Run) runStep(step *Step, index, count int, past *history) (finished string, err error) {
	r.step, r.readOnly = step, step == r.rb.Check || step == r.rb.Verify
	start := r.cfg.Now()
	r.emit(Event{Kind: StepBegin, Doc: firstLine(step.Doc), Index: index, Count: count})
	r.replay = &replay{}
	if past.open != nil && past.open.name == step.Name {
		r.replay = past.open
	} else if _, err := r.cfg.Journal.AppendLazy("step", stepRecord{Name: step.Name}); err != nil {
		return "", err
	}
	value, err := r.callAgain(step)
	var finish *finishError
	if errors.As(err, &finish) {
		finished, value, err = finish.reason, starlark.None, nil
		r.emit(Event{Kind: Output, Text: finish.reason})
	}
	if err != nil {
		return "", err
	}
	if r.inhibited {
		return "", errInhibited
	}
	r.results[step.Name] = value
	encoded, err := encodeValue(value, r.secrets)
	if err != nil {
		return "", fmt.Errorf("step %s: its result: %w", step.Name, err)
	}
	result, blob, err := r.seal(mustJSON(encoded))
	if err != nil {
		return "", err
	}
	if _, err := r.cfg.Journal.Append("step-done", stepRecord{Name: step.Name, Result: result, Blob: blob, Finished: finished}); err != nil {
		return "", err
	}
	r.emit(Event{Kind: StepEnd, Elapsed: r.cfg.Now().Sub(start)})
	return finished, nil
}

// callAgain evaluates the step's function, from its begin if it cannot go on where it was.
func (r *Run) callAgain(step *Step) (starlark.Value, error) {
	err := errDiverged
	var value starlark.Value
	if !r.replay.undoing {
		value, err = r.call(step)
	}
	if !errors.Is(err, errDiverged) {
		return value, err
	}
	if err := r.restart(step); err != nil {
		return nil, err
	}
	return r.call(step)
}

// call evaluates the step's function.
func (r *Run) call(step *Step) (starlark.Value, error) {
	thread := &starlark.Thread{Name: step.Name, Print: func(t *starlark.Thread, msg string) {
		r.emit(Event{Kind: Output, Text: msg, Pos: t.CallFrame(1).Pos.String()})
	}}
	thread.SetLocal(runKey, r)
	settle := r.rb.budget.arm(r.ctx, thread)
	defer settle()
	var kwargs []starlark.Tuple
	names, _ := step.needs()
	for _, name := range names {
		v, ok := r.params[name]
		if !ok {
			v, ok = r.results[name]
		}
		if !ok {
			continue // checkSteps made sure that it has a default
		}
		if v == nil {
			v = starlark.None
		}
		v.Freeze()
		kwargs = append(kwargs, starlark.Tuple{starlark.String(name), v})
	}
	value, err := starlark.Call(thread, step.fn, nil, kwargs)
	if err != nil {
		return nil, &ScriptError{Err: err, Sources: r.rb.sources, names: r.rb.names}
	}
	return value, nil
}

// restart undoes what the unfinished step did before and lets it begin anew: its runbook was mended,
// or the host answers otherwise than it did.
func (r *Run) restart(step *Step) error {
	r.emit(Event{Kind: Output, Text: fmt.Sprintf("step %s asks for something else than before: what it had done is undone, and it begins again", step.Name)})
	if err := r.undoStep(step.Name, r.replay.intents()); err != nil {
		return err
	}
	r.planned -= len(r.replay.calls)
	r.replay = &replay{}
	_, err := r.cfg.Journal.Append("restart", stepRecord{Name: step.Name})
	return err
}

// undoStep undoes what the unfinished step had done, and says so beforehand: once that has begun, the
// step's calls can no longer be answered from the journal.
func (r *Run) undoStep(name string, actions []*pastAction) error {
	if _, err := r.cfg.Journal.Append("step-undo", stepRecord{Name: name}); err != nil {
		return err
	}
	return r.undo(actions)
}

// carryOut is where every call of a Read or Change builtin arrives.
func (r *Run) carryOut(c *Call) (starlark.Value, error) {
	if c.Builtin.Effect == Read {
		return r.read(c)
	}
	return r.change(c)
}

func (r *Run) read(c *Call) (starlark.Value, error) {
	args, err := c.encodeArgs(r.secrets)
	if err != nil {
		return nil, err
	}
	if past, err := r.replay.next(c.Builtin.Name, args); past != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return r.replayRead(past)
	}
	value, err := nonNil(c.Builtin.Value(c))
	r.tellUnpredicted()
	if err != nil {
		return nil, err
	}
	encoded, err := encodeValue(value, r.secrets)
	if err != nil {
		return nil, c.Errorf("its result: %w", err)
	}
	result, blob, err := r.seal(mustJSON(encoded))
	if err != nil {
		return nil, err
	}
	rec := &callRecord{Builtin: c.Builtin.Name, Pos: c.pos(), Args: args, Value: result, Blob: blob}
	if err := r.hold(rec); err != nil {
		return nil, err
	}
	_, err = r.cfg.Journal.AppendLazy("read", rec)
	return value, err
}

// maxInline is the size above which a read's result is kept in the store instead of the journal.
const maxInline = 16 << 10

// seal keeps a large result, and one in which a secret stands, out of the journal.
func (r *Run) seal(data json.RawMessage) (json.RawMessage, *action.Blob, error) {
	if len(data) <= maxInline && !r.secrets.within(data) {
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
	return decodeValue(data, r.secrets)
}

func (r *Run) change(c *Call) (starlark.Value, error) {
	if r.readOnly {
		return nil, c.Errorf("step %s may not change anything: it is the runbook's check or verify", r.step.Name)
	}
	if r.inhibited {
		return nil, errInhibited
	}
	args, err := c.encodeArgs(r.secrets)
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
	plan, err := c.Builtin.Plan(c)
	if err != nil {
		return nil, err
	}
	rec, err := r.decided(c, args, plan)
	if err != nil {
		return nil, err
	}
	if err := r.hold(rec); err != nil {
		return nil, err
	}
	seq, err := r.cfg.Journal.AppendLazy("call", rec)
	if err != nil {
		return nil, err
	}
	if len(plan.Actions) == 0 {
		r.emit(Event{Kind: Unchanged, Call: c.Builtin.Name, Pos: c.pos()})
	}
	var last action.Result
	for i, a := range plan.Actions {
		if last, err = r.perform(c, seq, i, a); err != nil {
			return nil, err
		}
	}
	if plan.Result != nil {
		return plan.Result, nil
	}
	return resultValue(last), nil
}

// decided checks a plan against the policy and makes its journal form.
func (r *Run) decided(c *Call, args json.RawMessage, plan Plan) (*callRecord, error) {
	rec := &callRecord{Builtin: c.Builtin.Name, Pos: c.pos(), Args: args}
	for i, a := range plan.Actions {
		if err := r.policy.Check(a.Touches()); err != nil {
			return nil, c.Errorf("%w", err)
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
	if plan.Result != nil {
		encoded, err := encodeValue(plan.Result, r.secrets)
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
func (r *Run) perform(c *Call, seq uint64, i int, a action.Action) (action.Result, error) {
	if r.stopping() {
		return action.Result{}, errInterrupted
	}
	env := r.env(seq, i, nil)
	needed, err := a.Prepare(env)
	if err != nil {
		return action.Result{}, r.failed(seq, i, a, err)
	}
	if !needed {
		r.emit(Event{Kind: Unchanged, Call: c.Builtin.Name, Action: a.Kind(), Text: a.Summary(), Pos: c.pos()})
		_, err := r.cfg.Journal.AppendLazy("skip", actionRecord{Call: seq, Index: i, Kind: a.Kind()})
		return action.Result{}, err
	}
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
	return r.apply(c.Builtin.Name, c.pos(), seq, i, a, env)
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
func (r *Run) announce(c *Call, a action.Action, env *action.Env) error {
	if reason := a.Irreversible(); reason != "" {
		text := fmt.Sprintf("step %s: %s: %s", r.step.Name, a.Summary(), reason)
		if r.verdict.NoReturn == "" {
			r.verdict.NoReturn = text
		}
		r.emit(Event{Kind: NoReturn, Action: a.Kind(), Text: text})
		if _, err := r.cfg.Journal.AppendLazy("no-return", noReturnRecord{Text: text}); err != nil {
			return err
		}
	}
	event := Event{Kind: ChangeBegin, Call: c.Builtin.Name, Action: a.Kind(), Text: a.Summary(), Pos: c.pos()}
	if d, ok := a.(action.Detailer); ok {
		detail, err := d.Detail(env)
		if err != nil {
			return err
		}
		event.Detail = &detail
	}
	r.emit(event)
	return nil
}

func (r *Run) apply(builtin, pos string, seq uint64, i int, a action.Action, env *action.Env) (action.Result, error) {
	start := r.cfg.Now()
	result, err := a.Apply(env)
	r.tellUnpredicted()
	if err != nil {
		return result, r.failed(seq, i, a, err)
	}
	r.verdict.Changes++
	r.emit(Event{Kind: ChangeEnd, Call: builtin, Action: a.Kind(), Text: result.Summary, Pos: pos, Elapsed: r.cfg.Now().Sub(start)})
	_, err = r.cfg.Journal.AppendLazy("done", actionRecord{Call: seq, Index: i, Kind: a.Kind(), Result: &result})
	return result, err
}

func (r *Run) failed(seq uint64, i int, a action.Action, cause error) error {
	_, err := r.cfg.Journal.Append("failed", actionRecord{Call: seq, Index: i, Kind: a.Kind(), Error: r.secrets.mask(cause.Error())})
	if err != nil {
		return fmt.Errorf("%w (and the journal could not be written: %w)", cause, err)
	}
	return cause
}

// resumeCall brings a call of the interrupted run to its end.
func (r *Run) resumeCall(c *Call, past *callRecord) (starlark.Value, error) {
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

func (r *Run) resumeAction(c *Call, past *callRecord, i int) (action.Result, error) {
	rec := past.Actions[i]
	switch state := past.state(i); {
	case state.done != nil:
		a, err := action.Decode(rec.Kind, rec.Data)
		if err != nil {
			return action.Result{}, err
		}
		r.emit(Event{Kind: Replayed, Call: c.Builtin.Name, Action: rec.Kind, Text: a.Summary(), Pos: c.pos()})
		return *state.done, nil
	case state.skipped:
		return action.Result{}, nil
	case state.intent != nil:
		a, err := action.Decode(rec.Kind, state.intent.Data)
		if err != nil {
			return action.Result{}, err
		}
		r.emit(Event{Kind: ChangeBegin, Call: c.Builtin.Name, Action: rec.Kind, Text: a.Summary() + " (begun before; brought to its end)", Pos: c.pos()})
		return r.apply(c.Builtin.Name, c.pos(), past.seq, i, a, r.env(past.seq, i, state.marks))
	}
	a, err := action.Decode(rec.Kind, rec.Data)
	if err != nil {
		return action.Result{}, err
	}
	return r.perform(c, past.seq, i, a)
}

func (r *Run) env(seq uint64, i int, marks []json.RawMessage) *action.Env {
	return &action.Env{
		Ctx: r.ctx, Host: r.cfg.Host, Store: r.store, Secrets: r.secrets,
		Tag:      fmt.Sprintf("%s-%d-%d", r.cfg.ID, seq, i),
		Progress: func(p action.Progress) { r.emit(Event{Kind: ProgressMade, Progress: &p}) },
		Mark: func(v any) error {
			data, err := json.Marshal(v)
			if err != nil {
				return err
			}
			_, err = r.cfg.Journal.Append("mark", actionRecord{Call: seq, Index: i, Data: data})
			return err
		},
		Marks: marks,
	}
}

func (r *Run) stopping() bool {
	select {
	case <-r.cfg.Stop:
		return true
	case <-r.ctx.Done():
		return true
	default:
		return false
	}
}

// find records a finding.
func (r *Run) find(c *Call, f Finding) error {
	f.Step, f.Pos = r.step.Name, c.pos()
	f.Title, f.Reason, f.Remedy = r.secrets.mask(f.Title), r.secrets.mask(f.Reason), r.secrets.mask(f.Remedy)
	r.count(f)
	r.emit(Event{Kind: FindingFound, Finding: &f})
	_, err := r.cfg.Journal.AppendLazy("finding", f)
	return err
}

func (r *Run) count(f Finding) {
	switch f.Severity {
	case Info:
		r.verdict.Infos++
	case Warning:
		r.verdict.Warnings++
	case Inhibitor:
		r.verdict.Inhibitors++
		r.inhibited = true
	}
}

func (r *Run) grant(path, why, pos string) error {
	if err := r.policy.Grant(policy.Path, path); err != nil {
		return err
	}
	r.emit(Event{Kind: Granted, Text: fmt.Sprintf("%s: %s", path, why), Pos: pos})
	_, err := r.cfg.Journal.AppendLazy("grant", grantRecord{Path: path, Why: why})
	return err
}

// tellUnpredicted emits what the host could not know since the last time.
func (r *Run) tellUnpredicted() {
	all := r.cfg.Host.Unpredicted()
	for ; r.unpredicted < len(all); r.unpredicted++ {
		u := all[r.unpredicted]
		r.emit(Event{Kind: UnpredictedIs, Unpredicted: &u})
	}
}

// emit stamps and masks an event.
func (r *Run) emit(e Event) {
	e.Time = r.cfg.Now()
	if e.Step == "" && r.step != nil {
		e.Step = r.step.Name
	}
	e.Text = r.secrets.mask(e.Text)
	if e.Detail != nil {
		detail := *e.Detail
		detail.Diff = r.secrets.maskDiff(detail.Diff)
		e.Detail = &detail
	}
	r.cfg.Emit(e)
}

// resultValue is an action's result as the runbook sees it.
func resultValue(result action.Result) starlark.Value {
	if len(result.Values) == 0 {
		return starlark.None
	}
	return NewRecord(plain(result.Values))
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

func (c *Call) encodeArgs(secrets *masker) (json.RawMessage, error) {
	encoded := map[string]any{}
	for name, v := range c.args {
		e, err := encodeValue(v, secrets)
		if err != nil {
			return nil, c.Errorf("argument %s: %w", name, err)
		}
		encoded[name] = e
		if data := mustJSON(e); len(data) > maxInline || secrets.within(data) {
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
