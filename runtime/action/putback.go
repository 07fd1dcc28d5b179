package action

import (
	"context"
	"errors"
	"fmt"
	"path"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
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
	return env.remove(home, size{})
}

// putBack brings what is complete at path kept back to path home, where at most a part of it is
// left: a part that looks the same. Nothing at kept means that nothing was taken away. After a copy
// both are there, until letGo.
func putBack(c *copier, kept, home string) error {
	env := c.env
	if err := env.remove(goneTemp(env, kept), size{}); err != nil {
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
	return env.remove(gone, size{})
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
	st, same, err := alikeAt(a, aName, b, bName)
	if err != nil || !same || !st.IsDir() {
		return same, err
	}
	root, err := pairOfDirs{a, b}.openAs(aName, bName)
	if err != nil {
		return false, err
	}
	defer root.Close()
	c := tree.Crew[pairOfDirs]{Ctx: ctx, Open: pairOfDirs.openBoth, Leaves: pairOfDirs.alike}
	if ignore != "" {
		c.Leave = func(rel string) bool { return isDraft(path.Base(rel), ignore) }
	}
	err = c.Work(root, st.Dev)
	if errors.Is(err, errUnlike) {
		return false, nil
	}
	return err == nil, err
}

// pairOfDirs is a directory, and the one that is to hold the same.
type pairOfDirs struct {
	host.DirReader
	other host.DirReader
}

// errUnlike ends a comparison.
var errUnlike = errors.New("they differ")

func (t pairOfDirs) openBoth(name string) (pairOfDirs, error) {
	same, err := t.one(name)
	if err != nil {
		return pairOfDirs{}, err
	}
	if !same {
		return pairOfDirs{}, errUnlike
	}
	return t.openAs(name, name)
}

func (t pairOfDirs) openAs(name, otherName string) (sub pairOfDirs, err error) {
	if sub.DirReader, err = t.OpenDir(name); err != nil {
		return sub, err
	}
	if sub.other, err = t.other.OpenDir(otherName); err == nil {
		return sub, nil
	}
	sub.DirReader.Close()
	if host.Absent(err) {
		err = errUnlike // the crew takes for done what is not there any more: that holds of the first only
	}
	return sub, err
}

func (t pairOfDirs) Close() error { return errors.Join(t.DirReader.Close(), t.other.Close()) }

// Parallel implements host.Parallel.
func (t pairOfDirs) Parallel() int { return min(tree.Lanes(t.DirReader), tree.Lanes(t.other)) }

func (t pairOfDirs) one(name string) (same bool, err error) {
	_, same, err = alikeAt(t.DirReader, name, t.other, name)
	return same, err
}

// alike refuses names that are not alike in both.
func (t pairOfDirs) alike(_ string, names []string) error {
	for _, name := range names {
		same, err := t.one(name)
		if err == nil && !same {
			err = errUnlike
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alike reports whether two entries look the same without reading their content: type, owner, mode,
// and size and modification time of a regular file. A copy gets its name only when all of that is
// set, so one that looks the same is complete. Directories are alike if both are directories.
func alike(a host.Held, ast host.Stat, b host.DirReader, bName string) (bool, error) {
	bst, err := b.Lstat(bName)
	if host.Absent(err) {
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
