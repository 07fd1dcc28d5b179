package fs_test

import (
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/builtins/fs"
	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/runtime/exit"
)

const fixture = `
-- host --
hostname: example.org
-- mounts --
/               /dev/sda1 ext4 60G 38G
/srv            /dev/sdb1 ext4 90G 80G
/srv/deep/store nas:/x    nfs4 9T  1T
-- /etc/os-release --
ID=debian
-- passwd --
zarafa:x:109:115:Zarafa:/var/lib/zarafa:/bin/false
-- group --
zarafa:x:115:
-- /etc/zarafa/server.cfg 0640 root:zarafa --
mysql_user = zarafa
-- /etc/zarafa/unix.cfg --
fullname_charset = utf-8
-- tree --
d1770 zarafa:zarafa - - /var/lib/zarafa
f4755 4242:4243  10 - /var/lib/zarafa/tool
f0644 zarafa:zarafa 2M - /var/lib/zarafa/a/1
hardlink /var/lib/zarafa/a/2 -> /var/lib/zarafa/a/1
f0644 zarafa:zarafa 3M - /var/lib/zarafa/b/3
l root:root - - /var/lib/zarafa/link -> ../../../srv/deep
l root:root - - /var/lib/zarafa/loop -> loop
l root:root - - /var/lib/zarafa/lost -> /nowhere/at/all
l zarafa:zarafa - - /var/lib/zarafa/planted -> /srv/deep
l root:root - - /var/lib/zarafa/indirect -> planted/store
p0600 root:root - - /var/lib/zarafa/pipe
f0644 root:root 0 - /opt/links/here
hardlink /opt/elsewhere -> /opt/links/here
d0755 root:root - - /srv/deep/store
f0644 root:root 1T - /srv/deep/store/big
d0755 root:root - - /usr/local/lib/python2.7/dist-packages/zarafa
d0755 root:root - - /usr/local/lib/python3/dist-packages
d0755 root:root - - /var/tmp/new
`

func scene(t *testing.T) *builtintest.Scene { return builtintest.New(t, fixture, fs.Builtins()) }

// TestReads compares what snippets print.
func TestReads(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`fs.exists("/etc/zarafa")`, "True"},
		{`fs.exists("/etc/zarafa", type = "file")`, "False"},
		{`fs.exists("/etc/zarafa/server.cfg/x")`, "False"},
		{`fs.exists("/var/lib/zarafa/lost")`, "True"},
		{`fs.exists("/var/lib/zarafa/lost", follow = True)`, "False"},
		{`fs.exists("/var/lib/zarafa/loop", follow = True)`, "False"},
		{`fs.foreign_link("/var/lib/zarafa/link/none")`, "None"},
		{`fs.foreign_link("/var/lib/zarafa/loop")`, "None"},
		{`fs.foreign_link("/var/lib/zarafa/planted")`, `struct(link = "/var/lib/zarafa/planted", owner = "zarafa", target = "/srv/deep")`},
		{`fs.foreign_link("/var/lib/zarafa/indirect/big").link`, "/var/lib/zarafa/planted"},
		{`fs.glob("/var/lib/zarafa/p*/store", readable = True)`, "[]"},
		{`fs.grep("/var/lib/zarafa/planted/x", "x", readable = True)`, "[]"},
		{`fs.stat("/var/lib/zarafa").mode`, "1770"},
		{`fs.stat("/var/lib/zarafa").owner`, "zarafa"},
		{`fs.stat("/var/lib/zarafa/tool").mode`, "4755"},
		{`fs.stat("/var/lib/zarafa/tool").owner`, "4242"},
		{`fs.stat("/var/lib/zarafa/tool").group`, "4243"},
		{`fs.stat("/var/lib/zarafa/pipe").type`, "fifo"},
		{`fs.stat("/var/lib/zarafa/link").type`, "symlink"},
		{`fs.stat("/var/lib/zarafa/link", follow = True).type`, "dir"},
		{`fs.stat("/var/lib/zarafa/a/1").links`, "2"},
		{`fs.stat("/none", missing_ok = True)`, "None"},
		{`fs.read("/etc/zarafa/server.cfg")`, "mysql_user = zarafa\n"},
		{`fs.read("/etc/zarafa/server.cfg", secret = True)`, "***"},
		{`fs.read("/none", missing_ok = True)`, "None"},
		{`fs.list("/etc/zarafa")`, `["server.cfg", "unix.cfg"]`},
		{`fs.list("/none", missing_ok = True)`, `[]`},
		{`fs.readlink("/var/lib/zarafa/link")`, "../../../srv/deep"},
		{`fs.resolve("/var/lib/zarafa/link/store/x/../y")`, ""},
		{`fs.resolve("/var/lib/zarafa/link/store/x/y")`, "/srv/deep/store/x/y"},
		{`fs.resolve("/var/lib/zarafa/lost/more")`, "/nowhere/at/all/more"},
		{`fs.find("/etc/zarafa", name = "s*.cfg")`, `["/etc/zarafa/server.cfg"]`},
		{`fs.find("/var/lib/zarafa", type = "dir")`, `["/var/lib/zarafa/a", "/var/lib/zarafa/b"]`},
		{`len(fs.find("/var/lib/zarafa", depth = 1))`, "9"},
		{`fs.find("/var/lib/zarafa", type = "file", first = 1)`, `["/var/lib/zarafa/a/1"]`},
		{`fs.find("/srv", type = "file")`, `[]`},
		{`fs.find("/srv", type = "file", cross = True)`, `["/srv/deep/store/big"]`},
		{`fs.find("/none")`, `[]`},
		{`fs.glob("/usr/local/lib/python*/dist-packages/zarafa")`, `["/usr/local/lib/python2.7/dist-packages/zarafa"]`},
		{`fs.glob("/none/*")`, `[]`},
		{`fs.glob("/etc/zarafa/server.cfg/*")`, `[]`},
		{`fs.usage("/var/lib/zarafa").bytes`, fmt.Sprint(5<<20 + 10)},
		{`fs.usage("/var/lib/zarafa").files`, "3"},
		{`fs.usage("/var/lib/zarafa").others`, "6"},
		{`fs.usage("/var/lib/zarafa").linked == ""`, "True"},
		{`fs.usage("/var/lib/zarafa/a").linked == ""`, "True"},
		{`fs.usage("/opt/links").linked`, "/opt/links/here"},
		{`[m.point for m in fs.mounts("/srv")]`, `["/srv/deep/store"]`},
		{`[m.source for m in fs.mounts("/var/lib/zarafa/link")]`, `["nas:/x"]`},
		{`fs.mounts("/srv/deep/store")`, "[]"},
		{`fs.usage("/srv/deep").bytes`, "0"},
		{`fs.usage("/none").files`, "0"},
		{`fs.mount_of("/var/lib/zarafa/link/store/big").point`, "/srv/deep/store"},
		{`fs.mount_of("/srv/deep/store").own`, "True"},
		{`fs.mount_of("/srv/deep/stores").point`, "/srv"},
		{`fs.mount_of("/not/yet/there").point`, "/"},
		{`fs.space("/srv/not/yet").free`, fmt.Sprint(80 << 30)},
		{`fs.same_device("/etc/new", "/var/lib/zarafa")`, "True"},
		{`fs.same_device("/srv/deep", "/srv/deep/store")`, "False"},
		{`fs.same_device("/var/lib/zarafa/link", "/srv/x")`, "True"},
	} {
		if c.want == "" {
			scene(t).Fail("print("+c.expr+")", "shortest form")
			continue
		}
		if got := strings.Join(scene(t).Succeed("print("+c.expr+")"), "\n"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.expr, got, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	s := scene(t)
	f, err := s.Host.Create("/etc/zarafa/latin1.cfg", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("fullname = J\xfcrgen\n")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, c := range []struct{ expr, want string }{
		{`fs.stat("/none")`, "/none"},
		{`fs.read("/none")`, "no such file"},
		{`fs.read("/etc/zarafa")`, "is a directory"},
		{`fs.read("/var/lib/zarafa/pipe")`, "not a regular file"},
		{`fs.read("/var/lib/zarafa/loop")`, "symbolic links"},
		{`fs.read("/etc/zarafa/server.cfg", limit = 5)`, "longer than 5 bytes"},
		{`fs.read("/etc/zarafa/server.cfg", limit = 0)`, "out of range"},
		{`fs.read("/etc/zarafa/latin1.cfg")`, "byte 12 (0xfc)"},
		{`fs.resolve("/var/lib/zarafa/loop/x")`, "circle"},
		{`fs.exists("/var/lib/zarafa/indirect", follow = True)`, "symlink /var/lib/zarafa/planted belongs to user 109"},
		{`fs.exists("/var/lib/zarafa/planted/x")`, "chown -h root:root /var/lib/zarafa/planted"},
		{`fs.resolve("/var/lib/zarafa/indirect/big")`, "symlink /var/lib/zarafa/planted belongs to user 109"},
		{`fs.glob("/var/lib/zarafa/p*/store")`, "symlink /var/lib/zarafa/planted"},
		{`fs.find("/var/lib/zarafa", name = "[")`, "pattern"},
		{`fs.find("/var/lib/zarafa", max = 2)`, "more than 2 paths"},
		{`fs.glob("/etc/[")`, "pattern"},
		{`fs.find("/var/lib/zarafa/tool")`, ""}, // a file has nothing below it
		{`fs.read("etc/zarafa")`, "not absolute"},
	} {
		if c.want == "" {
			s.Succeed(c.expr)
			continue
		}
		s.Fail(c.expr, c.want)
	}
}

func TestChanges(t *testing.T) {
	s := scene(t)
	const snippet = `
fs.write("/etc/zarafa/new.cfg", "a = b\n", mode = "0640", group = "zarafa")
fs.write("/etc/zarafa/unix.cfg", "changed\n")
fs.mkdir("/var/lib/kopano/deep", mode = "0750", owner = "zarafa", parents = True)
fs.symlink("/usr/share/kopano-webapp", "/etc/zarafa/webapp")
fs.copy("/etc/zarafa", "/etc/zarafa.bak")
fs.remove("/usr/local/lib/python2.7/dist-packages/zarafa")
fs.remove("/none")
`
	r := s.Run(snippet)
	if r.Verdict.Code != 0 || r.Verdict.Changes != 6 {
		t.Fatalf("%+v", r.Verdict)
	}
	if got := s.Text("/etc/zarafa.bak/new.cfg"); got != "a = b\n" {
		t.Errorf("the copy holds %q", got)
	}
	got := s.Succeed(`
st = fs.stat("/etc/zarafa.bak/new.cfg")
print(st.mode, st.owner, st.group)
st = fs.stat("/var/lib/kopano/deep")
print(st.mode, st.owner, fs.readlink("/etc/zarafa.bak/webapp"))
print(fs.exists("/usr/local/lib/python2.7/dist-packages/zarafa"))
`)
	if want := "0640 root zarafa\n0750 zarafa /usr/share/kopano-webapp\nFalse"; strings.Join(got, "\n") != want {
		t.Errorf("got %q", got)
	}
	if again := s.Run(snippet); again.Verdict.Code != 0 || again.Verdict.Changes != 0 {
		t.Errorf("a second time: %+v", again.Verdict)
	}
}

func TestMove(t *testing.T) {
	s := scene(t)
	r := s.Run(`
fs.move("/var/lib/zarafa/a", "/var/lib/zarafa/moved")
fs.move("/var/lib/zarafa/b", "/var/tmp/new", contents = True)
`)
	if r.Verdict.Code != 0 || r.Verdict.Changes != 2 {
		t.Fatalf("%+v", r.Verdict)
	}
	got := s.Succeed(`print(fs.list("/var/lib/zarafa/moved"), fs.list("/var/tmp/new"), fs.list("/var/lib/zarafa/b"))`)
	if got[0] != `["1", "2"] ["3"] []` {
		t.Errorf("got %s", got)
	}
}

func TestChangeErrors(t *testing.T) {
	s := scene(t)
	s.Fail(`fs.remove("/none", missing_ok = False)`, "/none")
	s.Fail(`fs.symlink("", "/etc/zarafa/x")`, "target")
	s.Fail(`fs.write("/etc/zarafa/x", "", mode = "rw")`, "octal")
	s.Fail(`fs.write("/etc/zarafa/x", "", owner = "nobody-here")`, "nobody-here")
	s.Fail(`fs.write("/boot/x", "")`, "no policy can allow")
	s.Fail(`fs.copy("/etc/zarafa", "/etc/zarafa/sub")`, "inside the other")
}

func TestSecretContent(t *testing.T) {
	s := scene(t)
	r := s.Run(`fs.write("/etc/zarafa/copy.cfg", fs.read("/etc/zarafa/server.cfg", secret = True))`)
	if r.Verdict.Code != 0 {
		t.Fatal(r.Verdict.Text)
	}
	if got := s.Text("/etc/zarafa/copy.cfg"); got != "mysql_user = zarafa\n" {
		t.Errorf("wrote %q", got)
	}
	if strings.Contains(string(r.Journal), "mysql_user") {
		t.Error("the secret content stands in the journal")
	}
}

// TestLinksLeadNowhere has a runbook link its way out of its policy. Of the places that it may write, /home is none.
func TestLinksLeadNowhere(t *testing.T) {
	for snippet, want := range map[string]string{
		`fs.symlink("/home", "/srv/l")\nfs.write("/srv/l/x", "x")`:                                 "/srv/l/x leads to /home/x",
		`fs.symlink("/home", "/srv/l")\nfs.mkdir("/srv/l/x")`:                                      "leads to /home/x",
		`fs.symlink("/home", "/srv/l")\nfs.symlink("x", "/srv/l/x")`:                               "leads to /home/x",
		`fs.symlink("/home", "/srv/l")\nfs.copy("/etc", "/srv/l/x")`:                               "leads to /home/x",
		`fs.symlink("/home", "/srv/l")\nfs.copy("/etc", "/srv/l", contents = True)`:                "directory of the system",
		`fs.symlink("/home", "/srv/l")\nfs.symlink("/srv/l", "/srv/m")\nfs.write("/srv/m/x", "x")`: "leads to /home/x",
		`fs.symlink("..", "/srv/l")\nfs.write("/srv/l/home/x", "x")`:                               "leads to /home/x",
		`fs.mkdir("/srv/d")\nfs.symlink("../../home", "/srv/d/l")\nfs.write("/srv/d/l/x", "x")`:    "leads to /home/x",
		`fs.symlink("/etc", "/srv/l")\nfs.write("/srv/l/passwd", "x")`:                             "out of its reach",
		`fs.symlink("/var/lib/zcp2kopano", "/srv/l")\nfs.write("/srv/l/lock", "x")`:                "the runs are kept",
		`fs.symlink("/home", "/srv/l")\nfs.remove("/srv/l/x", missing_ok = False)`:                 "/srv/l/x",
		`fs.write("/var/lib/zcp2kopano/lock", "x")`:                                                "the runs are kept",
		`fs.mkdir("/var/lib")`: "directory of the system",
	} {
		s := builtintest.New(t, "-- host --\nhostname: h\ninit: systemd\n-- mounts --\n/ /dev/sda1 ext4 60G 38G\n-- /srv/keep --\nx\n-- /home/u/f --\nx\n-- /etc/f --\nx\n", fs.Builtins())
		r := s.Run(strings.ReplaceAll(snippet, `\n`, "\n"))
		if r.Verdict.Code != exit.Failed || !strings.Contains(r.Verdict.Text, want) {
			t.Errorf("%s: code %d, %s; %q is not in it", snippet, r.Verdict.Code, r.Verdict.Text, want)
		}
		if s.Text("/home/u/f") != "x\n" {
			t.Errorf("%s changed what it may not", snippet)
		}
	}
}
