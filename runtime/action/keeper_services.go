package action

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
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
//
// Where no package asks (rpm), systemd starts none of these services as long as packages come and go, whatever presets and
// scripts want: those that are named as a package that comes, and those of packages that go. One that runs goes on.
type startsKeeper struct {
	Policy Preimage `json:"policy,omitzero"`
	Held   []string `json:"held,omitempty"`
}

func (k *startsKeeper) record(env *Env, a *Commit, f *found) error {
	m, err := env.Host.PackageManager()
	if err != nil {
		return err
	}
	if m.Name != "apt" {
		names := map[string]bool{}
		for _, s := range f.services {
			names[s.Name] = true
		}
		k.Held = slices.Sorted(maps.Keys(a.withNew(names)))
		return nil
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
		return k.withoutHeld(env, do)
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

// withoutHeld does something to packages while systemd holds their services off. Afterwards it does so no more, also after
// an earlier attempt that was broken off, and where this one does not come to begin.
func (k *startsKeeper) withoutHeld(env *Env, do func(*Env) error) error {
	idle, err := k.idle(env)
	if err == nil {
		err = holding.add(env, idle...)
	}
	if err == nil {
		err = do(env)
	}
	return errors.Join(err, holding.take(env, k.Held...))
}

// idle are those of the services that do not run.
func (k *startsKeeper) idle(env *Env) ([]string, error) {
	var idle []string
	for _, name := range k.Held {
		now, _, err := (&Service{Name: name}).Now(env.Host)
		if err != nil {
			return nil, err
		}
		if !now.Active {
			idle = append(idle, name)
		}
	}
	return idle, nil
}

// linksKeeper keeps the runlevel links of the init scripts of services that go, and of those that are named after packages
// that come.
type linksKeeper struct {
	Links []Preimage `json:"links,omitempty"`
}

func (k *linksKeeper) record(env *Env, a *Commit, f *found) error {
	names := map[string]bool{}
	for _, s := range f.services {
		names[s.Name] = true
	}
	links, err := runlevelLinks(env.Host, a.withNew(names))
	if err != nil {
		return err
	}
	for _, link := range links {
		p, err := env.Store.Save(link)
		if err != nil {
			return err
		}
		k.Links = append(k.Links, p)
	}
	return nil
}

// withNew adds the services that are named after packages that come.
func (a *Commit) withNew(names map[string]bool) map[string]bool {
	for _, name := range a.New {
		names[bareName(name)] = true
	}
	return names
}

// restore removes links that came: the tools that enable a service leave links alone that are there in part, and
// give new numbers to those that they make. Those of a package that came lead nowhere when it is gone.
func (k *linksKeeper) restore(env *Env, a *Commit) error {
	came, err := k.came(env.Host, a)
	if err != nil {
		return err
	}
	for _, link := range came {
		if err := removePath(env.Host, link); err != nil {
			return err
		}
	}
	return restoreAll(env, k.Links)
}

func (k *linksKeeper) compare(env *Env, a *Commit) ([]string, error) {
	lines, err := compareAll(env, k.Links)
	if err != nil {
		return nil, err
	}
	came, err := k.came(env.Host, a)
	for _, link := range came {
		lines = append(lines, link+": starts or stops a service, and was not there")
	}
	return lines, err
}

// came are the links that were not recorded.
func (k *linksKeeper) came(v host.FileReader, a *Commit) ([]string, error) {
	names := map[string]bool{}
	for _, s := range a.Services {
		names[s.Name] = true
	}
	links, err := runlevelLinks(v, a.withNew(names))
	return slices.DeleteFunc(links, func(link string) bool {
		return slices.ContainsFunc(k.Links, func(p Preimage) bool { return p.Path == link })
	}), err
}

// runlevelLinks are the links that start and stop the init scripts of services.
func runlevelLinks(v host.FileReader, services map[string]bool) ([]string, error) {
	dirs, err := runlevelDirs(v)
	if err != nil {
		return nil, err
	}
	var links []string
	for _, dir := range dirs {
		list, err := v.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range list { // S20NAME or K80NAME
			if len(e.Name) > 3 && services[e.Name[3:]] && strings.ContainsRune("SK", rune(e.Name[0])) {
				links = append(links, path.Join(dir, e.Name))
			}
		}
	}
	return links, nil
}

// runlevelDirs are the directories of those links. Debian has them in /etc; Red Hat has symlinks there, to /etc/rc.d, and
// SUSE has them in /etc/init.d, to which its /etc/rc.d leads.
func runlevelDirs(v host.FileReader) ([]string, error) {
	var dirs []string
	known := map[[2]uint64]bool{}
	for _, level := range []string{"S", "0", "1", "2", "3", "4", "5", "6"} {
		for _, parent := range []string{"/etc/init.d", "/etc/rc.d", "/etc"} { // what leads there comes last
			dir := path.Join(parent, "rc"+level+".d")
			st, err := v.Stat(dir)
			if host.Absent(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if id := [2]uint64{st.Dev, st.Ino}; st.IsDir() && !known[id] {
				known[id] = true
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs, nil
}

// systemdDir is where systemctl enable and mask make their links.
const systemdDir = "/etc/systemd/system"

// wantsKeeper keeps the links that start a masked service at boot: they are without effect as long as it is masked,
// systemd does not show them, and a purge takes them away.
//
// Links that start a service of a package that came go with it: somebody may have removed that without its scripts.
type wantsKeeper struct {
	Wants []Preimage `json:"wants,omitempty"`
	Links []string   `json:"boot_links"` // of services that are to come, which were there; nil in records of versions that kept none
}

func (k *wantsKeeper) record(env *Env, a *Commit, f *found) error {
	links, err := bootLinks(env.Host, a.namedToCome())
	if err != nil {
		return err
	}
	k.Links = append([]string{}, links...)
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
	links, err := bootLinks(env.Host, map[string]bool{service: true})
	if err != nil {
		return err
	}
	for _, name := range links {
		dir, err := saveMeta(env, path.Dir(name))
		if err != nil {
			return err
		}
		link, err := env.Store.Save(name)
		if err != nil {
			return err
		}
		k.Wants = append(k.Wants, dir, link)
	}
	return nil
}

// bootLinks are the links that start services at boot, as systemctl enable makes them.
func bootLinks(v host.FileReader, services map[string]bool) ([]string, error) {
	dirs, err := entriesOf(v, systemdDir)
	if err != nil {
		return nil, err
	}
	var links []string
	for _, d := range dirs {
		if !strings.HasSuffix(d.Name, ".wants") && !strings.HasSuffix(d.Name, ".requires") {
			continue
		}
		list, err := entriesOf(v, path.Join(systemdDir, d.Name))
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if service, is := strings.CutSuffix(e.Name, ".service"); is && services[service] {
				links = append(links, path.Join(systemdDir, d.Name, e.Name))
			}
		}
	}
	return links, nil
}

func (k *wantsKeeper) restore(env *Env, a *Commit) error {
	links, err := k.dangling(env.Host, a)
	if err != nil {
		return err
	}
	for _, name := range links {
		if err := removePath(env.Host, name); err != nil {
			return err
		}
	}
	return restoreAll(env, k.Wants)
}

func (k *wantsKeeper) compare(env *Env, a *Commit) ([]string, error) {
	links, err := k.dangling(env.Host, a)
	if err != nil {
		return nil, err
	}
	for i, link := range links {
		links[i] = link + ": starts a service at boot that is gone, and was not there"
	}
	lines, err := compareAll(env, k.Wants)
	return append(links, lines...), err
}

// namedToCome are the services named as packages that come, or come again.
func (a *Commit) namedToCome() map[string]bool {
	names := a.withNew(map[string]bool{})
	for _, old := range a.Old {
		if !old.Installed() {
			names[bareName(old.Name)] = true
		}
	}
	return names
}

// dangling are the links that came and lead nowhere.
func (k *wantsKeeper) dangling(v host.FileReader, a *Commit) ([]string, error) {
	if k.Links == nil {
		return nil, nil
	}
	links, err := bootLinks(v, a.namedToCome())
	if err != nil {
		return nil, err
	}
	var came []string
	for _, link := range links {
		if slices.Contains(k.Links, link) {
			continue
		}
		if _, err := v.Stat(link); host.Absent(err) {
			came = append(came, link)
		} else if err != nil {
			return nil, err
		}
	}
	return came, nil
}

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
		} else if !host.Absent(err) {
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
		if host.Absent(err) || err == nil && !st.IsSymlink() {
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

// notesKeeper has the scripts of packages that come forget what they have noted and not done. They make the links that
// start a unit at boot once, and note each before (deb-systemd-helper): a script that is broken off between the two, and
// run again, takes the missing link for one that the admin has removed.
type notesKeeper struct {
	Notes []string `json:"unit_notes,omitempty"` // that were there
}

func (k *notesKeeper) record(env *Env, _ *Commit, _ *found) error {
	entries, err := env.Host.ReadDir(deb.UnitNotesDir)
	if host.Absent(err) {
		return nil
	}
	for _, e := range entries {
		k.Notes = append(k.Notes, path.Join(deb.UnitNotesDir, e.Name))
	}
	return err
}

// begins forgets the notes before the scripts are run again.
func (k *notesKeeper) begins(env *Env, a *Commit) error {
	units, err := a.unconfigured(env.Host)
	if err != nil {
		return err
	}
	for _, unit := range units {
		note := deb.UnitNote(unit)
		if slices.Contains(k.Notes, note) {
			continue
		}
		if err := forgetUndone(env, note); err != nil {
			return err
		}
	}
	return nil
}

// unconfigured are the units of packages that come and whose scripts have not run to their end.
func (a *Commit) unconfigured(v host.View) ([]string, error) {
	have, err := packages(v)
	if err != nil {
		return nil, err
	}
	var units []string
	for _, name := range a.New {
		p := have[bareName(name)]
		if p.Status != "unpacked" && p.Status != "half-configured" { // its script has ended, or has not begun
			continue
		}
		files, err := v.PackageFiles(p.Name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if dir, unit := path.Split(path.Clean(file)); path.Base(dir) == "system" && path.Ext(unit) != "" {
				units = append(units, unit)
			}
		}
	}
	return units, nil
}

// forgetUndone forgets what a note says of links if one of them is missing. The note goes last, since it names the rest.
func forgetUndone(env *Env, note string) error {
	f, err := env.Host.Open(note)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	f.Close()
	if err != nil {
		return err
	}
	links := strings.Fields(string(text))
	missing := false
	for _, link := range links {
		there, err := exists(env.Host, link)
		if err != nil {
			return err
		}
		missing = missing || !there
	}
	if !missing {
		return nil
	}
	for _, link := range links {
		if err := removePath(env.Host, deb.LinkNote(link)); err != nil {
			return err
		}
	}
	return removePath(env.Host, note)
}

// restore leaves the notes to the purge of the packages, whose scripts remove them.
func (k *notesKeeper) restore(*Env, *Commit) error { return nil }

func (k *notesKeeper) compare(*Env, *Commit) ([]string, error) { return nil, nil }
