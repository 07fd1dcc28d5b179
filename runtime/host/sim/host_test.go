package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
)

func catalogues(t testing.TB) []*Package {
	t.Helper()
	var all []*Package
	for _, name := range []string{"kopano-8.7", "kopano-8.4", "kopano-debian", "zcp"} {
		data, err := os.ReadFile("../../../runbooks/catalog/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		list, err := ParseCatalog(data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

func hostOf(t testing.TB, text string) *Host {
	t.Helper()
	f, err := ReadFixture([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func zcpPackages(t *testing.T, h *Host) []string {
	t.Helper()
	list, err := h.Packages()
	mustDo(t, err)
	var names []string
	for _, p := range list {
		if strings.Contains(p.Origin, "Zarafa") {
			names = append(names, p.Name)
		}
	}
	return names
}

func names(changes []host.Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, c.Name)
	}
	return list
}

func TestMigrationOfTheShippedHost(t *testing.T) {
	ctx := context.Background()
	h := readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)})
	if u := h.Unpredicted(); len(u) != 0 {
		t.Errorf("unpredicted before anything happened: %v", u)
	}
	zcp := zcpPackages(t, h)
	for _, name := range []string{"zarafa-dagent", "zarafa-server"} {
		mustDo(t, h.StopService(ctx, name, time.Second))
	}
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: zcp, Purge: true}, nil))
	if _, err := h.Lstat("/etc/zarafa/server.cfg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an edited conffile outlives a purge: %v", err)
	}
	if _, err := h.Lstat("/etc/zarafa/userscripts/site-hook.sh"); err != nil {
		t.Errorf("a file of the site: %v", err)
	}
	if links := h.services.wantLinks("zarafa-server"); len(links) > 0 {
		t.Errorf("still enabled by %v", links)
	}
	if left := slices.DeleteFunc(mustProcesses(t, h), func(p host.Process) bool { return p.PID < 1200 }); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	if c, _ := h.Candidates([]string{"kopano-server"}); len(c) != 0 {
		t.Errorf("kopano-server is offered before its repository is configured: %v", c)
	}
	mustDo(t, h.files.writeFile("/etc/apt/sources.list.d/kopano.list", []byte("deb https://serial:x@download.kopano.io/supported/core:/final/Debian_8.0 ./\n"), 0o644))
	mustDo(t, h.RefreshPackages(ctx, nil, nil))
	mustDo(t, h.files.writeFile("/usr/sbin/policy-rc.d", []byte("#!/bin/sh\n# held\nexit 101\n"), 0o755))
	sol, err := h.Solve(host.Transaction{Install: []string{"kopano-server-packages"}})
	mustDo(t, err)
	if len(sol.Remove) > 0 || !slices.Contains(names(sol.Install), "kopano-server") || sol.Download == 0 {
		t.Errorf("solution %+v", sol)
	}
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"kopano-server-packages"}}, nil))
	st, err := h.Lstat("/var/log/kopano")
	mustDo(t, err)
	u, err := h.User("kopano")
	mustDo(t, err)
	if u.UID != 104 || st.UID != 104 || // below the lowest one in use
		u.Home != "/dev/null" {
		t.Errorf("user %+v, owner of the log directory %d", u, st.UID)
	}
	services, err := h.Services("kopano-*")
	mustDo(t, err)
	if len(services) != 8 {
		t.Fatalf("services %v", services)
	}
	for _, s := range services {
		if s.Active || !s.Enabled || s.Kind != "systemd" {
			t.Errorf("service %+v; it must be enabled, and kept from starting", s)
		}
	}
	if src := h.db.sources["kopano-server"]; src != "catalogue" {
		t.Errorf("source %q", src)
	}
	mustDo(t, h.Unlink("/usr/sbin/policy-rc.d"))
	mustDo(t, h.StartService(ctx, "kopano-server"))
	if !slices.ContainsFunc(mustProcesses(t, h), func(p host.Process) bool { return p.Name == "kopano-server" }) {
		t.Error("a started service has no process")
	}
	mustDo(t, h.Unlink("/usr/sbin/kopano-dagent"))
	if err := h.StartService(ctx, "kopano-dagent"); err == nil {
		t.Error("a service without its program started")
	}
}

func mustProcesses(t *testing.T, h *Host) []host.Process {
	t.Helper()
	list, err := h.Processes()
	mustDo(t, err)
	return list
}

func TestSaveAndReinstall(t *testing.T) {
	ctx := context.Background()
	h := readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)})
	before := simManifest(t, h)
	zcp := zcpPackages(t, h)
	mustDo(t, h.files.mkdirAll("/var/backups/debs"))
	files, missing, err := h.SavePackages(ctx, zcp, "/var/backups/debs", nil)
	mustDo(t, err)
	if len(missing) > 0 || len(files) != len(zcp) {
		t.Fatalf("saved %v, not saved %v", files, missing)
	}
	mustDo(t, h.files.writeFile("/usr/sbin/policy-rc.d", []byte("#!/bin/sh\nexit 101\n"), 0o755))
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: zcp}, nil))
	var install []string
	for _, f := range files {
		install = append(install, f)
	}
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: install, Downgrade: true}, nil))
	mustDo(t, h.Unlink("/usr/sbin/policy-rc.d"))
	mustDo(t, h.files.removeAll("/var/backups/debs"))
	after := simManifest(t, h)
	for name := range before {
		if before[name] != after[name] && !strings.Contains(name, "gshadow") {
			t.Errorf("%s was %q, is %q", name, before[name], after[name])
		}
	}
	for name := range after {
		if before[name] == "" {
			t.Errorf("%s is new: %q", name, after[name])
		}
	}
}

// simManifest describes all files but their times.
func simManifest(t *testing.T, h *Host) map[string]string {
	t.Helper()
	m := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := h.ReadDir(dir)
		mustDo(t, err)
		for _, e := range entries {
			name := strings.TrimSuffix(dir, "/") + "/" + e.Name
			m[name] = describe(t, h, name)
			if e.Type.IsDir() && !strings.HasPrefix(name, "/var/lib/zarafa/attachments") {
				walk(name)
			}
		}
	}
	walk("/")
	return m
}

func describe(t *testing.T, h *Host, name string) string {
	t.Helper()
	st, err := h.Lstat(name)
	mustDo(t, err)
	text := st.Mode.String() + " " + formatSize(int64(st.UID)) + ":" + formatSize(int64(st.GID))
	switch {
	case st.IsSymlink():
		target, err := h.Readlink(name)
		mustDo(t, err)
		text += " -> " + target
	case st.IsRegular():
		text += " " + formatSize(st.Size)
		if content, err := h.files.readFile(name); err == nil {
			text += " " + digest.MD5(content)
		}
	}
	return text
}

func TestSolve(t *testing.T) {
	const fixture = `-- host --
hostname: h
-- packages --
Package: app
Version: 1.0
Depends: lib (>= 1), data

Package: lib
Version: 1.0
Provides: lib-api

Package: data
Version: 1.0

Package: user-of-api
Version: 1.0
Depends: lib-api | other-api

Package: held
Version: 1.0
Status: hold ok installed
Depends: data

Package: gone
Version: 1.0
Status: config-files
Conffiles:
 /etc/gone.conf
-- available --
Package: new
Version: 2.0
Depends: new-lib (>= 2), absent | data
Recommends: extra

Package: new-lib
Version: 2.1
Conflicts: lib

Package: extra
Version: 1

Package: impossible
Version: 1
Depends: absent (>= 3)

Package: app
Version: 1.1
Depends: data
`
	cases := []struct {
		name            string
		tx              host.Transaction
		remove, install string
		fails           string
	}{
		{"leaf", host.Transaction{Remove: []string{"app"}}, "app", "", ""},
		{"takes dependents along", host.Transaction{Remove: []string{"lib"}}, "app lib user-of-api", "", ""},
		{"held", host.Transaction{Remove: []string{"data"}}, "", "", "package held is held"},
		{"unknown", host.Transaction{Install: []string{"nonsense"}}, "", "", "Unable to locate package nonsense"},
		{"gone already", host.Transaction{Remove: []string{"nonsense"}}, "", "", ""},
		{"known, not installed", host.Transaction{Remove: []string{"extra"}}, "", "", ""},
		{"purge of conffiles left", host.Transaction{Remove: []string{"gone"}, Purge: true}, "gone", "", ""},
		{"remove of conffiles left", host.Transaction{Remove: []string{"gone"}}, "", "", ""},
		{"conflict", host.Transaction{Install: []string{"new"}}, "lib user-of-api", "extra new new-lib app", ""},
		{"no recommends", host.Transaction{Install: []string{"new"}, NoRecommends: true}, "app lib user-of-api", "new new-lib", ""},
		{"missing dependency", host.Transaction{Install: []string{"impossible"}}, "", "", "impossible : Depends: absent (>= 3) but it is not installable"},
		{"a version that is not there", host.Transaction{Install: []string{"app=3"}}, "", "", "Version '3' for 'app' was not found"},
		{"installed and newest", host.Transaction{Install: []string{"data"}}, "", "", ""},
		{"upgrade", host.Transaction{Install: []string{"app"}}, "", "app", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := hostOf(t, fixture)
			sol, err := h.Solve(c.tx)
			if c.fails != "" {
				var solve *host.SolveError
				if !errors.As(err, &solve) || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want a SolveError with %q", err, c.fails)
				}
				return
			}
			mustDo(t, err)
			if c.name == "conflict" || c.name == "no recommends" {
				t.Logf("%+v", sol)
				return
			}
			if got := strings.Join(names(sol.Remove), " "); got != c.remove {
				t.Errorf("removes %q, want %q", got, c.remove)
			}
			if got := strings.Join(append(names(sol.Install), names(sol.Upgrade)...), " "); got != c.install {
				t.Errorf("installs %q, want %q", got, c.install)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	h := hostOf(t, `-- directory --
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: posixAccount
objectClass: zarafa-user
uid: alice
cn: Alice Example
uidNumber: 1000
zarafaQuotaHard: 900

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: posixAccount
uid: bob
cn:: QsO2Yg==
description: a long
  line
uidNumber: 1010
`)
	cases := []struct{ base, scope, filter, want string }{
		{"dc=example,dc=org", "sub", "(objectClass=posixaccount)", "alice bob"},
		{"DC=Example, dc=org", "sub", "(&(objectClass=posixAccount)(!(objectClass=zarafa-user)))", "bob"},
		{"dc=example,dc=org", "one", "(objectClass=*)", "people"},
		{"ou=people,dc=example,dc=org", "base", "(objectClass=*)", "people"},
		{"dc=example,dc=org", "sub", "(cn=ali*EX*e)", "alice"},
		{"dc=example,dc=org", "sub", "(cn=*xy*)", ""},
		{"dc=example,dc=org", "sub", "(|(uid=bob)(uid=carol))", "bob"},
		{"dc=example,dc=org", "sub", "(uidNumber>=1001)", "bob"},
		{"dc=example,dc=org", "sub", "(uidnumber<=1000)", "alice"},
		{"dc=example,dc=org", "sub", "(zarafaQuotaHard>=1000)", ""},
		{"dc=example,dc=org", "sub", "(!(zarafaQuotaHard=900))", "example people bob"}, // also those without the attribute, as OpenLDAP has it
		{"dc=example,dc=org", "sub", `(cn=b\c3\b6b)`, "bob"},
		{"dc=example,dc=org", "sub", "(description=a long line)", "bob"},
	}
	for _, c := range cases {
		found, err := h.SearchDirectory(context.Background(), host.DirectoryConn{}, host.DirectorySearch{Base: c.base, Scope: c.scope, Filter: c.filter})
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		var got []string
		for _, e := range found {
			rdn, _, _ := strings.Cut(e.DN, ",")
			got = append(got, rdn[strings.Index(rdn, "=")+1:])
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %s %s finds %v, want %q", c.base, c.scope, c.filter, got, c.want)
		}
	}
	_, err := h.SearchDirectory(context.Background(), host.DirectoryConn{}, host.DirectorySearch{Base: "dc=other", Filter: "(a=*)"})
	if err == nil || !strings.Contains(err.Error(), "no such object") {
		t.Errorf("a base that is not there: %v", err)
	}
	if _, err := hostOf(t, "-- host --\n").SearchDirectory(context.Background(), host.DirectoryConn{}, host.DirectorySearch{}); !errors.Is(err, host.ErrUnknown) {
		t.Errorf("a directory that the fixture does not have: %v", err)
	}
}

func TestDatabase(t *testing.T) {
	ctx := context.Background()
	h := hostOf(t, `-- mounts --
/ /dev/sda1 ext4 10G 1M
-- /usr/bin/mysqldump 0755 --
a program
-- database --
login zarafa pw
var version 5.5.59
var max_allowed_packet 16777216
table users InnoDB 3 16K 16K utf8_general_ci
table acl

? SELECT MAX(databaserevision)  AS revision
revision
64

? select a, b from t where c = 'Two  Blanks'
a | b
'' | "x | y"
`)
	conn := host.DatabaseConn{User: "zarafa", Password: host.NewSecret("pw"), Database: "zarafa"}
	cases := []struct{ query, want string }{
		{"select max(databaserevision) as revision;", "64"},
		{"SELECT MAX(`databaserevision`)\n AS revision", "64"},
		{"SELECT a,b FROM t WHERE c='Two  Blanks'", "|x | y"},
		{"SELECT VERSION() AS version", "5.5.59"},
		{"SHOW VARIABLES LIKE 'max_allowed%'", "max_allowed_packet|16777216"},
		{"SELECT @@global.max_allowed_packet, @@version", "16777216|5.5.59"},
		{"SHOW TABLES", "acl\nusers"},
		{"SELECT TABLE_NAME AS name, DATA_LENGTH AS d FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME", "acl|0\nusers|16384"},
	}
	for _, c := range cases {
		rows, err := h.Query(ctx, conn, c.query)
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		var lines []string
		for _, r := range rows.Rows {
			lines = append(lines, strings.Join(r, "|"))
		}
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("%s answers %q, want %q", c.query, got, c.want)
		}
	}
	for _, q := range []string{"SELECT c FROM t", "SHOW VARIABLES LIKE 'none'", "SELECT a, b FROM t WHERE c = 'two  blanks'"} {
		if _, err := h.Query(ctx, conn, q); !errors.Is(err, host.ErrUnknown) || !strings.Contains(err.Error(), "fixture") {
			t.Errorf("%s: %v", q, err)
		}
	}
	wrong := conn
	wrong.Password = host.NewSecret("other")
	if _, err := h.Query(ctx, wrong, "SHOW TABLES"); err == nil || !strings.Contains(err.Error(), "Access denied") || strings.Contains(err.Error(), "other") {
		t.Errorf("wrong password: %v", err)
	}
	res, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: "/dump.zst", Compression: "zstd", MostBytes: 100 << 10}, nil)
	mustDo(t, err)
	if st, err := h.Lstat("/dump.zst"); err != nil || st.Size != res.Bytes || st.Perm() != 0o600 || !res.Closed || len(res.Tables) != 2 {
		t.Errorf("dump %+v, file %+v, %v", res, st, err)
	}
	if _, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: "/dump2.zst", Compression: "none", MostBytes: 1 << 20}, nil); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a dump that does not fit: %v", err)
	}
	parallel := host.DumpRequest{Conn: conn, Path: "/parallel", Compression: host.ParallelDump, MostBytes: 10 << 10}
	if _, err := h.DumpDatabase(ctx, parallel, nil); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("without mydumper: %v", err)
	}
	for _, name := range []string{"/usr/bin/mydumper", "/usr/bin/myloader"} {
		mustDo(t, h.Symlink("/usr/bin/mysqldump", name))
	}
	made, err := h.DumpDatabase(ctx, parallel, nil)
	mustDo(t, err)
	read, err := h.CheckDump(ctx, parallel.Path, parallel.Compression, nil)
	if st, e := h.Lstat(parallel.Path); e != nil || err != nil || !st.IsDir() || st.Perm() != 0o700 || read.Bytes != made.Bytes || !read.Closed {
		t.Errorf("a dump in a directory: %+v, made %+v (%v), %+v (%v)", read, made, err, st, e)
	}
	mustDo(t, h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: parallel.Path, Compression: parallel.Compression}, nil))
	parallel.Path, parallel.MostBytes = "/parallel2", 1<<20
	if _, err := h.DumpDatabase(ctx, parallel, nil); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a directory that does not fit: %v", err)
	}
	if _, err := h.Lstat(parallel.Path); err == nil {
		t.Error("a directory that does not fit stays")
	}
}

// TestInstallSection has all that a section [Install] can ask for.
func TestInstallSection(t *testing.T) {
	h := hostOf(t, `-- /lib/systemd/system/a.service --
[Service]
Also=nothing.service
[Install]
WantedBy=multi-user.target other.target
RequiredBy=needs.target
Alias=second.service
Also=b.service b.socket
-- /lib/systemd/system/b.service --
[Install]
WantedBy=multi-user.target
Also=a.service
-- /etc/systemd/system/own.target.wants/c.service --
`)
	const etc = "/etc/systemd/system/"
	links := []string{"multi-user.target.wants/a.service", "other.target.wants/a.service", "needs.target.requires/a.service", "second.service", "multi-user.target.wants/b.service"}
	check := func(want bool) {
		t.Helper()
		for _, link := range links {
			if got := exists(t, h, etc+link); got != want {
				t.Errorf("%s is there: %v", link, got)
			}
		}
		list, err := h.Services("*")
		mustDo(t, err)
		if len(list) != 2 || list[0].Enabled != want || list[1].Enabled != want {
			t.Errorf("services %+v", list)
		}
	}
	check(false)
	mustDo(t, h.EnableService("a"))
	mustDo(t, h.EnableService("a"))
	check(true)
	mustDo(t, h.DisableService("b"))
	check(false)
	if exists(t, h, etc+"multi-user.target.wants") || !exists(t, h, etc+"own.target.wants") {
		t.Error("directories of links are not as systemd leaves them")
	}
	mustDo(t, h.files.PutSymlink(etc+"second.service", "/lib/systemd/system/b.service", 0, 0))
	if err := h.EnableService("a"); err == nil {
		t.Error("an alias that belongs to another unit was taken")
	}
}

// TestStopFindsWhatWasStartedByHand: systemd ends what it has started, an init script what bears its name.
func TestStopFindsWhatWasStartedByHand(t *testing.T) {
	const text = "-- lib --\n-- /lib/systemd/system/a.service --\n[Service]\nExecStart=/usr/sbin/a\nUser=nosuch\n-- /etc/init.d/s --\n#!/bin/sh\n-- /usr/sbin/a --\n" +
		"-- processes --\n7 root /usr/sbin/a\n8 root /usr/sbin/s\n9 root /opt/other\n"
	for init, stays := range map[string][]string{"systemd": {"a", "s", "other"}, "sysv": {"a", "other"}} {
		h := hostOf(t, strings.Replace(text, "-- lib --", "-- host --\ninit: "+init, 1))
		for _, name := range []string{"a", "s", "other", "none"} {
			err := h.StopService(context.Background(), name, time.Second)
			if want := slices.Contains(stays, name); (err != nil) != want || want && !strings.Contains(err.Error(), "still run 1s after") {
				t.Errorf("%s: stop of %s: %v", init, name, err)
			}
		}
		if err := h.StopService(context.Background(), "a b", 0); err == nil {
			t.Errorf("%s: \"a b\" is the name of a service", init)
		}
	}
	h := hostOf(t, strings.Replace(text, "-- lib --", "-- host --", 1))
	if err := h.StartService(context.Background(), "a"); err == nil || !strings.Contains(err.Error(), "no user nosuch") {
		t.Errorf("start as a user that is not there: %v", err)
	}
}

// TestSiteSettingsOfApt has settings that change what a transaction brings, or what is known of it.
func TestSiteSettingsOfApt(t *testing.T) {
	const text = `-- packages --
Package: old
Version: 1
Files:
 /usr/bin/old

Package: needs
Version: 1
Depends: old
-- available --
Package: new
Version: 1
Recommends: nice
Files:
 /usr/bin/new

Package: nice
Version: 1
Files:
 /usr/bin/nice
-- /etc/apt/apt.conf.d/10site --
// APT::Install-Recommends "true";
APT { Install-Recommends "%s"; };
-- /etc/apt/apt.conf.d/20hooks.conf --
DPkg::Post-Invoke { "needrestart"; };
-- /etc/apt/apt.conf.d/30ignored.bak --
APT::Install-Recommends "true";
-- /etc/dpkg/dpkg.cfg.d/docs --
path-exclude=/usr/share/doc/*
-- /var/lib/dpkg/diversions --
/usr/bin/new
/usr/bin/new.distrib
:
`
	ctx := context.Background()
	for value, want := range map[string]bool{"true": true, "false": false, "0": false} {
		h := hostOf(t, strings.Replace(text, "%s", value, 1))
		mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"new"}}, nil))
		if got := exists(t, h, "/usr/bin/nice"); got != want {
			t.Errorf("Install-Recommends %s: nice is there: %v", value, got)
		}
		said := fmt.Sprint(h.Unpredicted())
		for _, what := range []string{"hooks of apt do (/etc/apt/apt.conf.d/20hooks.conf)", "the diversion of /usr/bin/new of new", "/usr/bin/new.distrib"} {
			if !strings.Contains(said, what) {
				t.Errorf("not said: %s", what)
			}
		}
		if err := h.CommitPackages(ctx, host.Transaction{Remove: []string{"old"}}, nil); err == nil || !strings.Contains(err.Error(), "would also remove needs 1") {
			t.Errorf("a removal that takes another package along: %v", err)
		}
	}
}

func TestAccountNumbers(t *testing.T) {
	h := hostOf(t, "-- passwd --\na:x:100:100::/:/x\nb:x:998:998::/:/x\nc:x:999:50::/:/x\n-- group --\ng:x:101:\nh:x:999:\n")
	does := func(script string) {
		t.Helper()
		mustDo(t, h.scripts.followScript(&Package{Package: host.Package{Name: "p"}}, call("postinst", "configure"), script))
	}
	does("adduser --system --group --home /var/lib/low --no-create-home low")
	if u, _ := h.User("low"); u.UID != 101 || u.GID != 102 {
		t.Errorf("adduser gave %+v, want the first free numbers", u)
	}
	old := hostOf(t, "-- passwd --\na:x:100:100::/:/x\n-- group --\ng:x:101:\n-- packages --\nPackage: adduser\nVersion: 3.118\nStatus: installed\n")
	mustDo(t, old.scripts.followScript(&Package{}, call("postinst", "configure"), "adduser --system --group low"))
	if u, _ := old.User("low"); u.UID != 102 || u.GID != 102 || u.Home != "/home/low" {
		t.Errorf("adduser 3.118 gave %+v, want the first number that is free for both", u)
	}
	does("groupadd -r high && useradd -r -g high high")
	u, _ := h.User("high")
	g, _ := h.Group("high")
	if u.UID != 997 || g.GID != 998 || u.GID != 998 {
		t.Errorf("useradd gave %+v, groupadd %+v", u, g)
	}
	does("useradd -r high || true")
	if text, _ := h.files.readFile("/etc/passwd"); strings.Count(string(text), "high:x:") != 1 {
		t.Error("an account was added twice")
	}
	if old, err := h.files.readFile("/etc/passwd-"); err != nil || strings.Contains(string(old), "high") {
		t.Errorf("the backup of passwd: %q, %v", old, err)
	}
	does("groupadd -r taken; if useradd -r taken; then exit 1; else [ $? = 9 ]; fi")
	does("useradd -r alone")
	if u, _ := h.User("alone"); u.UID != 996 || u.GID != 996 {
		t.Errorf("useradd without -g gave %+v", u)
	}
}

func TestServices(t *testing.T) {
	ctx := context.Background()
	h := hostOf(t, `-- host --
init: systemd
-- /lib/systemd/system/a.service --
[Service]
User=backup
ExecStart=-/usr/sbin/a --x
[Install]
WantedBy=multi-user.target
-- /usr/sbin/a --
elf
-- /etc/init.d/b --
#!/bin/sh
DAEMON=/usr/sbin/b
-- services --
b active enabled exe=/usr/sbin/b stubborn
a masked
`)
	list, err := h.Services("*")
	mustDo(t, err)
	if len(list) != 2 || !list[0].Masked || list[1].Kind != "sysv" || !list[1].Active || !list[1].Enabled || list[1].PID == 0 {
		t.Fatalf("services %+v", list)
	}
	if err := h.StartService(ctx, "a"); err == nil || !strings.Contains(err.Error(), "masked") {
		t.Errorf("start of a masked unit: %v", err)
	}
	mustDo(t, h.UnmaskService("a"))
	mustDo(t, h.EnableService("a"))
	mustDo(t, h.StartService(ctx, "a"))
	list, _ = h.Services("a")
	if !list[0].Active || !list[0].Enabled || list[0].Masked {
		t.Errorf("a is %+v", list[0])
	}
	if p := mustProcesses(t, h); len(p) != 2 || p[1].UID != 34 || p[1].Exe != "/usr/sbin/a" {
		t.Errorf("processes %+v", p)
	}
	mustDo(t, h.DisableService("a"))
	mustDo(t, h.StopService(ctx, "a", 0))
	if err := h.StopService(ctx, "b", 0); err == nil {
		t.Error("a stubborn service stopped")
	}
	if err := h.StartService(ctx, "none"); !errors.Is(err, errNoService) {
		t.Errorf("start of nothing: %v", err)
	}
	mustDo(t, h.DisableService("b"))
	if links := h.services.rcLinks("b"); slices.ContainsFunc(links, func(l string) bool { return strings.Contains(l, "/S") }) {
		t.Errorf("links of a disabled service: %v", links)
	}
}

// TestStartIsRefused: what keeps the init system from starting or enabling a service keeps the simulation from it, too.
func TestStartIsRefused(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ what, unit, tree, services, want string }{
		{"nothing", "", "f0755 root:root 3 - /usr/sbin/a", "a", ""},
		{"no program", "", "d0755 root:root - - /usr/sbin", "a", "is not there or cannot be executed"},
		{"a program that is none", "", "f0644 root:root 3 - /usr/sbin/a", "a", "is not there or cannot be executed"},
		{"no such user", "User=nobody-knows", "f0755 root:root 3 - /usr/sbin/a", "a", "there is no user nobody-knows"},
		{"a mask", "", "f0755 root:root 3 - /usr/sbin/a", "a masked", "masked"},
	} {
		h := hostOf(t, "-- host --\ninit: systemd\n-- /lib/systemd/system/a.service --\n[Service]\n"+c.unit+"\nExecStart=/usr/sbin/a\n"+
			"[Install]\nWantedBy=multi-user.target\n-- tree --\n"+c.tree+"\n-- services --\n"+c.services+"\n")
		err := h.StartService(ctx, "a")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		if p := mustProcesses(t, h); (len(p) > 0) != (c.want == "") {
			t.Errorf("%s: processes %+v", c.what, p)
		}
		if err := h.EnableService("a"); (err != nil) != (c.want == "masked") {
			t.Errorf("%s: enabled: %v", c.what, err)
		}
	}
}

// TestOddUnits starts services whose unit files name no program: an empty ExecStart resets the list.
func TestOddUnits(t *testing.T) {
	for _, line := range []string{"ExecStart=", "ExecStart=-", "ExecStart=\" \"", "ExecStart=-@ x", "ExecStart=relative"} {
		h := hostOf(t, "-- host --\ninit: systemd\n-- /lib/systemd/system/a.service --\n[Service]\n"+line+"\n")
		mustDo(t, h.StartService(context.Background(), "a"))
		if p := mustProcesses(t, h); len(p) != 0 {
			t.Errorf("%s: processes %+v", line, p)
		}
	}
}

func TestClock(t *testing.T) {
	h := hostOf(t, "-- host --\ntime: 2018-01-01T00:00:00Z\n")
	start := h.Now()
	mustDo(t, h.Sleep(context.Background(), 48*time.Hour))
	if d := h.Now().Sub(start); d < 48*time.Hour || d > 49*time.Hour {
		t.Errorf("the clock went on by %v", d)
	}
}

// TestHeldLockIsWaitedFor has whoever holds the lock never end.
func TestHeldLockIsWaitedFor(t *testing.T) {
	ctx := context.Background()
	for _, base := range []string{"debian", "redhat", "suse"} {
		h := hostOf(t, "-- host --\nbase: "+base+"\nlock: 77 /var/lib/lock some-upgrade now\n")
		said := 0
		for name, change := range map[string]func() error{
			"commit":  func() error { return h.CommitPackages(ctx, host.Transaction{}, lines(func(string) { said++ })) },
			"refresh": func() error { return h.RefreshPackages(ctx, nil, nil) },
			"repair":  func() error { return h.RepairPackages(ctx, nil, nil) },
			"mark":    func() error { return h.MarkPackages(ctx, nil) },
			"restore": func() error { return h.RestoreRemains(ctx, "/x") },
		} {
			start := h.Now()
			err := change()
			const want = "the package manager is in use by some-upgrade now (process 77), which held /var/lib/lock for more than 10m0s; let it end, then go on"
			if err == nil || err.Error() != want {
				t.Errorf("%s: %s: %v", base, name, err)
			}
			if took := h.Now().Sub(start); took < 10*time.Minute || took > 11*time.Minute {
				t.Errorf("%s: %s waits %v", base, name, took)
			}
		}
		if said < 9 {
			t.Errorf("%s: it is told %d times that a commit waits", base, said)
		}
	}
}

// TestRemovalOfStubbornService removes the package of a service that does not stop: it is at work still.
func TestRemovalOfStubbornService(t *testing.T) {
	for init, file := range map[string]string{
		"systemd": "/lib/systemd/system/a.service --\n[Service]\nExecStart=/usr/sbin/a\n",
		"sysv":    "/etc/init.d/a --\n#!/bin/sh\nDAEMON=/usr/sbin/a\n",
	} {
		for _, flag := range []string{"", " stubborn"} {
			name, _, _ := strings.Cut(file, " ")
			h := hostOf(t, "-- host --\ninit: "+init+"\n-- packages --\nPackage: a\nVersion: 1\nScripts: prerm\nFiles:\n /usr/sbin/a\n "+name+
				"\nEffects:\n prerm stop a\n prerm nothing-else\n-- "+file+"-- services --\na active"+flag+"\n")
			if p := mustProcesses(t, h); len(p) != 1 || p[0].Exe != "/usr/sbin/a" {
				t.Fatalf("%s: processes %+v", init, p)
			}
			mustDo(t, h.CommitPackages(context.Background(), host.Transaction{Remove: []string{"a"}}, nil))
			if _, err := h.Lstat("/usr/sbin/a"); err == nil || h.db.byName["a"] != nil {
				t.Errorf("%s%s: the package is not removed", init, flag)
			}
			said := slices.ContainsFunc(h.Unpredicted(), func(u host.Unpredicted) bool { return strings.Contains(u.What, "a does not stop") })
			if p := mustProcesses(t, h); (len(p) == 1) != (flag != "") || said != (flag != "") {
				t.Errorf("%s%s: processes %+v, said so: %v", init, flag, p, said)
			}
			if _, err := h.Services("*"); err != nil {
				t.Errorf("%s%s: %v", init, flag, err)
			}
		}
	}
}

// What comes as a dependency counts as automatic, and holds and remains can be put back.
func TestMarksAndRemains(t *testing.T) {
	fixture, err := ReadFixture([]byte(`
-- host --
hostname: mail
-- /etc/os-release --
ID=debian
VERSION_ID="8"
-- packages --
Package: old
Version: 1
Architecture: amd64
Status: deinstall ok config-files
Conffiles:
 /etc/old.cfg edited

Package: lib
Version: 1
Architecture: amd64
Auto-Installed: 1
Status: installed
-- /etc/old.cfg --
mine
-- available --
Package: app
Version: 2
Architecture: amd64
Depends: dep, lib

Package: dep
Version: 2
Architecture: amd64
`))
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	marks := func() string {
		list, err := h.Packages()
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, p := range list {
			words = append(words, fmt.Sprintf("%s %s held=%v auto=%v", p.Name, p.Status, p.Held, p.Auto))
		}
		return strings.Join(words, "; ")
	}
	if err := h.CommitPackages(ctx, host.Transaction{Install: []string{"app"}}, nil); err != nil {
		t.Fatal(err)
	}
	const installed = "app installed held=false auto=false; dep installed held=false auto=true; lib installed held=false auto=true; old config-files held=false auto=false"
	if got := marks(); got != installed {
		t.Errorf("installed: %s", got)
	}
	if err := h.MarkPackages(ctx, []host.PackageMark{{Name: "dep", Held: true}, {Name: "app", Auto: true}}); err != nil {
		t.Fatal(err)
	}
	if err := h.MarkPackages(ctx, []host.PackageMark{{Name: "old", Held: true}}); err == nil {
		t.Error("remains are marked")
	}
	if err := h.Mkdir("/kept", 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := h.SaveRemains(ctx, []string{"old"}, "/kept")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.SaveRemains(ctx, []string{"lib"}, "/kept"); err == nil {
		t.Error("an installed package has remains")
	}
	if err := h.CommitPackages(ctx, host.Transaction{Remove: []string{"old"}, Purge: true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := h.RestoreRemains(ctx, files["old"]); err != nil {
		t.Fatal(err)
	}
	if got := marks(); got != "app installed held=false auto=true; dep installed held=true auto=false; lib installed held=false auto=true; old config-files held=false auto=false" {
		t.Errorf("in the end: %s", got)
	}
	list, _ := h.Packages()
	if c := list[3].Conffiles; len(c) != 1 || c[0].Path != "/etc/old.cfg" {
		t.Errorf("remains %+v", list[3])
	}
}

// lines tells a function what a package manager says, and what it waits for.
func lines(tell func(string)) *host.PackageWatch {
	return &host.PackageWatch{Tell: func(work host.PackageWork) { tell(strings.TrimSpace(work.Doing + " " + work.Line)) }}
}
