package cfg

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim/simtest"
)

// Whatever a file of ZCP holds, its takeover ends without a panic, leaves nothing that the target
// does not know, and is final.
func FuzzTakeover(f *testing.F) {
	f.Add("server_bind = ::1\nserver_port = 5\n!include x.cfg\nserver_ssl_protocols = !SSLv2 TLSv1\nrun_as_user=\n", false)
	f.Add("a\n!include\n#mysql_user = x\nmysql_user=\r\nuser_plugin = ldap\nuser_plugin_config = /etc/zarafa/server.cfg", true)
	f.Fuzz(func(t *testing.T, text string, merge bool) {
		if strings.Contains(strings.ReplaceAll(text, "!include x.cfg", ""), ".cfg") {
			t.Skip() // daemons that read each other's files
		}
		approach := "copy"
		if merge {
			approach = "merge"
		}
		tk := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: approach,
			From: Version{7, 2, 6}, To: Version{9, 1, 0}, LDAPSchema: "kopano"}
		files := map[string]string{"/etc/zarafa/gateway.cfg": text, "/etc/zarafa/dagent.cfg": text, "/etc/zarafa/search.cfg": text, "/etc/zarafa/server.cfg": "user_plugin = ldap\n",
			"/etc/zarafa/ldap.cfg": text, "/etc/zarafa/x.cfg": "threads = 1\n"}
		r, err := tk.Run(simtest.Files(t, files))
		if err != nil {
			return
		}
		again := map[string]string{}
		for p, c := range files {
			again[p] = c
		}
		for _, n := range r.Files {
			if n.Path != "/etc/kopano/x.cfg" && !strings.Contains(string(n.Content), "propmap") {
				checkNames(t, n, tk.To)
			}
			again[n.Path] = string(n.Content)
		}
		second, err := tk.Run(simtest.Files(t, again))
		if err != nil {
			t.Fatalf("the second takeover fails: %v", err)
		}
		compare(t, approach, r, second)
	})
}

func checkNames(t *testing.T, n NewFile, to Version) {
	t.Helper()
	f, err := Parse(n.Path, n.Content)
	if err != nil {
		return // a converted line became too long
	}
	daemon := daemons[strings.TrimPrefix(n.Path, "/etc/kopano/")]
	for _, s := range f.Settings() {
		if d := Lookup(daemon, s.Name); d == nil || !d.Known(to) || d.Ignored(to) {
			t.Errorf("%s:%d: %q is left", n.Path, s.Line, s.Name)
		}
	}
}
