package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// leftBefore is what is there of Kopano before the run: configuration files of its packages, and others.
var leftBefore = []string{"/etc/kopano/server.cfg", "/etc/kopano/own/notes", "/etc/default/kopano", "/etc/logrotate.d/kopano"}

// changedSince is what somebody changes before the rollback, or adds to a directory that the run made.
var changedSince = []string{"/etc/kopano/server.cfg", "/etc/kopano/dagent.cfg", "/var/lib/kopano/attachments/later/7"}

// TestRestoredDatabase goes back beyond the first start of kopano-server, after a rollback that left the database as it
// was. TestRoutes does it at once.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	for _, path := range leftBefore {
		r.WriteFile(path, "# from an earlier attempt\n", 0o600)
	}
	r.WriteFile("/etc/default/kopano", "# from an earlier attempt\nDAGENT_OPTS=-d\n", 0o600) // without which no dagent stays
	// The rights of ZCP's manual, and a report that the database's root has made.
	r.SQL("REVOKE ALL ON *.* FROM zarafa@localhost; GRANT ALL ON zarafa.* TO zarafa@localhost;" +
		"CREATE VIEW zarafa.report AS SELECT COUNT(*) AS n FROM zarafa.stores; CREATE EVENT zarafa.nightly ON SCHEDULE EVERY 1 DAY DO SELECT 1")
	before, content := r.State(), unnumbered(dumped(r))
	if res := r.Migrate(Migration{Repository: "kopano84"}); res.Code != 0 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	r.SQL("INSERT INTO zarafa.names (id, nameid, namestring, guid) VALUES (31000, NULL, 'since', 'x')")
	upgraded := dumped(r)
	for _, path := range changedSince {
		r.WriteFile(path, "# changed since\n", 0o644)
	}
	if res := r.Zcp2kopano("rollback", "--yes"); res.Code != 4 || !strings.Contains(res.Output, "rollback --restore-database") || dumped(r) != upgraded {
		t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
	}
	r.SQL("USE zarafa; CREATE TABLE passing (since INT); CREATE VIEW idle AS SELECT since FROM passing; DROP TABLE passing") // which no client dumps
	if res := r.Zcp2kopano("rollback", "--yes", "--restore-database"); res.Code != 0 || !strings.Contains(res.Output, "with the database restored") {
		t.Fatalf("rollback with the database: exit status %d\n%s", res.Code, res.Output)
	}
	if got := r.SQL("SELECT definer FROM information_schema.events; SHOW CREATE VIEW zarafa.idle; DROP VIEW zarafa.idle"); !strings.Contains(got, "root@localhost") || !strings.Contains(got, "passing") {
		t.Errorf("the event and the view that stayed: %s", got)
	}
	restored := dumped(r)
	if unnumbered(restored) != content {
		t.Error("the database is not as it was before the run")
	}
	if !strings.Contains(restored, "AUTO_INCREMENT=31001 ") {
		t.Error("the number 31000 of table names will be given again")
	}
	compareBack(t, r, before)
	for _, path := range changedSince {
		if kept := r.ReadFile(theRun(t, r) + "/backup/since" + path); kept != "# changed since\n" {
			t.Errorf("of the changed %s is kept: %q", path, kept)
		}
	}
	r.SQL("CREATE DATABASE look; USE look; " + unpacked(t, r.ReadFile("/var/backups/zcp2kopano/zarafa-replaced.sql.zst")))
	if got := strings.TrimSpace(r.SQL("SELECT namestring FROM look.names WHERE id = 31000")); got != "since" {
		t.Errorf("what came since the upgrade is not in the second dump: %q", got)
	}
	if res := r.Zcp2kopano("rollback", "--yes"); res.Code != 1 || !strings.Contains(res.Output, "nothing to undo") {
		t.Errorf("once more: exit status %d\n%s", res.Code, res.Output)
	}
}

// theRun is the directory of the one run that was made.
func theRun(t *testing.T, r *Root) string {
	t.Helper()
	const runs = "/var/lib/zcp2kopano/runs"
	list, err := os.ReadDir(r.Path(runs))
	if err != nil || len(list) != 1 {
		t.Fatalf("%d runs (%v)", len(list), err)
	}
	return runs + "/" + list[0].Name()
}

func unpacked(t *testing.T, data string) string {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll([]byte(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unnumbered leaves out of a dump which number each table gives to its next row: a restore does not set
// that back.
func unnumbered(dump string) string {
	return regexp.MustCompile(` AUTO_INCREMENT=[0-9]+`).ReplaceAllString(dump, "")
}

// dumped is the content of the database.
func dumped(r *Root) string {
	return r.Must("mysqldump", "--no-defaults", "-uroot", "--skip-comments", "--hex-blob", "--routines", "zarafa")
}
