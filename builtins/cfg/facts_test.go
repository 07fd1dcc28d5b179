package cfg

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host/secrets"
)

// These directives, and no other of ZCP and Kopano, come as secrets.
func TestSecretDirectives(t *testing.T) {
	found := map[string]bool{}
	for _, d := range facts().all {
		if secrets.Name(d.Name) {
			found[d.Name] = true
		}
	}
	want := strings.Fields(`attachment_s3_accesskeyid attachment_s3_secretaccesskey ldap_bind_passwd mysql_password server_auth_password
		server_secret_key server_ssl_key_pass server_ssl_keypass sslkey_pass xmpp_password`)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// The defaults and flags that follow from the recorded changes must be those of each examined release.
func TestChangesLeadToEveryRelease(t *testing.T) {
	checked := 0
	for _, d := range facts().all {
		for i, to := range kopanoColumns {
			if i == 0 || d.code[i] == "-" || d.code[i-1] == "-" {
				continue
			}
			value, _ := codeValue(d.code[i-1])
			flags := map[string]bool{}
			names := []string{"UNUSED", "OBSOLETE", "DEPRECATED"}
			for _, f := range names {
				flags[f] = codeFlag(d.code[i-1], f)
			}
			for _, e := range d.events() {
				if !kopanoColumns[i-1].Less(e.since) || to.Less(e.since) {
					continue
				}
				if e.kind == "default" {
					value = unquote(e.value)
				} else {
					flags[e.kind] = e.value == "on"
				}
			}
			want, _ := codeValue(d.code[i])
			if unquote(value) != want {
				t.Errorf("%s %s at %s: changes lead to %q, the release has %q", d.Daemon, d.Name, to, value, want)
			}
			// a directive goes from unused to obsolete without a "no longer unused"
			ignored := codeFlag(d.code[i], "UNUSED") || codeFlag(d.code[i], "OBSOLETE")
			if (flags["UNUSED"] || flags["OBSOLETE"]) != ignored || flags["DEPRECATED"] != codeFlag(d.code[i], "DEPRECATED") {
				t.Errorf("%s %s at %s: changes lead to %v, the release has %s", d.Daemon, d.Name, to, flags, d.code[i])
			}
			checked++
		}
	}
	if checked < 3000 {
		t.Errorf("only %d cells checked", checked)
	}
}

func TestKnownAgreesWithCode(t *testing.T) {
	for _, d := range facts().all {
		for i, v := range kopanoColumns {
			if got, want := d.Known(v), d.code[i] != "-"; got != want {
				t.Errorf("%s %s at %s: known=%v, code cell %q", d.Daemon, d.Name, v, got, d.code[i])
			}
		}
	}
}

func TestKnown(t *testing.T) {
	for _, c := range []struct {
		daemon, name, version string
		want                  bool
	}{
		{"server", "server_tcp_port", "8.6.9", true},
		{"server", "server_tcp_port", "8.6.12", true}, // later than what was looked at
		{"server", "server_tcp_port", "8.6.82", false},
		{"server", "server_tcp_port", "8.7.0", false},
		{"server", "server_listen", "8.4.5", false},
		{"server", "server_listen", "8.7.20", true},
		{"server", "server_listen", "12.0.0", true},
		{"server", "license_socket", "8.7.25", true},
		{"server", "license_socket", "9.0.1", false},
		{"presence", "server_port", "9.0.3", true},
		{"presence", "server_port", "9.0.4", false},
		{"presence", "server_port", "10.0.1", true},
		{"server", "enable_hosted_zarafa", "8.0.0", false},
	} {
		if got := Lookup(c.daemon, c.name).Known(mustVersion(c.version)); got != c.want {
			t.Errorf("%s %s at %s: known=%v", c.daemon, c.name, c.version, got)
		}
	}
}

func TestDefault(t *testing.T) {
	for _, c := range []struct{ daemon, name, version, want string }{
		{"server", "softdelete_lifetime", "8.4.5", "0"},
		{"server", "softdelete_lifetime", "8.5.0", "30"},
		{"server", "attachment_path", "8.2.0", "Kopano Data"},
		{"server", "attachment_path", "8.4.0", "/var/lib/kopano/attachments"},
		{"server", "server_listen", "8.7.20", "*:236"},
		{"server", "server_listen", "9.0.3", "*%lo:236"},
		{"dagent", "plugin_enabled", "9.0.1", "no"},
		{"gateway", "process_model", "8.7.0", "thread"},
		{"search", "log_level", "8.3.0", "info"},
		{"search", "log_level", "8.4.5", "warning"},
	} {
		if got, ok := Lookup(c.daemon, c.name).Default(mustVersion(c.version)); got != c.want || !ok {
			t.Errorf("%s %s at %s: default %q, want %q", c.daemon, c.name, c.version, got, c.want)
		}
	}
	if !Lookup("server", "client_update_path").Ignored(Version{8, 4, 5}) || Lookup("server", "client_update_path").Ignored(Version{8, 3, 7}) {
		t.Error("client_update_path is unused from 8.4.0")
	}
	if !Lookup("server", "pid_file").Ignored(Version{10, 0, 7}) || Lookup("server", "pid_file").Ignored(Version{10, 0, 6}) {
		t.Error("pid_file is obsolete from 10.0.7")
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"8.7.20": {8, 7, 20}, "7.2.6-52189": {7, 2, 6}, "2:10.0.7.389.b9b5e81-0+125.1": {10, 0, 7}, "8.7": {8, 7, 0},
		"7.2.0.48204-1+1.2": {7, 2, 0},
	} {
		if got, err := ParseVersion(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8", "latest", "x8.7.0", ":"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("%q: %v, want an error", text, v)
		}
	}
}
