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
