package ldap_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/ldap"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/sim"
)

const fixture = `
-- host --
hostname: example.org
-- /etc/os-release --
ID=debian
-- directory --
dn: dc=example,dc=org
objectClass: dcObject
dc: example

dn: uid=alice,dc=example,dc=org
objectClass: zarafa-user
uid: alice
mail: alice@example.org
mail: a@example.org

dn: uid=bob,dc=example,dc=org
objectClass: posixAccount
uid: bob
`

func TestSearch(t *testing.T) {
	s := builtintest.New(t, fixture, ldap.Builtins())
	r := s.Run(`
d = ldap.connection(["ldap://localhost"], bind_dn = "cn=reader", password = "hunter2-secret")
print(d.urls, d.bind_dn, d.password, d.start_tls)
print([(e.dn, e.attributes) for e in ldap.search(d, "dc=example,dc=org", "(objectClass=zarafa-user)", attributes = ["mail"])])
print([e.dn for e in ldap.search(d, "dc=example,dc=org", "(objectClass=*)", scope = "one")])
print(ldap.search(d, "dc=example,dc=org", "(uid=carol)"))
`)
	want := []string{
		`["ldap://localhost"] cn=reader *** False`,
		`[("uid=alice,dc=example,dc=org", {"mail": ["alice@example.org", "a@example.org"]})]`,
		`["uid=alice,dc=example,dc=org", "uid=bob,dc=example,dc=org"]`,
		`[]`,
	}
	if r.Verdict.Code != 0 || strings.Join(r.Printed, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\n%s\nwant\n%s", strings.Join(r.Printed, "\n"), r.Verdict.Text, strings.Join(want, "\n"))
	}
	if strings.Contains(string(r.Journal), "hunter2") {
		t.Error("the password stands in the journal")
	}
}

func TestErrors(t *testing.T) {
	s := builtintest.New(t, fixture, ldap.Builtins())
	const d = `d = ldap.connection(["ldap://localhost"])` + "\n"
	s.Fail(`ldap.connection([])`, "at least one")
	s.Fail(`ldap.connection(["http://localhost"])`, "no ldap://")
	s.Fail(`ldap.search("ldap://localhost", "dc=example", "(a=b)")`, "ldap.connection")
	s.Fail(d+`ldap.search(d, "dc=example,dc=org", "(a=b")`, "ldap://localhost below")
	s.Fail(d+`ldap.search(d, "dc=example,dc=org", "(a=b)", scope = "tree")`, "base, one, sub")
}

// limited is a directory that sends so many entries and no more.
type limited struct {
	host.Host
	code uint16
}

func (l limited) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	err := l.Host.SearchPages(ctx, conn, req, func(entries []host.Entry) error { return page(entries[:1]) })
	return cmp.Or(err, error(&directory.Error{Code: l.code}))
}

// TestLimit tells a limit that ends a search from a server that fails.
func TestLimit(t *testing.T) {
	s := builtintest.New(t, fixture, ldap.Builtins())
	const look = `
d = ldap.connection(["ldap://localhost"])
print(ldap.limit(d, "dc=example,dc=org"))
print(ldap.search(d, "dc=other", "(cn=*)", unread_ok = True))
`
	want := []string{`struct(entries = 3, problem = "")`, "None"}
	if got := s.Succeed(look); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for code, told := range map[uint16]string{4: "entries = 1, problem = \"Size Limit Exceeded", 3: "entries = 1, problem = \"Time Limit Exceeded", 11: "administrative limit"} {
		s.Around = func(h *sim.Host) host.Host { return limited{h, code} }
		if got := s.Succeed(look); !strings.Contains(got[0], told) {
			t.Errorf("result %d: %q", code, got)
		}
	}
	s.Around = func(h *sim.Host) host.Host { return limited{h, 52} }
	s.Fail(look, "try again when it runs")
}

const zarafaDirectory = `
-- host --
hostname: example.org
-- /etc/os-release --
ID=debian
-- directory --
dn: dc=example,dc=org
objectClass: dcObject
dc: example

dn: cn=node1,dc=example,dc=org
objectClass: device
objectClass: zarafa-server
cn: node1
ZARAFAFILEPATH: file:///var/run/zarafa

dn: cn=node2,dc=example,dc=org
objectClass: device
objectClass: zarafa-server
cn: node2
zarafaFilePath: /srv/zarafa/run.sock

dn: cn=lists of zarafa-user,dc=example,dc=org
objectClass: zarafa-addresslist
cn: lists of zarafa-user
description: zarafaHidden is no filter, (zarafaHidden=1) neither
zarafaFilter: ( & (objectclass=zarafa-user ) (!(ZARAFAhidden=1))(zarafaAccount:integerMatch:=1)(mail=*zarafa-user*) )
zarafaBase: ou=zarafa-user,dc=example,dc=org

dn: uid=alice,dc=example,dc=org
objectClass: account
objectClass: Zarafa-User
uid: alice
zarafaaliases;lang-de: zarafaAliases@example.org
zarafaSendAsPrivilege: cn=zarafa-user,dc=example,dc=org
zarafaSomethingOfTheSite: 1
`

// TestConvert changes names of the schema, filters and sockets, and nothing else.
func TestConvert(t *testing.T) {
	s := builtintest.New(t, zarafaDirectory, ldap.Builtins())
	r := s.Run(`
d = ldap.connection(["ldap://localhost"], bind_dn = "cn=admin", password = "hunter2-secret")
ldap.convert(d, ["dc=example,dc=org"])
for e in ldap.search(d, "dc=example,dc=org", "(|(cn=*)(uid=*))"):
    print(e.dn, e.attributes)
print(ldap.count(d, "dc=example,dc=org", "(objectClass=kopano-server)", attributes = ["kopanoFilePath"]))
`)
	want := []string{
		`cn=node1,dc=example,dc=org {"cn": ["node1"], "kopanoFilePath": ["/var/run/kopano/server.sock"], "objectClass": ["device", "kopano-server"]}`,
		`cn=node2,dc=example,dc=org {"cn": ["node2"], "kopanoFilePath": ["/srv/zarafa/run.sock"], "objectClass": ["device", "kopano-server"]}`,
		`cn=lists of zarafa-user,dc=example,dc=org {"cn": ["lists of zarafa-user"], "description": ["zarafaHidden is no filter, (zarafaHidden=1) neither"], ` +
			`"kopanoBase": ["ou=zarafa-user,dc=example,dc=org"], "kopanoFilter": ["( & (objectclass=kopano-user ) (!(kopanoHidden=1))(kopanoAccount:integerMatch:=1)(mail=*zarafa-user*) )"], "objectClass": ["kopano-addresslist"]}`,
		`uid=alice,dc=example,dc=org {"kopanoAliases;lang-de": ["zarafaAliases@example.org"], "kopanoSendAsPrivilege": ["cn=zarafa-user,dc=example,dc=org"], ` +
			`"objectClass": ["account", "kopano-user"], "uid": ["alice"], "zarafaSomethingOfTheSite": ["1"]}`,
		`struct(entries = 2, values = {"kopanoFilePath": 2})`,
	}
	if r.Verdict.Code != 0 || strings.Join(r.Printed, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\n%s\nwant\n%s", strings.Join(r.Printed, "\n"), r.Verdict.Text, strings.Join(want, "\n"))
	}
	if strings.Contains(string(r.Journal), "hunter2") {
		t.Error("the password stands in the journal")
	}
	s.Fail(`ldap.convert(ldap.connection(["ldap://localhost"]), ["dc=other"])`, "policy")
	s.Fail(`ldap.convert(ldap.connection(["ldap://localhost"]), [])`, "at least one")
}
