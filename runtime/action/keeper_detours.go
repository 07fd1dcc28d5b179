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
	above := map[string]bool{} // what packages have something below is a directory to them
	for name := range f.paths {
		above[path.Dir(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(f.paths)) {
		to, err := leadsToDir(env.Host, name)
		if err != nil {
			return err
		}
		if to == "" || !above[name] && (f.paths[to] || !ofSites(name)) { // else it is a link of the package's own
			continue
		}
		p, err := env.Store.Save(name)
		if err != nil {
			return err
		}
		k.Detours = append(k.Detours, p)
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

// ended has what lies behind a symlink stay within reach.
func (k *detoursKeeper) ended(env *Env) error { return k.putBack(env) }

func (k *detoursKeeper) restore(env *Env, _ *Commit) error { return k.putBack(env) }

// putBack leaves out those whose own directory went with the packages.
func (k *detoursKeeper) putBack(env *Env) error {
	for _, p := range k.Detours {
		_, err := env.Host.Stat(path.Dir(p.Path))
		if host.Absent(err) {
			continue
		}
		if err == nil {
			err = env.Store.Restore(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *detoursKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	return compareAll(env, k.Detours)
}
