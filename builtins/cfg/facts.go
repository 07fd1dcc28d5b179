package cfg

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

//go:embed facts.tsv
var factsTable string

// Directive is what is known of one option of one daemon over all releases.
type Directive struct {
	File   string // "server.cfg"
	Daemon string // "server"
	Name   string
	// Replacement is the option that took its place in Kopano, "" if none did; Semantics says how
	// values map.
	Replacement string
	Semantics   string
	// Change tells in words what happened to it between ZCP and Kopano 11.
	Change string

	shippedZCP [3]string // zcpColumns
	codeZCP    [3]string
	code       [7]string // kopanoColumns
	shipped    [7]string
	known      []versionRange

	once    sync.Once
	changes []event
}

type versionRange struct{ from, to Version }

var (
	kopanoColumns = [7]Version{{8, 0, 0}, {8, 3, 0}, {8, 5, 0}, {8, 7, 0}, {9, 1, 0}, {10, 1, 1}, {11, 0, 2}}
	// lastOfSeries are the last releases that were looked at: what they know, later ones of the same
	// series are taken to know.
	lastOfSeries = []Version{{8, 6, 9}, {8, 7, 25}, {9, 1, 0}, {10, 1, 1}, {11, 0, 2}}
)

type factBook struct {
	all    []*Directive
	byName map[string]*Directive // daemon + " " + name
	count  map[string]int        // directives per daemon
}

// facts parses the table at first use: a program that only prints its version does not pay for it.
var facts = sync.OnceValue(func() *factBook {
	book := &factBook{byName: map[string]*Directive{}, count: map[string]int{}}
	for i, row := range tableRows(factsTable) {
		if i == 0 {
			continue
		}
		d := parseDirective(row)
		book.all = append(book.all, d)
		book.byName[d.Daemon+" "+d.Name] = d
		book.count[d.Daemon]++
	}
	return book
})

func parseDirective(cells []string) *Directive {
	for _, group := range [][2]int{{3, 6}, {6, 9}, {9, 16}, {16, 23}} {
		for i := group[0] + 1; i < group[1]; i++ {
			if cells[i] == "^" {
				cells[i] = cells[i-1]
			}
		}
	}
	d := &Directive{
		File: cells[0], Daemon: cells[1], Name: cells[2],
		Change: cells[24], Replacement: cells[25], Semantics: cells[26],
	}
	if d.Replacement == "(none)" || d.Replacement == "(same name)" {
		d.Replacement = ""
	}
	copy(d.shippedZCP[:], cells[3:6])
	copy(d.codeZCP[:], cells[6:9])
	copy(d.code[:], cells[9:16])
	copy(d.shipped[:], cells[16:23])
	if cells[23] == "never" {
		return d
	}
	for _, part := range strings.Split(cells[23], ",") {
		from, to, ok := strings.Cut(part, "..")
		if !ok {
			to = from
		}
		d.known = append(d.known, versionRange{mustVersion(from), mustVersion(to)})
	}
	return d
}

// Lookup returns what is known of a daemon's directive; nil if there is no such thing in any release.
func Lookup(daemon, name string) *Directive { return facts().byName[daemon+" "+name] }

// Directives lists a daemon's directives in order of name.
func Directives(daemon string) []*Directive {
	var list []*Directive
	for _, d := range facts().all {
		if d.Daemon == daemon {
			list = append(list, d)
		}
	}
	return list
}

// Known reports whether a Kopano release accepts the directive, be it with a warning.
func (d *Directive) Known(v Version) bool {
	v = v.final()
	for _, r := range d.known {
		if !v.Less(r.from) && (!r.to.Less(v) || reaches(r.to, v)) {
			return true
		}
	}
	return false
}

// reaches reports whether v is a later release of a series whose last examined release is end.
func reaches(end, v Version) bool {
	if end == (Version{11, 0, 2}) {
		return true
	}
	for _, last := range lastOfSeries {
		if end == last && v[0] == end[0] && v[1] == end[1] {
			return true
		}
	}
	return false
}

// Shipped returns the value of the active line in the configuration file that a ZCP release ships;
// ok is false if the line was commented or absent.
func (d *Directive) Shipped(v Version) (value string, ok bool) {
	return activeValue(d.shippedZCP[zcpColumn(v)])
}

// EverShipped reports whether some ZCP release up to v shipped this value in an active line.
func (d *Directive) EverShipped(v Version, value string) bool {
	for i := 0; i <= zcpColumn(v); i++ {
		if shipped, ok := activeValue(d.shippedZCP[i]); ok && shipped == value {
			return true
		}
	}
	return false
}

// activeValue takes the "=v" out of a shipped cell. LDAP cells tell the OpenLDAP and the Active
// Directory template apart: "openldap:=v ads:=w".
func activeValue(cell string) (string, bool) {
	if rest, ok := strings.CutPrefix(cell, "openldap:"); ok {
		cell, _, _ = strings.Cut(rest, " ads:")
	}
	for _, part := range strings.Split(cell, "|") {
		if v, ok := strings.CutPrefix(part, "="); ok {
			return strings.Trim(v, blanks), true
		}
		if !strings.HasPrefix(part, "#=") {
			break // a "|" inside a value
		}
	}
	return "", false
}

// ZCPDefault returns the value that a ZCP release uses when the file does not set the directive; ok
// is false if that release does not know it.
func (d *Directive) ZCPDefault(v Version) (value string, ok bool) {
	return codeValue(d.codeZCP[zcpColumn(v)])
}

// unused tells whether a ZCP release accepts the directive without effect.
func (d *Directive) unused(v Version) bool {
	cell := d.codeZCP[zcpColumn(v)]
	return codeFlag(cell, "UNUSED") || strings.Contains(cell, "[py:ignore]")
}

// Default returns the value that a Kopano release uses when the file does not set the directive; ok
// is false if the release does not know it.
func (d *Directive) Default(v Version) (value string, ok bool) {
	if !d.Known(v) {
		return "", false
	}
	v = v.final()
	i := d.column(v)
	value, ok = codeValue(d.code[i])
	for _, e := range d.events() {
		if e.kind == "default" && kopanoColumns[i].Less(e.since) && !v.Less(e.since) {
			value, ok = unquote(e.value), true
		}
	}
	return value, ok
}

// Flag reports whether a Kopano release marks the directive: "UNUSED" and "OBSOLETE" (accepted with a
// warning, without effect), "DEPRECATED", "NONEMPTY", "ALIAS", "EXACT".
func (d *Directive) Flag(v Version, flag string) bool {
	v = v.final()
	i := d.column(v)
	set := codeFlag(d.code[i], flag)
	for _, e := range d.events() {
		if e.kind == flag && kopanoColumns[i].Less(e.since) && !v.Less(e.since) {
			set = e.value == "on"
		}
	}
	return set
}

// Ignored reports whether a Kopano release accepts the directive without effect.
func (d *Directive) Ignored(v Version) bool {
	return d.Flag(v, "UNUSED") || d.Flag(v, "OBSOLETE") || strings.Contains(d.code[d.column(v.final())], "[py:ignore]")
}

// Conditional reports whether a Kopano release knows the directive only when it was built with a
// certain feature.
func (d *Directive) Conditional(v Version) bool {
	return strings.Contains(d.code[d.column(v.final())], " {WITH_") || strings.Contains(d.code[d.column(v.final())], " {HAVE_")
}

// PythonType returns the type of a Python daemon's option in a Kopano release: "string", "integer",
// "boolean", "path", "size"; "" for the other daemons. MustExist reports whether its path must exist.
func (d *Directive) PythonType(v Version) (kind string, mustExist bool) {
	cell := d.code[d.column(v.final())]
	_, rest, ok := strings.Cut(cell, "[py:")
	if !ok {
		return "", false
	}
	kind = rest[:strings.IndexAny(rest, ",]")]
	mustExist = strings.Contains(rest, "check_path=True") || kind == "path" && !strings.Contains(rest, "check=False")
	return kind, mustExist
}

// column picks the examined release that stands for v: the latest one up to v, or the next one if
// the directive came between the two.
func (d *Directive) column(v Version) int {
	i := 0
	for j, c := range kopanoColumns {
		if !v.Less(c) {
			i = j
		}
	}
	for i+1 < len(d.code) && d.code[i] == "-" {
		i++
	}
	return i
}

func zcpColumn(v Version) int {
	switch {
	case v.Less(Version{7, 2, 0}):
		return 0
	case v.Less(Version{7, 2, 2}):
		return 1
	}
	return 2
}

// codeValue takes the default out of a cell like `"value" [FLAGS] {ifdef}`.
func codeValue(cell string) (string, bool) {
	if cell == "-" {
		return "", false
	}
	if i := strings.LastIndex(cell, " {"); i >= 0 && strings.HasSuffix(cell, "}") {
		cell = cell[:i]
	}
	if i := strings.Index(cell, " ["); i >= 0 {
		cell = cell[:i]
	}
	return unquote(cell), true
}

func codeFlag(cell, flag string) bool {
	_, flags, ok := strings.Cut(cell, " [")
	if !ok {
		return false
	}
	flags, _, _ = strings.Cut(flags, "]")
	for _, f := range strings.Split(flags, ",") {
		if f == flag {
			return true
		}
	}
	return false
}

func unquote(s string) string {
	for _, q := range []string{`"`, `'`} {
		if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			return s[1 : len(s)-1]
		}
	}
	return s
}

// event is one change of a directive: kind "default" with the new value, or a flag switched "on" or
// "off".
type event struct {
	kind  string
	value string
	since Version
}

var (
	defaultEvent = regexp.MustCompile(`^(?:default|name/path only) .* -> (.*) in (\d+\.\d+\.\d+)$`)
	flagEvent    = regexp.MustCompile(`^(no longer )?(UNUSED|OBSOLETE|DEPRECATED) from (\d+\.\d+\.\d+)$`)
)

// events reads Change: "default 'A' -> 'B' in 8.5.0; UNUSED from 8.7.0".
func (d *Directive) events() []event {
	d.once.Do(func() { d.changes = parseChange(d.Change) })
	return d.changes
}

func parseChange(change string) []event {
	var list []event
	for _, part := range strings.Split(change, "; ") {
		if m := defaultEvent.FindStringSubmatch(part); m != nil {
			list = append(list, event{"default", unquote(m[1]), mustVersion(m[2])})
		}
		if m := flagEvent.FindStringSubmatch(part); m != nil {
			state := "on"
			if m[1] != "" {
				state = "off"
			}
			list = append(list, event{m[2], state, mustVersion(m[3])})
		}
	}
	return list
}
