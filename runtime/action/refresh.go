package action

import (
	"strings"
	"time"

	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Refresh{} }) }

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
	w := watchPackages(env, 0)
	err := env.Host.RefreshPackages(env.Ctx, a.Only, w)
	return Result{Summary: "package lists are current", Lines: w.Warned}, err
}

// Cost implements Coster.
func (a *Refresh) Cost() Span { return Span{time.Second, 2 * time.Minute} }

// BrokenOff implements Breakable.
func (a *Refresh) BrokenOff() string { return packagesBroken }
