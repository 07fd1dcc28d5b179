package pkg_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/pkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

const fixture = `
-- host --
hostname: example.org
manager: apt 1.0.9.8.4
init: systemd
-- /etc/os-release --
ID=debian
VERSION_ID="8"
PRETTY_NAME="Debian 8"
-- packages --
Package: zarafa-server
Version: 7.2.6-1
Maintainer: Zarafa Development Team <development@zarafa.com>
Depends: zarafa-common, libical0
Conffiles:
 /etc/zarafa/server.cfg
Files:
 /usr/sbin/zarafa-server 0755 2M

Package: zarafa-common
Version: 7.2.6-1
Maintainer: Zarafa Development Team <development@zarafa.com>
Files:
 /usr/share/doc/zarafa-common/copyright

Package: zarafa-old
Version: 7.1.0-1
Status: config-files
Maintainer: Zarafa Development Team <development@zarafa.com>
Conffiles:
 /etc/zarafa/old.cfg

Package: libical0
Version: 0.48-2
Maintainer: Debian <debian@lists.debian.org>
Files:
 /usr/lib/libical.so.0

Package: bluez-obexd
Version: 5.23-2
Depends: libical0
Maintainer: Debian <debian@lists.debian.org>
Files:
 /usr/sbin/obexd 0755 90K

Package: apt-transport-https
Version: 1.0.9.8.4
Maintainer: APT Development Team <deity@lists.debian.org>
Files:
 /usr/lib/apt/methods/https 0755 40K
-- available --
Package: kopano-server
Version: 8.7.0-1
Repository: https://download.kopano.io/*
Files:
 /usr/sbin/kopano-server 0755 2M

Package: kopano-rival
Version: 1
Conflicts: zarafa-common
Files:
 /usr/sbin/rival 0755 1M
-- /etc/zarafa/server.cfg --
mysql_user = zarafa
-- /etc/zarafa/old.cfg --
old = yes
-- /etc/apt/auth.conf 0600 --
machine other.example.org login a password b
-- dead --
https://dead.example.org/repo 401 Unauthorized
-- tree --
d0755 root:root - - /etc/apt/sources.list.d
d0755 root:root - - /etc/apt/trusted.gpg.d
d0755 root:root - - /srv/empty
d0755 root:root - - /srv/debs
`

func scene(t *testing.T) *builtintest.Scene { return builtintest.New(t, fixture, pkg.Builtins()) }

func TestInstalled(t *testing.T) {
	got := scene(t).Succeed(`
print([p.name for p in pkg.installed("zarafa-*")])
print([p.name for p in pkg.installed(vendor = "ZARAFA", status = "any")])
print([p.conffiles for p in pkg.installed("zarafa-server")])
print(pkg.owner("/usr/sbin/zarafa-server"), pkg.owner("/nowhere"))
plan = pkg.solve(remove = ["libical0"])
print(plan.possible, [p.name for p in plan.remove])
print(pkg.solve(install = ["no-such-package"]).possible)
`)
	want := []string{
		`["zarafa-common", "zarafa-server"]`,
		`["zarafa-common", "zarafa-old", "zarafa-server"]`,
		`[["/etc/zarafa/server.cfg"]]`,
		`["zarafa-server"] []`,
		`True ["bluez-obexd", "libical0", "zarafa-server"]`,
		`False`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRemove(t *testing.T) {
	s := scene(t)
	s.Fail(`pkg.remove(["zarafa-common"])`, "would also remove zarafa-server", "nothing was changed", "expect")
	s.Fail(`pkg.remove(["libical0", "zarafa-server"])`, "would also remove bluez-obexd")
	s.Fail(`pkg.remove("zarafa-*")`, "is not the name of a package", "pkg.installed")
	s.Fail(`pkg.remove(["-f"])`, "is not the name of a package")
	s.Fail(`pkg.remove([1])`, "got a int in it")

	r := s.Run(`pkg.remove(pkg.installed(vendor = "zarafa", status = "any"), purge = True)`)
	if r.Verdict.Code != 0 || r.Verdict.Changes != 1 {
		t.Fatalf("%+v", r.Verdict)
	}
	if got := s.Succeed(`print([p.name for p in pkg.installed(status = "any")])`); got[0] != `["apt-transport-https", "bluez-obexd", "libical0"]` {
		t.Errorf("left: %s", got)
	}
	if r := s.Run(`pkg.remove(["zarafa-server", "zarafa-common"], purge = True)`); r.Verdict.Code != 0 || r.Verdict.Changes != 0 {
		t.Errorf("a second time: %+v", r.Verdict)
	}
}

func TestRemoveExpected(t *testing.T) {
	s := scene(t)
	if r := s.Run(`pkg.remove("zarafa-common", expect = ["zarafa-server"])`); r.Verdict.Code != 0 || r.Verdict.Changes != 1 {
		t.Fatalf("%+v", r.Verdict)
	}
	if got := s.Succeed(`print([p.name for p in pkg.installed("zarafa-*")])`); got[0] != `[]` {
		t.Errorf("left: %s", got)
	}
}

func TestInstall(t *testing.T) {
	s := scene(t)
	s.Fail(`pkg.install(["kopano-rival"])`, "would also remove zarafa-common", ", zarafa-server ", "nothing was changed")
	s.Fail(`pkg.install(["no-such-package"])`, "no-such-package")
	if r := s.Run(`pkg.install(["zarafa-server", "zarafa-common=7.2.6-1"])`); r.Verdict.Code != 0 || r.Verdict.Changes != 0 {
		t.Errorf("what is installed: %+v", r.Verdict)
	}
}

func TestRepositoryArguments(t *testing.T) {
	s := scene(t)
	for _, c := range []struct{ args, want string }{
		{`"Kopano!", "https://a/"`, "lower-case letters"},
		{`"a", "https://user:hunter2@a/"`, "give them as user"},
		{`"a", "ftp://a/"`, "want https://"},
		{`"a", "https://"`, "names no host"},
		{`"a", "https://a/ b"`, "cannot hold"},
		{`"a", "https://a/", "stable"`, "needs components"},
		{`"a", "https://a/", "./", ["main"]`, "no components"},
		{`"a", "https://a/", password = "x"`, "needs a user"},
		{`"a", "https://a/", user = "a\nb", password = "x"`, "the user holds a control character"},
		{`"a", "https://a/", user = "a", password = "hunter2\rb"`, "the password holds a control character"},
		{`"a", "https://a/", trusted = True, key = "/k"`, "either key or trusted"},
		{`"a", "https://a/", priority = 99999`, "out of range"},
	} {
		s.Fail("pkg.repository("+c.args+")", c.want)
		if r := s.Run("pkg.repository(" + c.args + ")"); strings.Contains(r.Verdict.Text, "hunter2") {
			t.Errorf("the error shows the password: %s", r.Verdict.Text)
		}
	}
	s.Fail(`pkg.add_repository("kopano")`, "pass what pkg.repository")
	s.Fail(`pkg.local_repository("/srv/empty")`, "neither an index")
}

func TestAddRepository(t *testing.T) {
	key, err := filepath.Abs("../../runtime/host/signkey/testdata/key.asc")
	if err != nil {
		t.Fatal(err)
	}
	armoured, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	s := builtintest.New(t, fixture+"-- download https://download.kopano.io/core/Release.key --\n"+string(armoured), pkg.Builtins())
	const snippet = `
base = "https://download.kopano.io/core/"
repo = pkg.repository("kopano", base, user = "serial", password = "hunter2-secret", key = base + "Release.key", priority = 600)
answer = pkg.probe(repo, ["kopano-server", "kopano-none"])
print(answer.offers, answer.missing, answer.problem)
pkg.add_repository(repo)
print([c.version for c in pkg.candidates(["kopano-server"])["kopano-server"]])
`
	r := s.Run(snippet)
	if r.Verdict.Code != 0 {
		t.Fatal(r.Verdict.Text)
	}
	if got := strings.Join(r.Printed, "\n"); got != `{"kopano-server": "8.7.0-1"} ["kopano-none"] `+"\n"+`["8.7.0-1"]` {
		t.Errorf("printed %s", got)
	}
	if got := s.Text("/etc/apt/sources.list.d/kopano.list"); got != "deb https://download.kopano.io/core/ ./\n" {
		t.Errorf("source: %q", got)
	}
	if got := s.Text("/etc/apt/auth.conf"); got != "machine other.example.org login a password b\nmachine download.kopano.io login serial password hunter2-secret\n" {
		t.Errorf("auth.conf: %q", got)
	}
	if st, err := s.Host.Lstat("/etc/apt/auth.conf"); err != nil || st.Perm() != 0o600 {
		t.Errorf("auth.conf has mode %v (%v)", st.Perm(), err)
	}
	binary, err := os.ReadFile("../../runtime/host/signkey/testdata/key.gpg")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Text("/etc/apt/trusted.gpg.d/kopano.gpg"); got != string(binary) {
		t.Errorf("key: %d bytes", len(got))
	}
	if strings.Contains(string(r.Journal), "hunter2") {
		t.Error("the password stands in the journal")
	}
	// Again: only the lists are read again.
	if again := s.Run(snippet); again.Verdict.Code != 0 || again.Verdict.Changes > 1 {
		t.Errorf("a second time: %+v", again.Verdict)
	}
}

func TestProbeProblem(t *testing.T) {
	got := scene(t).Succeed(`
answer = pkg.probe(pkg.repository("dead", "https://dead.example.org/repo/"), ["kopano-server"])
print(answer.missing, answer.problem)
`)
	if !strings.HasPrefix(got[0], `["kopano-server"] `) || !strings.Contains(got[0], "401 Unauthorized") {
		t.Errorf("problem: %s", got)
	}
}

func TestHTTPSNeedsItsMethod(t *testing.T) {
	bare := strings.Replace(fixture, " /usr/lib/apt/methods/https 0755 40K\n", " /usr/share/doc/nothing\n", 1)
	builtintest.New(t, bare, pkg.Builtins()).Fail(`pkg.add_repository(pkg.repository("k", "https://a.example.org/"))`, "apt-transport-https")
}

func TestOtherManagers(t *testing.T) {
	yum := strings.NewReplacer("manager: apt 1.0.9.8.4", "manager: yum 3.4.3", "\nMaintainer:", "\nVendor:", "\nDepends:", "\nRequires:").Replace(fixture)
	s := builtintest.New(t, yum, pkg.Builtins())
	s.Succeed(`pkg.add_repository(pkg.repository("k", "https://a.example.org/", user = "serial", password = "a b"))`)
	st, err := s.Host.Stat("/etc/yum.repos.d/k.repo")
	if err != nil || st.Mode.Perm() != 0o600 {
		t.Errorf("/etc/yum.repos.d/k.repo: %v, %v", st.Mode, err)
	}
}

// TestLocalFiles installs from a directory of real package files, by the files themselves.
func TestLocalFiles(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs dpkg-deb: ", err)
		}
		t.Skip("needs dpkg-deb")
	}
	s := scene(t)
	for _, p := range []struct{ name, version, arch, depends, compression string }{
		{"kopano-common", "8.6.0-1", "all", "", "gzip"},
		{"kopano-common", "8.10.0-1", "all", "", "xz"},
		{"kopano-server", "8.10.0-1", "amd64", "kopano-common (= 8.10.0-1), kopano-nowhere | libical0", "xz"},
		{"kopano-server", "9.0.0-1", "arm64", "", "gzip"},
		{"kopano-ical", "8.10.0-1", "amd64", "kopano-common", "none"},
	} {
		put(t, s, p.name, p.version, p.arch, p.depends, p.compression)
	}
	// A copy of somebody's signed repository is taken as files: its key may not be known here.
	for _, name := range []string{"Packages", "InRelease"} {
		f, err := s.Host.Create("/srv/debs/"+name, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	got := s.Succeed(`
repo = pkg.local_repository("/srv/debs")
print(repo.kind)
answer = pkg.probe(repo, ["kopano-server", "kopano-none"])
print(answer.offers, answer.missing, answer.known)
pkg.add_repository(repo)
pkg.install(["kopano-server"], source = repo)
print([(p.name, p.version) for p in pkg.installed("kopano-*")])
`)
	want := []string{
		"files",
		`{"kopano-server": "8.10.0-1"} ["kopano-none"] True`,
		`[("kopano-common", "8.10.0-1"), ("kopano-server", "8.10.0-1")]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.Fail(`
repo = pkg.repository("none", "https://a.example.org/")
pkg.install(["kopano-none"], source = repo)
`, "kopano-none")
}

// TestLocalRPMs installs from a directory of .rpm files, by the files themselves, and by what they provide.
func TestLocalRPMs(t *testing.T) {
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs rpmbuild: ", err)
		}
		t.Skip("needs rpmbuild")
	}
	yum := strings.NewReplacer("manager: apt 1.0.9.8.4", "manager: yum 3.4.3", "\nMaintainer:", "\nVendor:", "\nDepends:", "\nRequires:").Replace(fixture)
	s := builtintest.New(t, yum, pkg.Builtins())
	for _, p := range []struct{ name, version, tags string }{
		{"kopano-common", "8.6.0", "Provides: libkcutil.so.0()(64bit)"},
		{"kopano-common", "8.10.0", "Provides: libkcutil.so.0()(64bit)"},
		{"kopano-server", "8.10.0", "Requires: libkcutil.so.0()(64bit)"},
		{"kopano-ical", "8.10.0", "Requires: kopano-common"},
	} {
		putRPM(t, s, p.name, p.version, p.tags)
	}
	got := s.Succeed(`
repo = pkg.local_repository("/srv/debs")
print(repo.kind)
answer = pkg.probe(repo, ["kopano-server", "kopano-none"])
print(answer.offers, answer.missing, answer.known)
pkg.install(["kopano-server"], source = repo)
print([(p.name, p.version) for p in pkg.installed("kopano-*")])
`)
	want := []string{
		"files",
		`{"kopano-server": "8.10.0-1"} ["kopano-none"] True`,
		`[("kopano-common", "8.10.0-1"), ("kopano-server", "8.10.0-1")]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// putRPM builds a package file and puts it on the simulated host.
func putRPM(t *testing.T, s *builtintest.Scene, name, version, tags string) {
	t.Helper()
	dir := t.TempDir()
	spec := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: 1\nSummary: a package\nLicense: none\nBuildArch: noarch\nAutoReqProv: no\n%s\n%%description\na package\n%%files\n", name, version, tags)
	if err := os.WriteFile(dir+"/p.spec", []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rpmbuild", "--quiet", "-bb", "--define", "_topdir "+dir, "--define", "_rpmdir "+dir, "--define", "_dbpath "+dir+"/db", "--define", "_build_name_fmt out.rpm", dir+"/p.spec")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(dir + "/out.rpm")
	if err != nil {
		t.Fatal(err)
	}
	putPackage(t, s, name+"-"+version+"-1.noarch.rpm", data)
}

// exchanging is a host on which somebody exchanges the package files in a directory as soon as they are to be installed.
type exchanging struct {
	host.Host
	t     *testing.T
	files []string
}

func (h *exchanging) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	for _, file := range h.files {
		h.must(h.Unlink(file))
		f, err := h.Create(file, 0o644)
		h.must(err)
		_, err = f.Write([]byte("evil"))
		h.must(err)
		f.Close()
	}
	for _, item := range tx.Install {
		if path.IsAbs(item) && !strings.HasPrefix(item, "/var/lib/zcp2kopano/runs/") {
			h.t.Errorf("%s is installed from where it was found", item)
		}
	}
	return h.Host.CommitPackages(ctx, tx, w)
}

func (h *exchanging) must(err error) {
	if err != nil {
		h.t.Error(err)
	}
}

// What was looked at is what is installed.
func TestExchangedFiles(t *testing.T) {
	s := scene(t)
	put(t, s, "kopano-common", "8.10.0-1", "all", "", "gzip")
	s.Around = func(h *sim.Host) host.Host {
		return &exchanging{h, t, []string{"/srv/debs/kopano-common_8.10.0-1_all.deb"}}
	}
	s.Succeed(`pkg.install(["kopano-common"], source = pkg.local_repository("/srv/debs"))`)
	s.Around = nil
	if got := s.Succeed(`print(pkg.installed("kopano-common")[0].version)`); got[0] != "8.10.0-1" {
		t.Error(got)
	}
}

// A package is judged by the name of its file.
func TestFileCalledLikeAnother(t *testing.T) {
	s := scene(t)
	put(t, s, "kopano-common", "8.10.0-1", "all", "", "gzip")
	if err := s.Host.Rename("/srv/debs/kopano-common_8.10.0-1_all.deb", "/srv/debs/zarafa-x_1_all.deb"); err != nil {
		t.Fatal(err)
	}
	s.Fail(`pkg.install(["/srv/debs/zarafa-x_1_all.deb"])`, "it holds the package kopano-common", "kopano-common_8.10.0-1_all.deb")
}

// What somebody else could exchange is told in a simulation, and refused by a run.
func TestForeignFiles(t *testing.T) {
	const file, repo = "/srv/debs/kopano-common_8.10.0-1_all.deb", `pkg.local_repository("/srv/debs")`
	for what, c := range map[string]struct {
		spoil   func(h host.Host) error
		snippet string
		where   string
	}{
		"the directory":          {func(h host.Host) error { return h.Lchown("/srv/debs", 1000, 1000) }, repo, "/srv/debs"},
		"the directory's mode":   {func(h host.Host) error { return h.Chmod("/srv/debs", 0o777) }, repo, "/srv/debs"},
		"a directory above":      {func(h host.Host) error { return h.Chmod("/srv", 0o775) }, repo, "/srv"},
		"a file":                 {func(h host.Host) error { return h.Lchown(file, 1000, 1000) }, repo, file},
		"a file's mode":          {func(h host.Host) error { return h.Chmod(file, 0o666) }, repo, file},
		"a file that is named":   {func(h host.Host) error { return h.Lchown(file, 1000, 1000) }, `pkg.install(["` + file + `"])`, file},
		"an unsigned repository": {func(h host.Host) error { return h.Lchown(file, 1000, 1000) }, `pkg.probe(pkg.repository("a", "file:/srv/debs/", trusted = True), [])`, file},
		"a key":                  {func(h host.Host) error { return h.Lchown(file, 1000, 1000) }, `pkg.add_repository(pkg.repository("a", "https://a.example.org/", key = "` + file + `"))`, file},
	} {
		t.Run(what, func(t *testing.T) {
			s := scene(t)
			put(t, s, "kopano-common", "8.10.0-1", "all", "", "gzip")
			if err := c.spoil(s.Host); err != nil {
				t.Fatal(err)
			}
			r := s.Run(c.snippet)
			if len(r.Findings) == 0 || r.Findings[0].Severity != "warning" || !strings.Contains(r.Findings[0].Reason, c.where+" ") || !strings.Contains(r.Findings[0].Remedy, "`c") {
				t.Errorf("told: %+v", r.Findings)
			}
			s.Distrust = true
			if strings.Contains(c.snippet, "probe") {
				s.Succeed(`
p = ` + c.snippet + `
if "could exchange" not in p.problem:
    fail(p.problem)
`)
				return
			}
			s.Fail(c.snippet, c.where+" ", "could exchange")
		})
	}
	s := scene(t)
	put(t, s, "kopano-common", "8.10.0-1", "all", "", "gzip")
	if err := s.Host.Chmod("/srv", 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	s.Distrust = true
	s.Succeed(repo)
}

// put builds a package file and puts it on the simulated host.
func put(t *testing.T, s *builtintest.Scene, name, version, arch, depends, compression string) {
	t.Helper()
	dir := t.TempDir()
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: " + arch + "\nMaintainer: K <k@example.org>\n"
	if depends != "" {
		control += "Depends: " + strings.Replace(depends, ", ", ",\n ", 1) + "\n"
	}
	control += "Description: a package\n"
	if err := os.MkdirAll(filepath.Join(dir, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "p.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+compression, "-b", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	putPackage(t, s, name+"_"+version+"_"+arch+".deb", data)
}

// putPackage puts a package file where packages_dir is.
func putPackage(t *testing.T, s *builtintest.Scene, name string, data []byte) {
	t.Helper()
	f, err := s.Host.Create("/srv/debs/"+name, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
}

// countingHost counts how often the package manager is asked to solve a transaction; to commit one solves it,
// too.
type countingHost struct {
	host.Host
	solved map[string]int
}

func (h countingHost) Solve(tx host.Transaction) (host.Solution, error) {
	h.solved[fmt.Sprint(tx.Remove, tx.Install)]++
	return h.Host.Solve(tx)
}

func (h countingHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	h.solved[fmt.Sprint(tx.Remove, tx.Install)]++
	return h.Host.CommitPackages(ctx, tx, w)
}

// A transaction is solved when it is decided on, or before that, and once more under the package manager's lock.
func TestSolvedTwice(t *testing.T) {
	const all = `["zarafa-common", "zarafa-server"]`
	for snippet, tx := range map[string]string{
		"pkg.remove(" + all + ", purge = True, solution = pkg.solve(remove = " + all + ", purge = True))": "[zarafa-common zarafa-server] []",
		`pkg.remove("zarafa-common", expect = ["zarafa-server"])`:                                         "[zarafa-common zarafa-server] []",
		`pkg.install(["kopano-rival"], expect = ["zarafa-common", "zarafa-server"])`:                      "[zarafa-common zarafa-server] [kopano-rival]",
	} {
		s := scene(t)
		solved := map[string]int{}
		s.Around = func(h *sim.Host) host.Host { return countingHost{h, solved} }
		if r := s.Run(snippet); r.Verdict.Code != 0 || r.Verdict.Changes != 1 {
			t.Fatalf("%s: %+v", snippet, r.Verdict)
		}
		all := 0
		for _, n := range solved {
			all += n
		}
		if all > 2 || solved[tx] < 1 {
			t.Errorf("%s: solved %v", snippet, solved)
		}
	}
}

// What pkg.solve found is no answer any more where it found something else, or packages have changed since.
func TestSolutionThatDoesNotHold(t *testing.T) {
	for name, solution := range map[string]string{
		"none":                  "None",
		"of one of them":        `pkg.solve(remove = ["zarafa-server"])`,
		"of an installation":    `pkg.solve(install = ["kopano-rival"])`,
		"of another version":    `struct(install = [], upgrade = [], remove = [struct(name = n, version = "0.1", old = "", origin = "", purge = False) for n in all])`,
		"of a purge":            "pkg.solve(remove = all, purge = True)",
		"made up":               `struct(remove = "all")`,
		"of what is impossible": `pkg.solve(install = ["no-such-package"])`,
	} {
		t.Run(name, func(t *testing.T) {
			s := scene(t)
			solved := map[string]int{}
			s.Around = func(h *sim.Host) host.Host { return countingHost{h, solved} }
			r := s.Run("all = [\"zarafa-common\", \"zarafa-server\"]\npkg.remove(all, solution = " + solution + ")")
			if r.Verdict.Code != 0 || r.Verdict.Changes != 1 || solved["[zarafa-common zarafa-server] []"] < 2 {
				t.Errorf("%+v, solved %v", r.Verdict, solved)
			}
		})
	}
}
