package deb

import "strings"

// Paragraph is a paragraph of deb-control(5). Names of fields are in small letters; a value of several
// lines keeps its lines.
type Paragraph map[string]string

// Get gives the value of a field, whatever the case of its name.
func (p Paragraph) Get(name string) string { return p[strings.ToLower(name)] }

// Line gives the value of a field that may be folded, on one line.
func (p Paragraph) Line(name string) string { return strings.Join(strings.Fields(p.Get(name)), " ") }

// Depends joins the two fields that say what a package needs.
func (p Paragraph) Depends() string { return JoinDepends(p.Get("Pre-Depends"), p.Get("Depends")) }

// JoinDepends joins Pre-Depends and Depends.
func JoinDepends(pre, depends string) string {
	if pre == "" || depends == "" {
		return pre + depends
	}
	return pre + ", " + depends
}

// ParseControl reads paragraphs: fields, continued by lines that begin with a blank. Lines that are neither
// are passed over.
func ParseControl(text string) []Paragraph {
	var paragraphs []Paragraph
	var current Paragraph
	var field string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			current = nil
		case line[0] == ' ' || line[0] == '\t':
			if current != nil {
				current[field] += "\n" + line
			}
		default:
			name, value, found := strings.Cut(line, ":")
			if !found {
				continue
			}
			if current == nil {
				current = Paragraph{}
				paragraphs = append(paragraphs, current)
			}
			field = strings.ToLower(name)
			current[field] = strings.TrimSpace(value)
		}
	}
	return paragraphs
}
