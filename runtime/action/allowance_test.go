package action

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host/sim"
)

// spareHost has 70 MB for each of state and work; a run leaves 64 MiB of file systems of this size.
const spareHost = `
-- host --
hostname: test.example.org
-- mounts --
/           /dev/sda1 ext4 60G 38G
/var/backup /dev/sdb1 ext4 20G 70M
/srv/full   /dev/sdc1 ext4 20G 70M
/srv/small  /dev/sdd1 ext4 100M 10M
-- tree --
d0755 root:root - - /var/backup
d0755 root:root - - /srv/full
d0755 root:root - - /srv/small
d0755 root:root - - /srv/from
f0644 root:root 2097152 - /srv/from/a
f0644 root:root 2097152 - /srv/from/b
f0644 root:root 2097152 - /srv/from/c
f0644 root:root 2097152 - /srv/from/d
f0644 root:root 2097152 - /srv/from/e
f0644 root:root 2097152 - /srv/from/f
f0644 root:root 2097152 - /srv/from/g
f0644 root:root 2097152 - /srv/from/h
`

// TestSpare: what a run keeps and copies stops while there is room for the way back, which may use it.
func TestSpare(t *testing.T) {
	f, err := sim.ReadFixture([]byte(spareHost))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	free := func(at string) uint64 {
		st, err := h.Statfs(at)
		if err != nil {
			t.Fatal(err)
		}
		return st.Available
	}
	env := newEnv(h)
	env.Store = &Store{Host: h, Dir: "/var/backup/run", Spare: Spare}
	fill := func() (err error) {
		for i := range 100 {
			if _, err = env.Store.PutBytes(bytes.Repeat([]byte{byte(i), 1}, 500_000)); err != nil {
				return err
			}
		}
		return nil
	}
	refused := func(what string, err error, at string) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "stay free for the way back") {
			t.Errorf("%s: %v", what, err)
		}
		if left := free(at); left < Spare-1<<20 {
			t.Errorf("%s: %d bytes are left", what, left)
		}
	}
	refused("the backup", fill(), "/var/backup")
	for i := 0; err == nil && i < 1000; i++ {
		_, err = env.Store.PutBytes([]byte(strings.Repeat("small ", i)))
	}
	refused("small things", err, "/var/backup")
	env.Store.Dir = "/var/lib/run"

	copies := &Copy{From: "/srv/from", To: "/srv/full/to"}
	if _, err := copies.Prepare(env); err != nil {
		t.Fatal(err)
	}
	_, err = copies.Apply(env)
	refused("the copy", err, "/srv/full")

	if err := env.Store.Room("/srv/small/new/dir", 7<<20); err != nil {
		t.Errorf("of a small file system too much is spared: %v", err)
	}
	if err := env.Store.Room("/srv/small/new/dir", 9<<20); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("more than it has: %v", err)
	}

	env.Store.Spare = 0 // the way back
	if err := copies.Undo(env); err != nil {
		t.Error(err)
	}
	env.Store.Dir = "/var/backup/run"
	for i := range 20 {
		if _, err := env.Store.PutBytes(bytes.Repeat([]byte{byte(i), 2}, 500_000)); err != nil {
			t.Fatalf("the way back has no room: %v", err)
		}
	}
}
