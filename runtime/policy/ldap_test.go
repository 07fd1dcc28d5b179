package policy

import "testing"

// TestBases compares DNs by what they mean, not by their text.
func TestBases(t *testing.T) {
	p := Policy{}
	for _, bad := range []string{"", "ou", "dc=example,dc"} {
		if err := p.Grant(LDAP, bad); err == nil {
			t.Errorf("%q passes as a base", bad)
		}
	}
	if err := p.Grant(LDAP, "ou=People, dc=example,dc=org"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"ou=people,dc=example,dc=org":                true,
		"uid=a,OU=People,DC=example,DC=org":          true,
		`cn=a\, b,ou=people, dc=example, dc=org`:     true,
		"dc=example,dc=org":                          false,
		`cn=x\,ou=people,dc=example,dc=org`:          false, // its parent is dc=example,dc=org
		"uid=a,ou=otherpeople,dc=example,dc=org":     false,
		"uid=a,ou=people,dc=example,dc=org,dc=other": false,
	} {
		if got := p.Check([]Target{{Class: LDAP, Name: name}}) == nil; got != want {
			t.Errorf("%s: allowed %v", name, got)
		}
	}
}
