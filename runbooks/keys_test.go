package runbooks_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/testdata/hosts"
)

// TestStockKeys gives daemons keys that root can read, and kopano may not: what would end or mute a daemon
// behind the point of no return is refused, copied or opened before.
func TestStockKeys(t *testing.T) {
	const (
		own       = "ssl_private_key_file = /etc/zarafa/gateway/privkey.pem"
		elsewhere = "ssl_private_key_file = /etc/ssl/private/mail.key"
		closed    = "-- /etc/ssl/private/mail.key 0600 --\nkey\n"
		tree      = "-- tree --\n"
		refused   = "inhibitor: /etc/ssl/private/mail.key is closed to kopano"
		server    = "server_ssl_enabled = yes\nserver_ssl_key_file = /etc/ssl/private/mail.key\nserver_name = "
	)
	gateway := []string{own, elsewhere}
	for _, tc := range []struct {
		name   string
		edits  []string
		params map[string]string
		want   string
		reason string
		open   string // a file that kopano's group can read in the end
		line   string // in the gateway's configuration
	}{
		{name: "of the server", edits: []string{"server_name = ", server, tree, closed + tree}, want: refused, reason: "kopano-server runs as kopano, which may not read /etc/ssl/private/mail.key (0600 root:root): it would not start"},
		{name: "of a server without TLS", edits: []string{"server_name = ", strings.Replace(server, "yes", "no", 1), tree, closed + tree}},
		{name: "of the gateway", edits: append(gateway, tree, closed+tree), want: refused, reason: "it would leave out its ports for TLS"},
		{name: "of a gateway without TLS", edits: append(gateway, tree, closed+tree, "imaps_enable = yes", "imaps_enable = no")},
		{name: "of the spooler, for its server", edits: []string{"smtp_server = localhost", "smtp_server = localhost\nsslkey_file = /etc/ssl/private/mail.key\nserver_socket = https://mail:237/zarafa", tree, closed + tree}, want: refused},
		{name: "a certificate", edits: []string{"ssl_certificate_file = /etc/zarafa/gateway/cert.pem", "ssl_certificate_file = /etc/ssl/private/mail.key", tree, closed + tree}, want: refused, reason: "has ssl_certificate_file"},
		{name: "open to all", edits: append(gateway, tree, strings.Replace(closed, "0600", "0644", 1)+tree)},
		{name: "of kopano's group", edits: append(gateway, tree, "-- /etc/ssl/private/mail.key 0640 root:kopano --\nkey\n"+tree, "-- group --\n", "-- group --\nkopano:x:400:\n")},
		{
			name: "of a group with kopano", edits: append(gateway, tree, "-- /etc/ssl/private/mail.key 0640 root:ssl-cert --\nkey\n"+tree,
				"-- group --\n", "-- group --\nkopano:x:400:\nssl-cert:x:401:openldap,kopano\n"),
		},
		{
			name: "of a group without kopano", edits: append(gateway, tree, "-- /etc/ssl/private/mail.key 0640 root:ssl-cert --\nkey\n"+tree,
				"-- group --\n", "-- group --\nssl-cert:x:401:openldap\n"), want: refused,
		},
		{name: "behind a closed directory", edits: append(gateway, tree, strings.Replace(closed, "0600", "0644", 1)+tree+"d0700 root:root - - /etc/ssl/private\n"), want: refused, reason: "may not enter /etc/ssl/private (0700 root:root)"},
		{
			name:  "behind a symlink into a closed directory",
			edits: append(gateway, tree, "-- /srv/acme/mail.key 0644 --\nkey\n"+tree+"l root:root - - /etc/ssl/private/mail.key -> /srv/acme/mail.key\nd0700 root:root - - /srv/acme\n"),
			want:  refused, reason: "may not enter /srv/acme",
		},
		{name: "on a release that reads it as root", edits: append(gateway, tree, closed+tree), params: kopano84(), want: "warning: /etc/ssl/private/mail.key is closed to kopano"},
		{name: "left to an ACL", edits: append(gateway, tree, closed+tree), params: map[string]string{"tls_keys": "keep"}, want: "warning: /etc/ssl/private/mail.key is closed to kopano"},
		{
			name: "copied", edits: append(gateway, tree, closed+tree), params: map[string]string{"tls_keys": "copy"},
			open: "/etc/kopano/ssl/gateway-mail.key", line: "ssl_private_key_file = /etc/kopano/ssl/gateway-mail.key\n",
		},
		{
			name: "copied, as all of the configuration", edits: append(gateway, tree, closed+tree), params: map[string]string{"tls_keys": "copy", "config": "copy"},
			open: "/etc/kopano/ssl/gateway-mail.key", line: "ssl_private_key_file = /etc/kopano/ssl/gateway-mail.key\n",
		},
		{
			name: "among the configuration", edits: []string{own, "ssl_private_key_file = /etc/zarafa/mail.key", tree, "-- /etc/zarafa/mail.key 0600 --\nkey\n" + tree},
			open: "/etc/kopano/mail.key", line: "ssl_private_key_file = /etc/kopano/mail.key\n",
		},
		{
			name:  "behind a symlink among the configuration",
			edits: []string{own, "ssl_private_key_file = /etc/zarafa/mail.key", tree, closed + tree + "l root:root - - /etc/zarafa/mail.key -> /etc/ssl/private/mail.key\n"},
			want:  "inhibitor: /etc/zarafa/mail.key is closed to kopano",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string { return edited(t, text, tc.edits) })
			played := playStock(t, h, tc.params)
			code := exit.Done
			if strings.HasPrefix(tc.want, "inhibitor") {
				code = exit.Inhibited
			}
			if played.verdict.Code != code {
				t.Fatalf("code %d, want %d: %s; %q", played.verdict.Code, code, played.verdict.Text, played.serious)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if tc.want == "" && strings.Contains(strings.Join(played.serious, "\n"), "closed to kopano") {
				t.Errorf("findings %q", played.serious)
			}
			if !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("no finding because %q; there are %q", tc.reason, played.reasons)
			}
			if tc.open == "" {
				return
			}
			st, err := h.Lstat(tc.open)
			if err != nil {
				t.Fatal(err)
			}
			if kopano, err := h.Group("kopano"); err != nil || st.GID != kopano.GID || st.Mode.Perm() != 0o640 || st.UID != 0 {
				t.Errorf("%s: %v, %d:%d (%v)", tc.open, st.Mode, st.UID, st.GID, err)
			}
			if config := contentOf(t, h, "/etc/kopano/gateway.cfg"); !strings.Contains(config, "\n"+tc.line) {
				t.Errorf("no %q in:\n%s", tc.line, config)
			}
		})
	}
}

// kopano84 are parameters for the last release whose daemons read everything as root, and have init scripts.
func kopano84() map[string]string {
	return map[string]string{"repo_url": "https://download.kopano.io/supported/core:/8.4"}
}

// edited replaces in a fixture, in pairs, what it must hold.
func edited(t *testing.T, text string, edits []string) string {
	t.Helper()
	for pair := range slices.Chunk(edits, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("the example host does not hold %q", pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	return text
}

func contentOf(t *testing.T, h *sim.Host, name string) string {
	t.Helper()
	f, err := h.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
