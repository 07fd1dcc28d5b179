package action

import (
	"errors"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
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

// recordPolicy keeps what is at PolicyFile, on a host whose packages ask it.
func (a *Commit) recordPolicy(env *Env) error {
	m, err := env.Host.PackageManager()
	if err != nil || m.Name != "apt" {
		return err
	}
	if _, err := env.Store.PutBytes([]byte(PolicyText)); err != nil {
		return err
	}
	a.Policy, err = env.Store.Save(PolicyFile)
	return err
}

// withoutStarts does something to packages while their scripts may not start services. What was at
// PolicyFile is there again afterwards, also after an earlier attempt that was broken off.
func (a *Commit) withoutStarts(env *Env, do func(*Env) error) error {
	if a.Policy.Path == "" {
		return do(env)
	}
	text, err := env.Store.PutBytes([]byte(PolicyText))
	if err != nil {
		return err
	}
	now := a.Policy.Mtime
	err = env.Store.Restore(Preimage{Path: PolicyFile, Exists: true, Mode: 0o755, Mtime: now, Atime: now, Blob: &text})
	if err == nil {
		err = do(env)
	}
	return errors.Join(err, env.Store.Restore(a.Policy))
}

// Held lists the services of the packages that came new while no package was to start its services: they
// are enabled by then, and a machine that is started anew starts them all the same.
func (a *Commit) Held(env *Env) ([]string, error) {
	if a.Policy.Blob == nil || *a.Policy.Blob != blobOf([]byte(PolicyText)) {
		return nil, nil
	}
	have, err := packages(env.Host)
	if err != nil {
		return nil, err
	}
	services := map[string]bool{}
	for _, name := range a.New {
		if p := have[bareName(name)]; !p.Installed() && p.Status != "half-configured" {
			continue // no script has enabled anything yet
		}
		files, err := env.Host.PackageFiles(name)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if service := serviceOf(path.Clean(f)); service != "" {
				services[service] = true
			}
		}
	}
	return sortedKeys(services), nil
}

// systemdDir is where systemctl enable and mask make their links.
const systemdDir = "/etc/systemd/system"

// recordWants keeps the links that start a masked service at boot: they are without effect as long as
// it is masked, and a purge takes them away.
func (a *Commit) recordWants(env *Env, service string) error {
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
		a.Wants = append(a.Wants, dir, link)
	}
	return nil
}

func (a *Commit) restoreWants(env *Env) error {
	for _, p := range a.Wants {
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}

// recordLinks keeps the runlevel links of a service's init script.
func (a *Commit) recordLinks(env *Env, service string) error {
	links, err := runlevelLinks(env.Host, service)
	if err != nil {
		return err
	}
	for _, link := range links {
		p, err := env.Store.Save(link)
		if err != nil {
			return err
		}
		a.Links = append(a.Links, p)
	}
	return nil
}

// runlevelLinks are the links that start and stop an init script.
func runlevelLinks(v host.FileReader, name string) ([]string, error) {
	var links []string
	for _, level := range []string{"S", "0", "1", "2", "3", "4", "5", "6"} {
		dir := "/etc/rc" + level + ".d"
		list, err := v.ReadDir(dir)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range list { // S20NAME or K80NAME
			if len(e.Name) > 3 && e.Name[3:] == name && strings.ContainsRune("SK", rune(e.Name[0])) {
				links = append(links, path.Join(dir, e.Name))
			}
		}
	}
	return links, nil
}

// restoreLinks puts the links of init scripts back as they were: the tools that enable a service leave
// links alone that are there in part, and number those anew that they make.
func (a *Commit) restoreLinks(env *Env) error {
	for _, s := range a.Services {
		links, err := runlevelLinks(env.Host, s.Name)
		if err != nil {
			return err
		}
		for _, link := range links {
			if slices.ContainsFunc(a.Links, func(p Preimage) bool { return p.Path == link }) {
				continue
			}
			if err := removePath(env.Host, link); err != nil {
				return err
			}
		}
	}
	for _, p := range a.Links {
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
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

// recordService keeps how a service is, because a purge forgets it and an installation sets it anew.
func (a *Commit) recordService(env *Env, name string) error {
	s := &Service{Name: name}
	was, there, err := s.Now(env.Host)
	if err != nil || !there {
		return err
	}
	s.Active, s.Enabled = &was.Active, &was.Enabled
	if was.Kind == "systemd" {
		s.Masked = &was.Masked
	}
	a.Services = append(a.Services, s)
	if err := a.recordLinks(env, name); err != nil {
		return err
	}
	if was.Masked {
		return a.recordWants(env, name)
	}
	return nil
}
