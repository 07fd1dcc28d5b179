package action

import (
	"strings"
	"testing"
)

// A name whose file has others elsewhere comes back as a file of its own, and that is told.
func TestLostHardLinkIsTold(t *testing.T) {
	h := newFake()
	env := newEnv(h)
	put(t, h, "/etc/a", "text", 0o644, 0, 0)
	must(t, h.PutDir("/root", 0o700, 0, 0))
	must(t, h.PutLink("/etc/a", "/root/a"))
	was, err := env.Store.Save("/etc/a")
	must(t, err)
	must(t, h.Unlink("/etc/a"))
	must(t, env.Store.Restore(was))
	left, err := env.Store.Compare(was)
	must(t, err)
	if len(left) != 1 || left[0] != "/etc/a: number of names (hard links) is 1, was 2" {
		t.Errorf("told: %q", left)
	}
}

// A backup that is damaged is told, and what is on the host stays.
func TestDamagedBackup(t *testing.T) {
	h := newFake()
	env := newEnv(h)
	put(t, h, "/etc/a", "before", 0o644, 0, 0)
	was, err := env.Store.Save("/etc/a")
	must(t, err)
	put(t, h, "/etc/a", "after", 0o644, 0, 0)
	if content, err := env.Store.Bytes(*was.Blob); err != nil || string(content) != "before" {
		t.Fatalf("kept %q, %v", content, err)
	}
	for name, damaged := range map[string]string{"other content": "befoRe", "cut short": "bef", "longer": "before and more"} {
		t.Run(name, func(t *testing.T) {
			put(t, h, env.Store.blobPath(*was.Blob), damaged, 0o600, 0, 0)
			if err := env.Store.Restore(was); err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("restore: %v", err)
			}
			if _, err := env.Store.Bytes(*was.Blob); err == nil {
				t.Error("it is read as if it were whole")
			}
			put(t, h, "/etc/b", "after", 0o644, 0, 0)
			want, err := env.Store.sum("/etc/b")
			must(t, err)
			if got, err := env.Store.sum("/etc/a"); got != want {
				t.Errorf("what was there is gone (%v)", err)
			}
		})
	}
	put(t, h, env.Store.blobPath(*was.Blob), "before", 0o600, 0, 0)
	must(t, env.Store.Restore(was))
	if left, err := env.Store.Compare(was); err != nil || len(left) > 0 {
		t.Errorf("restored in the end: %q, %v", left, err)
	}
}
