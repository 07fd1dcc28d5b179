package cfg

import "testing"

func TestConvertPaths(t *testing.T) {
	p := paths{"/etc/zarafa", "/etc/kopano", nil}
	for old, want := range map[string]string{
		"/var/run/zarafa":                         "/var/run/kopano/server.sock",
		"file:///var/run/zarafa":                  "file:///var/run/kopano/server.sock",
		"file:///var/run/zarafad/server.sock":     "file:///var/run/kopano/server.sock",
		"/run/zarafad/prio.sock":                  "/var/run/kopano/prio.sock",
		"/var/run/zarafa-prio":                    "/var/run/kopano/prio.sock",
		"file:///var/run/zarafa-search":           "file:///var/run/kopano/search.sock",
		"/var/run/zarafa-server.pid":              "/var/run/kopano/server.pid",
		"/var/log/zarafa/server.log":              "/var/log/kopano/server.log",
		"/var/lib/zarafa/index/":                  "/var/lib/kopano/search/",
		"/var/lib/zarafa/search/":                 "/var/lib/kopano/search/",
		"/usr/share/zarafa-dagent/python":         "/usr/share/kopano-dagent/python",
		"/usr/bin/zarafa-mr-accept":               "/usr/sbin/kopano-mr-accept",
		"/etc/zarafa/ssl/server.pem":              "/etc/kopano/ssl/server.pem",
		"http://localhost:236/zarafa":             "http://localhost:236/",
		"https://mail.example.org:237/zarafa":     "https://mail.example.org:237/",
		"https://a:237/zarafa https://b:237/b":    "https://a:237/ https://b:237/b",
		"/srv/zarafa/attachments":                 "/srv/zarafa/attachments",
		"/var/lib/zarafa-backup":                  "/var/lib/zarafa-backup",
		"/etc/zarafa.bak/x":                       "/etc/zarafa.bak/x",
		"zarafa":                                  "zarafa",
		"cn=admin,dc=zarafa,dc=com":               "cn=admin,dc=zarafa,dc=com",
		"http://www.example.org/etc/zarafa":       "http://www.example.org/etc/zarafa",
		"":                                        "",
		"unix:/var/run/zarafad/statsd.sock":       "unix:/var/run/kopano/statsd.sock",
		"/var/run/kopano/server.sock":             "/var/run/kopano/server.sock",
		"/usr/share/zarafa-something-else/python": "/usr/share/zarafa-something-else/python",
	} {
		if got := p.convert(old); got != want {
			t.Errorf("%q: %q, want %q", old, got, want)
		}
		if again := p.convert(want); again != want {
			t.Errorf("%q is changed again, to %q", want, again)
		}
	}
}
