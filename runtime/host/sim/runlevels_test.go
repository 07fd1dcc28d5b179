package sim

import (
	"context"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

const scriptA = `-- /etc/init.d/a 0755 --
#!/bin/sh
### BEGIN INIT INFO
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
`

// runlevelLinks are the runlevel links of a script, as K0 or S2.
func runlevelLinks(h *Host, name string) string {
	var links []string
	for _, link := range h.services.rcLinks(name) {
		links = append(links, link[len("/etc/rcN.d/"):][:1]+link[len("/etc/rc"):len("/etc/rcN")])
	}
	return strings.Join(links, " ")
}

func link(t *testing.T, h *Host, links ...string) {
	t.Helper()
	for _, l := range links {
		mustDo(t, h.Symlink("../init.d/a", "/etc/rc"+l[1:]+".d/"+l[:1]+"01a"))
	}
}

// TestLinksThatWereNotFinished: a script that lacks the links that start it gets all of them, whatever init system
// there is; links that somebody chose are only turned.
func TestLinksThatWereNotFinished(t *testing.T) {
	const all, off = "S2 S3 S4 S5 K0 K1 K6", "K2 K3 K4 K5 K0 K1 K6"
	cases := []struct{ before, enabled, disabled string }{
		{"", all, ""},
		{"K0", all, off},
		{"K0 K1 K6", all, off},
		{"K0 K1 S2", "S2 K0 K1", "K2 K0 K1"},
		{"K2 S3", "S2 S3", "K2 K3"},
		{"SS", "SS", "SS"},
	}
	for _, init := range []string{"sysv", "systemd"} {
		for _, c := range cases {
			h := hostOf(t, "-- host --\ninit: "+init+"\n"+scriptA)
			link(t, h, strings.Fields(c.before)...)
			other := h.Clone()
			mustDo(t, h.EnableService("a"))
			if got := runlevelLinks(h, "a"); got != c.enabled {
				t.Errorf("%s: %q is enabled as %q, want %q", init, c.before, got, c.enabled)
			}
			mustDo(t, other.DisableService("a"))
			if got := runlevelLinks(other, "a"); got != c.disabled {
				t.Errorf("%s: %q is disabled as %q, want %q", init, c.before, got, c.disabled)
			}
		}
	}
}

// TestUpdateRCLeavesLinks: what has links keeps them as they are, and what has none that could start it cannot be enabled.
func TestUpdateRCLeavesLinks(t *testing.T) {
	cases := []struct {
		call, before, after string
		fails               bool
	}{
		{call: "defaults", after: "S2 S3 S4 S5 K0 K1 K6"},
		{call: "defaults", before: "K0 K1", after: "K0 K1"},
		{call: "defaults", before: "K2 K0", after: "K2 K0"},
		{call: "enable", before: "K2 K0", after: "S2 K0"},
		{call: "enable", before: "K0 K1", after: "K0 K1", fails: true},
		{call: "disable", before: "K0 K1", after: "K0 K1", fails: true},
		{call: "disable", before: "S2 K0", after: "K2 K0"},
	}
	for _, c := range cases {
		h := hostOf(t, strings.Replace(kopanoServer, "Scripts: postinst prerm postrm", "Scripts: postrm", 1)+scriptA+
			"-- /var/lib/dpkg/info/kopano-server.postrm 0755 --\n#!/bin/sh\nset -e\n[ \"$1\" != purge ] || update-rc.d a "+c.call+"\n")
		link(t, h, strings.Fields(c.before)...)
		err := h.CommitPackages(context.Background(), host.Transaction{Remove: []string{"kopano-server"}, Purge: true}, nil)
		if got := runlevelLinks(h, "a"); got != c.after || (err != nil) != c.fails {
			t.Errorf("update-rc.d a %s makes %q of %q (%v), want %q", c.call, got, c.before, err, c.after)
		}
	}
}
