package runbooks_test

import (
	"bytes"
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bazelbuild/buildtools/build"
	"github.com/bazelbuild/buildtools/warn"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
	"zcp2kopano/testdata/hosts"
)

// TestStockLoads loads every stock runbook, and with it every module that it uses.
func TestStockLoads(t *testing.T) {
	names := runtime.StockRunbooks(runbooks.FS)
	if len(names) == 0 {
		t.Fatal("there is no stock runbook")
	}
	for _, name := range names {
		book := loadStock(t, name)
		if len(book.Systems) == 0 {
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
		fixture: "inhibited.txtar",
		code:    runtime.CodeInhibited,
		findings: []string{
			"inhibitor: the package manager is locked",
			"inhibitor: the package database is not in order",
			"warning: max_allowed_packet is below 16M",
			"warning: thread_stack is below 256K",
			"warning: tables that are not InnoDB",
			"inhibitor: the repository does not offer Kopano",
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
			if tc.code == runtime.CodeInhibited && played.verdict.Changes != 0 {
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
		if tc.code != runtime.CodeDone {
			continue
		}
		t.Run(tc.fixture, func(t *testing.T) {
			h := stockHost(t, tc.fixture, nil)
			if first := playStock(t, h, nil); first.verdict.Code != runtime.CodeDone || first.verdict.Changes == 0 {
				t.Fatalf("the first run: %+v", first.verdict)
			}
			second := playStock(t, h, nil)
			if second.verdict.Code != runtime.CodeDone || second.verdict.Changes != 0 {
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
			if tc.code != runtime.CodeDone {
				continue
			}
			played := playStock(t, stockHost(t, tc.fixture, nil), params)
			if played.verdict.Code != runtime.CodeDone {
				t.Errorf("%s with %v: code %d: %s", tc.fixture, params, played.verdict.Code, played.verdict.Text)
			}
		}
	}
}

// TestStockSurvey changes the example host in one respect, and wants the survey to say so.
func TestStockSurvey(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to string // replaced in the fixture
		params   map[string]string
		code     int
		want     string
	}{
		{
			name: "another version than the repository's", params: map[string]string{"target": "8.4.5"},
			code: runtime.CodeInhibited, want: "inhibitor: another version than wanted",
		},
		{
			name: "not root",
			from: "-- host --\n", to: "-- host --\nuid: 1000\n",
			code: runtime.CodeInhibited, want: "inhibitor: not root",
		},
		{
			name: "a held package",
			from: "Package: zarafa-server\n", to: "Package: zarafa-server\nStatus: hold ok installed\n",
			code: runtime.CodeInhibited, want: "inhibitor: ZCP packages are on hold",
		},
		{
			name: "a library that others need",
			from: "-- packages --\n", to: "-- packages --\nPackage: korganizer\nVersion: 4.14\nMaintainer: Debian\nDepends: libical0\n\n",
			code: runtime.CodeInhibited, want: "inhibitor: removing ZCP would take other packages along",
		},
		{
			name: "a purge that deletes data",
			from: "-- tree --\n", to: "-- /var/lib/dpkg/info/zarafa-server.postrm 0755 --\n#!/bin/sh\nrm -rf /var/lib/zarafa\n-- tree --\n",
			code: runtime.CodeInhibited, want: "inhibitor: purging zarafa-server would delete data",
		},
		{
			name: "Kopano beside ZCP",
			from: "-- packages --\n", to: "-- packages --\nPackage: kopano-lang\nVersion: 8.4.5-1\nMaintainer: Kopano\n\n",
			want: "warning: Kopano packages are here already",
		},
		{
			name: "a component without a successor",
			from: "-- packages --\n", to: "-- packages --\nPackage: zarafa-webaccess\nVersion: 7.2.1\nMaintainer: Zarafa\n\n",
			want: "warning: zarafa-webaccess is not part of Kopano",
		},
		{
			name: "a configuration file that is not UTF-8",
			from: "-- tree --\n", to: "-- /etc/zarafa/ical.cfg base64 --\nIyBjYWbpCg==\n-- tree --\n",
			code: runtime.CodeInhibited, want: "inhibitor: a configuration file cannot be read",
		},
		{
			name: "a configuration file that is a directory",
			from: "-- tree --\n", to: "-- tree --\nd0755 root:root - - /etc/zarafa/ical.cfg\n",
			code: runtime.CodeInhibited, want: "inhibitor: a configuration file cannot be read",
		},
		{
			name: "a wrong password of the database",
			from: "login zarafa ", to: "login zarafa another-",
			code: runtime.CodeInhibited, want: "inhibitor: the database does not answer",
		},
		{
			name: "a schema that is too old",
			from: "AS value FROM versions\nvalue\n64", to: "AS value FROM versions\nvalue\n62",
			code: runtime.CodeInhibited, want: "inhibitor: the database schema is too old",
		},
		{
			name: "a schema that is newer than the target",
			from: "AS value FROM versions\nvalue\n64", to: "AS value FROM versions\nvalue\n200",
			code: runtime.CodeInhibited, want: "inhibitor: the database schema is newer than the target",
		},
		{
			name: "duplicate names",
			from: "HAVING COUNT(*) > 1) AS d\nvalue\n0", to: "HAVING COUNT(*) > 1) AS d\nvalue\n3",
			code: runtime.CodeInhibited, want: "inhibitor: duplicate rows in table names (K-1216)",
		},
		{
			name: "attachments in two places",
			from: "FROM lob\nvalue\n0", to: "FROM lob\nvalue\n5",
			code: runtime.CodeInhibited, want: "inhibitor: attachments both in the database and in files",
		},
		{
			name: "attachments of an earlier attempt",
			from: "-- tree --\n", to: "-- tree --\nf0644 root:root 10 - /var/lib/kopano/attachments/1\n",
			code: runtime.CodeInhibited, want: "inhibitor: /var/lib/kopano/attachments is not empty",
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
			name: "Postfix calls the delivery agent",
			from: "-- tree --\n", to: "-- /etc/postfix/master.cf --\n# zarafa-dagent\nzarafa unix - n n - 10 pipe argv=/usr/bin/zarafa-dagent ${user}\n-- tree --\n",
			want: "warning: /etc/postfix/master.cf names zarafa-dagent",
		},
		{
			name: "a user's mail is forwarded to the delivery agent",
			from: "-- tree --\n", to: "-- /home/alice/.forward --\n|/usr/bin/zarafa-dagent alice\n-- tree --\n",
			want: "warning: /home/alice/.forward names zarafa-dagent",
		},
		{
			name: "a watchdog",
			from: "-- tree --\n", to: "-- /etc/monit/conf.d/mail --\ncheck process zarafa-server with pidfile /var/run/zarafad/server.pid\n-- tree --\n",
			want: "warning: /etc/monit/conf.d/mail names zarafa",
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
				return strings.Replace(text, tc.from, tc.to, 1)
			}
			played := playStock(t, stockHost(t, hosts.Example, edit), tc.params)
			if played.verdict.Code != tc.code {
				t.Errorf("code %d, want %d: %s", played.verdict.Code, tc.code, played.verdict.Text)
			}
			if !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
		})
	}
}

// played is what a simulation came to.
type played struct {
	verdict runtime.Verdict
	serious []string // severity: title
	infos   []string // titles
}

func playStock(t *testing.T, h *sim.Host, params map[string]string) played {
	t.Helper()
	var p played
	p.verdict = runtime.Execute(context.Background(), runtime.Config{
		Mode: "simulate", ID: "simulate", Runbook: loadStock(t, "debian"), Params: params,
		Host: h, HostLabel: "an example", Dir: "/var/lib/zcp2kopano/runs/simulate",
		Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e runtime.Event) {
			switch {
			case e.Finding == nil:
			case e.Finding.Severity == runtime.Info:
				p.infos = append(p.infos, e.Finding.Title)
			default:
				p.serious = append(p.serious, string(e.Finding.Severity)+": "+e.Finding.Title)
			}
		},
	})
	return p
}

func loadStock(t *testing.T, name string) *runtime.Runbook {
	t.Helper()
	book, err := runtime.Load(context.Background(), runtime.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	return book
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
