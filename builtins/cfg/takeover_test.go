package cfg

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/host/sim/simtest"
)

var targets = []string{"8.0.0", "8.2.1", "8.3.0", "8.4.5", "8.5.0", "8.7.0", "8.7.20", "9.0.1", "9.1.0", "10.1.1", "11.0.2"}

// shippedFiles are the configuration files as a ZCP release ships them, as far as directives go.
func shippedFiles(v Version) map[string]string {
	files := map[string]string{}
	for _, d := range facts().all {
		if daemons[d.File] == "" || daemons[d.File] != d.Daemon {
			continue
		}
		value, ok := d.Shipped(v)
		if !ok {
			continue
		}
		name := "/etc/zarafa/" + d.File
		files[name] += d.Name + " = " + value + "\n"
	}
	files["/etc/zarafa/server.cfg"] += "user_plugin = ldap\n"
	files["/etc/zarafa/ldap.cfg"] += "!propmap /etc/zarafa/ldap.propmap.cfg\n"
	files["/etc/zarafa/ldap.propmap.cfg"] = "0x67B3101E = zarafaEnabledFeatures\n"
	return files
}

// everyDirective sets everything that a ZCP release knows.
func everyDirective(v Version) map[string]string {
	files := map[string]string{"/etc/zarafa/ldap.propmap.cfg": "0x67B3101E = zarafaEnabledFeatures\n"}
	for _, d := range facts().all {
		if daemons[d.File] == "" || daemons[d.File] != d.Daemon {
			continue
		}
		value, ok := d.ZCPDefault(v)
		if !ok || codeFlag(d.codeZCP[zcpColumn(v)], "ALIAS") {
			continue
		}
		if value == "None" || strings.HasPrefix(value, "<") || strings.HasPrefix(value, "[") {
			value = "1"
		}
		switch d.Name {
		case "user_plugin":
			value = "ldap"
		case "run_as_user", "run_as_group":
			value = ""
		}
		files["/etc/zarafa/"+d.File] += d.Name + "=" + pythonBool(value) + "\n"
	}
	return files
}

func takeOver(t *testing.T, files map[string]string, approach, from, to string) *Result {
	t.Helper()
	r, err := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: approach,
		From: mustVersion(from), To: mustVersion(to), LDAPSchema: "keep"}.Run(simtest.Files(t, files))
	if err != nil {
		t.Fatalf("%s %s to %s: %v", approach, from, to, err)
	}
	return r
}

// Whatever ZCP shipped or knew, the new files hold only what the target knows and honours, nothing
// empty where it must not be, and no path of ZCP.
func TestEveryDirectiveIsKnownToTheTarget(t *testing.T) {
	files, settings, list := 0, 0, journeys(t, "shipped", "every")
	for _, k := range list {
		old := shippedFiles(mustVersion(k.from))
		if k.kind == "every" {
			old = everyDirective(mustVersion(k.from))
		}
		for _, n := range takeOver(t, old, k.approach, k.from, k.to).Files {
			files++
			settings += checkNew(t, k.String(), n, mustVersion(k.to))
		}
	}
	if files < 10*len(list) || settings < 150*len(list) {
		t.Errorf("only %d files with %d settings were checked", files, settings)
	}
}

func checkNew(t *testing.T, what string, n NewFile, to Version) int {
	t.Helper()
	f, err := Parse(n.Path, n.Content)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return 0
	}
	if strings.HasSuffix(n.Path, "propmap.cfg") {
		return 0
	}
	daemon := daemons[strings.TrimPrefix(n.Path, "/etc/kopano/")]
	for _, s := range f.Settings() {
		d := Lookup(daemon, s.Name)
		switch {
		case d == nil || !d.Known(to):
			t.Errorf("%s: %s:%d: %s is not known", what, n.Path, s.Line, s.Name)
		case d.Ignored(to):
			t.Errorf("%s: %s:%d: %s is ignored", what, n.Path, s.Line, s.Name)
		case d.Flag(to, "NONEMPTY") && s.Value == "":
			t.Errorf("%s: %s:%d: %s must not be empty", what, n.Path, s.Line, s.Name)
		case daemon != "ldap" && strings.Contains(s.Value, "/zarafa"):
			t.Errorf("%s: %s:%d: %s = %s", what, n.Path, s.Line, s.Name, s.Value)
		case (s.Name == "run_as_user" || s.Name == "run_as_group") && s.Value != "root":
			t.Errorf("%s: %s:%d: %s = %s", what, n.Path, s.Line, s.Name, s.Value)
		}
	}
	return len(f.Settings())
}

// A file that was taken over stays as it is when it is taken over again.
func TestTakeoverTwice(t *testing.T) {
	for _, from := range []string{"7.1.11", "7.2.0", "7.2.6"} {
		for _, old := range []map[string]string{shippedFiles(mustVersion(from)), everyDirective(mustVersion(from))} {
			for _, to := range targets {
				first := takeOver(t, old, "copy", from, to)
				again := map[string]string{}
				for _, n := range first.Files {
					again["/etc/zarafa/"+strings.TrimPrefix(n.Path, "/etc/kopano/")] = strings.ReplaceAll(string(n.Content), "/etc/kopano", "/etc/zarafa")
				}
				second := takeOver(t, again, "copy", from, to)
				compare(t, fmt.Sprintf("copy %s to %s", from, to), first, second)

				merged := takeOver(t, old, "merge", from, to)
				withNew := map[string]string{}
				for p, c := range old {
					withNew[p] = c
				}
				for _, n := range merged.Files {
					withNew[n.Path] = string(n.Content)
				}
				compare(t, fmt.Sprintf("merge %s to %s", from, to), merged, takeOver(t, withNew, "merge", from, to))
			}
		}
	}
}

func compare(t *testing.T, what string, a, b *Result) {
	t.Helper()
	if len(a.Files) != len(b.Files) {
		t.Errorf("%s: %d files, then %d", what, len(a.Files), len(b.Files))
		return
	}
	for i := range a.Files {
		if a.Files[i].Path != b.Files[i].Path || string(a.Files[i].Content) != string(b.Files[i].Content) {
			t.Errorf("%s: %s changes:\n%s\n---\n%s", what, a.Files[i].Path, a.Files[i].Content, b.Files[i].Content)
			return
		}
	}
}

func value(t *testing.T, r *Result, file, name string) (string, bool) {
	t.Helper()
	for _, n := range r.Files {
		if n.Path == "/etc/kopano/"+file {
			f, err := Parse(n.Path, n.Content)
			if err != nil {
				t.Fatal(err)
			}
			return f.Get(name)
		}
	}
	t.Fatalf("no %s", file)
	return "", false
}

const unset = "(unset)"

func TestValues(t *testing.T) {
	for _, c := range []struct {
		what     string
		file     string
		old      string
		from, to string
		want     map[string]string
	}{
		{"renamed", "server.cfg", "enable_hosted_zarafa = true\nenable_distributed_zarafa=yes\n", "7.2.6", "8.3.0",
			map[string]string{"enable_hosted_kopano": "true", "enable_distributed_kopano": "yes", "enable_hosted_zarafa": unset}},
		{"listen", "server.cfg", "server_bind = 192.0.2.1\nserver_tcp_port = 1236\nserver_ssl_enabled = yes\n", "7.2.6", "8.7.20",
			map[string]string{"server_listen": "192.0.2.1:1236", "server_listen_tls": "192.0.2.1:237", "server_bind": unset, "server_tcp_port": unset}},
		{"listen off", "server.cfg", "server_tcp_enabled = no\n", "7.2.6", "11.0.2",
			map[string]string{"server_listen": "", "server_listen_tls": ""}},
		{"listen by default", "server.cfg", "", "7.2.6", "11.0.2", map[string]string{"server_listen": "*:236"}},
		{"listen alias", "server.cfg", "server_port = 1236\n", "7.2.6", "8.7.0", map[string]string{"server_listen": "*:1236", "server_port": unset}},
		{"alias kept", "server.cfg", "server_port = 1236\n", "7.2.6", "8.4.5", map[string]string{"server_tcp_port": "1236", "server_port": unset}},
		{"listen on IPv6", "gateway.cfg", "server_bind = 2001:db8::1\npop3_enable = no\n", "7.2.6", "9.1.0",
			map[string]string{"imap_listen": "[2001:db8::1]:143", "pop3_listen": "", "imaps_listen": "", "pop3s_listen": ""}},
		{"gateway compares exactly", "gateway.cfg", "imap_enable = Yes\n", "7.2.6", "9.1.0", map[string]string{"imap_listen": ""}},
		{"ical ignores case", "ical.cfg", "ical_enable = YES\n", "7.2.6", "9.1.0", map[string]string{"ical_listen": "*:8080", "icals_listen": ""}},
		{"lmtp", "dagent.cfg", "server_bind = 127.0.0.1\n", "7.1.11", "8.7.0", map[string]string{"lmtp_listen": "127.0.0.1:2003", "lmtp_port": unset}},
		{"lmtp interface", "dagent.cfg", "server_bind_intf = eth0\n", "7.2.6", "8.7.0", map[string]string{"lmtp_listen": "*:2003", "server_bind_intf": "eth0"}},
		{"lmtp interface joined", "dagent.cfg", "server_bind_intf = eth0\n", "7.2.6", "9.1.0", map[string]string{"lmtp_listen": "*%eth0:2003", "server_bind_intf": unset}},
		{"TCP default of 8.5", "server.cfg", "", "7.2.6", "8.5.0", map[string]string{"server_tcp_enabled": "yes"}},
		{"TCP default of 8.4", "server.cfg", "", "7.2.6", "8.4.5", map[string]string{"server_tcp_enabled": unset}},
		{"protocols", "server.cfg", "server_ssl_protocols = !SSLv2\n", "7.2.6", "8.3.0", map[string]string{"server_ssl_protocols": unset}},
		{"own protocols", "server.cfg", "server_ssl_protocols = !SSLv2 !SSLv3\n", "7.2.6", "8.7.0", map[string]string{"server_ssl_protocols": "!SSLv3"}},
		{"minimum protocol", "server.cfg", "server_ssl_protocols = !SSLv2 !SSLv3 !TLSv1\n", "7.2.6", "9.0.1",
			map[string]string{"server_ssl_protocols": unset, "server_tls_min_proto": "tls1.1"}},
		{"shipped protocols", "gateway.cfg", "ssl_protocols = !SSLv2\n", "7.2.6", "11.0.2", map[string]string{"ssl_protocols": unset, "tls_min_proto": unset}},
		{"run as root by an empty line", "server.cfg", "run_as_user =\nrun_as_group =\n", "7.2.0", "8.7.0", map[string]string{"run_as_user": unset, "run_as_group": unset}},
		{"run as another", "server.cfg", "run_as_user = mail\n", "7.2.0", "8.7.0", map[string]string{"run_as_user": "mail"}},
		{"admins", "server.cfg", "local_admin_users = root vmail zarafa\n", "7.2.6", "8.7.0", map[string]string{"local_admin_users": "root vmail kopano"}},
		{"admins by default", "server.cfg", "", "7.2.0", "8.7.0", map[string]string{"local_admin_users": "root kopano"}},
		{"database by default", "server.cfg", "", "7.2.0", "8.7.0",
			map[string]string{"mysql_host": "localhost", "mysql_port": "3306", "mysql_user": "root", "mysql_password": "", "mysql_database": "zarafa", "mysql_socket": ""}},
		{"a password is left alone", "server.cfg", "mysql_password = /etc/zarafa $x #1\n", "7.2.0", "8.7.0", map[string]string{"mysql_password": "/etc/zarafa $x #1"}},
		{"attachments", "server.cfg", "attachment_storage = database\n", "7.2.0", "8.7.0",
			map[string]string{"attachment_storage": "database", "attachment_path": "/var/lib/kopano/attachments"}},
		{"attachments elsewhere", "server.cfg", "attachment_path = /srv/zarafa\n", "7.2.0", "8.7.0", map[string]string{"attachment_path": "/srv/zarafa"}},
		{"defaults pinned", "server.cfg", "", "7.2.6", "8.7.0", map[string]string{"softdelete_lifetime": "0", "sync_lifetime": "365", "hide_everyone": "yes"}},
		{"defaults not pinned early", "server.cfg", "", "7.2.6", "8.4.5", map[string]string{"softdelete_lifetime": unset}},
		{"plugins pinned", "dagent.cfg", "", "7.2.6", "9.0.1", map[string]string{"plugin_enabled": "yes", "no_double_forward": "no"}},
		{"index pinned", "search.cfg", "", "7.2.6", "11.0.2", map[string]string{"index_attachments": "yes"}},
		{"ldapms", "server.cfg", "user_plugin = ldapms\n", "7.2.6", "8.7.0", map[string]string{"user_plugin": "ldap"}},
		{"scripts", "server.cfg", "createuser_script = /etc/zarafa/userscripts/createuser\n", "7.2.6", "8.7.0",
			map[string]string{"createuser_script": "/usr/lib/kopano/userscripts/createuser"}},
		{"own scripts", "server.cfg", "createuser_script = /etc/zarafa/userscripts/mine\n", "7.2.6", "8.7.0",
			map[string]string{"createuser_script": "/etc/kopano/userscripts/mine"}},
		{"sockets", "server.cfg", "server_pipe_name = /var/run/zarafa\nlicense_socket = /var/run/zarafa-licensed\n", "7.1.11", "8.4.5",
			map[string]string{"server_pipe_name": "/var/run/kopano/server.sock", "license_socket": "/var/run/kopano/licensed.sock"}},
		{"statistics", "dagent.cfg", "z_statsd_stats = /var/run/zarafad/statsd.sock\n", "7.2.6", "8.7.0",
			map[string]string{"statsclient_url": "unix:/var/run/kopano/statsd.sock", "z_statsd_stats": unset}},
		{"LDAP address", "ldap.cfg", "ldap_host = ldap.example.org\nldap_protocol = ldaps\nldap_port = 636\n", "7.2.6", "9.0.1",
			map[string]string{"ldap_uri": "ldaps://ldap.example.org:636", "ldap_host": unset, "ldap_port": unset, "ldap_protocol": unset}},
		{"LDAP address kept", "ldap.cfg", "ldap_host = ldap.example.org\n", "7.2.6", "8.4.5", map[string]string{"ldap_host": "ldap.example.org", "ldap_uri": unset}},
		{"LDAP URI wins", "ldap.cfg", "ldap_uri = ldap://a ldap://b\nldap_host = c\n", "7.2.6", "9.0.1", map[string]string{"ldap_uri": "ldap://a ldap://b", "ldap_host": unset}},
		{"LDAP defaults", "ldap.cfg", "ldap_isadmin_attribute = myAdmin\n", "7.2.6", "8.7.0",
			map[string]string{"ldap_isadmin_attribute": "myAdmin", "ldap_quotaoverride_attribute": "zarafaQuotaOverride", "ldap_user_server_attribute": "zarafaUserServer"}},
		{"LDAP multi-server build", "ldap.cfg", "", "7.2.6", "8.0.0", map[string]string{"ldap_user_server_attribute": unset}},
		{"unknown", "server.cfg", "no_such_thing = 1\n", "7.2.6", "8.7.0", map[string]string{"no_such_thing": unset}},
		{"last value counts", "server.cfg", "server_tcp_port = 1\nserver_tcp_port = 2\n", "7.2.6", "8.7.0", map[string]string{"server_listen": "*:2"}},
	} {
		for _, approach := range []string{"copy", "merge"} {
			files := map[string]string{"/etc/zarafa/" + c.file: c.old, "/etc/zarafa/x": ""}
			if c.file == "ldap.cfg" {
				files["/etc/zarafa/server.cfg"] = "user_plugin = ldap\nuser_plugin_config = /etc/zarafa/ldap.cfg\n"
			}
			r := takeOver(t, files, approach, c.from, c.to)
			for name, want := range c.want {
				got, ok := value(t, r, c.file, name)
				if !ok {
					got = unset
				}
				if approach == "merge" && got == unset && want != "" {
					// the new file may rely on a default that is the same
					if d := Lookup(daemons[c.file], name); d != nil {
						if def, known := d.Default(mustVersion(c.to)); known && def == want {
							continue
						}
					}
				}
				if got != want {
					t.Errorf("%s, %s: %s = %q, want %q", c.what, approach, name, got, want)
				}
			}
		}
	}
}

func TestZarafaSchemaDefaults(t *testing.T) {
	count := 0
	for _, d := range Directives("ldap") {
		if zarafaDefault(d, Version{7, 2, 6}) != "" {
			count++
		}
	}
	if count != 32 {
		t.Errorf("%d defaults name the Zarafa schema, want 32", count)
	}
}

func TestKopanoSchema(t *testing.T) {
	for _, c := range []struct{ name, old, want string }{
		{"ldap_user_search_filter", "(|(zarafaAccount=1)(zarafaAccount=2))", "(|(kopanoAccount=1)(kopanoAccount=2))"},
		{"ldap_user_type_attribute_value", "zarafa-user", "kopano-user"},
		{"ldap_object_search_filter", "(&(anr=%s)(zarafaAccount=1))", "(&(anr=%s)(kopanoAccount=1))"},
		{"ldap_search_base", "dc=zarafa,dc=com", "dc=zarafa,dc=com"},
		{"ldap_bind_user", "cn=zarafa-user,dc=zarafa", "cn=zarafa-user,dc=zarafa"},
		{"ldap_user_search_filter", "(memberOf=cn=zarafa,dc=zarafa,dc=com)", "(memberOf=cn=zarafa,dc=zarafa,dc=com)"},
		{"ldap_addresslist_search_base_attribute", "zarafaBase", "kopanoBase"},
		// Filters go by their syntax: a value is none of a name, whatever it contains.
		{"ldap_user_search_filter", "(&(cn=zarafaAccount)(zarafaAccount:=1)(description=zarafa-user zarafaHidden))", "(&(cn=zarafaAccount)(kopanoAccount:=1)(description=zarafa-user zarafaHidden))"},
		{"ldap_user_search_filter", "(&(|(ZARAFAACCOUNT=1)(!(zarafaHidden=1)))(objectClass=ZARAFA-User))", "(&(|(kopanoAccount=1)(!(kopanoHidden=1)))(objectClass=kopano-user))"},
		{"ldap_group_search_filter", "zarafaAccount=1", "kopanoAccount=1"},
		{"ldap_company_search_filter", " ( & (objectClass = zarafa-company) (structuralObjectClass=\\7aarafa-dynamicgroup) ) ", " ( & (objectClass = kopano-company) (structuralObjectClass=kopano-dynamicgroup) ) "},
		{"ldap_addresslist_search_filter", "(zarafaAccount=1", "(zarafaAccount=1"}, // no server reads it
		{"ldap_dynamicgroup_search_filter", "(1.3.6.1.4.1.26278.1.1.2.3=1)", "(kopanoAccount=1)"},
		{"ldap_server_search_filter", "(zarafaSite=zarafaAccount)", "(zarafaSite=zarafaAccount)"}, // a site's own attribute
		{"ldap_object_search_filter", "(|(mail=*%s*)(zarafaAliases=*%s*))", "(|(mail=*%s*)(kopanoAliases=*%s*))"},
		{"ldap_user_type_attribute_value", "posixAccount, ZARAFA-user ,zarafa-users", "posixAccount, kopano-user ,zarafa-users"},
		{"ldap_addresslist_type_attribute_value", "zarafaAddresslist", "kopanoAddresslist"},
		{"ldap_isadmin_attribute", "zarafaadmin", "kopanoAdmin"},
		{"ldap_fullname_attribute", "zarafaSite", "zarafaSite"},
		{"ldap_host", "zarafaHidden", "zarafaHidden"},
		{"0x67B3101E", "zarafaEnabledFeatures", "kopanoEnabledFeatures"},
	} {
		if got := kopanoSchema(c.name, c.old); got != c.want {
			t.Errorf("%s = %s: %s, want %s", c.name, c.old, got, c.want)
		}
	}
}

// TestUnreadFilter: a filter that cannot be converted is told.
func TestUnreadFilter(t *testing.T) {
	files := map[string]string{"/etc/zarafa.bak/server.cfg": "user_plugin = ldap\n", "/etc/zarafa.bak/ldap.cfg": "ldap_user_search_filter = (&(zarafaAccount=1)\nldap_search_base = dc=x\n"}
	r, err := Takeover{Source: "/etc/zarafa.bak", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: "copy",
		From: Version{7, 2, 6}, To: Version{8, 7, 20}, LDAPSchema: "kopano"}.Run(simtest.Files(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Problems, func(p Problem) bool { return strings.HasPrefix(p.Text, "ldap_user_search_filter stays as it is") }) {
		t.Errorf("problems %q", r.Problems)
	}
}

func TestIncludes(t *testing.T) {
	old := map[string]string{
		"/etc/zarafa.bak/server.cfg":     "!include /etc/zarafa/mysql.cfg\n!include local/more.cfg\n!include /srv/far.cfg\n",
		"/etc/zarafa.bak/mysql.cfg":      "mysql_password = s3cret\nserver_bind = 192.0.2.7\n",
		"/etc/zarafa.bak/local/more.cfg": "# mine\npid_file = /var/run/zarafa-server.pid\nenable_hosted_zarafa = true\n",
		"/srv/far.cfg":                   "threads = 9\n",
		"/etc/zarafa.bak/own.cfg":        "whatever\n",
	}
	r, err := Takeover{Source: "/etc/zarafa.bak", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: "copy",
		From: Version{7, 2, 6}, To: Version{8, 7, 20}, LDAPSchema: "keep"}.Run(simtest.Files(t, old))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for _, n := range r.Files {
		content[n.Path] = string(n.Content)
	}
	if !strings.HasPrefix(content["/etc/kopano/server.cfg"], "!include /etc/kopano/mysql.cfg\n!include local/more.cfg\n") {
		t.Errorf("server.cfg:\n%s", content["/etc/kopano/server.cfg"])
	}
	if got, _ := value(t, r, "server.cfg", "server_listen"); got != "192.0.2.7:236" {
		t.Errorf("server_listen = %q", got)
	}
	if _, set := value(t, r, "server.cfg", "mysql_password"); set || !strings.Contains(content["/etc/kopano/mysql.cfg"], "\nmysql_password = s3cret") && !strings.HasPrefix(content["/etc/kopano/mysql.cfg"], "mysql_password = s3cret") {
		t.Errorf("the password should stay in mysql.cfg alone:\n%s", content["/etc/kopano/mysql.cfg"])
	}
	if got := content["/etc/kopano/local/more.cfg"]; got != "# mine\npid_file = /var/run/kopano/server.pid\nenable_hosted_kopano = true\n" {
		t.Errorf("more.cfg:\n%s", got)
	}
	if got := content["/etc/kopano/included/srv-far.cfg"]; got != "threads = 9\n" {
		t.Errorf("the file from outside: %q", got)
	}
	if !slices.Contains(r.Others, Other{Kind: "file", Source: "/etc/zarafa.bak/own.cfg", Target: "/etc/kopano/own.cfg"}) {
		t.Errorf("others: %v", r.Others)
	}
	merged := takeOver(t, map[string]string{"/etc/zarafa/server.cfg": "!include m.cfg\n", "/etc/zarafa/m.cfg": "threads = 9\n"}, "merge", "7.2.6", "8.7.20")
	if got, _ := value(t, merged, "server.cfg", "threads"); got != "9" {
		t.Errorf("threads = %q", got)
	}
}

// ldap.cfg is often a link to one of the templates, or includes it.
func TestLDAPTemplates(t *testing.T) {
	server := "user_plugin = ldap\nuser_plugin_config = /etc/zarafa/ldap.cfg\n"
	for what, files := range map[string]map[string]string{
		"link": {
			"/etc/zarafa.bak/server.cfg":        server,
			"/etc/zarafa.bak/ldap.cfg":          "-> /etc/zarafa/ldap.openldap.cfg",
			"/etc/zarafa.bak/ldap.openldap.cfg": "ldap_host = a.example.org\n!propmap /etc/zarafa/ldap.propmap.cfg\n",
			"/etc/zarafa.bak/ldap.propmap.cfg":  "0x3A06001E = givenName\n",
		},
		"include": {
			"/etc/zarafa.bak/server.cfg":                server,
			"/etc/zarafa.bak/ldap.cfg":                  "!include ldap.active-directory.cfg\nldap_host = a.example.org\n",
			"/etc/zarafa.bak/ldap.active-directory.cfg": "ldap_host =\n!propmap /etc/zarafa/ldap.propmap.cfg\n",
			"/etc/zarafa.bak/ldap.propmap.cfg":          "0x3A06001E = givenName\n",
		},
	} {
		for _, approach := range []string{"merge", "copy"} {
			r, err := Takeover{Source: "/etc/zarafa.bak", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: approach,
				From: Version{7, 2, 6}, To: Version{9, 1, 0}, LDAPSchema: "keep"}.Run(simtest.Files(t, files))
			if err != nil {
				t.Fatal(err)
			}
			taken := map[string]string{}
			for _, n := range r.Files {
				taken[n.Path] = string(n.Content)
			}
			tree, err := LoadTree(simtest.Files(t, taken), "/etc/kopano/ldap.cfg", nil)
			if err != nil || len(tree.Problems) > 0 {
				t.Fatalf("%s, %s: %v %v", what, approach, err, tree)
			}
			if s, _ := tree.Get("ldap_uri"); s.Value != "ldap://a.example.org:389" {
				t.Errorf("%s, %s: ldap_uri = %q", what, approach, s.Value)
			}
			if _, set := tree.Get("ldap_host"); set {
				t.Errorf("%s, %s: ldap_host is left", what, approach)
			}
			if taken["/etc/kopano/ldap.propmap.cfg"] == "" {
				t.Errorf("%s, %s: no propmap", what, approach)
			}
		}
	}
}

func TestOthers(t *testing.T) {
	r := takeOver(t, map[string]string{
		"/etc/zarafa/server.cfg":                       "",
		"/etc/zarafa/licensed.cfg":                     "x = y\n",
		"/etc/zarafa/server.cfg.dpkg-dist":             "",
		"/etc/zarafa/ssl/server.pem":                   "pem",
		"/etc/zarafa/webapp":                           "-> /usr/share/zarafa-webapp",
		"/etc/zarafa/current":                          "-> ssl",
		"/etc/zarafa/userscripts/createuser":           "ZARAFA_USER",
		"/etc/zarafa/userscripts/createuser.d/00mine":  "echo $ZARAFA_USER",
		"/etc/zarafa/quotamail/userwarning.mail":       "hello",
		"/etc/zarafa/webaccess/config.php":             "",
		"/etc/zarafa/presence.cfg":                     "server_port = 1234\n",
		"/etc/zarafa/searchscripts/attachments_parser": "",
	}, "copy", "7.2.6", "9.1.0")
	want := []Other{
		{Kind: "symlink", Source: "/etc/zarafa/current", Target: "/etc/kopano/current", Link: "ssl"},
		{Kind: "directory", Source: "/etc/zarafa/quotamail", Target: "/etc/kopano/quotamail"},
		{Kind: "file", Source: "/etc/zarafa/quotamail/userwarning.mail", Target: "/etc/kopano/quotamail/userwarning.mail"},
		{Kind: "directory", Source: "/etc/zarafa/ssl", Target: "/etc/kopano/ssl"},
		{Kind: "file", Source: "/etc/zarafa/ssl/server.pem", Target: "/etc/kopano/ssl/server.pem"},
		{Kind: "directory", Source: "/etc/zarafa/userscripts", Target: "/etc/kopano/userscripts"},
		{Kind: "file", Source: "/etc/zarafa/userscripts/createuser", Target: "/etc/kopano/userscripts/createuser.zcp", Mode: "0640"},
		{Kind: "directory", Source: "/etc/zarafa/userscripts/createuser.d", Target: "/etc/kopano/userscripts/createuser.d"},
		{Kind: "file", Source: "/etc/zarafa/userscripts/createuser.d/00mine", Target: "/etc/kopano/userscripts/createuser.d/00mine"},
		{Kind: "symlink", Source: "/etc/zarafa/webapp", Target: "/etc/kopano/webapp", Link: "/usr/share/kopano-webapp"},
	}
	if !slices.Equal(r.Others, want) {
		t.Errorf("others: %v", r.Others)
	}
	var skipped []string
	for _, p := range r.Skipped {
		skipped = append(skipped, p.Path)
	}
	for _, p := range []string{"licensed.cfg", "server.cfg.dpkg-dist", "userscripts/createuser", "webaccess", "presence.cfg", "searchscripts"} {
		if !slices.Contains(skipped, "/etc/zarafa/"+p) {
			t.Errorf("%s is not among the skipped: %v", p, skipped)
		}
	}
	if !slices.ContainsFunc(r.Problems, func(p Problem) bool { return strings.Contains(p.String(), "00mine: uses ZARAFA_USER in line 1") }) {
		t.Errorf("problems: %v", r.Problems)
	}
}

// Directories of which nothing comes along are not made; an empty one of the site's own is.
func TestEmptyDirectories(t *testing.T) {
	for approach, want := range map[string][]string{
		"merge": {"/etc/kopano/mine", "/etc/kopano/mine/hook"},
		"copy":  {"/etc/kopano/conf.d", "/etc/kopano/conf.d/deep", "/etc/kopano/mine", "/etc/kopano/mine/hook"},
	} {
		r := takeOver(t, map[string]string{
			"/etc/zarafa/server.cfg":           "!include conf.d/mysql.cfg\n!include conf.d/deep/more.cfg\n",
			"/etc/zarafa/conf.d/mysql.cfg":     "mysql_user = z\n",
			"/etc/zarafa/conf.d/mysql.cfg.bak": "mysql_user = y\n",
			"/etc/zarafa/conf.d/deep/more.cfg": "threads = 3\n",
			"/etc/zarafa/olds/a.cfg.orig":      "",
			"/etc/zarafa/olds/#b.cfg#":         "",
			"/etc/zarafa/olds/c.cfg~":          "",
			"/etc/zarafa/mine/hook":            "",
		}, approach, "7.2.6", "8.7.20")
		var got []string
		for _, o := range r.Others {
			got = append(got, o.Target)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: carried %v, want %v", approach, got, want)
		}
	}
}

// A reason is not masked with the secret before it.
func TestReasonsBesideSecrets(t *testing.T) {
	r := takeOver(t, map[string]string{
		"/etc/zarafa/server.cfg": "# nothing\n", // no password
		"/etc/zarafa/search.cfg": "sslkey_pass = $SEARCH_PASS\n",
	}, "merge", "7.2.6", "8.7.20")
	var all []string
	for _, n := range r.Notes {
		all = append(all, n.String())
	}
	for _, p := range r.Problems {
		all = append(all, p.String())
	}
	text := ""
	for _, line := range all {
		text += secrets.MaskText(line) + "\n"
	}
	for _, want := range []string{"mysql_password is empty (written down", "sslkey_pass: kopano-search does not read the environment; write the value"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestOverrides(t *testing.T) {
	old := map[string]string{"/etc/zarafa/server.cfg": "attachment_path = /old\n"}
	for _, approach := range []string{"merge", "copy"} {
		tk := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: approach,
			From: Version{7, 2, 6}, To: Version{8, 7, 20}, LDAPSchema: "keep",
			Overrides: map[string]map[string]string{
				"server.cfg": {"user_safe_mode": "yes", "attachment_path": "/var/lib/zarafa/attachments"},
				"search.cfg": {"index_path": "/srv/index/"},
			}}
		r, err := tk.Run(simtest.Files(t, old))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][3]string{{"server.cfg", "user_safe_mode", "yes"}, {"server.cfg", "attachment_path", "/var/lib/zarafa/attachments"}, {"search.cfg", "index_path", "/srv/index/"}} {
			if got, _ := value(t, r, c[0], c[1]); got != c[2] {
				t.Errorf("%s: %s %s = %q, want %q", approach, c[0], c[1], got, c[2])
			}
		}
		tk.Overrides = map[string]map[string]string{"server.cfg": {"server_tcp_port": "1"}}
		if _, err := tk.Run(simtest.Files(t, old)); err == nil || !strings.Contains(err.Error(), "does not know server_tcp_port") {
			t.Errorf("%s: %v", approach, err)
		}
	}
}

func TestPythonDaemons(t *testing.T) {
	r := takeOver(t, map[string]string{"/etc/zarafa/search.cfg": "index_attachments = maybe\nlog_file = $LOG\nsslkey_file = /etc/zarafa/ssl/none.pem\n!include x.cfg\nindex_processes = many\n",
		"/etc/zarafa/x.cfg": ""}, "copy", "7.2.6", "9.1.0")
	all := ""
	for _, p := range r.Problems {
		all += p.String() + "\n"
	}
	for _, want := range []string{"index_attachments = maybe", "log_file = $LOG", "sslkey_file = /etc/kopano/ssl/none.pem does not exist", "reads no !include", "index_processes = many"} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem about %q:\n%s", want, all)
		}
	}
}

func TestAutorespond(t *testing.T) {
	old := map[string]string{"/etc/zarafa/autorespond": "# shell\nAUTORESPOND_CC=1\nAUTORESPOND_NORECIP=0\nTIMELIMIT=$[7*24*60*60]\nSENDMAILCMD=/opt/mail\n"}
	r := takeOver(t, old, "copy", "7.2.6", "8.7.0")
	if cc, _ := value(t, r, "autorespond.cfg", "autorespond_cc"); cc != "yes" {
		t.Errorf("autorespond_cc = %q", cc)
	}
	if limit, _ := value(t, r, "autorespond.cfg", "timelimit"); limit != "604800" {
		t.Errorf("timelimit = %q", limit)
	}
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, "SENDMAILCMD") {
		t.Errorf("problems: %v", r.Problems)
	}
	shipped := map[string]string{"/etc/zarafa/autorespond": "AUTORESPOND_CC=0\nAUTORESPOND_NORECIP=0\nTIMELIMIT=$[24*60*60]\nBASE_PATH=/var/lib/zarafa/autorespond\n" +
		"SENDDB=$BASE_PATH/zarafa-vacation-$USER.db\nSENDDBTMP=$BASE_PATH/zarafa-vacation-$USER-$$.tmp\nSENDMAILCMD=/usr/sbin/sendmail\nSENDMAILPARAMS=\"-t -f\"\n"}
	if r := takeOver(t, shipped, "copy", "7.2.6", "8.7.0"); len(r.Files) != 0 || len(r.Problems) != 0 || len(r.Skipped) != 1 {
		t.Errorf("as shipped: %v %v %v", r.Files, r.Problems, r.Skipped)
	}
	r = takeOver(t, old, "copy", "7.2.6", "8.4.5")
	if len(r.Files) != 0 || len(r.Others) != 1 {
		t.Errorf("8.4.5 still reads the shell file: %v %v", r.Files, r.Others)
	}
}

func TestSecretsAreNotInNotes(t *testing.T) {
	r := takeOver(t, map[string]string{"/etc/zarafa/server.cfg": "mysql_password = hunter2\nserver_ssl_key_pass = hunter2\n"}, "merge", "7.2.6", "11.0.2")
	if strings.Contains(fmt.Sprint(r.Notes, r.Problems, r.Skipped), "hunter2") {
		t.Errorf("%v", r.Notes)
	}
	if got, _ := value(t, r, "server.cfg", "mysql_password"); got != "hunter2" {
		t.Errorf("mysql_password = %q", got)
	}
}

// TestTakeoverOverLeftovers reports what another release's file has left in Kopano's.
func TestTakeoverOverLeftovers(t *testing.T) {
	result := takeOver(t, map[string]string{
		"/etc/zarafa/gateway.cfg": "imap_port = 1143\n",
		"/etc/kopano/gateway.cfg": "# from before\nimap_port = 143\nlog_level = 3\n",
	}, "merge", "7.2.6", "8.7.20")
	if !slices.ContainsFunc(result.Problems, func(p Problem) bool {
		return p.Line == 2 && strings.HasPrefix(p.Text, "imap_port was set there before")
	}) {
		t.Errorf("problems %v", result.Problems)
	}
}
