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
// machine was started anew since, which starts what is enabled and nothing else, or where somebody
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
		if back && *k.service.Active {
			continue
		}
		if r.stopping() {
			return errInterrupted
		}
		stopped, err := r.keepService(k)
		if err != nil {
			return err
		}
		if stopped && back && k.early {
			r.kept = append(r.kept, fmt.Sprintf("service %s ran, and the run had not started it: see in its log what it has changed, in a database above all; that is not undone", name))
		}
	}
	return nil
}

// keptService is a service as the run has left it.
type keptService struct {
	service *action.Service
	env     *action.Env
	early   bool // the run has not come to its start
}

// servicesOf lists what the run decided of services, and has not undone: by name, the last word. One
// that an action is about that was caught half-way is left to that; and one whose package came or went
// since, to its scripts. What came while packages were kept from starting their services is not to run
// before the run starts it.
func (r *Run) servicesOf(past *history) (map[string]keptService, error) {
	kept := map[string]keptService{}
	for _, p := range past.intents {
		state := p.state()
		if state.undone {
			continue
		}
		a, env, err := r.recall(p)
		if err != nil {
			return nil, err
		}
		switch a := a.(type) {
		case *action.Service:
			if a.Active == nil {
				continue
			}
			delete(kept, a.Name)
			if state.done != nil {
				kept[a.Name] = keptService{service: &action.Service{Name: a.Name, Active: a.Active, Patience: a.Patience, Works: a.Works, Lenient: a.Lenient, Before: a.Before}, env: env}
			}
		case *action.Commit:
			for _, s := range a.Services {
				if k, ok := kept[s.Name]; ok && (state.done != nil || *k.service.Active) {
					delete(kept, s.Name)
				}
			}
			held, err := a.Held(env)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.Summary(), err)
			}
			for _, name := range held {
				kept[name] = keptService{service: &action.Service{Name: name, Active: new(false)}, env: env, early: true}
			}
		}
	}
	return kept, nil
}

// keepService tells whether there was something to do.
func (r *Run) keepService(k keptService) (bool, error) {
	now, there, err := k.service.Now(k.env.Host)
	if err != nil {
		return false, err
	}
	if !there || now.Active == *k.service.Active || now.Masked && !now.Active {
		return false, nil
	}
	r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("service %s %s, and the run had left it otherwise: the machine was started anew since, or somebody has changed it", now.Name, runs(now))})
	r.emit(story.Event{Kind: story.ChangeBegin, Action: k.service.Kind(), Text: k.service.Summary() + " (again)"})
	start := r.cfg.Now()
	result, err := r.applyAndTell(k.service, k.env)
	if errors.Is(err, action.ErrStopped) {
		return false, errInterrupted
	}
	if err != nil {
		return false, err
	}
	r.verdict.Changes++
	r.emit(story.Event{Kind: story.ChangeEnd, Action: k.service.Kind(), Text: result.Summary, Elapsed: r.cfg.Now().Sub(start)})
	return true, nil
}

func runs(s host.Service) string {
	if s.Active {
		return "runs"
	}
	return "does not run"
}
