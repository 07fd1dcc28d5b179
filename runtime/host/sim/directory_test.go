package sim

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
)

// standardClasses are those of RFC 4519 and 4512 that the suite's entries have.
const standardClasses = `objectClasses: ( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )
objectClasses: ( 0.9.2342.19200300.100.4.13 NAME 'domain' SUP top STRUCTURAL MUST dc )
objectClasses: ( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou MAY description )
objectClasses: ( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) MAY description )
attributeTypes: ( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch )
attributeTypes: ( 0.9.2342.19200300.100.1.25 NAME ( 'dc' 'domainComponent' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SINGLE-VALUE )
attributeTypes: ( 2.5.4.11 NAME ( 'ou' 'organizationalUnitName' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.3 NAME ( 'cn' 'commonName' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.4 NAME ( 'sn' 'surname' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.13 NAME 'description' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
`

// suiteHost is a host with the directory of the suite.
func suiteHost(t *testing.T) *Host {
	t.Helper()
	schema := "dn: cn=Subschema\nobjectClass: subschema\n" + standardClasses
	for _, a := range hosttest.Attributes {
		schema += "attributeTypes: " + a + "\n"
	}
	for _, c := range hosttest.Classes {
		schema += "objectClasses: " + c + "\n"
	}
	return hostOf(t, "-- host --\nhostname: h\n-- directory --\n"+strings.TrimSuffix(hosttest.DirectoryLDIF, "\n")+"\n"+schema)
}

// TestDirectorySuite runs the suite of directories.
func TestDirectorySuite(t *testing.T) {
	hosttest.Directory(t, suiteHost(t), host.DirectoryConn{})
}

// TestDirectoryAbove takes away what was added over another machine's directory, which knows nothing of it.
func TestDirectoryAbove(t *testing.T) {
	over, err := FromView(suiteHost(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	session, err := over.OpenDirectory(t.Context(), host.DirectoryConn{})
	if err != nil {
		t.Fatal(err)
	}
	const dn = "cn=x,dc=example,dc=org"
	for range 2 {
		for _, c := range []host.EntryChange{
			{DN: dn, Add: map[string][]string{"objectClass": {"person"}, "cn": {"x"}, "sn": {"x"}}},
			{DN: dn, Delete: true},
		} {
			if err := session.Change(t.Context(), []host.EntryChange{c})[0]; err != nil {
				t.Fatal(err)
			}
			found, err := over.SearchDirectory(t.Context(), host.DirectoryConn{}, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)"})
			if there := len(found) == 1; there == c.Delete || there && err != nil {
				t.Errorf("%+v: %v, %v", c, found, err)
			}
		}
	}
}

// TestConvertedFilters has a renamed filter match a renamed entry exactly when the old one matched the old entry.
func TestConvertedFilters(t *testing.T) {
	renaming := &directory.Renaming{
		Attributes: map[string]string{"oldquota": "newQuota", "oldaliases": "newAliases"}, Classes: map[string]string{"old-user": "new-user"},
	}
	names := rapid.SampledFrom([]string{"oldQuota", "OLDaliases", "cn", "objectClass", "oldAliases;lang-de", "oldOther"})
	attributes := rapid.SampledFrom([]string{"oldQuota", "OLDaliases", "cn", "oldAliases;lang-de", "oldOther"})
	values := rapid.SampledFrom([]string{"1", "2", "old-user", "Old-User", "other", "person", "oldQuota", "x y"})
	blank := rapid.SampledFrom([]string{"", "", " "})
	var filters *rapid.Generator[string]
	filters = rapid.Custom(func(t *rapid.T) string {
		b := blank.Draw(t, "blank")
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return "(&" + filters.Draw(t, "a") + filters.Draw(t, "b") + ")"
		case 1:
			return "(|" + filters.Draw(t, "a") + filters.Draw(t, "b") + ")"
		case 2:
			return "(!" + filters.Draw(t, "a") + ")"
		case 3:
			return "(" + names.Draw(t, "name") + "=*)"
		case 6, 7:
			return "(objectClass=" + b + rapid.SampledFrom([]string{"old-user", "OLD-user", `old\2duser`, "person"}).Draw(t, "class") + ")"
		case 4: // objectClass has no rule for parts of it, nor for an order
			return "(" + attributes.Draw(t, "name") + "=" + values.Draw(t, "value")[:1] + "*)"
		case 5:
			return "(" + attributes.Draw(t, "name") + ">=" + values.Draw(t, "value") + ")"
		}
		return "(" + names.Draw(t, "name") + "=" + b + values.Draw(t, "value") + b + ")"
	})
	rapid.Check(t, func(t *rapid.T) {
		filter := filters.Draw(t, "filter")
		e := host.Entry{DN: "cn=x", Attributes: map[string][]string{"objectClass": {rapid.SampledFrom([]string{"old-user", "person"}).Draw(t, "class")}}}
		for range rapid.IntRange(0, 4).Draw(t, "attributes") {
			name := names.Draw(t, "attribute")
			if name == "OLDaliases" {
				name = "oldAliases"
			}
			if v := values.Draw(t, "value"); name != "objectClass" {
				e.Attributes[name] = []string{v}
			}
		}
		touched := renaming.Touched(e)
		made, err := renaming.Convert(touched)
		if err != nil {
			t.Fatal(err)
		}
		after := host.Entry{DN: e.DN, Attributes: map[string][]string{}}
		for name, v := range e.Attributes {
			if touched[strings.ToLower(name)] == nil {
				after.Attributes[name] = v
			}
		}
		for name, v := range made {
			after.Attributes[name] = v
		}
		if e.Attributes["objectClass"][0] == "person" {
			after.Attributes["objectClass"] = []string{"person"}
		}
		renamed, err := renaming.Filter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if was, is := evaluate(t, filter, e), evaluate(t, renamed, after); was != is {
			t.Fatalf("%s of %v is %v, %s of %v is %v", filter, e, was, renamed, after, is)
		}
	})
}

func evaluate(t *rapid.T, filter string, e host.Entry) truth {
	compiled, err := ldap.CompileFilter(filter)
	if err != nil {
		t.Skip(err)
	}
	result, err := matchFilter(compiled, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}
