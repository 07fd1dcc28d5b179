package deb

import (
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func record(fields ...string) string { return strings.Join(fields, fieldSeparator) + recordSeparator }

func TestParsePackages(t *testing.T) {
	out := record("zarafa-server", "amd64", "7.2.6.52189-10", "hold ok installed", "Zarafa Development <development@zarafa.com>",
		"zarafa", "Zarafa mail server", "4096", "debconf", "zarafa-common, libc6 (>= 2.17)", "", "zarafa-old",
		"\n /etc/zarafa/server.cfg 3dcb5e6fe2f5e6b0f4bb1bd4bb6cdb6e\n /etc/init.d/my init 6fe2f5e6b0f4bb1bd4bb6cdb6e3dcb5e obsolete\n /etc/new newconffile") +
		record("libc6", "i386", "2.36-9", "install ok installed", "GNU", "glibc", "libc", "", "", "", "", "", "") +
		record("zarafa-ical", "amd64", "7.2.6", "deinstall ok config-files", "Zarafa", "zarafa", "", "", "", "", "", "", "") +
		record("kopano-server", "amd64", "8.7", "install reinstreq half-installed", "Kopano", "kopanocore", "", "", "", "", "", "", "") +
		record("gone", "", "", "unknown ok not-installed", "", "gone", "", "", "", "", "", "", "")
	got, err := ParsePackages(out, "amd64")
	must(t, err)
	want := []host.Package{
		{Name: "kopano-server", Arch: "amd64", Version: "8.7", Status: "reinstreq", Origin: "Kopano", Source: "kopanocore"},
		{Name: "libc6:i386", Arch: "i386", Version: "2.36-9", Status: "installed", Origin: "GNU", Source: "glibc", Summary: "libc"},
		{Name: "zarafa-ical", Arch: "amd64", Version: "7.2.6", Status: "config-files", Origin: "Zarafa", Source: "zarafa"},
		{Name: "zarafa-server", Arch: "amd64", Version: "7.2.6.52189-10", Status: "installed", Held: true,
			Origin: "Zarafa Development <development@zarafa.com>", Source: "zarafa", Summary: "Zarafa mail server", SizeKiB: 4096,
			Depends: "debconf, zarafa-common, libc6 (>= 2.17)", Conflicts: "zarafa-old",
			Conffiles: []host.Conffile{
				{Path: "/etc/zarafa/server.cfg", MD5: "3dcb5e6fe2f5e6b0f4bb1bd4bb6cdb6e"},
				{Path: "/etc/init.d/my init", MD5: "6fe2f5e6b0f4bb1bd4bb6cdb6e3dcb5e", Obsolete: true},
				{Path: "/etc/new", MD5: "newconffile"},
			}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := ParsePackages("x"+recordSeparator, "amd64"); err == nil {
		t.Error("a cut record is accepted")
	}
}

func TestOwnFields(t *testing.T) {
	got := OwnFields("Package: a\nStatus: install ok installed\nConffiles:\n /etc/a 12\n /etc/b 34\nDescription: x\n y\n")
	if got != "Package: a\nDescription: x\n y\n" {
		t.Errorf("got %q", got)
	}
}

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
		if got := IsInfoOf(host.Package{Name: tc.name, Arch: tc.arch}, tc.file); got != tc.want {
			t.Errorf("%s of %s: %v", tc.file, tc.name, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
