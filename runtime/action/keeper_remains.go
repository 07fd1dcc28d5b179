package action

import (
	"fmt"
	"slices"

	"zcp2kopano/runtime/host"
)

// remainsKeeper keeps what the package database knows of packages that are removed but for their configuration files.
type remainsKeeper struct {
	Remains map[string]string `json:"remains,omitempty"` // kept records, by name
}

func (k *remainsKeeper) record(env *Env, a *Commit, _ *found) error {
	var left []string
	for _, p := range a.Old {
		if p.Status == "config-files" {
			left = append(left, p.Name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	dir, err := keptFilesDir(env)
	if err != nil {
		return err
	}
	if k.Remains, err = env.Host.SaveRemains(env.Ctx, left, dir); err != nil {
		return err
	}
	return a.noteSums(env, k.Remains)
}

// restore makes the database know them again.
func (k *remainsKeeper) restore(env *Env, a *Commit) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	for _, old := range a.Old {
		file := k.Remains[old.Name]
		if file == "" || sameRemains(old, have[bareName(old.Name)]) {
			continue
		}
		if err := a.asKept(env, file); err != nil {
			return err
		}
		if err := env.Host.RestoreRemains(env.Ctx, file); err != nil {
			return err
		}
	}
	return nil
}

func (*remainsKeeper) compare(env *Env, a *Commit) ([]string, error) {
	return a.compareOld(env, func(old, now host.Package) string {
		if !lostRemains(old, now) {
			return ""
		}
		return fmt.Sprintf("package %s %s had left its configuration files, and the package database does not know that as before", old.Name, old.Version)
	})
}

// lostRemains reports whether the database does not know any more what a package had left.
func lostRemains(old, now host.Package) bool {
	return old.Status == "config-files" && !sameRemains(old, now)
}

func sameRemains(a, b host.Package) bool {
	return a.Status == b.Status && a.Version == b.Version && slices.Equal(a.Conffiles, b.Conffiles)
}
