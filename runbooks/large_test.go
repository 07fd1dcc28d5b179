package runbooks_test

import (
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// TestLargeSite simulates the stock runbook for a site with many people, in the database and in the directory: what a
// runbook may compute grows with what it is answered. 300,000 in make crash; here as many as fit into a moment.
func TestLargeSite(t *testing.T) {
	people := 2_000
	if chance.Nothing() {
		people = 300_000
	}
	var keys, entries strings.Builder
	for i := range people {
		number := fmt.Sprint(1_000_000 + i)
		fmt.Fprintf(&keys, "%X\n", number)
		fmt.Fprintf(&entries, "dn: uid=u%s,ou=people,dc=example,dc=net\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nobjectClass: zarafa-user\nuid: u%s\nuidNumber: %s\n"+
			"gidNumber: 100\nhomeDirectory: /home/u%s\ncn: Number %s\nsn: Example\nmail: u%s@example.net\nzarafaAccount: 1\n\n", number, number, number, number, number, number)
	}
	h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string {
		for old, more := range map[string]string{
			"ORDER BY value\nvalue\n31303031\n31303032\n": keys.String(),
			"-- directory --\ndn: dc=example,dc=net\nobjectClass: domain\ndc: example\n\ndn: ou=people,dc=example,dc=net\nobjectClass: organizationalUnit\nou: people\n\n": entries.String(),
		} {
			if strings.Count(text, old) != 1 {
				t.Fatalf("the example host has %q %d times", old, strings.Count(text, old))
			}
			text = strings.Replace(text, old, old+more, 1)
		}
		return text
	})
	if played := playStock(t, h, kopano84()); played.verdict.Code != exit.Done {
		t.Errorf("%d: %s\n%q", played.verdict.Code, played.verdict.Text, played.serious)
	}
}
