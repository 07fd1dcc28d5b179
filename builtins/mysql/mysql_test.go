package mysql_test

import (
	"context"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/mysql"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

const fixture = `
-- host --
hostname: example.org
-- /etc/os-release --
ID=debian
-- /usr/bin/mariadb-dump 0755 --
a program
-- tree --
d0755 root:root - - /var/backups
-- database --
login zarafa s3cret-of-zarafa
var version 5.5.59-0+deb8u1
var version_comment (Debian)
var max_allowed_packet 33554432
var thread_stack 262144
var innodb_file_per_table OFF
var innodb_buffer_pool_size 1073741824
var character_set_server utf8
var sql_mode
var datadir /var/lib/mysql/
var hostname example
var port 3306
var socket /var/run/mysqld/mysqld.sock
var read_only OFF
table properties InnoDB 5200 880K 210K utf8_general_ci
table stores     MyISAM   14  16K  16K utf8_general_ci
? SELECT MAX(databaserevision) AS Revision, COUNT(*) AS n FROM versions
Revision | n
64 | 12
`

func scene(t *testing.T) *builtintest.Scene { return builtintest.New(t, fixture, mysql.Builtins()) }

func TestConnection(t *testing.T) {
	s := scene(t)
	got := s.Succeed(`
c = mysql.connection({})
print(c.host, c.port, c.socket == "", c.user, c.password, c.database)
c = mysql.connection({"mysql_host": "db", "mysql_port": "3307", "mysql_socket": "/run/s", "mysql_user": "u", "mysql_password": "p", "mysql_database": "d", "log_level": "3"})
print(c.host, c.port, c.socket, c.user, c.password, c.database)
`)
	want := []string{"localhost 3306 True root *** zarafa", "db 3307 /run/s u *** d"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	s.Fail(`mysql.connection({"mysql_port": "mysql"})`, "is not a port number")
	s.Fail(`mysql.connection({"mysql_user": ["a"]})`, "mysql_user", "want a string")
	s.Fail(`mysql.query({}, "SELECT 1")`, "argument conn", "mysql.connection")
	s.Fail(`mysql.query(mysql.connection, "SELECT 1")`, "argument conn")
}

// login is the connection that the fixture's server lets in.
const login = `db = mysql.connection({"mysql_user": "zarafa", "mysql_password": "s3cret-of-zarafa"})` + "\n"

func TestFacts(t *testing.T) {
	r := scene(t).Run(login + `
print(mysql.probe(db).ok)
facts = mysql.facts(db)
print(facts.version, facts.database, facts.rows, facts.bytes, facts.variables["max_allowed_packet"])
print([(x.name, x.engine, x.rows, x.bytes, x.collation) for x in facts.tables])
print([(row.revision, row.n) for row in mysql.query(db, "SELECT MAX(databaserevision) AS Revision, COUNT(*) AS n FROM versions")])
`)
	want := []string{
		"True",
		"5.5.59-0+deb8u1 zarafa 5214 1148928 33554432",
		`[("properties", "InnoDB", 5200, 1116160, "utf8_general_ci"), ("stores", "MyISAM", 14, 32768, "utf8_general_ci")]`,
		`[("64", "12")]`,
	}
	if r.Verdict.Code != 0 || strings.Join(r.Printed, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\n%s\nwant\n%s", strings.Join(r.Printed, "\n"), r.Verdict.Text, strings.Join(want, "\n"))
	}
	if strings.Contains(string(r.Journal), "s3cret-of-zarafa") {
		t.Error("the password stands in the journal")
	}
}

// failing is a host on which looking at one thing fails.
type failing struct {
	*sim.Host
	at  string // a path, or a part of a query
	err error
}

func (f failing) ReadDir(name string) ([]host.DirEntry, error) {
	if name == f.at {
		return nil, &fs.PathError{Op: "open", Path: name, Err: f.err}
	}
	return f.Host.ReadDir(name)
}

func (f failing) Stat(name string) (host.Stat, error) {
	if name == f.at {
		return host.Stat{}, &fs.PathError{Op: "stat", Path: name, Err: f.err}
	}
	return f.Host.Stat(name)
}

func (f failing) Query(ctx context.Context, db host.DatabaseConn, query string) (host.Rows, error) {
	if !strings.HasPrefix(f.at, "/") && strings.Contains(query, f.at) {
		return host.Rows{}, f.err
	}
	return f.Host.Query(ctx, db, query)
}

// TestSizeThatCannotBeRead fails where a source of the size is there but does not answer: passed over, the
// size would be another one when the run is resumed. A source that is not there, or may not be used, is none.
func TestSizeThatCannotBeRead(t *testing.T) {
	const files = "-- tree --\nf0660 root:root 64M - /var/lib/mysql/ibdata1\nf0660 root:root 8M - /var/lib/mysql/zarafa/properties.ibd\n"
	for _, tc := range []struct {
		at     string
		err    error
		source string // where it succeeds
	}{
		{"nothing", nil, "its files below /var/lib/mysql"},
		{"/var/lib/mysql", syscall.EIO, ""},
		{"/var/lib/mysql", syscall.EPERM, ""},
		{"/var/lib/mysql", syscall.EACCES, "the server's statistics"},
		{"/var/lib/mysql", syscall.ENOENT, "the server's statistics"},
		{"/var/lib/mysql/zarafa", syscall.EIO, ""},
		{"/var/lib/mysql/ibdata1", syscall.ENOSPC, ""},
		{"/var/lib/mysql/zarafa/properties.ibd", syscall.EIO, ""},
		{"/var/lib/mysql/zarafa/properties.ibd", syscall.ENOENT, "its files below /var/lib/mysql"}, // dropped just now
		{"TABLESPACES", syscall.ECONNRESET, ""},
		{"TABLESPACES", syscall.ENOENT, ""}, // the socket is gone
		{"TABLESPACES", host.ErrUnsupported, "its files below /var/lib/mysql"},
		{"SHOW GLOBAL VARIABLES", syscall.ECONNRESET, ""},
	} {
		s := builtintest.New(t, strings.Replace(fixture, "-- tree --\n", files, 1), mysql.Builtins())
		s.Around = func(h *sim.Host) host.Host { return failing{h, tc.at, tc.err} }
		if tc.source == "" {
			s.Fail(login+`mysql.facts(db)`, tc.err.Error())
			s.Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst")`, tc.err.Error())
			continue
		}
		if got := s.Succeed(login + `print(mysql.facts(db).source)`); len(got) != 1 || got[0] != tc.source {
			t.Errorf("%s, %v: %q", tc.at, tc.err, got)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	s := scene(t)
	const wrong = `db = mysql.connection({"mysql_user": "zarafa", "mysql_password": "gu3ss"})` + "\n"
	got := s.Succeed(wrong + "answer = mysql.probe(db)\nprint(answer.ok, answer.problem)")
	if !strings.HasPrefix(got[0], "False database zarafa at localhost:3306 as user zarafa: ") || strings.Contains(got[0], "gu3ss") {
		t.Errorf("got %q", got)
	}
	s.Fail(wrong+`mysql.facts(db)`, "as user zarafa", "denied")
	s.Fail(wrong+`mysql_dump(db, "/var/backups/z.sql.zst")`, "as user zarafa", "denied")
}

func TestDump(t *testing.T) {
	s := scene(t)
	s.Fail(login+`mysql_dump(db, "/var/backups/none/z.sql.zst")`, "/var/backups/none")
	s.Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst", compression = "rar")`, "zstd")
	s.Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst", tables = ["stores", "vanished"])`, "no table vanished")
	r := s.Run(login + `
made = mysql_dump(db, "/var/backups/z.sql.zst", tables = ["stores"])
print(made.path, made.bytes > 0, made.tables)
`)
	if r.Verdict.Code != 0 || strings.Join(r.Printed, "") != `/var/backups/z.sql.zst True ["properties", "stores"]` {
		t.Fatalf("%q %+v", r.Printed, r.Verdict)
	}
	if st, err := s.Host.Lstat("/var/backups/z.sql.zst"); err != nil || st.Perm() != 0o600 {
		t.Errorf("the dump has mode %v (%v)", st.Perm(), err)
	}
	if strings.Contains(string(r.Journal), "s3cret-of-zarafa") {
		t.Error("the password stands in the journal")
	}
	s.Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst")`, "never replaces")
}

// TestParallelDump: the dump is a directory, and a simulation knows which programs that takes.
func TestParallelDump(t *testing.T) {
	const dump = login + `made = mysql_dump(db, "/var/backups/z", compression = "mydumper")
print(made.path, made.tables)
`
	s := scene(t)
	s.Fail(dump, "mydumper is not installed")
	s = builtintest.New(t, strings.Replace(fixture, "-- database --", "-- /usr/bin/mydumper 0755 --\na program\n-- database --", 1), mysql.Builtins())
	r := s.Run(dump)
	if r.Verdict.Code != 0 || strings.Join(r.Printed, "") != `/var/backups/z ["properties", "stores"]` {
		t.Fatalf("%q %+v", r.Printed, r.Verdict)
	}
	if st, err := s.Host.Lstat("/var/backups/z"); err != nil || !st.IsDir() || st.Perm() != 0o700 {
		t.Errorf("the dump is %+v (%v)", st, err)
	}
	s.Fail(dump, "never replaces")
}

func TestPrograms(t *testing.T) {
	s := scene(t)
	if got := s.Succeed("found = mysql.programs()\nprint(found.dump, found.restore == \"\", found.parallel_dump, found.parallel_restore == \"\")"); got[0] != "/usr/bin/mariadb-dump True  True" {
		t.Errorf("got %q", got)
	}
	if err := s.Host.Chmod("/usr/bin/mariadb-dump", 0o644); err != nil {
		t.Fatal(err)
	}
	s.Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst")`, "mysqldump or mariadb-dump is not installed")
}

func TestEmptyDatabase(t *testing.T) {
	empty := fixture
	for _, line := range []string{"table properties InnoDB 5200 880K 210K utf8_general_ci\n", "table stores     MyISAM   14  16K  16K utf8_general_ci\n"} {
		empty = strings.Replace(empty, line, "", 1)
	}
	empty += "\n? " + mysql.QueryTables + "\nname | engine | row_estimate | data_bytes | index_bytes | collation | row_format\n"
	builtintest.New(t, empty, mysql.Builtins()).Fail(login+`mysql_dump(db, "/var/backups/z.sql.zst")`, "no tables")
}
