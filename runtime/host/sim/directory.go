package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// directoryServer answers from the entries of the fixture, or passes searches to the machine below; what the run has
// changed lies above both.
type directoryServer struct {
	mu    *sync.Mutex
	below host.View
	files *files
	gaps  *gaps

	entries []host.Entry
	known   bool
	changed map[string]*host.Entry // by dnKey; nil for what is gone

	parsed map[string]parsedDN // DNs of entries, as they are written
}

// parsedDN is a DN that was taken apart, and what dnKey makes of it.
type parsedDN struct {
	*ldap.DN
	key string
}

// dn is an entry's DN, which is taken apart once.
func (dir *directoryServer) dn(e host.Entry) (parsedDN, error) {
	if dn, is := dir.parsed[e.DN]; is {
		return dn, nil
	}
	dn, err := ldap.ParseDN(e.DN)
	if err != nil {
		return parsedDN{}, fmt.Errorf("entry %q: %w", e.DN, err)
	}
	if dir.parsed == nil {
		dir.parsed = map[string]parsedDN{}
	}
	dir.parsed[e.DN] = parsedDN{dn, strings.ToLower(dn.String())}
	return dir.parsed[e.DN], nil
}

// directoryPage is how many entries are handed on at once.
const directoryPage = 500

// SearchDirectory searches the entries of the fixture, or of the machine below, as the run has left them.
func (dir *directoryServer) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	var all []host.Entry
	err := dir.SearchPages(ctx, conn, req, func(page []host.Entry) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

// SearchPages is SearchDirectory, page by page.
func (dir *directoryServer) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	if err := errors.Join(conn.Check(), req.Check()); err != nil {
		return err
	}
	if dir.below == nil && !dir.known {
		return fmt.Errorf("directory %s: %w; describe it in the section \"directory\" of the fixture", strings.Join(conn.URLs, " "), host.ErrUnknown)
	}
	s, err := newSearch(req)
	if err != nil {
		return err
	}
	if dir.below == nil {
		found, err := dir.inFixture(s)
		if err != nil {
			return err
		}
		return s.page(ctx, found, page)
	}
	above, shadowed, err := dir.above(s)
	if err != nil {
		return err
	}
	err = dir.below.SearchPages(ctx, conn, req, func(entries []host.Entry) error {
		if entries = slices.DeleteFunc(entries, func(e host.Entry) bool { return shadowed(e.DN) }); len(entries) == 0 {
			return nil // no server sends an empty page
		}
		return page(entries)
	})
	if err != nil && !(directory.Is(err, ldap.LDAPResultNoSuchObject) && dir.added(req.Base)) {
		return err
	}
	return s.page(ctx, above, page)
}

// added tells whether the run has added an entry, or changed it, and it is there.
func (dir *directoryServer) added(dn string) bool {
	dir.mu.Lock()
	defer dir.mu.Unlock()
	return dir.changed[dnKey(dn)] != nil
}

// above are the entries that the run has changed and a search finds; shadowed tells of an entry below whether the run
// has changed it.
func (dir *directoryServer) above(s *directorySearch) (found []host.Entry, shadowed func(dn string) bool, err error) {
	dir.mu.Lock()
	defer dir.mu.Unlock()
	changed := maps.Clone(dir.changed)
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		if e := changed[key]; e != nil {
			dn, err := dir.dn(*e)
			if err != nil {
				return nil, nil, err
			}
			if found, err = s.add(found, dn.DN, *e); err != nil {
				return nil, nil, err
			}
		}
	}
	return found, func(dn string) bool { _, is := changed[dnKey(dn)]; return is }, nil
}

func (dir *directoryServer) inFixture(s *directorySearch) (found []host.Entry, err error) {
	dir.mu.Lock()
	defer dir.mu.Unlock()
	baseSeen := len(s.base.RDNs) == 0
	s.schema = schemaIn(dir.entries)
	for _, e := range dir.all() {
		dn, err := dir.dn(e)
		if err != nil {
			return nil, err
		}
		baseSeen = baseSeen || s.base.EqualFold(dn.DN)
		if found, err = s.add(found, dn.DN, e); err != nil {
			return nil, err
		}
	}
	if !baseSeen {
		return nil, &directory.Error{Code: ldap.LDAPResultNoSuchObject, Text: s.req.Base}
	}
	return found, nil
}

// schemaIn is the schema that a fixture describes; nil if it does not.
func schemaIn(entries []host.Entry) *directory.Schema {
	for _, e := range entries {
		if strings.EqualFold(e.DN, fixtureSchema) {
			return directory.ReadSchema(e)
		}
	}
	return nil
}

// fixtureSchema is the entry in which a fixture describes the directory's schema.
const fixtureSchema = "cn=Subschema"

// all are the entries of the fixture as the run has left them.
func (dir *directoryServer) all() []host.Entry {
	var all []host.Entry
	seen := map[string]bool{}
	if len(dir.changed) == 0 {
		return dir.entries
	}
	for _, e := range dir.entries {
		key := dir.key(e)
		changed, is := dir.changed[key]
		switch seen[key] = true; {
		case !is:
			all = append(all, e)
		case changed != nil:
			all = append(all, *changed)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(dir.changed)) {
		if e := dir.changed[key]; e != nil && !seen[key] {
			all = append(all, *e)
		}
	}
	return all
}

// key is dnKey of an entry's DN.
func (dir *directoryServer) key(e host.Entry) string {
	dn, err := dir.dn(e)
	if err != nil {
		return strings.ToLower(e.DN)
	}
	return dn.key
}

// dnKey is the same for DNs that name the same entry.
func dnKey(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(parsed.String())
}

// directorySearch is a search that was checked.
type directorySearch struct {
	req    host.DirectorySearch
	base   *ldap.DN
	filter *ber.Packet
	schema *directory.Schema // nil if it is not known
}

func newSearch(req host.DirectorySearch) (*directorySearch, error) {
	base, err := ldap.ParseDN(req.Base)
	if err != nil {
		return nil, fmt.Errorf("search base %q: %w", req.Base, err)
	}
	filter, err := ldap.CompileFilter(req.Filter)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", req.Filter, err)
	}
	return &directorySearch{req: req, base: base, filter: filter}, nil
}

// add adds an entry that the search finds.
func (s *directorySearch) add(found []host.Entry, dn *ldap.DN, e host.Entry) ([]host.Entry, error) {
	in, err := inScope(s.base, dn, s.req.Scope)
	if err != nil || !in {
		return found, err
	}
	matches, err := matchFilter(s.filter, e, s.schema)
	if err != nil {
		return found, fmt.Errorf("filter %q: %w", s.req.Filter, err)
	}
	if matches == isTrue {
		found = append(found, selectAttributes(e, s.req.Attributes))
	}
	return found, nil
}

func (s *directorySearch) page(ctx context.Context, found []host.Entry, page func([]host.Entry) error) error {
	for entries := range slices.Chunk(found, directoryPage) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := page(entries); err != nil {
			return err
		}
	}
	return nil
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
	all := len(names) == 0 || slices.Contains(names, "*") // of a fixture, what a server calls operational, too
	out := host.Entry{DN: e.DN, Attributes: map[string][]string{}}
	for name, values := range e.Attributes {
		if all || slices.ContainsFunc(names, func(n string) bool { return covers(n, name) }) {
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
// comparisons as numbers. A comparison with an attribute that the entry does not have is false; one that the schema
// has no rule for is undefined.
func matchFilter(f *ber.Packet, e host.Entry, schema *directory.Schema) (truth, error) {
	switch f.Tag {
	case ldap.FilterAnd:
		result := isTrue
		for _, c := range f.Children {
			t, err := matchFilter(c, e, schema)
			if err != nil {
				return isFalse, err
			}
			result = min(result, t)
		}
		return result, nil
	case ldap.FilterOr:
		result := isFalse
		for _, c := range f.Children {
			t, err := matchFilter(c, e, schema)
			if err != nil {
				return isFalse, err
			}
			result = max(result, t)
		}
		return result, nil
	case ldap.FilterNot:
		t, err := matchFilter(f.Children[0], e, schema)
		return isTrue - t, err
	case ldap.FilterPresent:
		return truthOf(len(attribute(e, f.Data.String())) > 0), nil
	case ldap.FilterSubstrings:
		return matchSubstrings(f, e, schema), nil
	case ldap.FilterExtensibleMatch:
		return matchExtensible(f, e, schema)
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		return matchValue(f, e, schema), nil
	}
	return isFalse, fmt.Errorf("%s is %w", ldap.FilterMap[uint64(f.Tag)], host.ErrUnsupported)
}

// covers tells whether a description names an attribute, or one of which it is a subtype: "cn" covers "cn;lang-de".
func covers(description, attribute string) bool {
	if strings.EqualFold(description, attribute) {
		return true
	}
	bare, _, _ := strings.Cut(attribute, ";")
	return strings.EqualFold(description, bare)
}

func attribute(e host.Entry, name string) []string {
	var values []string
	for have, v := range e.Attributes {
		if covers(name, have) {
			values = append(values, v...)
		}
	}
	return values
}

func matchValue(f *ber.Packet, e host.Entry, schema *directory.Schema) truth {
	want := directory.Fold(packetText(f.Children[1]))
	name, rule := packetText(f.Children[0]), "EQUALITY"
	if f.Tag == ldap.FilterGreaterOrEqual || f.Tag == ldap.FilterLessOrEqual {
		rule = "ORDERING"
	}
	if !schema.Compares(name, rule) {
		return isUndefined
	}
	for _, v := range attribute(e, name) {
		v = directory.Fold(v)
		c := compareValues(v, want)
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
			if v == want {
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

func matchSubstrings(f *ber.Packet, e host.Entry, schema *directory.Schema) truth {
	name := packetText(f.Children[0])
	if !schema.Compares(name, "SUBSTR") {
		return isUndefined
	}
	for _, v := range attribute(e, name) {
		if substringsOf(directory.Fold(v), f.Children[1].Children) {
			return isTrue
		}
	}
	return isFalse
}

func substringsOf(value string, parts []*ber.Packet) bool {
	for _, part := range parts {
		text := foldPart(packetText(part))
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

// foldPart folds a part of a value, whose outer blanks count.
func foldPart(text string) string {
	if utf8.ValidString(text) {
		return strings.ToLower(text)
	}
	return text
}

// bitwiseAnd is Active Directory's rule that all bits of a number are set (MS-ADTS 3.1.1.3.4.4.1).
const bitwiseAnd = "1.2.840.113556.1.4.803"

// matchExtensible knows comparisons for equality, by whatever rule, and bits.
func matchExtensible(f *ber.Packet, e host.Entry, schema *directory.Schema) (truth, error) {
	var rule, name, value string
	for _, c := range f.Children {
		switch c.Tag {
		case ldap.MatchingRuleAssertionMatchingRule:
			rule = packetText(c)
		case ldap.MatchingRuleAssertionType:
			name = packetText(c)
		case ldap.MatchingRuleAssertionMatchValue:
			value = packetText(c)
		case ldap.MatchingRuleAssertionDNAttributes:
			return isFalse, fmt.Errorf("a filter for parts of DNs is %w", host.ErrUnsupported)
		}
	}
	if name == "" {
		return isFalse, fmt.Errorf("a filter that names no attribute is %w", host.ErrUnsupported)
	}
	if !schema.Empty() && schema.Attribute(name) == nil {
		return isUndefined, nil
	}
	for _, v := range attribute(e, name) {
		if rule == bitwiseAnd {
			have, err1 := strconv.ParseInt(v, 10, 64)
			bits, err2 := strconv.ParseInt(value, 10, 64)
			if err1 == nil && err2 == nil && have&bits == bits {
				return isTrue, nil
			}
		} else if directory.Fold(v) == directory.Fold(value) {
			return isTrue, nil
		}
	}
	return isFalse, nil
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
