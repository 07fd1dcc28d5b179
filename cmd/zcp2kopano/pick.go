package main

import (
	"errors"
	"fmt"
	"io/fs"

	"zcp2kopano/runtime/state"
)

// pick finds the run that a command is for: the one named, else the one that choose takes of all, else
// the newest. Where that is not the newest, it says so.
func (a *app) pick(id string, choose func([]state.Status) *state.Status) (state.Status, error) {
	if id == "" {
		all, err := a.dir().Statuses()
		if err != nil {
			return state.Status{}, err
		}
		if s := choose(all); s != nil {
			a.tellPicked(*s, all[len(all)-1])
			return *s, nil
		}
	}
	run, err := a.dir().Find(id)
	if err != nil {
		return state.Status{}, err
	}
	return a.dir().Status(run)
}

func (a *app) tellPicked(s, newest state.Status) {
	if s.ID != newest.ID {
		fmt.Fprintf(a.err, "this is about run %s, begun %s (%s), not about the newest, %s (%s)\n",
			s.ID, localTime(s.Order.Begun), s.Phase, newest.ID, newest.Phase)
	}
}

// shown is the run that the status is about: the one at work, else the unfinished one, else the one that
// something was done about last. A run that was rolled back says how the machine stands, and not the one
// that was begun after it and found nothing to do.
func (a *app) shown(all []state.Status) *state.Status {
	if h, err := a.dir().Holder(); err == nil && h != nil {
		for i := range all {
			if all[i].ID == h.Run {
				return &all[i]
			}
		}
	}
	if s := state.Unfinished(all); s != nil {
		return s
	}
	return state.Latest(all)
}

// judge refuses to look at this machine where a run would be refused for the program's own sake: its state
// directory is not fit, or a run is at work, so that what is seen holds for one moment only.
// It is asked before the machine is opened, which takes a while.
func (a *app) judge() error {
	if err := a.dir().Judge(); err != nil {
		return err
	}
	h, err := a.dir().Holder()
	if errors.Is(err, fs.ErrPermission) { // only root can tell
		return nil
	}
	if err == nil && h != nil {
		err = &state.LockedError{Holder: *h, Program: a.dir().Caller().Program}
	}
	return err
}
