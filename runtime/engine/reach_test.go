package engine

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

const keptHost = `-- host --
hostname: mini.example.org
-- tree --
d0755 root:root - - /var/lib
d0700 root:root - - /var/lib/zcp2kopano
d0700 root:root - - /var/lib/zcp2kopano/runs
d0700 root:root - - /var/lib/zcp2kopano/runs/r1
f0600 root:root - - /var/lib/zcp2kopano/runs/r1/secrets
d0755 root:root - - /var/lib/zcp2kopano-not
f0644 root:root - - /var/lib/zcp2kopano-not/x
d0755 root:root - - /srv
l0777 root:root - - /srv/in -> /var/lib/zcp2kopano
l0777 root:root - - /srv/deep -> in/runs/r1
l0777 root:root - - /srv/lib -> /var/lib
`

// TestNoRunbookReadsTheState tries each way to read what is kept of runs, by each name that it has.
func TestNoRunbookReadsTheState(t *testing.T) {
	f, err := sim.ReadFixture([]byte(keptHost))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	v := reach{h, []string{"/var/lib/zcp2kopano"}, &Run{}}
	ways := map[string]func(name string) error{
		"Open":     func(name string) error { _, err := v.Open(name); return err },
		"ReadDir":  func(name string) error { _, err := v.ReadDir(name); return err },
		"OpenTree": func(name string) error { _, err := v.OpenTree(name); return err },
		"Getxattr": func(name string) error { _, err := v.Getxattr(name, "user.x"); return err },
		"Readlink": func(name string) error { _, err := v.Readlink(name + "/x"); return err },
		"a source": v.judgeTree,
	}
	for _, name := range []string{
		"/var/lib/zcp2kopano", "/var/lib/zcp2kopano/runs", "/var/lib/zcp2kopano/runs/r1", "/var/lib/zcp2kopano/runs/r1/secrets", "/var/lib/zcp2kopano/lock",
		"/srv/in", "/srv/in/runs/r1/secrets", "/srv/deep", "/srv/deep/secrets", "/srv/lib/zcp2kopano/runs", "/var/lib/../lib/zcp2kopano", "/var/lib/zcp2kopano-not/../zcp2kopano/runs",
	} {
		for way, try := range ways {
			if err := try(name); err == nil || !strings.Contains(err.Error(), "no runbook can read") {
				t.Errorf("%s of %s: %v", way, name, err)
			}
		}
	}
	for _, name := range []string{"/", "/var", "/var/lib", "/srv/lib", "/srv/lib/../lib"} {
		if err := v.judgeTree(name); err == nil || !strings.Contains(err.Error(), "no runbook can take all of") {
			t.Errorf("%s as a source: %v", name, err)
		}
	}
	for _, name := range []string{"/var/lib/zcp2kopano-not/x", "/srv/lib/zcp2kopano-not/x"} {
		if _, err := v.Open(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := v.judgeTree(name); err != nil {
			t.Errorf("%s as a source: %v", name, err)
		}
	}
	for _, a := range []action.Action{&action.Copy{From: "/srv"}, &action.Presync{From: "/srv"}} {
		if r, ok := a.(action.Reader); !ok || r.Source() != "/srv" {
			t.Errorf("%s does not say what it takes", a.Kind())
		}
	}
	// step by step, from above it
	var d host.DirReader
	if d, err = v.OpenTree("/srv/lib/.."); err != nil {
		t.Fatal(err)
	}
	if d, err = d.OpenDir("lib"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenDir("zcp2kopano"); err == nil || !strings.Contains(err.Error(), "no runbook can read") {
		t.Errorf("from above: %v", err)
	}
	if _, err := d.OpenDir("zcp2kopano-not"); err != nil {
		t.Error(err)
	}
	// that it is there, and how much space there is, may be asked
	if _, err := v.Lstat("/var/lib/zcp2kopano"); err != nil {
		t.Error(err)
	}
	if _, err := v.Statfs("/var/lib/zcp2kopano"); err != nil {
		t.Error(err)
	}
	if v.logOf("/srv/deep/secrets") != "" || v.logOf("/var/log/mail.log") != "/var/log/mail.log" {
		t.Error("the log of a service can be a file of the state")
	}
}
