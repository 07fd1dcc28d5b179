package live_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// content is all of the database zarafa as a dump tells it, without what differs from dump to dump.
func content(t *testing.T, r *e2e.Root) string {
	t.Helper()
	return r.Must("mysqldump", "--no-defaults", "-uroot", "--skip-comments", "--hex-blob", "--routines", "--triggers", "--events", "zarafa")
}

const strange = "SET NAMES utf8mb4; USE zarafa; CREATE TABLE `größe` (`ä` INT PRIMARY KEY, t VARCHAR(20) CHARACTER SET utf8mb4 DEFAULT 'é' COMMENT 'ü', l VARCHAR(20) CHARACTER SET latin1) COMMENT 'ß';" +
	"INSERT INTO `größe` (`ä`, l) VALUES (1, 'ÄÖ'), (2, '\\\\\\''); CREATE VIEW `sicht_ö` AS SELECT `ä` AS `ü` FROM `größe` WHERE t <> 'ñ'; CREATE PROCEDURE `prozedur_ä`() SELECT 'ß';" +
	"CREATE TRIGGER `tü` BEFORE INSERT ON `größe` FOR EACH ROW SET NEW.l = 'ö';" +
	"CREATE TABLE `odd``name` (id INT PRIMARY KEY, t LONGTEXT CHARACTER SET utf8mb4, b LONGBLOB);" +
	"INSERT INTO `odd``name` VALUES (1, 'a\\\\b\\'c\\r\\nDELIMITER //\\n\\\\! touch /tmp/hit\\n\\n😀', 0x00FF0A0D1A5C27);" +
	"CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES `odd``name` (id)); INSERT INTO child VALUES (7, 1);" +
	"CREATE VIEW v AS SELECT id FROM child; CREATE PROCEDURE p() SELECT 1; CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent = 1;"

// upgrade is what a newer server might do to the database.
const upgrade = "USE zarafa; UPDATE versions SET databaserevision = 118; CREATE TABLE newtable (id INT PRIMARY KEY); INSERT INTO newtable VALUES (1);" +
	"DROP TABLE child; ALTER TABLE users ADD COLUMN more INT; CREATE PROCEDURE p2() SELECT 2; DROP PROCEDURE p;" +
	"CREATE TABLE late (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES newtable (id)); CREATE VIEW v2 AS SELECT id FROM late;" +
	"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;"

func TestLoadDatabase(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	r.SQL(strange)
	ctx := t.Context()
	conn := host.DatabaseConn{Host: "localhost", User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	want := content(t, r)
	must(t, h.Mkdir("/root/dump", 0o700))
	for _, compression := range []string{"zstd", "gzip", "none"} {
		path := "/root/dump/zarafa." + compression
		made, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: compression}, nil)
		must(t, err)
		read, err := h.CheckDump(ctx, path, compression, nil)
		made.Tool = ""
		if err != nil || read.SHA256 != made.SHA256 || read.RawBytes != made.RawBytes || read.Bytes != made.Bytes || !read.Closed || len(read.Tables) != len(made.Tables) {
			t.Errorf("%s: the dump is read as %+v, was made as %+v (%v)", compression, read, made, err)
		}
		r.SQL(upgrade)
		seen := watchArguments(t, e2e.Password)
		err = h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: path, Compression: compression, SHA256: made.SHA256}, nil)
		if seen() {
			t.Error("the password shows in the arguments of a process")
		}
		must(t, err)
		if got := content(t, r); got != want {
			t.Errorf("%s: the database is not as it was dumped:\n%s\nwant\n%s", compression, got, want)
		}
	}
	if _, err := h.Lstat("/tmp/hit"); err == nil {
		t.Error("the client took text of the dump for a command")
	}

	other := r.Command("mysql", "--no-defaults", "-uroot", "zarafa", "-e", "SELECT SLEEP(7200)")
	must(t, r.Start(other))
	t.Cleanup(func() { stopCommand(other) })
	for deadline := time.Now().Add(10 * time.Minute); !strings.Contains(r.Must("mysql", "--no-defaults", "-uroot", "-e", "SHOW PROCESSLIST"), "SLEEP(7200)"); {
		if time.Now().After(deadline) {
			t.Fatal("the other session does not begin")
		}
	}
	err := h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: "/root/dump/zarafa.zstd", Compression: "zstd"}, nil)
	if err == nil || !strings.Contains(err.Error(), "is in use by root from localhost") {
		t.Errorf("a database in use: %v", err)
	}
	if got := content(t, r); got != want {
		t.Error("a database in use was changed")
	}
	stopCommand(other)

	// A statement that reads nothing may be an upgrade's, whose client is gone: it gets longer than sessions that are about to end.
	dying := r.Command("mysql", "--no-defaults", "-uroot", "zarafa", "-e", "DO SLEEP(15)")
	must(t, r.Start(dying))
	t.Cleanup(func() { stopCommand(dying) })
	for deadline := time.Now().Add(10 * time.Minute); !strings.Contains(r.Must("mysql", "--no-defaults", "-uroot", "-e", "SHOW PROCESSLIST"), "DO SLEEP"); {
		if time.Now().After(deadline) {
			t.Fatal("the statement does not begin")
		}
	}
	must(t, h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: "/root/dump/zarafa.zstd", Compression: "zstd"}, nil))

	(&killedDatabase{t: t, r: r, h: h, dice: chance.Rand(t, 78)}).kills()
}

func stopCommand(c *exec.Cmd) {
	c.Process.Kill()
	c.Wait()
}

// TestBinaryLog: what a real server refuses to make while it keeps a binary log is what Distrusted foretells of the dump, in
// every case by itself, and what it does not foretell is loaded.
func TestBinaryLog(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB("--log-bin=/var/lib/mysql/binlog", "--server-id=1", "--log-bin-trust-function-creators=1")
	r.SQL("CREATE USER plain@localhost IDENTIFIED BY 'x'; GRANT ALL ON zarafa.* TO plain@localhost; CREATE TABLE zarafa.child (id INT)")
	ctx := t.Context()
	conn := host.DatabaseConn{Host: "localhost", User: "plain", Password: host.NewSecret("x"), Database: "zarafa"}
	ask := func(query string) (host.Rows, error) { return h.Query(ctx, conn, query) }
	for name, make := range map[string]string{
		"trigger": "CREATE DEFINER=plain@localhost TRIGGER o BEFORE INSERT ON child FOR EACH ROW SET NEW.id = 1", "procedure": "CREATE DEFINER=plain@localhost PROCEDURE o() SELECT 1",
		"function": "CREATE DEFINER=plain@localhost FUNCTION o() RETURNS INT DETERMINISTIC RETURN 1", "undeclared": "CREATE DEFINER=plain@localhost FUNCTION o() RETURNS INT RETURN 1",
	} {
		r.SQL("USE zarafa; " + make)
		path := "/root/" + name
		made, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: "none"}, nil)
		must(t, err)
		for _, server := range []string{"SET GLOBAL log_bin_trust_function_creators = 0", "GRANT SUPER ON *.* TO plain@localhost", "REVOKE SUPER ON *.* FROM plain@localhost; SET GLOBAL log_bin_trust_function_creators = 1"} {
			r.SQL(server)
			refused, err := host.Distrusted(ask, made.Held)
			must(t, err)
			err = h.LoadDatabase(ctx, host.LoadRequest{Conn: conn, Path: path, Compression: "none", SHA256: made.SHA256}, nil)
			if (err != nil) != (len(refused) > 0) || err != nil && !strings.Contains(err.Error(), "ERROR 1418") && !strings.Contains(err.Error(), "ERROR 1419") {
				t.Errorf("%s, after %s: foretold %v, and %v", name, server, refused, err)
			}
			t.Logf("%s, after %s: refused %v", name, server, refused)
		}
		r.SQL("USE zarafa; DROP TRIGGER IF EXISTS o; DROP PROCEDURE IF EXISTS o; DROP FUNCTION IF EXISTS o")
	}
}

// A load that does not come to its end is an error, and can be done again.
func TestLoadThatFails(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	r.SQL("CREATE TABLE zarafa.big (id INT PRIMARY KEY, data LONGBLOB); " + strings.Repeat("INSERT INTO zarafa.big SELECT COALESCE(MAX(id),0)+1, RANDOM_BYTES(1024) FROM zarafa.big; ", 8) +
		strings.Repeat("INSERT INTO zarafa.big SELECT id+(SELECT MAX(id) FROM zarafa.big), RANDOM_BYTES(1024) FROM zarafa.big; ", 10))
	conn := host.DatabaseConn{User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	want := content(t, r)
	made, err := h.DumpDatabase(t.Context(), host.DumpRequest{Conn: conn, Path: "/root/whole.sql", Compression: "none"}, nil)
	must(t, err)
	load := host.LoadRequest{Conn: conn, Path: "/root/whole.sql", Compression: "none", SHA256: made.SHA256}

	cut, cancel := context.WithCancel(t.Context())
	if err := h.LoadDatabase(cut, load, func(int64) { cancel() }); err == nil {
		t.Error("a cancelled load succeeds")
	}
	dump := r.ReadFile("/root/whole.sql")
	r.WriteFile("/root/half.sql", dump[:len(dump)/2], 0o600)
	r.WriteFile("/root/other.sql", strings.Replace(dump, "-- Host:", "-- host:", 1), 0o600)
	r.WriteFile("/root/half.zst", "\x28\xb5\x2f\xfd no frame", 0o600)
	for path, text := range map[string]string{"/root/half.sql": "", "/root/other.sql": "changed while it was read"} {
		broken := load
		broken.Path = path
		if err := h.LoadDatabase(t.Context(), broken, nil); err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "the database is now incomplete") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := h.CheckDump(t.Context(), "/root/half.zst", "zstd", nil); err == nil {
		t.Error("what is no dump is read as one")
	}
	if half, err := h.CheckDump(t.Context(), "/root/half.sql", "none", nil); err != nil || half.Closed {
		t.Errorf("half a dump: %+v, %v", half, err)
	}
	var told int64
	must(t, h.LoadDatabase(t.Context(), load, func(n int64) { told = n }))
	if got := content(t, r); got != want || told != made.RawBytes {
		t.Errorf("loaded again: the database is as before: %v; reported %d bytes of %d", got == want, told, made.RawBytes)
	}
	killed := false
	err = h.LoadDatabase(t.Context(), load, func(int64) {
		if !killed {
			killed = true
			kill(t, h, "mariadbd")
		}
	})
	if err == nil {
		t.Error("loading into a server that dies succeeds")
	}
	if err := unix.Access(r.Path("/root/whole.sql"), unix.R_OK); err != nil {
		t.Error(err)
	}
}

// A load sets back neither what tables number their rows by nor the counters that are named, and raises
// nothing that stands higher.
func TestLoadKeepsNumbers(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	conn := host.DatabaseConn{User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	made, err := h.DumpDatabase(t.Context(), host.DumpRequest{Conn: conn, Path: "/root/z.sql", Compression: "none"}, nil)
	must(t, err)
	setting := func(name string) string {
		return strings.TrimSpace(r.SQL("SELECT HEX(value) FROM zarafa.settings WHERE name = '" + name + "'"))
	}
	next := func(table string) uint64 {
		return host.NextNumber(strings.ReplaceAll(r.SQL("SHOW CREATE TABLE zarafa."+table), `\n`, "\n"))
	}
	counter := func(name, form, least string) host.Counter {
		return host.Counter{Table: "settings", Key: "name", Name: name, Value: "value", Form: form, Least: least}
	}
	before := next("names")
	load := host.LoadRequest{
		Conn: conn, Path: "/root/z.sql", Compression: "none", SHA256: made.SHA256,
		Next: map[string]uint64{"singleinstances": 5000, "names": 2, "newtable": 7},
		Counters: []host.Counter{
			counter("imapseq", "decimal", "393031"), // 901
			counter("source_key_auto_increment", "little-endian", "0002000000000000"),
			counter("server_guid", "decimal", "39"), // no number
			counter("nothing", "decimal", "39"),
		},
	}
	guid := setting("server_guid")
	must(t, h.LoadDatabase(t.Context(), load, nil))
	for name, want := range map[string]string{"imapseq": "393031", "source_key_auto_increment": "0002000000000000", "server_guid": guid} {
		if got := setting(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := next("singleinstances"); got != 5000 {
		t.Errorf("the next attachment is number %d", got)
	}
	if got := next("names"); got != before || before < 3 {
		t.Errorf("the next name is number %d, was %d", got, before)
	}
	r.SQL("USE zarafa; INSERT INTO singleinstances (hierarchyid, tag) VALUES (999, 1)")
	if got := strings.TrimSpace(r.SQL("SELECT instanceid FROM zarafa.singleinstances WHERE hierarchyid = 999")); got != "5000" {
		t.Errorf("the attachment got number %s", got)
	}
	load.Counters = []host.Counter{counter("imapseq", "decimal", "39")}
	load.Next = nil
	must(t, h.LoadDatabase(t.Context(), load, nil))
	if got := setting("imapseq"); len(got) != 4 || got == "39" {
		t.Errorf("a counter was set back to %s", got)
	}
}
