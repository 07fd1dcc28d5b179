package action

import (
	"strings"
	"testing"
)

// TestCopyShowsDifference: what a copy changes in a configuration file is shown, its secrets are not.
func TestCopyShowsDifference(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	env := newEnv(h)
	put(t, h, "/srv/new.cfg", "a = 1\nmysql_password = hunter22\nb = 33\n", 0o640, 0, 0)
	put(t, h, "/etc/old.cfg", "a = 1\nmysql_password = hunter11\nb = 2\n", 0o640, 0, 0)
	a := &Copy{From: "/srv/new.cfg", To: "/etc/old.cfg", Overwrite: true}
	if changes, err := a.Prepare(env); err != nil || !changes {
		t.Fatal(changes, err)
	}
	d, err := a.Detail(env)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.Diff, "-b = 2\n") || !strings.Contains(d.Diff, "+b = 33\n") || strings.Contains(d.Diff, "hunter") {
		t.Errorf("%s", d.Diff)
	}
}
