package rpm

import "strings"

// Section is a part of a .repo file, or of yum.conf: as a rule a repository.
type Section struct {
	ID     string
	Values map[string]string // by key in small letters; a value of several lines has blanks between them
}

// Enabled reports whether the repository is in use.
func (s Section) Enabled() bool { return On(s.Values["enabled"], true) }

// On reads a boolean as yum, dnf and zypper do.
func On(value string, otherwise bool) bool {
	switch strings.ToLower(value) {
	case "":
		return otherwise
	case "1", "yes", "true", "on":
		return true
	}
	return false
}

// ParseSections reads the ini-like format of yum.conf(5): a line that begins with a blank continues the
// value before.
func ParseSections(text string) []Section {
	var sections []Section
	var key string
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';':
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			sections = append(sections, Section{ID: trimmed[1 : len(trimmed)-1], Values: map[string]string{}})
			key = ""
		case len(sections) == 0:
		case (line[0] == ' ' || line[0] == '\t') && key != "":
			sections[len(sections)-1].Values[key] += " " + trimmed
		default:
			name, value, found := strings.Cut(trimmed, "=")
			if !found {
				continue
			}
			key = strings.ToLower(strings.TrimSpace(name))
			sections[len(sections)-1].Values[key] = strings.TrimSpace(value)
		}
	}
	return sections
}
