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
				t.Errorf("a command that is not known is reported: %v", missed)
			}
		})
	}
}

// TestProgramsThatAScriptCalls: a script fails by a program that is not there only where it is known not to be there, which
// a machine and its snapshot tell alike; else it does what the program does, or what it does is not known.
func TestProgramsThatAScriptCalls(t *testing.T) {
	const groupadd = "groupadd --system late\n"
	const ifUcf = "if [ -x /usr/bin/ucf ]; then groupadd --system late; fi\n"
	nobodyKnows := "-- available --\nPackage: bringer\nVersion: 1\n\n"
	cases := []struct {
		name, script, more string
		machine            bool // the fixture plays a machine, which has only the programs that it lists
		made               bool
		fails              bool
		open               string
	}{
		{name: "a fixture need not list it", script: groupadd, made: true},
		{name: "a fixture need not list it in its place", script: ifUcf, made: true},
		{name: "a fixture lists it in another place", script: ifUcf, more: "-- /bin/ucf 0755 size=1 --\n"},
		{name: "a fixture has it by its path", script: "/sbin/ldconfig\n" + groupadd, made: true},
		{name: "a fixture has one of the site", script: groupadd, more: "-- /usr/local/sbin/groupadd 0755 size=1 --\n", open: groupadd},
		{name: "a fixture need not list a library", script: ". /usr/share/site/lib.sh\n" + groupadd, made: true, open: "lib.sh"},
		{name: "a fixture need not list an init script", script: "/etc/init.d/unlisted stop\n" + groupadd, made: true, open: "/etc/init.d/unlisted stop"},
		{name: "not on the machine", script: groupadd, machine: true, fails: true},
		{name: "in another place of the machine", script: groupadd, machine: true, more: "-- /bin/groupadd 0755 size=1 --\n", made: true},
		{name: "a link on the machine", script: groupadd, machine: true, made: true,
			more: "-- tree --\nl0777 root:root - - /usr/sbin/groupadd -> /opt/tools/groupadd\n-- /opt/tools/groupadd 0755 size=1 --\n"},
		{name: "not on the machine, but asked for", script: "! command -v groupadd || " + groupadd, machine: true},
		{name: "a package of unknown files may have brought it", script: groupadd, machine: true, more: nobodyKnows, open: groupadd},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(kopanoServer, "Scripts: postinst prerm postrm", "Scripts: postrm", 1) + c.more +
				"-- /var/lib/dpkg/info/kopano-server.postrm 0755 --\n#!/bin/sh\nset -e\n[ \"$1\" = purge ] || exit 0\n" + c.script
			f, err := ReadFixture([]byte(text))
			mustDo(t, err)
			h, err := f.Host(Options{})
			mustDo(t, err)
			hosts := map[string]*Host{"fixture": h}
			if c.machine {
				o := SnapshotOptions{Packages: []string{"kopano-server"}, Read: []string{"/var/lib/dpkg/info/kopano-server.postrm"}}
				hosts = map[string]*Host{}
				hosts["snapshot"], _ = takeSnapshot(t, h, o)
				hosts["machine"], err = FromView(h, Options{})
				mustDo(t, err)
				hosts["snapshot"].repositories.lists, hosts["machine"].repositories.lists = h.repositories.lists, h.repositories.lists
			}
			for on, h := range hosts {
				var said []string // of its scripts, to be not simulated
				if len(h.repositories.lists) > 0 {
					mustDo(t, h.CommitPackages(context.Background(), host.Transaction{Install: []string{"bringer"}}, nil))
				}
				err := h.CommitPackages(context.Background(), host.Transaction{Remove: []string{"kopano-server"}, Purge: true}, nil)
				if failed := strings.Contains(fmt.Sprint(err), "exit status 127"); failed != c.fails || err != nil && !failed {
					t.Errorf("%s: %v", on, err)
				}
				group, err := h.files.readFile("/etc/group")
				mustDo(t, err)
				if made := strings.Contains(string(group), "late:"); made != c.made {
					t.Errorf("%s: the group was made: %v", on, made)
				}
				for _, u := range h.Unpredicted() {
					if strings.Contains(u.What, "of kopano-server") {
						said = append(said, u.What)
					}
				}
				if open := strings.TrimSpace(c.open); len(said) > 0 != (open != "") || len(said) > 0 && !strings.Contains(said[0], open) {
					t.Errorf("%s: left open: %v", on, said)
				}
			}
		})
	}
}

// A copy is as open as what it was made of.
func TestCopyIsAsOpen(t *testing.T) {
	h := hostOf(t, "-- host --\ninit: sysv\n-- /etc/kopano/server.cfg --\na\n")
	h.gaps.add(host.Unpredicted{What: "what is written", Path: "/etc/kopano/db.cfg", Aspect: "content"})
	h.gaps.add(host.Unpredicted{What: "another", Path: "/etc/kopano-other"})
	h.Copied("/etc/kopano", "/etc/kopano-orig")
	var open []string
	for _, u := range h.Unpredicted() {
		if strings.HasPrefix(u.Path, "/etc/kopano") {
			open = append(open, u.Path+" "+u.Aspect)
		}
	}
	if want := []string{"/etc/kopano/db.cfg content", "/etc/kopano-other ", "/etc/kopano-orig/db.cfg content"}; !slices.Equal(open, want) {
		t.Errorf("open are %q, want %q", open, want)
	}
}
