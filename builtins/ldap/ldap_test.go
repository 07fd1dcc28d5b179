package ldap_test

import (
	"strings"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/ldap"
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
