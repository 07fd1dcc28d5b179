package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/manifest"
)

// kills is how many runs TestKilledRuns kills.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ZCP2KOPANO_KILLS"))
	if err != nil {
		return 4
	}
	return n
}

// TestKilledRuns kills a migration with all that it started, at any moment. A rollback must then give
// the host back as it was, or a resume bring it to the end.
func TestKilledRuns(t *testing.T) {
	for i := range kills(t) {
		after := time.Second + rand.N(6*time.Second)
		back := i%2 == 0
		t.Run(map[bool]string{true: "rollback", false: "resume"}[back]+strconv.Itoa(i), func(t *testing.T) {
			r := NewSite(t)
			r.BindRepositories()
			t.Logf("killed after %v", after)
			before := r.State()
			cmd := r.MigrateCommand(Migration{Repository: "kopano84"})
			if err := r.Start(cmd); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after)
			// The worker has a session of its own; only the root's processes can be seen from inside.
			r.Run("pkill", "-KILL", "-x", "zcp2kopano|apt-get|dpkg|dpkg-deb|mysqldump|mariadb-dump")
			cmd.Wait()
			for r.Run("pgrep", "-x", "zcp2kopano").Code == 0 {
				time.Sleep(20 * time.Millisecond)
			}
			if back {
				goesBack(t, r, before)
				return
			}
			goesOn(t, r)
		})
	}
}

func goesBack(t *testing.T, r *Root, before *manifest.Manifest) {
	res := r.Zcp2kopano("rollback", "--yes")
	t.Logf("rollback: exit status %d\n%s", res.Code, res.Output)
	if strings.Contains(res.Output, "upgrades the database") {
		// The server had started: the database needs the dump, and the old server may not run without it.
		if res.Code != 4 {
			t.Errorf("exit status %d, want 4", res.Code)
		}
		if r.Run("test", "-s", "/var/backups/zcp2kopano/zarafa.sql.zst").Code != 0 {
			t.Error("the dump, which alone leads back, is gone")
		}
		before, after := withoutServices(before), withoutServices(r.State())
		for path := range after.Files {
			// The dump stays, and so do the logs that the daemons wrote.
			if strings.HasPrefix(path, "/var/backups/zcp2kopano") || strings.HasPrefix(path, "/var/log/kopano") {
				delete(after.Files, path)
			}
		}
		if diffs := manifest.Compare(before, after, nil); len(diffs) != 0 {
			t.Errorf("beyond the database, the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
		}
		return
	}
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
}

func goesOn(t *testing.T, r *Root) {
	if res := r.Zcp2kopano("resume", "--yes"); res.Code != 0 {
		t.Fatalf("resume: exit status %d\n%s", res.Code, res.Output)
	}
	serverSettings(t, r, "/var/lib/kopano/attachments")
	everythingRuns(t, r)
}

func withoutServices(m *manifest.Manifest) *manifest.Manifest {
	return &manifest.Manifest{Files: m.Files, Packages: m.Packages}
}
