package cfg

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simtest"
)

// brokenDisk fails to look at one file.
type brokenDisk struct {
	host.FileReader
	at  string
	why error
}

func (b brokenDisk) Stat(name string) (host.Stat, error) {
	if name == b.at {
		return host.Stat{}, &fs.PathError{Op: "stat", Path: name, Err: b.why}
	}
	return b.FileReader.Stat(name)
}

func (b brokenDisk) Lstat(name string) (host.Stat, error) {
	if name == b.at {
		return host.Stat{}, &fs.PathError{Op: "lstat", Path: name, Err: b.why}
	}
	return b.FileReader.Lstat(name)
}

// TestDiskErrorIsNotAbsence wants a file that a disk error hides to stop the take-over: it would be left
// out otherwise, and nothing would tell.
func TestDiskErrorIsNotAbsence(t *testing.T) {
	v := mustVersion("7.2.6")
	for _, why := range []error{syscall.EIO, &host.ForeignLinkError{Link: "/etc/link", UID: 109}} {
		for _, at := range []string{"/etc/zarafa/ldap.cfg", "/etc/kopano/server.cfg"} {
			_, err := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: "merge",
				From: v, To: mustVersion("8.7.20"), LDAPSchema: "keep"}.Run(brokenDisk{simtest.Files(t, shippedFiles(v)), at, why})
			if err == nil || !strings.Contains(err.Error(), at) {
				t.Errorf("%s cannot be looked at (%v): %v", at, why, err)
			}
		}
	}
}
