package action

import (
	"fmt"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/fstab"
	"zcp2kopano/runtime/policy"
)

func init() {
	register(func() Action { return &Mount{} })
	register(func() Action { return &Unmount{} })
}

// Mount ("fs.mount") mounts at an empty directory what fstab lists for it. If Source is set, that and nothing else
// must be there then.
//
// The mount table tells how far it came. Undo unmounts it.
type Mount struct {
	Point  string `json:"point"`
	Source string `json:"source,omitempty"` // as the mount table has it
	Type   string `json:"type,omitempty"`
}

func (a *Mount) Kind() string             { return "fs.mount" }
func (a *Mount) Summary() string          { return "mount " + a.Point }
func (a *Mount) Touches() []policy.Target { return pathTargets(a.Point) }
func (a *Mount) Stage(*Env) error         { return nil }
func (a *Mount) Irreversible() string     { return "" }

func (a *Mount) Prepare(env *Env) (bool, error) {
	there, err := mountedAt(env.Host, a.Point)
	if err != nil {
		return false, err
	}
	if there != nil {
		return false, a.check(*there)
	}
	if err := straight(env.Host, a.Point); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := listed(env.Host, a.Point); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	entries, err := env.Host.ReadDir(a.Point)
	if err != nil {
		return false, err
	}
	if len(entries) > 0 {
		return false, fmt.Errorf("%s: the directory is not empty, and the mount would hide what is in it", a.Summary())
	}
	return true, nil
}

// check refuses another file system than the one that is wanted.
func (a *Mount) check(m host.Mount) error {
	if a.Source == "" || m.Source == a.Source && m.Type == a.Type {
		return nil
	}
	return fmt.Errorf("%s: %s (%s) is mounted there, and not %s (%s)", a.Summary(), m.Source, m.Type, a.Source, a.Type)
}

func (a *Mount) Apply(env *Env) (Result, error) {
	m, err := mountNow(env, a.Point)
	if err != nil {
		return Result{}, err
	}
	return Result{Summary: fmt.Sprintf("%s (%s) is mounted at %s", m.Source, m.Type, a.Point)}, a.check(m)
}

func (a *Mount) Undo(env *Env) error { return unmountNow(env, a.Point) }

// Differences tells what is still mounted.
func (a *Mount) Differences(env *Env) ([]string, error) {
	m, err := mountedAt(env.Host, a.Point)
	if err != nil || m == nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%s is mounted at %s, where nothing was", m.Source, a.Point)}, nil
}

// Unmount ("fs.unmount") takes away what is mounted at a point. Undo mounts it again, by fstab.
type Unmount struct {
	Point string     `json:"point"`
	Was   host.Mount `json:"was"`
}

func (a *Unmount) Kind() string             { return "fs.unmount" }
func (a *Unmount) Summary() string          { return "unmount " + a.Point }
func (a *Unmount) Touches() []policy.Target { return pathTargets(a.Point) }
func (a *Unmount) Stage(*Env) error         { return nil }
func (a *Unmount) Irreversible() string     { return "" }

// Prepare refuses what could not be mounted again.
func (a *Unmount) Prepare(env *Env) (bool, error) {
	if err := straight(env.Host, a.Point); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	m, err := mountedAt(env.Host, a.Point)
	if err != nil || m == nil {
		return false, err
	}
	points, err := mountsBelow(env.Host, a.Point)
	if err != nil {
		return false, err
	}
	if len(points) > 1 {
		return false, fmt.Errorf("%s: more than one is mounted at it or below it: %s", a.Summary(), strings.Join(points, ", "))
	}
	a.Was = *m
	if err := listed(env.Host, a.Point); err != nil {
		return false, fmt.Errorf("%s: %w; it could not be mounted again", a.Summary(), err)
	}
	return true, nil
}

func (a *Unmount) Apply(env *Env) (Result, error) {
	return Result{Summary: fmt.Sprintf("%s is not mounted at %s any more", a.Was.Source, a.Point)}, unmountNow(env, a.Point)
}

func (a *Unmount) Undo(env *Env) error {
	_, err := mountNow(env, a.Point)
	return err
}

// Differences tells what is mounted in its place.
func (a *Unmount) Differences(env *Env) ([]string, error) {
	m, err := mountedAt(env.Host, a.Point)
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return []string{fmt.Sprintf("%s is not mounted at %s: mount it", a.Was.Source, a.Point)}, nil
	case m.Source != a.Was.Source || m.Type != a.Was.Type:
		return []string{fmt.Sprintf("%s (%s) is mounted at %s; before it was %s (%s)", m.Source, m.Type, a.Point, a.Was.Source, a.Was.Type)}, nil
	}
	return nil, nil
}

// straight refuses a point that symlinks lead elsewhere: the mount table has the place where they end.
func straight(v host.FileReader, point string) error {
	real, err := Resolve(v, point)
	if err == nil && real != point {
		err = fmt.Errorf("it leads to %s; name that", real)
	}
	return err
}

// mountNow mounts what is not mounted.
func mountNow(env *Env, point string) (host.Mount, error) {
	m, err := mountedAt(env.Host, point)
	if err == nil && m == nil {
		if err = env.Host.Mount(env.Ctx, point); err == nil {
			m, err = mountedAt(env.Host, point)
		}
	}
	if err == nil && m == nil {
		err = fmt.Errorf("mount %s: nothing is mounted there", point)
	}
	if err != nil {
		return host.Mount{}, err
	}
	return *m, nil
}

func unmountNow(env *Env, point string) error {
	m, err := mountedAt(env.Host, point)
	if err != nil || m == nil {
		return err
	}
	return env.Host.Unmount(env.Ctx, point)
}

// mountedAt is what is mounted at a point, nil if nothing is; of several the last, which hides the others.
func mountedAt(v host.View, point string) (*host.Mount, error) {
	mounts, err := v.Mounts()
	if err != nil {
		return nil, err
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if mounts[i].Point == point {
			return &mounts[i], nil
		}
	}
	return nil, nil
}

// listed is an error if fstab has no line, or more than one, for a point.
func listed(v host.View, point string) error {
	text, err := fstab.Read(v)
	if err != nil {
		return err
	}
	_, err = fstab.At(text, point)
	return err
}
