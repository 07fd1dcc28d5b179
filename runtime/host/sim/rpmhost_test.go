package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
)

var zarafaRPMs = []string{"zarafa-server", "zarafa-common", "zarafa-dagent", "zarafa-client", "zarafa-libmapi", "zarafa-lang", "libvmime0"}

const kopanoRepo = "[Kopano-Core]\nname=Kopano Core\nbaseurl=https://user:pass@download.kopano.io/supported/core:/final/RHEL_$releasever/\nenabled=1\n"

func exists(t *testing.T, h *Host, name string) bool {
	t.Helper()
	_, err := h.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestZCPOnCentOS removes ZCP from the shipped host and installs Kopano, as rpm leaves things.
func TestZCPOnCentOS(t *testing.T) {
	h := readHost(t, "rhel7", Options{})
	if f, err := h.Facts(); err != nil || f.Arch != "x86_64" {
		t.Errorf("facts %+v %v", f, err)
	}
	sol, err := h.Solve(host.Transaction{Remove: []string{"zarafa-libmapi"}})
	mustDo(t, err)
	if got := strings.Join(names(sol.Remove), " "); got != "zarafa-client zarafa-dagent zarafa-libmapi zarafa-server" {
		t.Errorf("what depends on zarafa-libmapi: %s", got)
	}
	sol, err = h.Solve(host.Transaction{Remove: zarafaRPMs})
	mustDo(t, err)
	if len(sol.Remove) != len(zarafaRPMs) {
		t.Errorf("removes %v", names(sol.Remove))
	}
	mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Remove: zarafaRPMs, Purge: true}, nil))
	for name, want := range map[string]bool{
		"/etc/zarafa/server.cfg": false, "/etc/zarafa/server.cfg.rpmsave": true, // it was edited
		"/etc/zarafa/unix.cfg": false, "/etc/zarafa/unix.cfg.rpmsave": false,
		"/etc/zarafa/userscripts/createuser": false, "/etc/zarafa/userscripts/createuser.rpmsave": false, // as shipped, content not known
		"/etc/zarafa/userscripts/site-hook.sh": true,
		"/var/log/zarafa/server.log":           false, "/var/log/zarafa/dagent.log": true, // the first is a ghost
		"/var/lib/zarafa/attachments": true, "/usr/lib64/libical.so.1": true, "/usr/sbin/zarafa-server": false,
	} {
		if got := exists(t, h, name); got != want {
			t.Errorf("%s exists: %v", name, got)
		}
	}
	list, err := h.Packages()
	mustDo(t, err)
	if slices.ContainsFunc(list, func(p host.Package) bool { return p.Origin == "Zarafa" }) {
		t.Errorf("left in the database: %v", list)
	}
	said := fmt.Sprint(h.Unpredicted())
	for _, want := range []string{"scriptlet %preun of zarafa-server", "scriptlet %postun of zarafa-server", "/var/lib/rpm", "/var/log/yum.log"} {
		if !strings.Contains(said, want) {
			t.Errorf("not simulated, and not said: %s", want)
		}
	}
	if strings.Contains(said, "dpkg") {
		t.Errorf("dpkg on CentOS: %s", said)
	}
	installKopano(t, h)
}

func installKopano(t *testing.T, h *Host) {
	t.Helper()
	ctx := t.Context()
	answer, err := h.ProbeRepository(ctx, host.RepositoryProbe{Packages: []string{"kopano-server", "none"},
		Files: []host.ConfigFile{{Path: "/etc/yum.repos.d/kopano.repo", Content: host.NewSecret(kopanoRepo)}}})
	if err != nil || answer.Known || answer.Offers["kopano-server"] != "8.7.17.0-1" || len(answer.Missing) != 1 {
		t.Errorf("probe %+v %v", answer, err)
	}
	if _, err := h.Solve(host.Transaction{Install: []string{"kopano-server-packages"}}); err == nil {
		t.Error("a repository that is not configured offers packages")
	}
	mustDo(t, h.files.writeFile("/etc/yum.repos.d/kopano.repo", []byte(kopanoRepo), 0o600))
	mustDo(t, h.RefreshPackages(ctx, nil, nil))
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"kopano-server-packages"}}, nil))
	services, err := h.Services("kopano-server")
	if err != nil || len(services) != 1 || !services[0].Enabled || services[0].Active {
		t.Errorf("services %+v %v", services, err)
	}
	u, err := h.User("kopano")
	mustDo(t, err)
	if st, err := h.Lstat("/var/lib/kopano"); err != nil || st.UID != u.UID || st.Perm() != 0o750 {
		t.Errorf("/var/lib/kopano is %v of %d (%v), kopano is %d", st.Mode, st.UID, err, u.UID)
	}
	if strings.Contains(fmt.Sprint(h.Unpredicted()), "user:pass") {
		t.Error("a password is shown")
	}
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: []string{"kopano-server", "kopano-server-packages"}}, nil))
	if list, _ := h.Packages(); slices.ContainsFunc(list, func(p host.Package) bool { return p.Name == "kopano-server-packages" }) {
		t.Error("the meta package stays without what it requires")
	}
}

// TestRPMConflictsWithZCP: yum removes nothing for the sake of what it installs.
func TestRPMConflictsWithZCP(t *testing.T) {
	h := readHost(t, "rhel7", Options{})
	mustDo(t, h.files.writeFile("/etc/yum.repos.d/kopano.repo", []byte(kopanoRepo), 0o600))
	mustDo(t, h.RefreshPackages(t.Context(), nil, nil))
	var solve *host.SolveError
	if _, err := h.Solve(host.Transaction{Install: []string{"kopano-server"}}); !errors.As(err, &solve) || !strings.Contains(err.Error(), "conflicts with zarafa-") {
		t.Errorf("got %v", err)
	}
}

// TestKeptRPMs goes back with what was saved before the removal.
func TestKeptRPMs(t *testing.T) {
	h := readHost(t, "rhel7", Options{})
	ctx := t.Context()
	mustDo(t, h.Mkdir("/root/kept", 0o700))
	files, missing, err := h.SavePackages(ctx, zarafaRPMs, "/root/kept", nil)
	if err != nil || len(missing) > 0 || files["zarafa-server"] != "/root/kept/zarafa-server-7.2.6.52101-1.1.x86_64.rpm" {
		t.Fatalf("saved %v, missing %v, %v", files, missing, err)
	}
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: zarafaRPMs}, nil))
	tx := host.Transaction{Downgrade: true}
	for _, name := range zarafaRPMs {
		tx.Install = append(tx.Install, files[name])
	}
	mustDo(t, h.CommitPackages(ctx, tx, nil))
	for _, name := range []string{"/usr/sbin/zarafa-server", "/etc/zarafa/server.cfg", "/etc/zarafa/unix.cfg", "/etc/zarafa/server.cfg.rpmsave"} {
		if !exists(t, h, name) {
			t.Errorf("%s is not back", name)
		}
	}
	if exists(t, h, "/etc/zarafa/server.cfg.rpmnew") {
		t.Error("a .rpmnew beside nothing")
	}
}

// TestInterruptedRPM breaks an update off at each of its changes: the database then has both versions,
// or the old one, and a repair and another try come to the same end.
func TestInterruptedRPM(t *testing.T) {
	const fixture = `-- host --
manager: yum 3.4.3
-- packages --
Package: p
Version: 1-1
Files:
 /opt/p/
 /opt/p/old 0644 5
 /opt/p/both 0644 5
-- available --
Package: p
Version: 2-1
Files:
 /opt/p/
 /opt/p/both 0644 6
 /opt/p/new 0644 5
`
	for n := 1; ; n++ {
		f, err := ReadFixture([]byte(fixture))
		mustDo(t, err)
		left := -1 // not yet
		h, err := f.Host(Options{Fault: func(op, path string) error {
			if left > 0 {
				left--
				if left == 0 {
					return syscall.EIO
				}
			}
			return nil
		}})
		mustDo(t, err)
		left = n
		tx := host.Transaction{Install: []string{"p"}}
		err = h.CommitPackages(t.Context(), tx, nil)
		done := err == nil
		if audit, _ := h.PackageAudit(); len(audit) > 0 {
			mustDo(t, h.RepairPackages(t.Context(), nil, nil))
		}
		mustDo(t, h.CommitPackages(t.Context(), tx, nil))
		list, _ := h.Packages()
		audit, _ := h.PackageAudit()
		if len(list) != 1 || list[0].Version != "2-1" || len(audit) != 0 || exists(t, h, "/opt/p/old") || !exists(t, h, "/opt/p/new") {
			t.Fatalf("broken off at change %d: %v %q", n, list, audit)
		}
		if done {
			if n < 5 {
				t.Errorf("only %d changes", n)
			}
			return
		}
	}
}

func TestManagers(t *testing.T) {
	for manager, want := range map[string]string{"yum 3.4.3": "/usr/bin/yum", "dnf 4.2": "/usr/bin/dnf", "zypper 1.13": "/usr/bin/zypper"} {
		h := hostOf(t, "-- host --\nmanager: "+manager+"\n-- dead --\nhttps://repo.example.org/ 404 Not Found\n"+
			"-- /etc/yum.repos.d/a.repo --\n[a]\nbaseurl=https://repo.example.org/\nenabled=1\n-- /etc/zypp/repos.d/a.repo --\n[a]\nbaseurl=https://repo.example.org/\nenabled=1\n")
		err := h.RefreshPackages(t.Context(), nil, nil)
		var failed *host.CommandError
		if !errors.As(err, &failed) || failed.Path != want || !strings.Contains(err.Error(), "404 Not Found") {
			t.Errorf("%s: %v", manager, err)
		}
	}
	for base, want := range map[string]string{"debian": "apt", "redhat": "yum", "suse": "zypper"} {
		if m, err := hostOf(t, "-- host --\nbase: "+base+"\n").PackageManager(); err != nil || m.Name != want {
			t.Errorf("%s has %v %v", base, m, err)
		}
	}
}

// TestLocalRPMRepository reads a repository's index: packages whose files are there from these, others
// from what the index says.
func TestLocalRPMRepository(t *testing.T) {
	const primary = `<?xml version="1.0"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>server</name><arch>x86_64</arch><version epoch="1" ver="8.7" rel="1.el7"/><summary>s</summary>
<size package="1000" installed="4096" archive="5000"/><location href="x86_64/server.rpm"/>
<format><rpm:vendor>Kopano</rpm:vendor><rpm:sourcerpm>kopano-8.7-1.src.rpm</rpm:sourcerpm>
<rpm:provides><rpm:entry name="server" flags="EQ" epoch="1" ver="8.7" rel="1.el7"/></rpm:provides>
<rpm:requires><rpm:entry name="lib" flags="GE" epoch="0" ver="1.0"/><rpm:entry name="/bin/sh" pre="1"/></rpm:requires>
<rpm:obsoletes><rpm:entry name="old"/></rpm:obsoletes></format></package></metadata>`
	const repomd = `<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="filelists"><location href="repodata/f.xml"/></data><data type="primary"><location href="repodata/p.xml"/></data></repomd>`
	fixture := "-- host --\nmanager: MANAGER\nos-release.VERSION_ID: 7\n-- packages --\nPackage: lib\nVersion: 1.5-1\n-- REPODIR/own.repo --\n[main]\n# none\n[own]\nname=own\nbaseurl=\n  file:///srv/$releasever/$basearch\n  file:///none\n[off]\nbaseurl=file:///off\nenabled=0\n[too]\nBaseURL = file:///off\nEnabled = off\n"
	index := "-- /srv/7/x86_64/repodata/repomd.xml --\n" + repomd + "\n-- /srv/7/x86_64/repodata/p.xml --\n" + primary + "\n"
	for manager, dir := range map[string]string{"yum 3.4.3": "/etc/yum.repos.d", "zypper 1.13": "/etc/zypp/repos.d"} {
		text := strings.NewReplacer("MANAGER", manager, "REPODIR", dir).Replace(fixture)
		h := hostOf(t, text+index)
		mustDo(t, h.RefreshPackages(t.Context(), nil, nil))
		found, err := h.Candidates([]string{"server"})
		mustDo(t, err)
		if c := found["server"]; len(c) != 1 || c[0].Version != "1:8.7-1.el7" || c[0].Depends != "lib >= 1.0, /bin/sh" {
			t.Errorf("%s: %+v", manager, found)
		}
		if _, err := h.Solve(host.Transaction{Install: []string{"server"}}); err != nil {
			t.Error(err)
		}
		empty := hostOf(t, text+"-- /srv/7/x86_64/readme --\n")
		if err := empty.RefreshPackages(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "/srv/7/x86_64") {
			t.Errorf("%s without an index: %v", manager, err)
		}
	}
}

// TestSnapshotOfCentOS: what a snapshot of it keeps solves and removes alike.
func TestSnapshotOfCentOS(t *testing.T) {
	h := readHost(t, "rhel7", Options{})
	var out bytes.Buffer
	mustDo(t, Snapshot(t.Context(), &out, h, SnapshotOptions{Packages: []string{"zarafa-*", "libvmime*"}, Config: []string{"/etc/zarafa"}, Trees: []string{"/var/lib/zarafa", "/var/log/zarafa"}}))
	f, err := ReadFixture(out.Bytes())
	mustDo(t, err)
	again, err := f.Host(Options{})
	mustDo(t, err)
	a, errA := h.Packages()
	b, errB := again.Packages()
	if err := errors.Join(errA, errB); err != nil || len(a) != len(b) {
		t.Fatalf("%d packages, %d in the snapshot: %v", len(a), len(b), err)
	}
	for i := range a {
		if a[i].Depends != b[i].Depends || a[i].Provides != b[i].Provides || a[i].Origin != b[i].Origin || a[i].Version != b[i].Version {
			t.Errorf("%+v became %+v", a[i], b[i])
		}
	}
	for _, h := range []*Host{h, again} {
		mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Remove: zarafaRPMs}, nil))
		for name, want := range map[string]bool{"/etc/zarafa/server.cfg.rpmsave": true, "/etc/zarafa/unix.cfg": false, "/etc/zarafa/unix.cfg.rpmsave": false, "/etc/zarafa/userscripts/site-hook.sh": true} {
			if got := exists(t, h, name); got != want {
				t.Errorf("%s exists: %v", name, got)
			}
		}
	}
}

// TestOverLiveRPM simulates over another host, and over a snapshot of it: which of its configuration
// files are edited, what has no digest, and that scriptlets are not known.
func TestOverLiveRPM(t *testing.T) {
	below := hostOf(t, `-- host --
manager: yum 3.4.3
init: systemd
-- packages --
Package: p
Version: 1-1
Conffiles:
 /etc/p/a.cfg noreplace
 /etc/p/b.cfg edited noreplace
 /etc/p/ghost.cfg
 /etc/p/link
Files:
 /etc/p/
 /etc/p/ghost.cfg ghost
 /etc/p/link -> a.cfg
 /var/lib/p/
 /var/log/p.log ghost
 /usr/bin/p 0755
 /usr/lib/systemd/system/p.service

Package: other
Version: 1-1
Requires: /usr/bin/p
-- /etc/p/a.cfg --
as shipped
-- /etc/p/b.cfg --
edited
-- /etc/p/ghost.cfg --
mine
-- /var/lib/p/data --
mine
-- /var/log/p.log --
a line
-- /usr/lib/systemd/system/p.service --
[Service]
ExecStart=/usr/bin/p
[Install]
WantedBy=multi-user.target
-- services --
p enabled
`)
	below.db.byName["p"].conffile("/etc/p/link").MD5 = "" // as rpm has it
	live, err := FromView(below, Options{})
	mustDo(t, err)
	t.Cleanup(func() { live.Close() })
	var out bytes.Buffer
	mustDo(t, Snapshot(t.Context(), &out, below, SnapshotOptions{Packages: []string{"*"}, Trees: []string{"/var/lib/p"}}))
	f, err := ReadFixture(out.Bytes())
	mustDo(t, err)
	snapshot, err := f.Host(Options{})
	mustDo(t, err)
	for name, h := range map[string]*Host{"live": live, "snapshot": snapshot} {
		list, err := h.Packages()
		mustDo(t, err)
		if got := list[1]; got.Name != "p" || !slices.Equal(got.Ghosts, []string{"/var/log/p.log"}) {
			t.Errorf("%s: %s has ghosts %q", name, got.Name, got.Ghosts)
		}
		sol, err := h.Solve(host.Transaction{Remove: []string{"p"}})
		mustDo(t, err)
		if got := strings.Join(names(sol.Remove), " "); got != "other p" {
			t.Errorf("%s: removes %s", name, got)
		}
		if err := h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"p"}}, nil); err == nil || !strings.Contains(err.Error(), "would also remove other 1-1") {
			t.Errorf("%s: a removal that takes another along: %v", name, err)
		}
		mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"p", "other"}}, nil))
		for file, want := range map[string]bool{
			"/etc/p/a.cfg": false, "/etc/p/a.cfg.rpmsave": false, "/etc/p/b.cfg": false, "/etc/p/b.cfg.rpmsave": true, "/etc/p/ghost.cfg": true,
			"/etc/p/link": false, "/etc/p/link.rpmsave": false, "/var/lib/p/data": true, "/usr/bin/p": false,
			"/var/log/p.log": false, "/etc/systemd/system/multi-user.target.wants/p.service": false,
		} {
			if got := exists(t, h, file); got != want {
				t.Errorf("%s: %s exists: %v", name, file, got)
			}
		}
		said := fmt.Sprint(h.Unpredicted())
		if !strings.Contains(said, "if there is one, of p 1-1") || strings.Contains(said, "was edited") {
			t.Errorf("%s: not simulated: %s", name, said)
		}
	}
}

// TestUnknownConfigurationIsAsItCame: what nobody has touched since its package came goes with it, though its content is not
// known; what was there before it came does not.
func TestUnknownConfigurationIsAsItCame(t *testing.T) {
	h := hostOf(t, `-- host --
manager: yum 3.4.3
-- available --
Package: p
Version: 1-1
Conffiles:
 /etc/p/came.mail
 /etc/p/edited.mail
 /etc/p/own.cfg noreplace
Files:
 /etc/p/
 /etc/p/came.mail 0644 500
 /etc/p/edited.mail 0644 500
 /etc/p/own.cfg 0644 500
-- /etc/p/own.cfg --
mine
`)
	mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"p"}}, nil))
	mustDo(t, h.Unlink("/etc/p/edited.mail"))
	mustDo(t, h.files.writeFile("/etc/p/edited.mail", []byte("edited"), 0o644))
	mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"p"}}, nil))
	list, err := h.ReadDir("/etc/p")
	mustDo(t, err)
	var left []string
	for _, e := range list {
		left = append(left, e.Name)
	}
	slices.Sort(left)
	if got := strings.Join(left, " "); got != "edited.mail.rpmsave own.cfg.rpmnew own.cfg.rpmsave" {
		t.Errorf("left: %s", got)
	}
}
