package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
)

// files is a machine: "d0755 0" a directory of root, "f0644 7" a file of user 7, "l 0 TARGET" a symlink.
type files map[string]string

func (f files) stat(name string) (kind byte, st host.Stat, target string, err error) {
	text, there := f[name]
	if !there {
		return 0, st, "", &fs.PathError{Op: "lstat", Path: name, Err: syscall.ENOENT}
	}
	words := strings.Fields(text)
	var mode, uid uint32
	for _, c := range words[0][1:] {
		mode = mode<<3 | uint32(c-'0')
	}
	for _, c := range words[1] {
		uid = uid*10 + uint32(c-'0')
	}
	st = host.Stat{Mode: fs.FileMode(mode & 0o777), UID: uid}
	if mode&0o1000 != 0 {
		st.Mode |= fs.ModeSticky
	}
	switch words[0][0] {
	case 'd':
		st.Mode |= fs.ModeDir
	case 'l':
		st.Mode |= fs.ModeSymlink
		target = words[2]
	}
	return words[0][0], st, target, nil
}

func (f files) Lstat(name string) (host.Stat, error) {
	_, st, _, err := f.stat(name)
	return st, err
}

func (f files) Readlink(name string) (string, error) {
	_, _, target, err := f.stat(name)
	return target, err
}

var machine = files{
	"/": "d0755 0", "/root": "d0700 0", "/tmp": "d1777 0", "/open": "d0777 0", "/group": "d0775 0", "/srv": "d0755 0",
	"/root/a.deb": "f0644 0", "/root/bob.deb": "f0644 7", "/root/loose.deb": "f0666 0", "/root/shared.deb": "f0664 0", "/root/admin.deb": "f0644 5",
	"/tmp/a": "d0755 0", "/tmp/a/a.deb": "f0644 0", "/tmp/bob": "d0755 7", "/tmp/bob/a.deb": "f0644 0", "/tmp/sticky": "f1644 0",
	"/open/a.deb": "f0644 0", "/group/a.deb": "f0644 0", "/admin": "d0755 5", "/admin/a.deb": "f0644 0",
	"/srv/in": "l0777 0 /root", "/srv/rel": "l0777 0 ../tmp/a", "/srv/out": "l0777 0 /open", "/srv/bobs": "l0777 7 /root", "/srv/loop": "l0777 0 loop",
	"/tmp/bobs": "l0777 7 /root", "/srv/deep": "l0777 0 in/../tmp/bob/./a.deb",
}

func TestWhoCouldExchange(t *testing.T) {
	for name, want := range map[string]string{
		"/root/a.deb": "", "/root": "", "/": "", "/tmp": "", "/tmp/a/a.deb": "", "/root/admin.deb": "", "/admin/a.deb": "",
		"/srv/in/a.deb": "", "/srv/rel/a.deb": "",
		"/root/bob.deb":    "/root/bob.deb belongs to user 7",
		"/root/loose.deb":  "/root/loose.deb can be written to by others (mode 0666)",
		"/root/shared.deb": "`chmod go-w /root/shared.deb`",
		"/tmp/bob":         "`chown root:root /tmp/bob && chmod go-w /tmp/bob`",
		"/tmp/bob/a.deb":   "/tmp/bob/a.deb: /tmp/bob belongs to user 7",
		"/open":            "/open can be written to by others",
		"/open/a.deb":      "copy it to where only root can write: `cp -R /open/a.deb /root/`",
		"/group/a.deb":     "/group can be written to by others (mode 0775)",
		"/srv/out/a.deb":   "/open can be written",
		"/srv/bobs/a.deb":  "/srv/bobs belongs to user 7",
		"/tmp/bobs/a.deb":  "/tmp/bobs belongs to user 7",
		"/srv/deep":        "/tmp/bob belongs to user 7",
	} {
		err := trust.Check(machine, trust.Users{5}, name)
		var foreign *trust.Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &foreign) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := trust.Check(machine, nil, "/root/admin.deb"); err == nil {
		t.Error("who is not among the users is trusted")
	}
	if err := trust.Check(machine, nil, "/srv/loop"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link that leads to itself: %v", err)
	}
	if err := trust.Check(machine, nil, "/root/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	for name, ok := range map[string]bool{"/root/new/er": true, "/tmp/new": true, "/open/new": false, "/open/new/er/still": false, "/srv/out/new": false} {
		if err := trust.Writable(machine, nil, name); (err == nil) != ok {
			t.Errorf("a new %s: %v", name, err)
		}
	}
}

// The files of this machine are judged as those of any other.
func TestHere(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trust.Check(trust.Here{}, trust.Ours(), name); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := trust.Check(trust.Here{}, trust.Ours(), name); err == nil {
		t.Error("everybody may write to its directory")
	}
}

// accountsOf is a machine with accounts: texts by path, and an ACL on what is named.
type accountsOf struct {
	files
	texts map[string]string
	acl   string
}

func (a accountsOf) Lstat(name string) (host.Stat, error) {
	st, err := a.files.Lstat(name)
	st.GID = 5
	return st, err
}

func (a accountsOf) Read(name string) ([]byte, error) {
	text, there := a.texts[name]
	if !there {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	return []byte(text), nil
}

func (a accountsOf) Getxattr(name, attr string) ([]byte, error) {
	if name == a.acl && attr == "system.posix_acl_access" {
		return []byte("user:bob:rwx"), nil
	}
	return nil, syscall.ENODATA
}

// TestPrivateGroup lets the group of a user alone write to what is his, and no other group.
func TestPrivateGroup(t *testing.T) {
	const passwd, group, gshadow = "root:x:0:0::/root:/bin/sh\nadmin:x:5:5::/home/admin:/bin/sh\nbob:x:7:7::/home/bob:/bin/sh\n", "root:x:0:\nadmin:x:5:\nbob:x:7:\n", "root:*::\nadmin:!::\n"
	tree := files{"/": "d0755 0", "/home": "d0755 0", "/home/admin": "d0775 5", "/home/admin/a.star": "f0664 5", "/home/admin/open": "f0666 5", "/home/admin/root": "f0664 0"}
	with := func(text, old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in %q", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
	for name, tc := range map[string]struct {
		passwd, group, gshadow, acl string
		path                        string
		users                       trust.Users
		trusted                     bool
	}{
		"his own":                     {trusted: true},
		"his own, of root":            {path: "/home/admin/root", trusted: true},
		"he is a member of it":        {group: with(group, "admin:x:5:", "admin:x:5:admin"), gshadow: with(gshadow, "admin:!::", "admin:*:admin:admin"), trusted: true},
		"everybody may write":         {path: "/home/admin/open"},
		"another is a member":         {group: with(group, "admin:x:5:", "admin:x:5:bob")},
		"another is one beside him":   {group: with(group, "admin:x:5:", "admin:x:5:admin,bob")},
		"another by a second line":    {group: group + "staff:x:5:bob\n"},
		"a second line of its name":   {group: group + "admin:x:9:bob\n"},
		"another's login group":       {passwd: with(passwd, "bob:x:7:7", "bob:x:7:5")},
		"another of his number":       {passwd: passwd + "toor:x:5:5::/:/bin/sh\n"},
		"not his login group":         {passwd: with(passwd, "admin:x:5:5", "admin:x:5:100")},
		"not of his name":             {group: with(group, "admin:x:5:", "staff:x:5:")},
		"another in gshadow":          {gshadow: with(gshadow, "admin:!::", "admin:!::bob")},
		"another may let others in":   {gshadow: with(gshadow, "admin:!::", "admin:!:bob:")},
		"a password lets others in":   {gshadow: with(gshadow, "admin:!::", "admin:$6$x::")},
		"gshadow is damaged":          {gshadow: with(gshadow, "admin:!::", "admin:!")},
		"gshadow cannot be read":      {gshadow: "-"},
		"no such group":               {group: with(group, "admin:x:5:\n", "")},
		"no such user":                {passwd: with(passwd, "admin:x:5:5::/home/admin:/bin/sh\n", "")},
		"an ACL on it":                {acl: "/home/admin/a.star"},
		"an ACL on the way":           {acl: "/home/admin"},
		"he did not call the program": {users: trust.Users{7}},
		"root did":                    {users: trust.Users{}},
	} {
		m := accountsOf{files: tree, texts: map[string]string{"/etc/passwd": passwd, "/etc/group": group, "/etc/gshadow": gshadow}, acl: tc.acl}
		for file, text := range map[string]string{"/etc/passwd": tc.passwd, "/etc/group": tc.group, "/etc/gshadow": tc.gshadow} {
			if text == "-" {
				delete(m.texts, file)
			} else if text != "" {
				m.texts[file] = text
			}
		}
		if tc.path == "" {
			tc.path = "/home/admin/a.star"
		}
		if tc.users == nil {
			tc.users = trust.Users{5}
		}
		if err := trust.Check(m, tc.users, tc.path); (err == nil) != tc.trusted {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := trust.Check(tree, trust.Users{5}, "/home/admin/a.star"); err == nil {
		t.Error("trusted without a look at the accounts")
	}
}
