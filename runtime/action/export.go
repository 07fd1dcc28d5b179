package action

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Export{} }) }

// Export ("ldap.export") writes a database of a directory, whose server is stopped, to a new LDIF file.
//
// A file of the wanted name is a complete one; Apply writes under a temporary name and begins again from half-way. Undo
// removes both.
type Export struct {
	DatabaseFiles

	File string `json:"file"`
}

func (a *Export) Kind() string { return "ldap.export" }
func (a *Export) Summary() string {
	return fmt.Sprintf("export the database %s to %s", a.Suffix, a.File)
}
func (a *Export) Irreversible() string     { return "" }
func (a *Export) Touches() []policy.Target { return a.touches(a.File) }
func (a *Export) Stage(env *Env) error     { return a.stage(env) }

func (a *Export) Prepare(env *Env) (bool, error) {
	if err := needParent(env.Host, a.File); err != nil {
		return false, err
	}
	there, err := exists(env.Host, a.File)
	if err == nil && there {
		err = fmt.Errorf("%s: that file exists, and an export never replaces one; move it away or name another: %w", a.Summary(), fs.ErrExist)
	}
	return true, err
}

func (a *Export) Apply(env *Env) (Result, error) {
	if err := clearTemps(env, a.File); err != nil {
		return Result{}, err
	}
	done, err := exists(env.Host, a.File)
	if err != nil {
		return Result{}, err
	}
	if !done {
		unfinished := beside(env, a.File)
		sum, err := a.export(env, unfinished)
		if err == nil {
			err = env.Store.Room(path.Dir(a.File), 0)
		}
		if err == nil && sum.Entries == 0 {
			err = errors.New("it has no entries")
		}
		if err != nil {
			return Result{}, errors.Join(fmt.Errorf("%s: %w", a.Summary(), err), clearTemps(env, a.File))
		}
		if err := renamePath(env.Host, unfinished, a.File); err != nil {
			return Result{}, err
		}
	}
	sum, err := ldifSum(env, a.File)
	return Result{
		Summary: fmt.Sprintf("exported %s of %s", counted(sum.Entries, "entry", "entries"), a.Suffix),
		Values:  map[string]any{"file": a.File, "entries": sum.Entries},
	}, err
}

func (a *Export) Undo(env *Env) error {
	if err := clearTemps(env, a.File); err != nil {
		return err
	}
	return removePath(env.Host, a.File)
}

// Differences says whether the file is still there.
func (a *Export) Differences(env *Env) ([]string, error) {
	return env.Store.Compare(Preimage{Path: a.File})
}
