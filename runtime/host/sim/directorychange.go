package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// OpenDirectory opens a session: with the entries of the fixture, or with those of the machine below, which is only
// read.
func (dir *directoryServer) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	s := &directorySession{dir: dir, conn: conn}
	if dir.below == nil && !dir.known {
		_, err := dir.SearchDirectory(ctx, conn, host.DirectorySearch{Scope: "base", Filter: "(objectClass=*)"})
		return nil, err
	}
	s.index = map[string]int{}
	for i, e := range dir.entries {
		s.index[dnKey(e.DN)] = i
	}
	var err error
	s.schema, err = s.readSchema(ctx)
	return s, err
}

// directorySession is a session with a simulated directory.
type directorySession struct {
	dir    *directoryServer
	conn   host.DirectoryConn
	schema *directory.Schema
	index  map[string]int // of the fixture's entries, by dnKey
}

func (s *directorySession) Close() error { return nil }

func (s *directorySession) Search(ctx context.Context, req host.DirectorySearch, page func([]host.Entry) error) error {
	return s.dir.SearchPages(ctx, s.conn, req, page)
}

// readSchema reads what the server says of its schema; a fixture need not say anything.
func (s *directorySession) readSchema(ctx context.Context) (*directory.Schema, error) {
	where := fixtureSchema
	if s.dir.below != nil {
		root, err := s.dir.SearchDirectory(ctx, s.conn, host.DirectorySearch{Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"subschemaSubentry"}})
		if err != nil && !directory.Is(err, ldap.LDAPResultNoSuchObject) { // a server may hide its root entry
			return nil, err
		}
		if len(root) == 1 && len(attribute(root[0], "subschemaSubentry")) > 0 {
			where = attribute(root[0], "subschemaSubentry")[0]
		}
	}
	found, err := s.dir.SearchDirectory(ctx, s.conn, host.DirectorySearch{
		Base: where, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"attributeTypes", "objectClasses", "dITContentRules"},
	})
	if directory.Is(err, ldap.LDAPResultNoSuchObject) || err == nil && len(found) != 1 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	schema := directory.ReadSchema(found[0])
	s.dir.teach(schema)
	return schema, nil
}

// teach adds what the run has put into the server's configuration.
func (dir *directoryServer) teach(schema *directory.Schema) {
	dir.mu.Lock()
	defer dir.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(dir.changed)) {
		if e := dir.changed[key]; e != nil {
			for name, values := range e.Attributes {
				for _, v := range values {
					schema.Learn(name, v)
				}
			}
		}
	}
}

// Change carries out changes one after the other.
func (s *directorySession) Change(ctx context.Context, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	for i, c := range changes {
		if err := ctx.Err(); err != nil {
			answers[i] = err
			continue
		}
		answers[i] = s.change(ctx, c)
	}
	return answers
}

func (s *directorySession) change(ctx context.Context, c host.EntryChange) error {
	before, err := s.entry(ctx, c.DN)
	switch {
	case err != nil:
		return err
	case c.Add != nil && before != nil:
		return &directory.Error{Code: ldap.LDAPResultEntryAlreadyExists, Text: c.DN}
	case c.Add != nil:
		return s.add(ctx, c)
	case before == nil:
		return &directory.Error{Code: ldap.LDAPResultNoSuchObject, Text: c.DN}
	case c.Delete && strings.HasSuffix(dnKey(c.DN), ","+dnKey("cn=schema,cn=config")):
		// OpenLDAP deletes no schema while it runs (seen with 2.5.13).
		return &directory.Error{Code: ldap.LDAPResultUnwillingToPerform, Text: c.DN}
	case c.Delete:
		return s.delete(ctx, c.DN)
	}
	after := host.Entry{DN: before.DN, Attributes: map[string][]string{}}
	for name, values := range before.Attributes {
		after.Attributes[name] = slices.Clone(values)
	}
	for _, v := range c.Values {
		if err := s.changeValues(&after, v); err != nil {
			return err
		}
	}
	if err := s.schema.Check(before, &after, c.Relax); err != nil {
		return err
	}
	s.put(after.DN, &after)
	return nil
}

// entry is an entry with all that is known of it; nil if it is not there.
func (s *directorySession) entry(ctx context.Context, dn string) (*host.Entry, error) {
	if e, known := s.known(dn); known || s.dir.below == nil {
		return e, nil
	}
	found, err := s.dir.SearchDirectory(ctx, s.conn, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"*", "entryUUID", "objectGUID", "nsUniqueId"}})
	if directory.Is(err, ldap.LDAPResultNoSuchObject) || err == nil && len(found) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// known is an entry that the run has changed, or the fixture has.
func (s *directorySession) known(dn string) (e *host.Entry, known bool) {
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	key := dnKey(dn)
	if e, known = s.dir.changed[key]; known {
		return e, true
	}
	if i, is := s.index[key]; is {
		return &s.dir.entries[i], true
	}
	return nil, false
}

// changedEntries are in the order of their DNs.
func (dir *directoryServer) changedEntries() []host.Entry {
	dir.mu.Lock()
	defer dir.mu.Unlock()
	var entries []host.Entry
	for _, key := range slices.Sorted(maps.Keys(dir.changed)) {
		if e := dir.changed[key]; e != nil {
			entries = append(entries, *e)
		}
	}
	return entries
}

func (s *directorySession) put(dn string, e *host.Entry) {
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	s.dir.changed[dnKey(dn)] = e
}

func (s *directorySession) add(ctx context.Context, c host.EntryChange) error {
	dn, err := ldap.ParseDN(c.DN)
	if err != nil || len(dn.RDNs) == 0 {
		return &directory.Error{Code: ldap.LDAPResultInvalidDNSyntax, Text: c.DN}
	}
	above, err := s.entry(ctx, (&ldap.DN{RDNs: dn.RDNs[1:]}).String())
	if err != nil {
		return err
	}
	if above == nil {
		return &directory.Error{Code: ldap.LDAPResultNoSuchObject, Text: "the entry above " + c.DN}
	}
	e := host.Entry{DN: c.DN, Attributes: map[string][]string{}}
	for name, values := range c.Add {
		e.Attributes[name] = slices.Clone(values)
	}
	if err := s.schema.Check(nil, &e, c.Relax); err != nil {
		return err
	}
	s.put(c.DN, &e)
	return nil
}

func (s *directorySession) delete(ctx context.Context, dn string) error {
	below, err := s.dir.SearchDirectory(ctx, s.conn, host.DirectorySearch{Base: dn, Scope: "one", Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
	if err != nil {
		return err
	}
	if len(below) > 0 {
		return &directory.Error{Code: ldap.LDAPResultNotAllowedOnNonLeaf, Text: dn}
	}
	s.put(dn, nil)
	return nil
}

// changeValues adds values to an attribute of an entry, or takes them away.
func (s *directorySession) changeValues(e *host.Entry, v host.ValueChange) error {
	if !s.schema.Empty() && s.schema.Attribute(v.Attribute) == nil {
		return &directory.Error{Code: ldap.LDAPResultUndefinedAttributeType, Text: v.Attribute + ": attribute type undefined"}
	}
	name := v.Attribute
	for have := range e.Attributes {
		if strings.EqualFold(have, name) {
			name = have
		}
	}
	has := func(value string) func(string) bool {
		return func(other string) bool { return directory.Fold(other) == directory.Fold(value) }
	}
	values := e.Attributes[name]
	if v.Delete && len(v.Values) == 0 {
		if len(values) == 0 {
			return &directory.Error{Code: ldap.LDAPResultNoSuchAttribute, Text: fmt.Sprintf("modify/delete: %s: no such attribute", name)}
		}
		values = nil
	}
	for _, value := range v.Values {
		there := slices.ContainsFunc(values, has(value))
		switch {
		case v.Delete && !there:
			return &directory.Error{Code: ldap.LDAPResultNoSuchAttribute, Text: fmt.Sprintf("modify/delete: %s: no such value", name)}
		case v.Delete:
			values = slices.DeleteFunc(values, has(value))
		case there:
			return &directory.Error{Code: ldap.LDAPResultAttributeOrValueExists, Text: fmt.Sprintf("modify/add: %s: value already exists", name)}
		default:
			values = append(values, value)
		}
	}
	if e.Attributes[name] = values; len(values) == 0 {
		delete(e.Attributes, name)
	}
	return nil
}
