package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// secretKey is one that no check of words finds by its form.
const secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzKEY"

// TestOtherStorages migrates sites whose attachments are in the database, or in S3, and goes back behind the first start of
// kopano-server: nothing is moved, every attachment is read, and no number is given twice. It makes a sample, with make
// crash both.
func TestOtherStorages(t *testing.T) {
	t.Parallel()
	store := ObjectStore{Bucket: "mail", ID: "AKIAEXAMPLE", Secret: secretKey}
	type storage struct {
		name     string
		settings []string
		returns  bool // what Kopano deletes comes back with the dump
	}
	storages := []storage{
		{name: "database", returns: true, settings: []string{"attachment_storage = files", "attachment_storage = database"}},
		{name: "s3", settings: []string{
			"attachment_storage = files", "attachment_storage = s3", "attachment_path = /var/lib/zarafa/attachments", "attachment_path = mail1",
			"#attachment_s3_hostname = s3-eu-west-1.amazonaws.com", "attachment_s3_hostname = " + storeAddress,
			"#attachment_s3_protocol = https", "attachment_s3_protocol = http", "#attachment_s3_uristyle = virtualhost", "attachment_s3_uristyle = path",
			"#attachment_s3_accesskeyid = ", "attachment_s3_accesskeyid = " + store.ID,
			"#attachment_s3_secretaccesskey = ", "attachment_s3_secretaccesskey = " + store.Secret,
			"#attachment_s3_bucketname = ", "attachment_s3_bucketname = " + store.Bucket,
		}},
	}
	for _, tc := range chance.Pick(t, storages, 1, func(storage) int { return 0 }) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := NewSite(t)
			r.BindRepositories()
			r.StartObjectStore(store)
			r.Must("service", "zarafa-server", "stop")
			r.Edit("/etc/zarafa/server.cfg", tc.settings...)
			r.Must("rm", "-rf", "/var/lib/zarafa/attachments")
			r.SQL("USE zarafa; DELETE FROM singleinstances; DELETE FROM settings WHERE name = 'attachment_storage'")
			r.Must("service", "zarafa-server", "start")
			zcp, kopano := r.Server("/run/zarafad/server.sock"), r.Server(kopanoSocket)
			r.until("ZCP serves", func() bool { return zcp.Serves() == nil })
			large := strings.Repeat("of three pieces ", 60_000)
			mails := map[string]Mail{}
			for _, content := range []string{"to stay", large, "to be deleted with Kopano"} {
				mails[content] = zcp.Deliver(content)
			}
			before, content, objects := r.State(), unnumbered(dumped(r)), r.Objects(store.Bucket)
			reads := func(s *Server, contents ...string) {
				t.Helper()
				for _, content := range contents {
					if got := s.Read(mails[content].ID); got != content {
						t.Errorf("of %.40q is read %.40q", content, got)
					}
				}
			}

			m := Migration{Repository: "kopano84"}
			simulated := rehearse(t, r, Simulation{Migration: m, Back: true}, before)
			res := r.Migrate(m)
			if res.Code != exit.Done {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			compareEnds(t, simulated, r.State())
			noSecrets(t, r, res.Output, secretKey)
			for i := 1; i < len(tc.settings); i += 2 {
				if got := r.ReadFile("/etc/kopano/server.cfg"); !strings.Contains(got, tc.settings[i]+"\n") {
					t.Errorf("server.cfg does not say %q", tc.settings[i])
				}
			}
			if diff := cmp.Diff(objects, r.Objects(store.Bucket)); diff != "" {
				t.Errorf("the objects (-before +after):\n%s", diff)
			}
			reads(kopano, "to stay", large, "to be deleted with Kopano")
			mails["with Kopano"] = kopano.Deliver("with Kopano")
			kopano.Delete(mails["to be deleted with Kopano"].ID)

			back := r.Zcp2kopano("rollback", "--restore-database", "--yes")
			if back.Code != exit.Done {
				t.Fatalf("rollback: exit status %d\n%s", back.Code, back.Output)
			}
			noSecrets(t, r, back.Output, secretKey)
			compareWaysBack(t, simulated.Back, compareBack(t, r, before))
			if unnumbered(dumped(r)) != content {
				t.Error("the database is not as it was before the run")
			}
			r.until("ZCP serves again", func() bool { return zcp.Serves() == nil })
			reads(zcp, "to stay", large)
			if tc.returns {
				reads(zcp, "to be deleted with Kopano")
			} else if !strings.Contains(squeezed(back.Output), "only come back from the bucket's versioning") {
				t.Errorf("the rollback does not say what it cannot bring back from S3:\n%s", back.Output)
			}
			mails["with ZCP again"] = zcp.Deliver("with ZCP again")
			if now := mails["with ZCP again"].Number; now <= mails["with Kopano"].Number {
				t.Errorf("the number %d is given again, which Kopano had given by %d", now, mails["with Kopano"].Number)
			}
			reads(zcp, "with ZCP again")
		})
	}
}
