package action

import (
	"errors"
	"io/fs"
	"path"
)

// ghostsKeeper has what packages own without having brought it (a log, for example) stay when they go, as it does where dpkg
// is: rpm erases it with them, and no package file brings it back. So it has a second name while packages are at work: there
// may be much in it, and a name takes no space.
type ghostsKeeper struct {
	Ghosts []string `json:"ghosts,omitempty"`
}

// record leaves pipes and sockets to their daemons. A directory that holds something stays by itself.
func (k *ghostsKeeper) record(env *Env, a *Commit, _ *found) error {
	for _, p := range a.Old {
		for _, name := range p.Ghosts {
			st, err := env.Host.Lstat(name)
			if err != nil && !absent(err) {
				return err
			}
			if err == nil && (st.IsRegular() || st.IsSymlink()) {
				k.Ghosts = append(k.Ghosts, path.Clean(name))
			}
		}
	}
	return nil
}

// begins gives the second names.
func (k *ghostsKeeper) begins(env *Env, _ *Commit) error {
	for _, name := range k.Ghosts {
		if err := secondName(env, name); err != nil {
			return err
		}
	}
	return nil
}

// secondName does nothing where nothing is there any more. What somebody has made again since an interrupted transaction
// gave the second name is set aside.
func secondName(env *Env, name string) error {
	dir, base, err := parent(env.Host, name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Link(base, dir, path.Base(ghostOf(name)))
	switch {
	case absent(err):
		return nil
	case errors.Is(err, fs.ErrExist):
		return madeAgain(env, name)
	case err != nil:
		return err
	}
	return dir.SyncSelf()
}

// madeAgain sets aside what is there and is not what has the second name.
func madeAgain(env *Env, name string) error {
	first, err := env.Host.Lstat(name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	second, err := env.Host.Lstat(ghostOf(name))
	if err != nil || first.Dev == second.Dev && first.Ino == second.Ino {
		return err
	}
	return setAside(env, name)
}

func ghostOf(name string) string {
	return path.Join(path.Dir(name), tempPrefix+"ghost-"+keptTree{of: name}.key())
}

func (k *ghostsKeeper) ended(env *Env) error {
	for _, name := range k.Ghosts {
		if err := giveGhost(env, name); err != nil {
			return err
		}
	}
	return nil
}

func (k *ghostsKeeper) restore(env *Env, _ *Commit) error { return k.ended(env) }

// giveGhost takes the second name away, and the first back.
func giveGhost(env *Env, name string) error {
	there, err := exists(env.Host, ghostOf(name))
	if err != nil || !there {
		return err
	}
	if err := madeAgain(env, name); err != nil {
		return err
	}
	if there, err = exists(env.Host, name); err != nil {
		return err
	}
	if there {
		return removePath(env.Host, ghostOf(name))
	}
	return renamePath(env.Host, ghostOf(name), name)
}

func (k *ghostsKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	var lines []string
	for _, name := range k.Ghosts {
		there, err := exists(env.Host, name)
		if err != nil {
			return nil, err
		}
		if !there {
			lines = append(lines, name+": is missing")
		}
	}
	return lines, nil
}
