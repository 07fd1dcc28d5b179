package cfg

import (
	_ "embed"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:embed defaults.tsv
var defaultsTable string

// newDefault is a default of Kopano that is to take the place of what ZCP did.
type newDefault struct {
	daemon, directive, value string
	while                    string // NAME=PATTERN, "" for always
	look                     bool   // an admin may want to decide otherwise
	why                      string
}

var newDefaults = sync.OnceValue(func() []newDefault {
	var list []newDefault
	for i, row := range tableRows(defaultsTable) {
		if i > 0 {
			list = append(list, newDefault{row[0], row[1], row[2], row[3], row[4] == "yes", row[5]})
		}
	}
	return list
})

// tableRows splits a table into its cells; lines that begin with "# " are about the table.
func tableRows(table string) [][]string {
	var rows [][]string
	for row := range strings.SplitSeq(strings.TrimSuffix(table, "\n"), "\n") {
		if !strings.HasPrefix(row, "# ") {
			rows = append(rows, strings.Split(row, "\t"))
		}
	}
	return rows
}

// newDefault finds why the default of Kopano is to be in force in place of what ZCP did; ok is false if it is not.
func (c *conversion) newDefault(name string) (found newDefault, ok bool) {
	def, _ := Lookup(c.daemon, name).Default(c.to)
	for _, n := range newDefaults() {
		if matches(n.daemon, c.daemon) && matches(n.directive, name) && matches(n.value, def) && c.holds(n.while) {
			return n, true
		}
	}
	return newDefault{}, false
}

func (c *conversion) holds(while string) bool {
	name, pattern, ok := strings.Cut(while, "=")
	return !ok || matches(pattern, c.value(name))
}

// matches is a glob whose stars match slashes, too.
func matches(pattern, text string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

var (
	sizeValue  = regexp.MustCompile(`^([0-9]+)([kmg]?)b?$`)
	powerValue = regexp.MustCompile(`^2\*\*([0-9]+)$`)
	localURL   = regexp.MustCompile(`^file:///(var/)?run/kopano/server\.sock$`)
)

var sizeUnits = map[string]uint{"": 0, "k": 10, "m": 20, "g": 30}

// same tells whether a daemon takes two values of a directive for the same.
func same(name, a, b string) bool { return a == b || meaning(name, a) == meaning(name, b) }

// meaning spells a value in one way of several that mean the same.
func meaning(name, value string) string {
	value = plain(value)
	lower := strings.ToLower(value)
	switch {
	case lower == "yes" || lower == "true":
		return "1"
	case lower == "no" || lower == "false":
		return "0"
	case name == "server_socket" && (value == "" || localURL.MatchString(value)):
		return "default:"
	case name == "server_bind" && (value == "0.0.0.0" || value == "::" || value == "*"):
		return ""
	case strings.HasSuffix(name, "_url") || strings.HasSuffix(name, "_listen") || strings.Contains(value, "/"):
		return strings.ReplaceAll(strings.TrimRight(value, "/"), "/var/run/", "/run/")
	}
	if m := sizeValue.FindStringSubmatch(lower); m != nil {
		if n, err := strconv.ParseUint(m[1], 10, 34); err == nil {
			return strconv.FormatUint(n<<sizeUnits[m[2]], 10)
		}
	}
	if m := powerValue.FindStringSubmatch(value); m != nil {
		n, _ := strconv.Atoi(m[1])
		return strconv.FormatUint(1<<min(n, 62), 10)
	}
	return value
}

// plain spells a default of a Python daemon as its configuration file has it.
func plain(value string) string {
	switch value {
	case "None", "<required>":
		return ""
	case "<PKGLIBDIR>": // built in, by system
		return "where its packages have it"
	}
	list, ok := strings.CutPrefix(value, "[")
	if !ok || !strings.HasSuffix(list, "]") {
		return pythonBool(value)
	}
	words := strings.Split(strings.TrimSuffix(list, "]"), ",")
	for i, w := range words {
		words[i] = strings.TrimPrefix(unquote(strings.TrimSpace(w)), "0x")
	}
	return strings.Join(words, " ")
}
