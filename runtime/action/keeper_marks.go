package action

import (
	"errors"
	"fmt"

	"zcp2kopano/runtime/host"
)

// marksKeeper sets again which packages are held, and which count as installed automatically. Both are recorded with
// the packages.
type marksKeeper struct{}

func (*marksKeeper) record(*Env, *Commit, *found) error { return nil }

func (*marksKeeper) restore(env *Env, a *Commit) error {
	have, err := packages(env.Host)
	if err != nil {
		return err
	}
	var marks []host.PackageMark
	for _, old := range a.Old {
		now := have[bareName(old.Name)]
		if old.Installed() && now.Installed() && (old.Held != now.Held || old.Auto != now.Auto) {
			marks = append(marks, host.PackageMark{Name: old.Name, Held: old.Held, Auto: old.Auto})
		}
	}
	if len(marks) == 0 {
		return nil
	}
	err = env.Host.MarkPackages(env.Ctx, marks)
	if errors.Is(err, host.ErrUnsupported) {
		return nil // compare tells
	}
	return err
}

func (*marksKeeper) compare(env *Env, a *Commit) ([]string, error) {
	return a.compareOld(env, func(old, now host.Package) string {
		switch {
		case lostRemains(old, now): // its keeper tells
		case old.Held != now.Held:
			return fmt.Sprintf("package %s is %s, was %s", old.Name, heldOrNot(now), heldOrNot(old))
		case old.Auto != now.Auto:
			return fmt.Sprintf("package %s counts as %s, counted as %s", old.Name, autoOrNot(now), autoOrNot(old))
		}
		return ""
	})
}

func heldOrNot(p host.Package) string {
	if p.Held {
		return "on hold"
	}
	return "not on hold"
}

func autoOrNot(p host.Package) string {
	if p.Auto {
		return "installed automatically"
	}
	return "installed by hand"
}
