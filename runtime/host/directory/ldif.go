package directory

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
)

// ParseLDIF reads the entries of an LDIF file (RFC 2849). Change records are refused.
func ParseLDIF(text string, first int) ([]host.Entry, error) {
	var entries []host.Entry
	var entry *host.Entry
	for _, l := range unfold(text, first) {
		if l.text == "" {
			entry = nil
			continue
		}
		name, value, err := ldifLine(l.text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		switch {
		case strings.EqualFold(name, "version") && entry == nil:
		case strings.EqualFold(name, "dn"):
			if entry != nil {
				return nil, fmt.Errorf("line %d: a dn inside the entry %s; part entries by an empty line", l.number, entry.DN)
			}
			if _, err := ldap.ParseDN(value); err != nil {
				return nil, fmt.Errorf("line %d: dn %q: %w", l.number, value, err)
			}
			entries = append(entries, host.Entry{DN: value, Attributes: map[string][]string{}})
			entry = &entries[len(entries)-1]
		case entry == nil:
			return nil, fmt.Errorf("line %d: %q before a dn", l.number, name)
		case strings.EqualFold(name, "changetype"):
			return nil, fmt.Errorf("line %d: a change record; only entries can be given", l.number)
		default:
			addValue(entry, name, value)
		}
	}
	return entries, nil
}

func addValue(e *host.Entry, name, value string) {
	for have := range e.Attributes {
		if strings.EqualFold(have, name) {
			name = have
		}
	}
	e.Attributes[name] = append(e.Attributes[name], value)
}

type numberedLine struct {
	number int
	text   string
}

// unfold joins continuation lines and leaves comments out.
func unfold(text string, first int) []numberedLine {
	var lines []numberedLine
	comment := false
	number := first - 1
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, " "); ok && len(lines) > 0 {
			if !comment {
				lines[len(lines)-1].text += rest
			}
			continue
		}
		if comment = strings.HasPrefix(line, "#"); !comment {
			lines = append(lines, numberedLine{number, line})
		}
	}
	return lines
}

func ldifLine(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" {
		return "", "", fmt.Errorf("%q is not of the form \"attribute: value\"", text)
	}
	if strings.HasPrefix(value, "<") {
		return "", "", fmt.Errorf("%s: values from URLs are %w", name, host.ErrUnsupported)
	}
	if encoded, ok := strings.CutPrefix(value, ":"); ok {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", name, err)
		}
		return name, string(raw), nil
	}
	return name, strings.TrimLeft(value, " "), nil
}

// FormatLDIF writes entries as LDIF, attributes in order of name, objectClass first.
func FormatLDIF(entries []host.Entry) string {
	var out strings.Builder
	for i, e := range entries {
		if i > 0 {
			out.WriteByte('\n')
		}
		writeLDIF(&out, "dn", e.DN)
		names := slices.Sorted(maps.Keys(e.Attributes))
		sort.SliceStable(names, func(a, b int) bool {
			return strings.EqualFold(names[a], "objectClass") && !strings.EqualFold(names[b], "objectClass")
		})
		for _, name := range names {
			for _, v := range e.Attributes[name] {
				writeLDIF(&out, name, v)
			}
		}
	}
	return out.String()
}

// Line is a value as a line of LDIF.
func Line(name, value string) string {
	var out strings.Builder
	writeLDIF(&out, name, value)
	return strings.TrimSuffix(out.String(), "\n")
}

func writeLDIF(out *strings.Builder, name, value string) {
	safe := value == "" || !strings.ContainsAny(value[:1], " :<") && !strings.HasSuffix(value, " ")
	for i := 0; safe && i < len(value); i++ {
		safe = value[i] >= ' ' && value[i] < 0x7f
	}
	if safe {
		fmt.Fprintf(out, "%s: %s\n", name, value)
		return
	}
	fmt.Fprintf(out, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
}
