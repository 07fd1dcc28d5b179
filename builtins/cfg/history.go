package cfg

import (
	"slices"
	"strings"
)

// History is what is known of a directive of one file, release by release.
type History struct {
	File        string    `json:"file"`
	Directive   string    `json:"directive"`
	Releases    []Release `json:"releases"`
	Replacement string    `json:"replacement,omitempty"` // what took its place in Kopano
	Semantics   string    `json:"semantics,omitempty"`   // how values map
	Change      string    `json:"change,omitempty"`
	InForce     string    `json:"in_force,omitempty"` // why a takeover lets Kopano's default take the place of ZCP's
	Takeover    string    `json:"takeover"`           // what a takeover makes of it
}

// Release is what one release makes of a directive.
type Release struct {
	Name    string `json:"name"` // "ZCP 7.2.6"
	Known   bool   `json:"known"`
	Ignored bool   `json:"ignored,omitempty"` // accepted without effect
	Default string `json:"default"`
	Shipped string `json:"shipped,omitempty"` // the active line of the file that it ships
}

// Histories finds a directive by its name, in every file that has one of that name.
func Histories(name string) []History {
	var found []History
	for _, d := range facts().all {
		if d.Name == name && daemons[d.File] == d.Daemon {
			found = append(found, d.history())
		}
	}
	return found
}

// DirectiveNames lists the names of all directives.
func DirectiveNames() []string {
	var names []string
	for _, d := range facts().all {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d *Directive) history() History {
	h := History{File: d.File, Directive: d.Name, Replacement: d.Replacement, Semantics: d.Semantics, Change: d.Change}
	for _, v := range []Version{{7, 1, 11}, {7, 2, 0}, {7, 2, 6}} {
		def, known := d.ZCPDefault(v)
		shipped, _ := d.Shipped(v)
		h.Releases = append(h.Releases, Release{"ZCP " + v.String(), known, known && d.unused(v), plain(def), shipped})
	}
	for i, v := range kopanoColumns {
		def, known := d.Default(v)
		shipped, _ := activeValue(d.shipped[i])
		h.Releases = append(h.Releases, Release{"Kopano " + v.String(), known, known && d.Ignored(v), plain(def), shipped})
	}
	for _, n := range newDefaults() {
		if matches(n.daemon, d.Daemon) && matches(n.directive, d.Name) && h.InForce == "" {
			h.InForce = n.why
			if name, value, ok := strings.Cut(n.while, "="); ok && !strings.ContainsAny(value, "*[") {
				h.InForce += ", while " + strings.TrimSpace(name+" = "+value)
			}
		}
	}
	h.Takeover = h.takeover()
	return h
}

// takeover says in a sentence what a takeover makes of a directive.
func (h History) takeover() string {
	zcpKnows, kopanos := false, map[bool]bool{}
	for _, r := range h.Releases {
		if strings.HasPrefix(r.Name, "Kopano") {
			kopanos[r.Known] = true
		} else if r.Known {
			zcpKnows = true
		}
	}
	switch {
	case !zcpKnows:
		return "ZCP does not have it: Kopano's default applies"
	case h.InForce != "":
		return "what the site has set is kept, with paths of Kopano; where ZCP worked by its default, Kopano's takes its place: " + h.InForce
	case kopanos[false] && h.Replacement != "":
		return "kept where Kopano knows it; where it does not, " + h.Replacement + " says the same"
	case !kopanos[true]:
		return "left out, and told"
	case kopanos[false]:
		return "kept where Kopano knows it; where it does not, left out, and told"
	}
	return "what ZCP worked by is kept, with paths of Kopano, also where Kopano's default is another one"
}

// DirectivesOf lists the names of a configuration file's directives.
func DirectivesOf(file string) []string {
	var names []string
	for _, d := range facts().all {
		if d.File == file && daemons[d.File] == d.Daemon {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Files lists the configuration files whose directives are known.
func Files() []string {
	var names []string
	for _, d := range facts().all {
		if daemons[d.File] == d.Daemon {
			names = append(names, d.File)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
