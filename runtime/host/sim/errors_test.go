package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFixtureErrorsNameTheirPlace(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"nothing":             {"no sections\n", "no section"},
		"unknown section":     {"x\n-- host --\n-- colour --\nred\n", `section "colour": line 3: unknown section`},
		"twice":               {"-- host --\n-- tree --\n-- host --\n", `section "host": line 3: the section is on line 1 already`},
		"unknown key":         {"-- host --\n\n# c\nage: 7\n", `section "host": line 4: unknown key "age"`},
		"init":                {"-- host --\ninit: upstart\n", `line 2: init is "upstart"`},
		"mount":               {"-- mounts --\n/ /dev/sda1 ext4 12X 1G\n", `section "mounts": line 2: "12X" is not a size`},
		"first mount":         {"-- mounts --\n/srv /dev/sda1 ext4 12G 1G\n", `line 2: mount point "/srv": the first is "/"`},
		"mount option":        {"-- mounts --\n/ a ext4 1G 1G rw\n", `line 2: unknown mount option "rw"`},
		"stanza":              {"-- packages --\nPackage: a\nVersion: 1\n\nPackage: b\n", `section "packages": line 5: package b has no Version field`},
		"stanza line":         {"-- packages --\nPackage a\n", `line 2: "Package a" is not of the form`},
		"conffile":            {"-- packages --\nPackage: a\nVersion: 1\nConffiles:\n /etc/a abc\n", `package a: Conffiles: "abc" is neither`},
		"effect":              {"-- packages --\nPackage: a\nVersion: 1\nEffects:\n postinst fly away\n", `unknown verb "fly"`},
		"effect arguments":    {"-- packages --\nPackage: a\nVersion: 1\nEffects:\n postinst dir /x\n", `dir takes 3 arguments, not 1`},
		"tree":                {"-- tree --\nd0755 root:root - - /a\nx0755 root:root - - /b\n", `section "tree": line 3: "x0755" does not begin`},
		"tree path":           {"-- tree --\nf0644 root:root 1 - /a/../b\n", `line 2: "/a/../b" is not a clean path`},
		"symlink":             {"-- tree --\nl root:root - - /b\n", `a symlink, and nothing else, has a target`},
		"spread":              {"-- tree --\nspread 0 1G 10x20 f0644 root:root - /a\n", "at least 1 each"},
		"owner":               {"-- tree --\n\nf0644 nobody2:root 1 - /a\n", `line 3: /a: the user "nobody2" is not in`},
		"file mode":           {"-- /etc/a 0999 --\n", `section "/etc/a 0999": line 1: "0999" is not an octal mode`},
		"a file as directory": {"-- /etc/a --\n-- /etc/a/b --\n", `line 2: /etc/a/b: not a directory`},
		"service":             {"-- services --\na activ\n", `line 2: a: unknown word "activ"`},
		"no such service":     {"-- services --\nghost enabled\n", "service ghost: neither a unit file nor an init script"},
		"database":            {"-- database --\nvariable x\n", `line 2: unknown word "variable"`},
		"rows":                {"-- database --\n? SELECT 1\na | b\n1\n", `line 2: a row of 1 values for 2 columns`},
		"ldif":                {"-- directory --\ndn: dc=a\nno colon\n", `section "directory": line 3: "no colon"`},
		"ldif dn":             {"-- directory --\ndn: nonsense\n", `line 2: dn "nonsense"`},
		"payload":             {"-- payload a /b --\n", "no available package is called a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := ReadFixture([]byte(c.text))
			if err == nil {
				_, err = f.Host(Options{})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	for _, count := range []int{1, 2, 3, 1000, 1001} {
		s := &Spread{Count: count, Total: 1_000_003, A: 10, B: 20}
		var sum int64
		for n := 1; n <= count; n++ {
			if s.size(n) < 0 {
				t.Fatalf("file %d of %d has %d bytes", n, count, s.size(n))
			}
			sum += s.size(n)
		}
		if sum != s.Total {
			t.Errorf("%d files have %d bytes, want %d", count, sum, s.Total)
		}
	}
	if got := (&Spread{Count: 1, A: 10, B: 20, Suffix: ".gz"}).name(4711); got != "1/11/4711.gz" {
		t.Errorf("file 4711 is at %s", got)
	}
}

func FuzzReadFixture(f *testing.F) {
	files, err := filepath.Glob("../../../testdata/hosts/inhibited.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal("no shipped fixture", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("-- tree --\nspread 3 9 2x2 f0644 0:0 - /a .x\nhardlink /b -> /a\nxattr user.a YQ== /a\n-- database --\n? a\nb | c\n'' | \"x\"\n-- directory --\ndn: dc=a\nx:: YQ==\n"))
	f.Add([]byte("-- host --\nbase: none\nlock: 1 /a b\n-- mounts --\n/ a b 1 1\n/c a b 1 1 ro\n-- services --\na active pid=3\n-- processes --\n3 root /a\n"))
	f.Add([]byte("-- tree --\n\"\" 0:0 0 - /a\n"))
	f.Add([]byte("-- mounts --\n/ a b \"\" \"K\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fixture, err := ReadFixture(data)
		if err != nil {
			return
		}
		for _, e := range fixture.Entries {
			if e.Spread != nil && e.Spread.Count > 100 {
				return // right, but slow
			}
		}
		if h, err := fixture.Host(Options{}); err == nil {
			_, _ = h.Services("*")
			_, _ = h.Packages()
		}
	})
}
