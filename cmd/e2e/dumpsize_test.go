package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/story"
)

// dumper dumps a database as a given user, and says how large the database was thought to be.
const dumper = `"""Dump the database."""

def dump(user, password):
    """Dump the database, compressed in every way."""
    conn = mysql.connection({"mysql_user": user, "mysql_password": password, "mysql_database": "zar-afa"})
    facts = mysql.facts(conn)
    print("%d by the statistics; at most %d by %s; doubt: %s" % (facts.bytes, facts.most, facts.source, facts.doubt))
    for compression in ["zstd", "gzip", "none"]:
        mysql_dump(conn, "/var/backups/%s.%s" % (user, compression), compression)

runbook = define(
    steps = [dump],
    params = [param("user", doc = "it"), param("password", doc = "it", default = "")],
    allow = policy(write = ["/var/backups"], databases = ["*"]),
)
`

// largeObjects fills a table with random bytes that its statistics do not tell of: they are not made
// again when rows grow.
func (r *Root) largeObjects(objects, size int) (bytes int64) {
	r.t.Helper()
	r.SQL("CREATE DATABASE `zar-afa`; USE `zar-afa`; CREATE TABLE lob (id INT PRIMARY KEY, val LONGBLOB) ENGINE=InnoDB STATS_PERSISTENT=1 STATS_AUTO_RECALC=0")
	for i := range objects {
		object := make([]byte, size)
		_, _ = rand.Read(object)
		r.SQL(fmt.Sprintf("INSERT INTO `zar-afa`.lob VALUES (%d, 0x%s)", i, hex.EncodeToString(object)))
	}
	return int64(objects * size)
}

// TestDumpIsNoLargerThanSaid lets a simulation guess how large dumps get, by each source that it has, and
// makes them.
func TestDumpIsNoLargerThanSaid(t *testing.T) {
	t.Parallel()
	r := NewRoot(t)
	r.StartMariaDB()
	r.WriteFile("/root/dumper.star", dumper, 0o600)
	held := r.largeObjects(8, 2<<20)
	r.SQL("CREATE USER poor@localhost; GRANT ALL ON `zar-afa`.* TO poor@localhost; CREATE USER rich@localhost; GRANT ALL ON *.* TO rich@localhost")
	for _, tc := range []struct {
		user, source string
		hide         bool // the server's files
		sure         bool
	}{
		{"rich", "by its tablespaces (information_schema.INNODB_SYS_TABLESPACES); doubt: \n", true, true},
		{"poor", "by its files below /var/lib/mysql; doubt: \n", false, true},
		{"poor", "by the server's statistics; doubt: the server's statistics are guesses, and its tablespaces cannot be seen: user poor lacks the right PROCESS", true, false},
	} {
		guess := r.guessDump(tc.user, tc.hide)
		if !strings.Contains(guess.printed, tc.source) {
			t.Errorf("%s: it is said that %s\nwant %q", tc.user, guess.printed, tc.source)
		}
		if doubted := strings.Contains(guess.why, "may be larger"); doubted == tc.sure || len(guess.bytes) != 3 {
			t.Errorf("%s: guesses %v, %q", tc.user, guess.bytes, guess.why)
		}
		if !tc.sure {
			continue
		}
		made := r.makeDumps(tc.user)
		for i, bytes := range made {
			if bytes < held/2 || bytes > guess.bytes[i] || guess.bytes[i] > 3*bytes {
				t.Errorf("%s: dump %d has %d bytes, the guess was %d; %d are held", tc.user, i, bytes, guess.bytes[i], held)
			}
		}
	}
}

// guess is what a simulation says of dumps.
type guess struct {
	printed, why string
	bytes        []int64
}

// guessDump simulates the dumps. With hide the simulation does not see the server's files, which the server does.
func (r *Root) guessDump(user string, hide bool) (g guess) {
	r.t.Helper()
	cmd := r.program("simulate", "/root/dumper.star", "--live", "--json", "--param", "user="+user)
	if hide {
		hidden := r.Command("/usr/bin/unshare", append([]string{"--mount", "/bin/sh", "-c", `mount -t tmpfs none /var/lib/mysql && exec "$0" "$@"`}, cmd.Args...)...)
		hidden.Env, cmd = cmd.Env, hidden
	}
	res := r.Finish(cmd)
	if res.Code != 0 {
		r.t.Fatalf("simulate: exit status %d\n%s", res.Code, res.Output)
	}
	for line := range strings.Lines(res.Output) {
		var e story.Event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		switch {
		case e.Kind == story.Output:
			g.printed += e.Text + "\n"
		case e.Kind == story.UnpredictedIs && strings.HasPrefix(e.Unpredicted.What, "content and size of the dump"):
			g.why = e.Unpredicted.Why
		case e.Kind == story.ChangeBegin && e.Action == "db.dump":
			g.bytes = append(g.bytes, e.Detail.Bytes)
		}
	}
	return g
}

// makeDumps makes the dumps, and takes them away again.
func (r *Root) makeDumps(user string) (bytes []int64) {
	r.t.Helper()
	if res := r.Zcp2kopano("run", "/root/dumper.star", "--yes", "--param", "user="+user); res.Code != 0 {
		r.t.Fatalf("run: exit status %d\n%s", res.Code, res.Output)
	}
	for _, compression := range []string{"zstd", "gzip", "none"} {
		var n int64
		if _, err := fmt.Sscan(r.Must("stat", "-c", "%s", "/var/backups/"+user+"."+compression), &n); err != nil {
			r.t.Fatal(err)
		}
		bytes = append(bytes, n)
	}
	r.Must("sh", "-c", "rm /var/backups/"+user+".*")
	return bytes
}
