package runbooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bazelbuild/buildtools/build"
	"github.com/bazelbuild/buildtools/warn"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/runtime/host/sim/simtest"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// TestStockLoads loads every stock runbook, and with it every module that it uses.
func TestStockLoads(t *testing.T) {
	names := script.StockRunbooks(runbooks.FS)
	if len(names) == 0 {
		t.Fatal("there is no stock runbook")
	}
	for _, name := range names {
		book := loadStock(t, name)
		if len(book.Systems) == 0 && name != "directory" { // which no host is chosen for
			t.Errorf("%s says of no system that it fits", name)
		}
	}
}

// stockLint are the linter's rules that speak of Starlark as such, not of Bazel's files.
var stockLint = []string{
	"dict-concatenation", "duplicated-name", "function-docstring", "integer-division",
	"keyword-positional-params", "list-append", "load", "module-docstring", "no-effect",
	"redefined-variable", "return-value", "string-iteration", "uninitialized", "unreachable",
	"unused-variable",
}

func TestStockIsFormattedAndClean(t *testing.T) {
	files := 0
	err := fs.WalkDir(runbooks.FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".star") {
			return err
		}
		files++
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			return err
		}
		parsed, err := build.ParseDefault(name, data)
		if err != nil {
			t.Error(err)
			return nil
		}
		for _, f := range warn.FileWarnings(parsed, stockLint, nil, warn.ModeWarn, nil) {
			t.Errorf("%s:%d: %s (%s)", name, f.Start.Line, f.Message, f.Category)
		}
		if !bytes.Equal(build.Format(parsed), data) {
			t.Errorf("%s is not formatted: zcp2kopano fmt runbooks", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 {
		t.Errorf("only %d runbook files are embedded", files)
	}
}

// stockHosts are the shipped example hosts, and what a simulation of each has to say.
var stockHosts = []struct {
	fixture  string
	code     int
	findings []string // severity: title; inhibitors and warnings, in order of the run
	infos    []string // titles of infos that must be among the others
}{
	{
		fixture: "debian8-zcp72.txtar",
		findings: []string{
			"warning: nothing takes the place of zarafa-webapp",
			"warning: /etc/zarafa/webapp/config.php names /var/run/zarafa",
			"warning: WebApp's settings are Kopano's own",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "search index", "four-byte characters"},
	},
	{
		fixture: "debian8-zcp71-ldap.txtar",
		findings: []string{
			"warning: thread_stack is below 256K",
			"warning: the search index is rebuilt",
		},
		infos: []string{"the attachments stay in /var/lib/zarafa/attachments", "LDAP schema", "running as root"},
	},
	{
		fixture: "rhel7-zcp72.txtar",
		findings: []string{
			"warning: /etc/crontab names zarafa",
			"warning: /etc/yum.repos.d/zarafa.repo names zarafa",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "four-byte characters"},
	},
	{
		fixture: "sles12-zcp72.txtar",
		findings: []string{
			"warning: /etc/crontab names zarafa",
			"warning: /etc/zypp/repos.d/zarafa.repo names zarafa",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "four-byte characters"},
	},
	{
		fixture: "inhibited.txtar",
		code:    exit.Inhibited,
		findings: []string{
			"inhibitor: ZCP 7.0.13 is too old",
			"inhibitor: the package manager is locked",
			"inhibitor: the package database is not in order",
			"warning: how large the dump gets is not known",
			"warning: max_allowed_packet is below 16M",
			"warning: thread_stack is below 256K",
			"warning: tables that are not InnoDB",
			"inhibitor: the repository cannot be used",
			"warning: duplicate rows in table names (K-1216)",
			"warning: table names is full (K-1219)",
			"inhibitor: not enough space on /",
		},
	},
}

func TestStockFindings(t *testing.T) {
	shipped, err := fs.Glob(hosts.FS, "*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(shipped) != len(stockHosts) {
		t.Errorf("%d example hosts are shipped, %d are tested: %v", len(shipped), len(stockHosts), shipped)
	}
	for _, tc := range stockHosts {
		t.Run(tc.fixture, func(t *testing.T) {
			played := playStock(t, stockHost(t, tc.fixture, nil), nil)
			if played.verdict.Code != tc.code {
				t.Errorf("exit code %d, want %d: %s", played.verdict.Code, tc.code, played.verdict.Text)
			}
			if tc.code == exit.Inhibited && played.verdict.Changes != 0 {
				t.Errorf("%d changes in spite of inhibitors", played.verdict.Changes)
			}
			if !slices.Equal(played.serious, tc.findings) {
				t.Errorf("findings:\n  %s\nwant:\n  %s", strings.Join(played.serious, "\n  "), strings.Join(tc.findings, "\n  "))
			}
			for _, title := range tc.infos {
				if !slices.Contains(played.infos, title) {
					t.Errorf("no info %q; there are %q", title, played.infos)
				}
			}
		})
	}
}

// TestStockTwice migrates a host that is migrated already.
func TestStockTwice(t *testing.T) {
	for _, tc := range stockHosts {
		if tc.code != exit.Done {
			continue
		}
		t.Run(tc.fixture, func(t *testing.T) {
			h := stockHost(t, tc.fixture, nil)
			if first := playStock(t, h, nil); first.verdict.Code != exit.Done || first.verdict.Changes == 0 {
				t.Fatalf("the first run: %+v", first.verdict)
			}
			second := playStock(t, h, nil)
			if second.verdict.Code != exit.Done || second.verdict.Changes != 0 {
				t.Errorf("the second run: code %d, %d changes", second.verdict.Code, second.verdict.Changes)
			}
			if !strings.Contains(second.verdict.Text, "nothing to do") {
				t.Errorf("the second run does not say that there is nothing to do: %s", second.verdict.Text)
			}
		})
	}
}

func TestStockParameters(t *testing.T) {
	for _, params := range []map[string]string{
		{"config": "copy"},
		{"attachments": "keep"},
		{"components": "all"},
		{"purge": "no"},
		{"config": "copy", "attachments": "keep", "components": "all", "purge": "no"},
	} {
		for _, tc := range stockHosts {
			if tc.code != exit.Done {
				continue
			}
			played := playStock(t, stockHost(t, tc.fixture, nil), params)
			if played.verdict.Code != exit.Done {
				t.Errorf("%s with %v: code %d: %s", tc.fixture, params, played.verdict.Code, played.verdict.Text)
			}
		}
	}
}

// kopano10 are sections of a fixture that offer a release which the catalogue does not have.
const kopano10 = `-- available --
Package: kopano-server
Version: 10.0.7.389-0
Maintainer: Kopano
Repository: *kopano.io/*
Depends: kopano-common
Files:
 /usr/sbin/kopano-server 0755 2M
 /lib/systemd/system/kopano-server.service
-- payload kopano-server /lib/systemd/system/kopano-server.service --
[Service]
ExecStart=/usr/sbin/kopano-server
[Install]
WantedBy=multi-user.target
`

// TestStockSurvey changes the example host in one respect, and wants the survey to say so.
func TestStockSurvey(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to string            // replaced in the fixture
		change   string            // another replacement: from=>to
		add      string            // sections to add
		files    map[string]string // to put there
		params   map[string]string
		code     int
		want     string // severity: title
		reason   string // part of the finding's reason
		absent   string // a finding that must not be
	}{
		{
			name: "another version than the repository's", params: map[string]string{"target": "8.4.5"},
			code: exit.Inhibited, want: "inhibitor: another version than wanted",
		},
		{
			name: "not root",
			from: "-- host --\n", to: "-- host --\nuid: 1000\n",
			code: exit.Inhibited, want: "inhibitor: not root",
		},
		{
			name: "a server that upgrades its database",
			from: "zarafa-server   active enabled", to: "zarafa-server   active upgrades enabled",
			code: exit.Inhibited, want: "inhibitor: zarafa-server upgrades its database, or is about to", reason: "its process 1201 holds /tmp/zarafa-upgrade-lock",
		},
		{
			name: "a lock of an upgrade that was cut off",
			from: "-- tree --\n", to: "-- tree --\nf0600 root:root 0 - /tmp/zarafa-upgrade-lock\n",
			code: exit.Inhibited, want: "inhibitor: /tmp/zarafa-upgrade-lock is left from an upgrade of the database that did not come to its end", reason: "no process holds it",
		},
		{
			name: "a held package",
			from: "Package: zarafa-server\n", to: "Package: zarafa-server\nStatus: hold ok installed\n",
			code: exit.Inhibited, want: "inhibitor: ZCP packages are on hold",
		},
		{
			name: "a library that others need",
			from: "-- packages --\n", to: "-- packages --\nPackage: korganizer\nVersion: 4.14\nMaintainer: Debian\nDepends: libical0\n\n",
			code: exit.Inhibited, want: "inhibitor: removing ZCP would take other packages along",
		},
		{
			name:  "a purge that deletes data",
			files: map[string]string{"/var/lib/dpkg/info/zarafa-server.postrm": "#!/bin/sh\nrm -rf /var/lib/zarafa\n"},
			code:  exit.Inhibited, want: "inhibitor: purging zarafa-server would delete data",
		},
		{
			name: "Kopano beside ZCP",
			from: "-- packages --\n", to: "-- packages --\nPackage: kopano-lang\nVersion: 8.4.5-1\nMaintainer: Kopano\n\n",
			want: "warning: Kopano packages are here already",
		},
		{
			name: "a repository for another release",
			add:  strings.Replace(kopano10, "Depends: kopano-common", "Depends: libicu63", 1),
			code: exit.Inhibited, want: "inhibitor: Kopano's packages cannot be installed", reason: "libicu63",
		},
		{
			name: "a component without a successor",
			from: "-- packages --\n", to: "-- packages --\nPackage: zarafa-webaccess\nVersion: 7.2.1\nMaintainer: Zarafa\n\n",
			want: "warning: zarafa-webaccess is not part of Kopano",
		},
		{
			name: "a configuration file that is not UTF-8",
			from: "-- tree --\n", to: "-- /etc/zarafa/ical.cfg base64 --\nbG9nX2ZpbGUgPSBjYWbpCg==\n-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: a configuration file cannot be read",
		},
		{
			name: "a configuration file that is a directory",
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /etc/zarafa/ical.cfg\n",
			code: exit.Inhibited, want: "inhibitor: a configuration file cannot be read",
		},
		{
			name: "a wrong password of the database",
			from: "login zarafa ", to: "login zarafa another-",
			code: exit.Inhibited, want: "inhibitor: the database does not answer",
		},
		{
			name: "a schema that is too old",
			from: "AS value FROM versions\nvalue\n64", to: "AS value FROM versions\nvalue\n62",
			code: exit.Inhibited, want: "inhibitor: the database schema is too old",
		},
		{
			name: "a schema that is newer than the target",
			from: "AS value FROM versions\nvalue\n64", to: "AS value FROM versions\nvalue\n200",
			code: exit.Inhibited, want: "inhibitor: the database schema is newer than the target",
		},
		{
			name: "duplicate names",
			from: "HAVING COUNT(*) > 1) AS d\nvalue\n0", to: "HAVING COUNT(*) > 1) AS d\nvalue\n3",
			code: exit.Inhibited, want: "inhibitor: duplicate rows in table names (K-1216)",
		},
		{
			name: "attachments in two places",
			from: "FROM lob\nvalue\n0", to: "FROM lob\nvalue\n5",
			code: exit.Inhibited, want: "inhibitor: attachments both in the database and in files",
		},
		{
			name: "attachments of an earlier attempt",
			from: "-- tree --\n", to: "-- tree --\nf0644 root:root 10 - /var/lib/kopano/attachments/1\n",
			code: exit.Inhibited, want: "inhibitor: /var/lib/kopano/attachments is not empty",
		},
		{
			name: "/tmp closed to the daemons",
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /tmp\n",
			want: "warning: mode of /tmp",
		},
		{
			name: "the Outlook client",
			from: "-- tree --\n", to: "-- tree --\nf0644 root:root 10 - /var/lib/zarafa/client/zarafaclient.msi\n",
			want: "warning: the Outlook MAPI client is not supported",
		},
		{
			name:  "Postfix calls the delivery agent",
			files: map[string]string{"/etc/postfix/master.cf": "# zarafa-dagent\nzarafa unix - n n - 10 pipe argv=/usr/bin/zarafa-dagent ${user}\n"},
			want:  "warning: mail is kept back while zarafa-dagent is missing", reason: "/etc/postfix/master.cf, line 2: Postfix defers it",
		},
		{
			name:  "a user's mail is forwarded to the delivery agent",
			files: map[string]string{"/home/alice/.forward": "|/usr/bin/zarafa-dagent alice\n"},
			code:  exit.Inhibited, want: "inhibitor: mail would bounce: it is delivered by a command that is missing for a time", reason: "/home/alice/.forward, line 1: such mail bounces",
		},
		{
			name:  "a watchdog",
			files: map[string]string{"/etc/monit/conf.d/mail": "check process zarafa-server with pidfile /var/run/zarafad/server.pid\n"},
			want:  "warning: /etc/monit/conf.d/mail names zarafa",
		},
		{
			name:  "a daily job",
			files: map[string]string{"/etc/cron.daily/stats": "#!/bin/sh\nzarafa-stats --users\n"},
			want:  "warning: /etc/cron.daily/stats names zarafa",
		},
		{
			name:  "a job of a user",
			files: map[string]string{"/var/spool/cron/crontabs/alice": "0 3 * * * /usr/bin/zarafa-backup -a\n"},
			want:  "warning: /var/spool/cron/crontabs/alice names zarafa",
		},
		{
			name: "a timer's service",
			from: "-- tree --\n", to: "-- /etc/systemd/system/nightly.service --\n[Service]\nExecStart=/usr/sbin/zarafa-admin --sync\n-- tree --\n",
			want: "warning: /etc/systemd/system/nightly.service names zarafa",
		},
		{
			name: "a unit of ZCP that the site changed",
			from: "-- tree --\n", to: "-- /etc/systemd/system/zarafa-ical.service --\n[Service]\nExecStart=/usr/sbin/zarafa-ical\n-- tree --\n",
			absent: "warning: /etc/systemd/system/zarafa-ical.service names zarafa",
		},
		{
			name: "a web server's site, by a symlink",
			from: "-- tree --\n", to: "-- /etc/apache2/sites-available/mail.conf --\nAlias /webapp /usr/share/zarafa-webapp\n-- tree --\nl root:root - - /etc/apache2/sites-enabled/mail.conf -> ../sites-available/mail.conf\n",
			want: "warning: /etc/apache2/sites-enabled/mail.conf names zarafa",
		},
		{
			name:   "files of ZCP's packages",
			files:  map[string]string{"/etc/cron.daily/zarafa-client-update": "#!/bin/sh\nzarafa-client-update\n"},
			absent: "warning: /etc/cron.daily/zarafa-client-update names zarafa",
		},
		{
			name: "the rotation of ZCP's logs",
			from: "-- tree --\n", to: "-- tree --\n",
			absent: "warning: /etc/logrotate.d/zarafa names zarafa",
		},
		{
			name:  "a pipe with the user zarafa",
			files: map[string]string{"/etc/postfix/master.cf": "zarafa unix - n n - 10 pipe\n  user=zarafa argv=/usr/bin/zarafa-dagent ${user}\n"},
			want:  "warning: /etc/postfix/master.cf names user=zarafa",
		},
		{
			name:  "a script of the site",
			files: map[string]string{"/usr/local/sbin/newuser": "#!/bin/sh\nzarafa-admin -c $1\n"},
			want:  "warning: /usr/local/sbin/newuser names zarafa-",
		},
		{
			name:  "a Python program of the site",
			files: map[string]string{"/usr/local/bin/report": "#!/usr/bin/python\nimport zarafa\n"},
			want:  "warning: /usr/local/bin/report names import zarafa",
		},
		{
			name:  "the repository of ZCP",
			files: map[string]string{"/etc/apt/sources.list.d/zcp.list": "deb http://download.zarafa.com/supported/7.2 ./\n"},
			want:  "warning: /etc/apt/sources.list.d/zcp.list names zarafa",
		},
		{
			name:  "a preference of the site",
			files: map[string]string{"/etc/apt/preferences": "Package: kopano-*\nPin: release *\nPin-Priority: -1\n"},
			want:  "warning: /etc/apt/preferences names kopano",
		},
		{
			name: "a drop-in with an option that is gone", params: map[string]string{"target": "10.0.7"},
			add: kopano10, from: "-- tree --\n", to: "-- /etc/systemd/system/zarafa-server.service.d/site.conf --\n[Service]\nExecStart=/usr/sbin/zarafa-server -F -c /etc/zarafa/server.cfg\n-- tree --\n",
			want: "warning: a drop-in of zarafa-server",
		},
		{
			name: "a service of Kopano that is masked",
			from: "-- tree --\n", to: "-- tree --\nl root:root - - /etc/systemd/system/kopano-dagent.service -> /dev/null\n",
			code: exit.Inhibited, want: "inhibitor: services of Kopano are masked", reason: "kopano-dagent: nothing can start them",
		},
		{
			name: "a service of Kopano that its package will unmask",
			from: "-- tree --\n", to: "-- tree --\nf0644 root:root 0 - /var/lib/systemd/deb-systemd-helper-masked/kopano-dagent.service\nl root:root - - /etc/systemd/system/kopano-dagent.service -> /dev/null\n",
			absent: "inhibitor: services of Kopano are masked",
		},
		{
			name:  "a configuration of another release",
			files: map[string]string{"/etc/kopano/gateway.cfg": "imap_enable = yes\nkept_from_8_0 = yes\n"},
			code:  exit.Inhibited, want: "inhibitor: /etc/kopano/gateway.cfg is of another release", reason: "does not know imap_enable, kept_from_8_0",
		},
		{
			name: "a configuration of another release, which is not built on", params: map[string]string{"config": "copy"},
			files:  map[string]string{"/etc/kopano/gateway.cfg": "kept_from_8_0 = yes\n"},
			absent: "inhibitor: /etc/kopano/gateway.cfg is of another release",
		},
		{
			name: "a configuration of another release, of a daemon that only warns",
			from: "-- tree --\n", to: "-- /etc/kopano/search.cfg --\nkept_from_8_0 = yes\n-- tree --\n",
			absent: "inhibitor: /etc/kopano/search.cfg is of another release",
		},
		{
			name:  "another user plugin in an earlier attempt",
			files: map[string]string{"/etc/kopano/server.cfg": "user_plugin = ldap\nserver_name = Zarafa\n"},
			want:  "warning: /etc/kopano/server.cfg decides what ZCP's does otherwise", reason: "it is left from an earlier attempt, and says user_plugin = ldap;",
		},
		{
			name: "a configuration file of Kopano that is a symlink",
			from: "-- tree --\n", to: "-- /srv/gateway.cfg --\n-- tree --\nl root:root - - /etc/kopano/gateway.cfg -> /srv/gateway.cfg\n",
			code: exit.Inhibited, want: "inhibitor: configuration files of Kopano are symlinks",
		},
		{
			name: "a configuration file of Kopano that is a symlink, and is copied over", params: map[string]string{"config": "copy"},
			from: "-- tree --\n", to: "-- /srv/gateway.cfg --\n-- tree --\nl root:root - - /etc/kopano/gateway.cfg -> /srv/gateway.cfg\n",
			absent: "inhibitor: configuration files of Kopano are symlinks",
		},
		{
			name: "user scripts behind a symlink",
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /srv/scripts\nd0755 root:root - - /etc/kopano/scripts\nl root:root - - /etc/zarafa/scripts -> /srv/scripts\n",
			want: "warning: not taken over: /etc/zarafa.bak/scripts",
		},
		{
			name: "a dump among what the kernel shows", params: map[string]string{"dump_dir": "/proc/dump"},
			code: exit.Inhibited, want: "inhibitor: dump_dir lies where no file can be kept",
		},
		{
			name: "the distribution's own packages",
			from: "-- tree --\n", to: "-- available --\nPackage: kopano-libs\nVersion: 8.7.0-7\nMaintainer: Debian\nRepository: *kopano.io/*\n-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: these are the distribution's Kopano packages",
		},
		{
			name: "a distribution that has Kopano",
			from: "VERSION_ID=\"8\"", to: "VERSION_ID=\"10\"",
			want: "warning: the distribution has Kopano packages of its own",
		},
		{
			name: "components of two versions",
			from: "-- tree --\n", to: "-- available --\nPackage: kopano-gateway\nVersion: 9.1.0-1\nMaintainer: Kopano\nRepository: *kopano.io/*\n-- tree --\n",
			want: "warning: the components are not of one version",
		},
		{
			name: "WebApp, which counts its versions for itself",
			from: "-- tree --\n", to: "-- available --\nPackage: kopano-webapp\nVersion: 3.5.12-1\nMaintainer: Kopano\nRepository: *kopano.io/*\n-- tree --\n",
			absent: "warning: the components are not of one version",
		},
		{
			name: "init scripts and packages without any",
			from: `zarafa-server   active enabled pid=1201
zarafa-dagent   active enabled pid=1230
zarafa-spooler  active enabled pid=1242
zarafa-gateway  active enabled pid=1255
zarafa-search   active enabled pid=1260
`, to: "zarafa-server active\n",
			change: "init: systemd=>init: sysv",
			code:   exit.Inhibited, want: "inhibitor: Kopano 8.7.20 needs systemd",
		},
		{
			name: "a distribution that is too old",
			from: "VERSION_ID=\"8\"", to: "VERSION_ID=\"7\"",
			code: exit.Inhibited, want: "inhibitor: Kopano 8.7.20 has no packages for Debian 7",
		},
		{
			name: "AppArmor, and attachments elsewhere", params: map[string]string{"attachments": "keep"},
			from: "init: systemd\n", to: "init: systemd\nsecurity: apparmor\n",
			want: "warning: AppArmor is active",
		},
		{
			name: "AppArmor, and nothing but the default paths",
			from: "init: systemd\n", to: "init: systemd\nsecurity: apparmor\n",
			absent: "warning: AppArmor is active",
		},
		{
			name: "a socket in /tmp",
			from: "server_bind_name = file:///var/run/zarafad/search.sock", to: "server_bind_name = file:///tmp/search.sock", add: kopano10,
			want: "warning: the units hide directories that are in use",
		},
		{
			name: "a socket in /tmp, and units that let it be",
			from: "server_bind_name = file:///var/run/zarafad/search.sock", to: "server_bind_name = file:///tmp/search.sock",
			absent: "warning: the units hide directories that are in use",
		},
		{
			name: "a log below /usr",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = /usr/local/log/search.log", add: kopano10,
			want: "warning: the units make directories read-only that are written to",
		},
		{
			name: "attachments below /home", params: map[string]string{"attachments": "keep"},
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /home/mail", add: kopano10 + "-- /home/mail/1/2/12 --\nx\n",
			want: "warning: the units hide directories that are in use",
		},
		{
			name: "attachments in a directory of the system",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /var/lib",
			code: exit.Inhibited, want: "inhibitor: attachment_path is /var/lib",
		},
		{
			name: "attachments among other things of the site",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /srv", add: "-- /srv/www/index.html --\n<p>\n",
			code: exit.Inhibited, want: "inhibitor: attachment_path is /srv",
		},
		{
			name: "an attachment path without a word",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path =",
			code: exit.Inhibited, want: "inhibitor: there are no attachments in /var/lib/zarafa",
		},
		{
			name: "attachments beside the index, as ZCP 7.0 had them",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /var/lib/zarafa", add: "-- /var/lib/zarafa/1/2/12 --\nx\n",
			absent: "warning: there are no attachments in /var/lib/zarafa",
		},
		{
			name: "attachments that are not mounted",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /srv/attachments",
			code: exit.Inhibited, want: "inhibitor: there are no attachments in /srv/attachments", reason: "the database knows of 10000",
		},
		{
			name: "attachments that nobody ever had",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /srv/attachments", change: "FROM singleinstances\nvalue\n10000=>FROM singleinstances\nvalue\n0",
			want: "warning: there are no attachments in /srv/attachments",
		},
		{
			name: "one of the attachment directories is a symlink",
			from: "-- tree --\n", to: "-- tree --\nl root:root - - /var/lib/zarafa/attachments/3/x -> /srv/x\n",
			code: exit.Inhibited, want: "inhibitor: attachments behind symlinks", reason: "/var/lib/zarafa/attachments/3/x leads to /srv/x",
		},
		{
			name: "an attachment that a backup keeps by a hard link",
			from: "-- tree --\n", to: "-- tree --\nf0644 zarafa:zarafa 10 - /srv/backup/1\nhardlink /var/lib/zarafa/attachments/1/2/new -> /srv/backup/1\n",
			code: exit.Inhibited, want: "inhibitor: a file has another name outside /var/lib/zarafa/attachments",
		},
		{
			name: "a dump among what is removed", params: map[string]string{"dump_dir": "/var/lib/zarafa/backup"},
			from: "-- tree --\n", to: "-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: dump_dir lies inside /var/lib/zarafa",
		},
		{
			name: "a dump among what is removed, through a symlink", params: map[string]string{"dump_dir": "/srv/backup/today"},
			from: "-- tree --\n", to: "-- tree --\nl root:root - - /srv/backup -> /etc/zarafa\n",
			code: exit.Inhibited, want: "inhibitor: dump_dir lies inside /etc/zarafa", reason: "/srv/backup/today (/etc/zarafa/today)",
		},
		{
			name: "a dump among the attachments", params: map[string]string{"dump_dir": "/data/mail/dump", "attachments": "keep"},
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /data/mail", add: "-- /data/mail/1/2/12 --\nx\n",
			code: exit.Inhibited, want: "inhibitor: dump_dir lies inside /data/mail",
		},
		{
			name: "packages among what is removed", params: map[string]string{"packages_dir": "/etc/zarafa/debs"},
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /etc/zarafa/debs\n",
			code: exit.Inhibited, want: "inhibitor: packages_dir lies inside /etc/zarafa",
		},
		{
			name: "the state among what is removed",
			from: "-- tree --\n", to: "-- tree --\nl root:root - - /var/lib/zcp2kopano -> /var/lib/kopano/state\n",
			code: exit.Inhibited, want: "inhibitor: the state of this program lies inside /var/lib/kopano",
		},
		{
			name: "a dump where a file is", params: map[string]string{"dump_dir": "/srv/dump/today"},
			files: map[string]string{"/srv/dump": "x\n"},
			code:  exit.Inhibited, want: "inhibitor: dump_dir cannot be made", reason: "/srv/dump is a file",
		},
		{
			name: "a dump in a directory of the system", params: map[string]string{"dump_dir": "/srv"},
			from: "-- tree --\n", to: "-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: dump_dir is /srv",
		},
		{
			name: "a dump that others can replace", params: map[string]string{"dump_dir": "/home/alice/dump"},
			from: "-- tree --\n", to: "-- tree --\nd0755 alice:alice - - /home/alice\n",
			want: "warning: others can replace the dump",
		},
		{
			name: "a dump in a directory that all can write to", params: map[string]string{"dump_dir": "/srv/all/dump"},
			from: "-- tree --\n", to: "-- tree --\nd0777 root:root - - /srv/all\n",
			want: "warning: others can replace the dump", reason: "/srv/all, which dump_dir is in, is 0777 root:root",
		},
		{
			name: "a dump in a directory like /tmp", params: map[string]string{"dump_dir": "/srv/all/dump"},
			from: "-- tree --\n", to: "-- tree --\nd1777 root:root - - /srv/all\n",
			absent: "warning: others can replace the dump",
		},
		{
			name: "an index among other things",
			from: "index_path = /var/lib/zarafa/search/", to: "index_path = /var/lib/zarafa/",
			want: "warning: the search index stays behind",
		},
		{
			name: "attachments that were searched",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = /var/log/zarafa/search.log\nindex_attachments = yes", add: kopano10,
			want: "warning: attachments are not searched any more",
		},
		{
			name: "line ends of Windows",
			from: "= s3cret#of-alice\n", to: "= s3cret#of-alice\r\n",
			want: "warning: configuration to look at", reason: "CR LF",
		},
		{
			name: "a directive twice",
			from: "mysql_database		= zarafa\n", to: "mysql_database = other\nmysql_database = zarafa\n",
			want: "warning: configuration to look at", reason: "mysql_database is set twice, first in line 27; the last one counts",
		},
		{
			name: "an include that is not there",
			from: "server_name = Zarafa\n", to: "server_name = Zarafa\n!include other.cfg\n",
			code: exit.Inhibited, want: "inhibitor: a configuration file cannot be read",
		},
		{
			name: "/etc/kopano is a symlink",
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /srv/kopano\nl root:root - - /etc/kopano -> /srv/kopano\n",
			code: exit.Inhibited, want: "inhibitor: /etc/kopano is not a directory",
		},
		{
			name:  "a purge that deletes the database",
			files: map[string]string{"/var/lib/dpkg/info/zarafa-server.postrm": "#!/bin/sh\n. /usr/share/dbconfig-common/dpkg/postrm\n"},
			code:  exit.Inhibited, want: "inhibitor: purging zarafa-server would delete data",
		},
		{
			name: "a switch of a Python daemon that stops it",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = /var/log/zarafa/search.log\nindex_attachments = on\n",
			code: exit.Inhibited, want: "inhibitor: kopano-search would not start", reason: "kopano-search stops unless it is one of yes, no",
		},
		{
			name: "a path of a Python daemon that stops it",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = /var/log/zarafa/search.log\nrunning_path = /srv/none\n",
			code: exit.Inhibited, want: "inhibitor: kopano-search would not start", reason: "running_path = /srv/none does not exist; kopano-search stops without it",
		},
		{
			name: "the environment in a Python daemon's file",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = $LOGS/search.log\n",
			want: "warning: configuration to look at", reason: "kopano-search does not read the environment",
		},
		{
			name: "an include in a Python daemon's file",
			from: "log_file = /var/log/zarafa/search.log", to: "log_file = /var/log/zarafa/search.log\n!include site.cfg", add: "-- /etc/zarafa/site.cfg --\nlimit_results = 5\n",
			want: "warning: configuration to look at", reason: "kopano-search is a Python program and reads no !include lines; put the settings of site.cfg into this file",
		},
		{
			name: "SQL procedures and no room for them",
			from: "var thread_stack 262144", to: "var thread_stack 196608",
			want: "warning: thread_stack is below 256K",
		},
		{
			name: "SQL procedures, no room for them, and a server that insists",
			from: "var thread_stack 262144", to: "var thread_stack 196608", change: "server_name = Zarafa\n=>server_name = Zarafa\nenable_sql_procedures = yes\n",
			code: exit.Inhibited, want: "inhibitor: thread_stack is below 256K",
		},
		{
			name: "a service that counts licences",
			from: "-- packages --\n", to: "-- packages --\nPackage: zarafa-licensed\nVersion: 7.2.1\nMaintainer: Zarafa\n\n",
			want: "warning: zarafa-licensed is not part of Kopano",
		},
		{
			name: "presence, which is gone later",
			from: "-- packages --\n", add: kopano10, to: "-- packages --\nPackage: zarafa-presence\nVersion: 7.2.6\nMaintainer: Zarafa\n\n",
			want: "warning: zarafa-presence is not part of Kopano 10.0.7",
		},
		{
			name: "an archiver",
			from: "-- packages --\n", to: "-- packages --\nPackage: zarafa-archiver\nVersion: 7.2.6\nMaintainer: Zarafa\n\n",
			want: "warning: zarafa-archiver",
		},
		{
			name: "old backups",
			from: "-- packages --\n", to: "-- packages --\nPackage: zarafa-backup\nVersion: 7.2.6\nMaintainer: Zarafa\n\n",
			want: "warning: old backups cannot be restored",
		},
		{
			name: "the client updater",
			from: "client_update_enabled	= false", to: "client_update_enabled = yes",
			want: "warning: the client auto-updater is gone",
		},
		{
			name: "one of several servers",
			from: "enable_distributed_zarafa = false", to: "enable_distributed_zarafa = yes",
			want: "warning: this is one of several servers",
		},
		{
			name:  "an old Z-Push",
			files: map[string]string{"/usr/share/z-push/config.php": "define('BACKEND_PROVIDER', 'BackendZarafa');\n"},
			want:  "warning: /usr/share/z-push/config.php names BackendZarafa",
		},
		{
			name: "compressed attachments and a release that cannot read them", params: map[string]string{"target": "8.0.2"},
			from: "-- tree --\n", to: "-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: compressed attachments",
		},
		{
			name: "storage that is not what it says",
			from: "attachment_storage	= files", to: "attachment_storage = database",
			code: exit.Inhibited, want: "inhibitor: attachment_storage is wrong",
		},
		{
			name: "attachments behind a symlink of the user zarafa",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /var/lib/zarafa/store",
			change: "-- tree --\n=>-- tree --\nl zarafa:zarafa - - /var/lib/zarafa/store -> /var/lib/zarafa/attachments\n",
			code:   exit.Inhibited, want: "inhibitor: the symlink /var/lib/zarafa/store is not followed",
			reason: "leads to /var/lib/zarafa/attachments and belongs to zarafa", absent: "warning: there are no attachments in /var/lib/zarafa/store",
		},
		{
			name: "attachments behind a symlink of root",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /var/lib/zarafa/store",
			change: "-- tree --\n=>-- tree --\nl root:root - - /var/lib/zarafa/store -> /var/lib/zarafa/attachments\n",
			absent: "inhibitor: the symlink /var/lib/zarafa/store is not followed",
		},
		{
			name: "an index behind a symlink of the user zarafa",
			from: "index_path = /var/lib/zarafa/search/", to: "index_path = /data/search/", change: "-- tree --\n=>-- tree --\nl zarafa:zarafa - - /data -> /var/lib/zarafa\n",
			code: exit.Inhibited, want: "inhibitor: the symlink /data is not followed",
		},
		{
			name: "a configuration file that is a symlink of the user zarafa",
			from: "-- tree --\n", to: "-- tree --\nl zarafa:zarafa - - /etc/zarafa/ical.cfg -> /srv/ical.cfg\n",
			code: exit.Inhibited, want: "inhibitor: the symlink /etc/zarafa/ical.cfg is not followed",
		},
		{
			name: "a key behind a symlink of the user zarafa",
			from: "ssl_private_key_file = /etc/zarafa/gateway/privkey.pem", to: "ssl_private_key_file = /etc/ssl/zarafa/mail.key",
			change: "-- tree --\n=>-- /srv/mail.key 0644 --\nkey\n-- tree --\nl zarafa:zarafa - - /etc/ssl/zarafa -> /srv\n",
			code:   exit.Inhibited, want: "inhibitor: the symlink /etc/ssl/zarafa is not followed", reason: "ssl_private_key_file = /etc/ssl/zarafa/mail.key",
		},
		{
			name: "a dump behind a symlink of somebody", params: map[string]string{"dump_dir": "/home/alice/dumps/today"},
			from: "-- tree --\n", to: "-- tree --\nl alice:alice - - /home/alice/dumps -> /srv\n",
			code: exit.Inhibited, want: "inhibitor: the symlink /home/alice/dumps is not followed", reason: "parameter dump_dir",
		},
		{
			name: "a home that is a symlink of its user",
			from: "-- tree --\n", to: "-- tree --\nl alice:alice - - /home/alice -> /srv\n",
			absent: "inhibitor: the symlink /home/alice is not followed",
		},
		{
			name: "a path that goes up",
			from: "attachment_path		= /var/lib/zarafa/attachments", to: "attachment_path = /var/lib/zarafa/none/../attachments//",
			absent: "warning: there are no attachments in /var/lib/zarafa/attachments",
		},
		{
			name: "a switch that is on in another word",
			from: "enable_distributed_zarafa = false", to: "enable_distributed_zarafa = 1",
			want: "warning: this is one of several servers",
		},
		{
			name: "SQL procedures that are on in another word",
			from: "var thread_stack 262144", to: "var thread_stack 196608", change: "server_name = Zarafa\n=>server_name = Zarafa\nenable_sql_procedures = true\n",
			code: exit.Inhibited, want: "inhibitor: thread_stack is below 256K",
		},
		{
			name: "a database of another program",
			from: "table versions           InnoDB      60   16K    0  utf8_general_ci\n", to: "",
			code: exit.Inhibited, want: "inhibitor: database zarafa is not one of ZCP", reason: "it has no table versions, or user zarafa may not read it",
		},
		{
			name: "a table that cannot be read",
			from: "? SELECT COUNT(*) AS value FROM lob\n", to: "? SELECT COUNT(*) AS value FROM hidden\n",
			code: exit.Inhibited, want: "inhibitor: the attachments could not be looked at", reason: "FROM lob",
		},
		{
			name: "no program that dumps",
			from: " /usr/bin/mysqldump 0755 3M\n", to: "",
			code: exit.Inhibited, want: "inhibitor: the database cannot be dumped",
		},
		{
			name: "the newer name of the program that dumps",
			from: " /usr/bin/mysqldump 0755 3M\n", to: " /usr/bin/mariadb-dump 0755 3M\n",
			absent: "inhibitor: the database cannot be dumped",
		},
		{
			name: "a program that dumps, and none that loads",
			from: " /usr/bin/mysql 0755 3M\n", to: "",
			want: "warning: a dump could not be loaded",
		},
		{
			name: "a port that is none",
			from: "mysql_port		= 3306", to: "mysql_port = mysql",
			code: exit.Inhibited, want: "inhibitor: the database could not be looked at", reason: `mysql_port "mysql" is not a port number`,
		},
		{
			name: "a directory of packages that is not there", params: map[string]string{"packages_dir": "/srv/kopano"},
			from: "-- tree --\n", to: "-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: packages_dir cannot be used", reason: "/srv/kopano: it is not there",
		},
		{
			name: "a directory of packages that is a file", params: map[string]string{"packages_dir": "/srv/kopano"},
			files: map[string]string{"/srv/kopano": "x\n"},
			code:  exit.Inhibited, want: "inhibitor: packages_dir cannot be used", reason: "/srv/kopano: it is not a directory",
		},
		{
			name: "a directory without packages", params: map[string]string{"packages_dir": "/srv/kopano"},
			files: map[string]string{"/srv/kopano/README": "x\n"},
			code:  exit.Inhibited, want: "inhibitor: packages_dir cannot be used", reason: "/srv/kopano: it holds no package file",
		},
		{
			name: "a package that was not downloaded to its end", params: map[string]string{"packages_dir": "/srv/kopano"},
			from: "-- tree --\n", to: "-- /srv/kopano/kopano-server.deb --\n<html>\n-- tree --\n",
			code: exit.Inhibited, want: "inhibitor: packages_dir cannot be used", reason: "/srv/kopano/kopano-server.deb: no Debian package",
		},
		{
			name: "a daemon that connects over TLS",
			from: "server_socket = file:///var/run/zarafad/server.sock\nsmtp_server", to: "server_socket = https://mail:237/zarafa\nsmtp_server",
			want: "warning: /etc/zarafa/spooler.cfg connects over TLS",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edit := func(text string) string {
				if !strings.Contains(text, tc.from) {
					t.Fatalf("the example host does not hold %q", tc.from)
				}
				text = strings.Replace(text, tc.from, tc.to, 1)
				if from, to, ok := strings.Cut(tc.change, "=>"); ok {
					text = strings.Replace(text, from, to, 1)
				}
				return strings.Replace(text, "-- tree --\n", tc.add+"-- tree --\n", 1)
			}
			h := stockHost(t, hosts.Example, edit)
			simtest.Write(t, simfs.Afero(h.Files()), tc.files)
			played := playStock(t, h, tc.params)
			if played.verdict.Code != tc.code {
				t.Errorf("code %d, want %d: %s", played.verdict.Code, tc.code, played.verdict.Text)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("no finding because %q; there are %q", tc.reason, played.reasons)
			}
			if slices.Contains(played.serious, tc.absent) {
				t.Errorf("finding %q", tc.absent)
			}
		})
	}
}

// TestStockMounts gives the example host other mounts: what cannot work with them is found before anything is
// changed, and the rest works.
func TestStockMounts(t *testing.T) {
	const tree = "-- tree --\n"
	for _, tc := range []struct {
		name   string
		mounts []string
		tree   string
		params map[string]string
		want   string // an inhibitor, or a warning
		code   int
		info   string
		left   string // a path that must be there in the end
		kopano bool   // it belongs to kopano
	}{
		{name: "/etc/kopano", mounts: []string{"/etc/kopano /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/server.cfg"},
		{name: "/etc/kopano, emptied", mounts: []string{"/etc/kopano /dev/sdb1 ext4 10G 9G"}, params: map[string]string{"config": "copy"}, left: "/etc/kopano/server.cfg"},
		{name: "below /etc/kopano, emptied", mounts: []string{"/etc/kopano/ssl /dev/sdb1 ext4 10G 9G"}, params: map[string]string{"config": "copy"}, code: exit.Inhibited, want: "inhibitor: /etc/kopano holds a mount"},
		{name: "below /etc/kopano", mounts: []string{"/etc/kopano/ssl /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/server.cfg"},
		{name: "/etc/zarafa", mounts: []string{"/etc/zarafa /dev/sdb1 ext4 10G 9G"}, left: "/etc/zarafa.bak/server.cfg"},
		{name: "below /etc/zarafa", mounts: []string{"/etc/zarafa/gateway /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/gateway/privkey.pem"},
		{name: "/var/lib/kopano", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 9G"}, info: "the attachments are copied to /var/lib/kopano/attachments", left: "/var/lib/kopano/attachments/5/0", kopano: true},
		{name: "/var/lib/kopano, too small", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 5G"}, code: exit.Inhibited, want: "inhibitor: not enough space on /var/lib/kopano"},
		{name: "/var/lib/kopano, too small for what stays", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 5G"}, params: map[string]string{"attachments": "keep"}, left: "/var/lib/zarafa/attachments/5/0", kopano: true},
		{name: "one directory of attachments", mounts: []string{"/var/lib/zarafa/attachments/5 /dev/sdb1 ext4 10G 9G"}, info: "the attachments stay in /var/lib/zarafa/attachments", left: "/var/lib/zarafa/attachments/5/0", kopano: true},
		{name: "below the index", mounts: []string{"/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server /dev/sdb1 ext4 10G 9G"}, left: "/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server/postlist.glass", kopano: true},
		{name: "attachments on NFS", mounts: []string{"/var/lib/zarafa/attachments nas:/mail nfs4 100G 90G"}, want: "warning: attachments on NFS"},
		{name: "a read-only directory of attachments", mounts: []string{"/var/lib/zarafa/attachments/5 /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/lib/zarafa/attachments/5 is mounted read-only"},
		{name: "/usr read-only", mounts: []string{"/usr /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /usr is mounted read-only"},
		{name: "/usr/local read-only", mounts: []string{"/usr/local /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /usr/local is mounted read-only"},
		{name: "/var/lib read-only", mounts: []string{"/var/lib /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/lib is mounted read-only"},
		{name: "the packages' cache read-only", mounts: []string{"/var/cache/apt /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/cache/apt is mounted read-only"},
		{name: "something else read-only", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G ro"}, left: "/etc/kopano/server.cfg"},
		{name: "the dump read-only", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G ro"}, params: map[string]string{"dump_dir": "/srv/dump"}, code: exit.Inhibited, want: "inhibitor: /srv is mounted read-only"},
		{name: "the dump without inodes", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G inodes=100 free-inodes=1"}, params: map[string]string{"dump_dir": "/srv/dump"}, code: exit.Inhibited, want: "inhibitor: not enough inodes on /srv"},
		{name: "the dump in memory", mounts: []string{"/srv tmpfs tmpfs 10G 9G"}, params: map[string]string{"dump_dir": "/srv/dump"}, want: "warning: the dump would be lost at a restart"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edit := func(text string) string {
				dirs := ""
				for _, m := range tc.mounts {
					dirs += "d0755 root:root - - " + strings.Fields(m)[0] + "\n"
				}
				return strings.Replace(withMounts(t, append([]string{strings.TrimSpace(rootMount)}, tc.mounts...)...)(text), tree, tree+tc.tree+dirs, 1)
			}
			h := stockHost(t, hosts.Example, edit)
			played := playStock(t, h, tc.params)
			if played.verdict.Code != tc.code {
				t.Fatalf("code %d, want %d: %s; %q", played.verdict.Code, tc.code, played.verdict.Text, played.serious)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if tc.info != "" && !slices.Contains(played.infos, tc.info) {
				t.Errorf("no info %q; there are %q", tc.info, played.infos)
			}
			if tc.left == "" {
				return
			}
			st, err := h.Lstat(tc.left)
			if err != nil {
				t.Fatal(err)
			}
			if kopano, err := h.User("kopano"); tc.kopano && (err != nil || st.UID != kopano.UID) {
				t.Errorf("%s belongs to %d, not to kopano (%v)", tc.left, st.UID, err)
			}
		})
	}
}

// TestStockConfigElsewhere backs a configuration up that a symlink of root leads to: the link would be no backup.
func TestStockConfigElsewhere(t *testing.T) {
	edit := func(text string) string {
		head, tree, _ := strings.Cut(strings.ReplaceAll(text, "-- /etc/zarafa/", "-- /srv/zarafa/"), "-- tree --\n")
		return head + "-- tree --\nl root:root - - /etc/zarafa -> /srv/zarafa\n" + strings.ReplaceAll(tree, " /etc/zarafa", " /srv/zarafa")
	}
	h := stockHost(t, hosts.Example, edit)
	if played := playStock(t, h, nil); played.verdict.Code != exit.Done {
		t.Fatalf("%+v %q", played.verdict, played.serious)
	}
	for _, path := range []string{"/etc/zarafa.bak/server.cfg", "/etc/kopano/server.cfg", "/etc/kopano/gateway/privkey.pem"} {
		if st, err := h.Lstat(path); err != nil || !st.IsRegular() {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestStockConfigLinked has configuration files that are symlinks to where a site keeps them: a purge deletes
// what they lead to.
func TestStockConfigLinked(t *testing.T) {
	edit := func(text string) string {
		text = strings.Replace(text, "-- /etc/zarafa/server.cfg", "-- /srv/site/server.cfg", 1)
		return strings.Replace(text, "-- tree --\n", "-- tree --\nl root:root - - /etc/zarafa/server.cfg -> ../../srv/site/server.cfg\n", 1)
	}
	plain, linked := stockHost(t, hosts.Example, nil), stockHost(t, hosts.Example, edit)
	for _, h := range []*sim.Host{plain, linked} {
		if played := playStock(t, h, nil); played.verdict.Code != exit.Done {
			t.Fatalf("%+v %q", played.verdict, played.serious)
		}
	}
	for _, path := range []string{"/etc/zarafa.bak/server.cfg", "/etc/kopano/server.cfg"} {
		if want, got := textOf(t, plain, path), textOf(t, linked, path); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
}

func textOf(t *testing.T, h *sim.Host, path string) string {
	t.Helper()
	f, err := h.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStockSurveyGoesOn wants all that is wrong with a host in one go: what cannot be looked at hides nothing.
func TestStockSurveyGoesOn(t *testing.T) {
	const tree = "-- tree --\n"
	edit := func(text string) string {
		text = strings.Replace(text, "login zarafa ", "login zarafa another-", 1)
		return strings.Replace(text, tree, "-- /etc/zarafa/ical.cfg base64 --\nbG9nX2ZpbGUgPSBjYWbpCg==\n-- /etc/crontab --\n0 0 * * * root zarafa-stats\n"+
			"-- dead --\nhttps://download.kopano.io/supported/core:/final/Debian_8.0/ 401 Unauthorized\n"+
			tree+"d0755 root:root - - /tmp\nf0644 root:root 10 - /var/lib/kopano/attachments/1\n", 1)
	}
	played := playStock(t, stockHost(t, hosts.Example, edit), nil)
	want := []string{
		"warning: mode of /tmp",
		"inhibitor: a configuration file cannot be read",
		"inhibitor: the database does not answer",
		"inhibitor: the repository cannot be used",
		"inhibitor: /var/lib/kopano/attachments is not empty",
		"warning: /etc/crontab names zarafa",
		"warning: /etc/zarafa/webapp/config.php names /var/run/zarafa",
	}
	if played.verdict.Code != exit.Inhibited || !slices.Equal(played.serious, want) {
		t.Errorf("%+v\n  %s\nwant\n  %s", played.verdict, strings.Join(played.serious, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestStockPackageFiles takes Kopano from a directory: what is not for this host is found before anything is removed.
func TestStockPackageFiles(t *testing.T) {
	for _, tc := range []struct{ arch, depends, want, reason string }{
		{arch: "amd64", depends: "libc6"},
		{arch: "arm64", depends: "libc6", want: "inhibitor: packages_dir cannot be used", reason: "the packages in /srv/kopano are for arm64, and this host is amd64"},
		{arch: "amd64", depends: "libc6 (>= 2.28)", want: "inhibitor: Kopano's packages cannot be installed", reason: "libc6 (>= 2.28)"},
		{arch: "amd64", depends: "libicu63", want: "inhibitor: Kopano's packages cannot be installed", reason: "libicu63"},
	} {
		h := stockHost(t, hosts.Example, func(text string) string {
			return strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - /srv/kopano\n", 1)
		})
		putPackage(t, h, "/srv/kopano", "kopano-server", tc.arch, tc.depends)
		for _, name := range []string{"kopano-dagent", "kopano-gateway", "kopano-spooler"} {
			putPackage(t, h, "/srv/kopano", name, tc.arch, tc.depends)
		}
		played := playStock(t, h, map[string]string{"packages_dir": "/srv/kopano"})
		found := tc.want == "" || played.verdict.Code == exit.Inhibited && slices.Contains(played.serious, tc.want) &&
			strings.Contains(strings.Join(played.reasons, "\n"), tc.reason)
		if !found || tc.want == "" && slices.ContainsFunc(played.serious, func(s string) bool { return strings.HasPrefix(s, "inhibitor") }) {
			t.Errorf("%+v: %+v\n%q\n%q", tc, played.verdict, played.serious, played.reasons)
		}
	}
}

// putPackage builds a package file of version 8.7.20 on a simulated host.
func putPackage(t *testing.T, h *sim.Host, dir, name, arch, depends string) {
	t.Helper()
	tree, file := t.TempDir(), filepath.Join(t.TempDir(), "p.deb")
	control := fmt.Sprintf("Package: %s\nVersion: 8.7.20-1\nArchitecture: %s\nMaintainer: Kopano\nDepends: %s\nDescription: a package\n", name, arch, depends)
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.Create(dir+"/"+name+".deb", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
}

// TestStockDirectoryGone wants an inhibitor with its remedy for a directory that does not answer.
func TestStockDirectoryGone(t *testing.T) {
	edit := func(text string) string {
		return strings.Replace(text, "-- directory --\n", "-- /root/directory --\n", 1)
	}
	played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", edit), nil)
	if played.verdict.Code != exit.Inhibited || !slices.Contains(played.serious, "inhibitor: the users of plugin ldap could not be looked at") {
		t.Errorf("%+v, %q, %q", played.verdict, played.serious, played.reasons)
	}
}

// TestStockDump says what is not in the dump; with dump = stopped nothing that came to ZCP is missing.
func TestStockDump(t *testing.T) {
	const told = "the dump holds the database of 2018-03-17T20:30:00Z"
	played := playStock(t, stockHost(t, hosts.Example, nil), nil)
	if !slices.Contains(played.infos, told) || !strings.Contains(played.verdict.NoReturn, "only the dump leads back to ZCP, without mail and changes that came after it was begun") {
		t.Errorf("%q, %+v", played.infos, played.verdict)
	}
	if first, second := slices.Index(played.changes, "stop zarafa-server"), slices.IndexFunc(played.changes, isDump); first < second {
		t.Errorf("ZCP is stopped before the dump: %q", played.changes)
	}
	played = playStock(t, stockHost(t, hosts.Example, nil), map[string]string{"dump": "stopped"})
	if played.verdict.Code != exit.Done || slices.Contains(played.infos, told) {
		t.Errorf("%q, %+v", played.infos, played.verdict)
	}
	if first, second := slices.Index(played.changes, "stop zarafa-server"), slices.IndexFunc(played.changes, isDump); first < 0 || first > second {
		t.Errorf("ZCP is not stopped before the dump: %q", played.changes)
	}
}

func isDump(change string) bool { return strings.HasPrefix(change, "dump database") }

// TestStockIndexAmongOthers leaves an index alone that lies among other things, and has the new one
// built in a place of its own.
func TestStockIndexAmongOthers(t *testing.T) {
	edit := func(text string) string {
		return strings.Replace(text, "index_path = /var/lib/zarafa/search/", "index_path = /var/lib/zarafa/", 1)
	}
	h := stockHost(t, hosts.Example, edit)
	if played := playStock(t, h, map[string]string{"attachments": "keep"}); played.verdict.Code != exit.Done {
		t.Fatalf("%+v", played.verdict)
	}
	f, err := h.Open("/etc/kopano/search.cfg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	config, err := io.ReadAll(f)
	if err != nil || !strings.Contains(string(config), "\nindex_path = /var/lib/kopano/search\n") {
		t.Errorf("%v, search.cfg:\n%s", err, config)
	}
	for _, path := range []string{"/var/lib/zarafa/attachments/1", "/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server/postlist.glass"} {
		if _, err := h.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestStockDirectoryUsers names the files of others that use the Zarafa attributes.
func TestStockDirectoryUsers(t *testing.T) {
	const tree = "-- tree --\n"
	edit := func(text string) string {
		return strings.Replace(text, tree, "-- /etc/postfix/ldap-aliases.cf --\nresult_attribute = zarafaAliases\n"+tree, 1)
	}
	const want = "others use the Zarafa attributes of the directory"
	played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", edit), nil)
	if played.verdict.Code != exit.Done || !slices.Contains(played.infos, want) {
		t.Errorf("code %d, and no info %q; there are %q", played.verdict.Code, want, played.infos)
	}
}

// played is what a simulation came to.
type played struct {
	verdict story.Verdict
	serious []string // severity: title
	reasons []string // of these
	infos   []string // titles
	changes []string // announced, in order

	afterwards []string // what is to be told when the dump is loaded
}

func playStock(t *testing.T, h *sim.Host, params map[string]string) played {
	t.Helper()
	return playStockWatched(t, h, params, func(story.Event) {})
}

// playStockWatched plays it, and tells of each event.
func playStockWatched(t *testing.T, h *sim.Host, params map[string]string, watch func(story.Event)) played {
	t.Helper()
	var p played
	log := journal.Memory("test", time.Now)
	p.verdict = engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: stockFor(t, h), Params: params,
		Host: h, HostLabel: "an example", Dir: "/var/lib/zcp2kopano/runs/simulate",
		Journal: log, Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			watch(e)
			switch {
			case e.Kind == story.ChangeBegin:
				p.changes = append(p.changes, e.Text)
			case e.Finding == nil:
			case e.Finding.Severity == runbook.Info:
				p.infos = append(p.infos, e.Finding.Title)
			default:
				p.serious = append(p.serious, string(e.Finding.Severity)+": "+e.Finding.Title)
				p.reasons = append(p.reasons, e.Finding.Reason)
			}
		},
	})
	p.afterwards = afterwards(t, log)
	return p
}

// afterwards is what the dump in a journal says of its loading.
func afterwards(t *testing.T, log *journal.Log) []string {
	t.Helper()
	_, records, damage, err := journal.Read(bytes.NewReader(log.Bytes()))
	if err != nil || damage != nil {
		t.Fatal(err, damage)
	}
	for _, r := range records {
		var intent struct {
			Kind string
			Data struct{ Afterwards []string }
		}
		if r.Type == "intent" && json.Unmarshal(r.Data, &intent) == nil && intent.Kind == "db.dump" {
			return intent.Data.Afterwards
		}
	}
	return nil
}

func loadStock(t *testing.T, name string) *runbook.Runbook {
	t.Helper()
	book, err := runbook.Load(context.Background(), script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// stockFor is the runbook for a host.
func stockFor(t *testing.T, h host.View) *runbook.Runbook {
	t.Helper()
	facts, err := h.Facts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range script.StockRunbooks(runbooks.FS) {
		book := loadStock(t, name)
		for _, spec := range book.Systems {
			if fits, err := facts.Matches(spec); err != nil {
				t.Fatal(err)
			} else if fits {
				return book
			}
		}
	}
	t.Fatalf("no stock runbook is for %v", facts.OSRelease)
	return nil
}

// stockHost makes a shipped example host, its fixture changed by edit unless that is nil.
func stockHost(t *testing.T, name string, edit func(string) string) *sim.Host {
	t.Helper()
	data, err := fs.ReadFile(hosts.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		data = []byte(edit(string(data)))
	}
	fixture, err := sim.ReadFixture(data)
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(sim.Options{Catalog: stockCatalog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func stockCatalog(t *testing.T) []*sim.Package {
	t.Helper()
	files, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var catalog []*sim.Package
	for _, name := range files {
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := sim.ParseCatalog(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		catalog = append(catalog, list...)
	}
	return catalog
}

// Limits that keep a library of runbooks readable: a file looks at one thing.
const (
	maxLines   = 150
	maxColumns = 110
)

// familyWords are what only one family of systems has, or calls so. A file of lib with the name of a runbook is the one
// that knows the runbook's family; rpm.star has what two of them share.
var familyWords = regexp.MustCompile(`(?i)dpkg|\bapt\b|apt-|\.deb\b|debian|ubuntu|dist-packages|sources\.list|policy-rc|apache2|/etc/default|crontabs/` +
	`|\brpm|\byum|\bdnf\b|zypp|red ?hat|\bsuse|\bsles|centos|site-packages|sysconfig`)

// TestStockIsReadable holds the limits, and the words of a family of systems in its own file.
func TestStockIsReadable(t *testing.T) {
	families := map[string]bool{"lib/rpm.star": true}
	for _, name := range script.StockRunbooks(runbooks.FS) {
		families["lib/"+name+".star"] = true
	}
	files, err := fs.Glob(runbooks.FS, "lib/*.star")
	if err != nil {
		t.Fatal(err)
	}
	words := 0
	for _, name := range append(files, "debian.star", "rhel.star", "sles.star") {
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if len(lines) > maxLines {
			t.Errorf("%s has %d lines, more than %d: a file for each thing that it looks at", name, len(lines), maxLines)
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n > maxColumns {
				t.Errorf("%s:%d has %d columns, more than %d", name, i+1, n, maxColumns)
			}
			found := familyWords.FindString(line)
			if found != "" && families[name] {
				words++
			}
			if found != "" && strings.HasPrefix(name, "lib/") && !families[name] {
				t.Errorf("%s:%d says %s, which is a word of one family of systems: it belongs into the file of that family", name, i+1, found)
			}
		}
	}
	if words < 20 {
		t.Errorf("only %d lines of a family's words were found where they belong", words)
	}
}
