package e2e

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/manifest"
)

// hanging is a script that does not end, nor heeds a SIGTERM.
const hanging = "echo waiting for a better world; trap '' TERM; touch /run/bed/hanging; while :; do sleep 1; done"

// TestBrokenScript has a maintainer script of the new packages fail, or hang, within a whole migration: the run says
// which, and why, and the rollback takes away what could not be set up. The machine is as it was.
func TestBrokenScript(t *testing.T) {
	t.Parallel()
	for turn, c := range []struct{ name, patience, script, cause string }{
		{"fails", "1800", "echo no luck; exit 3", "package kopano-server: its post-installation script (postinst)"},
		{"hangs", "60", hanging, "the maintainer script kopano-server.postinst had not ended after 1m0s and was ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onOneInit(t, turn, func(t *testing.T, r *Root) {
				r.BindRepositories()
				r.Behave("kopano-server.postinst", c.script)
				before := r.State()
				repository, _ := r.newest()
				res := r.Migrate(Migration{Repository: repository, Params: []string{"script_patience=" + c.patience}})
				if res.Code != 1 || !strings.Contains(squeezed(res.Output), c.cause) {
					t.Fatalf("exit status %d; want %q\n%s", res.Code, c.cause, res.Output)
				}
				if res := r.Zcp2kopano("rollback", "--yes"); res.Code != 0 {
					t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
				}
				if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
					t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
				}
				if err := r.Server("/run/zarafad/server.sock").Serves(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSecondInterrupt breaks off, by a second Ctrl-C, a transaction that dpkg is in the middle of. What that means is
// told, and both ways are open.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	for turn, way := range []struct {
		name string
		goes func(*Root) Result
	}{
		{"rollback", func(r *Root) Result { return r.Zcp2kopano("rollback", "--yes") }},
		{"resume", func(r *Root) Result {
			r.Behave("kopano-server.postinst")
			return r.Zcp2kopano("resume")
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			onOneInit(t, turn, func(t *testing.T, r *Root) {
				r.BindRepositories()
				r.Behave("kopano-server.postinst", hanging)
				before := r.State()
				repository, target := r.newest()
				on := r.OnTerminal(r.MigrateCommand(Migration{Repository: repository}))
				r.await(t, "the hanging script", func() bool { return r.exists("/run/bed/hanging") })
				on.Type("\x03")
				on.Expect("Ctrl-C again breaks it off")
				on.Type("\x03")
				res := on.Finish()
				for _, text := range []string{"was broken off", "half", "resume", "rollback"} {
					if res.Code != 130 || !strings.Contains(squeezed(res.Output), text) {
						t.Errorf("exit status %d; want %q\n%s", res.Code, text, res.Output)
					}
				}
				if res := way.goes(r); res.Code != 0 {
					t.Fatalf("exit status %d\n%s", res.Code, res.Output)
				}
				if way.name == "resume" {
					everythingRunsAt(t, r, target)
					return
				}
				if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
					t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
				}
			})
		})
	}
}
