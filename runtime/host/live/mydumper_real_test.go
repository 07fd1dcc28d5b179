package live_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
)

// TestParallelDump: mydumper's directory is judged as strictly as a dump in one file, and leads back as well.
func TestParallelDump(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.Lend("/usr/bin/mydumper", "/usr/bin/myloader")
	r.StartMariaDB()
	r.SQL(strange)
	ctx := t.Context()
	conn := host.DatabaseConn{Host: "localhost", User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	req := host.DumpRequest{Conn: conn, Path: "/root/parallel", Compression: host.ParallelDump}

	// mydumper 0.10 cannot dump a table of such a name, and goes on with the others.
	if _, err := h.DumpDatabase(ctx, req, nil); err == nil {
		t.Error("a table is left out, and nobody says so")
	}
	gone := func(why string) {
		t.Helper()
		if _, err := h.Lstat("/root/parallel"); !os.IsNotExist(err) {
			t.Errorf("%s: what was begun stays: %v", why, err)
		}
	}
	gone("a table that it cannot dump")
	r.SQL("USE zarafa; DROP TRIGGER tr; DROP VIEW v; DROP TABLE child; RENAME TABLE `odd``name` TO odd; CREATE TABLE nothing (id INT);" +
		"CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, FOREIGN KEY (parent) REFERENCES odd (id)); INSERT INTO child VALUES (7, 1), (8, 1), (9, NULL);" +
		"CREATE VIEW v AS SELECT id FROM child; CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent = 1;" +
		"CREATE USER plain@localhost IDENTIFIED BY 'x'; GRANT ALL ON zarafa.* TO plain@localhost")

	// Without the right to hold all others for a moment there is no common snapshot.
	plain := req
	plain.Conn = host.DatabaseConn{Host: "localhost", User: "plain", Password: host.NewSecret("x"), Database: "zarafa"}
	if _, err := h.DumpDatabase(ctx, plain, nil); err == nil {
		t.Error("a dump without a common snapshot is taken")
	}
	gone("no snapshot")

	want := content(t, r)
	seen := watchArguments(t, e2e.Password)
	made, err := h.DumpDatabase(ctx, req, func(int64) {})
	must(t, err)
	if !made.Closed || made.Bytes == 0 || made.RawBytes == 0 || len(made.SHA256) != 64 || !strings.Contains(made.Tool, "mydumper") {
		t.Errorf("made %+v", made)
	}
	if !slices.Contains(made.Tables, "stores") || !slices.Contains(made.Tables, "nothing") || slices.Contains(made.Tables, "v") || !slices.Equal(made.Views, []string{"sicht_ö", "v"}) {
		t.Errorf("tables %q, views %q", made.Tables, made.Views)
	}
	dir, err := h.Lstat(req.Path)
	must(t, err)
	entries, err := h.ReadDir(req.Path)
	must(t, err)
	for _, e := range entries {
		st, err := h.Lstat(req.Path + "/" + e.Name)
		must(t, err)
		if st.Perm() != 0o600 || dir.Perm() != 0o700 {
			t.Errorf("%s is %v, in %v", e.Name, st.Mode, dir.Mode)
		}
	}
	read, err := h.CheckDump(ctx, req.Path, host.ParallelDump, nil)
	if err != nil || read.SHA256 != made.SHA256 || read.Bytes != made.Bytes || read.RawBytes != made.RawBytes || !slices.Equal(read.Tables, made.Tables) {
		t.Errorf("read %+v, made %+v (%v)", read, made, err)
	}
	load := host.LoadRequest{Conn: conn, Path: req.Path, Compression: host.ParallelDump, SHA256: made.SHA256}
	r.SQL(upgradeOdd)
	must(t, h.LoadDatabase(ctx, load, nil))
	if seen() {
		t.Error("the password shows in the arguments of a process")
	}
	if got := content(t, r); got != want {
		t.Errorf("the database is not as it was dumped:\n%s\nwant\n%s", got, want)
	}

	// What was changed since is refused before the database is touched.
	file := req.Path + "/zarafa.child.sql.gz"
	whole := r.ReadFile(file)
	r.WriteFile(file, whole[:len(whole)/2], 0o600)
	if err := h.LoadDatabase(ctx, load, nil); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("a file that is cut off: %v", err)
	}
	r.WriteFile(file, whole, 0o600)
	must(t, os.Remove(r.Path(req.Path+"/metadata")))
	load.SHA256 = ""
	if err := h.LoadDatabase(ctx, load, nil); err == nil || !strings.Contains(err.Error(), "ends early") {
		t.Errorf("a dump that was not finished: %v", err)
	}
	if got := content(t, r); got != want {
		t.Error("a dump that was refused has changed the database")
	}
	whatIsAnothers(t, r, h)
}

// whatIsAnothers has a database dumped and loaded by an account with the rights that ZCP's manual tells to grant: all on this
// database. What it cannot make again, or nobody can, stays as it is, and blocks nothing.
func whatIsAnothers(t *testing.T, r *e2e.Root, h *live.Host) {
	ctx := t.Context()
	r.SQL("SET NAMES utf8mb4; GRANT RELOAD ON *.* TO plain@localhost; USE zarafa; DROP TRIGGER tr; DROP VIEW v; DROP VIEW `sicht_ö`; DROP TABLE `größe`; DROP PROCEDURE p; DROP PROCEDURE `prozedur_ä`;" +
		"CREATE TABLE gone (id INT); CREATE DEFINER=plain@localhost VIEW idle AS SELECT id FROM gone; DROP TABLE gone;" +
		"CREATE DEFINER=root@localhost VIEW `roots ö` AS SELECT COUNT(*) AS n FROM child;" +
		"CREATE DEFINER=plain@localhost VIEW own AS SELECT id FROM child; CREATE DEFINER=plain@localhost EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;" +
		"CREATE DEFINER=root@localhost PROCEDURE p() SELECT 3; CREATE DEFINER=plain@localhost PROCEDURE own() SELECT 4;" +
		"CREATE DEFINER=plain@localhost TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent = 1")
	conn := host.DatabaseConn{Host: "localhost", User: "plain", Password: host.NewSecret("x"), Database: "zarafa"}
	all := func() string {
		return r.SQL("SET NAMES utf8mb4; SELECT * FROM zarafa.child; SHOW CREATE VIEW zarafa.idle; SHOW CREATE VIEW zarafa.`roots ö`; SHOW CREATE VIEW zarafa.own; SELECT * FROM zarafa.`roots ö`;" +
			"SHOW CREATE PROCEDURE zarafa.p; SHOW CREATE PROCEDURE zarafa.own; SHOW TRIGGERS FROM zarafa; SELECT EVENT_NAME, DEFINER, EVENT_DEFINITION FROM information_schema.EVENTS")
	}
	want, stands := all(), []string{"VIEW idle", "VIEW roots ö", "PROCEDURE own", "PROCEDURE p"}
	slices.Sort(stands)
	for _, compression := range []string{"none", host.ParallelDump} {
		path := "/root/anothers." + compression
		made, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: compression}, nil)
		must(t, err)
		slices.Sort(made.Standing)
		if !slices.Equal(made.Standing, stands) || !slices.Equal(made.Definers, []string{"`plain`@`localhost`"}) {
			t.Errorf("%s: stands %q, made by %q", compression, made.Standing, made.Definers)
		}
		r.SQL("USE zarafa; DROP VIEW own; DROP TRIGGER tr; DROP EVENT e; DELETE FROM child; CREATE DEFINER=plain@localhost EVENT later ON SCHEDULE EVERY 1 DAY DO SELECT 1")
		must(t, h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: path, Compression: compression, SHA256: made.SHA256, Standing: made.Standing}, nil))
		if got := withoutTime(all()); got != withoutTime(want) {
			t.Errorf("%s: the database is not as it was dumped:\n%s\nwant\n%s", compression, got, want)
		}
	}

	whatStoppedWorking(t, r, h, conn)

	// Events of another account stay, too; triggers of one are told beside a dump that holds them.
	r.SQL("USE zarafa; CREATE DEFINER=root@localhost EVENT roots ON SCHEDULE EVERY 1 DAY DO SELECT 1; CREATE DEFINER=root@localhost TRIGGER theirs AFTER INSERT ON child FOR EACH ROW SET @x = 1")
	made, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: "/root/roots.sql", Compression: "none"}, nil)
	must(t, err)
	if !slices.Contains(made.Standing, "EVENT roots") || !slices.Contains(made.Standing, "EVENT e") || !slices.Contains(made.Definers, "`root`@`localhost`") {
		t.Errorf("stands %q, made by %q", made.Standing, made.Definers)
	}

	// No dump is whole without a table that cannot be read.
	r.SQL("USE zarafa; CREATE TABLE broken (id INT PRIMARY KEY) ENGINE=MyISAM; FLUSH TABLES")
	r.WriteFile("/var/lib/mysql/zarafa/broken.MYI", "no index", 0o660)
	for _, compression := range []string{"none", host.ParallelDump} {
		_, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: "/root/broken", Compression: compression}, nil)
		if err == nil || !strings.Contains(err.Error(), "broken (Incorrect file format 'broken')") {
			t.Errorf("%s: of a table that cannot be read: %v", compression, err)
		}
	}
}

// whatStoppedWorking loads what a dump holds, and the dump of what it replaces does not: a view whose table is gone, a table
// whose name is a view's of another account by now, and routines and events beside which such an account has made some.
func whatStoppedWorking(t *testing.T, r *e2e.Root, h *live.Host, conn host.DatabaseConn) {
	ctx := t.Context()
	all := func() string {
		return r.SQL("USE zarafa; SELECT * FROM werk; SHOW CREATE VIEW werk; SELECT * FROM site; CALL own(); SELECT EVENT_NAME, DEFINER, EVENT_DEFINITION FROM information_schema.EVENTS")
	}
	for _, compression := range []string{"none", host.ParallelDump} {
		r.SQL("USE zarafa; DROP PROCEDURE p; CREATE TABLE base (id INT); INSERT INTO base VALUES (77); CREATE DEFINER=plain@localhost VIEW werk AS SELECT id FROM base; CREATE TABLE site (id INT)")
		path, want := "/root/works."+compression, all()
		made, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: compression}, nil)
		must(t, err)
		r.SQL("USE zarafa; DROP TABLE base; DROP TABLE site; CREATE DEFINER=root@localhost VIEW site AS SELECT 1 AS id; CREATE DEFINER=root@localhost PROCEDURE p() SELECT 3;" +
			"CREATE DEFINER=root@localhost EVENT roots ON SCHEDULE EVERY 1 DAY DO SELECT 1")
		saved, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path + ".saved", Compression: compression}, nil)
		must(t, err)
		for _, s := range []string{"VIEW werk", "VIEW site", "PROCEDURE own", "EVENT e"} {
			if !slices.Contains(saved.Standing, s) || slices.Contains(made.Standing, s) {
				t.Errorf("%s: %s is in only one of the two dumps, that do not hold %q and %q", compression, s, made.Standing, saved.Standing)
			}
		}
		must(t, h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: path, Compression: compression, SHA256: made.SHA256, Standing: made.StandBeside(saved.Standing)}, nil))
		r.SQL("USE zarafa; DROP EVENT roots") // stays, as the procedure does
		if got := all(); got != want {
			t.Errorf("%s: the database is not as it was dumped:\n%s\nwant\n%s", compression, got, want)
		}
		r.SQL("USE zarafa; DROP VIEW werk; DROP TABLE base; DROP TABLE site")
	}
}

// withoutTime leaves out when a trigger was made.
func withoutTime(text string) string {
	return regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+`).ReplaceAllString(text, "")
}

var upgradeOdd = strings.ReplaceAll(upgrade, "DROP TABLE child;", "DROP VIEW v; DROP TABLE child;")
