package runbooks_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/testdata/hosts"
)

const (
	mainCF  = "/etc/postfix/main.cf"
	bounces = "inhibitor: mail would bounce: it is delivered by a command that is missing for a time"
)

// byCommand is a host whose Postfix delivers as main.cf says, with files of others.
func byCommand(t *testing.T, config string, more ...string) *sim.Host {
	return stockHost(t, hosts.Example, func(text string) string {
		const before = "virtual_transport = lmtp:127.0.0.1:2003\n"
		return edited(t, text, []string{before, config, "-- tree --\n", strings.Join(more, "") + "-- tree --\n"})
	})
}

const agentCommand = "mailbox_command =\n  /usr/bin/zarafa-dagent \"$USER\"\n"

// TestOptionalDaemonFails: one that does not start keeps no mail back; the run ends with it, and says so.
func TestOptionalDaemonFails(t *testing.T) {
	for daemon, ways := range map[string][]string{"kopano-gateway": {"dies", "mute"}, "kopano-search": {"dies"}} {
		for _, how := range ways {
			h := stockHost(t, hosts.Example, func(text string) string {
				return edited(t, text, []string{"virtual_transport = lmtp:127.0.0.1:2003\n", agentCommand, "-- services --\n", "-- services --\n" + daemon + " coming " + how + "\n"})
			})
			played := playStock(t, h, map[string]string{"delivery": "stop"})
			if played.verdict.Code != exit.Failed || !strings.Contains(played.verdict.Text, daemon) {
				t.Errorf("%s %s: %+v", daemon, how, played.verdict)
			}
			for _, name := range []string{"kopano-server", "kopano-spooler", "kopano-dagent", "postfix"} {
				found, err := h.Services(name)
				if err != nil || len(found) != 1 || !found[0].Active || !found[0].Enabled {
					t.Errorf("%s %s: %s: %+v, %v\n%s", daemon, how, name, found, err, strings.Join(played.changes, "\n"))
				}
			}
		}
	}
}

// TestDeliveryByCommand: between the removal of ZCP and the end, such mail bounces; a way to keep it from that is chosen before.
func TestDeliveryByCommand(t *testing.T) {
	const link = "make /usr/bin/zarafa-dagent a symlink to /usr/sbin/kopano-dagent"
	const forward = "-- /home/alice/.forward --\n|/usr/bin/zarafa-dagent alice\n"
	const procmail = "-- /etc/procmailrc --\n:0\n| /usr/sbin/zarafa-dagent $LOGNAME\n"
	for _, tc := range []struct {
		name, delivery string
		config         string
		more           string
		code           int
		reason         string
		order          []string // changes, in this order
	}{
		{name: "not chosen", config: agentCommand, code: exit.Inhibited, reason: "/etc/postfix/main.cf, mailbox_command: such mail bounces"},
		{name: "by another name", config: "agent = /usr/bin/zarafa-dagent\ncommand = ${agent} -R\nmailbox_command = $command \"$USER\"\n", code: exit.Inhibited, reason: "/etc/postfix/main.cf, mailbox_command: such mail bounces"},
		{name: "by a map", config: "mailbox_command_maps = hash:/etc/postfix/commands,\n  hash:/etc/postfix/none\n", more: "-- /etc/postfix/commands --\nalice /usr/bin/zarafa-dagent alice\n",
			code: exit.Inhibited, reason: "/etc/postfix/commands, line 1: such mail bounces"},
		{name: "by aliases elsewhere", config: "alias_maps = hash:$here/aliases\nhere = /etc/postfix\n", more: "-- /etc/postfix/aliases --\nalice: \"|/usr/bin/zarafa-dagent alice\"\n",
			code: exit.Inhibited, reason: "/etc/postfix/aliases, line 1: such mail bounces"},
		{name: "a user's own", more: forward, code: exit.Inhibited, reason: "/home/alice/.forward, line 1: such mail bounces"},
		{name: "procmail", more: procmail, code: exit.Inhibited, reason: "such mail goes into a mailbox of the system"},
		{name: "a comment", config: "#" + strings.ReplaceAll(agentCommand, "\n ", "") + "", code: exit.Done},
		{name: "stopped", delivery: "stop", config: agentCommand, more: forward, code: exit.Done,
			order: []string{"stop postfix", "disable postfix", "stop zarafa-server", "start kopano-dagent", link, "enable postfix", "start postfix"}},
		{name: "soft", delivery: "soft_bounce", config: agentCommand, more: forward, code: exit.Done,
			order: []string{"write " + mainCF, "reload postfix", "stop zarafa-server", "start kopano-dagent", link, "write " + mainCF, "reload postfix"}},
		{name: "by LMTP", delivery: "lmtp", config: agentCommand, code: exit.Done, order: []string{"write " + mainCF, "reload postfix", "stop zarafa-server"}},
		{name: "LMTP does not reach a user's own", delivery: "lmtp", config: agentCommand, more: forward, code: exit.Inhibited, reason: "which does not reach /home/alice/.forward"},
		{name: "soft_bounce does not reach procmail", delivery: "soft_bounce", more: procmail, code: exit.Inhibited, reason: "does not keep procmail from putting mail elsewhere"},
		{name: "nothing to choose for", delivery: "stop", config: "virtual_transport = lmtp:127.0.0.1:2003\n", code: exit.Done},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := byCommand(t, tc.config, tc.more)
			played := playStock(t, h, map[string]string{"delivery": cmp.Or(tc.delivery, "check")})
			if played.verdict.Code != tc.code || (tc.code == exit.Inhibited) != slices.Contains(played.serious, bounces) {
				t.Fatalf("%+v; %q", played.verdict, played.serious)
			}
			if !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("no reason %q; there are %q", tc.reason, played.reasons)
			}
			at := 0
			for _, want := range tc.order {
				i := slices.Index(played.changes[at:], want)
				if i < 0 {
					t.Fatalf("no %q behind %d of %q", want, at, played.changes)
				}
				at += i + 1
			}
			if len(tc.order) == 0 && slices.ContainsFunc(played.changes, func(c string) bool { return strings.Contains(c, "postfix") }) {
				t.Errorf("Postfix is touched: %q", played.changes)
			}
			text := textOf(t, h, mainCF)
			if strings.Contains(text, "soft_bounce") || strings.Contains(text, "lmtp:[127.0.0.1]:2003") != (tc.delivery == "lmtp" && tc.code == exit.Done) {
				t.Errorf("main.cf at the end:\n%s", text)
			}
		})
	}
}
