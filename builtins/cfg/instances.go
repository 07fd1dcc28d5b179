package cfg

import (
	"path"
	"strings"
)

// findInstances finds the files of further instances of a daemon, such as dagent2.cfg: by what they set, since their
// names are the site's own.
func (w *work) findInstances(names map[string]bool) error {
	included, err := w.included(names)
	if err != nil {
		return err
	}
	for name := range names {
		source := path.Join(w.Source, name)
		if !strings.HasSuffix(name, ".cfg") || daemons[name] != "" || dropped[name] != "" || w.plugin[source] != "" || included[source] {
			continue
		}
		st, err := w.view.Stat(source)
		if err != nil || !st.IsRegular() {
			continue // the others tell of it
		}
		tree, err := LoadTree(w.view, source, w.where)
		if err != nil {
			return err
		}
		if daemon := w.daemonBy(tree); daemon != "" {
			w.instances[source] = daemon
		}
	}
	return nil
}

// included are the files that another one includes: parts, and no configuration of their own.
func (w *work) included(names map[string]bool) (map[string]bool, error) {
	found := map[string]bool{}
	for name := range names {
		source := path.Join(w.Source, name)
		if st, err := w.view.Stat(source); err != nil || !st.IsRegular() || !strings.HasSuffix(name, ".cfg") {
			continue
		}
		tree, err := LoadTree(w.view, source, w.where)
		if err != nil {
			return nil, err
		}
		for _, f := range tree.Files[min(1, len(tree.Files)):] {
			found[f.Path] = true
		}
	}
	return found, nil
}

// daemonBy is the daemon whose directives a file sets: the one that knows all of them, and one at least that no other
// daemon knows. Empty if there is no such daemon.
func (w *work) daemonBy(tree *Tree) string {
	var set []string
	for _, s := range tree.Settings() {
		set = append(set, s.Name)
	}
	var best []string
	most := 0
	for _, daemon := range instantiable {
		n := 0
		for _, name := range set {
			if knows(daemon, name, w.From) {
				n++
			}
		}
		switch {
		case n > most:
			best, most = []string{daemon}, n
		case n == most:
			best = append(best, daemon)
		}
	}
	if len(best) != 1 || most < 2 || 2*most <= len(set) {
		return ""
	}
	return best[0]
}

// knows reports whether a daemon of ZCP has a directive, by its code or by the file that is shipped with it.
func knows(daemon, name string, v Version) bool {
	d := Lookup(daemon, name)
	if d == nil {
		return false
	}
	_, inCode := d.ZCPDefault(v)
	_, shipped := d.Shipped(v)
	return inCode || shipped
}

// instantiable are the daemons of which a host can run several. The server is none: a part of its configuration would
// pass for a second one.
var instantiable = []string{"dagent", "gateway", "ical", "monitor", "search", "spooler"}
