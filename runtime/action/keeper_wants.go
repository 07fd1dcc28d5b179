package action

import (
	"path"
	"strings"
)

// systemdDir is where systemctl enable and mask make their links.
const systemdDir = "/etc/systemd/system"

// wantsKeeper keeps the links that start a masked service at boot: they are without effect as long as it is masked,
// systemd does not show them, and a purge takes them away.
type wantsKeeper struct {
	Wants []Preimage `json:"wants,omitempty"`
}

func (k *wantsKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, s := range f.services {
		if !s.Masked {
			continue
		}
		if err := k.recordService(env, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func (k *wantsKeeper) recordService(env *Env, service string) error {
	entries, err := env.Host.ReadDir(systemdDir)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, ".wants") && !strings.HasSuffix(e.Name, ".requires") {
			continue
		}
		link, err := env.Store.Save(path.Join(systemdDir, e.Name, service+".service"))
		if err != nil {
			return err
		}
		if !link.Exists {
			continue
		}
		dir, err := saveMeta(env, path.Join(systemdDir, e.Name))
		if err != nil {
			return err
		}
		k.Wants = append(k.Wants, dir, link)
	}
	return nil
}

func (k *wantsKeeper) restore(env *Env, _ *Commit) error { return restoreAll(env, k.Wants) }

func (k *wantsKeeper) compare(env *Env, _ *Commit) ([]string, error) { return compareAll(env, k.Wants) }
