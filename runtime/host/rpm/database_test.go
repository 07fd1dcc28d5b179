package rpm

import (
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestParseRecord(t *testing.T) {
	text := strings.Join([]string{"zarafa-server", "(none)", "7.2.6-1.el7", "x86_64", "Zarafa B.V.", "zarafa-7.2.6-1.el7.src.rpm", "Mail server", "2049",
		"/bin/sh  \x1dlibc.so.6(GLIBC_2.4)(64bit)  \x1dzarafa-common = 7.2.6\x1drpmlib(FileDigests) <= 4.6.0-1\x1d", "zarafa-server = 7.2.6-1.el7\x1d", "",
		"0  /etc/zarafa\x1d17 0123 /etc/zarafa/my server.cfg\x1d1 4567 /etc/sysconfig/zarafa\x1d9 89ab /etc/zarafa/optional.cfg\x1d65  /etc/zarafa/ghost.cfg\x1d64  /var/run/ghost\x1d0 cdef /usr/sbin/zarafa-server\x1d"}, fieldSeparator)
	got, err := ParseRecord(text, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	want := Record{
		Package: host.Package{
			Name: "zarafa-server", Version: "7.2.6-1.el7", Arch: "x86_64", Status: "installed", Origin: "Zarafa B.V.", Source: "zarafa", Summary: "Mail server", SizeKiB: 3,
			Depends: "/bin/sh, libc.so.6(GLIBC_2.4)(64bit), zarafa-common = 7.2.6", Provides: "zarafa-server = 7.2.6-1.el7",
			Conffiles: []host.Conffile{
				{Path: "/etc/zarafa/my server.cfg", MD5: "0123", NoReplace: true},
				{Path: "/etc/sysconfig/zarafa", MD5: "4567"},
				{Path: "/etc/zarafa/optional.cfg", MD5: "89ab", MissingOK: true},
				{Path: "/etc/zarafa/ghost.cfg", Ghost: true},
			},
			Ghosts: []string{"/var/run/ghost"},
		},
		Files: []string{"/etc/zarafa", "/etc/zarafa/my server.cfg", "/etc/sysconfig/zarafa", "/etc/zarafa/optional.cfg", "/etc/zarafa/ghost.cfg", "/var/run/ghost", "/usr/sbin/zarafa-server"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := ParseRecord("x", "x86_64"); err == nil {
		t.Error("a cut record is accepted")
	}
}
