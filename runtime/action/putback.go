package action

import (
	"context"
	"errors"
	"fmt"
	"path"
	"syscall"

	"zcp2kopano/runtime/host"
)

// carry moves what is at a path, across file systems by a verified copy. Then the original is still there, for
// dropPart. A copy that was broken off is gone on with.
func carry(c *copier, from, to string) (copied bool, err error) {
	if err := clearTemp(c.env, to); err != nil {
		return false, err
	}
	err = renamePath(c.env.Host, from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return false, err
	}
	return true, c.place(from, to)
}

// carryAway moves what is at a path into the store.
func carryAway(env *Env, from, to string) error {
	if err := clearTemps(env, to); err != nil {
		return err
	}
	copied, err := carry(newCopier(env, "copy "+from, size{}), from, to)
	if err != nil || !copied {
		return err
	}
	return dropPart(env, from, to)
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

// partOf reports whether all that is at path a is also, and alike, at path b. Drafts of the action
// with this temp are left out.
func partOf(ctx context.Context, v host.View, a, b, ignore string) (bool, error) {
	aDir, err := v.OpenTree(path.Dir(a))
	if err != nil {
		return false, err
	}
	defer aDir.Close()
	bDir, err := v.OpenTree(path.Dir(b))
	if err != nil {
		return false, err
	}
	defer bDir.Close()
	return partOfDir(ctx, aDir, path.Base(a), bDir, path.Base(b), ignore)
}

func partOfDir(ctx context.Context, a host.DirReader, aName string, b host.DirReader, bName, ignore string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	st, same, err := alikeAt(a, aName, b, bName)
	if err != nil || !same || !st.IsDir() {
		return same, err
	}
	aSub, err := a.OpenDir(aName)
	if err != nil {
		return false, err
	}
	defer aSub.Close()
	bSub, err := b.OpenDir(bName)
	if err != nil {
		return false, err
	}
	defer bSub.Close()
	list, err := aSub.ReadDir()
	if err != nil {
		return false, err
	}
	for _, de := range list {
		if ignore != "" && isDraft(de.Name, ignore) {
			continue
		}
		if same, err := partOfDir(ctx, aSub, de.Name, bSub, de.Name, ignore); err != nil || !same {
			return same, err
		}
	}
	return true, nil
}

// alike reports whether two entries look the same without reading their content: type, owner, mode,
// and size and modification time of a regular file. A copy gets its name only when all of that is
// set, so one that looks the same is complete. Directories are alike if both are directories.
func alike(a host.Held, ast host.Stat, b host.DirReader, bName string) (bool, error) {
	bst, err := b.Lstat(bName)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if ast.Mode.Type() != bst.Mode.Type() {
		return false, nil
	}
	if ast.IsDir() {
		return true, nil
	}
	if ast.UID != bst.UID || ast.GID != bst.GID || ast.Rdev != bst.Rdev {
		return false, nil
	}
	if ast.IsSymlink() {
		at, err := a.Readlink()
		if err != nil {
			return false, err
		}
		bt, err := b.Readlink(bName)
		return at == bt, err
	}
	if ast.Perm() != bst.Perm() {
		return false, nil
	}
	return !ast.IsRegular() || ast.Size == bst.Size && sameTime(ast.Mtime, bst.Mtime), nil
}

// alikeAt is alike by name, and tells what the first is.
func alikeAt(a host.DirReader, aName string, b host.DirReader, bName string) (host.Stat, bool, error) {
	e, err := a.Hold(aName)
	if err != nil {
		return host.Stat{}, false, err
	}
	defer e.Close()
	st, err := e.Stat()
	if err != nil {
		return st, false, err
	}
	same, err := alike(e, st, b, bName)
	return st, same, err
}
