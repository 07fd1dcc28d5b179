package cfg

import (
	"cmp"
	"slices"

	"zcp2kopano/runtime/host/secrets"
)

// Entry is what became of one directive of ZCP: a line of the list that the admin signs off (manual 4.3.4 a).
type Entry struct {
	File      string // the new file
	Directive string
	Old       string // what ZCP worked by
	Where     string // where the admin edits it: "/etc/zarafa/server.cfg:12"; "" for ZCP's default
	New       string // what Kopano works by
	Fate      Fate
	Reason    string
	Look      bool // worth a look; else it is routine
}

// Fate says in a word what became of a directive.
type Fate string

// The fates, from what the admin is to look at first to routine.
const (
	Dropped   Fate = "dropped"         // Kopano has nothing of the kind
	Changed   Fate = "changed"         // another value is in force
	InForce   Fate = "new default"     // Kopano's default takes the place of ZCP's
	Replaced  Fate = "replaced"        // other directives say it now
	Pinned    Fate = "pinned"          // ZCP's default, written down because Kopano's is another
	SetBySite Fate = "set by the site" // carried over
	Converted Fate = "converted"       // the same thing, spelled or placed as Kopano does
	Kept      Fate = "kept"            // nothing changed
)

// accounted is a conversion whose outcome is to be told.
type accounted struct {
	*conversion
	target string // the new file
}

// account lists what became of every directive that a daemon of ZCP knew or its files set.
func (w *work) account() {
	files := map[string]*File{}
	for _, n := range w.result.Files {
		if f, err := Parse(n.Path, n.Content); err == nil {
			files[n.Path] = f
		}
	}
	for _, a := range w.accounts {
		top := files[a.target]
		if top == nil {
			continue
		}
		tree := &Tree{Top: top, where: asIs, there: func(string) error { return nil }, load: func(name string) (*File, error) {
			if f := files[name]; f != nil {
				return f, nil
			}
			return Load(w.view, name)
		}}
		tree.read()
		for _, name := range a.names() {
			if e := a.entry(name, tree); e.Fate != "" {
				w.result.Entries = append(w.result.Entries, e.masked())
			}
		}
	}
}

// names lists what the old files set and what the release of ZCP knew.
func (a accounted) names() []string {
	names := sortedNames(a.old)
	for _, d := range Directives(a.daemon) {
		if v, ok := d.ZCPDefault(a.from); ok && v != "<ignored>" && !slices.Contains(names, d.Name) && d.aliasAt(a.from) == "" {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (a accounted) entry(name string, tree *Tree) Entry {
	e := Entry{File: a.target, Directive: name}
	old, set := a.set(name)
	if !set {
		v, _ := a.effective(name)
		old = plain(v)
	}
	e.Old, e.Where = old, a.at[name]
	own := set && a.own(name)
	if !a.knows(name) {
		return a.gone(e, own, tree)
	}
	def, _ := Lookup(a.daemon, name).Default(a.to)
	e.New = plain(def)
	written, isWritten := tree.Get(name)
	if isWritten {
		e.New = written.Value
	}
	d := Lookup(a.daemon, name)
	switch {
	case !set && (d.unused(a.from) || a.value(name) == "<required>"):
		return Entry{} // ZCP did not heed it, or its daemon did not run without
	case same(name, e.Old, e.New) && !same(name, e.Old, def) && !own:
		e.Fate, e.Reason = Pinned, "the default of Kopano is "+shown(def)
	case same(name, e.Old, e.New) && own:
		e.Fate, e.Reason = SetBySite, "the same in Kopano"
	case same(name, e.Old, e.New):
		e.Fate = Kept
	case same(name, a.newValue(name, e.Old), e.New):
		e.Fate, e.Reason = Converted, a.valueReason(name, e.Old)
	case isWritten && a.heirOfOthers(name) && !set:
		e.Fate, e.Reason = Converted, a.noted(name)
	case isWritten:
		e.Fate, e.Reason, e.Look = Changed, a.noted(name), true
	default:
		n, ok := a.newDefault(name)
		e.Fate, e.Reason, e.Look = InForce, n.why, n.look
		if !ok {
			e.Fate, e.Reason, e.Look = Changed, a.dropReason(name), own
		}
		if e.Reason == "" && d.Conditional(a.to) {
			e.Reason = "only some builds of Kopano " + a.to.String() + " know it, and others refuse it: set it where yours does, and needs it"
		}
	}
	return e
}

// gone tells of a directive that the new release does not know or heed.
func (a accounted) gone(e Entry, own bool, tree *Tree) Entry {
	for _, heir := range a.heirs(e.Directive) {
		value := ""
		if s, ok := tree.Get(heir); ok {
			value = s.Value
		} else if d := Lookup(a.daemon, heir); d != nil {
			def, _ := d.Default(a.to)
			value = plain(def)
		}
		if e.New != "" {
			e.New += ", "
		}
		e.New += heir + " = " + cmp.Or(value, "(empty)")
	}
	if e.New != "" {
		e.Fate, e.Reason = Replaced, a.dropReason(e.Directive)
		return e
	}
	e.Fate, e.Reason, e.Look = Dropped, a.dropReason(e.Directive), own
	return e
}

// heirs are the directives that say what a directive said.
func (c *conversion) heirs(name string) []string {
	var heirs []string
	add := func(heir string) {
		if heir != name && !slices.Contains(heirs, heir) {
			heirs = append(heirs, heir)
		}
	}
	for _, w := range c.wants {
		if slices.Contains(w.near, name) {
			add(w.name)
		}
	}
	for _, r := range renames {
		if r.daemon == c.daemon && r.old == name && c.knows(r.new) {
			add(r.new)
		}
	}
	return heirs
}

// heirOfOthers tells whether a directive says what others said, which are told of themselves.
func (c *conversion) heirOfOthers(name string) bool {
	return slices.ContainsFunc(c.wants, func(w want) bool { return w.name == name && len(w.near) > 0 })
}

// own tells whether the site set a directive otherwise than ZCP's own file and code do.
func (c *conversion) own(name string) bool {
	value, ok := c.old[name]
	if target := c.aliases[name]; !ok && target != "" {
		value, ok = c.old[target]
	}
	if !ok {
		return false
	}
	d := Lookup(c.daemon, name)
	if d == nil {
		return true
	}
	shipped, active := d.Shipped(c.from)
	return !active || shipped != value
}

// noted is the reason of the last note on a directive.
func (c *conversion) noted(name string) string {
	for i := len(c.notes) - 1; i >= 0; i-- {
		if c.notes[i].Directive == name {
			return c.notes[i].Reason
		}
	}
	return "as the file says that was there before"
}

// aliasAt is the directive of which this one was another name in a release of ZCP.
func (d *Directive) aliasAt(v Version) string {
	cell := d.codeZCP[zcpColumn(v)]
	if !codeFlag(cell, "ALIAS") {
		return ""
	}
	target, _ := codeValue(cell)
	return target
}

func (e Entry) masked() Entry {
	if secrets.Name(e.Directive) {
		for _, v := range []*string{&e.Old, &e.New} {
			if *v != "" {
				*v = "***"
			}
		}
		if e.Fate == Pinned {
			e.Reason = "the default of Kopano is another"
		}
	}
	return e
}

// shown is a default in a sentence.
func shown(def string) string {
	if def = plain(def); def == "" {
		return "empty"
	}
	return def
}
