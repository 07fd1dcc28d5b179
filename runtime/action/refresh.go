package action

import (
	"strings"
	"time"

	"zcp2kopano/runtime/policy"
)

func init() {
	register(func() Action { return &Refresh{} })
	register(func() Action { return &Repair{} })
}

// Refresh ("pkg.refresh") rereads the repositories' package lists. It can be done again at any time;
// Undo has nothing to do, because lists are a cache.
type Refresh struct {
	Only []string `json:"only,omitempty"` // source files; empty for all
}

func (a *Refresh) Kind() string                   { return "pkg.refresh" }
func (a *Refresh) Touches() []policy.Target       { return nil }
func (a *Refresh) Stage(*Env) error               { return nil }
func (a *Refresh) Prepare(env *Env) (bool, error) { return true, nil }
func (a *Refresh) Undo(*Env) error                { return nil }
func (a *Refresh) Irreversible() string           { return "" }

func (a *Refresh) Summary() string {
	if len(a.Only) == 0 {
		return "reread the package lists of all repositories"
	}
	return "reread the package lists of " + strings.Join(a.Only, ", ")
}

func (a *Refresh) Apply(env *Env) (Result, error) {
	return Result{Summary: "package lists are current"}, env.Host.RefreshPackages(env.Ctx, a.Only, watchPackages(env, 0))
}

// Cost implements Coster.
func (a *Refresh) Cost() Span { return Span{time.Second, 2 * time.Minute} }

// BrokenOff implements Breakable.
func (a *Refresh) BrokenOff() string { return packagesBroken }

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
