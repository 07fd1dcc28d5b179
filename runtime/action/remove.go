package action

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Remove{} }) }

// Remove ("fs.remove") removes a file or a tree, and keeps it in the store: by one rename where both
// lie on the same file system, else by a verified copy. It refuses to remove a mount point.
//
// What is at the kept name is always complete. Apply: if nothing is kept yet, keep it (an unfinished
// copy goes on); then remove what is left of the tree. Undo: if something is kept, rename it back,
// or copy back what is missing and only then let go of the kept copy.
type Remove struct {
	Path string `json:"path"`

	Before Preimage `json:"before"`
	Size   size     `json:"size"`
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
	a.Before, err = saveMeta(env, a.Path)
	return true, err
}

// saveMeta is Store.Save without the content, for what is kept whole.
func saveMeta(env *Env, name string) (Preimage, error) {
	p := Preimage{Path: name, Exists: true}
	dir, err := env.Host.OpenTree(path.Dir(name))
	if err != nil {
		return p, err
	}
	defer dir.Close()
	m, err := readMeta(dir, path.Base(name))
	p.Mode, p.UID, p.GID, p.Atime, p.Mtime, p.Xattrs = m.mode, m.uid, m.gid, m.atime, m.mtime, m.xattrs
	return p, err
}

// Detail says how much is removed.
func (a *Remove) Detail(*Env) (Detail, error) {
	return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: true}, nil
}

func (a *Remove) kept(env *Env) string { return path.Join(env.Store.Dir, "kept", env.Tag) }

func (a *Remove) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("removed %s (%d files)", a.Path, a.Size.Files)}
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
	return result, dropPart(env, a.Path, kept)
}

// dropPart removes what is left at path home of what is complete at path kept.
func dropPart(env *Env, home, kept string) error {
	left, err := exists(env.Host, home)
	if err != nil || !left {
		return err
	}
	if err := needPart(env, home, kept); err != nil {
		return fmt.Errorf("remove %s: %w", home, err)
	}
	return removePath(env.Host, home)
}

func (a *Remove) keep(env *Env, kept string) error {
	if err := clearTemp(env, kept); err != nil {
		return err
	}
	err := renamePath(env.Host, a.Path, kept)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	return newCopier(env, a.Size).place(a.Path, kept)
}

// clearTemp removes an unfinished file, and leaves an unfinished tree to be finished.
func clearTemp(env *Env, name string) error {
	return removePath(env.Host, path.Join(path.Dir(name), env.temp()))
}

func (a *Remove) Undo(env *Env) error {
	kept := a.kept(env)
	if err := clearTemps(env, kept); err != nil {
		return err
	}
	if err := putBack(newCopier(env, a.Size), kept, a.Path); err != nil {
		return fmt.Errorf("put %s back: %w", a.Path, err)
	}
	return letGo(env, kept, a.Path)
}

// putBack brings what is complete at path kept back to path home, where at most a part of it is
// left: a part that looks the same. Nothing at kept means that nothing was taken away. After a copy
// both are there, until letGo.
func putBack(c *copier, kept, home string) error {
	env := c.env
	if err := removePath(env.Host, goneTemp(env, kept)); err != nil {
		return err
	}
	if err := clearTemps(env, home); err != nil {
		return err
	}
	have, err := exists(env.Host, kept)
	if err != nil || !have {
		return err
	}
	left, err := exists(env.Host, home)
	if err != nil {
		return err
	}
	if !left {
		err := renamePath(env.Host, kept, home)
		if !errors.Is(err, syscall.EXDEV) {
			return err
		}
	} else if err := needPart(env, home, kept); err != nil {
		return err
	}
	_, err = c.copyTo(kept, home)
	return err
}

// letGo removes what is at path kept once all of it is back. It loses its name first, because that
// name stands for something complete.
func letGo(env *Env, kept, home string) error {
	have, err := exists(env.Host, kept)
	if err != nil || !have {
		return err
	}
	if err := needPart(env, kept, home); err != nil {
		return err
	}
	gone := goneTemp(env, kept)
	if err := renamePath(env.Host, kept, gone); err != nil {
		return err
	}
	return removePath(env.Host, gone)
}

func goneTemp(env *Env, kept string) string {
	return path.Join(path.Dir(kept), env.temp()+".gone")
}

// needPart refuses to go on if path a holds something that path b does not hold alike.
func needPart(env *Env, a, b string) error {
	same, err := partOf(env.Ctx, env.Host, a, b, env.temp())
	if err == nil && !same {
		err = fmt.Errorf("%s and %s both exist and differ; move the one that is not wanted away and try again", a, b)
	}
	return err
}

// Differences lists how the path differs from before, by its metadata.
func (a *Remove) Differences(env *Env) ([]string, error) { return compareMeta(env, a.Before) }
