package action

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

const configLDIF = `dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

dn: cn={4}old,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: {4}old
olcAttributeTypes: {0}( 1.2.99.1 NAME 'oldQuota' DESC 'OLD: quota' SYNTAX 1.3 SINGLE-VALUE )
olcAttributeTypes: {1}( 1.2.99.2 NAME 'oldAliases' SYNTAX 1.3 )
olcObjectClasses: {0}( 1.2.99.3 NAME 'old-user' AUXILIARY MAY ( oldQuota $ oldAliases ) )

dn: olcDatabase={1}mdb,cn=config
objectClass: olcMdbConfig
olcDatabase: {1}mdb
olcSuffix: dc=example,dc=org
olcDbIndex: oldQuota,mail eq
olcDbIndex: objectClass eq
olcAccess: {0}to attrs=oldQuota by self read
olcAccess: {1}to attrs=userPassword by * auth
olcAccess: {2}to attrs=@old-user by * read

dn: olcOverlay={0}unique,olcDatabase={1}mdb,cn=config
objectClass: olcUniqueConfig
olcOverlay: {0}unique
olcUniqueURI: ldap:///?oldAliases?sub
`

func configHost(t tester) *sim.Host {
	t.Helper()
	fixture, err := sim.ReadFixture([]byte("-- host --\nhostname: h\n-- directory --\n" + configLDIF))
	must(t, err)
	h, err := fixture.Host(sim.Options{})
	must(t, err)
	return h
}

func configuration() *Configure {
	r := oldToNew().Renaming
	r.Numbers = map[string]string{"1.2.99": "1.2.100"}
	return &Configure{Directory: Directory{URLs: []string{"ldapi:///"}, External: true}, Base: "cn=config", Schema: "new", Renaming: r}
}

func startConfigure(t *testing.T) *trial {
	t.Helper()
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = configHost(t)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, configuration()))
	return tr
}

// TestConfigure makes a schema of another, and renames in rules and indexes; it shows each line.
func TestConfigure(t *testing.T) {
	tr := startConfigure(t)
	a := tr.action(t).(*Configure)
	d, err := a.Detail(tr.env)
	must(t, err)
	for _, line := range []string{"- {0}to attrs=oldQuota by self read", "+ {0}to attrs=newQuota by self read", "- oldQuota,mail eq", "+ newQuota,mail eq", "+ ldap:///?newAliases?sub"} {
		if !slices.Contains(d.Lines, line) {
			t.Errorf("it does not show %q: %q", line, d.Lines)
		}
	}
	must(t, tr.apply(t))
	now := tr.entries(t)
	for dn, want := range map[string]string{
		"entry cn=new,cn=schema,cn=config":                        `cn="new" objectClass="olcSchemaConfig" olcAttributeTypes="( 1.2.100.1 NAME 'newQuota' DESC 'OLD: quota' SYNTAX 1.3 SINGLE-VALUE )" olcAttributeTypes="( 1.2.100.2 NAME 'newAliases' SYNTAX 1.3 )" olcObjectClasses="( 1.2.100.3 NAME 'new-user' AUXILIARY MAY ( newQuota $ newAliases ) )"`,
		"entry olcDatabase={1}mdb,cn=config":                      `objectClass="olcMdbConfig" olcAccess="{0}to attrs=newQuota by self read" olcAccess="{1}to attrs=userPassword by * auth" olcAccess="{2}to attrs=@new-user by * read" olcDatabase="{1}mdb" olcDbIndex="newQuota,mail eq" olcDbIndex="objectClass eq" olcSuffix="dc=example,dc=org"`,
		"entry olcOverlay={0}unique,olcDatabase={1}mdb,cn=config": `objectClass="olcUniqueConfig" olcOverlay="{0}unique" olcUniqueURI="ldap:///?newAliases?sub"`,
		"entry cn={4}old,cn=schema,cn=config":                     now["entry cn={4}old,cn=schema,cn=config"],
	} {
		if now[dn] != want {
			t.Errorf("%s is\n%s\nwant\n%s", dn, now[dn], want)
		}
	}
	again := configuration()
	must(t, again.Stage(tr.env))
	if needed, err := again.Prepare(tr.env); needed || err != nil {
		t.Errorf("it is done again: %v, %v, %+v", needed, err, again.Changes)
	}
	must(t, a.Undo(tr.env))
	if told := a.Told(); len(told) != 1 || !strings.HasSuffix(told[0], "no harm: cn=new,cn=schema,cn=config") {
		t.Errorf("OpenLDAP keeps a schema, and it is told so: %q", told)
	}
	if now := tr.entries(t)["entry olcOverlay={0}unique,olcDatabase={1}mdb,cn=config"]; !strings.Contains(now, "oldAliases") {
		t.Errorf("taken back, the overlay is %s", now)
	}
}

// TestConfigure389 renames in access rules and plugins, and makes an index beside an old one; taken back, it is gone.
func TestConfigure389(t *testing.T) {
	const ldif = `dn: cn=config
objectClass: top

dn: cn=index,cn=config
objectClass: top

dn: cn=oldQuota,cn=index,cn=config
objectClass: nsIndex
cn: oldQuota
nsIndexType: eq

dn: cn=oldAliases,cn=index,cn=config
objectClass: nsIndex
cn: oldAliases
nsIndexType: eq

dn: cn=newAliases,cn=index,cn=config
objectClass: nsIndex
cn: newAliases
nsIndexType: sub

dn: dc=example,dc=org
objectClass: domain
aci: (targetattr="oldQuota")(version 3.0; acl "a"; allow (read) userdn="ldap:///self";)
aci: (targetattr="cn")(version 3.0; acl "b"; allow (read) userdn="ldap:///self";)
description: oldQuota
`
	fixture, err := sim.ReadFixture([]byte("-- host --\nhostname: h\n-- directory --\n" + ldif))
	must(t, err)
	for base, want := range map[string]map[string]string{
		"cn=config": {
			"entry cn=newQuota,cn=index,cn=config":   `cn="newQuota" nsIndexType="eq" objectClass="nsIndex" objectClass="top"`,
			"entry cn=newAliases,cn=index,cn=config": `cn="newAliases" nsIndexType="sub" objectClass="nsIndex"`,
		},
		"dc=example,dc=org": {
			"entry dc=example,dc=org": `aci="(targetattr=\"cn\")(version 3.0; acl \"b\"; allow (read) userdn=\"ldap:///self\";)" aci="(targetattr=\"newQuota\")(version 3.0; acl \"a\"; allow (read) userdn=\"ldap:///self\";)" description="oldQuota" objectClass="domain"`,
		},
	} {
		h := newFake()
		must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
		h.directory, err = fixture.Host(sim.Options{})
		must(t, err)
		tr := &trial{fakeHost: h, env: newEnv(h)}
		start := tr.entries(t)
		a := configuration()
		a.Base = base
		must(t, tr.prepare(t, a))
		must(t, tr.apply(t))
		must(t, tr.apply(t)) // from half-way
		now := tr.entries(t)
		for dn, text := range want {
			if now[dn] != text {
				t.Errorf("%s is\n%s\nwant\n%s", dn, now[dn], text)
			}
		}
		must(t, tr.undo(t))
		must(t, tr.undo(t))
		if now := tr.entries(t); !maps.Equal(now, start) {
			t.Errorf("%s: taken back, it is\n%q\nwas\n%q", base, now, start)
		}
	}
}

// TestConfigureWithOthers does not write over what somebody else has changed.
func TestConfigureWithOthers(t *testing.T) {
	tr := startConfigure(t)
	session, err := tr.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: "olcDatabase={1}mdb,cn=config", Values: []host.ValueChange{
		{Delete: true, Attribute: "olcAccess"}, {Attribute: "olcAccess", Values: []string{"{0}to * by * read"}}}}})[0])
	if err := tr.apply(t); err == nil || !strings.Contains(err.Error(), "somebody has changed olcAccess meanwhile") {
		t.Errorf("%v", err)
	}
}

func (h *fakeHost) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	return h.directory.SearchDirectory(ctx, conn, req)
}
