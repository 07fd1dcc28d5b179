package sim

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/packagesystem"
)

func TestFixtureErrorsNameTheirPlace(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"nothing":                 {"no sections\n", "no section"},
		"unknown section":         {"x\n-- host --\n-- colour --\nred\n", `section "colour": line 3: unknown section`},
		"twice":                   {"-- host --\n-- tree --\n-- host --\n", `section "host": line 3: the section is on line 1 already`},
		"unknown key":             {"-- host --\n\n# c\nage: 7\n", `section "host": line 4: unknown key "age"`},
		"init":                    {"-- host --\ninit: upstart\n", `line 2: init is "upstart"`},
		"mount":                   {"-- mounts --\n/ /dev/sda1 ext4 12X 1G\n", `section "mounts": line 2: "12X" is not a size`},
		"first mount":             {"-- mounts --\n/srv /dev/sda1 ext4 12G 1G\n", `line 2: mount point "/srv": the first is "/"`},
		"mount option":            {"-- mounts --\n/ a ext4 1G 1G rw\n", `line 2: unknown mount option "rw"`},
		"stanza":                  {"-- packages --\nPackage: a\nVersion: 1\n\nPackage: b\n", `section "packages": line 5: package b has no Version field`},
		"stanza line":             {"-- packages --\nPackage a\n", `line 2: "Package a" is not of the form`},
		"conffile":                {"-- packages --\nPackage: a\nVersion: 1\nConffiles:\n /etc/a abc\n", `package a: Conffiles: "abc" is neither`},
		"effect":                  {"-- packages --\nPackage: a\nVersion: 1\nEffects:\n postinst fly away\n", `unknown verb "fly"`},
		"effect arguments":        {"-- packages --\nPackage: a\nVersion: 1\nEffects:\n postinst dir /x\n", `dir takes 3 arguments, not 1`},
		"tree":                    {"-- tree --\nd0755 root:root - - /a\nx0755 root:root - - /b\n", `section "tree": line 3: "x0755" does not begin`},
		"tree path":               {"-- tree --\nf0644 root:root 1 - /a/../b\n", `line 2: "/a/../b" is not a clean path`},
		"symlink":                 {"-- tree --\nl root:root - - /b\n", `a symlink, and nothing else, has a target`},
		"spread":                  {"-- tree --\nspread 0 1G 10x20 f0644 root:root - /a\n", "at least 1 each"},
		"owner":                   {"-- tree --\n\nf0644 nobody2:root 1 - /a\n", `line 3: /a: the user "nobody2" is not in`},
		"file mode":               {"-- /etc/a 0999 --\n", `section "/etc/a 0999": line 1: "0999" is not an octal mode`},
		"a file as directory":     {"-- /etc/a --\n-- /etc/a/b --\n", `line 2: /etc/a/b: not a directory`},
		"service":                 {"-- services --\na activ\n", `line 2: a: unknown word "activ"`},
		"service twice":           {"-- services --\na active\na enabled\n", `line 3: a: it is given twice`},
		"active and failed":       {"-- services --\na failed active\n", `a service is active or failed`},
		"pid of a stopped":        {"-- services --\na enabled pid=7\n", `pid=7 is the process of an active service`},
		"masked script":           {"-- host --\ninit: sysv\n-- services --\na masked\n", `only systemd has masked services`},
		"enabled for nothing":     {"-- /lib/systemd/system/a.service --\n[Service]\n-- services --\na enabled\n", `service a: it is said to be enabled`},
		"host key twice":          {"-- host --\nkernel: 1\nkernel: 2\n", `line 3: kernel is given twice`},
		"manager":                 {"-- host --\nmanager: pacman 5\n", `manager is "pacman"`},
		"more free than all":      {"-- mounts --\n/ a ext4 1G 2G\n", `each must be at most the one before`},
		"inodes":                  {"-- mounts --\n/ a ext4 2G 1G free-inodes=5\n", `inodes=N says how many there are`},
		"mount twice":             {"-- mounts --\n/ a ext4 2G 1G\n/ b ext4 2G 1G\n", `line 3: mount point "/": it is given twice`},
		"port without a number":   {"-- ports --\nmail2:http answers\n", `"mail2:http" is not HOST:PORT`},
		"port that does nothing":  {"-- ports --\nmail2:236 waits\n", `is neither "HOST:PORT answers" nor "HOST:PORT refuses"`},
		"process listens nowhere": {"-- processes --\n1 root /a listen=143\n", `"143" is not ADDRESS:PORT`},
		"process word":            {"-- processes --\n1 root /a pid=3\n", `unknown word "pid=3" of a process`},
		"process twice":           {"-- processes --\n1 root /a\n1 root /b\n", `line 3: process 1 is given twice`},
		"field":                   {"-- packages --\nPackage: a\nVersion: 1\nEffect: x\n", `line 4: package a: unknown field Effect`},
		"field of rpm":            {"-- packages --\nPackage: a\nVersion: 1\nVendor: x\n", `unknown field Vendor`},
		"field twice":             {"-- packages --\nPackage: a\nVersion: 1\nVersion: 2\n", `line 4: package a: Version is given twice`},
		"state":                   {"-- packages --\nPackage: a\nVersion: 1\nStatus: install\n", `Status: "install" is none of`},
		"auto":                    {"-- packages --\nPackage: a\nVersion: 1\nAuto-Installed: yes\n", `Auto-Installed: "yes"`},
		"approximate file":        {"-- /etc/a approximate --\n", `only a payload is approximate`},
		"size and content":        {"-- /etc/a size=7 --\nx\n", `it has a content`},
		"noeol and base64":        {"-- /etc/a noeol base64 --\nYQ==\n", `noeol is for text`},
		"time of a payload":       {"-- available --\nPackage: a\nVersion: 1\n-- payload a /b 2017-03-14T09:00:00Z --\n", `has no time`},
		"no such service":         {"-- services --\nghost enabled\n", "service ghost: neither a unit file nor an init script"},
		"database":                {"-- database --\nvariable x\n", `line 2: unknown word "variable"`},
		"rows":                    {"-- database --\n? SELECT 1\na | b\n1\n", `line 2: a row of 1 values for 2 columns`},
		"ldif":                    {"-- directory --\ndn: dc=a\nno colon\n", `section "directory": line 3: "no colon"`},
		"ldif dn":                 {"-- directory --\ndn: nonsense\n", `line 2: dn "nonsense"`},
		"payload":                 {"-- payload a /b --\n", "no available package is called a"},
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

// TestServiceWords reads each combination of a service's words: all are in force, or it is refused.
func TestServiceWords(t *testing.T) {
	flags := []string{"active", "enabled", "masked", "failed", "stubborn", "pid=301", "pid=77", "exe=/bin/other", "user=mail"}
	refused := 0
	for n := range 1 << len(flags) {
		words := []string{"a"}
		has := map[string]bool{}
		for i, flag := range flags {
			if n>>i&1 == 1 {
				words, has[flag] = append(words, flag), true
			}
		}
		if has["pid=301"] && has["pid=77"] {
			continue
		}
		line := strings.Join(words, " ")
		f, err := ReadFixture([]byte("-- /lib/systemd/system/a.service --\n[Service]\nExecStart=/bin/a\nUser=backup\n[Install]\nWantedBy=x.target\n-- /bin/a --\n-- /bin/other --\n" +
			"-- processes --\n301 backup /bin/third\n-- services --\n" + line + "\n"))
		if err != nil {
			refused++
			if has["active"] && !has["failed"] || !has["active"] && !has["pid=301"] && !has["pid=77"] {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		h, err := f.Host(Options{})
		mustDo(t, err)
		s, err := h.services.service("a")
		mustDo(t, err)
		if s.Active != has["active"] || s.Masked != has["masked"] || s.Failed != has["failed"] || s.Enabled != (has["enabled"] && !has["masked"]) || has["enabled"] != (len(h.services.wantLinks("a")) > 0) {
			t.Errorf("%s: %+v", line, s)
		}
		if has["pid=301"] && s.PID != 301 || has["pid=77"] && s.PID != 77 || has["active"] != (s.PID > 0) {
			t.Errorf("%s: process %d", line, s.PID)
		}
		for _, p := range mustProcesses(t, h) {
			if p.PID == s.PID && p.PID != 301 && (p.Exe == "/bin/other" != has["exe=/bin/other"] || p.User == "mail" != has["user=mail"]) {
				t.Errorf("%s: %+v", line, p)
			}
		}
		if err := h.StopService(context.Background(), "a", 0); (err != nil) != (has["stubborn"] && has["active"]) {
			t.Errorf("%s: stop: %v", line, err)
		}
		if s, _ := h.services.service("a"); s.Failed != has["failed"] {
			t.Errorf("%s: after the stop it has failed: %v", line, s.Failed)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// TestFixturesAreDocumented holds the words that the reader takes against those that the README names.
func TestFixturesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/hosts/README.md")
	mustDo(t, err)
	named := map[string]bool{}
	for _, word := range regexp.MustCompile(`[\w-]+`).FindAllString(string(text), -1) {
		named[word] = true
	}
	known := slices.Concat(slices.Sorted(maps.Keys(sectionReaders)), slices.Sorted(maps.Keys(new(FixtureService).flags())), slices.Sorted(maps.Keys(effectVerbs)), packagesystem.Managers(), slices.Sorted(maps.Keys(bases)),
		Deb.effectTimes(), RPM.effectTimes(), RPM.fields(), Deb.fields(), stanzaFields,
		strings.Fields("pid exe user ro dev inodes free-inodes available noeol base64 size approximate spread hardlink xattr payload download var table login down edited newconffile obsolete noreplace ghost missingok"))
	for _, verb := range effectVerbs {
		known = append(known, verb.options...)
	}
	_, err = ReadFixture([]byte("-- host --\nx: y\n")) // names all keys
	_, keys, _ := strings.Cut(err.Error(), "known are ")
	known = append(known, strings.Split(strings.TrimSuffix(keys, ", os-release.FIELD"), ", ")...)
	for _, word := range known {
		if !named[word] {
			t.Errorf("the README does not name %q", word)
		}
	}
	line := regexp.MustCompile("(?m)^`NAME (\\[.*\\])`").FindStringSubmatch(string(text))
	if line == nil {
		t.Fatal("the README has no line of a service")
	}
	for _, word := range strings.Fields(strings.NewReplacer("[", "", "]", "", "=N", "=7", "=PATH", "=/a", "=NAME", "=a").Replace(line[1])) {
		mustDo(t, new(FixtureService).set(word))
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

// FuzzReadFixture reads descriptions of hosts. They are short, so that many are tried.
func FuzzReadFixture(f *testing.F) {
	fixtureSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<10 {
			return
		}
		_, _ = ReadFixture(data)
	})
}

func fixtureSeeds(f *testing.F) {
	f.Add([]byte("-- tree --\nspread 3 9 2x2 f0644 0:0 - /a .x\nhardlink /b -> /a\nxattr user.a YQ== /a\n-- database --\n? a\nb | c\n'' | \"x\"\n-- directory --\ndn: dc=a\nx:: YQ==\n"))
	f.Add([]byte("-- host --\nbase: none\nlock: 1 /a b\n-- mounts --\n/ a b 1 1\n/c a b 1 1 ro\n-- services --\na active pid=3\n-- processes --\n3 root /a\n"))
	f.Add([]byte("-- tree --\n\"\" 0:0 0 - /a\n"))
	f.Add([]byte("-- mounts --\n/ a b \"\" \"K\"\n"))
	f.Add([]byte("-- host --\nhostname: a\n-- passwd --\nroot:x:0:0::/:/bin/sh\n-- packages --\nPackage: a\nVersion: 1\nStatus: install ok installed\n-- /etc/a 0640 root:root --\nx\n"))
}

// FuzzFixtureHost makes hosts of them.
func FuzzFixtureHost(f *testing.F) {
	fixtureSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<9 {
			return
		}
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
			_ = h.Close()
		}
	})
}
