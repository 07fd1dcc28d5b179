package cfg

import (
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim/simtest"
)

// What a file includes from outside /etc/zarafa is converted, too, and read from below /etc/kopano: by absolute
// paths, by relative ones, through links, from files that are outside themselves, and as the plugin's file.
func TestIncludesFromOutside(t *testing.T) {
	old := map[string]string{
		"/etc/zarafa/server.cfg":  "!include /srv/far.cfg\n!include ../common/more.cfg\nuser_plugin = ldap\nuser_plugin_config = /srv/ldap/own.cfg\n",
		"/srv/far.cfg":            "server_tcp_port = 1236\nno_such_thing = 1\n!include next.cfg\n!include /etc/zarafa/mysql.cfg\n",
		"/srv/next.cfg":           "enable_hosted_zarafa = true\n",
		"/etc/common/more.cfg":    "license_socket = /var/run/zarafa-licensed\nmysql_password = s3cret\n",
		"/etc/zarafa/mysql.cfg":   "mysql_user = z\n",
		"/srv/ldap/own.cfg":       "ldap_host = l.example.org\n!propmap /srv/ldap/map.cfg\n",
		"/srv/ldap/map.cfg":       "0x3A06001E = givenName\n",
		"/etc/zarafa/gateway.cfg": "-> /srv/linked/gateway.cfg",
		"/srv/linked/gateway.cfg": "!include tls.cfg\n",
		"/srv/linked/tls.cfg":     "imap_port = 1143\n",
	}
	for _, to := range []string{"8.7.20", "11.0.2"} {
		r := takeOver(t, old, "copy", "7.2.6", to)
		checkNotes(t, "copy to "+to, r)
		taken := map[string]string{}
		for _, n := range r.Files {
			if !strings.HasPrefix(n.Path, "/etc/kopano/") {
				t.Errorf("%s is written", n.Path)
			}
			taken[n.Path] = string(n.Content)
		}
		for file, want := range map[string]map[string]string{
			"server.cfg":  {"server_listen": "*:1236", "enable_hosted_kopano": "true", "mysql_user": "z", "mysql_password": "s3cret"},
			"gateway.cfg": {"imap_listen": "*:1143"},
		} {
			tree, err := LoadTree(simtest.Files(t, taken), "/etc/kopano/"+file, nil)
			if err != nil || len(tree.Problems) > 0 {
				t.Fatalf("%s: %v %v", file, err, tree)
			}
			for _, s := range tree.Settings() {
				if d := Lookup(daemons[file], s.Name); d == nil || !d.Known(mustVersion(to)) {
					t.Errorf("%s: %s:%d sets %s, which nobody knows", to, s.Path, s.Line, s.Name)
				}
			}
			for name, value := range want {
				if s, _ := tree.Get(name); s.Value != value {
					t.Errorf("%s: %s %s = %q, want %q", to, file, name, s.Value, value)
				}
			}
		}
		config, _ := value(t, r, "server.cfg", "user_plugin_config")
		tree, err := LoadTree(simtest.Files(t, taken), config, nil)
		if err != nil {
			t.Fatalf("user_plugin_config = %s: %v", config, err)
		}
		if incs := tree.Top.Includes(); len(incs) != 1 || taken[incs[0].Path] == "" {
			t.Errorf("the property map is not there: %v", incs)
		}
	}
}

// debians is a server.cfg as Debian ships it: the access to the database, written by dbconfig, comes behind the settings
// of it, and more may follow.
const debians = "# the database\n#mysql_host = localhost\nmysql_user = root\n#mysql_database = kopano\n\n!include debian-db.cfg\n\nlog_level = 3\n"

// What a merge puts into a file counts, whatever the file includes: it stands behind. What an include says is not
// asked, since a simulation need not know it, and an admin may change it.
func TestMergeOutweighsIncludes(t *testing.T) {
	for _, included := range []string{"mysql_host = db2\nmysql_user = kopano\nmysql_password = other\nmysql_database = kopano\nlog_level = 1\n", ""} {
		files := map[string]string{
			"/etc/zarafa/server.cfg": "mysql_user = zarafa\nmysql_password = s3cret\nmysql_database = zarafa\nlog_level = 3\ncache_cell_size = 1048576\n",
			"/etc/kopano/server.cfg": debians,
		}
		if included != "" {
			files["/etc/kopano/debian-db.cfg"] = included
		}
		r := takeOver(t, files, "merge", "7.2.6", "8.7.20")
		checkNotes(t, "merge", r)
		for _, n := range r.Files {
			files[n.Path] = string(n.Content)
		}
		if included == "" {
			files["/etc/kopano/debian-db.cfg"] = "mysql_database = kopano\n"
		}
		tree, err := LoadTree(simtest.Files(t, files), "/etc/kopano/server.cfg", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"mysql_host": "localhost", "mysql_user": "zarafa", "mysql_password": "s3cret", "mysql_database": "zarafa", "log_level": "3", "cache_cell_size": "1048576"} {
			if s, _ := tree.Get(name); s.Value != want {
				t.Errorf("%s = %q by %s:%d, want %q; the file:\n%s", name, s.Value, s.Path, s.Line, want, files["/etc/kopano/server.cfg"])
			}
		}
		for _, p := range tree.Top.Problems() {
			t.Errorf("%s", p)
		}
		again := takeOver(t, files, "merge", "7.2.6", "8.7.20")
		for _, n := range again.Files {
			if string(n.Content) != files[n.Path] {
				t.Errorf("done again it is another %s:\n%s\nwas:\n%s", n.Path, n.Content, files[n.Path])
			}
		}
	}
}

// A directive that several files set has the value of the one that the daemon reads last, in either approach; and
// what the runbook demands counts, also where an included file sets it.
func TestLastWordOfIncludes(t *testing.T) {
	old := map[string]string{
		"/etc/zarafa/server.cfg": "user_safe_mode = no\ncache_user_size = 2M\n!include more.cfg\ncache_cell_size = 1048576\n",
		"/etc/zarafa/more.cfg":   "cache_cell_size = 4096\ncache_user_size = 3M\nuser_safe_mode = no\n",
	}
	for _, approach := range []string{"merge", "copy"} {
		r, err := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: approach, From: mustVersion("7.2.6"),
			To: mustVersion("8.7.20"), LDAPSchema: "keep", Overrides: map[string]map[string]string{"server.cfg": {"user_safe_mode": "yes"}}}.Run(simtest.Files(t, old))
		if err != nil {
			t.Fatal(err)
		}
		checkNotes(t, approach, r)
		taken := map[string]string{}
		for _, n := range r.Files {
			taken[n.Path] = string(n.Content)
		}
		tree, err := LoadTree(simtest.Files(t, taken), "/etc/kopano/server.cfg", nil)
		if err != nil || len(tree.Problems) > 0 {
			t.Fatal(err, tree)
		}
		for name, want := range map[string]string{"cache_cell_size": "1048576", "cache_user_size": "3M", "user_safe_mode": "yes"} {
			if s, _ := tree.Get(name); s.Value != want {
				t.Errorf("%s: %s = %q by %s:%d, want %q", approach, name, s.Value, s.Path, s.Line, want)
			}
		}
	}
}

// checkNotes wants each note to be true of the files as they are written.
func checkNotes(t *testing.T, what string, r *Result) {
	t.Helper()
	files := map[string]*File{}
	for _, n := range r.Files {
		f, err := Parse(n.Path, n.Content)
		if err != nil {
			t.Fatal(err)
		}
		files[n.Path] = f
	}
	for _, n := range r.Notes {
		f := files[n.File]
		switch {
		case f == nil:
			t.Errorf("%s: a note of a file that is not written: %s", what, n)
		case n.Line == 0 || strings.HasSuffix(n.Directive, ", ..."):
		case n.Line > len(f.lines):
			t.Errorf("%s: a note of a line that is not there: %s", what, n)
		default:
			l := f.lines[n.Line-1]
			if got := fmt.Sprintf("%s = %s", l.name, l.value); got != n.Directive+" = "+n.New && n.New != "***" {
				t.Errorf("%s: the line is %q: %s", what, got, n)
			}
		}
	}
}
