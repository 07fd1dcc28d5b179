package cfg

import (
	"strings"
	"testing"
)

// What changed its default, or depends on a switch that the site has set, goes on as it was; what does not is told.
func TestDefaultsThatChanged(t *testing.T) {
	shipped := func(file, more string) string { return shippedFiles(Version{7, 2, 0})["/etc/zarafa/"+file] + more }
	for _, c := range []struct {
		file, old, to string
		want          map[string]string
		fates         map[string]Fate
	}{
		{"server.cfg", shipped("server.cfg", "audit_log_enabled = yes\n"), "8.7.20",
			map[string]string{"audit_log_file": "/var/log/kopano/audit.log", "audit_log_timestamp": "1"}, nil},
		{"server.cfg", shipped("server.cfg", ""), "8.7.20", map[string]string{"audit_log_file": unset},
			map[string]Fate{"audit_log_file": InForce, "cache_cell_size": InForce, "server_ssl_ciphers": InForce, "server_ssl_prefer_server_ciphers": InForce}},
		{"server.cfg", "", "8.7.20", map[string]string{"cache_userdetails_lifetime": "5"},
			map[string]Fate{"cache_userdetails_lifetime": Pinned, "cache_cell_size": InForce}},
		{"server.cfg", "hide_system = no\n", "8.7.20", map[string]string{"hide_system": "no"}, map[string]Fate{"hide_system": SetBySite}},
		{"search.cfg", shipped("search.cfg", "server_bind_name = https://*:238/\n"), "8.7.20",
			map[string]string{"ssl_certificate_file": "/etc/kopano/search/cert.pem", "ssl_private_key_file": "/etc/kopano/search/privkey.pem"}, nil},
		{"search.cfg", shipped("search.cfg", ""), "8.7.20", map[string]string{"ssl_certificate_file": unset, "index_attachment_max_size": "5M"},
			map[string]Fate{"ssl_certificate_file": InForce, "log_level": InForce}},
		{"dagent.cfg", "log_raw_message = yes\n", "8.7.20", map[string]string{"log_raw_message": "yes", "log_raw_message_path": "/tmp"}, nil},
		{"dagent.cfg", "", "8.7.20", map[string]string{"log_raw_message": "no", "log_raw_message_path": unset},
			map[string]Fate{"log_raw_message": Pinned, "log_raw_message_path": InForce}},
		{"spooler.cfg", "server_socket = https://mail:237/\nsslkey_file = /etc/zarafa/ssl/spooler.pem\n", "8.7.20",
			map[string]string{"sslkey_file": "/etc/kopano/ssl/spooler.pem"}, nil},
		{"server.cfg", "attachment_storage = s3\n", "8.7.20", map[string]string{"attachment_path": "/var/lib/zarafa/attachments"}, nil},
		{"server.cfg", "attachment_storage = s3\nattachment_path = /var/lib/zarafa/x\n", "8.7.20", map[string]string{"attachment_path": "/var/lib/zarafa/x"}, nil},
	} {
		for _, approach := range []string{"merge", "copy"} {
			r := takeOver(t, map[string]string{"/etc/zarafa/" + c.file: c.old, "/etc/zarafa/x": ""}, approach, "7.2.0", c.to)
			if approach == "copy" && strings.Contains(c.old, "\n") {
				c.fates = nil // the old lines stay
			}
			for name, want := range c.want {
				got, ok := value(t, r, c.file, name)
				if !ok {
					got = unset
				}
				if got != want && (approach == "merge" || want != unset) {
					t.Errorf("%s %s to %s: %s = %q, want %q", approach, c.file, c.to, name, got, want)
				}
			}
			for name, want := range c.fates {
				if e := entryOf(r, name); e.Fate != want || e.Reason == "" {
					t.Errorf("%s %s to %s: %s: %+v, want %s", approach, c.file, c.to, name, e, want)
				}
			}
		}
	}
}

func entryOf(r *Result, name string) Entry {
	for _, e := range r.Entries {
		if e.Directive == name {
			return e
		}
	}
	return Entry{}
}

// A row of defaults.tsv that fits nothing that the facts know would be a mistake.
func TestNewDefaultsAreOfDirectives(t *testing.T) {
	for _, n := range newDefaults() {
		used, switched := false, n.while == ""
		name, _, _ := strings.Cut(n.while, "=")
		for _, d := range facts().all {
			used = used || matches(n.daemon, d.Daemon) && matches(n.directive, d.Name)
			switched = switched || matches(n.daemon, d.Daemon) && d.Name == name
		}
		if !used || !switched || n.why == "" {
			t.Errorf("%+v fits no directive", n)
		}
	}
}
