package action

import (
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// detoursKeeper keeps the symlinks that the admin has put in the place of the packages' directories. dpkg removes one with
// the last package that has the directory, though what it leads to stays, and makes a directory there when one comes back.
type detoursKeeper struct {
	Detours []Preimage `json:"detours,omitempty"`
}

func (k *detoursKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, name := range slices.Sorted(maps.Keys(f.detours)) {
		p, err := env.Store.Save(name)
		if err != nil {
			return err
		}
		k.Detours = append(k.Detours, p)
	}
	return nil
}

// findDetours finds the symlinks of the admin's that stand in the place of the packages' directories. What packages have
// something below is a directory to them; another link may be their own.
func (f *found) findDetours(v host.View) error {
	above := map[string]bool{}
	for name := range f.paths {
		above[path.Dir(name)] = true
	}
	f.detours = map[string]string{}
	for name := range f.paths {
		to, err := leadsToDir(v, name)
		if err != nil {
			return err
		}
		if to != "" && (above[name] || !f.paths[to] && ofSites(name)) {
			f.detours[name] = to
		}
	}
	return nil
}

// ofSites reports whether a path lies where sites have their data and configuration.
func ofSites(name string) bool {
	return strings.HasPrefix(name, "/etc/") || strings.HasPrefix(name, "/var/")
}

// leadsToDir is the directory that a symlink leads to; empty for anything else.
func leadsToDir(v host.View, name string) (string, error) {
	st, err := v.Lstat(name)
	if host.Absent(err) || err == nil && !st.IsSymlink() {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	to, err := Resolve(v, name)
	if err != nil { // it leads nowhere, or is somebody's
		return "", nil
	}
	if is, err := isDir(v, to); err != nil || !is {
		return "", err
	}
	return to, nil
}

// ended has what lies behind a symlink stay within reach. One whose own directory went with the packages waits for the way
// back.
func (k *detoursKeeper) ended(env *Env) error {
	for _, p := range k.Detours {
		if _, err := env.Host.Stat(path.Dir(p.Path)); host.Absent(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := k.putBack(env, p); err != nil {
			return err
		}
	}
	return nil
}

// restore has what comes back find the symlinks: it would make directories in their place.
func (k *detoursKeeper) restore(env *Env, _ *Commit) error {
	for _, p := range k.Detours {
		if err := makeDirs(env.Host, path.Dir(p.Path), 0o755); err != nil {
			return err
		}
		if err := k.putBack(env, p); err != nil {
			return err
		}
	}
	return nil
}

// putBack leaves alone what has taken the symlink's place since: whoever compares tells of it.
func (k *detoursKeeper) putBack(env *Env, p Preimage) error {
	if _, err := env.Host.Lstat(p.Path); !host.Absent(err) {
		return err
	}
	return env.Store.Restore(p)
}

func (k *detoursKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	return compareAll(env, k.Detours)
}
