package e2e

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/hosttest/chance"
)

// TestNobodyIsShownOthersMail delivers and deletes mail with Kopano, goes back with the dump, and delivers
// with ZCP again, which reuses every number that the dump does not know: nobody may see what another has
// got. It makes a sample, with make crash all.
func TestNobodyIsShownOthersMail(t *testing.T) {
	t.Parallel()
	type way struct {
		name   string
		params []string
		stages [][]string
		place  string // where the site has its attachments, if it is another
		purge  string // what the script of kopano-server does when it is purged
	}
	ways := []way{
		{name: "moved", stages: [][]string{{"--restore-database"}}},
		{name: "moved, restored later", stages: [][]string{nil, {"--restore-database"}}},
		{name: "kept", params: []string{"attachments=keep", "dump=stopped"}, stages: [][]string{{"--restore-database"}}},
		{
			name: "in Kopano's place, which its purge deletes", stages: [][]string{{"--restore-database"}}, place: "/var/lib/kopano/attachments",
			purge: `[ "$1" != purge ] || rm -rf /var/lib/kopano/attachments`, // as Debian's does
		},
	}
	for _, tc := range chance.Pick(t, ways, 2, func(w way) bool { return w.place != "" }) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := NewSite(t)
			r.BindRepositories()
			if tc.place != "" {
				r.Must("mkdir", "-p", path.Dir(tc.place))
				r.Must("service", "zarafa-server", "stop")
				r.Must("mv", "/var/lib/zarafa/attachments", tc.place)
				r.Must("sed", "-i", "s#/var/lib/zarafa/attachments#"+tc.place+"#", "/etc/zarafa/server.cfg")
				r.Must("service", "zarafa-server", "start")
				r.until("ZCP serves", func() bool { return r.Server("/run/zarafad/server.sock").Serves() == nil })
			}
			r.SQL("ALTER TABLE zarafa.singleinstances AUTO_INCREMENT = 1000000") // behind the files that the site has
			zcp := r.Server("/run/zarafad/server.sock")
			mails := map[int64]string{}
			deliver := func(s *Server, who string, n int) (last Mail) {
				for i := range n {
					content := fmt.Sprintf("%s %d", who, i)
					last = s.Deliver(content)
					mails[last.ID] = content
				}
				return last
			}
			old := deliver(zcp, "before", 3)

			if res := r.Migrate(Migration{Repository: "kopano84", Params: tc.params}); res.Code != 0 {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			kopano := r.Server("/run/kopano/server.sock")
			inDump := len(mails)
			var newer []int64
			for i := range 12 {
				m := kopano.Deliver(fmt.Sprintf("with Kopano %d", i))
				newer = append(newer, m.ID)
				if i%2 == 0 { // as if it were not compressed: such a file is read first
					r.Must("find", "/var/lib", "-name", fmt.Sprintf("%d.gz", m.Number), "-exec", "gunzip", "{}", ";")
				}
			}
			kopano.Delete(old.ID)
			kopano.Delete(newer[11])

			if tc.purge != "" {
				r.Behave("kopano-server.postrm", tc.purge)
			}
			var said string
			for _, more := range tc.stages {
				res := r.Zcp2kopano(append([]string{"rollback", "--yes"}, more...)...)
				if len(more) > 0 && res.Code != 0 {
					t.Errorf("rollback %v: exit status %d\n%s", more, res.Code, res.Output)
				}
				said += strings.Join(strings.Fields(res.Output), " ")
			}
			for _, want := range []string{
				"11 messages that are newer than the dump",
				"/var/backups/zcp2kopano/zarafa-replaced.sql.zst",
				"11 files came to",
				"1 file was deleted from",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("the rollback does not tell %q:\n%s", want, said)
				}
			}
			if len(mails) != inDump {
				t.Fatal("the test counts wrong")
			}
			r.until("ZCP serves again", func() bool { return zcp.Serves() == nil })
			deliver(zcp, "after", 15)
			for id, content := range mails {
				if got := zcp.Read(id); got != content {
					t.Errorf("mail %d holds %q, should hold %q", id, got, content)
				}
			}
			kept := r.Must("find", theRun(t, r)+"/backup/since", "-type", "f")
			if n := strings.Count(kept, "/attachments/"); n != 11 {
				t.Errorf("%d attachments of the new mail are kept:\n%s", n, kept)
			}
		})
	}
}
