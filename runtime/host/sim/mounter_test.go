package sim

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
)

const mountedFixture = `-- host --
hostname: mounted
manager: apt 1.8
init: systemd
os-release.ID: debian
-- mounts --
/ /dev/sda1 ext4 100G 60G
/old /dev/sdb1 ext4 10G 9G
/old/below /dev/sdc1 ext4 10G 9G
-- /etc/fstab --
UUID=1234 /old ext4 noatime 0 2
/dev/sdd1 /never ext4 noatime 0 2
-- /old/mail --
mail
-- tree --
d0755 root:root 0 2018-01-01T00:00:00Z /new
d0755 root:root 0 2018-01-01T00:00:00Z /never
`

// A file system goes where fstab says, with all that it holds, its space and its device; the same over a machine.
func TestRemount(t *testing.T) {
	f, err := ReadFixture([]byte(mountedFixture))
	mustDo(t, err)
	below, err := f.Host(Options{})
	mustDo(t, err)
	over, err := FromView(below, Options{})
	mustDo(t, err)
	defer over.Close()
	for name, h := range map[string]*Host{"fixture": below.Clone(), "over a machine": over} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			st, err := h.Stat("/old")
			mustDo(t, err)
			if err := h.Unmount(ctx, "/old"); !errors.Is(err, syscall.EBUSY) {
				t.Fatalf("with a mount below: %v", err)
			}
			mustDo(t, h.Unmount(ctx, "/old/below"))
			mustDo(t, h.Unmount(ctx, "/old"))
			if err := h.Unmount(ctx, "/old"); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("once more: %v", err)
			}
			if entries, err := h.ReadDir("/old"); err != nil || len(entries) != 0 {
				t.Errorf("what comes to light: %v, %v", entries, err)
			}
			if known := !slices.ContainsFunc(h.Unpredicted(), func(u host.Unpredicted) bool { return u.Path == "/old" }); known != (name == "fixture") {
				t.Errorf("that this is not known is said: %v", !known)
			}
			mustDo(t, h.replaceTable(t, "UUID=1234 /new ext4 noatime 0 2\n/dev/sdd1 /never ext4 noatime 0 2\n"))
			mustDo(t, h.Mount(ctx, "/new"))
			if text, err := h.files.readFile("/new/mail"); err != nil || string(text) != "mail\n" {
				t.Errorf("%q, %v", text, err)
			}
			mustDo(t, h.Chmod("/new/mail", 0o600))
			if now, err := h.Stat("/new"); err != nil || now.Dev != st.Dev || now.Ino != st.Ino {
				t.Errorf("the root is %+v, was %+v: %v", now, st, err)
			}
			if up, err := h.Stat("/new/.."); err != nil || up.Dev == st.Dev {
				t.Errorf("above it: %+v, %v", up, err)
			}
			if err := h.Rename("/new/mail", "/mail"); !errors.Is(err, syscall.EXDEV) {
				t.Errorf("a rename out of it: %v", err)
			}
			if err := h.Mount(ctx, "/never"); !errors.Is(err, host.ErrUnknown) {
				t.Errorf("what was never mounted: %v", err)
			}
			if err := h.Mount(ctx, "/old"); err == nil {
				t.Error("mounted without a line")
			}
			mounts, err := h.Mounts()
			mustDo(t, err)
			last := mounts[len(mounts)-1]
			if len(mounts) != 2 || last.Point != "/new" || last.Source != "/dev/sdb1" {
				t.Errorf("the mount table: %+v", mounts)
			}
		})
	}
}

func (h *Host) replaceTable(t *testing.T, text string) error {
	t.Helper()
	if err := h.Unlink("/etc/fstab"); err != nil {
		return err
	}
	return h.files.writeFile("/etc/fstab", []byte(text), 0o644)
}
