package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
)

// Rollback undoes a run's actions, from the last to the first, down to and including the step named
// (empty: all). Each is compared with its pre-images as soon as it is undone: only then, between the
// actions before and after it, is the host what they recorded. At the end, what the run found before
// its first changes is compared once more. The run's records are Config.Previous.
func Rollback(ctx context.Context, cfg Config, to string) story.Verdict {
	r := newRun(ctx, cfg)
	differences, err := r.rollback(to)
	return r.closeRollback(differences, err)
}

func (r *Run) rollback(to string) ([]string, error) {
	past, err := readHistory(r.cfg.Previous)
	if err != nil {
		return nil, r.refuse(err)
	}
	if err := r.lookSpared(past); err != nil {
		return nil, r.refuse(err)
	}
	if err := r.named(past.standing()).Reach(to, r.cfg.RestoreDatabase); err != nil {
		return nil, r.refuse(err)
	}
	steps := stepsToUndo(past, to)
	if len(steps) < len(past.order) {
		r.part = to
	}
	way, err := past.restoring()
	if err != nil {
		return nil, r.refuse(err)
	}
	restore := r.cfg.RestoreDatabase || past.restoreBegun(way)
	r.guards = past.info.Guards
	r.cfg.KillGuarded = r.cfg.KillGuarded && restore && way != nil
	if err := r.undisturbed(way); err != nil {
		return nil, r.refuse(err)
	}
	if r.beyond, err = past.lostPackages(); err != nil {
		return nil, r.refuse(err)
	}
	if err := r.learn(past); err != nil {
		return nil, r.refuse(err)
	}
	if way != nil && !way.done && !restore {
		r.beyond = true
	}
	r.back = true
	if past.rollback && !past.rolledBack() { // it goes on
		r.spent, r.verdict.Changes = past.spent.before(), past.undoneOf(steps)
	}
	info := past.info
	info.Mode, info.Until = "rollback", ""
	r.emit(story.Event{Kind: story.RunBegin, Run: &info})
	r.undoneBefore = past.rolledBack()
	if _, err := r.cfg.Journal.Append("rollback", backRecord{Name: to, Version: r.cfg.Version}); err != nil {
		return nil, r.refuse(err)
	}
	if err := r.lookForBrought(past, steps); err != nil {
		return nil, err
	}
	if err := r.keepServices(past, true); err != nil {
		return nil, err
	}
	if restore {
		r.restoring = way
		dump, takes, err := way.loading()
		if err != nil {
			return nil, err
		}
		if takes != "" {
			r.emit(story.Event{Kind: story.Output, Text: "the database comes back by the dump " + dump + "; " + takes})
		}
		if way.cause.state().undone {
			if err := r.restoreDatabase(past, way); err != nil {
				return nil, err
			}
		}
	}
	if r.restored != nil {
		if err := r.giveBack(past); err != nil {
			return nil, err
		}
	}
	if !restore && way != nil && !way.done {
		advice, err := r.advise(way)
		if err != nil {
			return nil, err
		}
		r.emit(story.Event{Kind: story.Output, Text: advice})
	}
	return r.undoSteps(past, way, steps)
}

// Busy looks whether a service that a run guards is at what it must not be disturbed in; nil if none is.
func Busy(ctx context.Context, h host.Host, records []journal.Record) (*action.Busy, error) {
	past, err := readHistory(records)
	if err != nil {
		return nil, err
	}
	env := &action.Env{Ctx: ctx, Host: h, Guards: past.info.Guards}
	return env.Disturbs()
}

// undisturbed refuses to begin with a rollback while a guarded service does what must come to its end.
func (r *Run) undisturbed(way *restoring) error {
	if r.cfg.KillGuarded {
		return nil
	}
	err := r.env(0, 0, nil).Undisturbed("")
	var busy *action.Busy
	if errors.As(err, &busy) && way != nil && !way.done && way.dump != nil {
		err = fmt.Errorf("%w; or load the dump in its place, which ends %s: `%s`", err, busy.Guard.Service,
			r.cfg.Caller.Command("rollback", "--restore-database", "--kill-upgrade"))
	}
	return err
}

// refuse notes that nothing was begun, so that the journal goes on saying how the run ended.
func (r *Run) refuse(err error) error {
	r.refused = true
	return err
}

// undoSteps undoes steps from the last to the first.
func (r *Run) undoSteps(past *history, way *restoring, steps []string) ([]string, error) {
	failed, err := past.notStarted()
	if err != nil {
		return nil, err
	}
	var undone []*pastAction
	for i := len(steps) - 1; i >= 0; i-- {
		mine := past.actionsOf(steps[i])
		undone = append(undone, mine...)
		if past.undone[steps[i]] {
			if err := r.forgetFixed(mine); err != nil {
				return nil, err
			}
			continue
		}
		r.step = &runbook.Step{Name: steps[i]}
		r.past = past
		restored := way != nil && way.done
		switch {
		case makesDump(mine) && restored:
			r.emit(story.Event{Kind: story.StepSkipped, Text: "kept: the dump, until the restored database has proved good"})
		case makesDump(mine) && r.beyond:
			r.kept = append(r.kept, "step "+steps[i]+" is not undone: its dump is the only way back for the database")
			r.emit(story.Event{Kind: story.StepSkipped, Text: "kept: the database needs its dump"})
			continue
		default:
			r.emit(story.Event{Kind: story.StepBegin, Doc: "undo", Index: len(steps) - i, Count: len(steps)})
			if err := r.undo(mine); err != nil {
				return nil, err
			}
		}
		if _, err := r.cfg.Journal.Append("step-undone", stepRecord{Name: steps[i]}); err != nil {
			return nil, err
		}
		r.emit(story.Event{Kind: story.StepEnd})
	}
	if err := r.retryServices(failed); err != nil {
		return nil, err
	}
	if err := r.repeat(undone); err != nil {
		return nil, err
	}
	if err := r.tellChanged(); err != nil {
		return nil, err
	}
	if err := r.tellScripts(); err != nil {
		return nil, err
	}
	if r.keptLogs, err = logsOf(undone, r.cfg.Host); err != nil {
		return nil, err
	}
	left, err := differencesOf(undone, way)
	if err != nil {
		return nil, err
	}
	late, err := r.disturbed(past)
	for _, line := range late {
		if slices.Index(left, line) < 0 {
			left = append(left, line)
		}
	}
	return append(left, r.kept...), err
}

// logsOf are the directories of the logs that undone actions had others write, and which stay: they tell what happened.
func logsOf(undone []*pastAction, v host.View) ([]string, error) {
	var dirs []string
	for _, p := range undone {
		a, err := p.action()
		if err != nil {
			return nil, err
		}
		l, ok := a.(action.Logger)
		if !ok || l.LogFile() == "" {
			continue
		}
		switch _, err := v.Lstat(l.LogFile()); {
		case err == nil:
			dirs = append(dirs, path.Dir(l.LogFile()))
		case !host.Absent(err):
			return nil, err
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}

// repeat does once more what rests on what was undone after it: a service that the run had made to read its
// configuration reads the old one.
func (r *Run) repeat(undone []*pastAction) error {
	seen := map[string]bool{}
	for _, p := range undone {
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		repeated, ok := a.(action.Repeater)
		if !ok || seen[a.Summary()] {
			continue
		}
		seen[a.Summary()] = true
		if err := repeated.Again(env); err != nil {
			return err
		}
	}
	return nil
}

// forgetFixed forgets what an earlier rollback found to differ and somebody has fixed since.
func (r *Run) forgetFixed(undone []*pastAction) error {
	for _, p := range undone {
		if len(p.state().differences) == 0 {
			continue
		}
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		if _, ok := a.(action.Comparer); !ok {
			continue
		}
		if left, err := r.compareAgain(a, env); err == nil && len(left) == 0 {
			p.state().differences = nil
		}
	}
	return nil
}

// tellChanged tells what somebody had changed since the run, and where it is now.
func (r *Run) tellChanged() error {
	var changed []string
	err := r.wait("look through what was changed after the run", func() error {
		var err error
		changed, err = r.store.Changed(r.ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking through what was changed after the run: %w", err)
	}
	if len(changed) == 0 {
		return nil
	}
	shown := changed
	if len(shown) > 10 {
		shown = append(shown[:10:10], fmt.Sprintf("and %d more", len(changed)-10))
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("changed since the run, and kept in %s: %s", r.store.Since(), strings.Join(shown, ", "))})
	return nil
}

// tellScripts tells what maintainer scripts did not do on the way back, because they failed or hung.
func (r *Run) tellScripts() error {
	scripts, err := r.store.WithoutScripts()
	if err != nil || len(scripts) == 0 {
		return err
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("removed without their maintainer scripts, which failed or hung: %s; the scripts are kept in %s, and what they would have cleaned up may be left",
		strings.Join(scripts, ", "), r.store.Scripts())})
	return nil
}

// disturbed compares, now that all is undone, once more what the run found of each path before it first
// touched it: undoing an earlier action, or a service that runs again, may have changed it since.
// What stood behind the first transaction of packages, or below what an earlier action made, is
// left out: that was not the state from before the run.
func (r *Run) disturbed(past *history) ([]string, error) {
	var lines, touched []string
	services := map[string]bool{}
	for _, p := range past.intents {
		if !p.state().undone {
			if past.undone[p.step] {
				continue // kept on purpose
			}
			return lines, nil // a rollback to a step: the rest is still done
		}
		a, env, err := r.recall(p)
		if err != nil {
			return nil, err
		}
		if before, ok := a.(action.Recorder); ok {
			for _, pre := range before.Preimages() {
				if within(touched, pre.Path) {
					continue
				}
				var more []string
				err := r.wait("compare: "+pre.Path, func() error {
					var err error
					more, err = env.Store.Compare(pre)
					return err
				})
				if err != nil {
					return nil, fmt.Errorf("comparing after the rollback: %w", err)
				}
				lines = append(lines, more...)
			}
		}
		if _, ok := a.(action.PackageTransaction); ok {
			return lines, nil
		}
		if s, ok := a.(action.ServiceSetter); ok && !services[s.ServiceName()] && len(p.state().differences) == 0 {
			services[s.ServiceName()] = true // it may have ended again by itself
			more, err := r.compareAgain(a, env)
			if err != nil {
				return nil, err
			}
			lines = append(lines, more...)
		}
		for _, t := range a.Touches() {
			if t.Class == policy.Path {
				touched = append(touched, t.Name)
			}
		}
	}
	return lines, nil
}

// within reports whether a path is one of these, or below one.
func within(paths []string, name string) bool {
	for _, p := range paths {
		if name == p || strings.HasPrefix(name, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// lostPackages reports whether packages went that nothing was kept of.
func (h *history) lostPackages() (bool, error) {
	for _, p := range h.intents {
		a, err := p.action()
		if err != nil {
			return false, err
		}
		if t, ok := a.(action.PackageTransaction); ok && t.LosesPackages() {
			return true, nil
		}
	}
	return false, nil
}

// makesDump reports whether a step made a dump of a database.
func makesDump(actions []*pastAction) bool {
	return slices.ContainsFunc(actions, func(p *pastAction) bool {
		a, err := p.action() // readHistory has decoded every action
		_, dumps := a.(action.Dumper)
		return err == nil && dumps
	})
}

// stepsToUndo lists the steps that began, from the one named on; empty for all.
func stepsToUndo(past *history, to string) []string {
	return past.order[max(0, slices.Index(past.order, to)):]
}

// actionsOf lists a step's actions that are not undone yet, in order.
func (h *history) actionsOf(step string) []*pastAction {
	var mine []*pastAction
	for _, p := range h.intents {
		if p.step == step {
			mine = append(mine, p)
		}
	}
	return mine
}

// undoneOf counts what a rollback has undone of these steps.
func (h *history) undoneOf(steps []string) (n int) {
	for _, p := range h.intents {
		if p.state().undone && slices.Index(steps, p.step) >= 0 {
			n++
		}
	}
	return n
}

// undo undoes actions, from the last to the first.
func (r *Run) undo(past []*pastAction) error {
	defer func(spare uint64) { r.store.Spare = spare }(r.store.Spare)
	r.store.Spare = 0
	for i := len(past) - 1; i >= 0; i-- {
		p := past[i]
		if p.state().undone {
			continue
		}
		if r.stopping() {
			return errInterrupted
		}
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		if err := r.undoAndTell(p, a, env); err != nil {
			return err
		}
		if r.restoring != nil && r.restoring.cause == p {
			if err := r.restoreDatabase(r.past, r.restoring); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Run) undoAndTell(p *pastAction, a action.Action, env *action.Env) error {
	differences, err := r.undoOne(a, env)
	if err != nil {
		return err
	}
	if _, err := r.cfg.Journal.Append("undone", actionRecord{Call: p.call.seq, Index: p.index, Kind: a.Kind(), Differences: differences}); err != nil {
		return err
	}
	p.state().undone, p.state().differences = true, differences
	if n, ok := a.(action.Newcomer); ok && n.Since() != "" {
		r.emit(story.Event{Kind: story.Output, Text: "came after the run, and was kept with the rest: " + n.Since()})
	}
	if l, ok := a.(action.Leaver); ok && l.Left() {
		r.emit(story.Event{Kind: story.Output, Text: "left as it is: " + a.Summary()})
		return nil
	}
	if r.back {
		r.verdict.Changes++
	} else {
		r.verdict.Changes-- // a step that begins again
	}
	r.emit(story.Event{Kind: story.Undone, Action: a.Kind(), Text: a.Summary()})
	if teller, ok := a.(action.Teller); ok {
		for _, text := range teller.Told() {
			if !slices.Contains(r.toldBack, text) {
				r.toldBack = append(r.toldBack, text)
				r.emit(story.Event{Kind: story.Output, Text: text})
			}
		}
	}
	return nil
}

// undoOne undoes an action and tells how the host differs from before it. Beyond the point of no
// return a service that will not start again does not keep the rest from going back: the old server
// refuses the new database until it is restored. One that will not stop does: nothing may be taken
// away under it.
func (r *Run) undoOne(a action.Action, env *action.Env) ([]string, error) {
	err := r.wait("undo: "+a.Summary(), func() error { return a.Undo(env) })
	if err == nil {
		return r.compareAgain(a, env)
	}
	if errors.Is(err, action.ErrStopped) {
		return nil, errInterrupted
	}
	r.noteBroken(a, err)
	err = fmt.Errorf("undoing %s: %w", a.Summary(), err)
	if r.beyond && startsAgain(a) && env.Ctx.Err() == nil {
		return []string{r.secrets.mask(err.Error())}, nil
	}
	return nil, err
}

// startsAgain reports whether undoing an action means that a service runs again.
func startsAgain(a action.Action) bool {
	s, ok := a.(action.ServiceSetter)
	return ok && s.StartsAgain()
}

func (r *Run) recall(p *pastAction) (action.Action, *action.Env, error) {
	state := p.state()
	a, err := action.Decode(state.intent.Kind, state.intent.Data)
	env := r.env(p.call.seq, p.index, state.marks)
	env.Arrived = r.arrivedBefore(p)
	return a, env, err
}

// brought is what came with a transaction of packages that this rollback undoes.
type brought struct {
	by       *pastAction
	packages map[string][]string
}

// lookForBrought finds the transactions that brought packages, and tells, as the way back begins, what somebody has removed
// since: the rollback wants it gone, and what rests on it there is nothing to do for.
func (r *Run) lookForBrought(past *history, steps []string) error {
	r.brought = nil
	all := map[string][]string{}
	for _, p := range past.intents {
		if p.state().done == nil || p.state().undone || !slices.Contains(steps, p.step) { // nothing lies behind one that was broken off
			continue
		}
		a, env, err := r.recall(p)
		if err != nil {
			return err
		}
		t, ok := a.(action.PackageTransaction)
		if !ok {
			continue
		}
		packages, err := t.Brought(env)
		if err != nil {
			return err
		}
		if len(packages) > 0 {
			r.brought = append(r.brought, brought{p, packages})
			maps.Copy(all, packages)
		}
	}
	by := "by whoever removed them since"
	if past.rollback {
		by = "by whoever removed them since, or by the rollback before this one"
	}
	env := r.env(0, 0, nil)
	env.Arrived = all
	gone, err := env.Withdrawn()
	if err == nil && len(gone) > 0 {
		r.emit(story.Event{Kind: story.Output, Text: "packages that came with the run are gone already, " + by + ": " + strings.Join(gone, ", ") +
			"; the rollback takes away what is left"})
	}
	return err
}

// arrivedBefore are the packages that came before an action and are to be taken away behind it.
func (r *Run) arrivedBefore(p *pastAction) map[string][]string {
	arrived := map[string][]string{}
	for _, b := range r.brought {
		before := b.by.call.seq < p.call.seq || b.by.call.seq == p.call.seq && b.by.index < p.index
		if before && !b.by.state().undone {
			maps.Copy(arrived, b.packages)
		}
	}
	return arrived
}

// compareAgain is compare, which may take long: whole trees are read.
func (r *Run) compareAgain(a action.Action, env *action.Env) (lines []string, err error) {
	err = r.wait("compare: "+a.Summary(), func() error {
		var err error
		lines, err = compare(a, env)
		return err
	})
	return lines, err
}

// compare asks an action that was undone how the host differs from before it.
func compare(a action.Action, env *action.Env) ([]string, error) {
	comparer, ok := a.(action.Comparer)
	if !ok {
		return nil, nil
	}
	differences, err := comparer.Differences(env)
	if err != nil {
		return nil, fmt.Errorf("comparing after the rollback: %s: %w", a.Summary(), err)
	}
	return differences, nil
}

// differencesOf gathers what undoing these actions left, and what it could not reach.
func differencesOf(undone []*pastAction, way *restoring) ([]string, error) {
	var all []string
	for _, p := range undone {
		all = append(all, p.state().differences...)
		a, err := action.Decode(p.state().intent.Kind, p.state().intent.Data)
		if err != nil {
			return nil, err
		}
		if p.state().spared || changesDatabase(a) && way != nil && way.done {
			continue // the database was not changed, or is restored
		}
		if reason := a.Irreversible(); reason != "" {
			all = append(all, fmt.Sprintf("%s: %s", a.Summary(), reason))
		}
	}
	return all, nil
}
