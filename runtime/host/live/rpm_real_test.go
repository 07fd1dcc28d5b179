package live_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/confine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/host/sim"
)

// These tests use real rpm, dnf (by its own name and by yum's) and zypper in a root. Of yum 3 there are
// only the forms of its output, in yum_test.go.

// rpmKind is a front and where it has the configuration of repositories.
type rpmKind struct {
	name, system, dir string
	manager           string
}

var rpmKinds = []rpmKind{
	{"yum", e2e.CentOS7, "/etc/yum.repos.d", "dnf"},
	{"dnf", e2e.CentOS7, "/etc/yum.repos.d", "dnf"},
	{"zypper", e2e.SLES12, "/etc/zypp/repos.d", "zypper"},
}

// onEachFront runs a test with zypper and, as the seed picks, with dnf by its own name or by yum's; with make crash with
// every front.
func onEachFront(t *testing.T, test func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host)) {
	t.Parallel()
	e2e.NeedRPM(t)
	for _, k := range chance.Pick(t, rpmKinds, 2, func(k rpmKind) string { return k.manager }) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r := e2e.NewRPMRoot(t, k.system)
			must(t, unix.Mount("/proc", r.Path("/proc"), "", unix.MS_BIND, ""))
			if k.name == "dnf" {
				must(t, os.Remove(r.Path("/usr/bin/yum")))
			}
			h, err := live.Open(r.Dir)
			must(t, err)
			t.Cleanup(func() { h.Close() })
			test(t, k, r, h)
		})
	}
}

const (
	checked   = "gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://" + e2e.RPMKeyFile
	unchecked = "gpgcheck=0\nrepo_gpgcheck=0"
)

// configure adds a repository and reads its lists.
func (k rpmKind) configure(t *testing.T, r *e2e.Root, h *live.Host, name, checks string) {
	t.Helper()
	file := k.dir + "/" + name + ".repo"
	r.WriteFile(file, e2e.RPMRepoFile(name, checks), 0o644)
	must(t, h.RefreshPackages(t.Context(), []string{file}, nil))
}

func installed(t *testing.T, h *live.Host, name string) host.Package {
	t.Helper()
	packages, err := h.Packages()
	must(t, err)
	for _, p := range packages {
		if p.Name == name {
			return p
		}
	}
	return host.Package{}
}

func TestRPMPackages(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		ctx := t.Context()
		manager, err := h.PackageManager()
		must(t, err)
		if manager.Name != k.manager || manager.Version == "" {
			t.Errorf("manager %+v", manager)
		}
		k.configure(t, r, h, "zcp", checked)
		install := host.Transaction{Install: []string{"zarafa-server", "zarafa-ical"}, NoRecommends: true}
		solution, err := h.Solve(install)
		must(t, err)
		if len(solution.Install) != 3 || len(solution.Remove) != 0 || solution.DiskDelta <= 0 || solution.Download <= 0 {
			t.Errorf("solution %+v", solution)
		}
		if got := installed(t, h, "zarafa-server"); got.Name != "" {
			t.Fatalf("a solution installs %+v", got)
		}
		var said []string
		must(t, h.CommitPackages(ctx, install, lines(func(line string) { said = append(said, line) })))
		if !strings.Contains(strings.Join(said, "\n"), "zarafa-server") {
			t.Errorf("progress %q", said)
		}
		must(t, h.CommitPackages(ctx, install, nil))

		p := installed(t, h, "zarafa-server")
		if p.Status != "installed" || p.Version != "7.2.6-1.el7" || p.Arch != "noarch" || p.Origin != "Zarafa B.V." || p.Source != "zarafa-server" ||
			p.Depends != "/bin/sh, zarafa-common = 7.2.6" || p.Provides != "zarafa-server = 7.2.6-1.el7" || p.SizeKiB == 0 {
			t.Errorf("package %+v", p)
		}
		if len(p.Conffiles) != 1 || p.Conffiles[0].Path != "/etc/zarafa/server.cfg" || !p.Conffiles[0].NoReplace || len(p.Conffiles[0].MD5) != 64 {
			t.Errorf("conffiles %+v", p.Conffiles)
		}
		if c := installed(t, h, "zarafa-common").Conffiles; len(c) != 1 || c[0].NoReplace {
			t.Errorf("conffiles of zarafa-common %+v", c)
		}
		if got := installed(t, h, "zarafa-ical").Version; got != "1:7.2.6-1.el7" {
			t.Errorf("zarafa-ical %s", got)
		}
		files, err := h.PackageFiles("zarafa-server")
		if err != nil || !strings.Contains(strings.Join(files, "\n"), "/usr/sbin/zarafa-server") || !strings.Contains(strings.Join(files, "\n"), "/var/lib/zarafa/state") {
			t.Errorf("files %q %v", files, err)
		}
		if _, err := h.PackageFiles("no-such-package"); err == nil {
			t.Error("a package that is not there has files")
		}
		if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
			t.Errorf("audit %q %v", broken, err)
		}
		candidates, err := h.Candidates([]string{"zarafa-server", "zarafa-ical", "no-such-package"})
		if err != nil || len(candidates) != 2 || len(candidates["zarafa-server"]) != 1 ||
			candidates["zarafa-server"][0] != (host.Candidate{Version: "7.2.6-1.el7", Origin: "zcp", Depends: "/bin/sh, zarafa-common = 7.2.6"}) ||
			candidates["zarafa-ical"][0].Version != "1:7.2.6-1.el7" {
			t.Errorf("candidates %+v %v", candidates, err)
		}

		// What others need does not go along unasked.
		err = h.CommitPackages(ctx, host.Transaction{Remove: []string{"zarafa-common"}}, nil)
		var impossible *host.SolveError
		if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "zarafa-server") {
			t.Errorf("removal of zarafa-common: %v", err)
		}
		if got := installed(t, h, "zarafa-server"); !got.Installed() {
			t.Fatal("a refused transaction removed zarafa-server")
		}

		// Names that are not to be had are not passed over.
		for _, names := range [][]string{{"no-such-package"}, {"zarafa-ical", "no-such-package"}, {"zarafa-server=9.9-1"}} {
			if _, err = h.Solve(host.Transaction{Install: names}); !errors.As(err, &impossible) {
				t.Errorf("%q: %v", names, err)
			}
		}

		// Edited configuration stays under another name; what is gone is not removed again.
		r.Edit("/etc/zarafa/server.cfg", "log_level = 3", "log_level = 5")
		all := []string{"zarafa-server", "zarafa-ical", "zarafa-common", "no-such-package"}
		for range 2 {
			must(t, h.CommitPackages(ctx, host.Transaction{Remove: all, Purge: true}, nil))
		}
		if !strings.Contains(r.ReadFile("/etc/zarafa/server.cfg.rpmsave"), "log_level = 5") {
			t.Error("the edited configuration is lost")
		}
	})
}

func TestRPMReplaceInOneTransaction(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		ctx := t.Context()
		k.configure(t, r, h, "zcp", checked)
		k.configure(t, r, h, "kopano", checked)
		must(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"zarafa-server"}}, nil))
		both := host.Transaction{Remove: []string{"zarafa-server"}, Install: []string{"kopano-server"}}
		solution, err := h.Solve(both)
		must(t, err)
		if len(solution.Install) != 2 || len(solution.Remove) != 1 {
			t.Errorf("solution %+v", solution)
		}
		must(t, h.CommitPackages(ctx, both, nil))
		if !installed(t, h, "kopano-server").Installed() || installed(t, h, "zarafa-server").Name != "" {
			t.Error("kopano-server did not take the place of zarafa-server")
		}
		var impossible *host.SolveError
		for _, tx := range []host.Transaction{
			{Install: []string{"kopano-broken"}},
			{Remove: []string{"zarafa-common"}, Install: []string{"kopano-broken"}},
			{Remove: []string{"zarafa-common"}, Install: []string{"no-such-package"}},
		} {
			if err := h.CommitPackages(ctx, tx, nil); !errors.As(err, &impossible) {
				t.Errorf("%+v: %v", tx, err)
			}
		}
		if !installed(t, h, "zarafa-common").Installed() {
			t.Error("half of a refused transaction was carried out")
		}
	})
}

func TestRPMSaveAndGoBack(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		ctx := t.Context()
		k.configure(t, r, h, "zcp", checked)
		names := []string{"zarafa-common", "zarafa-server", "zarafa-ical"}
		must(t, h.CommitPackages(ctx, host.Transaction{Install: names}, nil))
		must(t, h.Mkdir("/root/kept", 0o700))
		files, missing, err := h.SavePackages(ctx, append(names, "no-such-package"), "/root/kept", nil)
		if err != nil || len(missing) != 1 || len(files) != 3 {
			t.Fatalf("saved %v, missing %v, %v", files, missing, err)
		}
		again, _, err := h.SavePackages(ctx, names, "/root/kept", nil)
		if err != nil || again["zarafa-server"] != files["zarafa-server"] {
			t.Errorf("again %v %v", again, err)
		}
		if entries, _ := h.ReadDir("/root/kept"); len(entries) != 3 {
			t.Errorf("left in the directory: %v", entries)
		}

		// A newer version from elsewhere, and back again from the files, without any repository.
		k.configure(t, r, h, "update", unchecked)
		newer := []string{"zarafa-server=7.2.7-1.el7", "zarafa-common=7.2.7-1.el7"}
		solution, err := h.Solve(host.Transaction{Install: newer})
		if err != nil || len(solution.Upgrade) != 2 || solution.Upgrade[0].Old != "7.2.6-1.el7" {
			t.Errorf("upgrade %+v %v", solution, err)
		}
		must(t, h.CommitPackages(ctx, host.Transaction{Install: newer}, nil))
		for _, name := range []string{"zcp", "update"} {
			must(t, os.Remove(r.Path(k.dir+"/"+name+".repo")))
		}
		r.WriteFile(k.dir+"/dead.repo", e2e.RPMRepoFile("none", unchecked+"\nskip_if_unavailable=0"), 0o644)
		back := host.Transaction{Install: []string{files["zarafa-server"], files["zarafa-common"], files["zarafa-ical"]}}
		var impossible *host.SolveError
		if err := h.CommitPackages(ctx, back, nil); !errors.As(err, &impossible) {
			t.Errorf("an older version unasked: %v", err)
		}
		back.Downgrade = true
		must(t, h.CommitPackages(ctx, back, nil))
		if got := installed(t, h, "zarafa-server").Version; got != "7.2.6-1.el7" {
			t.Errorf("zarafa-server is %s", got)
		}
		must(t, h.CommitPackages(ctx, host.Transaction{Remove: names}, nil))
		must(t, h.CommitPackages(ctx, back, nil))
		if got := installed(t, h, "zarafa-ical").Version; got != "1:7.2.6-1.el7" {
			t.Errorf("zarafa-ical is %s", got)
		}

		// Nothing to save from but what is installed; and a file that is cut short is no package. A run that was killed while
		// it built one has left its begin.
		r.Must("rm", "-rf", "/var/cache/dnf", "/var/cache/zypp")
		must(t, os.Truncate(r.Path(files["zarafa-ical"]), 2000))
		if err := h.CommitPackages(ctx, host.Transaction{Install: []string{files["zarafa-ical"]}}, nil); err == nil {
			t.Error("a file that is cut short is installed")
		}
		r.Must("mv", files["zarafa-server"], files["zarafa-server"]+".part")
		r.Must("mkdir", "-m", "0700", fmt.Sprintf("/root/kept/zcp2kopano-%d-left", os.Getpid()))
		r.Must("rm", files["zarafa-common"])
		r.Edit("/etc/zarafa/server.cfg", "log_level = 3", "log_level = 5")
		database := func() string {
			return r.Must("rpm", append([]string{"-q", "--info", "--requires", "--provides", "--scripts", "--dump"}, names...)...)
		}
		volatile := regexp.MustCompile(`(?m)^(Install Date|Signature  |/etc/zarafa/server\.cfg ).*\n`) // the last was edited
		before := volatile.ReplaceAllString(database(), "")
		files, missing, err = h.SavePackages(ctx, names, "/root/kept", nil)
		if err != nil || len(files) != 3 {
			t.Fatalf("saved %v, missing %v, %v", files, missing, err)
		}
		if entries, _ := h.ReadDir("/root/kept"); len(entries) != 3 {
			t.Errorf("left in the directory: %v", entries)
		}
		back.Install = []string{files["zarafa-server"], files["zarafa-common"], files["zarafa-ical"]}
		must(t, h.CommitPackages(ctx, host.Transaction{Remove: names}, nil))
		must(t, h.CommitPackages(ctx, back, nil))
		after := volatile.ReplaceAllString(database(), "")
		if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); diff != "" {
			t.Errorf("the database knows other things of packages that were built anew:\n%s", diff)
		}
		if got := r.Run("rpm", append([]string{"-V"}, names...)...); got.Output != "" {
			t.Errorf("rpm -V: %s", got.Output)
		}

		// What cannot be built anew says why.
		r.Must("rm", "/usr/sbin/zarafa-ical", files["zarafa-ical"])
		must(t, h.Mkdir("/usr/sbin/zarafa-ical", 0o755))
		files, missing, err = h.SavePackages(ctx, names, "/root/kept", nil)
		if err != nil || len(files) != 2 || !strings.Contains(missing["zarafa-ical"], "/usr/sbin/zarafa-ical: something else") {
			t.Errorf("saved %v, missing %v, %v", files, missing, err)
		}
		if lost, err := h.Losses(names); err != nil || !maps.Equal(lost, missing) {
			t.Errorf("foreseen %v, missing %v, %v", lost, missing, err)
		}
		simulated, err := sim.FromView(h, sim.Options{})
		must(t, err)
		if lost, err := simulated.Losses(names); err != nil || !maps.Equal(lost, missing) {
			t.Errorf("foreseen by the simulation %v, missing %v, %v", lost, missing, err)
		}
		k.configure(t, r, h, "zcp", checked) // offers it again
		if lost, err := h.Losses(names); err != nil || len(lost) != 0 {
			t.Errorf("foreseen %v, %v, and the repository has all", lost, err)
		}
	})
}

// TestRPMFileWithOddName installs package files whose paths have what a front could take for an address, a pattern or an
// option. None is passed over: it is installed, or, where rpm itself takes a path for a pattern, refused by its name.
func TestRPMFileWithOddName(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		files, err := filepath.Glob(r.Path(e2e.RPMReposDir + "/zcp/zarafa-common-*.rpm"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no package file: %v", err)
		}
		data, err := os.ReadFile(files[0])
		must(t, err)
		k.configure(t, r, h, "kopano", checked) // its key is the package's, too
		for _, odd := range []string{"/srv/kopano:8.7/zarafa-common-1:7.2.6.noarch.rpm", "/srv/with blank/a b.rpm", "/srv/[ab]/zarafa*[x]?.rpm", "/srv/http:/x/zarafa-common.rpm", "/srv/@a/-y=!z.rpm"} {
			must(t, os.MkdirAll(filepath.Dir(r.Path(odd)), 0o755))
			must(t, os.WriteFile(r.Path(odd), data, 0o644))
			tx := host.Transaction{Install: []string{odd}}
			solution, err := h.Solve(tx)
			if err != nil {
				if !strings.Contains(odd, "*") || !strings.Contains(err.Error(), odd) {
					t.Errorf("%s: %v", odd, err)
				}
				continue
			}
			if len(solution.Install) != 1 || solution.Install[0].Name != "zarafa-common" {
				t.Errorf("%s: solution %+v", odd, solution)
			}
			must(t, h.CommitPackages(t.Context(), tx, nil))
			if !installed(t, h, "zarafa-common").Installed() {
				t.Errorf("%s is passed over", odd)
			}
			must(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-common"}}, nil))
		}
	})
}

// TestRPMSolveWithRepository asks what a transaction would do, with a repository that is not configured beside
// the host's own, and ZCP, with which Kopano conflicts, gone.
func TestRPMSolveWithRepository(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		k.configure(t, r, h, "zcp", checked)
		must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-server", "php-mapi"}}, nil))
		before := changes(t, h)
		ask := func(tx host.Transaction) (host.Solution, error) {
			got, err := h.ProbeRepository(t.Context(), host.RepositoryProbe{Tx: &tx, Packages: []string{"kopano-server"}, Files: []host.ConfigFile{
				{Path: k.dir + "/kopano.repo", Content: host.NewSecret(e2e.RPMRepoFile("kopano", checked)), Mode: 0o600},
			}})
			return got.Solution, err
		}
		gone := []string{"zarafa-server", "zarafa-common", "php-mapi"}
		got, err := ask(host.Transaction{Install: []string{"kopano-server", "php-mapi"}, Remove: gone}) // one of its name comes
		must(t, err)
		var coming []string
		for _, c := range got.Install {
			coming = append(coming, c.Name)
			if c.Origin != "kopano" && c.Origin != "" { // zypper does not say where from
				t.Errorf("%s comes from %s", c.Name, c.Origin)
			}
		}
		slices.Sort(coming)
		if !slices.Equal(coming, []string{"kopano-common", "kopano-server", "php-mapi"}) || len(got.Remove)+len(got.Upgrade) > 0 {
			t.Errorf("solution %+v", got)
		}
		if got, err = ask(host.Transaction{Install: []string{"kopano-common", "zarafa-ical"}}); err != nil || len(got.Install) != 2 {
			t.Errorf("the host's own repository is not beside it: %+v, %v", got, err)
		}
		_, err = ask(host.Transaction{Install: []string{"kopano-broken"}, Remove: gone})
		var impossible *host.SolveError
		if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "no-such-library") || strings.Contains(err.Error(), "zcp2kopano-") {
			t.Errorf("want a refusal that names no-such-library: %v", err)
		}
		sameState(t, "a solution", before, h)
	})
}

func TestRPMRepositories(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		ctx := t.Context()
		const keyPath = "/etc/pki/rpm-gpg/RPM-GPG-KEY-kopano"
		key, stranger := r.ReadFile(e2e.RPMKeyFile), r.ReadFile(e2e.RPMReposDir+"/STRANGER-KEY")
		checks := "gpgcheck=1\nrepo_gpgcheck=1\nskip_if_unavailable=1\ngpgkey=file://" + keyPath
		probe := func(text, key string) (host.RepositoryAnswer, error) {
			return h.ProbeRepository(ctx, host.RepositoryProbe{
				Files: []host.ConfigFile{
					{Path: k.dir + "/kopano.repo", Content: host.NewSecret(text), Mode: 0o600},
					{Path: keyPath, Content: host.NewSecret(key), Mode: 0o644},
				},
				Packages: []string{"kopano-server", "no-such-package"},
			})
		}
		before := changes(t, h)
		got, err := probe(e2e.RPMRepoFile("kopano", checks), key)
		must(t, err)
		if !got.Known || got.Offers["kopano-server"] != "8.7.0-1" || len(got.Missing) != 1 {
			t.Errorf("answer %+v", got)
		}
		secret := strings.Replace(e2e.RPMRepoFile("kopano", checks), "file://"+e2e.RPMReposDir, "http://me:s3cr3t@127.0.0.1:9", 1)
		for name, c := range map[string][2]string{
			"unsigned":     {e2e.RPMRepoFile("unsigned", checks), key},
			"wrong key":    {e2e.RPMRepoFile("kopano", checks), stranger},
			"no key":       {e2e.RPMRepoFile("kopano", checks), "not a key"},
			"packages":     {e2e.RPMRepoFile("unsigned", strings.Replace(checks, "repo_gpgcheck=1", "repo_gpgcheck=0", 1)), key},
			"gone":         {e2e.RPMRepoFile("none", checks), key},
			"refused":      {secret, key},
			"none enabled": {strings.Replace(e2e.RPMRepoFile("kopano", checks), "enabled=1", "enabled=0", 1), key},
		} {
			if answer, err := probe(c[0], c[1]); err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: %+v %v", name, answer, err)
			}
		}
		sameState(t, "a probe", before, h)

		if got, err = probe(e2e.RPMRepoFile("kopano", strings.Replace(checks, "repo_gpgcheck=1", "repo_gpgcheck=0", 1)), key); err != nil || len(got.Offers) != 1 {
			t.Errorf("packages signed, lists not looked at: %+v %v", got, err)
		}

		// The same of configured repositories, with the lists of before at hand.
		file := k.dir + "/kopano.repo"
		r.WriteFile(keyPath, key, 0o644)
		for range 2 {
			k.configure(t, r, h, "kopano", checks)
		}
		r.WriteFile(k.dir+"/dead.repo", e2e.RPMRepoFile("none", unchecked+"\nskip_if_unavailable=1"), 0o644)
		if err := h.RefreshPackages(ctx, []string{k.dir + "/dead.repo"}, nil); err == nil || !strings.Contains(err.Error(), "none") {
			t.Errorf("refresh of a repository that is gone: %v", err)
		}
		if err := h.RefreshPackages(ctx, nil, nil); err == nil || !strings.Contains(err.Error(), "none") {
			t.Errorf("refresh of all with one that is gone: %v", err)
		}
		must(t, h.RefreshPackages(ctx, []string{file}, nil))
		if err := h.RefreshPackages(ctx, []string{k.dir + "/nothing.repo"}, nil); err == nil {
			t.Error("refresh of a file that is not there")
		}
		// A dead repository does not keep packages from being installed or removed.
		must(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"kopano-server"}}, nil))
		must(t, h.CommitPackages(ctx, host.Transaction{Remove: []string{"kopano-server", "kopano-common"}}, nil))
		r.WriteFile(k.dir+"/unsigned.repo", e2e.RPMRepoFile("unsigned", checks), 0o644)
		if err := h.RefreshPackages(ctx, []string{k.dir + "/unsigned.repo"}, nil); err == nil {
			t.Error("refresh of an unsigned repository")
		}
		if k.name == "zypper" {
			return
		}
		// Lists that nobody signs are read, packages that nobody signed are not installed.
		must(t, os.Remove(r.Path(file)))
		k.configure(t, r, h, "unsigned", strings.Replace(checks, "repo_gpgcheck=1", "repo_gpgcheck=0", 1))
		if err := h.CommitPackages(ctx, host.Transaction{Install: []string{"kopano-server"}}, nil); err == nil {
			t.Error("an unsigned package is installed")
		}
		if got := installed(t, h, "kopano-server"); got.Name != "" {
			t.Errorf("installed: %+v", got)
		}
	})
}

func TestRPMLockIsNamedAndWaitedFor(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		k.configure(t, r, h, "zcp", checked)
		pidFile := map[string]string{"dnf": "/var/lib/dnf/rpmdb_lock.pid", "zypper": "/run/zypp.pid"}[k.manager]
		if got, err := h.PackageLock(); err != nil || got != nil {
			t.Fatalf("holder of a free lock %+v %v", got, err)
		}
		r.WriteFile(pidFile, strconv.Itoa(1<<22-1), 0o644) // nobody's
		if got, err := h.PackageLock(); err != nil || got != nil {
			t.Errorf("a process that is gone holds the lock: %+v %v", got, err)
		}
		holder := holdLock(t, r.Path("/var/lib/rpm/.rpm.lock"))
		got, err := h.PackageLock()
		must(t, err)
		if got == nil || got.PID != holder.Process.Pid || got.Path != "/var/lib/rpm/.rpm.lock" || got.Command == "" {
			t.Fatalf("holder %+v, want process %d", got, holder.Process.Pid)
		}
		watch, waited := untilWaitedFor(holder)
		must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-common"}}, watch))
		if !waited() {
			t.Error("it does not say that it waits")
		}
		r.WriteFile(pidFile, strconv.Itoa(os.Getpid())+"\n", 0o644)
		live.SetLockPatience(h, 100*time.Millisecond)
		err = h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-common"}}, nil)
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
			t.Errorf("a lock that stays: %v", err)
		}
	})
}

// killDuring starts the front and kills it with all that it started when a script of a package hangs.
func killDuring(t *testing.T, k rpmKind, r *e2e.Root, script string, args ...string) {
	t.Helper()
	r.WriteFile("/run/hang", script+"\n", 0o644)
	program, first := "/usr/bin/"+k.name, "-y"
	if k.name == "zypper" {
		first = "--non-interactive"
	}
	cmd := r.Command(program, append([]string{first}, args...)...)
	must(t, cmd.Start())
	deadline := time.Now().Add(10 * time.Minute)
	for {
		if _, err := os.Stat(r.Path("/run/hanging")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the script was not reached")
		}
		time.Sleep(20 * time.Millisecond)
	}
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	cmd.Wait()
	for _, name := range []string{"/run/hang", "/run/hanging"} {
		must(t, os.Remove(r.Path(name)))
	}
}

func TestRPMKilledTransactionIsRepaired(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		ctx := t.Context()
		k.configure(t, r, h, "zcp", checked)
		must(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"zarafa-server"}}, nil))
		r.Edit("/etc/zarafa/server.cfg", "log_level = 3", "log_level = 5")
		k.configure(t, r, h, "update", unchecked)

		// Killed when the new version is in place and the old one not yet away.
		if k.name == "zypper" {
			killDuring(t, k, r, "post", "install", "zarafa-server=7.2.7-1.el7")
		} else {
			killDuring(t, k, r, "post", "upgrade", "zarafa-server")
		}
		broken, err := h.PackageAudit()
		must(t, err)
		if !strings.Contains(strings.Join(broken, "\n"), "zarafa-server is installed twice, as 7.2.6-1.el7 and 7.2.7-1.el7") {
			t.Errorf("audit %q", broken)
		}
		must(t, h.RepairPackages(ctx, nil, nil))
		if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
			t.Errorf("audit after repair %q %v", broken, err)
		}
		if got := installed(t, h, "zarafa-server").Version; got != "7.2.7-1.el7" {
			t.Errorf("zarafa-server is %s", got)
		}
		if _, err := h.Lstat("/usr/share/zarafa/7.2.6"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file of the old version: %v", err)
		}
		for _, path := range []string{"/usr/share/zarafa/7.2.7", "/usr/sbin/zarafa-server"} {
			if _, err := h.Lstat(path); err != nil {
				t.Errorf("a file of the new version: %v", err)
			}
		}
		if !strings.Contains(r.ReadFile("/etc/zarafa/server.cfg"), "log_level = 5") {
			t.Error("the repair replaced a configuration file")
		}

		// Killed in a removal: the package is still there, and goes when asked again.
		killDuring(t, k, r, "preun", "remove", "zarafa-server")
		must(t, h.RepairPackages(ctx, nil, nil))
		must(t, h.CommitPackages(ctx, host.Transaction{Remove: []string{"zarafa-server"}}, nil))

		// yum's own leftovers, and shared memory of a Berkeley DB that nobody uses.
		r.WriteFile("/var/lib/yum/transaction-all.2016-08-01.12:00.00", "install zarafa-ical\n", 0o644)
		r.WriteFile("/var/lib/yum/transaction-done.2016-08-01.12:00.00", "", 0o644)
		r.WriteFile("/var/lib/rpm/__db.001", "stale", 0o644)
		if broken, err := h.PackageAudit(); err != nil || len(broken) != 1 || !strings.Contains(broken[0], "transaction-all") {
			t.Errorf("audit %q %v", broken, err)
		}
		must(t, h.RepairPackages(ctx, nil, nil))
		for _, path := range []string{"/var/lib/yum/transaction-all.2016-08-01.12:00.00", "/var/lib/yum/transaction-done.2016-08-01.12:00.00", "/var/lib/rpm/__db.001"} {
			if _, err := h.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v", path, err)
			}
		}

		// What only an admin can repair is reported.
		must(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"zarafa-ical"}}, nil))
		r.Must("rpm", "-e", "--nodeps", "zarafa-common")
		err = h.RepairPackages(ctx, nil, nil)
		if err == nil || !strings.Contains(err.Error(), "zarafa-common is needed by") {
			t.Errorf("unmet dependency: %v", err)
		}
		if broken, err := h.PackageAudit(); err != nil || len(broken) != 1 {
			t.Errorf("audit %q %v", broken, err)
		}
	})
}

func TestRPMBrokenDatabase(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		if k.name == "dnf" {
			t.Skip("the same as with yum")
		}
		r.WriteFile("/var/lib/rpm/rpmdb.sqlite", strings.Repeat("no database ", 1000), 0o644)
		for _, name := range []string{"rpmdb.sqlite-wal", "rpmdb.sqlite-shm"} {
			os.Remove(r.Path("/var/lib/rpm/" + name))
		}
		if packages, err := h.Packages(); err == nil {
			t.Errorf("packages of a broken database: %+v", packages)
		}
		broken, err := h.PackageAudit()
		if err != nil || len(broken) != 1 || !strings.Contains(broken[0], "rpm's database") {
			t.Errorf("audit %q %v", broken, err)
		}
		if err := h.RepairPackages(t.Context(), nil, nil); err == nil {
			t.Error("a database of rubbish is repaired")
		}
	})
}

// changes is the state of what a question may not touch.
func changes(t *testing.T, v host.View) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Take(v, manifest.Options{Roots: []string{"/etc", "/var/lib", "/var/tmp", "/root"}, Times: true,
		// zypper keeps cookies of web servers in YaST's directory, whatever root it is told to work in.
		Ignore: []string{"/var/lib/dnf", "/var/lib/YaST2", "/var/lib/rpm/*-shm"}})
	must(t, err)
	return m
}

func sameState(t *testing.T, what string, before *manifest.Manifest, v host.View) {
	t.Helper()
	for _, d := range manifest.Compare(before, changes(t, v), nil) {
		if (d.Path == "/var/tmp" || d.Path == "/var/lib") && d.Aspect == "mtime" {
			continue // a scratch directory came and went, or what is ignored came
		}
		t.Errorf("%s changed %s: %s %q, now %q", what, d.Path, d.Aspect, d.Left, d.Right)
	}
}

// confinedMain is this test binary inside a root: it gives up the power to write, asks all that a
// simulation asks of packages, and writes a snapshot.
func confinedMain() {
	if slices.Contains(os.Args, "attempt") {
		fmt.Println(confine.Attempt(os.Stdout, false))
		os.Exit(0)
	}
	for _, lock := range confine.ReadOnly("attempt").All {
		if lock.Err != nil && os.Getenv("CI") != "" {
			fmt.Println(lock.Name, lock.Err)
			os.Exit(1)
		}
	}
	if err := askConfined(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func askConfined() error {
	v, err := live.OpenView("/")
	if err != nil {
		return err
	}
	candidates, err := v.Candidates([]string{"zarafa-server"})
	if err != nil || len(candidates["zarafa-server"]) != 1 {
		return fmt.Errorf("candidates %+v: %w", candidates, err)
	}
	if lost, err := v.Losses([]string{"zarafa-server"}); err != nil || len(lost) != 0 {
		return fmt.Errorf("losses %v: %w", lost, err)
	}
	if err := os.WriteFile("/root/written", nil, 0o600); err == nil {
		return errors.New("the power to write was not given up")
	}
	return sim.Snapshot(context.Background(), os.Stdout, v, sim.SnapshotOptions{Packages: []string{"zarafa*"}})
}

func TestRPMReadingLeavesNoTrace(t *testing.T) {
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		k.configure(t, r, h, "zcp", checked)
		must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-server"}}, nil))
		// As on a real system the front is itself a package: its version is then known without running it.
		fronts, err := filepath.Glob(r.Path(e2e.RPMReposDir + "/fronts/" + k.name + "-*.rpm"))
		if err != nil || len(fronts) != 1 {
			t.Fatal(fronts, err)
		}
		r.Must("rpm", "-i", "--justdb", "--nodeps", strings.TrimPrefix(fronts[0], r.Dir))
		self, err := os.ReadFile("/proc/self/exe")
		must(t, err)
		r.WriteFile("/dev/self", string(self), 0o755)
		before := changes(t, h)
		must(t, unix.Unmount(r.Path("/proc"), unix.MNT_DETACH)) // the one below is of the root's own processes
		cmd := r.Command("/dev/self")
		cmd.Env = append(cmd.Env, confinedRole+"=1", "CI="+os.Getenv("CI"))
		result := r.Finish(cmd)
		if result.Code != 0 {
			t.Fatalf("exit status %d: %.2000s", result.Code, result.Output)
		}
		sameState(t, "a snapshot", before, h)
		for _, want := range []string{
			"manager: " + k.manager + " ", "Package: zarafa-server\nVersion: 7.2.6-1.el7\nArchitecture: noarch\nStatus: install ok installed\nVendor: Zarafa B.V.\n",
			"Requires: /bin/sh, zarafa-common = 7.2.6\n", " /usr/sbin/zarafa-server\n", " /etc/zarafa/server.cfg ", "log_level = 3",
		} {
			if !strings.Contains(result.Output, want) {
				t.Errorf("the snapshot lacks %q", want)
			}
		}
		for _, unwanted := range []string{"gpg-pubkey", "\naudit:", "\nlock:"} {
			if strings.Contains(result.Output, unwanted) {
				t.Errorf("the snapshot has %q", unwanted)
			}
		}
	})
}
