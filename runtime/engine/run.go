// Package engine runs a runbook: it carries out what the script asks for as journaled actions, resumes
// and rolls back.
//
// A runbook calls builtins. A builtin of effect Read looks at the host and its result is journaled;
// one of effect Change decides a list of actions, and the engine carries them out one by one:
// policy, Prepare (undo information), journal (durable), Apply, journal. A run that was cut short
// is resumed by running the unfinished step again and answering its calls from the journal until
// the journal ends; steps that ended are not run again. Nothing here knows whether the host is
// real.
package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// Run is one execution of a runbook on a host.
type Run struct {
	cfg     Config
	memory  *memory // of what was journaled
	ctx     context.Context
	rb      *runbook.Runbook
	policy  policy.Policy
	params  map[string]starlark.Value
	results map[string]starlark.Value // of steps that ended
	store   *action.Store
	secrets *masker
	replay  *replay
	guards  []action.Guard          // of the runbook, or of the run that is undone
	logs    map[string]host.LogMark // see action.Env

	started     time.Time
	spent       time.Duration // by earlier processes of the run, or of its rollback
	back        bool          // it is a rollback
	step        *runbook.Step
	readOnly    bool // check and verify change nothing
	inhibited   bool
	distrusted  map[string]bool // what Trust has told
	met         map[string]bool // keys of Config.Overrides that a finding had
	verdict     story.Verdict
	unpredicted int
	toldBack    []string  // what undone actions have told, each once
	kept        []string  // what a rollback leaves on purpose
	keptLogs    []string  // directories with logs of services that the run had started, which a rollback leaves
	brought     []brought // by transactions that a rollback undoes
	beyond      bool      // rollback of a run that passed its point of no return
	until       string    // the step before which it stops, or UntilNoReturn
	planned     int       // calls compared with the plan so far
	inHand      int       // the call in hand, as the plan counts them

	estimate  estimate
	ended     map[string]time.Duration // steps that ended, for the forecast
	telling   sync.Mutex               // Config.Emit is called by one at a time
	waitsLock sync.Mutex
	waits     *waiting // the innermost wait in hand
	broken    string   // what was broken off, and what that means

	connections connections

	past       *history                                   // rollback: the run's
	restoring  *restoring                                 // rollback: the database is to be restored
	part       string                                     // rollback: the step that it goes back to, empty for all of the run
	refused    bool                                       // nothing was begun, and the journal is not to say otherwise
	stoppedOne bool                                       // a service: from then on nothing is held back
	limiter    func(ctx context.Context, bytes int) error // of what is held back; nil for none
	upgraded   bool                                       // a database is changed for good, and not restored
	restored   *action.Restored                           // what a database holds that was restored; nil if none was
	data       []string                                   // directories that the run made others keep data in
	inPlace    []string                                   // where others have their data, and had it before

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
func Execute(ctx context.Context, cfg Config) story.Verdict {
	r := newRun(ctx, cfg)
	err := r.execute()
	return r.close(err)
}

func newRun(ctx context.Context, cfg Config) *Run {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Emit == nil {
		cfg.Emit = func(story.Event) {}
	}
	var m *memory
	if cfg.Journal != nil {
		m = &memory{Writer: cfg.Journal}
		cfg.Journal = m
	}
	if cfg.Results == nil {
		cfg.Results = map[string]starlark.Value{}
	}
	return &Run{
		logs: map[string]host.LogMark{}, connections: connections{told: map[string]bool{}, tried: map[string]bool{}},
		cfg: cfg, memory: m, ctx: ctx, rb: cfg.Runbook,
		policy:  cfg.Runbook.Policy.With(policy.Policy{State: stateOf(cfg.Dir)}),
		guards:  cfg.Runbook.Guards,
		results: cfg.Results,
		met:     map[string]bool{}, distrusted: map[string]bool{},
		store:   &action.Store{Host: cfg.Host, Dir: cfg.Dir + "/backup"},
		secrets: newMasker(cfg.Keeper, cfg.Runbook.Words),
		replay:  &replay{},
		started: cfg.Now(),
	}
}

func (r *Run) execute() error {
	if r.memory != nil {
		r.memory.room = func() error { return r.store.Room(r.cfg.Dir, 0) }
	}
	var err error
	if r.params, err = r.rb.CheckParams(r.cfg.Params, r.cfg.Secrets); err != nil {
		return err
	}
	for _, v := range r.params {
		if s, ok := v.(script.SecretValue); ok {
			if _, err := r.secrets.Put(s.Secret); err != nil {
				return err
			}
		}
	}
	past, err := readHistory(r.cfg.Previous)
	if err != nil {
		return r.refuse(err)
	}
	if err := r.refuseResume(past); err != nil {
		return r.refuse(err)
	}
	if r.doneBefore = past.succeeded(); r.doneBefore {
		return nil
	}
	if err := r.stopAt(past); err != nil {
		return r.refuse(err)
	}
	if err := r.learn(past); err != nil {
		return r.refuse(err)
	}
	if err := r.beginLimit(past); err != nil {
		return r.refuse(err)
	}
	if err := r.begin(past); err != nil {
		return err
	}
	if err := r.fits(past); err != nil {
		return err
	}
	if r.cfg.Plan != nil {
		if err := r.cfg.Plan.Check(r.cfg); err != nil {
			return err
		}
	}
	if err := r.keepServices(past, false); err != nil {
		return err
	}
	if err := r.settle(past); err != nil {
		return err
	}
	if err := r.steps(past); err != nil {
		return err
	}
	return r.planCarriedOut()
}

// refuseResume refuses to go on with a run that is, or was, on its way back. One that ended in success
// is told so, and one that was cut short before its first change can begin.
func (r *Run) refuseResume(past *history) error {
	s := r.named(past.standing())
	if past.succeeded() || s.Phase == ways.Untouched {
		return nil
	}
	return s.Resume()
}

// settle undoes what the unfinished step did if the runbook, fixed since, does not go on with that
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
	if slices.ContainsFunc(r.rb.Checks, func(s *runbook.Step) bool { return s.Name == name }) {
		r.planned -= r.held(past.calls[name], name)
		past.open = nil // the preflight begins again, with its first step, and had changed nothing
		return nil
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("the runbook does not go on with the unfinished step %s: what it had done is undone", name)})
	if err := r.undoStep(name, past.actionsOf(name)); err != nil {
		return err
	}
	r.planned -= r.held(past.calls[name], name)
	past.open = nil
	_, err := r.cfg.Journal.Append("step-undone", stepRecord{Name: name})
	return err
}

// nextStep is the step that the runbook goes on with; nil if none is left.
func (r *Run) nextStep(past *history) *runbook.Step {
	finished := false
	for _, step := range r.rb.All() {
		done, ok := past.steps[step.Name]
		switch {
		case ok:
			finished = done.Finished != ""
		case !finished || r.rb.IsClosing(step):
			return step
		}
	}
	return nil
}

// stateOf is what of the state no runbook may reach, by the run's directory in it.
func stateOf(dir string) []string {
	if runs := path.Dir(dir); path.Base(runs) == "runs" {
		return []string{path.Dir(runs)}
	}
	return []string{dir}
}

// view is the host as the runbook reads it.
func (r *Run) view() reach { return reach{r.cfg.Host, r.policy.State, r} }

// resolve follows the symlinks of a path, the one of its last name included or not.
func (r *Run) resolve(name string, last bool) (string, error) {
	if last {
		return action.Resolve(r.cfg.Host, name)
	}
	dir, err := action.Resolve(r.cfg.Host, path.Dir(name))
	return path.Join(dir, path.Base(name)), err
}

// allowPlaces allows the run where the symlinks lead that its policy names. They are journaled: for a run that is
// resumed they are what they were, whatever it has linked since.
func (r *Run) allowPlaces() error {
	places := r.policy.Places(r.resolve)
	for _, entry := range slices.Sorted(maps.Keys(places)) {
		if err := r.policy.Grant(policy.Path, places[entry]); err != nil {
			return err
		}
		if _, err := r.cfg.Journal.AppendLazy("grant", grantRecord{Path: places[entry], Why: "where " + entry + " leads"}); err != nil {
			return err
		}
	}
	return nil
}

// begin announces the run, and journals it if it is new.
func (r *Run) begin(past *history) error {
	if err := r.grantAgain(past); err != nil {
		return err
	}
	info, err := r.info()
	if err != nil {
		return err
	}
	r.emit(story.Event{Kind: story.RunBegin, Run: info})
	if past.begun {
		for _, f := range past.findings {
			r.count(f)
		}
		r.verdict.NoReturn, r.verdict.Changes = past.noReturn, past.changes()
		if !past.rollback {
			r.spent = past.spent.before()
		}
		for name := range past.calls {
			r.planned += r.held(past.calls[name], name)
		}
		_, err = r.cfg.Journal.Append("resume", info)
		return err
	}
	if _, err = r.cfg.Journal.Append("run", info); err != nil {
		return err
	}
	r.tellForecast()
	return r.allowPlaces()
}

// grantAgain brings back what a run that is resumed was allowed on its way.
func (r *Run) grantAgain(past *history) error {
	for _, g := range past.grants {
		err := r.policy.Grant(g.class(), g.Path)
		if g.class() == policy.Server { // it was judged then, and need not be a name that a policy would take
			r.connections.told[g.Path] = true
			continue
		}
		if err != nil {
			return err
		}
	}
	return r.learnSources(past)
}

func (r *Run) info() (*story.RunInfo, error) {
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
		case script.SecretValue:
			if !v.Secret.Empty() {
				params[p.Name] = v.Shown()
			}
		default:
			params[p.Name] = v.String()
		}
	}
	return &story.RunInfo{
		Schema: story.SchemaVersion, ID: r.cfg.ID, Mode: r.cfg.Mode, Runbook: r.rb.Name, Doc: r.rb.Summary(),
		Host:   fmt.Sprintf("%s (%s)", facts.Hostname, r.cfg.HostLabel),
		System: facts.OSRelease["PRETTY_NAME"], Steps: runbook.StepNames(r.rb.All()), Params: params,
		Dir: r.cfg.Dir, Version: r.cfg.Version, MachineID: facts.MachineID, Guards: r.guards, Until: r.until, Limit: r.cfg.Limit,
		Overrides: r.cfg.Overrides, Deviations: r.rb.Deviations, Warnings: r.rb.Warnings(), Servers: r.policy.Allow[policy.Server],
	}, nil
}

// fits finds that a host is one that the runbook is not for: nothing is changed, and its preflight tells what else there is
// to know of it. A run that had begun on it ends here: what it left stays as it is.
func (r *Run) fits(past *history) error {
	facts, err := r.cfg.Host.Facts()
	if err != nil {
		return err
	}
	if len(r.rb.Systems) == 0 {
		return nil
	}
	for _, spec := range r.rb.Systems {
		ok, err := facts.Matches(spec)
		if err != nil {
			return fmt.Errorf("%s: %w", r.rb.Name, err)
		}
		if ok {
			return nil
		}
	}
	f := runbook.Finding{
		Severity: runbook.Inhibitor, Key: "runbook/system", Final: true, Title: "the runbook is not for this system",
		Reason: fmt.Sprintf("it is for %v; this host is %s", r.rb.Systems, facts.OSRelease["PRETTY_NAME"]),
		Remedy: "choose another runbook, or fork this one and test it in a simulation",
	}
	r.count(f)
	r.emit(story.Event{Kind: story.FindingFound, Finding: &f})
	if past.begun {
		return errInhibited
	}
	return nil
}

// steps runs check, the steps, and verify.
func (r *Run) steps(past *history) error {
	all := r.rb.All()
	finished := ""
	for i, step := range all {
		if r.inhibited && !r.rb.IsCheck(step) {
			return errInhibited
		}
		if !r.rb.IsCheck(step) { // the preflight changes nothing, and tells of too little space better
			r.store.Spare = action.Spare
		}
		if r.cfg.Mode == "check" && !r.rb.IsCheck(step) && finished == "" {
			break
		}
		if finished != "" && !r.rb.IsClosing(step) {
			r.emit(story.Event{Kind: story.StepSkipped, Step: step.Name, Text: finished})
			continue
		}
		if needs := r.untold(step); needs != "" {
			r.emit(story.Event{Kind: story.StepSkipped, Step: step.Name, Text: needs + " could not tell what it needs"})
			continue
		}
		if done, ok := past.steps[step.Name]; ok {
			v, err := r.unseal(done.Result, done.Blob)
			if err != nil {
				return fmt.Errorf("journal: result of step %s: %w", step.Name, err)
			}
			r.results[step.Name] = v
			finished = done.Finished
			r.emit(story.Event{Kind: story.StepSkipped, Step: step.Name, Text: "done before"})
			continue
		}
		if step.Name == r.until {
			return &untilError{"step " + step.Name}
		}
		reason, err := r.runStep(step, i+1, len(all), past)
		if errors.Is(err, errInhibited) && r.rb.IsCheck(step) {
			continue // the others of the preflight tell what else stands in the way
		}
		if err != nil {
			return err
		}
		if reason != "" {
			finished = reason
		}
	}
	if r.inhibited {
		return errInhibited
	}
	return nil
}

// untold is a step of the preflight that another needs, and that has no result because it found what stands in the way.
func (r *Run) untold(step *runbook.Step) string {
	if !r.inhibited {
		return ""
	}
	for _, name := range r.rb.Needs(step) {
		if _, told := r.results[name]; !told && slices.ContainsFunc(r.rb.Checks, func(s *runbook.Step) bool { return s.Name == name }) {
			return name
		}
	}
	return ""
}

// runStep runs one step; finished is set if it ended the run in success.
func (r *Run) runStep(step *runbook.Step, index, count int, past *history) (finished string, err error) {
	r.step, r.readOnly = step, r.rb.IsCheck(step) || r.rb.IsClosing(step)
	start, before := r.cfg.Now(), r.verdict.Inhibitors
	r.emit(story.Event{Kind: story.StepBegin, Doc: step.Summary(), Index: index, Count: count})
	r.estimate.step(step.Name)
	r.replay = &replay{}
	if past.open != nil && past.open.name == step.Name {
		r.replay = past.open
	} else if _, err := r.cfg.Journal.AppendLazy("step", stepRecord{Name: step.Name}); err != nil {
		return "", err
	}
	value, err := r.callAgain(step)
	var finish *runbook.Finished
	if errors.As(err, &finish) {
		finished, value, err = finish.Reason, starlark.None, nil
		r.emit(story.Event{Kind: story.Output, Text: finish.Reason})
	}
	if err != nil {
		return "", err
	}
	if err := r.tellUnmet(step); err != nil {
		return "", err
	}
	if r.inhibited {
		// an earlier check may have inhibited: what this one has seen is whole then, for those that need it
		if finished == "" && r.verdict.Inhibitors == before && r.rb.CheckResult(step, value) == nil {
			r.results[step.Name] = value
		}
		return "", errInhibited
	}
	if finished == "" {
		if err := r.rb.CheckResult(step, value); err != nil {
			return "", err
		}
	}
	r.results[step.Name] = value
	encoded, err := script.Encode(value, r.secrets)
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
	r.emit(story.Event{Kind: story.StepEnd, Elapsed: r.cfg.Now().Sub(start)})
	r.tellLeft(step.Name, r.cfg.Now().Sub(start))
	return finished, nil
}

// callAgain evaluates the step's function, from its begin if it cannot go on where it was.
func (r *Run) callAgain(step *runbook.Step) (starlark.Value, error) {
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
func (r *Run) call(step *runbook.Step) (starlark.Value, error) {
	value := func(name string) (starlark.Value, bool) {
		if v, ok := r.params[name]; ok {
			return v, true
		}
		v, ok := r.results[name]
		return v, ok
	}
	return r.rb.Call(r.ctx, r, step, value, func(pos, text string) {
		r.emit(story.Event{Kind: story.Output, Text: text, Pos: pos})
	})
}

// restart undoes what the unfinished step did before and lets it begin again: its runbook was fixed,
// or the host answers otherwise than it did.
func (r *Run) restart(step *runbook.Step) error {
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("step %s asks for something else than before: what it had done is undone, and it begins again", step.Name)})
	if err := r.undoStep(step.Name, r.replay.intents()); err != nil {
		return err
	}
	r.planned -= r.held(len(r.replay.calls), step.Name)
	r.replay = &replay{}
	_, err := r.cfg.Journal.Append("restart", stepRecord{Name: step.Name})
	return err
}

// held is how many of a step's calls the plan counts.
func (r *Run) held(calls int, step string) int {
	if r.rb.Verifies(step) {
		return 0
	}
	return calls
}

// undoStep undoes what the unfinished step had done, and says so beforehand: once that has begun, the
// step's calls can no longer be answered from the journal.
func (r *Run) undoStep(name string, actions []*pastAction) error {
	if _, err := r.cfg.Journal.Append("step-undo", stepRecord{Name: name}); err != nil {
		return err
	}
	if err := r.undo(actions); err != nil {
		return err
	}
	return r.repeat(actions)
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

// Context ends when the run is to stop hard.
func (r *Run) Context() context.Context { return r.ctx }

// Checking reports whether the step in hand is the runbook's check.
func (r *Run) Checking() bool { return r.step != nil && r.rb.IsCheck(r.step) }

// Parameter is the value of a parameter of the runbook.
func (r *Run) Parameter(name string) (starlark.Value, bool) {
	v, ok := r.params[name]
	return v, ok
}

// Explain adds to an error of the runbook's what it takes to show where it happened.
func (r *Run) Explain(err error) error { return r.rb.Explain(err) }

// Ends reports whether an error is not a failure of what was looked at, but ends the run.
func (r *Run) Ends(err error) bool {
	if r.ctx.Err() != nil || strings.Contains(err.Error(), "Starlark computation cancelled") {
		return true
	}
	for _, end := range []error{errInterrupted, errDiverged, errDiffers, errInhibited, context.Canceled} {
		if errors.Is(err, end) {
			return true
		}
	}
	var finish *runbook.Finished
	return errors.As(err, &finish)
}

// Find records a finding.
func (r *Run) Find(f runbook.Finding) error {
	f.Step = r.step.Name
	f.Title, f.Reason, f.Remedy = r.secrets.mask(f.Title), r.secrets.mask(f.Reason), r.secrets.mask(f.Remedy)
	f.Name() // of what is masked: a key is no hiding-place either
	f.Overrule(r.cfg.Overrides)
	if _, asked := r.cfg.Overrides[f.Key]; asked {
		r.met[f.Key] = true
	}
	r.count(f)
	r.emit(story.Event{Kind: story.FindingFound, Finding: &f})
	_, err := r.cfg.Journal.AppendLazy("finding", f)
	return err
}

// Trust refuses what root is to execute or load and somebody else could exchange, or tells of it once.
func (r *Run) Trust(name string) error {
	return r.distrustOf(trust.Check(r.cfg.Host, r.cfg.Trusted, name))
}

func (r *Run) trustAlone(name string) error {
	err := trust.Alone(r.cfg.Host, r.cfg.Trusted, name)
	if !errors.As(err, new(*trust.Error)) {
		return nil // what cannot be looked at cannot be read either: reading it says why
	}
	return r.distrustOf(err)
}

// distrustOf passes an error on, or tells of it once where nothing is carried out.
func (r *Run) distrustOf(err error) error {
	var foreign *trust.Error
	if !errors.As(err, &foreign) || r.cfg.Distrust {
		return err
	}
	if r.distrusted[foreign.Where] {
		return nil
	}
	r.distrusted[foreign.Where] = true
	return r.Find(runbook.Finding{
		Severity: runbook.Warning, Key: "trust/exchangeable", Title: "a run will refuse " + foreign.Path,
		Reason: foreign.Where + " " + foreign.Why, Remedy: foreign.Remedy,
	})
}

// tellUnmet reports overrides that met nothing in the preflight: a key may be misspelt.
func (r *Run) tellUnmet(step *runbook.Step) error {
	if !r.rb.LastCheck(step) {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(r.cfg.Overrides)) {
		if r.met[key] {
			continue
		}
		err := r.Find(runbook.Finding{
			Severity: runbook.Warning, Key: "override/unmet", Title: "--override " + key + " met nothing",
			Reason: "no finding of the preflight has this key", Remedy: "take it from the command line, or see whether an inhibitor has another key",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) count(f runbook.Finding) {
	switch f.Severity {
	case runbook.Info:
		r.verdict.Infos++
	case runbook.Warning:
		r.verdict.Warnings++
	case runbook.Inhibitor:
		r.verdict.Inhibitors++
		r.inhibited = true
	}
}

// Tell tells a record to programs that follow the run, without the run's secrets.
func (r *Run) Tell(what string, fields map[string]any, pos string) {
	record := map[string]any{}
	for name, value := range fields {
		if text, ok := value.(string); ok {
			value = r.secrets.mask(text)
		}
		record[name] = value
	}
	r.emit(story.Event{Kind: story.Recorded, Text: what, Record: record, Pos: pos})
}

// Grant adds a path, or the base of a directory, to what the run may change.
func (r *Run) Grant(class policy.Class, entry, why, pos string) error {
	if slices.Contains(r.policy.Allow[class], entry) {
		return nil
	}
	if err := r.policy.Grant(class, entry); err != nil {
		return err
	}
	r.emit(story.Event{Kind: story.Granted, Text: fmt.Sprintf("%s: %s", entry, why), Pos: pos})
	record := grantRecord{Path: entry, Why: why}
	if class != policy.Path {
		record.Class = class
	}
	_, err := r.cfg.Journal.AppendLazy("grant", record)
	return err
}

// tellUnpredicted emits what the host could not know since the last time.
func (r *Run) tellUnpredicted() {
	all := r.cfg.Host.Unpredicted()
	for ; r.unpredicted < len(all); r.unpredicted++ {
		u := all[r.unpredicted]
		r.emit(story.Event{Kind: story.UnpredictedIs, Unpredicted: &u})
	}
}

// emit stamps and masks an event.
func (r *Run) emit(e story.Event) {
	e.Time = r.cfg.Now()
	if e.Step == "" && r.step != nil {
		e.Step = r.step.Name
	}
	e.Text = r.secrets.mask(e.Text)
	if e.Detail != nil {
		detail := *e.Detail
		detail.Diff = r.secrets.maskKnown(detail.Diff)
		detail.Lines = slices.Clone(detail.Lines)
		for i, line := range detail.Lines {
			detail.Lines[i] = r.secrets.mask(line)
		}
		e.Detail = &detail
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.cfg.Emit(e)
}
