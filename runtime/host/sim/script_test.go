package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// kopanoServer is a host on which a kopano-server with attachments is installed, of one maintainer or another.
const kopanoServer = `-- host --
init: systemd
-- passwd --
kopano:x:120:120::/var/lib/kopano:/usr/sbin/nologin
-- group --
kopano:x:120:
-- packages --
Package: kopano-server
Version: 8.7.0-7
Status: installed
Maintainer: MAINTAINER
Scripts: postinst prerm postrm
Files:
 /var/lib/kopano/attachments/
-- /var/lib/kopano/attachments/1/2/21.gz 0640 kopano:kopano --
a mail
`

const debianMaintainer = "Giraffe Maintainers <pkg-giraffe-maintainers@alioth-lists.debian.net>"

// TestPurgeDeletesWhatPostrmSays: a purge of Debian's own kopano-server takes the attachments with it, one of the
// vendor's does not; the script on the host itself wins over what a catalogue says.
func TestPurgeDeletesWhatPostrmSays(t *testing.T) {
	cases := []struct {
		name, maintainer, postrm string
		gone, assumed            bool
	}{
		{"the vendor's", "Kopano Development <packages@kopano.io>", "", false, true},
		{"Debian's", debianMaintainer, "", true, true},
		{"by its script", "somebody", "case \"$1\" in\npurge)\n\trm -rf /var/lib/kopano/attachments\n\t;;\nesac\n", true, false},
		{"by its script, not", debianMaintainer, "[ \"$1\" != purge ] || rm -rf /var/lib/kopano/none\n", false, false},
		{"by a script that is not understood", debianMaintainer, "frobnicate \"$1\" && rm -rf /var/lib/kopano/attachments\n", false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(kopanoServer, "MAINTAINER", c.maintainer, 1)
			if c.postrm != "" {
				for _, script := range []string{"postinst", "prerm"} {
					text += "-- /var/lib/dpkg/info/kopano-server." + script + " 0755 --\n#!/bin/sh\nexit 0\n"
				}
				text += "-- /var/lib/dpkg/info/kopano-server.postrm 0755 --\n#!/bin/sh\nset -e\n" + c.postrm
			}
			f, err := ReadFixture([]byte(text))
			mustDo(t, err)
			h, err := f.Host(Options{Catalog: catalogues(t)})
			mustDo(t, err)
			mustDo(t, h.CommitPackages(context.Background(), host.Transaction{Remove: []string{"kopano-server"}, Purge: true}, nil))
			if gone := !exists(t, h, "/var/lib/kopano/attachments/1/2/21.gz"); gone != c.gone {
				t.Errorf("attachments are gone: %v", gone)
			}
			said := h.Unpredicted()
			assumed := slices.ContainsFunc(said, func(u host.Unpredicted) bool { return strings.Contains(u.What, "is assumed to do") && u.Check != "" })
			if assumed != c.assumed {
				t.Errorf("said to be assumed: %v, %v", assumed, said)
			}
			if missed := strings.Contains(fmt.Sprint(said), `frobnicate "$1"`); missed != strings.Contains(c.postrm, "frobnicate") {
				t.Errorf("a command that is not known is told of: %v", missed)
			}
		})
	}
}
