package action

import (
	"io/fs"
	"testing"
)

// A user who goes with the packages leaves nothing in /run that the next one of that number would own.
func TestAccountsLeaveNothingInRun(t *testing.T) {
	h := newFake()
	for _, dir := range []string{"/etc", "/run", "/run/kopano", "/run/other", "/run/notes"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	env := newEnv(h)
	overwrite(t, env, passwdFile, "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/false\n")
	k := &accountsKeeper{}
	must(t, k.record(env, nil, nil))
	overwrite(t, env, passwdFile, "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/false\nkopano:x:112:119::/:/bin/false\n")
	must(t, k.ended(env))
	must(t, h.Mknod("/run/kopano/server.sock", 0o600|fs.ModeSocket, 0))
	overwrite(t, env, "/run/kopano/server.pid", "1\n")
	overwrite(t, env, "/run/notes/note", "to be kept\n")
	for _, name := range []string{"/run/kopano", "/run/notes"} {
		must(t, h.Lchown(name, 112, 119))
	}
	must(t, h.Lchown("/run/other", 33, 33))
	for range 2 { // an interrupted rollback does it again
		must(t, k.restore(env, nil))
		for name, want := range map[string]bool{"/run/kopano": false, "/run/notes/note": true, "/run/other": true} {
			if there, err := exists(h, name); err != nil || there != want {
				t.Errorf("%s is there: %v, %v", name, there, err)
			}
		}
	}
}

// What a killed tool has left beside an account file goes; what somebody else had left there stays.
func TestAccountsLeaveNoDraft(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/etc", 0o755, 0, 0))
	env := newEnv(h)
	overwrite(t, env, "/etc/group", "root:x:0:\n")
	overwrite(t, env, "/etc/shadow+", "of long ago\n")
	k := &accountsKeeper{}
	must(t, k.record(env, nil, nil))
	overwrite(t, env, "/etc/group+", "root:x:0:\nkopano:x:119:\n")
	for range 2 {
		must(t, k.restore(env, nil))
		for name, want := range map[string]bool{"/etc/group": true, "/etc/group+": false, "/etc/shadow+": true} {
			if there, err := exists(h, name); err != nil || there != want {
				t.Errorf("%s is there: %v, %v", name, there, err)
			}
		}
	}
}
