package action

import (
	"io"
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

// dpkg does nothing at all while its list of overrides names an account that is gone: what a script added goes before
// the account, and nothing else.
func TestAccountsLeaveNoOverride(t *testing.T) {
	const before, came, since = "root adm 640 /srv/a\nsomebody staff 750 /srv/of-a-directory\n", "root kopano 640 /etc/kopano/debian-db.cfg\n", "#33 adm 755 /srv/b\nroot root 755 /srv/c\n"
	for name, c := range map[string]struct{ since, want string }{
		"as the script left it":     {"", before},
		"somebody has added to it":  {since, before + since},
		"somebody added for kopano": {since + "kopano root 600 /srv/d\n", before + since},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake()
			for _, dir := range []string{"/etc", "/var", "/var/lib", "/var/lib/dpkg"} {
				must(t, h.PutDir(dir, 0o755, 0, 0))
			}
			env := newEnv(h)
			overwrite(t, env, passwdFile, "root:x:0:0::/root:/bin/sh\n")
			overwrite(t, env, "/etc/group", "root:x:0:\nadm:x:4:\n")
			overwrite(t, env, overridesFile, before)
			k := &accountsKeeper{}
			must(t, k.record(env, nil, nil))
			overwrite(t, env, "/etc/group", "root:x:0:\nadm:x:4:\nkopano:x:119:\n")
			overwrite(t, env, overridesFile, before+came)
			must(t, k.ended(env))
			overwrite(t, env, overridesFile, before+came+c.since)
			for range 2 {
				must(t, k.restore(env, nil))
				f, err := h.Open(overridesFile)
				must(t, err)
				text, err := io.ReadAll(f)
				must(t, err)
				f.Close()
				if string(text) != c.want {
					t.Errorf("the list is %q, want %q", text, c.want)
				}
			}
		})
	}
}
