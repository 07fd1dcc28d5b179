package policy_test

import (
	"testing"

	"zcp2kopano/runtime/policy"
)

// TestServers: an entry is one host, with all its ports or one, or one socket; no entry is all of them.
func TestServers(t *testing.T) {
	for _, bad := range []string{"", "*", "*.example.org", "h?", "[a-z]", "ldap://h", "user@h", "h:0", "h:x", "h:70000", "h:", ":389", "a b", "/run/../x", "2001:zz::1", "/run/x/", "h\\x"} {
		if err := policy.CheckEntry(policy.Server, bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	p := &policy.Policy{}
	for _, entry := range []string{"h.example.org", "one.example.org:389", "/run/x.sock", "2001:db8::1", "[2001:db8::2]:636"} {
		if err := p.Grant(policy.Server, entry); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[string]bool{
		"h.example.org:1": true, "H.Example.org:389": true, "one.example.org:389": true, "one.example.org:390": false, "x.h.example.org:1": false,
		"/run/x.sock": true, "/run/x.sock2": false, "[2001:db8::1]:389": true, "[2001:db8::2]:636": true, "[2001:db8::2]:389": false, "example.org:389": false,
	} {
		if got := p.Check([]policy.Target{{Class: policy.Server, Name: at}}) == nil; got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}
