package hosttest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// DirectoryHost is what the suite of directories needs of a host.
type DirectoryHost interface {
	host.DirectoryReader
	host.DirectoryWriter
}

// Attributes and Classes are the definitions of a schema that a tested directory knows, beside those of RFC 4519: an
// old one and a new one of the same shape.
var (
	Attributes = schemaOf("1", []string{
		"( OID.1 NAME 'PREQuota' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )",
		"( OID.2 NAME 'PREAliases' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
		"( OID.3 NAME 'PREId' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )",
		"( OID.4 NAME 'PREFilter' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )",
	})
	Classes = schemaOf("2", []string{
		"( OID.1 NAME 'PRE-user' SUP top AUXILIARY MUST cn MAY ( PREQuota $ PREAliases $ PREId ) )",
		"( OID.2 NAME 'PRE-list' SUP top STRUCTURAL MUST cn MAY ( PREFilter $ PREAliases ) )",
	})
)

func schemaOf(branch string, templates []string) []string {
	var list []string
	for i, prefix := range []string{"old", "new"} {
		for _, t := range templates {
			t = strings.ReplaceAll(t, "OID", fmt.Sprintf("1.3.6.1.4.1.4203.666.%d.%s", 70+i, branch))
			list = append(list, strings.ReplaceAll(t, "PRE", prefix))
		}
	}
	return list
}

// DirectoryLDIF are the entries of a directory that is tested. What a server adds (entryUUID, …) comes on top.
const DirectoryLDIF = `dn: dc=example,dc=org
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: cn=Alice,ou=people,dc=example,dc=org
objectClass: person
objectClass: old-user
cn: Alice
sn: Example
oldQuota: 100
oldAliases: alice@example.org
oldAliases:: asO2cmdAZXhhbXBsZS5vcmc=
oldAliases;lang-de: alize@example.org
oldId:: AAH//g==

dn: cn=Bob\, no 2,ou=people,dc=example,dc=org
objectClass: person
objectClass: old-user
cn: Bob, no 2
sn: Example
description: old-user zarafa

dn: cn=all,dc=example,dc=org
objectClass: old-list
cn: all
oldFilter: (&(objectClass=old-user)(oldQuota>=10))

`

const (
	people = "ou=people,dc=example,dc=org"
	alice  = "cn=Alice," + people
	bob    = `cn=Bob\, no 2,` + people
	all    = "cn=all,dc=example,dc=org"
)

func plus(attribute string, values ...string) host.ValueChange {
	return host.ValueChange{Attribute: attribute, Values: values}
}

func minus(attribute string, values ...string) host.ValueChange {
	return host.ValueChange{Delete: true, Attribute: attribute, Values: values}
}

func modify(dn string, values ...host.ValueChange) host.EntryChange {
	return host.EntryChange{DN: dn, Values: values}
}

// directoryChanges are carried out one after the other; each has the result code that OpenLDAP gives.
var directoryChanges = []struct {
	what   string
	change host.EntryChange
	code   uint16
}{
	{"a class without its attributes", modify(alice, minus("objectClass", "old-user")), 65},
	{"a value that is not there", modify(alice, plus("description", "x"), minus("oldAliases", "nobody@example.org")), 16},
	{"an attribute that is not there", modify(bob, minus("oldAliases")), 16},
	{"a value that is there in another case", modify(alice, plus("oldAliases", "ALICE@example.org")), 20},
	{"an attribute that nobody knows", modify(alice, plus("unheardOf", "x")), 17},
	{"an attribute of no class of the entry", modify(bob, plus("newQuota", "1")), 65},
	{"a class that nobody knows", modify(alice, plus("objectClass", "unheard-of")), 21},
	{"two values where there may be one", modify(alice, plus("oldQuota", "200")), 19},
	{"no value where there must be one", modify(alice, minus("sn", "Example")), 65},
	{"an entry that is not there", modify("cn=nobody,"+people, plus("description", "x")), 32},
	{"all at once", modify(alice, plus("objectClass", "new-user"), plus("newQuota", "100"), plus("newAliases", "alice@example.org", "jörg@example.org"),
		plus("newAliases;lang-de", "alize@example.org"), plus("newId", "\x00\x01\xff\xfe"),
		minus("oldQuota", "100"), minus("OLDALIASES", "alice@example.org", "jörg@example.org"), minus("oldAliases;lang-de", "alize@example.org"),
		minus("oldId", "\x00\x01\xff\xfe"), minus("objectclass", "OLD-user")), 0},
	{"another structural class", modify(all, plus("objectClass", "new-list"), plus("newFilter", "(newQuota=1)"), minus("oldFilter"), minus("objectClass", "old-list")), 69},
	{"a second structural class", modify(all, plus("objectClass", "new-list")), 65},
	{"another structural class, relaxed", host.EntryChange{DN: all, Relax: true, Values: []host.ValueChange{
		plus("objectClass", "new-list"), plus("newFilter", "(newQuota=1)"), minus("oldFilter"), minus("objectClass", "old-list")}}, 0},
	{"an entry that is there", host.EntryChange{DN: bob, Add: map[string][]string{"objectClass": {"person"}, "cn": {"Bob, no 2"}, "sn": {"x"}}}, 68},
	{"an entry below nothing", host.EntryChange{DN: "cn=x,ou=none,dc=example,dc=org", Add: map[string][]string{"objectClass": {"person"}, "cn": {"x"}, "sn": {"x"}}}, 32},
	{"an entry that lacks something", host.EntryChange{DN: "cn=x,dc=example,dc=org", Add: map[string][]string{"objectClass": {"person"}, "cn": {"x"}}}, 65},
	{"a new entry", host.EntryChange{DN: "cn=x,dc=example,dc=org", Add: map[string][]string{"objectClass": {"new-list"}, "cn": {"x"}}}, 0},
	{"the end of an entry with others below", host.EntryChange{DN: people, Delete: true}, 66},
	{"the end of an entry", host.EntryChange{DN: "cn=x,dc=example,dc=org", Delete: true}, 0},
	{"the end of an entry that is not there", host.EntryChange{DN: "cn=x,dc=example,dc=org", Delete: true}, 32},
}

// directorySearches are carried out after the changes, below dc=example,dc=org.
var directorySearches = []struct {
	scope, filter string
	want          []string
}{
	{"sub", "(newQuota=*)", []string{alice}},
	{"sub", "(oldQuota=*)", nil},
	{"sub", "(newAliases=Alize@example.ORG)", []string{alice}},
	{"sub", "(newAliases;lang-de=alize@example.org)", []string{alice}},
	{"sub", "(newAliases;lang-de=alice@example.org)", nil},
	{"sub", `(newId=\00\01\ff\fe)`, []string{alice}},
	{"sub", `(newId=\00\01\fe\ff)`, nil},
	{"sub", "(newAliases=j\xc3\xb6*)", []string{alice}},
	{"sub", "(newQuota>=99)", nil}, // it has no rule for the order
	{"sub", "(newQuota=0100)", nil},
	{"sub", "(&(objectClass=person)(!(newQuota=100)))", []string{bob}}, // who has none
	{"sub", "(&(objectClass=person)(!(unheardOf=100)))", nil},
	{"sub", "(&(objectClass=person)(!(newQuota=*)))", []string{bob}},
	{"sub", "(|(cn=all)(description=*ZARAFA))", []string{bob, all}},
	{"one", "(objectClass=*)", []string{people, all}},
	{"base", "(objectClass=*)", []string{"dc=example,dc=org"}},
}

// Directory runs the suite of directories. The directory has the definitions and entries above, and unlimited
// searches; conn may write.
func Directory(t *testing.T, h DirectoryHost, conn host.DirectoryConn) {
	ctx := context.Background()
	session, err := h.OpenDirectory(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, c := range directoryChanges {
		before := entryOf(t, h, conn, c.change.DN)
		err := session.Change(ctx, []host.EntryChange{c.change})[0]
		if code := directory.Code(err); code != c.code || (err != nil) != (code != 0) {
			t.Errorf("%s: %v (code %d), want code %d", c.what, err, code, c.code)
		}
		if after := entryOf(t, h, conn, c.change.DN); c.code != 0 && !reflect.DeepEqual(after, before) {
			t.Errorf("%s: it was refused, and yet %v became %v", c.what, before, after)
		}
	}
	want := map[string][]string{
		"objectClass": {"new-user", "person"}, "cn": {"Alice"}, "sn": {"Example"}, "newQuota": {"100"}, "newId": {"\x00\x01\xff\xfe"},
		"newAliases": {"alice@example.org", "jörg@example.org"}, "newAliases;lang-de": {"alize@example.org"},
	}
	if got := entryOf(t, h, conn, alice); !reflect.DeepEqual(got, want) {
		t.Errorf("%s became %q, want %q", alice, got, want)
	}
	for _, s := range directorySearches {
		req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: s.scope, Filter: s.filter, Attributes: []string{"1.1"}}
		found, err := h.SearchDirectory(ctx, conn, req)
		var got []string
		for _, e := range found {
			got = append(got, strings.ReplaceAll(e.DN, `\2C`, `\,`)) // each server escapes as it likes
		}
		slices.Sort(got)
		slices.Sort(s.want)
		if err != nil || !slices.Equal(got, s.want) {
			t.Errorf("%s %s finds %q, %v; want %q", s.scope, s.filter, got, err, s.want)
		}
	}
	testManyChanges(t, h, conn, session)
}

// testManyChanges has more changes carried out than are sent at once, a part of which fail, and reads them in pages.
func testManyChanges(t *testing.T, h DirectoryHost, conn host.DirectoryConn, session host.Directory) {
	const n = 1201
	var changes []host.EntryChange
	for i := range n {
		c := host.EntryChange{DN: fmt.Sprintf("cn=list %d,dc=example,dc=org", i), Add: map[string][]string{"objectClass": {"old-list"}, "cn": {fmt.Sprint("list ", i)}}}
		if i%100 == 7 {
			delete(c.Add, "objectClass")
			c.Add["objectClass"] = []string{"unheard-of"}
		}
		changes = append(changes, c)
	}
	for i, err := range session.Change(context.Background(), changes) {
		if (err != nil) != (i%100 == 7) {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	pages, entries := 0, 0
	req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "one", Filter: "(objectClass=old-list)"}
	err := session.Search(context.Background(), req, func(page []host.Entry) error {
		pages, entries = pages+1, entries+len(page)
		return nil
	})
	if err != nil || entries != n-12 || pages < 3 {
		t.Errorf("%d entries in %d pages, %v", entries, pages, err)
	}
	full := fmt.Errorf("the page is full")
	if err := h.SearchPages(context.Background(), conn, req, func([]host.Entry) error { return full }); err != full {
		t.Errorf("an error of who reads the pages: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := session.Change(gone, []host.EntryChange{modify(bob, plus("description", "too late"))})[0]; err == nil {
		t.Error("a change after the end of its context is no error")
	}
}

// entryOf are an entry's own attributes, each with its values in order; nil if it is not there.
func entryOf(t *testing.T, h DirectoryHost, conn host.DirectoryConn, dn string) map[string][]string {
	t.Helper()
	found, err := h.SearchDirectory(context.Background(), conn, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"*"}})
	if directory.Is(err, 32) {
		return nil
	}
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %d entries, %v", dn, len(found), err)
	}
	for _, values := range found[0].Attributes {
		slices.Sort(values)
	}
	return found[0].Attributes
}
