package runbooks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

const sysvHost = "debian8-zcp71-ldap.txtar"

// site is a host of real life: a shipped one, changed, and what is right there.
type site struct {
	name    string
	fixture string // the example, if empty
	edits   []string
	add     string // sections
	params  map[string]string
	want    string // severity: title
	reason  string // part of a reason
	absent  string // a finding that must not be
	code    int
	changes []string // announced, in this order
	never   string   // part of a change that must not be
	check   func(*testing.T, *sim.Host)
}

func (s site) play(t *testing.T) {
	if s.fixture == "" {
		s.fixture = hosts.Example
	}
	h := stockHost(t, s.fixture, func(text string) string {
		return edited(t, text, append(s.edits, "-- tree --\n", s.add+"-- tree --\n"))
	})
	played := playStock(t, h, s.params)
	if played.verdict.Code != s.code {
		t.Fatalf("%+v\n%s\n%s", played.verdict, strings.Join(played.serious, "\n"), strings.Join(played.reasons, "\n"))
	}
	all := append(slices.Clone(played.serious), played.infos...)
	if s.want != "" && !slices.Contains(all, s.want) {
		t.Errorf("no finding %q; there are\n%s", s.want, strings.Join(all, "\n"))
	}
	if s.absent != "" && slices.Contains(all, s.absent) {
		t.Errorf("finding %q", s.absent)
	}
	if !strings.Contains(strings.Join(played.reasons, "\n"), s.reason) {
		t.Errorf("no reason %q; there are\n%s", s.reason, strings.Join(played.reasons, "\n"))
	}
	at := 0
	for _, want := range s.changes {
		i := slices.IndexFunc(played.changes[at:], func(c string) bool { return strings.Contains(c, want) })
		if i < 0 {
			t.Fatalf("no change %q behind number %d of\n%s", want, at, strings.Join(played.changes, "\n"))
		}
		at += i + 1
	}
	if s.never != "" && slices.ContainsFunc(played.changes, func(c string) bool { return strings.Contains(c, s.never) }) {
		t.Errorf("there is a change %q", s.never)
	}
	if s.check != nil {
		s.check(t, h)
	}
}

const oldWebApp = "-- /etc/zarafa/webapp/config.php --\n<?php\ndefine('DEFAULT_SERVER', 'file:///var/run/zarafa');\n"

// zPush is Z-Push and WebApp 3 of repositories of their own, which need ZCP's PHP bindings, or Kopano's.
const zPush = `Package: z-push-kopano
Version: 2.3.9+0-0
Architecture: all
Maintainer: Z-Push
Depends: php5-mapi | php-mapi
Conffiles:
 /etc/z-push/kopano.conf.php edited

Package: kopano-webapp
Version: 3.4.17
Architecture: all
Maintainer: Kopano
Depends: php5-mapi
Files:
 /usr/share/kopano-webapp/index.php 9K

`

func TestSites(t *testing.T) {
	const elsewhere = "inhibitor: zarafa-server reads another configuration"
	const other = "-- /srv/zarafa/server.cfg --\nmysql_user = root\nmysql_password = rootpw\nmysql_database = zarafa\n"
	for _, s := range []site{
		{
			name: "ZCP 6.40", edits: []string{"Version: 7.2.6.52101-1\n", "Version: 6.40.17-33736\n"}, code: exit.Inhibited,
			want: "inhibitor: ZCP 6.40.17 is too old", absent: "inhibitor: the new configuration could not be looked at",
		},
		{
			name:   "a description of a host from before the database was asked for its identity",
			edits:  []string{"? SELECT HEX(value) AS value FROM settings WHERE name = 'server_guid'\nvalue\nA0112233445566778899AABBCCDDEEFF\n\n", ""},
			absent: "inhibitor: the database could not be looked at",
		},
		{
			name: "settings of ZCP's WebApp beside Kopano's", edits: []string{"-- packages --\n", "-- packages --\n" + zPush}, want: "warning: WebApp's settings are Kopano's own",
		},
		{
			name: "limits of the user that ZCP ran as", want: "warning: /etc/security/limits.d/zarafa.conf names zarafa", reason: "in line 1",
			add: "-- /etc/security/limits.d/zarafa.conf --\nzarafa - nofile 65536\n",
		},
		{
			name: "settings of a WebApp that is gone", fixture: sysvHost, absent: "warning: /etc/zarafa/webapp/config.php names /var/run/zarafa",
			add: oldWebApp, never: "/etc/kopano/webapp",
		},
		{
			name: "settings of a WebApp, and none of Kopano", fixture: sysvHost, absent: "warning: WebApp's settings are Kopano's own", want: "not taken over", add: oldWebApp,
		},
		{
			name: "the init script is told another file, under systemd", fixture: sysvHost, code: exit.Inhibited, add: other,
			edits: []string{"-- /etc/default/zarafa --\n", "-- /etc/default/zarafa --\nSERVER_CONFIG=/srv/zarafa/server.cfg\n"},
			want:  elsewhere, reason: "/etc/default/zarafa names /srv/zarafa/server.cfg",
		},
		{
			name: "the process was told another file", code: exit.Inhibited, add: strings.ReplaceAll(strings.Replace(other, "root", "zarafa", 1), "rootpw", "s3cret#of-alice"),
			edits: []string{"1201 zarafa  /usr/sbin/zarafa-server\n", "1201 zarafa  /usr/sbin/zarafa-server config=/srv/zarafa/server.cfg\n"},
			want:  elsewhere, reason: "process 1201 names /srv/zarafa/server.cfg", absent: "inhibitor: the database does not answer",
		},
		{
			name: "a drop-in names another file", code: exit.Inhibited, want: elsewhere, reason: "/etc/systemd/system/zarafa-server.service.d/x.conf names /srv/zarafa/server.cfg",
			add: other + "-- /etc/systemd/system/zarafa-server.service.d/x.conf --\n[Service]\nExecStart=\nExecStart=/usr/sbin/zarafa-server -F -c /srv/zarafa/server.cfg\n",
		},
		{
			name: "another name of the same file", add: "-- /etc/systemd/system/zarafa-server.service.d/x.conf --\n[Service]\nExecStart=\nExecStart=/usr/sbin/zarafa-server -F -c /srv/server.cfg\n",
			edits: []string{"-- tree --\n", "-- tree --\nl root:root - - /srv/server.cfg -> /etc/zarafa/server.cfg\n"}, absent: elsewhere,
		},
		{
			name: "a gateway that the defaults switch off", fixture: sysvHost, never: "start kopano-gateway", changes: []string{"disable kopano-gateway"},
			want: "zarafa-gateway is switched off",
			edits: []string{
				"-- packages --\n", "-- packages --\nPackage: zarafa-gateway\nVersion: 7.1.11-46050\nMaintainer: Zarafa\nSource: zarafa\nConffiles:\n /etc/init.d/zarafa-gateway\n\n",
				"-- /etc/default/zarafa --\n", "-- /etc/init.d/zarafa-gateway 0755 --\n#!/bin/sh\nDAEMON=/usr/bin/zarafa-gateway\n-- /etc/default/zarafa --\nGATEWAY_ENABLED=no\n",
				"-- services --\n", "-- services --\nzarafa-gateway enabled\n",
			},
		},
		{
			name: "another program on a port that a daemon needs", code: exit.Inhibited, want: "inhibitor: port 143 is not free for kopano-gateway",
			reason: "dovecot (process 1500) has it, at 0.0.0.0; kopano-gateway is wanted",
			edits:  []string{"-- processes --\n", "-- processes --\n1500 root /usr/sbin/dovecot listen=0.0.0.0:143\n"},
		},
		{
			name: "a program on dagent's port, at all addresses of IPv6", code: exit.Inhibited, want: "inhibitor: port 2003 is not free for kopano-dagent", reason: "postsrsd (process 1500) has it, at ::",
			edits: []string{"-- processes --\n", "-- processes --\n1500 nobody /usr/sbin/postsrsd listen=[::]:2003\n"},
		},
		{
			name: "a port at another address, ports that are off, and ZCP's own", absent: "inhibitor: port 143 is not free for kopano-gateway",
			edits: []string{
				"-- processes --\n", "-- processes --\n1500 root /usr/sbin/dovecot listen=192.0.2.1:143 listen=[::1]:993 listen=0.0.0.0:110\n",
				"/usr/sbin/zarafa-gateway\n", "/usr/sbin/zarafa-gateway listen=127.0.0.1:143 listen=127.0.0.1:993\n",
				"imap_port = 143\n", "imap_port = 143\nserver_bind = 127.0.0.1\n",
			},
		},
		{
			name: "a program on the port of a gateway that is not wanted", never: "start kopano-gateway", absent: "inhibitor: port 143 is not free for kopano-gateway",
			edits: []string{
				"-- processes --\n", "-- processes --\n1500 root /usr/sbin/dovecot listen=0.0.0.0:143\n",
				"zarafa-gateway  active enabled pid=1255\n", "zarafa-gateway\n", "1255 zarafa  /usr/sbin/zarafa-gateway\n", "",
			},
		},
		{
			name: "Z-Push and WebApp that need ZCP's PHP bindings", edits: []string{"-- packages --\n", "-- packages --\n" + zPush},
			add:  "-- /etc/z-push/kopano.conf.php --\ndefine('MAPI_SERVER', 'file:///var/run/zarafad/server.sock');\n",
			want: "warning: other packages are taken out with ZCP and put back with Kopano", absent: "warning: Kopano packages are here already",
			changes: []string{"remove kopano-webapp, z-push-kopano", "purge libical0", "install kopano-dagent", "put back kopano-webapp, z-push-kopano"},
			check: func(t *testing.T, h *sim.Host) {
				if text := textOf(t, h, "/etc/z-push/kopano.conf.php"); !strings.Contains(text, "MAPI_SERVER") {
					t.Errorf("its settings are gone: %s", text)
				}
				list, err := h.Packages()
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"z-push-kopano", "kopano-webapp"} {
					if !slices.ContainsFunc(list, func(p host.Package) bool { return p.Name == name && p.Installed() }) {
						t.Errorf("%s is not there any more", name)
					}
				}
			},
		},
		{
			name: "a dependant whose need nothing meets again", edits: []string{"-- packages --\n", "-- packages --\n" + strings.Replace(zPush, "php5-mapi | php-mapi", "libvmime-zarafa7-0", 1)},
			code: exit.Inhibited, want: "inhibitor: removing ZCP would take other packages along", reason: "z-push-kopano : Depends: libvmime-zarafa7-0",
		},
		{
			name: "Z-Push where only a web server's configuration names it", want: "warning: /data/sites/push/backend/zarafa/config.php names /var/run/zarafa",
			add: "-- /etc/apache2/apache2.conf --\nIncludeOptional mail/*.conf\n-- /etc/apache2/mail/x.conf --\nAlias /Microsoft-Server-ActiveSync /data/sites/push\n" +
				"-- /data/sites/push/backend/zarafa/config.php --\n<?php\ndefine('MAPI_SERVER', 'file:///var/run/zarafa');\n",
		},
		{
			name: "CardDAV below /var/www", want: "warning: /var/www/sabre/config.inc.php names /var/run/zarafa",
			add: "-- /var/www/sabre/config.inc.php --\n<?php\ndefine('ZARAFA_SERVER', 'file:///var/run/zarafa');\n",
		},
		{
			name: "a pool of php-fpm", want: "warning: /etc/php5/fpm/pool.d/mail.conf names zarafa",
			add: "-- /etc/php5/fpm/pool.d/mail.conf --\nphp_admin_value[open_basedir] = /usr/share/zarafa-webapp\n",
		},
		{
			name: "a proxy to the server's port", want: "warning: /etc/nginx/conf.d/mail.conf names port 236",
			add: "-- /etc/nginx/conf.d/mail.conf --\nproxy_pass http://127.0.0.1:236/;\n",
		},
		{
			name: "automation", want: "warning: automation is at work on this host", reason: "puppet installs and starts what its catalogue says",
			edits: []string{"-- services --\n", "-- services --\npuppet active enabled pid=1442\n"},
			add:   "-- /usr/sbin/puppet 0755 --\nx\n-- /lib/systemd/system/puppet.service --\n[Service]\nExecStart=/usr/sbin/puppet\n[Install]\nWantedBy=multi-user.target\n",
		},
		{
			name: "plugins of the site's own", want: "warning: plugins of dagent", reason: "/var/lib/zarafa/dagent/plugins: movetopublic.py; plugin_enabled is yes",
			add:     "-- /var/lib/zarafa/dagent/plugins/movetopublic.py --\nimport MAPI\n",
			changes: []string{"copy /var/lib/zarafa/dagent/plugins/movetopublic.py"},
			check: func(t *testing.T, h *sim.Host) {
				if textOf(t, h, "/var/lib/kopano/dagent/plugins/movetopublic.py") != "import MAPI\n" {
					t.Error("it is another one")
				}
			},
		},
		{
			name: "a unit of the site's own", want: "warning: zarafa-server has a unit of the site's own", reason: "it has LimitNOFILE=65536",
			add: "-- /etc/systemd/system/zarafa-server.service --\n[Service]\nExecStart=/usr/sbin/zarafa-server -F -c /etc/zarafa/server.cfg\nLimitNOFILE=65536\n[Install]\nWantedBy=multi-user.target\n",
		},
		{
			name: "a further instance", want: "warning: zarafa-dagent2 is a further instance", reason: "what it reads, /etc/zarafa/dagent2.cfg, is taken over like the daemon's own",
			edits:   []string{"-- services --\n", "-- services --\nzarafa-dagent2 active enabled pid=1290\n", "-- processes --\n", "-- processes --\n1290 zarafa /usr/sbin/zarafa-dagent\n"},
			add:     "-- /etc/systemd/system/zarafa-dagent2.service --\n[Service]\nExecStart=/usr/sbin/zarafa-dagent -l -c /etc/zarafa/dagent2.cfg\n[Install]\nWantedBy=multi-user.target\n-- /etc/zarafa/dagent2.cfg --\nlmtp_port = 2004\nspam_header_name = X-Spam-Flag\n",
			changes: []string{"stop zarafa-dagent2", "disable zarafa-dagent2", "write /etc/kopano/dagent2.cfg"},
			check: func(t *testing.T, h *sim.Host) {
				if text := textOf(t, h, "/etc/kopano/dagent2.cfg"); !strings.Contains(text, "lmtp_listen = *:2004") {
					t.Errorf("it is not converted:\n%s", text)
				}
			},
		},
		{
			name: "folders in the site's language", want: "the language of new mailboxes",
			check: func(t *testing.T, h *sim.Host) {
				if text := textOf(t, h, "/etc/kopano/admin.cfg"); text != "default_store_locale = de_DE.UTF-8\n" {
					t.Errorf("admin.cfg: %s", text)
				}
			},
		},
		{
			name: "folders in the site's language, by the defaults", fixture: sysvHost, params: kopano84(), want: "the language of new mailboxes",
			edits: []string{"ZARAFA_LOCALE=\"C\"\n", "ZARAFA_LOCALE=\"nl_NL.UTF-8\"\n", "init: systemd\n", "init: sysv\n"},
			check: func(t *testing.T, h *sim.Host) {
				if text := textOf(t, h, "/etc/default/kopano"); strings.Count(text, "KOPANO_USERSCRIPT_LOCALE=") != 1 || !strings.Contains(text, "KOPANO_USERSCRIPT_LOCALE=\"nl_NL.UTF-8\"") {
					t.Errorf("the defaults: %s", text)
				}
			},
		},
		{
			name: "daemons that run as somebody else", code: exit.Inhibited, want: "inhibitor: daemons run as vmail", reason: "run_as_user in /etc/zarafa/server.cfg",
			edits: []string{"server_name = Zarafa\n", "server_name = Zarafa\nrun_as_user = vmail\n"},
		},
		{
			name: "attachments of a number that nobody has", code: exit.Inhibited, want: "inhibitor: attachments belong to 1004", reason: "ZCP runs as root, which reads everything",
			edits: []string{"f0644 zarafa:zarafa - /var/lib/zarafa/attachments .gz", "f0640 1004:1004 - /var/lib/zarafa/attachments .gz", "1201 zarafa  /usr", "1201 root  /usr"},
		},
		{
			name: "attachments in S3", want: "attachments in S3", never: "move the contents of /var/lib/zarafa/attachments",
			edits: []string{"attachment_storage	= files\n", "attachment_storage = s3\n", "attachment_path		= /var/lib/zarafa/attachments\n", "attachment_path = attachments\n"},
			check: s3Prefix("attachments"),
		},
		{
			name: "attachments in S3, with the default prefix", want: "attachments in S3",
			edits: []string{"attachment_storage	= files\n", "attachment_storage = s3\n", "attachment_path		= /var/lib/zarafa/attachments\n", ""},
			check: s3Prefix("/var/lib/zarafa/attachments"),
		},
		{
			name: "attachments in S3, copied and kept", params: map[string]string{"config": "copy", "attachments": "keep"},
			edits: []string{"attachment_storage	= files\n", "attachment_storage = s3\n", "attachment_path		= /var/lib/zarafa/attachments\n", ""},
			check: s3Prefix("/var/lib/zarafa/attachments"),
		},
	} {
		t.Run(s.name, s.play)
	}
}

// TestS3Unknown: a release without S3 is refused where the attachments are there. All releases of Kopano of which
// there are facts know it, so one of ZCP takes the place of an older one.
func TestS3Unknown(t *testing.T) {
	const book = `"""See."""

load("@stock//lib/attachments.star", "look_at_attachments")

def survey():
    """Look at the attachments."""
    look_at_attachments({"attachment_storage": "s3"}, "/var/lib/zarafa/attachments", "move", "%s")

def migrate():
    """Go on."""

runbook = define(check = survey, steps = [migrate])
`
	for release, want := range map[string][]string{"7.2.0": {"Kopano 7.2.0 does not know attachments in S3"}, "8.0.0": nil} {
		var refused []string
		playSource(t, fmt.Sprintf(book, release), nil, func(e story.Event) {
			if e.Finding != nil && e.Finding.Severity == runbook.Inhibitor {
				refused = append(refused, e.Finding.Title)
			}
		})
		if !slices.Equal(refused, want) {
			t.Errorf("%s: %q, want %q", release, refused, want)
		}
	}
}

// s3Prefix wants the prefix of the objects' names as it was, default or not.
func s3Prefix(want string) func(*testing.T, *sim.Host) {
	return func(t *testing.T, h *sim.Host) {
		if text := textOf(t, h, "/etc/kopano/server.cfg"); !strings.Contains("\n"+text, "\nattachment_path = "+want+"\n") {
			t.Errorf("server.cfg has another attachment_path than %s:\n%s", want, text)
		}
	}
}

// TestNoSuccessor takes Kopano from a directory that lacks what brings mail in.
func TestNoSuccessor(t *testing.T) {
	for _, used := range []bool{true, false} {
		h := stockHost(t, hosts.Example, func(text string) string {
			text = strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - /srv/kopano\n", 1)
			if !used {
				text = edited(t, text, []string{"zarafa-dagent   active enabled pid=1230\n", "", "1230 zarafa  /usr/sbin/zarafa-dagent\n", ""})
			}
			return text
		})
		for _, name := range []string{"kopano-server", "kopano-spooler", "kopano-gateway"} {
			putPackage(t, h, "/srv/kopano", name, "amd64", "libc6")
		}
		played := playStock(t, h, map[string]string{"packages_dir": "/srv/kopano"})
		if found := slices.Contains(played.serious, "inhibitor: nothing takes the place of zarafa-dagent"); found != used {
			t.Errorf("used: %v; %q", used, played.serious)
		}
	}
}

// TestNoDirectoryOfPackages: every step makes the directories that it needs, where packages bring none.
func TestNoDirectoryOfPackages(t *testing.T) {
	h := stockHost(t, hosts.Example, func(text string) string {
		return edited(t, text, []string{
			"-- tree --\n", "-- tree --\nd0755 root:root - - /srv/kopano\n",
			"-- passwd --\n", "-- passwd --\nkopano:x:500:500::/:/bin/false\n", "-- group --\n", "-- group --\nkopano:x:500:\n",
		})
	})
	for _, name := range []string{"kopano-server", "kopano-dagent", "kopano-spooler", "kopano-gateway", "kopano-search"} {
		putPackage(t, h, "/srv/kopano", name, "amd64", "libc6")
	}
	played := playStock(t, h, map[string]string{"packages_dir": "/srv/kopano", "attachments": "keep"})
	if !slices.ContainsFunc(played.changes, func(c string) bool { return strings.HasPrefix(c, "move the contents of /var/lib/zarafa/search") }) || strings.Contains(played.verdict.Text, "move_index") {
		t.Errorf("%+v\n%s", played.verdict, strings.Join(played.changes, "\n"))
	}
}
