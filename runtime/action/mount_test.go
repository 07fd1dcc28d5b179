package action

import (
	"io/fs"
	"strings"
	"testing"
)

func disks(t tester, h *fakeHost) {
	put(t, h, "/etc/fstab", "/dev/sda1 / ext4\n/dev/sdb1 /srv ext4\n", 0o644, 0, 0)
	put(t, h, "/srv/mail", "mail", 0o600, 110, 110)
}

func unmounted(t tester, h *fakeHost) {
	disks(t, h)
	_, err := h.FS.Unmount("/srv", "/dev/sdb1")
	must(t, err)
}

func init() {
	scenarios = append(scenarios,
		scenario{name: "unmount", mounts: twoDisks(), setup: disks, act: func() Action { return &Unmount{Point: "/srv"} }},
		scenario{name: "mount", mounts: twoDisks(), setup: unmounted, act: func() Action {
			return &Mount{Point: "/srv", Source: "/dev/sdb1", Type: "ext4"}
		}},
	)
}

// What could not be taken back, or would hide something, is refused before anything is done.
func TestMountRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(h *fakeHost)
		act     Action
		want    string
	}{
		"no line": {func(h *fakeHost) {
			put(t, h, "/etc/fstab", "/dev/sda1 / ext4\n", 0o644, 0, 0)
		}, &Unmount{Point: "/srv"}, "has no line for /srv; it could not be mounted again"},
		"two lines": {func(h *fakeHost) {
			put(t, h, "/etc/fstab", "/dev/sdb1 /srv ext4\n/dev/sdb2 /srv ext4\n", 0o644, 0, 0)
		}, &Unmount{Point: "/srv"}, "has 2 lines for /srv"},
		"another one is there": {func(h *fakeHost) { disks(t, h) }, &Mount{Point: "/srv", Source: "/dev/sdc1", Type: "ext4"}, "/dev/sdb1 (ext4) is mounted there, and not /dev/sdc1"},
		"not empty": {func(h *fakeHost) {
			unmounted(t, h)
			put(t, h, "/srv/new", "x", 0o600, 0, 0)
		}, &Mount{Point: "/srv"}, "not empty"},
		"a symlink to mount": {func(h *fakeHost) {
			unmounted(t, h)
			must(t, h.Symlink("/srv", "/data"))
		}, &Mount{Point: "/data"}, "mount /data: it leads to /srv; name that"},
		"a symlink to unmount": {func(h *fakeHost) {
			disks(t, h)
			must(t, h.Symlink("/srv", "/data"))
		}, &Unmount{Point: "/data"}, "unmount /data: it leads to /srv; name that"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake(twoDisks()...)
			must(t, h.PutDir("/etc", fs.FileMode(0o755), 0, 0))
			tc.prepare(h)
			if _, err := tc.act.Prepare(newEnv(h)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// A line of fstab that mounts something else than it was is noticed.
func TestMountIsSeen(t *testing.T) {
	h := newFake(twoDisks()...)
	unmounted(t, h)
	a := &Mount{Point: "/srv", Source: "/dev/sdc1", Type: "ext4"}
	env := newEnv(h)
	if needed, err := a.Prepare(env); !needed || err != nil {
		t.Fatal(needed, err)
	}
	if _, err := a.Apply(env); err == nil || !strings.Contains(err.Error(), "/dev/sdb1 (ext4) is mounted there, and not /dev/sdc1 (ext4)") {
		t.Error(err)
	}
	must(t, a.Undo(env))
	if m, err := mountedAt(h, "/srv"); m != nil || err != nil {
		t.Error(m, err)
	}
}
