package sim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
)

// directoryServer answers from the entries of the fixture, or passes searches to the machine below.
type directoryServer struct {
	mu    *sync.Mutex
	below host.View

	entries []host.Entry
	known   bool
}

// SearchDirectory searches the entries of the fixture, or of the machine below.
func (dir *directoryServer) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	if err := errors.Join(conn.Check(), req.Check()); err != nil {
		return nil, err
	}
	if dir.below != nil {
		return dir.below.SearchDirectory(ctx, conn, req)
	}
	dir.mu.Lock()
	defer dir.mu.Unlock()
	if !dir.known {
		return nil, fmt.Errorf("directory %s: %w; describe it in the section \"directory\" of the fixture", strings.Join(conn.URLs, " "), host.ErrUnknown)
	}
	base, err := ldap.ParseDN(req.Base)
	if err != nil {
		return nil, fmt.Errorf("search base %q: %w", req.Base, err)
	}
	filter, err := ldap.CompileFilter(req.Filter)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", req.Filter, err)
	}
	var found []host.Entry
	baseSeen := len(base.RDNs) == 0
	for _, e := range dir.entries {
		dn, err := ldap.ParseDN(e.DN)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", e.DN, err)
		}
		baseSeen = baseSeen || base.EqualFold(dn)
		in, err := inScope(base, dn, req.Scope)
		if err != nil {
			return nil, err
		}
		if !in {
			continue
		}
		matches, err := matchFilter(filter, e)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", req.Filter, err)
		}
		if matches == isTrue {
			found = append(found, selectAttributes(e, req.Attributes))
		}
	}
	if !baseSeen {
		return nil, ldap.NewError(ldap.LDAPResultNoSuchObject, fmt.Errorf("no such object: %s", req.Base))
	}
	return found, nil
}

func inScope(base, dn *ldap.DN, scope string) (bool, error) {
	switch scope {
	case "base":
		return base.EqualFold(dn), nil
	case "one":
		return len(dn.RDNs) == len(base.RDNs)+1 && base.AncestorOfFold(dn), nil
	case "sub", "":
		return base.EqualFold(dn) || base.AncestorOfFold(dn), nil
	}
	return false, fmt.Errorf("search scope %q is not one of base, one, sub", scope)
}

func selectAttributes(e host.Entry, names []string) host.Entry {
	all := len(names) == 0 || slices.Contains(names, "*")
	out := host.Entry{DN: e.DN, Attributes: map[string][]string{}}
	for name, values := range e.Attributes {
		if all || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			out.Attributes[name] = slices.Clone(values)
		}
	}
	return out
}

// truth is the three-valued logic of RFC 4511, 4.5.1.7.
type truth int

const (
	isFalse truth = iota
	isUndefined
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// matchFilter evaluates a compiled filter (RFC 4511) over an entry. Values are compared without
// regard to case, as nearly all attributes of directories of people are; numbers in order
// comparisons as numbers.
func matchFilter(f *ber.Packet, e host.Entry) (truth, error) {
	switch f.Tag {
	case ldap.FilterAnd:
		result := isTrue
		for _, c := range f.Children {
			t, err := matchFilter(c, e)
			if err != nil {
				return isFalse, err
			}
			result = min(result, t)
		}
		return result, nil
	case ldap.FilterOr:
		result := isFalse
		for _, c := range f.Children {
			t, err := matchFilter(c, e)
			if err != nil {
				return isFalse, err
			}
			result = max(result, t)
		}
		return result, nil
	case ldap.FilterNot:
		t, err := matchFilter(f.Children[0], e)
		return isTrue - t, err
	case ldap.FilterPresent:
		return truthOf(len(attribute(e, f.Data.String())) > 0), nil
	case ldap.FilterSubstrings:
		return matchSubstrings(f, e), nil
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		return matchValue(f, e), nil
	}
	return isFalse, fmt.Errorf("%s is %w", ldap.FilterMap[uint64(f.Tag)], host.ErrUnsupported)
}

func attribute(e host.Entry, name string) []string {
	for have, values := range e.Attributes {
		if strings.EqualFold(have, name) {
			return values
		}
	}
	return nil
}

func matchValue(f *ber.Packet, e host.Entry) truth {
	want := strings.ToLower(packetText(f.Children[1]))
	values := attribute(e, packetText(f.Children[0]))
	if len(values) == 0 {
		return isUndefined
	}
	for _, v := range values {
		c := compareValues(strings.ToLower(v), want)
		switch f.Tag {
		case ldap.FilterGreaterOrEqual:
			if c >= 0 {
				return isTrue
			}
		case ldap.FilterLessOrEqual:
			if c <= 0 {
				return isTrue
			}
		default:
			if c == 0 {
				return isTrue
			}
		}
	}
	return isFalse
}

func compareValues(a, b string) int {
	na, err1 := strconv.ParseInt(a, 10, 64)
	nb, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil {
		return strings.Compare(a, b)
	}
	switch {
	case na < nb:
		return -1
	case na > nb:
		return 1
	}
	return 0
}

func matchSubstrings(f *ber.Packet, e host.Entry) truth {
	values := attribute(e, packetText(f.Children[0]))
	if len(values) == 0 {
		return isUndefined
	}
	for _, v := range values {
		if substringsOf(strings.ToLower(v), f.Children[1].Children) {
			return isTrue
		}
	}
	return isFalse
}

func substringsOf(value string, parts []*ber.Packet) bool {
	for _, part := range parts {
		text := strings.ToLower(packetText(part))
		switch part.Tag {
		case ldap.FilterSubstringsInitial:
			rest, ok := strings.CutPrefix(value, text)
			if !ok {
				return false
			}
			value = rest
		case ldap.FilterSubstringsFinal:
			return strings.HasSuffix(value, text)
		default:
			i := strings.Index(value, text)
			if i < 0 {
				return false
			}
			value = value[i+len(text):]
		}
	}
	return true
}

func packetText(p *ber.Packet) string {
	if p.Data != nil && p.Data.Len() > 0 {
		return p.Data.String()
	}
	if s, ok := p.Value.(string); ok {
		return s
	}
	return ""
}

// parseLDIF reads the entries of an LDIF file (RFC 2849). Change records are refused.
func parseLDIF(text string, first int) ([]host.Entry, error) {
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

// formatLDIF writes entries as LDIF, attributes in order of name, objectClass first.
func formatLDIF(entries []host.Entry) string {
	var out strings.Builder
	for i, e := range entries {
		if i > 0 {
			out.WriteByte('\n')
		}
		writeLDIF(&out, "dn", e.DN)
		names := sortedKeys(e.Attributes)
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
