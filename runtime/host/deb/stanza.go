package deb

import (
	"fmt"
	"strings"
)

// Stanza is a paragraph of deb822 text, with the lines where things stand.
type Stanza struct {
	Line   int
	Fields []Field
}

// Field keeps the lines of a value apart; the first one is the text after the colon.
type Field struct {
	Name  string
	Lines []string
	Line  int
}

// Get gives a field's text on one line.
func (s *Stanza) Get(name string) string {
	return strings.TrimSpace(strings.Join(s.List(name), " "))
}

// List gives the non-empty lines of a field, without their indent.
func (s *Stanza) List(name string) []string {
	for _, f := range s.Fields {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		var lines []string
		for _, l := range f.Lines {
			if l = strings.TrimSpace(l); l != "" {
				lines = append(lines, l)
			}
		}
		return lines
	}
	return nil
}

// ParseStanzas reads deb822 text (Debian Policy 5.1): "Name: value" fields, continuation lines that
// begin with a blank, paragraphs parted by empty lines, "#" comments. Line numbers start at first. What
// is not of this form is an error: ParseControl is for what a package manager has written.
func ParseStanzas(text string, first int) ([]Stanza, error) {
	var all []Stanza
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
			if !open || len(all[len(all)-1].Fields) == 0 {
				return nil, fmt.Errorf("line %d: a continuation line without a field before it", n)
			}
			last := &all[len(all)-1]
			f := &last.Fields[len(last.Fields)-1]
			f.Lines = append(f.Lines, line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("line %d: %q is not of the form \"Field: value\"", n, line)
		}
		if !open {
			all = append(all, Stanza{Line: n})
			open = true
		}
		last := &all[len(all)-1]
		last.Fields = append(last.Fields, Field{Name: name, Lines: []string{value}, Line: n})
	}
	return all, nil
}
