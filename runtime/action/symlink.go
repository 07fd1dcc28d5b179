package action

import (
	"fmt"

	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Symlink{} }) }

// Symlink ("fs.symlink") makes a symlink, or gives one another target, atomically.
//
// Apply makes it beside its place and renames; from half-way it begins again. Undo puts the
// pre-image back the same way.
type Symlink struct {
	Path    string `json:"path"`
	Target  string `json:"target"`
	Replace bool   `json:"replace,omitempty"` // a file, too; a symlink always

	Before Preimage `json:"before"`
}

func (a *Symlink) Kind() string             { return "fs.symlink" }
func (a *Symlink) Summary() string          { return fmt.Sprintf("make %s a symlink to %s", a.Path, a.Target) }
func (a *Symlink) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Symlink) Stage(*Env) error         { return nil }
func (a *Symlink) Irreversible() string     { return "" }

func (a *Symlink) Prepare(env *Env) (bool, error) {
	if a.Target == "" {
		return false, fmt.Errorf("make symlink %s: the target is empty", a.Path)
	}
	if err := needParent(env.Host, a.Path); err != nil {
		return false, err
	}
	var err error
	if a.Before, err = env.Store.Save(a.Path); err != nil {
		return false, err
	}
	switch {
	case a.Before.Target == a.Target:
		return false, nil
	case !a.Before.Exists || a.Before.Target != "":
		return true, nil
	case a.Before.Mode.IsDir():
		return false, fmt.Errorf("make symlink %s: a directory is there; remove or move it first", a.Path)
	case !a.Replace:
		return false, fmt.Errorf("make symlink %s: %s is there; remove it first, or ask to replace it", a.Path, typeName(a.Before.Mode))
	}
	return true, nil
}

func (a *Symlink) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("%s -> %s", a.Path, a.Target)}
	if err := clearTemps(env, a.Path); err != nil {
		return result, err
	}
	dir, base, err := parent(env.Host, a.Path)
	if err != nil {
		return result, err
	}
	defer dir.Close()
	if target, err := dir.Readlink(base); err != nil || target != a.Target {
		if err := dir.Symlink(a.Target, env.temp()); err != nil {
			return result, err
		}
		if err := dir.Rename(env.temp(), dir, base); err != nil {
			return result, err
		}
	}
	return result, dir.SyncSelf()
}

func (a *Symlink) Undo(env *Env) error {
	if err := clearTemps(env, a.Path); err != nil {
		return err
	}
	if err := keepSince(env, a.Path, a.Target, a.Before.known()); err != nil {
		return err
	}
	return env.Store.restore(a.Before, env.temp())
}

// Differences lists how the path differs from its pre-image.
func (a *Symlink) Differences(env *Env) ([]string, error) { return env.Store.Compare(a.Before) }

// Preimages implements Recorder.
func (a *Symlink) Preimages() []Preimage { return []Preimage{a.Before} }
