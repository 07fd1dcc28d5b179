package runbooks_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/testdata/hosts"
)

const (
	attachmentDisk = "/var/lib/zarafa/attachments nas:/mail ext4 100G 90G"
	attachmentLine = "nas:/mail\t/var/lib/zarafa/attachments nfs4 rw,noatime 0 0 # mail\n"
)

// TestStockRemounts mounts the attachments at Kopano's place, by their line in fstab.
func TestStockRemounts(t *testing.T) {
	const head = "# edited by hand\n/dev/sda1 / ext4 errors=remount-ro 0 1\n"
	for _, tc := range []struct {
		name   string
		mounts []string
		fstab  string
		reason string // why not
	}{
		{name: "a mount of their own", mounts: []string{attachmentDisk}, fstab: head + attachmentLine},
		{name: "no mount", fstab: head, reason: "they lie on /"},
		{name: "a mount that holds more", mounts: []string{"/var/lib/zarafa /dev/sdb1 ext4 100G 90G"}, fstab: head + "/dev/sdb1 /var/lib/zarafa ext4\n", reason: "they are no mount of their own: they lie on /var/lib/zarafa"},
		{name: "no line", mounts: []string{attachmentDisk}, fstab: head, reason: "/etc/fstab has no line for /var/lib/zarafa/attachments"},
		{name: "two lines", mounts: []string{attachmentDisk}, fstab: attachmentLine + attachmentLine, reason: "has 2 lines"},
		{name: "automount", mounts: []string{attachmentDisk}, fstab: strings.Replace(attachmentLine, "noatime", "x-systemd.automount", 1), reason: "whenever somebody looks at it"},
		{name: "a mount below", mounts: []string{attachmentDisk, "/var/lib/zarafa/attachments/5 /dev/sdc1 ext4 10G 9G"}, fstab: head + attachmentLine, reason: "there are mounts below it: /var/lib/zarafa/attachments/5"},
		{name: "shown elsewhere", mounts: []string{attachmentDisk}, fstab: attachmentLine + "/var/lib/zarafa/attachments/5 /srv/five none bind\n", reason: "rest on it: those of /srv/five"},
		{name: "a line for Kopano's place", mounts: []string{attachmentDisk}, fstab: attachmentLine + "/dev/sdx1 /var/lib/kopano/attachments ext4\n", reason: "or has a line in /etc/fstab"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string {
				dirs := ""
				for _, m := range tc.mounts {
					dirs += "d0755 root:root - - " + strings.Fields(m)[0] + "\n"
				}
				text = withMounts(t, append([]string{strings.TrimSpace(rootMount)}, tc.mounts...)...)(text)
				return strings.Replace(text, "-- tree --\n", "-- /etc/fstab --\n"+tc.fstab+"-- tree --\n"+dirs, 1)
			})
			played := playStock(t, h, map[string]string{"attachments": "remount"})
			if tc.reason != "" {
				if played.verdict.Code != exit.Inhibited || !slices.Contains(played.serious, "inhibitor: the attachments cannot be mounted elsewhere") ||
					!strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
					t.Errorf("%+v\n%s\n%s", played.verdict, strings.Join(played.serious, "\n"), strings.Join(played.reasons, "\n"))
				}
				return
			}
			if played.verdict.Code != exit.Done {
				t.Fatalf("%+v\n%s", played.verdict, strings.Join(played.serious, "\n"))
			}
			if got, want := textOf(t, h, "/etc/fstab"), strings.Replace(tc.fstab, "/zarafa/", "/kopano/", 1); got != want {
				t.Errorf("fstab:\n%s", got)
			}
			mounts, err := h.Mounts()
			if err != nil || !slices.ContainsFunc(mounts, func(m host.Mount) bool {
				return m.Point == "/var/lib/kopano/attachments" && m.Source == "nas:/mail"
			}) || slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Point == "/var/lib/zarafa/attachments" }) {
				t.Errorf("mounts: %+v, %v", mounts, err)
			}
			kopano, err := h.User("kopano")
			if err != nil {
				t.Fatal(err)
			}
			if st, err := h.Stat("/var/lib/kopano/attachments/5/0"); err != nil || st.UID != kopano.UID {
				t.Errorf("an attachment's directory: %+v, %v", st, err)
			}
			if text := textOf(t, h, "/etc/kopano/server.cfg"); strings.Contains(text, "/var/lib/zarafa/attachments") {
				t.Errorf("server.cfg:\n%s", text)
			}
			if slices.ContainsFunc(played.changes, func(c string) bool { return strings.Contains(c, "move the contents of /var/lib/zarafa/attachments") }) {
				t.Error("they are moved, too")
			}
		})
	}
}
