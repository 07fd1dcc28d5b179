package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"zcp2kopano/runtime/host"
)

// Renaming is how the names of one schema become those of another. Its keys are in lower case.
type Renaming struct {
	Attributes map[string]string            `json:"attributes"`           // names, and their OIDs
	Classes    map[string]string            `json:"classes"`              // names, and their OIDs
	Spelled    []string                     `json:"spelled,omitempty"`    // old attributes as their schema writes them
	Structural []string                     `json:"structural,omitempty"` // old classes that say what an entry is for good
	Single     []string                     `json:"single,omitempty"`     // old attributes that have one value at most
	Filters    []string                     `json:"filters,omitempty"`    // old attributes whose values are filters
	Values     map[string]map[string]string `json:"values,omitempty"`     // by old attribute, values that get another one
	Numbers    map[string]string            `json:"numbers,omitempty"`    // OIDs below which the schemas define their own

	known *spellings
}

// spellings are what the names of a renaming are looked up by, in lower case: a directory has many entries.
type spellings struct {
	newAttributes map[string]bool
	classes       map[string]bool   // old and new ones
	spelled       map[string]string // attributes as their schemas write them
}

func (r *Renaming) names() *spellings {
	if r.known != nil {
		return r.known
	}
	k := &spellings{newAttributes: map[string]bool{}, classes: map[string]bool{}, spelled: map[string]string{}}
	for _, to := range r.Attributes {
		lower := strings.ToLower(to)
		k.newAttributes[lower], k.spelled[lower] = true, to
	}
	for _, old := range r.Spelled {
		k.spelled[strings.ToLower(old)] = old
	}
	for old, to := range r.Classes {
		k.classes[old], k.classes[strings.ToLower(to)] = true, true
	}
	r.known = k
	return k
}

const classAttribute = "objectClass"

// Search is the filter for the entries that have one of the old names.
func (r *Renaming) Search() string {
	var b strings.Builder
	b.WriteString("(|")
	for _, name := range r.OldClasses() {
		b.WriteString("(objectClass=" + name + ")")
	}
	for _, name := range r.OldAttributes() {
		b.WriteString("(" + name + "=*)")
	}
	return b.String() + ")"
}

// OldClasses lists the classes' old names, without OIDs.
func (r *Renaming) OldClasses() []string { return namesOf(r.Classes) }

// OldAttributes lists the attributes' old names, without OIDs.
func (r *Renaming) OldAttributes() []string { return namesOf(r.Attributes) }

func namesOf(renamed map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(renamed)), func(n string) bool { return n[0] >= '0' && n[0] <= '9' })
}

// Reads lists the attributes that a renaming looks at.
func (r *Renaming) Reads() []string {
	reads := append([]string{classAttribute}, r.OldAttributes()...)
	return append(reads, slices.Compact(slices.Sorted(maps.Values(r.Attributes)))...)
}

// Touched are the values of an entry that a renaming may change, by attribute in lower case: of the classes the old
// and the new ones, of the attributes all values.
type Touched map[string][]string

// Touched picks them from an entry.
func (r *Renaming) Touched(e host.Entry) Touched {
	t := Touched{}
	for name, values := range e.Attributes {
		key := strings.ToLower(name)
		switch bare, _, _ := strings.Cut(key, ";"); {
		case key == "objectclass":
			if mine := slices.DeleteFunc(slices.Clone(values), func(c string) bool { return !r.isClass(c) }); len(mine) > 0 {
				t[key] = mine
			}
		case r.Attributes[bare] != "" || r.isNew(bare):
			if len(values) > 0 {
				t[key] = append(t[key], values...)
			}
		}
	}
	return t
}

func (r *Renaming) isClass(class string) bool { return r.names().classes[strings.ToLower(class)] }

func (r *Renaming) isNew(attribute string) bool {
	return r.names().newAttributes[strings.ToLower(attribute)]
}

// Convert gives values their new names. Those that are there already under the new name are not there twice. It is an
// error where an attribute can have one value only, and would have two.
func (r *Renaming) Convert(t Touched) (Touched, error) {
	to := Touched{}
	for key := range t { // what has the new name already
		bare, _, _ := strings.Cut(key, ";")
		if r.Attributes[bare] == "" && key != "objectclass" {
			to[key] = slices.Clone(t[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t)) {
		bare, options, optioned := strings.Cut(key, ";")
		switch {
		case key == "objectclass":
			to[key] = r.classes(t[key])
		case r.Attributes[bare] != "":
			name := strings.ToLower(r.Attributes[bare])
			if optioned {
				name += ";" + options
			}
			renamed := make([]string, len(t[key]))
			for i, v := range t[key] {
				renamed[i] = r.value(bare, v)
			}
			to[name] = addOnce(to[name], renamed...)
			if len(to[name]) > 1 && slices.Contains(r.Single, bare) {
				return nil, fmt.Errorf("%s and %s have different values (%q), and there can be one only: delete the wrong one", bare, r.Attributes[bare], to[name])
			}
		}
	}
	return to, nil
}

func (r *Renaming) classes(have []string) []string {
	var to []string
	for _, c := range have {
		if renamed := r.Classes[strings.ToLower(c)]; renamed != "" {
			c = renamed
		}
		to = addOnce(to, c)
	}
	return to
}

// value is what an old attribute's value becomes: a filter that cannot be read stays as it is.
func (r *Renaming) value(attribute, value string) string {
	if other, ok := r.Values[attribute][value]; ok {
		return other
	}
	if slices.Contains(r.Filters, attribute) {
		value, _ = r.Filter(value)
	}
	return value
}

// addOnce adds values that are not there, as nearly all attributes of directories compare. There may be thousands.
func addOnce(values []string, more ...string) []string {
	if len(values)+len(more) <= few {
		for _, v := range more {
			if !slices.ContainsFunc(values, func(have string) bool { return Fold(have) == Fold(v) }) {
				values = append(values, v)
			}
		}
		return values
	}
	there := make(map[string]bool, len(values)+len(more))
	for _, v := range values {
		there[Fold(v)] = true
	}
	for _, v := range more {
		if folded := Fold(v); !there[folded] {
			there[folded] = true
			values = append(values, v)
		}
	}
	return values
}

// Fold makes text equal that differs in the case of letters and in the number of blanks; bytes that are no text stay as
// they are.
func Fold(value string) string {
	if !utf8.ValidString(value) {
		return value
	}
	return strings.ToLower(strings.Join(strings.Fields(value), " "))
}

// Change is what makes the touched values of an entry those wanted: what is new comes before what goes, in one
// change. Values are named, so that it fails, and does nothing, if they are no longer what they were.
func (r *Renaming) Change(dn string, from, to Touched) host.EntryChange {
	change := host.EntryChange{DN: dn, Relax: r.structural(from, to)}
	keys := map[string]bool{}
	for key := range from {
		keys[key] = true
	}
	for key := range to {
		keys[key] = true
	}
	ordered := slices.SortedFunc(maps.Keys(keys), func(a, b string) int { // classes first
		if (a == "objectclass") != (b == "objectclass") {
			if a == "objectclass" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	add := func(drop bool, from, to Touched) {
		for _, key := range ordered {
			if values := missing(from[key], to[key]); len(values) > 0 {
				change.Values = append(change.Values, host.ValueChange{Delete: drop, Attribute: r.spelled(key), Values: values})
			}
		}
	}
	add(false, to, from)
	add(true, from, to)
	return change
}

// missing are the values of one list that the other does not have.
func missing(values, in []string) []string {
	var left []string
	has := func(v string) bool { return slices.Contains(in, v) }
	if len(in) > few && len(values) > few {
		there := make(map[string]bool, len(in))
		for _, v := range in {
			there[v] = true
		}
		has = func(v string) bool { return there[v] }
	}
	for _, v := range values {
		if !has(v) {
			left = append(left, v)
		}
	}
	return left
}

// few values are compared one by one faster than by a map.
const few = 8

// spelled is an attribute as its schema writes it.
func (r *Renaming) spelled(key string) string {
	if key == "objectclass" {
		return classAttribute
	}
	bare, options, optioned := strings.Cut(key, ";")
	if spelled, known := r.names().spelled[strings.ToLower(bare)]; known {
		bare = spelled
	}
	if optioned {
		bare += ";" + options
	}
	return bare
}

// structural tells whether what an entry is for good changes.
func (r *Renaming) structural(from, to Touched) bool {
	for _, class := range r.Structural {
		for _, name := range []string{class, r.Classes[class]} {
			same := func(c string) bool { return strings.EqualFold(c, name) }
			if slices.ContainsFunc(from["objectclass"], same) != slices.ContainsFunc(to["objectclass"], same) {
				return true
			}
		}
	}
	return false
}

// Same tells whether two entries' touched values are the same.
func Same(a, b Touched) bool {
	for key := range a {
		if len(missing(a[key], b[key])) > 0 {
			return false
		}
	}
	for key := range b {
		if len(missing(b[key], a[key])) > 0 {
			return false
		}
	}
	return true
}

// Back is the opposite renaming. Values are not turned back.
func (r *Renaming) Back() *Renaming {
	back := &Renaming{Attributes: map[string]string{}, Classes: map[string]string{}}
	for _, old := range r.OldAttributes() {
		back.Attributes[strings.ToLower(r.Attributes[old])] = old
	}
	for _, old := range r.OldClasses() {
		back.Classes[strings.ToLower(r.Classes[old])] = old
	}
	for _, old := range r.Filters {
		back.Filters = append(back.Filters, strings.ToLower(r.Attributes[old]))
	}
	return back
}
