package fstab

import (
	"strings"
	"testing"
)

const table = `# <file system> <mount point>   <type>  <options>
UUID=3f1c / ext4 errors=remount-ro 0 1
/dev/sdb1	/var/lib/zarafa/attachments/	ext4	noatime,x-systemd.automount	0 2
   nas:/mail   /srv/old\040mail  nfs4  rw
/srv/old\040mail/a /srv/show none bind
/dev/sdb2 none swap sw 0 0
#/dev/sdc1 /srv/x ext4 defaults 0 2
`

// The point changes, and nothing else: comments, blanks, escapes and the order stay.
func TestMoved(t *testing.T) {
	got, err := Moved(table, "/var/lib/zarafa/attachments", "/var/lib/kopano/attachments")
	if want := strings.Replace(table, "/var/lib/zarafa/attachments/", "/var/lib/kopano/attachments", 1); err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	got, err = Moved(table, "/srv/old mail", `/srv/new mail\1`)
	if want := strings.Replace(table, `nas:/mail   /srv/old\040mail  nfs4`, `nas:/mail   /srv/new\040mail\1341  nfs4`, 1); err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	if back, err := Moved(got, `/srv/new mail\1`, "/srv/old mail"); err != nil || back != table {
		t.Errorf("%v\n%s", err, back)
	}
	for _, tc := range []struct{ text, from, to, want string }{
		{table, "/srv/x", "/srv/y", "has no line for /srv/x"},
		{table, "/srv/show", "/", "has a line for / already"},
		{table + "/dev/sdd1 /srv/show ext4\n", "/srv/show", "/srv/y", "has 2 lines for /srv/show"},
	} {
		if _, err := Moved(tc.text, tc.from, tc.to); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s to %s: %v, want %q", tc.from, tc.to, err, tc.want)
		}
	}
}

func TestAt(t *testing.T) {
	e, err := At(table, "/var/lib/zarafa/attachments")
	if err != nil || e.Source != "/dev/sdb1" || e.Type != "ext4" || !e.Has("x-systemd.automount") || e.Has("x-systemd") {
		t.Errorf("%+v, %v", e, err)
	}
}
