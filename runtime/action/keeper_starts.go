package action

import (
	"errors"
)

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
