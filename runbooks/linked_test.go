package runbooks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
)

// TestRollbackOfLinkedConfig goes back on hosts whose configuration files are symlinks to where the site
// keeps them: a purge deletes what they lead to.
func TestRollbackOfLinkedConfig(t *testing.T) {
	const tree = "-- tree --\n"
	for _, r := range []route{
		{name: "of ZCP", fixture: crashFixture, edits: []string{
			"-- /etc/zarafa/server.cfg", "-- /srv/site/server.cfg",
			tree, tree + "l root:root - - /etc/zarafa/server.cfg -> ../../srv/site/server.cfg\n",
		}},
		{name: "of ZCP, switched off", fixture: crashFixture, edits: []string{
			"\n /etc/logrotate.d/zarafa\n", "\n /etc/logrotate.d/zarafa edited\n", "-- /etc/logrotate.d/zarafa --", "-- /etc/logrotate.d/apt --",
			tree, tree + "p0600 root:root - - /srv/null\nl root:root - - /etc/logrotate.d/zarafa -> /srv/null\n",
		}},
		{name: "of Kopano, from an earlier attempt", fixture: crashFixture, edits: []string{
			tree, "-- /srv/site/logrotate --\ndaily\n" + tree + "l root:root - - /etc/logrotate.d/kopano -> /srv/site/logrotate\n",
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			g := newGoal(t, r)
			w := g.kit.world(t)
			if v := w.run(g.kit, &trap{}); v.Code != exit.Done {
				t.Fatal(v.Text)
			}
			if err := g.rolledBack(w); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRollbackKeepsWhatLinksLeadTo goes back after the admin has put a symlink in the place of a configuration
// file: what it leads to is kept first.
func TestRollbackKeepsWhatLinksLeadTo(t *testing.T) {
	g := newGoal(t, mainRoute)
	w := g.kit.world(t)
	if v := w.run(g.kit, &trap{}); v.Code != exit.Done {
		t.Fatal(v.Text)
	}
	const path, real = "/etc/logrotate.d/kopano", "/srv/site.logrotate"
	for _, err := range []error{w.host.Unlink(path), w.host.Symlink(real, path), w.host.Files().PutFile(real, []byte("mine\n"), 0o644, 0, 0, w.host.Now())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.rollback(g.kit, &trap{})
	store := action.Store{Host: w.host, Dir: "/var/lib/zcp2kopano/runs/r1/backup"}
	changed, err := store.Changed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(changed); !strings.Contains(text, real) {
		t.Errorf("kept as changed since: %s", text)
	}
}
