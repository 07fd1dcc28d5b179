package runbooks_test

import (
	"testing"

	"zcp2kopano/runtime"
)

// TestRollbackOfLinkedConfig goes back on a host whose configuration files are symlinks to where the site
// keeps them: the purge deletes what they lead to.
func TestRollbackOfLinkedConfig(t *testing.T) {
	g := newGoal(t, route{name: "linked configuration", fixture: crashFixture, edits: []string{
		"-- /etc/zarafa/server.cfg", "-- /srv/site/server.cfg",
		"-- tree --\n", "-- tree --\nl root:root - - /etc/zarafa/server.cfg -> ../../srv/site/server.cfg\n",
	}})
	w := g.kit.world(t)
	if v := w.run(g.kit, &trap{}); v.Code != runtime.CodeDone {
		t.Fatal(v.Text)
	}
	if err := g.rolledBack(w); err != nil {
		t.Error(err)
	}
}
