package ldap

import (
	"errors"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// TestUnreadable takes what a server says of a base or a filter as an answer, and what it says of itself as none.
func TestUnreadable(t *testing.T) {
	req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(cn=*)"}
	for code, want := range map[uint16]bool{
		1: true, 2: true, 4: true, 10: true, 11: true, 12: true, 18: true, 21: true, 32: true, 34: true, 50: true, 53: true,
		3: false, 8: false, 13: false, 49: false, 51: false, 52: false, 200: false,
	} {
		if got := unreadable(req, &directory.Error{Code: code}); got != want {
			t.Errorf("result %d: %v, want %v", code, got, want)
		}
	}
	if unreadable(req, errors.New("no route to host")) {
		t.Error("a server that is not reached")
	}
	for _, bad := range []host.DirectorySearch{{Base: "dc", Filter: "(cn=*)"}, {Base: "dc=example", Filter: "(cn=*"}} {
		if !unreadable(bad, errors.New("it cannot be read")) {
			t.Errorf("%+v", bad)
		}
	}
}
