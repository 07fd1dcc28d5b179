package action

import "zcp2kopano/runtime/policy"

func init() { register(func() Action { return &Repair{} }) }

// Repair ("pkg.repair") finishes what an interrupted package transaction left. Undo has nothing to
// do: nobody wants a half-way package database back.
type Repair struct{}

func (a *Repair) Kind() string             { return "pkg.repair" }
func (a *Repair) Summary() string          { return "finish interrupted package transactions" }
func (a *Repair) Touches() []policy.Target { return nil }
func (a *Repair) Stage(*Env) error         { return nil }
func (a *Repair) Undo(*Env) error          { return nil }
func (a *Repair) Irreversible() string     { return "" }

func (a *Repair) Prepare(env *Env) (bool, error) {
	audit, err := env.Host.PackageAudit()
	return len(audit) > 0, err
}

func (a *Repair) Apply(env *Env) (Result, error) {
	return Result{Summary: "the package database is whole"}, repair(env, nil, watchPackages(env, 0))
}

// BrokenOff implements Breakable.
func (a *Repair) BrokenOff() string { return packagesBroken }
