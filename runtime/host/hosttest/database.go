package hosttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
)

// DatabaseSQL makes the tables of a database that is tested.
const DatabaseSQL = `
SET NAMES utf8;
CREATE TABLE site_items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), note TEXT) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO site_items VALUES (1, 'one', NULL), (2, 'two | half', 'ä'), (3, '', ' wide ');
CREATE TABLE site_versions (revision INT PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8;
INSERT INTO site_versions VALUES (63), (64);
`

// DatabaseFixture says the same to a simulated host, and who may log in.
func DatabaseFixture(user, password string) string {
	text := fmt.Sprintf("-- /usr/bin/mysqldump 0755 --\n-- /usr/bin/mysql 0755 --\n-- database --\nlogin %s %s\ntable site_items\ntable site_versions\n", user, password)
	for _, q := range databaseQueries {
		if !q.computed {
			text += "\n? " + q.query + "\n" + strings.Join(q.columns, " | ") + "\n"
			for _, row := range q.rows {
				var words []string
				for _, v := range row {
					words = append(words, fmt.Sprintf("%q", v))
				}
				text += strings.ReplaceAll(strings.Join(words, "\x00"), "|", `\x7c`)
				text = strings.ReplaceAll(text, "\x00", " | ") + "\n"
			}
		}
	}
	return text + "\n"
}

// databaseQueries have these answers. NULL is the empty string. Computed ones a simulated host answers by the
// tables that it knows.
var databaseQueries = []struct {
	query    string
	columns  []string
	rows     [][]string
	computed bool
}{
	{
		query: "SELECT id, name, note FROM site_items ORDER BY id", columns: []string{"id", "name", "note"},
		rows: [][]string{{"1", "one", ""}, {"2", "two | half", "ä"}, {"3", "", " wide "}},
	},
	{query: revisionQuery, columns: []string{"revision"}, rows: [][]string{{"64"}}},
	{query: "SELECT id FROM site_items WHERE id > 9", columns: []string{"id"}},
	{
		query: "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name", columns: []string{"table_name", "engine"},
		rows: [][]string{{"site_items", "InnoDB"}, {"site_versions", "InnoDB"}}, computed: true,
	},
	{query: "SHOW TABLES", columns: []string{"Tables_in_site"}, rows: [][]string{{"site_items"}, {"site_versions"}}, computed: true},
}

// ObjectsSQL adds what a dump is concerned with beside sound tables, for an account that has all rights on this database and
// no others. Whoever runs ObjectsOf then damages the index of site_damaged.
func ObjectsSQL(account string) string {
	return fmt.Sprintf(`
CREATE TABLE site_damaged (id INT PRIMARY KEY) ENGINE=MyISAM;
CREATE DEFINER=%[1]s VIEW own AS SELECT id FROM site_items;
CREATE DEFINER=root@localhost PROCEDURE theirs() SELECT 1;
CREATE DEFINER=%[1]s TRIGGER seen BEFORE INSERT ON site_items FOR EACH ROW SET NEW.note = 'seen';
`, account)
}

// ObjectsFixture says the same to a simulated host, of which it knows that site_damaged is damaged.
func ObjectsFixture(account string, damaged bool) string {
	readable := "site_items | BASE TABLE | InnoDB | 3 | ''\n"
	if damaged {
		readable = "site_damaged | BASE TABLE | '' | 0 | Incorrect file format 'site_damaged'\n" + readable
	}
	return "\n? " + host.QueryReadable + "\nname | kind | engine | row_estimate | comment\n" + readable +
		"\n? " + host.QueryAccount + "\naccount | rights\n" + account + " | 0\n" +
		"\n? " + host.QueryDefiners + "\nkind | name | definer\nVIEW | own | " + account + "\nPROCEDURE | theirs | root@localhost\nTRIGGER | seen | " + account + "\n\n"
}

// DatabaseObjects runs the suite of what ObjectsSQL adds: what a dump holds of it, and what not.
func DatabaseObjects(t *testing.T, h host.Host, conn host.DatabaseConn) {
	made, err := h.DumpDatabase(t.Context(), host.DumpRequest{Conn: conn, Path: "/root/site.objects", Compression: "none", MostBytes: 32 << 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, o := range made.Held {
		held[o.String()] = true
	}
	if !slices.Equal(made.Standing, []string{"PROCEDURE theirs"}) || len(held) != 2 || !held["view own"] || !held["trigger seen"] {
		t.Errorf("the dump holds %q, and %q stands", made.Held, made.Standing)
	}
}

// DamagedDatabase runs the suite of a database whose table site_damaged cannot be read: of it no dump is begun, whatever
// form it is to have.
func DamagedDatabase(t *testing.T, h host.Host, conn host.DatabaseConn) {
	d := databaseHelper{t, h, conn}
	for _, compression := range host.DumpForms {
		_, err := h.DumpDatabase(t.Context(), host.DumpRequest{Conn: conn, Path: "/root/site.damaged", Compression: compression}, nil)
		if err == nil || !strings.Contains(err.Error(), "cannot be read, and no dump is whole without them: site_damaged (Incorrect file format 'site_damaged')") {
			t.Errorf("%s: %v; want a refusal", compression, err)
		}
		d.absent("/root/site.damaged")
	}
}

const revisionQuery = "SELECT MAX(revision) AS revision FROM site_versions"

// Database runs the suite of databases. The host has the database site with the tables of DatabaseSQL, and the
// connection may do all with it.
func Database(t *testing.T, h host.Host, conn host.DatabaseConn) {
	d := databaseHelper{t, h, conn}
	for name, test := range map[string]func(databaseHelper){
		"queries": databaseHelper.queries, "refusals": databaseHelper.refusals, "connections": databaseHelper.connections,
		"dumps": databaseHelper.dumps, "dumps that fail": databaseHelper.failures, "loads": databaseHelper.loads,
	} {
		t.Run(name, func(t *testing.T) { test(databaseHelper{t, h, conn}) })
	}
	d.queries() // all is as it was
}

// databaseHelper is a test of a host's database.
type databaseHelper struct {
	*testing.T
	h    host.Host
	conn host.DatabaseConn
}

func (d databaseHelper) queries() {
	for _, q := range databaseQueries {
		got, err := d.h.Query(d.Context(), d.conn, q.query)
		if diff := cmp.Diff(host.Rows{Columns: q.columns, Rows: q.rows}, got); diff != "" || err != nil {
			d.Errorf("%s: %v, want -, got +\n%s", q.query, err, diff)
		}
	}
	if n, err := d.h.Revision(d.Context(), host.RevisionQuery{Conn: d.conn, Query: revisionQuery, Service: "site"}); n != 64 || err != nil {
		d.Errorf("revision %d, %v", n, err)
	}
	if _, err := d.h.Revision(d.Context(), host.RevisionQuery{Conn: d.conn, Query: databaseQueries[0].query, Service: "site"}); err == nil {
		d.Error("three rows count as a revision")
	}
}

func (d databaseHelper) refusals() {
	for _, query := range []string{
		"", "DELETE FROM site_items", "SELECT 1; SELECT 2", "SELECT name FROM site_items INTO OUTFILE '/tmp/x'",
		"SELECT id FROM site_items FOR UPDATE", "SELECT @a := 1", "SELECT /*! 1 */", "SELECT 'open",
	} {
		if _, err := d.h.Query(d.Context(), d.conn, query); err == nil || !strings.HasPrefix(err.Error(), "query refused") {
			d.Errorf("%q: %v; want a refusal", query, err)
		}
	}
	if _, err := d.h.Query(d.Context(), d.conn, "SELECT 1 FROM site_nowhere"); err == nil {
		d.Error("a table that is not there answers")
	}
	cut, cancel := context.WithCancel(d.Context())
	cancel()
	if _, err := d.h.Query(cut, d.conn, revisionQuery); !errors.Is(err, context.Canceled) {
		d.Errorf("a query that is cancelled: %v", err)
	}
}

func (d databaseHelper) wrong() host.DatabaseConn {
	wrong := d.conn
	wrong.Password = host.NewSecret("wr0ng")
	return wrong
}

// refused wants a login to be refused, without the password.
func (d databaseHelper) refused(what string, err error) {
	d.Helper()
	if err == nil || !strings.Contains(err.Error(), d.conn.User) || strings.Contains(err.Error(), "wr0ng") {
		d.Errorf("%s with a wrong password: %v", what, err)
	}
}

func (d databaseHelper) connections() {
	_, err := d.h.Query(d.Context(), d.wrong(), revisionQuery)
	d.refused("a query", err)
	_, err = d.h.Revision(d.Context(), host.RevisionQuery{Conn: d.wrong(), Query: revisionQuery})
	d.refused("a revision", err)
	_, err = d.h.DumpDatabase(d.Context(), host.DumpRequest{Conn: d.wrong(), Path: "/root/site.refused", Compression: "none"}, nil)
	d.refused("a dump", err)
	d.absent("/root/site.refused")
}

func (d databaseHelper) absent(path string) {
	d.Helper()
	if _, err := d.h.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		d.Errorf("%s: %v; want it absent", path, err)
	}
}

func (d databaseHelper) dumps() {
	for _, compression := range []string{"zstd", "gzip", "none"} {
		req := host.DumpRequest{Conn: d.conn, Path: "/root/site." + compression, Compression: compression, MostBytes: 32 << 10}
		made, err := d.h.DumpDatabase(d.Context(), req, nil)
		if err != nil {
			d.Fatalf("%s: %v", compression, err)
		}
		st, err := d.h.Lstat(req.Path)
		if err != nil || st.Perm() != 0o600 || st.UID != 0 || st.Size != made.Bytes || made.RawBytes == 0 || !made.Closed || made.Tool == "" {
			d.Errorf("%s: %+v, %v, %+v", compression, st, err, made)
		}
		if !slices.Equal(made.Tables, []string{"site_items", "site_versions"}) {
			d.Errorf("%s: tables %q", compression, made.Tables)
		}
		read, err := d.h.CheckDump(d.Context(), req.Path, compression, nil)
		made.Tool, read.Tool, made.Took = "", "", 0 // which only those who make it know
		if diff := cmp.Diff(made, read); diff != "" || err != nil {
			d.Errorf("%s: %v, made -, read +\n%s", compression, err, diff)
		}
		if _, err := d.h.DumpDatabase(d.Context(), req, nil); !errors.Is(err, fs.ErrExist) {
			d.Errorf("%s: a dump over an existing file: %v", compression, err)
		}
	}
	if _, err := d.h.CheckDump(d.Context(), "/root/site.zstd", "gzip", nil); err == nil {
		d.Error("a dump passes for one of another compression")
	}
}

func (d databaseHelper) failures() {
	cut, cancel := context.WithCancel(d.Context())
	cancel()
	for what, dump := range map[string]func() error{
		"compression": func() error {
			_, err := d.h.DumpDatabase(d.Context(), host.DumpRequest{Conn: d.conn, Path: "/root/site.lz4", Compression: "lz4"}, nil)
			return err
		},
		"cancelled": func() error {
			_, err := d.h.DumpDatabase(cut, host.DumpRequest{Conn: d.conn, Path: "/root/site.lz4", Compression: "none"}, nil)
			return err
		},
		"no directory": func() error {
			_, err := d.h.DumpDatabase(d.Context(), host.DumpRequest{Conn: d.conn, Path: "/root/none/site.lz4", Compression: "none"}, nil)
			return absence(err)
		},
		"read of what is not there": func() error {
			_, err := d.h.CheckDump(d.Context(), "/root/site.lz4", "none", nil)
			return absence(err)
		},
		"load of what is not there": func() error {
			return absence(d.h.LoadDatabase(d.Context(), host.LoadRequest{Conn: d.conn, Path: "/root/site.lz4", Compression: "none"}, nil))
		},
	} {
		if dump() == nil {
			d.Errorf("%s: not refused", what)
		}
		d.absent("/root/site.lz4")
	}
}

// absence passes only the error of a file that is not there.
func absence(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d databaseHelper) loads() {
	req := host.DumpRequest{Conn: d.conn, Path: "/root/site.load", Compression: "gzip"}
	if _, err := d.h.DumpDatabase(d.Context(), req, nil); err != nil {
		d.Fatal(err)
	}
	load := host.LoadRequest{Conn: d.wrong(), Path: req.Path, Compression: "gzip"}
	d.refused("a load", d.h.LoadDatabase(d.Context(), load, nil))
	load.Conn = d.conn
	for range 2 {
		if err := d.h.LoadDatabase(d.Context(), load, nil); err != nil {
			d.Error(err)
		}
		d.queries()
	}
}
