package directory

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// Words gives the names in a text of a server's configuration their successors: access rules, indexes, overlays, lists of
// attributes. A class is one where a rule names it (@class, !class), or a filter compares with it; the value of a
// comparison, as in a DN, is no attribute.
func (r *Renaming) Words(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if end == at {
			out.WriteByte(text[at])
			at++
			continue
		}
		out.WriteString(r.word(text[:at], text[at:end]))
		at = end
	}
	return out.String()
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.'
}

// word renames one that follows a text.
func (r *Renaming) word(before, word string) string {
	key := strings.ToLower(word)
	if to := r.Classes[key]; to != "" && namesClass(before) {
		return to
	}
	to := r.Attributes[key]
	if rest, compared := strings.CutSuffix(before, "="); to == "" || compared && !listsAttributes(rest) {
		return word
	}
	return to
}

func namesClass(before string) bool {
	if strings.HasSuffix(before, "@") || strings.HasSuffix(before, "!") {
		return true
	}
	rest, compared := strings.CutSuffix(before, "=")
	return compared && comparesClass(lastWord(rest))
}

// listsAttributes tells whether what ends before a "=" is a key word that attributes follow.
func listsAttributes(before string) bool {
	switch strings.ToLower(lastWord(before)) {
	case "attr", "attrs", "attribute", "attributes", "dnattr", "exattrs", "add", "del":
		return true
	}
	return false
}

func lastWord(text string) string {
	at := len(text)
	for at > 0 && isWord(text[at-1]) {
		at--
	}
	return text[at:]
}

// indexed takes attributes out of an index, as "a,b eq,sub", that seen has already; seen learns the others. It is empty
// if none is left.
func indexed(index string, seen map[string]bool) string {
	list, kinds := cutIndex(index)
	attributes := slices.DeleteFunc(list, func(name string) bool {
		key := strings.ToLower(name)
		was := seen[key]
		seen[key] = true
		return was
	})
	if len(attributes) == 0 {
		return ""
	}
	return strings.TrimSpace(strings.Join(attributes, ",") + " " + kinds)
}

// cutIndex parts an index's attributes from its kinds.
func cutIndex(index string) (attributes []string, kinds string) {
	index = strings.TrimSpace(index)
	end := strings.IndexAny(index, " \t")
	if end < 0 {
		end = len(index)
	}
	return strings.Split(index[:end], ","), strings.TrimSpace(index[end:])
}

// learn notes what has an index under its new name already.
func (r *Renaming) learn(seen map[string]bool, index string) {
	if r.Words(index) != index {
		return
	}
	attributes, _ := cutIndex(index)
	for _, name := range attributes {
		seen[strings.ToLower(name)] = true
	}
}

// Indexes renames the attributes of indexes; one that has an index under its new name already keeps that.
func (r *Renaming) Indexes(indexes []string) []string {
	seen := map[string]bool{}
	for _, index := range indexes {
		r.learn(seen, index)
	}
	var out []string
	for _, index := range indexes {
		renamed := r.Words(index)
		if renamed == index {
			out = append(out, index)
		} else if renamed = indexed(renamed, seen); renamed != "" {
			out = append(out, renamed)
		}
	}
	return out
}

// statement is a line of slapd.conf with those that continue it.
type statement struct {
	first int // number of its first line
	text  string
}

// statements takes a slapd.conf apart; all together they are the file.
func statements(text string) []statement {
	var list []statement
	number := 0
	for line := range strings.Lines(text) {
		number++
		if n := len(list); n > 0 && line != "" && (line[0] == ' ' || line[0] == '\t') && strings.TrimSpace(line) != "" {
			list[n-1].text += line
			continue
		}
		list = append(list, statement{number, line})
	}
	return list
}

// keyword is what a statement is about, in lower case; empty for a comment.
func (s statement) keyword() string {
	words := strings.Fields(s.text)
	if len(words) == 0 || words[0][0] == '#' {
		return ""
	}
	return strings.ToLower(words[0])
}

// argument is what follows the key word, without quotes.
func (s statement) argument() string {
	rest := strings.TrimSpace(strings.TrimSpace(s.text)[len(s.keyword()):])
	return strings.Trim(rest, `"`)
}

// settled are statements that name no attribute of entries.
var settled = []string{"", "include", "attributetype", "objectclass", "objectidentifier", "suffix", "rootdn", "rootpw", "directory", "moduleload", "modulepath", "database", "argsfile", "pidfile"}

// ConfigFile is a slapd.conf with new names in its statements, those of the schema left out.
func (r *Renaming) ConfigFile(text string) string {
	var out strings.Builder
	list := statements(text)
	seen := r.indexes(list)
	for _, s := range list {
		if s.keyword() == "database" {
			seen = seen[1:]
		}
		out.WriteString(r.statement(s, seen[0]))
	}
	return out.String()
}

// indexes tells, of what comes before the first database and of each database, what has an index under its new name.
func (r *Renaming) indexes(list []statement) []map[string]bool {
	seen := []map[string]bool{{}}
	for _, s := range list {
		switch s.keyword() {
		case "database":
			seen = append(seen, map[string]bool{})
		case "index":
			r.learn(seen[len(seen)-1], s.argument())
		}
	}
	return seen
}

func (r *Renaming) statement(s statement, seen map[string]bool) string {
	if slices.Contains(settled, s.keyword()) {
		return s.text
	}
	renamed := r.Words(s.text)
	if s.keyword() != "index" || renamed == s.text {
		return renamed
	}
	left := indexed(statement{s.first, renamed}.argument(), seen)
	if left == "" {
		return "# " + s.text
	}
	return "index " + left + "\n"
}

// Mention is a place of a configuration that has an old name.
type Mention struct {
	Where string // a file and its line, or an entry of cn=config and its attribute
	Text  string
	New   string
}

var credentials = regexp.MustCompile(`(?i)\b(credentials\s*=\s*)("[^"]*"|\S+)`)

// Shown is a text of a configuration without passwords: replication has some beside its lists of attributes.
func Shown(text string) string { return credentials.ReplaceAllString(text, "$1***") }

// EntryMentions lists the values of an entry of a configuration that have old names.
func (r *Renaming) EntryMentions(e host.Entry) []Mention {
	var list []Mention
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		for _, v := range e.Attributes[name] {
			if renamed := r.Words(v); Configures(name) && renamed != v {
				list = append(list, Mention{Where: e.DN + " " + name, Text: Shown(v), New: Shown(renamed)})
			}
		}
	}
	if to := r.indexEntry(e); to != "" {
		list = append(list, Mention{Where: e.DN, Text: "an index of " + e.Values("cn")[0], New: "one of " + to + " beside it"})
	}
	return list
}

// indexEntry is the attribute that needs an index beside that of an entry of 389 Directory Server's configuration; empty
// if the entry is no index, or none of an old attribute.
func (r *Renaming) indexEntry(e host.Entry) string {
	index := slices.ContainsFunc(e.Values(classAttribute), func(c string) bool { return strings.EqualFold(c, "nsIndex") })
	if cn := e.Values("cn"); index && len(cn) == 1 {
		return r.Attributes[strings.ToLower(cn[0])]
	}
	return ""
}

// IndexBeside is the index of a new attribute that stands beside an old one's; false if an entry is no such index. There
// every index is an entry of its own.
func (r *Renaming) IndexBeside(e host.Entry) (host.Entry, bool) {
	to := r.indexEntry(e)
	_, above, below := strings.Cut(e.DN, ",")
	if to == "" || !below {
		return host.Entry{}, false
	}
	beside := host.Entry{DN: "cn=" + to + "," + above, Attributes: map[string][]string{classAttribute: {"top", "nsIndex"}, "cn": {to}}}
	for name, values := range e.Attributes {
		if key := strings.ToLower(name); strings.HasPrefix(key, "ns") && key != "nsuniqueid" {
			beside.Attributes[name] = slices.Clone(values)
		}
	}
	return beside, true
}

// Mentions lists the statements of a slapd.conf that have old names.
func (r *Renaming) Mentions(file, text string) []Mention {
	var list []Mention
	for _, s := range statements(text) {
		if renamed := r.statement(s, map[string]bool{}); renamed != s.text {
			list = append(list, Mention{Where: fmt.Sprintf("%s, line %d", file, s.first), Text: Shown(strings.TrimSpace(s.text)), New: Shown(strings.TrimSpace(renamed))})
		}
	}
	return list
}

// Definition is a definition of the old schema, as the new schema has it: by its names, below its number.
func (r *Renaming) Definition(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && isWord(text[end]) {
			end++
		}
		word := text[at:max(end, at+1)]
		key := strings.ToLower(word)
		switch old, below, _ := r.cutNumber(word); {
		case old != "":
			word = r.Numbers[old] + below
		case r.Attributes[key] != "":
			word = r.Attributes[key]
		case r.Classes[key] != "":
			word = r.Classes[key]
		}
		out.WriteString(word)
		at = max(end, at+1)
	}
	return out.String()
}

// cutNumber finds the old number below which a definition's is.
func (r *Renaming) cutNumber(word string) (old, below string, found bool) {
	for number := range r.Numbers {
		if rest, is := strings.CutPrefix(word, number); is && strings.HasPrefix(rest, ".") {
			return number, rest, true
		}
	}
	return "", "", false
}

// settledConfig are attributes of cn=config that name no attribute of entries.
var settledConfig = []string{
	"olcsuffix", "olcrootdn", "olcrootpw", "olcdbdirectory", "olcmoduleload", "olcmodulepath", "olcargsfile", "olcpidfile",
	"olcattributetypes", "olcobjectclasses", "olcobjectidentifier", "olcditcontentrules", "olcldapsyntaxes", "olcbackend", "olcdatabase", "olcoverlay",
}

// configures389 are attributes of 389 Directory Server that name attributes of entries: access rules, which stand in the
// entries themselves, and plugins, those for unique values and for references among them.
var configures389 = []string{"aci", "uniqueness-attribute-name", "uniqueness-top-entry-oc", "referint-membership-attr", "memberofattr", "memberofgroupattr"}

// Configures tells whether an attribute of cn=config, or an access rule, may name attributes of entries.
func Configures(attribute string) bool {
	key := strings.ToLower(attribute)
	switch {
	case strings.HasPrefix(key, "olc"):
		return !slices.Contains(settledConfig, key)
	case strings.HasPrefix(key, "nsslapd-pluginarg"):
		return true
	}
	return slices.Contains(configures389, key)
}

// DefinedName is the name that a definition gives.
func DefinedName(text string) string { return definition(text).names()[0] }

// ConfigLine is a statement of a slapd.conf.
type ConfigLine struct{ Keyword, Argument string }

// ConfigLines are the statements of a slapd.conf, without comments.
func ConfigLines(text string) []ConfigLine {
	var list []ConfigLine
	for _, s := range statements(text) {
		if s.keyword() != "" {
			list = append(list, ConfigLine{s.keyword(), s.argument()})
		}
	}
	return list
}

// SchemaFile is the new schema of what a file defines of the old one, without what is defined elsewhere in a
// configuration; empty if that is nothing.
func (r *Renaming) SchemaFile(text, all string) string {
	known := map[string]bool{}
	for _, s := range statements(all) {
		if s.defines() {
			known[strings.ToLower(DefinedName(s.argument()))] = true
		}
	}
	var out strings.Builder
	for _, s := range statements(text) {
		if !s.defines() {
			continue
		}
		key := strings.ToLower(DefinedName(s.argument()))
		to := r.Attributes[key]
		if to == "" {
			to = r.Classes[key]
		}
		if to != "" && !known[strings.ToLower(to)] {
			out.WriteString(strings.TrimRight(r.Definition(s.text), "\n") + "\n")
		}
	}
	return out.String()
}

func (s statement) defines() bool {
	return s.keyword() == "attributetype" || s.keyword() == "objectclass"
}

// IncludeAfter has a slapd.conf include a file behind another that it includes.
func IncludeAfter(text, after, file string) string {
	var out strings.Builder
	for _, s := range statements(text) {
		out.WriteString(s.text)
		if s.keyword() == "include" && s.argument() == after {
			if !strings.HasSuffix(s.text, "\n") {
				out.WriteString("\n")
			}
			out.WriteString("include " + file + "\n")
		}
	}
	return out.String()
}
