package host_test

import (
	"testing"

	"zcp2kopano/runtime/host"
)

// TestCauseOfDpkg: dpkg names the package in one line, and what went wrong with it in the next.
func TestCauseOfDpkg(t *testing.T) {
	const (
		purge  = "dpkg: error processing package zarafa-dagent (--purge):"
		config = "cannot remove old config file '/etc/zarafa/dagent.cfg' (= '/etc/zarafa/dagent.cfg'): Operation not permitted"
		unpack = "dpkg: error processing archive /var/cache/apt/archives/kopano-server_8.7.20_amd64.deb (--unpack):"
		taken  = "trying to overwrite '/usr/bin/x', which is also in package zarafa-server 7.2.6"
		older  = "dpkg: error processing zarafa-dagent (--purge):"
		rest   = "Errors were encountered while processing:\n zarafa-dagent"
	)
	for _, c := range []struct{ output, want string }{
		{"Purging configuration files for zarafa-dagent (7.2.6) ...\n" + purge + "\n " + config + "\n" + rest, purge + " " + config},
		{"Unpacking kopano-server (8.7.20) ...\n" + unpack + "\n " + taken + "\n" + rest, unpack + " " + taken},
		{older + "\n " + config + "\n" + rest, older + " " + config},
		{purge + "\n" + rest, purge},
		{"Purging\n" + purge, purge},
		{"dpkg: error: cannot lock\n of another", "dpkg: error: cannot lock"},
	} {
		failed := &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1", Output: c.output}
		if got, want := failed.Cause(), "/usr/bin/dpkg: exit status 1: "+c.want; got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
