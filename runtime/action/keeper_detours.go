package action

import (
	"maps"
	"slices"

	"zcp2kopano/runtime/host"
)

// detoursKeeper keeps the symlinks that the admin has put in the place of the packages' directories. dpkg removes one with
// the last package that has the directory, though what it leads to stays, and makes a directory there when one comes back.
type detoursKeeper struct {
	Detours []Preimage `json:"detours,omitempty"`
}

func (k *detoursKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, name := range slices.Sorted(maps.Keys(f.paths)) {
		st, err := env.Host.Lstat(name)
		if host.Absent(err) || err == nil && !st.IsSymlink() {
			continue
		}
		if err != nil {
			return err
		}
		real, err := Resolve(env.Host, name)
		if err != nil {
			continue
		}
		if is, err := isDir(env.Host, real); err != nil || !is {
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

// ended has what lies behind a symlink stay within reach.
func (k *detoursKeeper) ended(env *Env) error { return restoreAll(env, k.Detours) }

func (k *detoursKeeper) restore(env *Env, _ *Commit) error { return restoreAll(env, k.Detours) }

func (k *detoursKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	return compareAll(env, k.Detours)
}
