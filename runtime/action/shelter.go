package action

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

// shelter takes data that lies in a directory of the packages that go, and is to stay, out of the reach of their
// scripts: one may remove what it takes for its own when it is purged (Debian's kopano-server does). It is one
// rename; unshelter takes it back.
func shelter(env *Env, going []string) error {
	for _, name := range env.InPlace {
		st, err := env.Host.Lstat(name)
		if host.Absent(err) || err == nil && !st.IsDir() {
			continue
		}
		if err != nil {
			return err
		}
		reached, err := withinReach(env, name, going)
		if err != nil {
			return fmt.Errorf("whose %s is: %w", name, err)
		}
		if !reached {
			continue
		}
		real, err := whereIs(env, name)
		if err != nil {
			return err
		}
		mounts, err := mountsBelow(env.Host, real)
		if err != nil {
			return err
		}
		if len(mounts) > 0 {
			return fmt.Errorf("%s lies where the scripts of %s may remove it, and %s is a mount, which cannot be moved: unmount it, go on with the rollback, and mount it again after that",
				name, strings.Join(going, ", "), mounts[0])
		}
		if err := moveToShelter(env, name, real); err != nil {
			return fmt.Errorf("move %s out of the reach of the packages' scripts: %w", name, err)
		}
	}
	return nil
}

// withinReach reports whether the scripts of packages may take data for theirs. Once they might, they may: those whose
// directory it is can be gone by now, and others not yet.
func withinReach(env *Env, name string, going []string) (bool, error) {
	noted, err := exists(env.Host, noteOf(env, name))
	if err != nil {
		return false, err
	}
	if !noted {
		if noted, err = ownedAlone(env.Host, name, going); err != nil || !noted {
			return false, err
		}
	}
	return true, noteReal(env, name)
}

// noteOf is there once data was to be sheltered.
func noteOf(env *Env, name string) string {
	return path.Join(env.Store.Dir, "sheltered", keptTree{of: name}.key()+".needed")
}

// noteReal notes where data lies behind the symlinks of its path, one of which may go with the packages.
func noteReal(env *Env, name string) error {
	real, err := whereIs(env, name)
	if err == nil {
		err = mkdirAll(env.Host, noteOf(env, name))
	}
	if err == nil {
		err = env.Host.Symlink(real, realOf(env, name))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func realOf(env *Env, name string) string { return path.Join(noteOf(env, name), "at") }

// whereIs is where data lies, or lay when that was noted.
func whereIs(env *Env, name string) (string, error) {
	noted, err := env.Host.Readlink(realOf(env, name))
	if host.Absent(err) {
		return Resolve(env.Host, name)
	}
	return noted, err
}

func moveToShelter(env *Env, name, real string) error {
	to, err := shelterOf(env, name)
	if err != nil {
		return err
	}
	if err := mkdirAll(env.Host, path.Dir(to)); err != nil {
		return err
	}
	parent, err := env.Host.OpenTreeWrite(path.Dir(real))
	if err != nil {
		return err
	}
	defer parent.Close()
	if there, err := exists(env.Host, placeOf(real)); err != nil {
		return err
	} else if !there {
		err := writeFile(parent, path.Base(placeOf(real)), strings.NewReader("keeps this directory while a rollback purges packages\n"))
		if err != nil {
			return err
		}
	}
	return renamePath(env.Host, real, to)
}

// unshelter takes back what shelter has moved, also of an Undo that was interrupted.
func unshelter(env *Env) error {
	for _, name := range env.InPlace {
		from, err := shelterOf(env, name)
		if err != nil {
			return err
		}
		real, err := whereIs(env, name)
		if err != nil {
			return err
		}
		there, err := exists(env.Host, from)
		switch {
		case err == nil && there:
			err = fromShelter(env, from, real)
		case err == nil:
			err = missed(env, name, real)
		}
		if err == nil {
			err = removePath(env.Host, placeOf(real))
		}
		if err != nil && !host.Absent(err) {
			return fmt.Errorf("move %s back from %s: %w", name, from, err)
		}
	}
	return nil
}

// missed is an error if what was sheltered is neither there nor at its place: its file system is not mounted, say.
func missed(env *Env, name, real string) error {
	noted, err := exists(env.Host, noteOf(env, name))
	if err != nil || !noted {
		return err
	}
	there, err := exists(env.Host, real)
	if err == nil && !there {
		err = errors.New("it is in neither place; mount the file system that it lies on, and roll back again")
	}
	return err
}

func fromShelter(env *Env, from, name string) error {
	if there, err := exists(env.Host, name); err != nil {
		return err
	} else if there { // somebody has made it again
		if err := setAside(env, name); err != nil {
			return err
		}
	}
	if err := mkdirAll(env.Host, path.Dir(name)); err != nil {
		return err
	}
	return renamePath(env.Host, from, name)
}

// placeOf is a file beside data that is sheltered, so that its directory is not empty, and stays.
func placeOf(name string) string {
	return path.Join(path.Dir(name), tempPrefix+"place-"+keptTree{of: name}.key())
}

// shelterOf is where data is while packages go: in the store, or, as a rename cannot leave a mount, at the top of its
// own.
func shelterOf(env *Env, name string) (string, error) {
	mounts, err := env.Host.Mounts()
	if err != nil {
		return "", err
	}
	store, err := Resolve(env.Host, env.Store.Dir)
	if err != nil {
		return "", err
	}
	real, err := whereIs(env, name)
	if err != nil {
		return "", err
	}
	key := keptTree{of: name}.key()
	if point := pointOf(mounts, real); point != pointOf(mounts, store) {
		return path.Join(point, tempPrefix+"shelter-"+key), nil
	}
	return path.Join(env.Store.Dir, "sheltered", key), nil
}

// liesIn reports whether a path is a directory, or below it.
func liesIn(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// ownedAlone reports whether a path lies in a directory that packages own, all of them among these, be it behind a
// symlink that the admin has put in a directory's place. One of the system is theirs never, also where no other
// package lists it.
func ownedAlone(v host.View, name string, these []string) (bool, error) {
	all, err := v.Packages()
	if err != nil {
		return false, err
	}
	real, err := Resolve(v, name)
	if err != nil {
		return false, err
	}
	holds := func(dir string) (bool, error) {
		if liesIn(name, dir) {
			return true, nil
		}
		behind, err := Resolve(v, dir)
		return err == nil && liesIn(real, behind), err
	}
	mine := map[string]bool{}
	for _, item := range these {
		mine[bareName(item)] = true
	}
	alone := map[string]bool{}
	for _, going := range []bool{true, false} {
		for _, p := range all {
			if mine[bareName(p.Name)] != going || !going && (!p.Installed() || len(alone) == 0) {
				continue
			}
			files, err := v.PackageFiles(p.Name)
			if err != nil && p.Installed() && !errors.Is(err, host.ErrUnknown) {
				return false, err // of one that is half there the list may be missing
			}
			for _, file := range files {
				file = path.Clean(file)
				switch {
				case !going:
					delete(alone, file)
				case policy.OfTheSystem(file):
				default:
					held, err := holds(file)
					if err != nil {
						return false, err
					}
					if held {
						alone[file] = true
					}
				}
			}
		}
	}
	return len(alone) > 0, nil
}
