package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestEntries has entries that would allow too much, and patterns that stock runbooks and sites need.
func TestEntries(t *testing.T) {
	bad := strings.Fields(`/* /** /?* /*? /[a-z]* /?rv /[s]rv /s?v /sr[v] /[^x]rv /e* /et? /[e]tc /v* /v?r /[a-v]ar /u* /us? /h* /r* /ro?t /t* /tm[p]
		/o* /op? /m* /mn? /l* /lib* /b* /b?n /bo* /s* /sb?n /d* /p* /sy? /*/* /*/** /**/** /**/* /*/l* /var/* /var/l* /var/li? /var/[l]ib /var/?o* /usr/*
		/usr/b* /usr/[s]bin /usr/l* /usr/s* /u*/bin /?sr/lib /[u]sr/share /*/bin /*/lib /*/log /v?r/lib /va*/spool /*ar/cache /proc /proc/1 /proc/* /sys /sys/x
		/dev /dev/sda /dev/* /boot /boot/grub /boot/* /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/passwd- /etc/shadow- /etc/sudoers /etc/sudoers.d
		/etc/sudoers.d/x /etc/subuid / /etc /usr /var /srv /var/lib /etc/ //etc /etc/. /etc/.. /srv/../etc /srv/./a srv * ** ../etc ./etc /srv//a /srv/a/ /srv/[a`)
	bad = append(bad, "", " /srv/a", "/srv/a/../../etc")
	for dir := range protected {
		bad = append(bad, dir)
	}
	for _, entry := range bad {
		var p Policy
		if err := p.Grant(Path, entry); err == nil {
			t.Errorf("%q is let through", entry)
		}
	}
	for _, entry := range strings.Fields(`/srv/a /srv/* /etc/kopano /etc/zarafa.bak* /etc/php5/*/*zarafa.ini /usr/local/lib/python*/dist-packages/zarafa*
		/usr/sbin/policy-rc.d* /var/lib/kopano /etc/apt/sources.list.d/* /tmp/kopano-upgrade-lock /home/*/Maildir`) {
		var p Policy
		if err := p.Grant(Path, entry); err != nil {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

// TestNothingReserved tries whatever is reserved under the widest patterns that an entry may have, and under some
// that none may have, as a policy from an old journal could.
func TestNothingReserved(t *testing.T) {
	const state = "/var/lib/zcp2kopano"
	names := append(slices.Sorted(maps.Keys(protected)), untouchable...)
	names = append(names, "/proc/1/mem", "/proc/sys/kernel/core_pattern", "/sys/kernel/x", "/dev/sda", "/dev/shm/x", "/boot/vmlinuz", "/etc/sudoers.d/x",
		state, state+"/runs", state+"/runs/r1/journal", state+"/lock", "/srv/state", "/srv/state/runs/x/backup")
	rows := 0
	for _, entries := range [][]string{
		{"/*/*/*", "/etc/*", "/srv/*", "/var/*/*", "/usr/*/*", "/opt/*"}, {"/*"}, {"/**"}, {"/"}, {"/?*"}, {"/[a-z]*"}, {"/*", "/*/*", "/*/*/*", "/*/*/*/*"},
	} {
		p := Policy{Allow: map[Class][]string{Path: entries}, State: []string{state, "/srv/state"}}
		for _, name := range names {
			rows++
			if err := p.Check([]Target{{Class: Path, Name: name}}); err == nil {
				t.Errorf("%v allows %s", entries, name)
			}
		}
	}
	if rows < 200 {
		t.Errorf("only %d rows", rows)
	}
}

// TestPlaces judges a change by where it happens.
func TestPlaces(t *testing.T) {
	// where symlinks lead, by the longest name that is one
	links := map[string]string{
		"/srv/a/etc": "/etc", "/srv/a/cron": "/etc/cron.d", "/srv/a/proc": "/proc/self", "/srv/a/in": "/srv/a/other", "/srv/a/state": "/var/lib/zcp2kopano/runs",
		"/srv/a/root": "/", "/var/lib/zarafa": "/data/zarafa", "/var/run": "/run", "/srv/a/data": "/data/zarafa",
	}
	resolve := func(name string, last bool) (string, error) {
		for range 40 {
			best := ""
			for link := range links {
				if (strings.HasPrefix(name, link+"/") || last && name == link) && len(link) > len(best) {
					best = link
				}
			}
			if best == "" {
				return name, nil
			}
			name = strings.TrimPrefix(links[best]+strings.TrimPrefix(name, best), "/")
			name = "/" + strings.TrimPrefix(name, "/")
		}
		return "", errors.New("a circle")
	}
	p := Policy{Allow: map[Class][]string{Path: {"/srv/a", "/var/lib/zarafa", "/var/run/kopano*"}}, State: []string{"/var/lib/zcp2kopano"}}
	places := p.Places(resolve)
	if want := (map[string]string{"/var/lib/zarafa": "/data/zarafa", "/var/run/kopano*": "/run/kopano*"}); !maps.Equal(places, want) {
		t.Errorf("the policy's places are %v, want %v", places, want)
	}
	for _, place := range places {
		if err := p.Grant(Path, place); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		target Target
		want   string // "" if it is allowed
	}{
		{Target{Name: "/srv/a/x"}, ""}, {Target{Name: "/srv/a/in/x"}, ""}, {Target{Name: "/var/lib/zarafa/x"}, ""}, {Target{Name: "/var/run/kopano.pid"}, ""},
		{Target{Name: "/var/lib/zarafa"}, ""}, {Target{Name: "/var/lib/zarafa", Through: true}, ""}, {Target{Name: "/srv/a/data/x"}, ""},
		{Target{Name: "/srv/a/etc"}, ""}, {Target{Name: "/srv/a/cron"}, ""}, // the links themselves
		{Target{Name: "/srv/a/etc", Through: true}, "/etc"}, {Target{Name: "/srv/a/cron", Through: true}, "/etc/cron.d"},
		{Target{Name: "/srv/a/etc/hosts"}, "leads to /etc/hosts"}, {Target{Name: "/srv/a/etc/passwd"}, "out of its reach"}, {Target{Name: "/srv/a/cron/x"}, "/etc/cron.d/x"},
		{Target{Name: "/srv/a/proc/mem"}, "/proc"}, {Target{Name: "/srv/a/state/r1/journal"}, "the runs are kept"}, {Target{Name: "/srv/a/root/x"}, "leads to /x"},
		{Target{Name: "/srv/a/root/etc/x"}, "leads to /etc/x"}, {Target{Name: "/srv/a/root", Through: true}, "directory of the system"},
		{Target{Name: "/data/zarafa/x"}, ""}, {Target{Name: "/data/other"}, "does not allow"},
	} {
		c.target.Class = Path
		err := p.Judge([]Target{c.target}, resolve)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.target, fmt.Sprint(err), c.want)
		}
	}
}
