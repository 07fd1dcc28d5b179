package action

import (
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// masksKeeper takes away masks of the services that came. Their packages' scripts mask a service when it is removed and
// unmask it at the purge, by a record that they write after the mask (deb-systemd-helper): a purge that is broken off
// between the two, and done again, leaves the mask.
type masksKeeper struct {
	Masks []string `json:"masks,omitempty"` // paths where a mask may come, and nothing was
}

func (k *masksKeeper) record(env *Env, a *Commit, _ *found) error {
	for _, name := range a.New {
		mask := path.Join(systemdDir, bareName(name)+".service")
		if _, err := env.Host.Lstat(mask); err == nil {
			continue
		} else if !absent(err) {
			return err
		}
		k.Masks = append(k.Masks, mask)
	}
	slices.Sort(k.Masks)
	return nil
}

// restore leaves alone whatever is no mask: somebody else made it.
func (k *masksKeeper) restore(env *Env, _ *Commit) error {
	came, err := k.came(env.Host)
	if err != nil {
		return err
	}
	for _, mask := range came {
		if err := removePath(env.Host, mask); err != nil {
			return err
		}
	}
	return nil
}

func (k *masksKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	came, err := k.came(env.Host)
	for i, mask := range came {
		came[i] = mask + ": masks a service, and was not there"
	}
	return came, err
}

func (k *masksKeeper) came(v host.FileReader) ([]string, error) {
	var came []string
	for _, mask := range k.Masks {
		st, err := v.Lstat(mask)
		if absent(err) || err == nil && !st.IsSymlink() {
			continue
		}
		if err != nil {
			return nil, err
		}
		to, err := v.Readlink(mask)
		if err != nil {
			return nil, err
		}
		if to == "/dev/null" {
			came = append(came, mask)
		}
	}
	return came, nil
}
