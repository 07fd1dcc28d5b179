package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
)

// Schema is what a server's subschema entry says (RFC 4512, 4.2).
type Schema struct {
	attributes map[string]*AttributeType // by name and OID, in lower case
	classes    map[string]*ObjectClass
}

// AttributeType is a kind of attribute.
type AttributeType struct {
	Name   string
	Single bool
	Free   bool // no class has to allow it: operational
	Fixed  bool // only the server gives it

	rules map[string]bool // EQUALITY, ORDERING, SUBSTR: what it can be compared by
	sup   string
}

// ObjectClass is a class of entries.
type ObjectClass struct {
	Name       string
	Structural bool
	Sup        []string
	Must, May  []string
}

// ReadSchema reads the definitions of a subschema entry.
func ReadSchema(subschema host.Entry) *Schema {
	s := &Schema{attributes: map[string]*AttributeType{}, classes: map[string]*ObjectClass{}}
	for name, values := range subschema.Attributes {
		switch strings.ToLower(name) {
		case "attributetypes":
			for _, v := range values {
				s.addAttribute(definition(v))
			}
		case "objectclasses":
			for _, v := range values {
				s.addClass(definition(v))
			}
		}
	}
	for _, v := range subschema.Values("dITContentRules") {
		s.addContentRule(definition(v))
	}
	return s
}

// Learn adds a definition as OpenLDAP's configuration has it: a statement of slapd.conf, or an attribute of an entry of
// cn=config. Others are none, nor is anything where nothing is known.
func (s *Schema) Learn(keyword, text string) {
	if s.Empty() {
		return
	}
	if strings.HasPrefix(text, "{") { // its place among others
		_, text, _ = strings.Cut(text, "}")
	}
	switch strings.ToLower(keyword) {
	case "attributetype", "olcattributetypes":
		s.addAttribute(definition(text))
	case "objectclass", "olcobjectclasses":
		if strings.HasPrefix(strings.TrimSpace(text), "(") { // else it is one that an entry has
			s.addClass(definition(text))
		}
	}
}

// Empty tells whether nothing is known.
func (s *Schema) Empty() bool { return s == nil || len(s.classes) == 0 }

// Attribute looks an attribute up by name, OID, or description with options; nil if it is not known.
func (s *Schema) Attribute(description string) *AttributeType {
	name, _, _ := strings.Cut(description, ";")
	return s.attributes[strings.ToLower(name)]
}

// Compares tells whether an attribute can be compared by "EQUALITY", "ORDERING" or "SUBSTR": where it cannot, a filter is
// neither true nor false. Of a server whose schema is not known it is taken to.
func (s *Schema) Compares(description, rule string) bool {
	if s.Empty() {
		return true
	}
	for a := s.Attribute(description); a != nil; a = s.Attribute(a.sup) {
		if a.rules[rule] {
			return true
		}
	}
	return false
}

// Class looks a class up; nil if it is not known.
func (s *Schema) Class(name string) *ObjectClass { return s.classes[strings.ToLower(name)] }

// NamedLike lists the classes and attributes whose names begin with a prefix, in any case.
func (s *Schema) NamedLike(prefix string) []string {
	found := map[string]bool{}
	note := func(name string) {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			found[name] = true
		}
	}
	for _, a := range s.attributes {
		note(a.Name)
	}
	for _, c := range s.classes {
		note(c.Name)
	}
	return slices.Sorted(maps.Keys(found))
}

// words are a definition's: its OID, and by key word what follows it.
type words struct {
	oid    string
	fields map[string][]string
}

// definition reads "( OID NAME ( 'a' 'b' ) SUP x MAY ( a $ b ) )".
func definition(text string) words {
	w := words{fields: map[string][]string{}}
	key := ""
	for _, token := range tokens(text) {
		switch {
		case w.oid == "":
			w.oid = token
		case token[0] == '\'':
			w.fields[key] = append(w.fields[key], strings.Trim(token, "'"))
		case keyWords[token]:
			key = token
			w.fields[key] = []string{}
		default:
			w.fields[key] = append(w.fields[key], token)
		}
	}
	return w
}

var keyWords = map[string]bool{
	"NAME": true, "DESC": true, "OBSOLETE": true, "SUP": true, "ABSTRACT": true, "STRUCTURAL": true, "AUXILIARY": true,
	"MUST": true, "MAY": true, "EQUALITY": true, "ORDERING": true, "SUBSTR": true, "SYNTAX": true, "SINGLE-VALUE": true,
	"COLLECTIVE": true, "AUX": true, "NOT": true, "FORM": true, "NO-USER-MODIFICATION": true, "USAGE": true,
}

// tokens are a definition's words and quoted strings, without parentheses and dollars.
func tokens(text string) []string {
	var list []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case strings.IndexByte(" \t\r\n()$", c) >= 0:
			i++
		case c == '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return append(list, text[i:])
			}
			list = append(list, text[i:i+end+2])
			i += end + 2
		default:
			end := strings.IndexAny(text[i:], " \t\r\n()$")
			if end < 0 {
				end = len(text) - i
			}
			list = append(list, text[i:i+end])
			i += end
		}
	}
	return list
}

func (w words) has(key string) bool { _, ok := w.fields[key]; return ok }

func (w words) names() []string {
	if names := w.fields["NAME"]; len(names) > 0 {
		return names
	}
	return []string{w.oid}
}

func (s *Schema) addAttribute(w words) {
	usage := w.fields["USAGE"]
	a := &AttributeType{
		Name: w.names()[0], Single: w.has("SINGLE-VALUE"), Fixed: w.has("NO-USER-MODIFICATION"),
		Free: len(usage) > 0 && usage[0] != "userApplications", rules: map[string]bool{},
	}
	for _, rule := range []string{"EQUALITY", "ORDERING", "SUBSTR"} {
		a.rules[rule] = w.has(rule)
	}
	if sup := w.fields["SUP"]; len(sup) > 0 {
		a.sup = sup[0]
	}
	for _, name := range append(w.names(), w.oid) {
		s.attributes[strings.ToLower(name)] = a
	}
}

func (s *Schema) addClass(w words) {
	c := &ObjectClass{
		Name: w.names()[0], Structural: !w.has("AUXILIARY") && !w.has("ABSTRACT"), // RFC 4512, 4.1.1
		Sup: w.fields["SUP"], Must: w.fields["MUST"], May: w.fields["MAY"],
	}
	for _, name := range append(w.names(), w.oid) {
		s.classes[strings.ToLower(name)] = c
	}
}

// addContentRule adds what entries of a structural class may have beside it (RFC 4512, 4.1.6): so Active Directory tells
// which classes are attached to it.
func (s *Schema) addContentRule(w words) {
	c := s.Class(w.oid)
	if c == nil {
		return
	}
	c.May = append(c.May, w.fields["MAY"]...)
	for _, aux := range w.fields["AUX"] {
		if attached := s.Class(aux); attached != nil {
			c.May = append(append(c.May, attached.Must...), attached.May...)
		}
	}
}

// serverGives are attributes that every entry of an Active Directory must have, and that the server adds by itself.
var serverGives = map[string]bool{"instancetype": true, "ntsecuritydescriptor": true, "objectcategory": true}

// Check says, as a server would, why it does not take an entry that was before and is to be after a change; before is
// nil for one that is new.
func (s *Schema) Check(before, after *host.Entry, relax bool) error {
	if s.Empty() {
		return nil
	}
	refuse := func(code uint16, format string, args ...any) error {
		return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
	}
	classes := s.allClasses(after.Values(classAttribute))
	for name := range classes {
		if s.Class(name) == nil {
			return refuse(ldap.LDAPResultInvalidAttributeSyntax, "objectClass: %s is not known", name)
		}
	}
	structural := s.structural(classes)
	if len(structural) != 1 {
		return refuse(ldap.LDAPResultObjectClassViolation, "invalid structural object class chain (%s)", strings.Join(structural, "/"))
	}
	if before != nil && !relax {
		was := s.structural(s.allClasses(before.Values(classAttribute)))
		if len(was) == 1 && was[0] != structural[0] {
			return refuse(ldap.LDAPResultObjectClassModsProhibited, "structural object class modification from '%s' to '%s' not allowed", was[0], structural[0])
		}
	}
	return s.checkAttributes(classes, after, before == nil && !relax, refuse)
}

func (s *Schema) checkAttributes(classes map[string]bool, e *host.Entry, added bool, refuse func(uint16, string, ...any) error) error {
	allowed := map[*AttributeType]bool{}
	for name := range classes {
		c := s.Class(name)
		for _, must := range c.Must {
			a := s.Attribute(must)
			if len(s.values(*e, a)) == 0 && !serverGives[strings.ToLower(must)] {
				return refuse(ldap.LDAPResultObjectClassViolation, "object class '%s' requires attribute '%s'", c.Name, must)
			}
			allowed[a] = true
		}
		for _, may := range c.May {
			allowed[s.Attribute(may)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		a, values := s.Attribute(name), e.Attributes[name]
		switch {
		case a == nil:
			return refuse(ldap.LDAPResultUndefinedAttributeType, "%s: attribute type undefined", name)
		case a.Fixed && added && !strings.EqualFold(a.Name, classAttribute): // Active Directory says it of that, too
			return refuse(ldap.LDAPResultConstraintViolation, "%s: no user modification allowed", name)
		case !a.Free && !allowed[a] && !strings.EqualFold(a.Name, classAttribute) && !classes["extensibleobject"]:
			return refuse(ldap.LDAPResultObjectClassViolation, "attribute '%s' not allowed", name)
		case a.Single && len(values) > 1:
			return refuse(ldap.LDAPResultConstraintViolation, "attribute '%s' cannot have multiple values", name)
		}
	}
	return nil
}

// values are those of an attribute, whatever name and options it goes by.
func (s *Schema) values(e host.Entry, a *AttributeType) []string {
	var all []string
	for name, values := range e.Attributes {
		if a != nil && s.Attribute(name) == a {
			all = append(all, values...)
		}
	}
	return all
}

// allClasses are classes and all above them, by name in lower case.
func (s *Schema) allClasses(names []string) map[string]bool {
	all := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		c, key := s.Class(name), strings.ToLower(name)
		if c != nil {
			key = strings.ToLower(c.Name)
		}
		if all[key] {
			return
		}
		all[key] = true
		if c != nil {
			for _, sup := range c.Sup {
				add(sup)
			}
		}
	}
	for _, name := range names {
		add(name)
	}
	return all
}

// structural are the structural classes that no other of them has above it: of an entry in order there is one.
func (s *Schema) structural(classes map[string]bool) []string {
	var lowest []string
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		c := s.Class(name)
		if c == nil || !c.Structural {
			continue
		}
		above := false
		for other := range classes {
			if o := s.Class(other); o != nil && o != c && o.Structural && s.allClasses(o.Sup)[name] {
				above = true
			}
		}
		if !above {
			lowest = append(lowest, c.Name)
		}
	}
	return lowest
}
