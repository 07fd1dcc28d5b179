package sim

import (
	"fmt"
	"strings"
)

// stanza is a paragraph of deb822 text: a package in a list of packages.
type stanza struct {
	line   int
	fields []stanzaField
}

// stanzaField keeps the lines of a value apart; the first one is the text after the colon.
type stanzaField struct {
	name  string
	lines []string
	line  int
}

// get returns a field's text on one line.
func (s *stanza) get(name string) string {
	return strings.TrimSpace(strings.Join(s.list(name), " "))
}

// list returns the non-empty lines of a field, without their indent.
func (s *stanza) list(name string) []string {
	for _, f := range s.fields {
		if !strings.EqualFold(f.name, name) {
			continue
		}
		var lines []string
		for _, l := range f.lines {
			if l = strings.TrimSpace(l); l != "" {
				lines = append(lines, l)
			}
		}
		return lines
	}
	return nil
}

// parseStanzas reads deb822 text (Debian Policy 5.1): "Name: value" fields, continuation lines that
// begin with a blank, paragraphs parted by empty lines, "#" comments. Line numbers start at first.
func parseStanzas(text string, first int) ([]stanza, error) {
	var all []stanza
	var open bool
	n := first - 1
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case strings.TrimSpace(line) == "":
			open = false
			continue
		case line[0] == ' ' || line[0] == '\t':
			if !open || len(all[len(all)-1].fields) == 0 {
				return nil, fmt.Errorf("line %d: a continuation line without a field before it", n)
			}
			last := &all[len(all)-1]
			f := &last.fields[len(last.fields)-1]
			f.lines = append(f.lines, line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("line %d: %q is not of the form \"Field: value\"", n, line)
		}
		if !open {
			all = append(all, stanza{line: n})
			open = true
		}
		last := &all[len(all)-1]
		last.fields = append(last.fields, stanzaField{name: name, lines: []string{value}, line: n})
	}
	return all, nil
}
