package action

import (
	"fmt"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Reload{} }) }

// Reload ("svc.reload") makes a running service read its configuration again.
//
// There is nothing to undo in it; but a service whose configuration is put back has to read that once more.
// The actions that changed the configuration come before this one, and so are undone after it: Again is what a
// rollback does when all is back.
type Reload struct {
	Name string `json:"name"`
}

func (a *Reload) Kind() string         { return "svc.reload" }
func (a *Reload) Stage(*Env) error     { return nil }
func (a *Reload) Summary() string      { return "reload " + a.Name }
func (a *Reload) Irreversible() string { return "" }
func (a *Reload) Touches() []policy.Target {
	return []policy.Target{{Class: policy.Service, Name: a.Name}}
}

// Prepare refuses a service that does not run: what was meant to take effect would not.
func (a *Reload) Prepare(env *Env) (bool, error) {
	runs, err := a.runs(env.Host)
	if err == nil && !runs {
		err = fmt.Errorf("%s: it does not run; it reads its configuration when it starts", a.Summary())
	}
	return true, err
}

func (a *Reload) runs(v host.View) (bool, error) {
	now, _, err := (&Service{Name: a.Name}).Now(v)
	return now.Active, err
}

// Apply does not reload a service that does what must not be disturbed: until it has installed its own
// handler, a daemon ends by the signal.
func (a *Reload) Apply(env *Env) (Result, error) {
	if err := env.Undisturbed(a.Name); err != nil {
		return Result{}, err
	}
	return Result{Summary: a.Summary()}, env.Host.ReloadService(env.Ctx, a.Name)
}

func (a *Reload) Undo(*Env) error { return nil }

// Again implements Repeater: it makes the service read the configuration that was put back, if it runs.
func (a *Reload) Again(env *Env) error {
	runs, err := a.runs(env.Host)
	if err != nil || !runs {
		return err
	}
	_, err = a.Apply(env)
	return err
}
