package directory

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
)

// ParseLDIF reads the entries of an LDIF file (RFC 2849), whose first line has a number. Change records are refused.
func ParseLDIF(text string, first int) ([]host.Entry, error) {
	var entries []host.Entry
	err := eachRecord(strings.NewReader(text), first, func(rec *record) error {
		e, err := rec.entry()
		if e != nil {
			entries = append(entries, *e)
		}
		return err
	})
	return entries, err
}

// entry is the entry that a record holds; nil if it holds none.
func (rec *record) entry() (*host.Entry, error) {
	var entry *host.Entry
	for _, l := range rec.lines {
		name, value, err := ldifLine(rec.line(l))
		switch {
		case err != nil:
		case strings.EqualFold(name, "version") && entry == nil:
		case strings.EqualFold(name, "dn") && entry != nil:
			err = fmt.Errorf("a dn inside the entry %s; part entries by an empty line", entry.DN)
		case strings.EqualFold(name, "dn"):
			if _, bad := ldap.ParseDN(value); bad != nil {
				err = fmt.Errorf("dn %q: %w", value, bad)
			}
			entry = &host.Entry{DN: value, Attributes: map[string][]string{}}
		case entry == nil:
			err = fmt.Errorf("%q before a dn", name)
		case strings.EqualFold(name, "changetype"):
			err = errChangeRecord
		default:
			addValue(entry, name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", rec.number(l), err)
		}
	}
	return entry, nil
}

var errChangeRecord = errors.New("a change record; only entries can be given")

func addValue(e *host.Entry, name, value string) {
	for have := range e.Attributes {
		if strings.EqualFold(have, name) {
			name = have
		}
	}
	e.Attributes[name] = append(e.Attributes[name], value)
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
