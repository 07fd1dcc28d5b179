package host_test

import (
	"testing"

	"zcp2kopano/runtime/host"
)

// TestServerNamed: a text names a server by words of their own, not by parts of other names.
func TestServerNamed(t *testing.T) {
	for _, c := range []struct {
		url, text string
		want      bool
	}{
		{"ldap://ldap.example.org", "ldap_host = ldap.example.org", true},
		{"ldap://LDAP.example.org", "ldap_uri = ldap://ldap.Example.org/", true},
		{"ldap://ldap.example.org", "see ldap.example.org.", true},
		{"ldap://ldap.example.org", "ldap.example.org.evil", false},
		{"ldap://example.org", "ldap.example.org", false},
		{"ldap://example.org", "my-example.org", false},
		{"ldap://example.org", "ldap.example.org, then example.org", true},
		{"ldap://ldap", "ldapadmin", false},
		{"ldap://10.0.0.1", "10.0.0.11", false},
		{"ldap://10.0.0.1", "10.0.0.1:389", true},
		{"ldap://[2001:db8::1]", "[2001:db8::1]:389", true},
		{"ldap://h.example.org:3890", "h.example.org 389", false},
		{"ldap://h.example.org:3890", "h.example.org:3890", true},
		{"ldap://h.example.org:3890", "h.example.org\nldap_port=3890", true},
		{"ldap://h.example.org:3890", "h.example.org 38900", false},
		{"ldaps://h.example.org:389", "h.example.org", false},
		{"ldap://localhost:1389", "port 1389", true},
		{"ldap://localhost:1389", "port 11389", false},
		{"ldapi://%2Frun%2Fl.sock", "ldapi://%2Frun%2Fl.sock/", true},
		{"ldapi://%2Frun%2Fl.sock", "socket = /run/l.sock", true},
		{"ldapi://%2Frun%2Fl.sock", "socket = /run/l.socket", false},
		{"ldapi://%2Fl.sock", "socket = /run/l.sock", false},
		{"ldapi://%2frun%2fl.sock", "ldap_uri = ldapi://%2frun%2fl.sock", true},
		{"ldapi://%2Frun%2Fl.sock", "ldap_uri = ldapi://%2frun%2fl.sock", true},
		{"ldapi://%2Frun%2Fl.sock", "ldap_uri = ldapi://%2fRun%2fl.sock", false},
		{"ldapi:///run/l.sock", "ldap_uri = ldapi:///run/l.sock", true},
		{"ldapi:///run/l.sock", "ldap_uri = ldapi:///run/l.sock2", false},
		{"https://h.example.org", "http://h.example.org/repo", true},
		{"https://h.example.org:8443/x", "https://h.example.org:8443", true},
	} {
		s, err := host.ServerAt(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.NamedIn(c.text) && s.PortIn(c.text); got != c.want {
			t.Errorf("%s in %q: %v", c.url, c.text, got)
		}
	}
	for socket, want := range map[string]bool{
		"/run//m.sock": true, "/run/m.sock": false, "/run/./m.sock": true, "/run/x/../m.sock": false,
	} {
		at := host.DatabaseConn{Socket: socket}.Server()
		if got := at.NamedIn("mysql_socket = /run//m.sock\nsocket=/run/./m.sock"); got != want || at.String() != "/run/m.sock" {
			t.Errorf("%s: %v, as %s", socket, got, at)
		}
	}
	if at, err := host.ServerAt("ldapi://%2Fvar%2Frun%2F%2Fslapd%2Fldapi"); err != nil || !at.Usual {
		t.Errorf("the usual socket, with two slashes, is %+v (%v)", at, err)
	}
	for _, bad := range []string{"ftp://h", "h", "ldap://h:port", "ldap://h:99999999999999999999"} {
		if s, err := host.ServerAt(bad); err == nil {
			t.Errorf("%s is %v", bad, s)
		}
	}
	for _, there := range []string{"ldap://h.example.org", "ldap://0.0.0.0", "ldap://[::]", "ldap://127.example.org", "ldap://localhost.example.org"} {
		if s, err := host.ServerAt(there); err != nil || s.Here() {
			t.Errorf("%s is on this host (%v)", there, err)
		}
	}
}
