package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// NewSite makes a root with a ZCP 7.2.6 server as a site runs it: packages, an edited
// configuration, attachments, a search index, files of the site's own, a database. The services are
// running; the database server is too.
func NewSite(t testing.TB, opts ...Option) *Root {
	t.Helper()
	Need(t)
	kind, build := &sysvSite, []Option(nil)
	if made(opts).systemd {
		needSystemd(t)
		kind, build = &systemdSite, []Option{Systemd()}
	}
	kind.Do(func() { kind.image = BuildSite(t, build...).Rest() })
	if kind.image == "" {
		t.Fatal("the site that all tests begin with could not be built")
	}
	return WakeSite(t, kind.image, opts...)
}

// site is what NewSite begins with, built by the first test that needs it.
type site struct {
	sync.Once
	image Image
}

var sysvSite, systemdSite site

// BuildSite makes such a root from its packages on, with options.
func BuildSite(t testing.TB, opts ...Option) *Root {
	t.Helper()
	r := NewRoot(t, opts...)
	r.StartMariaDB()
	r.AddRepository("zcp", "debian")
	r.Install("zarafa", "zarafa-webapp", "bluez-obexd")
	r.furnish("/usr/local/lib/python2.7/dist-packages/zarafa/__init__.py")
	for _, service := range siteServices {
		r.Must("service", "zarafa-"+service, "restart")
	}
	return r
}

// furnish puts what is a site's own beside the packages: settings, data, a Python module that no package has.
func (r *Root) furnish(module string) {
	r.t.Helper()
	r.Edit("/etc/zarafa/server.cfg",
		"mysql_user = root", "mysql_user = zarafa",
		"mysql_password = ", "mysql_password = "+Password,
		"#log_level = 3", "log_level = 4")
	r.Must("chmod", "640", "/etc/zarafa/server.cfg")
	r.Must("chgrp", "zarafa", "/etc/zarafa/server.cfg")
	r.Edit("/etc/zarafa/gateway.cfg", "imap_enable = yes", "imap_enable = no")
	r.Edit("/etc/zarafa/search.cfg", "limit_results = 1000", "limit_results = 500")
	r.WriteFile("/etc/zarafa/ssl/server.pem", "a key and a certificate\n", 0o640)
	r.WriteFile("/etc/zarafa/userscripts/createuser.d/50welcome", "#!/bin/sh\nexit 0\n", 0o755)
	r.Attachments("/var/lib/zarafa/attachments", siteAttachments, "zarafa")
	r.numberAttachments(siteAttachments)
	r.WriteFile("/var/lib/zarafa/search/A0112233445566778899AABBCCDDEEFF/postlist.glass", "an index\n", 0o640)
	r.Must("chown", "-R", "zarafa:zarafa", "/var/lib/zarafa/search")
	r.WriteFile(module, "# from git\n", 0o644)
}

// siteAttachments is how many attachments a site has.
const siteAttachments = 500

// numberAttachments has the database know of n attachments; zarafa.sql knows of the first nine.
func (r *Root) numberAttachments(n int) {
	r.t.Helper()
	var rows []string
	for i := 10; i <= n; i++ {
		rows = append(rows, fmt.Sprintf("(%d, %d, 14081)", i, 1000+i))
	}
	r.SQL("INSERT INTO zarafa.singleinstances (instanceid, hierarchyid, tag) VALUES " + strings.Join(rows, ", "))
}

// siteServices are a site's daemons, the server first.
var siteServices = []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search"}

// Rest ends a site in good order and keeps it as an Image.
func (r *Root) Rest() Image {
	r.t.Helper()
	for _, service := range siteServices {
		r.Must("service", "zarafa-"+service, "stop")
	}
	r.StopMariaDB()
	return r.Freeze()
}

// WakeSite makes a root of a site's Image, with everything running as it was.
func WakeSite(t testing.TB, image Image, opts ...Option) *Root {
	t.Helper()
	r := NewRoot(t, append([]Option{From(image)}, opts...)...)
	r.BindRepositories()
	r.Must("install", "-d", "-o", "mysql", "-g", "mysql", "/run/mysqld")
	r.serveMariaDB()
	if r.cgroup != nil {
		r.finishBoot()
		return r
	}
	for _, service := range siteServices {
		r.Must("service", "zarafa-"+service, "start")
	}
	return r
}
