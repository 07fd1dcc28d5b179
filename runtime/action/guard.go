package action

import (
	"errors"
	"fmt"
	"time"

	"zcp2kopano/runtime/host"
)

// Guard keeps a service from being disturbed while it does what must come to its end: while a process of
// it holds one of the locks. Runbooks declare guards; they are journaled with the run, so that the way back
// knows them, too.
type Guard struct {
	Service string   `json:"service"`
	Locks   []string `json:"locks"`          // paths, as the service sees them
	Doing   string   `json:"doing"`          // "upgrades its database"
	Asks    string   `json:"asks,omitempty"` // a question that it does not answer while it does that
}

// Busy is the error of a change that would disturb a service.
type Busy struct {
	Guard Guard
	Lock  host.ServiceLock
}

func (e *Busy) Error() string {
	lock := e.Lock
	if lock.Stale() {
		return fmt.Sprintf("%s runs and does not answer, and there is %s: it may be that it %s. Wait until it answers; or, if the file is from an earlier time, remove it; then do this again",
			e.Guard.Service, lock.Path, e.Guard.Doing)
	}
	return fmt.Sprintf("%s (pid %d) %s since %s, as its lock %s says: to end it now would break that for good, so it is left alone. Wait until it is done, which its log shows, then do this again",
		e.Guard.Service, lock.Holder.PID, e.Guard.Doing, lock.Since.Format(time.DateTime), lock.Path)
}

// Undisturbed is an error if a change to a service would disturb it; of any guarded service, if name is empty.
func (env *Env) Undisturbed(name string) error {
	for _, g := range env.Guards {
		if name != "" && g.Service != name {
			continue
		}
		busy, err := g.busy(env)
		if err == nil && busy != nil {
			err = busy
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// busy looks whether the lock is held. One that is left from a process that was killed keeps the next one
// from making its own: then it is the answer to a question that tells.
func (g Guard) busy(env *Env) (*Busy, error) {
	lock, err := env.Host.ServiceLock(g.Service, g.Locks)
	if err != nil || lock == nil {
		return nil, err
	}
	if !lock.Stale() {
		return &Busy{g, *lock}, nil
	}
	running, err := env.Host.ServiceProcesses(g.Service)
	if err != nil || len(running) == 0 || g.Asks == "" {
		return nil, err
	}
	q, err := host.ParseQuestion(g.Service, g.Asks)
	if err != nil {
		return nil, err
	}
	if _, err := env.Host.Ask(env.Ctx, q); err != nil {
		return &Busy{g, *lock}, nil
	}
	return nil, nil
}

// guardOf is the guard of a service.
func (env *Env) guardOf(name string) (Guard, bool) {
	for _, g := range env.Guards {
		if g.Service == name {
			return g, true
		}
	}
	return Guard{}, false
}

// stopService stops a service, unless that would disturb it. With Env.Kill one that does not end when it is told to
// is killed: the admin has said so.
func (env *Env) stopService(name string, patience time.Duration) error {
	err := env.Undisturbed(name)
	var busy *Busy
	if errors.As(err, &busy) && env.Kill {
		env.Progress(Progress{What: "kill " + name})
		return env.Host.KillService(env.Ctx, name, busy.Guard.Locks)
	}
	if err != nil {
		return err
	}
	if err := env.removeStale(name); err != nil {
		return err
	}
	return env.Host.StopService(env.Ctx, name, patience)
}

// removeStale removes a lock that nobody holds: init scripts refuse to stop a service as long as there is one.
func (env *Env) removeStale(name string) error {
	g, guarded := env.guardOf(name)
	if !guarded {
		return nil
	}
	lock, err := env.Host.ServiceLock(name, g.Locks)
	if err != nil || lock == nil || !lock.Stale() {
		return err
	}
	return removePath(env.Host, lock.Path)
}
