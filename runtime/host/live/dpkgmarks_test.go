package live

import (
	"testing"

	"zcp2kopano/runtime/host"
)

func TestIsInfoOf(t *testing.T) {
	for _, tc := range []struct {
		name, arch, file string
		want             bool
	}{
		{"zarafa-server", "amd64", "zarafa-server.list", true},
		{"zarafa-server", "amd64", "zarafa-server.postrm", true},
		{"zarafa-server", "amd64", "zarafa-server.more.list", false},
		{"zarafa-server", "amd64", "zarafa-server-extra.list", false},
		{"libmapi1", "amd64", "libmapi1:amd64.list", true},
		{"libmapi1:i386", "i386", "libmapi1:i386.list", true},
		{"libmapi1", "amd64", "libmapi1:i386.list", false},
	} {
		if got := isInfoOf(host.Package{Name: tc.name, Arch: tc.arch}, tc.file); got != tc.want {
			t.Errorf("%s of %s: %v", tc.file, tc.name, got)
		}
	}
}
