package chown_test

import (
	"testing"

	"zcp2kopano/builtins/chown"
	"zcp2kopano/builtins/internal/builtintest"
)

const fixture = `
-- host --
hostname: example.org
-- /etc/os-release --
ID=debian
-- passwd --
zarafa:x:109:115:Zarafa:/var/lib/zarafa:/bin/false
kopano:x:110:116:Kopano:/var/lib/kopano:/bin/false
-- group --
zarafa:x:115:
kopano:x:116:
-- tree --
d0755 zarafa:zarafa - - /var/lib/kopano
f0600 zarafa:zarafa 10 - /var/lib/kopano/a.cfg
f0600 4242:zarafa   10 - /var/lib/kopano/sub/b
l zarafa:zarafa - - /var/lib/kopano/link -> /etc/passwd
`

// attrs is owner, group and mode of a path.
func attrs(t *testing.T, s *builtintest.Scene, path string) [3]uint32 {
	t.Helper()
	st, err := s.Host.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return [3]uint32{st.UID, st.GID, uint32(st.Perm())}
}

func TestChown(t *testing.T) {
	for _, c := range []struct {
		snippet string
		changes int
		want    map[string][3]uint32
	}{
		{`chown("/var/lib/kopano", users = {"zarafa": "kopano"}, groups = {"zarafa": "kopano"})`, 1, map[string][3]uint32{
			"/var/lib/kopano": {110, 116, 0o755}, "/var/lib/kopano/a.cfg": {110, 116, 0o600},
			"/var/lib/kopano/sub/b": {4242, 116, 0o600}, "/etc/passwd": {0, 0, 0o644},
		}},
		{`chown("/var/lib/kopano", users = {"gone": "kopano"})`, 0, map[string][3]uint32{"/var/lib/kopano": {109, 115, 0o755}}},
		{`chown("/var/lib/kopano", users = {"4242": "kopano"})`, 1, map[string][3]uint32{"/var/lib/kopano/sub/b": {110, 115, 0o600}}},
		{`chown("/var/lib/kopano", owner = "root", group = "kopano", file_mode = "0640", name = "*.cfg")`, 1, map[string][3]uint32{
			"/var/lib/kopano/a.cfg": {0, 116, 0o640}, "/var/lib/kopano/sub/b": {4242, 115, 0o600}, "/var/lib/kopano": {109, 115, 0o755},
		}},
		{`chown("/var/lib/kopano", owner = "kopano", dir_mode = "0750", recursive = False)`, 1, map[string][3]uint32{
			"/var/lib/kopano": {110, 115, 0o750}, "/var/lib/kopano/a.cfg": {109, 115, 0o600},
		}},
	} {
		s := builtintest.New(t, fixture, chown.Builtins())
		r := s.Run(c.snippet)
		if r.Verdict.Code != 0 || r.Verdict.Changes != c.changes {
			t.Errorf("%s: %+v", c.snippet, r.Verdict)
		}
		for path, want := range c.want {
			if got := attrs(t, s, path); got != want {
				t.Errorf("%s: %s is %d, want %d", c.snippet, path, got, want)
			}
		}
		if again := s.Run(c.snippet); again.Verdict.Code != 0 || again.Verdict.Changes != 0 {
			t.Errorf("%s, a second time: %+v", c.snippet, again.Verdict)
		}
	}
}

func TestErrors(t *testing.T) {
	s := builtintest.New(t, fixture, chown.Builtins())
	s.Fail(`chown("/var/lib/kopano")`, "nothing to change")
	s.Fail(`chown("/var/lib/kopano", users = {"zarafa": "kopano"}, owner = "kopano")`, "not both")
	s.Fail(`chown("/var/lib/kopano", users = {"zarafa": "nobody-here"})`, "nobody-here")
	s.Fail(`chown("/var/lib/kopano", users = {"": "kopano"})`, "empty name")
	s.Fail(`chown("/var/lib/kopano", users = {1: "kopano"})`, "want strings")
	s.Fail(`chown("/var/lib/kopano", dir_mode = "0750", name = "*.cfg")`, "dir_mode")
	s.Fail(`chown("/var/lib/none", owner = "kopano")`, "/var/lib/none")
	s.Fail(`chown("/boot", owner = "kopano")`, "policy")
}
