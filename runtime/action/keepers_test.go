package action

import (
	"crypto/md5"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// A keeper that is embedded and not listed would record nothing, and nothing would tell.
func TestKeepersAreAllInOrder(t *testing.T) {
	a := &Commit{}
	kept := reflect.ValueOf(&a.keepers).Elem()
	list := a.inOrder()
	if len(list) != kept.NumField() {
		t.Fatalf("%d keepers, %d of them in order", kept.NumField(), len(list))
	}
	for i, k := range list {
		if got := reflect.ValueOf(k).Elem(); got.Type() != kept.Field(i).Type() {
			t.Errorf("the keeper at %d is %v, and %v in the list", i, kept.Field(i).Type(), got.Type())
		}
	}
}

// Each keeper tells when what it keeps is not as it was, and puts it back.
func TestEachKeeperComparesAndRestores(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(t *testing.T, tr *trial)
		want  string
	}{
		"wants": {func(t *testing.T, tr *trial) {
			must(t, tr.Unlink(systemdDir+"/multi-user.target.wants/zarafa-server.service"))
		}, "multi-user.target.wants/zarafa-server.service: is missing"},
		"masks": {func(t *testing.T, tr *trial) { must(t, tr.Symlink("/dev/null", systemdDir+"/kopano-server.service")) },
			"/kopano-server.service: masks a service, and was not there"},
		"services": {func(t *testing.T, tr *trial) { must(t, tr.StopService(t.Context(), "zarafa-server", 0)) }, "service zarafa-server is stopped and masked, was running and masked"},
		"accounts": {func(t *testing.T, tr *trial) {
			tr.env.Marks = nil // or it would be left to whoever changed it after the transaction
			overwrite(t, tr.env, "/etc/group", "another")
		}, "/etc/group: content differs"},
		"links": {func(t *testing.T, tr *trial) { must(t, tr.Unlink("/etc/rc2.d/S20zarafa-server")) }, "/etc/rc2.d/S20zarafa-server: is missing"},
		"conffiles": {func(t *testing.T, tr *trial) { overwrite(t, tr.env, "/etc/zarafa-server/main.cfg", "another") },
			"/etc/zarafa-server/main.cfg: content differs"},
		"namesakes": {func(t *testing.T, tr *trial) { must(t, tr.Lchown("/etc/kopano/b\xe4r", 5, 5)) }, "/etc/kopano/b\xe4r: owner is 5:5, was 0:0"},
		"dirs":      {func(t *testing.T, tr *trial) { must(t, tr.Lchown("/etc/zarafa-server", 5, 5)) }, "/etc/zarafa-server: owner is 5:5, was 0:110"},
		"marks": {func(t *testing.T, tr *trial) {
			p := tr.packages["zarafa-server"]
			p.Auto = false
			tr.packages["zarafa-server"] = p
		}, "package zarafa-server counts as installed by hand, counted as installed automatically"},
		"remains":    {func(t *testing.T, tr *trial) { delete(tr.packages, "zarafa-old") }, "package zarafa-old 6 had left its configuration files"},
		"starts":     {func(t *testing.T, tr *trial) { must(t, tr.Unlink(PolicyFile)) }, PolicyFile + ": is missing"},
		"departures": {func(t *testing.T, tr *trial) { delete(tr.packages, "zarafa-common") }, "package zarafa-common 7.2.0 is not installed"},
		"arrivals": {func(t *testing.T, tr *trial) {
			must(t, tr.CommitPackages(t.Context(), host.Transaction{Install: []string{"kopano-server"}}, nil))
		}, "package kopano-server is still there"},
	} {
		t.Run(what, func(t *testing.T) {
			tr := richCommit().prepared(t)
			must(t, tr.apply(t))
			must(t, tr.undo(t))
			differences := func() []string {
				lines, err := tr.action(t).(Comparer).Differences(tr.env)
				must(t, err)
				return lines
			}
			if lines := differences(); len(lines) > 0 {
				t.Fatalf("after Undo: %q", lines)
			}
			c.spoil(t, tr)
			if lines := differences(); !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, c.want) }) {
				t.Errorf("%q has nothing like %q", lines, c.want)
			}
			must(t, tr.undo(t))
			if lines := differences(); len(lines) > 0 {
				t.Errorf("after Undo again: %q", lines)
			}
		})
	}
}

// A transaction with something for every keeper comes back from every crash.
func TestCrashesOfKeepers(t *testing.T) { richCommit().crashes(t) }

// The links of init scripts are put back where each family has them, and those of a package that came go with it.
func TestRunlevelLinks(t *testing.T) {
	for name, c := range map[string]struct {
		dir   string // of runlevel 2
		links [][2]string
	}{
		"Debian":  {"/etc/rc2.d", nil},
		"Red Hat": {"/etc/rc.d/rc2.d", [][2]string{{"/etc/rc2.d", "rc.d/rc2.d"}}},
		"SUSE":    {"/etc/init.d/rc2.d", [][2]string{{"/etc/rc.d", "init.d"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := richCommit()
			rich := s.setup
			s.setup = func(t tester, h *fakeHost) {
				rich(t, h)
				must(t, h.Unlink("/etc/rc2.d/S20zarafa-server"))
				must(t, h.Rmdir("/etc/rc2.d"))
				must(t, h.PutDir(path.Dir(c.dir), 0o755, 0, 0))
				must(t, h.PutDir(c.dir, 0o755, 0, 0))
				for _, l := range c.links {
					must(t, h.PutSymlink(l[0], l[1], 0, 0))
				}
				must(t, h.PutSymlink(c.dir+"/S20zarafa-server", "/etc/init.d/zarafa-server", 0, 0))
			}
			tr := s.prepared(t)
			before := tr.state(t)
			must(t, tr.apply(t))
			if err := tr.Unlink(c.dir + "/S20zarafa-server"); err != nil && !host.Absent(err) {
				t.Fatal(err)
			}
			must(t, tr.Symlink("/etc/init.d/kopano-server", c.dir+"/K80kopano-server"))
			must(t, tr.Symlink("/etc/init.d/kopano-server", c.dir+"/S20kopano-server"))
			lines, err := tr.action(t).(Comparer).Differences(tr.env)
			must(t, err)
			if text := strings.Join(lines, "\n"); !strings.Contains(text, c.dir+"/S20kopano-server: starts or stops a service, and was not there") {
				t.Errorf("%q", lines)
			}
			must(t, tr.undo(t))
			sameState(t, "Undo", tr.state(t), before)
		})
	}
}

// What this program has for a while in a directory of the packages that come, such as what was copied ahead of a move, is
// gone by the time of a rollback, and not missed.
func TestNamesakesLeaveOutOwnWork(t *testing.T) {
	s := richCommit()
	tr := s.start(t)
	const top = "/var/lib/kopano/attachments"
	for _, dir := range []string{"/var/lib/kopano", top, presyncAt(top), path.Join(presyncAt(top), "1")} {
		must(t, tr.PutDir(dir, 0o700, 0, 0))
	}
	put(t, tr.fakeHost, top+"/of-an-earlier-time", "x", 0o600, 0, 0)
	put(t, tr.fakeHost, path.Join(presyncAt(top), "1/17"), "x", 0o600, 0, 0)
	must(t, tr.prepare(t, s.act()))
	a := tr.action(t).(*Commit)
	var kept []string
	for _, p := range slices.Concat(a.Namesakes, a.Dirs) {
		if strings.HasPrefix(p.Path, top) {
			kept = append(kept, p.Path)
		}
	}
	if want := []string{top + "/of-an-earlier-time", top}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

// A file of the product's that a simulated host knows the size of, and no more, keeps nobody from a transaction.
func TestNamesakeOfUnknownContent(t *testing.T) {
	s := scenario{name: "unknown namesake", setup: func(t tester, h *fakeHost) {
		zarafaInstalled(t, h)
		must(t, h.PutSized("/etc/kopano/unknown.cfg", 70, 0o640, 5, 5, long))
	}, act: func() Action { return &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}} }}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	must(t, tr.undo(t))
	lines, err := tr.action(t).(Comparer).Differences(tr.env)
	if err != nil || len(lines) > 0 {
		t.Errorf("after Undo: %q, %v", lines, err)
	}
}

// TestClearPurged: what the rollback has made again of packages that somebody has purged goes, what somebody put there is
// kept, and what was there before them stays. Packages that are still known take their own along.
func TestClearPurged(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	env := newEnv(h)
	for _, dir := range []string{"/etc/kopano", "/etc/kopano/quotamail", "/var/lib/kopano", "/var/lib/kopano/search"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	for _, name := range []string{"search.cfg", "changed.cfg", "early.cfg", "quotamail/left"} {
		put(t, h, "/etc/kopano/"+name, name, 0o644, 0, 0)
	}
	h.packages["kopano-dagent"] = host.Package{Name: "kopano-dagent", Status: "config-files"}
	sum := fmt.Sprintf("%x", md5.Sum([]byte("search.cfg")))
	must(t, env.Mark(broughtMark{
		Brought: map[string][]string{
			"kopano-search": {"/etc/kopano", "/etc/kopano/search.cfg", "/etc/kopano/changed.cfg", "/etc/kopano/early.cfg", "/var/lib/kopano", "/var/lib/kopano/search", "/etc/init.d"},
			"kopano-dagent": {"/etc/kopano/quotamail/left"},
		},
		Shipped: map[string]string{"/etc/kopano/search.cfg": sum, "/etc/kopano/changed.cfg": sum},
	}))
	a := &Commit{New: []string{"kopano-search", "kopano-dagent"}}
	a.Namesakes = []Preimage{{Path: "/etc/kopano/early.cfg"}}
	a.Dirs = []Preimage{{Path: "/var/lib/kopano"}}
	for range 2 {
		must(t, errors.Join(a.clearPurged(env), a.clearBrought(env)))
	}
	for name, want := range map[string]bool{
		"/etc/kopano/search.cfg": false, "/etc/kopano/changed.cfg": false, "/etc/kopano/early.cfg": true, "/etc/kopano/quotamail/left": true,
		env.Store.Since() + "/etc/kopano/changed.cfg": true, env.Store.Since() + "/etc/kopano/search.cfg": false, "/var/lib/kopano": true, "/var/lib/kopano/search": false,
	} {
		if there, err := exists(h, name); there != want || err != nil {
			t.Errorf("%s: there %v, want %v (%v)", name, there, want, err)
		}
	}
}

// TestClearsOnlyWhatIsTheRuns: what belongs to another package by now stays, as do a link where a package had a directory,
// and a directory that something is mounted on.
func TestClearsOnlyWhatIsTheRuns(t *testing.T) {
	h := newFake(simfs.Mount{Mount: host.Mount{Point: "/var/lib/kopano/attachments"}})
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	env := newEnv(h)
	for _, dir := range []string{"/srv/mail", "/var/lib/kopano", "/var/lib/kopano/attachments", "/var/lib/kopano/search", "/etc/kopano"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	for _, name := range []string{"/srv/mail/quota.txt", "/etc/kopano/search.cfg"} {
		put(t, h, name, "", 0o644, 0, 0)
	}
	must(t, h.Symlink("/srv/mail", "/etc/kopano/mail"))
	h.packages["searchng"] = host.Package{Name: "searchng", Version: "9", Status: "installed"}
	h.owned = map[string][]string{"searchng": {"/etc/kopano", "/etc/kopano/search.cfg", "/var/lib/kopano", "/var/lib/kopano/search"}}
	must(t, env.Mark(broughtMark{Brought: map[string][]string{"kopano-search": {
		"/etc/kopano", "/etc/kopano/search.cfg", "/etc/kopano/mail", "/etc/kopano/mail/quota.txt",
		"/var/lib/kopano", "/var/lib/kopano/search", "/var/lib/kopano/attachments",
	}}}))
	a := &Commit{New: []string{"kopano-search"}}
	must(t, errors.Join(a.clearPurged(env), a.clearBrought(env)))
	for _, name := range []string{"/etc/kopano/search.cfg", "/var/lib/kopano/search", "/etc/kopano/mail"} {
		if there, err := exists(h, name); !there || err != nil {
			t.Errorf("%s was removed (%v)", name, err)
		}
	}
}

// TestLinksThatStartNothing: links that start a service at boot go when its unit has gone without them; not those that were
// there before, nor those that lead somewhere, nor those of others.
func TestLinksThatStartNothing(t *testing.T) {
	h := newFake()
	const wants = "/etc/systemd/system/multi-user.target.wants/"
	for _, dir := range []string{"/etc/systemd", "/etc/systemd/system", path.Dir(wants), "/usr/lib/systemd", "/usr/lib/systemd/system"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	enable := func(name string) {
		must(t, h.PutSymlink(wants+name+".service", "/usr/lib/systemd/system/"+name+".service", 0, 0))
	}
	env := newEnv(h)
	a := &Commit{New: []string{"kopano-ical", "kopano-search", "kopano-early"}}
	enable("kopano-early")
	must(t, a.wantsKeeper.record(env, a, &found{}))
	for _, name := range []string{"kopano-ical", "kopano-search", "postfix"} {
		enable(name)
	}
	put(t, h, "/usr/lib/systemd/system/kopano-search.service", "", 0o644, 0, 0)
	lines, err := a.wantsKeeper.compare(env, a)
	if want := wants + "kopano-ical.service: starts a service at boot that is gone, and was not there"; err != nil || strings.Join(lines, "\n") != want {
		t.Errorf("differences %q (%v), want %q", lines, err, want)
	}
	older := &Commit{New: a.New} // of a version that recorded no links
	if lines, err := older.wantsKeeper.compare(env, older); err != nil || len(lines) > 0 {
		t.Errorf("without a record: %q, %v", lines, err)
	}
	must(t, older.wantsKeeper.restore(env, older))
	if there, err := exists(h, wants+"kopano-ical.service"); !there || err != nil {
		t.Errorf("without a record a link went (%v)", err)
	}
	must(t, a.wantsKeeper.restore(env, a))
	for name, want := range map[string]bool{"kopano-ical": false, "kopano-search": true, "kopano-early": true, "postfix": true} {
		if there, err := exists(h, wants+name+".service"); there != want || err != nil {
			t.Errorf("%s: there %v, want %v (%v)", name, there, want, err)
		}
	}
}

// TestDetours: dpkg takes a symlink in the place of a directory along with the last package that has that; it is there again
// at once, and after a way back.
func TestDetours(t *testing.T) {
	h := newFake()
	const link = "/var/lib/zarafa"
	for _, dir := range []string{"/data", "/data/zarafa", "/etc/zarafa"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	must(t, h.PutSymlink(link, "/data/zarafa", 0, 0))
	must(t, h.PutSymlink("/etc/gone", "/nowhere", 0, 0))
	must(t, h.PutDir("/data/tmp", 0o755, 0, 0))
	must(t, h.PutDir("/var/lib/zarafa-webapp", 0o755, 0, 0))
	must(t, h.PutSymlink("/var/lib/zarafa-webapp/tmp", "/data/tmp", 0, 0))
	for _, dir := range []string{"/usr/share/doc/zarafa-common", "/opt/zarafa"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	must(t, h.PutSymlink("/usr/share/doc/zarafa-client", "zarafa-common", 0, 0))
	must(t, h.PutSymlink("/usr/share/zarafa", "/opt/zarafa", 0, 0))
	must(t, h.PutSymlink("/opt/zarafa/own", "/data/zarafa", 0, 0))
	paths := map[string]bool{link: true, "/var/lib/zarafa-webapp": true, "/var/lib/zarafa-webapp/tmp": true, "/etc/zarafa": true, "/etc/gone": true, "/etc/none": true, "/usr/share/doc/zarafa-common": true,
		"/usr/share/doc/zarafa-client": true, "/usr/share/zarafa": true, "/usr/share/zarafa/file": true, "/usr/share/zarafa/own": true}
	env, a := newEnv(h), &Commit{}
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	f := &found{paths: paths}
	must(t, f.findDetours(h))
	must(t, a.detoursKeeper.record(env, a, f))
	if len(a.Detours) != 3 || a.Detours[0].Path != "/usr/share/zarafa" || a.Detours[1].Path != link { // the others are the packages' own
		t.Fatalf("recorded %v", a.Detours)
	}
	for name, back := range map[string]func() error{
		"the transaction": func() error { return a.detoursKeeper.ended(env) },
		"the way back":    func() error { return a.detoursKeeper.restore(env, a) },
	} {
		must(t, h.Unlink(link))
		if lines, err := a.detoursKeeper.compare(env, a); err != nil || len(lines) != 1 {
			t.Errorf("before %s: differences %q, %v", name, lines, err)
		}
		must(t, back())
		if to, err := h.Readlink(link); err != nil || to != "/data/zarafa" {
			t.Errorf("after %s it leads to %q, %v", name, to, err)
		}
	}

	// The directory that had one goes with the packages; what has taken the place of another stays.
	must(t, env.remove("/var/lib/zarafa-webapp", size{}))
	must(t, h.Unlink(link))
	must(t, h.PutSymlink(link, "/data/tmp", 0, 0))
	must(t, a.detoursKeeper.ended(env))
	if there, err := exists(h, "/var/lib/zarafa-webapp"); there || err != nil {
		t.Errorf("a directory that went is there again: %v", err)
	}
	must(t, a.detoursKeeper.restore(env, a))
	for name, want := range map[string]string{"/var/lib/zarafa-webapp/tmp": "/data/tmp", link: "/data/tmp"} {
		if to, err := h.Readlink(name); err != nil || to != want {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
}

// TestWithdrawn: a package that is half installed has not been removed, and what it shares with others has not gone with
// these.
func TestWithdrawn(t *testing.T) {
	h := newFake()
	env := newEnv(h)
	h.packages["kopano-server"] = host.Package{Name: "kopano-server", Version: "8", Status: "half-configured"}
	h.packages["kopano-dagent"] = host.Package{Name: "kopano-dagent", Version: "8", Status: "config-files"}
	env.Arrived = map[string][]string{"kopano-server": {"/var/lib/kopano"}, "kopano-dagent": {"/var/lib/kopano", "/var/lib/kopano/dagent"}, "kopano-search": nil}
	names, err := env.Withdrawn()
	if want := []string{"kopano-dagent", "kopano-search"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("gone: %q (%v), want %q", names, err, want)
	}
	files, err := env.withdrawnFiles()
	if err != nil || len(files) != 1 || !files["/var/lib/kopano/dagent"] {
		t.Errorf("went with them: %v (%v)", files, err)
	}
}

// TestUndoTakesNothingAlong: what was installed since a transaction, and needs what came with it, is not taken along by the
// way back: that stops, and names it.
func TestUndoTakesNothingAlong(t *testing.T) {
	tr := richCommit().prepared(t)
	must(t, tr.apply(t))
	tr.packages["site-tool"] = host.Package{Name: "site-tool", Version: "1", Status: "installed", Depends: "kopano-server"}
	if err := tr.undo(t); err == nil || !strings.Contains(err.Error(), "site-tool") || !strings.Contains(err.Error(), "it was installed since the run") {
		t.Errorf("undone: %v", err)
	}
	if !tr.packages["site-tool"].Installed() || !tr.packages["kopano-server"].Installed() {
		t.Errorf("left are %v", tr.packages)
	}
}
