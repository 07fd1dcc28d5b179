package action

import (
	"encoding/json"
	"fmt"
	"path"

	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Remove{} }) }

// Remove ("fs.remove") removes a file or a tree, and keeps it in the store: by one rename where both
// lie on the same file system, else by a verified copy. It refuses to remove a mount point.
//
// What is at the kept name is always complete. Apply: if nothing is kept yet, keep it (an unfinished
// copy goes on); then remove what is left of the tree. Undo: if something is kept, rename it back,
// or copy back what is missing and only then let go of the kept copy. Before that, what is kept is held
// against the inventory of what was there: what somebody took away, altered or added meanwhile comes
// back so, and is told.
type Remove struct {
	Path string `json:"path"`

	Before Preimage `json:"before"`
	Size   size     `json:"size"`
	Tree   *Blob    `json:"tree,omitempty"` // inventory of all that was there

	spoiled map[string]string // what was found wrong with what was kept when it was put back
}

// removeMark is what Remove journals beside its intent.
type removeMark struct {
	Kept    *Blob             `json:"kept,omitempty"`    // inventory of the kept copy, where it is one
	Spoiled map[string]string `json:"spoiled,omitempty"` // by name below the path
}

func (a *Remove) Kind() string             { return "fs.remove" }
func (a *Remove) Summary() string          { return "remove " + a.Path }
func (a *Remove) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Remove) Stage(*Env) error         { return nil }
func (a *Remove) Irreversible() string     { return "" }

func (a *Remove) Prepare(env *Env) (bool, error) {
	there, err := exists(env.Host, a.Path)
	if err != nil || !there {
		return false, err
	}
	mounts, err := mountsBelow(env.Host, a.Path)
	if err != nil {
		return false, err
	}
	if len(mounts) > 0 {
		return false, fmt.Errorf("remove %s: %s is a mount point; unmount it, or remove only what lies beside it", a.Path, mounts[0])
	}
	if a.Size, err = measure(env.Ctx, env.Host, a.Path); err != nil {
		return false, err
	}
	if a.Tree, err = inventory(env, a.Path, digested); err != nil {
		return false, err
	}
	a.Before, err = saveMeta(env, a.Path)
	return true, err
}

// Detail says how much is removed.
func (a *Remove) Detail(*Env) (Detail, error) {
	return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: true}, nil
}

func (a *Remove) kept(env *Env) string { return path.Join(env.Store.Dir, "kept", env.Tag) }

func (a *Remove) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("removed %s (%s)", a.Path, counted(a.Size.Files, "file", "files"))}
	kept := a.kept(env)
	if err := mkdirAll(env.Host, path.Dir(kept)); err != nil {
		return result, err
	}
	have, err := exists(env.Host, kept)
	if err != nil {
		return result, err
	}
	if !have {
		if err := a.keep(env, kept); err != nil {
			return result, fmt.Errorf("remove %s: keep it in %s first: %w", a.Path, env.Store.Dir, err)
		}
	}
	if err := a.vouch(env, kept); err != nil {
		return result, err
	}
	return result, dropPart(env, a.Path, kept)
}

func (a *Remove) keep(env *Env, kept string) error {
	_, err := carry(newCopier(env, "keep "+a.Path, a.Size), a.Path, kept)
	return err
}

// vouch writes down the inodes of what is kept, where they are others than before: those of a copy. The
// rename of a file is a change of it, too.
func (a *Remove) vouch(env *Env, kept string) error {
	r, _, err := a.reckoning(env)
	if err != nil || r == nil || r.kept != nil {
		return err
	}
	was, err := openInventory(env.Store, &r.was)
	if err != nil {
		return err
	}
	defer was.close()
	top, err := was.top()
	if err != nil {
		return err
	}
	st, err := env.Host.Lstat(kept)
	if err != nil || st.IsDir() && st.Ino == top.Ino && (top.Dev == 0 || st.Dev == top.Dev) {
		return err
	}
	b, err := inventory(env, kept, 0)
	if err != nil {
		return err
	}
	return env.Mark(removeMark{Kept: b})
}

func (a *Remove) Undo(env *Env) error {
	kept := a.kept(env)
	if err := clearTemps(env, kept); err != nil {
		return err
	}
	if err := a.inspect(env, kept); err != nil {
		return fmt.Errorf("look through what was kept of %s: %w", a.Path, err)
	}
	if err := putBack(newCopier(env, "put "+a.Path+" back", a.Size), kept, a.Path); err != nil {
		return fmt.Errorf("put %s back: %w", a.Path, err)
	}
	return letGo(env, kept, a.Path)
}

// inspect compares what is kept with what was there, and journals what it finds before it is put back.
func (a *Remove) inspect(env *Env, kept string) error {
	have, err := exists(env.Host, kept)
	if err != nil || !have {
		return err
	}
	r, _, err := a.reckoning(env)
	if err != nil || r == nil {
		return err
	}
	if err := r.check(env, kept, false); err != nil || len(r.found) == 0 {
		return err
	}
	a.spoiled = r.found
	return env.Mark(removeMark{Spoiled: r.found})
}

// reckoning begins a comparison with the inventory, and returns what was found when the tree was put back;
// nil for a run of a version that took none.
func (a *Remove) reckoning(env *Env) (*reckoning, map[string]string, error) {
	if a.Tree == nil {
		return nil, nil, nil
	}
	r := &reckoning{was: *a.Tree}
	spoiled := a.spoiled
	for _, data := range env.Marks {
		var m removeMark
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, nil, err
		}
		if m.Kept != nil {
			r.kept = m.Kept
		}
		if m.Spoiled != nil {
			spoiled = m.Spoiled
		}
	}
	return r, spoiled, nil
}

// Differences lists how what is there differs from before: entry by entry, and what was found to be
// spoiled when it was put back, until its digest says that somebody has repaired it.
func (a *Remove) Differences(env *Env) ([]string, error) {
	r, spoiled, err := a.reckoning(env)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return compareMeta(env, a.Before)
	}
	r.spoiled = spoiled
	if err := r.check(env, a.Path, true); err != nil {
		return nil, err
	}
	return r.lines(a.Path), nil
}
