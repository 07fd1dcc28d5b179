package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

// replacing is a runbook with no more in it than packages.
const replacing = `"""Replace packages."""

def remove_old():
    """Remove the old package."""
    pkg.remove(["zarafa-server"])

def install_new(wanted, patience):
    """Install the new one."""
    pkg.refresh()
    pkg.install([wanted], script_patience = patience)

runbook = define(
    steps = [remove_old, install_new],
    params = [param("wanted", default = "kopano-server", doc = "it"), param("patience", type = "int", default = 1800, doc = "it")],
    allow = policy(packages = ["*"], services = ["*"]),
)
`

// rpmRelease is a system as packages see it: what it says it is, and its front.
type rpmRelease struct {
	name, system, repos, front string
}

var rpmReleases = []rpmRelease{
	{"CentOS 7", CentOS7, "/etc/yum.repos.d", "dnf"}, {"RHEL 8", RHEL8, "/etc/yum.repos.d", "dnf"},
	{"SLES 12", SLES12, "/etc/zypp/repos.d", "zypper"}, {"SLES 15", SLES15, "/etc/zypp/repos.d", "zypper"},
}

// mishap is what goes wrong with packages.
type mishap struct {
	name  string
	front string // the only one that knows it
	// spoil spoils the root and returns how to mend it.
	spoil  func(t *testing.T, r *Root, on rpmRelease) (mend func())
	params []string
	want   []string
	never  bool // to be mended: the runbook asks for what cannot be, and there is only the way back
	early  bool // before anything is changed: what is mended is begun anew
}

var mishaps = []mishap{
	{name: "a broken database", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		const file = "/var/lib/rpm/rpmdb.sqlite"
		good := r.ReadFile(file)
		r.Must("rm", "-f", file+"-wal", file+"-shm")
		r.WriteFile(file, strings.Repeat("no database ", 1000), 0o644)
		return func() { r.WriteFile(file, good, 0o644) }
	}, want: []string{"rpm"}, early: true},
	{name: "a repository that is skipped", spoil: func(t *testing.T, r *Root, on rpmRelease) func() {
		file := on.repos + "/dead.repo"
		r.WriteFile(file, RPMRepoFile("none", "gpgcheck=0\nskip_if_unavailable=1"), 0o644)
		return func() { r.Must("rm", file) }
	}, want: []string{"package lists", "none"}},
	{name: "a missing package", params: []string{"wanted=kopano-nosuch"}, want: []string{"kopano-nosuch"}, never: true},
	{name: "a missing dependency", params: []string{"wanted=kopano-broken"}, want: []string{"no-such-library"}, never: true},
	{name: "a file conflict", params: []string{"wanted=kopano-clash"}, want: []string{"/usr/sbin/zarafa-ical", "zarafa-ical"}, never: true},
	{name: "a full disk", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Behave("kopano-server.pre", "cat /dev/zero >/var/ballast 2>/dev/null || :")
		return func() { r.Must("rm", "/var/ballast"); r.Behave("kopano-server.pre") }
	}, want: []string{"o space"}},
	{name: "a script that fails before", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Behave("kopano-server.pre", "echo no luck; exit 3")
		return func() { r.Behave("kopano-server.pre") }
	}, want: []string{"kopano-server-8.7.0-1", "scriptlet failed, exit status 3"}},
	{name: "a script that fails after", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Behave("kopano-server.post", "echo no luck; exit 3")
		return func() { r.Behave("kopano-server.post") }
	}, want: []string{"kopano-server-8.7.0-1", "scriptlet failed, exit status 3"}},
	{name: "a script that hangs", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Behave("kopano-server.pre", hanging)
		return func() { r.Behave("kopano-server.pre") }
	}, params: []string{"patience=60"}, want: []string{"had not ended after 1m0s and was ended"}},
	{name: "a removal that is cut short", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Behave("zarafa-server.preun", "echo no luck; exit 3")
		return func() { // as rpm leaves it that is killed while it removes files, and, on the way back, while it unpacks them
			r.Behave("zarafa-server.preun")
			r.Must("rm", "/usr/sbin/zarafa-server", "/usr/share/zarafa/7.2.6")
			r.WriteFile(fmt.Sprintf("/usr/sbin/zarafa-server;%08x", time.Now().Add(-time.Minute).Unix()), "#!/bin", 0o600)
		}
	}, want: []string{"zarafa-server"}, never: true},
	{name: "somebody else's transaction", spoil: func(t *testing.T, r *Root, _ rpmRelease) func() {
		r.Must("rpm", "-i", "--justdb", "--nodeps", "--force", RPMReposDir+"/update/zarafa-common-7.2.7-1.el7.noarch.rpm")
		return func() { r.Must("rpm", "-e", "--justdb", "--nodeps", "zarafa-common-7.2.7-1.el7") }
	}, want: []string{"zarafa-common is installed twice"}, early: true},
	{name: "a module stream", front: "dnf", spoil: func(t *testing.T, r *Root, on rpmRelease) func() {
		file := on.repos + "/kopano.repo"
		good := r.ReadFile(file)
		r.WriteFile(file, RPMRepoFile("modular", "gpgcheck=0"), 0o644)
		return func() { r.WriteFile(file, good, 0o644) }
	}, want: []string{"filtered out by modular filtering", "kopano-server"}},
}

// TestRPMMishaps: whatever goes wrong with packages stops the run, by a word that names the cause. When it is mended the run is
// resumed to its end, or it is rolled back to its begin.
func TestRPMMishaps(t *testing.T) {
	t.Parallel()
	NeedRPM(t)
	type trial struct {
		mishap
		on   rpmRelease
		back bool
	}
	var trials []trial
	for _, m := range mishaps {
		for _, on := range rpmReleases {
			if m.front == "" || m.front == on.front {
				trials = append(trials, trial{m, on, true})
			}
			if !m.never && (m.front == "" || m.front == on.front) {
				trials = append(trials, trial{m, on, false})
			}
		}
	}
	for _, tr := range chance.Pick(t, trials, 3, func(tr trial) string { return tr.on.front }) {
		way := "resumed"
		if tr.back {
			way = "rolled back"
		}
		t.Run(tr.name+", "+tr.on.name+", "+way, func(t *testing.T) {
			t.Parallel()
			tr.befall(t, tr.on, tr.back)
		})
	}
}

func (m mishap) befall(t *testing.T, on rpmRelease, back bool) {
	r := NewRPMRoot(t, on.system, Size("300m"))
	on.install(r)
	r.WriteFile("/root/replacing.star", replacing, 0o600)
	before := r.State()
	mend := func() {}
	if m.spoil != nil {
		mend = m.spoil(t, r, on)
	}
	res := r.Migrate(Migration{Runbook: "/root/replacing.star", Params: m.params})
	if res.Code != exit.Failed {
		t.Errorf("exit status %d", res.Code)
	}
	for _, want := range m.want {
		if !strings.Contains(squeezed(res.Output), want) {
			t.Errorf("does not say %q", want)
		}
	}
	if t.Failed() {
		t.Fatal(res.Output)
	}
	mend()
	switch {
	case m.early:
		res = r.Migrate(Migration{Runbook: "/root/replacing.star"})
	case !back:
		res = r.Zcp2kopano("resume")
	}
	if m.early || !back {
		if res.Code != exit.Done {
			t.Fatalf("onwards: exit status %d\n%s", res.Code, res.Output)
		}
		r.Must("rpm", "-V", "kopano-server")
		if got := r.Run("rpm", "-q", "zarafa-server"); got.Code == 0 {
			t.Error("zarafa-server is still there")
		}
	}
	if !back {
		return
	}
	if res := r.Zcp2kopano("rollback", "--yes"); res.Code != exit.Done {
		t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
	}
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
}

// install installs ZCP, whose repository is gone then, and configures Kopano's.
func (on rpmRelease) install(r *Root) {
	r.t.Helper()
	r.asRelease(on.system)
	r.Must("sh", "-c", "rpm -i --justdb --nodeps "+RPMReposDir+"/fronts/*.rpm")
	const zcp = "/zarafa.repo"
	r.WriteFile(on.repos+zcp, RPMRepoFile("zcp", "gpgcheck=0"), 0o644)
	r.WriteFile(on.repos+"/kopano.repo", RPMRepoFile("kopano", "gpgcheck=0"), 0o644)
	command, refresh := []string{"dnf", "-y"}, "makecache"
	if on.front == "zypper" {
		command, refresh = []string{"zypper", "--non-interactive", "--no-gpg-checks"}, "refresh"
	}
	r.Must(command[0], append(command[1:], refresh)...)
	r.Must(command[0], append(command[1:], "install", "zarafa-server", "zarafa-ical")...)
	if err := os.Remove(r.Path(on.repos + zcp)); err != nil {
		r.t.Fatal(err)
	}
}
