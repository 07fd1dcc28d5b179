package action

import (
	"io"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// notesKeeper has the scripts of packages that come forget what they have noted and not done. They make the links that
// start a unit at boot once, and note each before (deb-systemd-helper): a script that is broken off between the two, and
// run again, takes the missing link for one that the admin has removed.
type notesKeeper struct {
	Notes []string `json:"unit_notes,omitempty"` // that were there
}

func (k *notesKeeper) record(env *Env, _ *Commit, _ *found) error {
	entries, err := env.Host.ReadDir(deb.UnitNotesDir)
	if absent(err) {
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
		p, ok := have[bareName(name)]
		if !ok || p.Installed() || p.Status == "" {
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
	if absent(err) {
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
