package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/story"
)

// keepServices brings services to the state in which the run had left them. They are not in it where the
// machine was restarted since, which starts what is enabled and nothing else, or where somebody
// helped out meanwhile: what the run had stopped would then work on what it changes, and what it had
// started would stay down. The actions that decided the state are done, and are journaled: there is
// nothing to note, and their undo stays as it is. On the way back only what runs is of interest.
func (r *Run) keepServices(past *history, back bool) error {
	kept, err := r.servicesOf(past)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		k := kept[name]
		if back && k.Running {
			continue
		}
		if r.stopping() {
			return errInterrupted
		}
		stopped, err := r.keepService(k)
		if err != nil {
			return err
		}
		if stopped && back && k.Early {
			r.kept = append(r.kept, fmt.Sprintf("service %s ran, and the run had not started it: see in its log what it has changed, in a database above all; that is not undone", name))
		}
	}
	return nil
}

// servicesOf lists what the run decided of services, and has not undone: by name, the last word.
func (r *Run) servicesOf(past *history) (action.KeptServices, error) {
	kept := action.KeptServices{}
	for _, p := range past.intents {
		if p.state().undone {
			continue
		}
		a, env, err := r.recall(p)
		if err != nil {
			return nil, err
		}
		if k, ok := a.(action.ServiceKeeper); ok {
			if err := k.KeepServices(env, p.state().done != nil, kept); err != nil {
				return nil, err
			}
		}
	}
	return kept, nil
}

// keepService reports whether there was something to do.
func (r *Run) keepService(k action.KeptService) (bool, error) {
	now, astray, err := k.Astray()
	if err != nil || !astray {
		return false, err
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("service %s %s, and the run had left it otherwise: the machine was restarted since, or somebody has changed it", now.Name, runs(now))})
	r.emit(story.Event{Kind: story.ChangeBegin, Action: k.Set.Kind(), Text: k.Set.Summary() + " (again)"})
	start := r.cfg.Now()
	result, err := r.applyAndTell(k.Set, k.Env)
	if errors.Is(err, action.ErrStopped) {
		return false, errInterrupted
	}
	if err != nil {
		return false, err
	}
	r.verdict.Changes++
	r.emit(story.Event{Kind: story.ChangeEnd, Action: k.Set.Kind(), Text: result.Summary, Elapsed: r.cfg.Now().Sub(start)})
	return true, nil
}

func runs(s host.Service) string {
	if s.Active {
		return "runs"
	}
	return "does not run"
}
