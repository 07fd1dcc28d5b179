package action

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// servicesKeeper keeps how services of the packages that go are: a purge forgets it, and an installation sets it as the package wants it.
type servicesKeeper struct {
	Services []*Service `json:"services,omitempty"`
}

func (k *servicesKeeper) record(_ *Env, _ *Commit, f *found) error {
	for _, was := range f.services {
		s := &Service{Name: was.Name, Active: &was.Active, Enabled: &was.Enabled}
		if was.Kind == "systemd" {
			s.Masked = &was.Masked
		}
		k.Services = append(k.Services, s)
	}
	return nil
}

func (k *servicesKeeper) restore(env *Env, _ *Commit) error {
	for _, s := range k.Services {
		if err := s.bring(env, s.want); err != nil {
			return err
		}
	}
	return nil
}

func (k *servicesKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	var lines []string
	for _, s := range k.Services {
		now, _, err := s.Now(env.Host)
		if err != nil {
			return nil, err
		}
		if was := s.want(now); was != now {
			lines = append(lines, fmt.Sprintf("service %s is %s, was %s", s.Name, stateOf(now), stateOf(was)))
		}
	}
	return lines, nil
}

// serviceOf is the service whose unit file or init script a path is; empty if it is neither.
func serviceOf(name string) string {
	dir, base := path.Split(name)
	switch dir {
	case "/lib/systemd/system/", "/usr/lib/systemd/system/":
		if unit, ok := strings.CutSuffix(base, ".service"); ok && !strings.HasSuffix(unit, "@") {
			return unit
		}
	case "/etc/init.d/", "/etc/rc.d/init.d/":
		return base
	}
	return ""
}

// Packages of Debian and Ubuntu start their services when they are installed, unless PolicyFile says
// no. Its interface is that of invoke-rc.d (/usr/share/doc/init-system-helpers): status 101 forbids.
// deb-systemd-invoke asks it, too.
const (
	PolicyFile = "/usr/sbin/policy-rc.d"
	PolicyText = `#!/bin/sh
# Made by zcp2kopano: services must not start by themselves while packages are installed.
exit 101
`
)

// startsKeeper keeps what is at PolicyFile, on a host whose packages ask it, and has the keepers of packages forbid
// starts meanwhile: until files and accounts are back, services would work with the packages' own configuration.
type startsKeeper struct {
	Policy Preimage `json:"policy,omitzero"`
}

func (k *startsKeeper) record(env *Env, _ *Commit, _ *found) error {
	m, err := env.Host.PackageManager()
	if err != nil || m.Name != "apt" {
		return err
	}
	if _, err := env.Store.PutBytes([]byte(PolicyText)); err != nil {
		return err
	}
	k.Policy, err = env.Store.Save(PolicyFile)
	return err
}

func (k *startsKeeper) restore(env *Env, _ *Commit) error {
	if k.Policy.Path == "" {
		return nil
	}
	return env.Store.Restore(k.Policy)
}

func (k *startsKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	if k.Policy.Path == "" {
		return nil, nil
	}
	return env.Store.Compare(k.Policy)
}

// withoutStarts does something to packages while their scripts may not start services. What was at
// PolicyFile is there again afterwards, also after an earlier attempt that was broken off.
func (k *startsKeeper) withoutStarts(env *Env, do func(*Env) error) error {
	if k.Policy.Path == "" {
		return do(env)
	}
	text, err := env.Store.PutBytes([]byte(PolicyText))
	if err != nil {
		return err
	}
	now := k.Policy.Mtime
	err = env.Store.Restore(Preimage{Path: PolicyFile, Exists: true, Mode: 0o755, Mtime: now, Atime: now, Blob: &text})
	if err == nil {
		err = do(env)
	}
	return errors.Join(err, k.restore(env, nil))
}
