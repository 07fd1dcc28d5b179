package action

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Mkdir{} }) }

// Mkdir ("fs.mkdir") makes a directory, or gives one that exists the owner and mode asked for.
//
// Apply makes what is missing, from the top. Undo removes what Prepare found missing, from the
// bottom; what a directory holds by then is kept in the store.
type Mkdir struct {
	Path    string       `json:"path"`
	Parents bool         `json:"parents,omitempty"` // make missing directories above it, mode 0755
	Mode    *fs.FileMode `json:"mode,omitempty"`    // nil: as it is, 0755 for a new one
	Owner   string       `json:"owner,omitempty"`
	Group   string       `json:"group,omitempty"`

	Made   []string `json:"made,omitempty"` // missing before, from the top
	Before Preimage `json:"before"`
	UID    *uint32  `json:"uid,omitempty"`
	GID    *uint32  `json:"gid,omitempty"`
}

func (a *Mkdir) Kind() string             { return "fs.mkdir" }
func (a *Mkdir) Summary() string          { return "make directory " + a.Path }
func (a *Mkdir) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Mkdir) Stage(*Env) error         { return nil }
func (a *Mkdir) Irreversible() string     { return "" }

func (a *Mkdir) Prepare(env *Env) (bool, error) {
	var err error
	if a.UID, a.GID, err = owner(env.Host, a.Owner, a.Group); err != nil {
		return false, fmt.Errorf("make directory %s: %w", a.Path, err)
	}
	if a.Before, err = env.Store.Save(a.Path); err != nil {
		return false, err
	}
	if !a.Before.Exists {
		a.Made, err = a.missing(env.Host)
		return true, err
	}
	st, err := env.Host.Stat(a.Path)
	if err != nil {
		return false, err
	}
	if !st.IsDir() {
		return false, fmt.Errorf("make directory %s: %s is there", a.Path, typeName(a.Before.Mode))
	}
	if a.right(st) {
		return false, nil
	}
	if !a.Before.Mode.IsDir() {
		return false, fmt.Errorf("make directory %s: it is a symlink to %s; name that directory to change its owner or mode", a.Path, a.Before.Target)
	}
	return true, nil
}

// missing lists the directories to make, from the top.
func (a *Mkdir) missing(v host.View) ([]string, error) {
	made := []string{a.Path}
	for dir := path.Dir(a.Path); ; dir = path.Dir(dir) {
		st, err := v.Stat(dir)
		switch {
		case err == nil && !st.IsDir():
			return nil, fmt.Errorf("make directory %s: %s is not a directory", a.Path, dir)
		case err == nil:
			slices.Reverse(made)
			return made, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case !a.Parents:
			return nil, fmt.Errorf("make directory %s: there is no directory %s to hold it; make that first, or ask for parents", a.Path, dir)
		}
		made = append(made, dir)
	}
}

func (a *Mkdir) right(st host.Stat) bool {
	return st.Perm() == or(a.Mode, st.Perm()) && st.UID == or(a.UID, st.UID) && st.GID == or(a.GID, st.GID)
}

func (a *Mkdir) Apply(env *Env) (Result, error) {
	for _, name := range a.Made {
		err := env.Host.Mkdir(name, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return Result{}, err
		}
		if err := env.Host.SyncDir(path.Dir(name)); err != nil {
			return Result{}, err
		}
	}
	dir, base, err := parent(env.Host, a.Path)
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	m, err := readMeta(dir, base)
	if err != nil {
		return Result{}, err
	}
	want := meta{mode: or(a.Mode, perm(m.mode)), uid: or(a.UID, m.uid), gid: or(a.GID, m.gid), xattrs: m.xattrs}
	if err := setMeta(dir, base, want); err != nil {
		return Result{}, err
	}
	return Result{Summary: "made " + a.Path}, syncOwn(dir, base)
}

func (a *Mkdir) Undo(env *Env) error {
	for _, name := range slices.Backward(a.Made) {
		err := env.Host.Rmdir(name)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			err = emptyAndRemove(env, name)
		}
		switch {
		case host.Absent(err):
			continue
		case err != nil:
			return fmt.Errorf("undo: remove %s: %w; move away what it holds and try again", name, err)
		}
		if err := env.Host.SyncDir(path.Dir(name)); err != nil {
			return err
		}
	}
	if !a.Before.Exists {
		return nil
	}
	return env.Store.Restore(a.Before)
}

// emptyAndRemove removes a directory that was filled since, and keeps what it holds.
func emptyAndRemove(env *Env, name string) error {
	list, err := env.Host.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := setAside(env, path.Join(name, e.Name)); err != nil {
			return err
		}
	}
	return env.Host.Rmdir(name)
}

// Differences lists directories that are still there, or have another owner or mode than before.
func (a *Mkdir) Differences(env *Env) ([]string, error) {
	lines, err := env.Store.Compare(a.Before)
	if err != nil || a.Before.Exists {
		return lines, err
	}
	lines = nil
	for _, name := range a.Made {
		more, err := env.Store.Compare(Preimage{Path: name})
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// Preimages implements Recorder.
func (a *Mkdir) Preimages() []Preimage { return []Preimage{a.Before} }
