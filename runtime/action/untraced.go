package action

import (
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// untraced tells what is left in the places of configuration after packages whose files are not recorded: a run that an
// older version has begun did not note them, nor did an installation that was broken off. Somebody who has purged such a
// package has taken along what knew of its files.
func (a *Commit) untraced(env *Env) ([]string, error) {
	came, err := a.arrivals(env)
	if err != nil || came.noted || len(a.New) == 0 {
		return nil, err
	}
	left, err := namedConfig(env.Host, a.ownStems(came.have))
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, name := range left {
		if a.knew(name) {
			continue
		}
		owned, err := came.owned()
		if err != nil {
			return nil, err
		}
		if !owned[name] {
			lines = append(lines, name+": was not there; it may be left of a package that came with the run and that somebody has purged since: "+
				"what each brought is not recorded. Remove it if it is nobody's")
		}
	}
	return lines, nil
}

// knew reports whether something is recorded as it was before the transaction.
func (a *Commit) knew(name string) bool {
	return a.hadDir(name) || len(a.before(name)) > 0
}

// namedConfig lists what is named after products in the places of configuration, with all below.
func namedConfig(v host.FileReader, stems map[string]bool) ([]string, error) {
	var names []string
	var below func(dir string) error
	below = func(dir string) error {
		list, err := entriesOf(v, dir)
		if err != nil || list == nil {
			return err
		}
		names = append(names, dir)
		for _, e := range list {
			name := path.Join(dir, e.Name)
			if !e.Type.IsDir() {
				names = append(names, name)
			} else if err := below(name); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(stems)) {
		if err := below(path.Join("/etc", name)); err != nil {
			return nil, err
		}
	}
	for _, parent := range configParents {
		list, err := entriesOf(v, parent)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if name, _, _ := strings.Cut(stem(e.Name), "."); !e.Type.IsDir() && stems[name] {
				names = append(names, path.Join(parent, e.Name))
			}
		}
	}
	return names, nil
}
