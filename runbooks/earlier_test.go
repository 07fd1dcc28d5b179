package runbooks_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
)

// TestStockDefaults gives a host with init scripts what these read, as an earlier attempt may have left it.
func TestStockDefaults(t *testing.T) {
	const keeps = "inhibitor: /etc/default/kopano keeps daemons from starting"
	for _, tc := range []struct {
		name   string
		kopano string // /etc/default/kopano
		zarafa string // lines of /etc/default/zarafa
		edits  []string
		init   string
		want   string
		reason string
		absent string // part of a change that must not be
	}{
		{name: "nothing left"},
		{name: "a server that is off", kopano: "# x\nSERVER_ENABLED='no' # for now\nDAGENT_OPTS=\"-d\"\n", want: keeps, reason: "kopano-server is switched off"},
		{name: "a daemon that is off, and used", kopano: "SPOOLER_ENABLED=no\nDAGENT_OPTS=-d\n", want: keeps, reason: "kopano-spooler is switched off"},
		{name: "a dagent without its option", kopano: "SERVER_ENABLED=no\nexport SERVER_ENABLED=yes\n", want: keeps, reason: "kopano-dagent gets no option -d"},
		{name: "a dagent whose -d is a value", kopano: "DAGENT_OPTS=\"-F -d --folder -d -Pd -- -d\"\n", want: keeps, reason: "kopano-dagent gets no option -d"},
		{name: "a dagent with -d among others", kopano: "DAGENT_OPTS=\"-ld\"\n"},
		{name: "a dagent with the long option", kopano: "DAGENT_OPTS='-c /etc/kopano/dagent.cfg --daemonize'\n"},
		{name: "a dagent with the long option, shortened", kopano: "DAGENT_OPTS=--daemon\n"},
		{name: "settings that suit", kopano: "SERVER_ENABLED=yes\nICAL_ENABLED=no\nSPOOLER_ENABLED=No\nDAGENT_OPTS=\"-v -d\"\n"},
		{name: "settings that systemd does not read", init: "systemd", kopano: "SERVER_ENABLED=no\n"},
		{
			name: "a server of ZCP that reads another configuration", zarafa: "SERVER_CONFIG=/etc/zarafa/ldap.openldap.cfg\n",
			want: "inhibitor: zarafa-server reads another configuration", reason: "/etc/default/zarafa names /etc/zarafa/ldap.openldap.cfg",
		},
		{name: "a configuration that is not there", zarafa: "SERVER_CONFIG=/etc/zarafa/none.cfg\n"},
		{
			name: "an init script that somebody deleted",
			edits: []string{"-- packages --\n", "-- packages --\nPackage: kopano-ical\nStatus: deinstall ok config-files\nVersion: 8.4.5-1\nMaintainer: Kopano\nConffiles:\n" +
				" /etc/init.d/kopano-ical 00112233445566778899aabbccddeeff\n\n"},
			want: "inhibitor: kopano-ical has lost configuration files", reason: "/etc/init.d/kopano-ical: deleted",
		},
		{
			name: "a daemon of ZCP that is off", zarafa: "SPOOLER_ENABLED=no\n",
			edits:  []string{"zarafa-spooler  active enabled pid=731\n", "zarafa-spooler  enabled\n"},
			absent: "start kopano-spooler",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			init := tc.init
			if init == "" {
				init = "sysv"
			}
			edit := func(text string) string {
				edits := append([]string{"init: systemd\n", "init: " + init + "\n", "-- /etc/default/zarafa --\n", "-- /etc/default/zarafa --\n" + tc.zarafa}, tc.edits...)
				if tc.kopano != "" {
					edits = append(edits, "-- tree --\n", "-- /etc/default/kopano --\n"+tc.kopano+"-- tree --\n")
				}
				return edited(t, text, edits)
			}
			played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", edit), kopano84())
			code := exit.Done
			if tc.want != "" {
				code = exit.Inhibited
			}
			if played.verdict.Code != code {
				t.Errorf("code %d, want %d: %s; %q", played.verdict.Code, code, played.verdict.Text, played.serious)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("no finding because %q; there are %q", tc.reason, played.reasons)
			}
			if tc.absent != "" && slices.ContainsFunc(played.changes, func(c string) bool { return strings.Contains(c, tc.absent) }) {
				t.Errorf("it does %q: %q", tc.absent, played.changes)
			}
		})
	}
}
