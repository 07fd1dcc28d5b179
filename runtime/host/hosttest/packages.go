package hosttest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// PackageDir is where a host that is tested for its packages has the files of MadePackages.
const PackageDir = "/srv/packages"

// MadePackage is a package of Debian's kind that the suite installs.
type MadePackage struct {
	Name, Version, Depends, Conflicts string
	Files                             map[string]string // content by path
	Conffiles                         []string
}

// MadePackages are those that the suite wants: a library, two versions of a program that needs it, and a
// rival.
var MadePackages = []MadePackage{
	{Name: "site-lib", Version: "1.0", Files: map[string]string{"/usr/lib/site/lib": "lib"}},
	{
		Name: "site-app", Version: "1.0", Depends: "site-lib (>= 1.0)", Conffiles: []string{"/etc/site/app.conf"},
		Files: map[string]string{"/etc/site/app.conf": "level = 1\n", "/usr/share/site/app": "app 1", "/usr/share/site/old": "old"},
	},
	{
		Name: "site-app", Version: "1:0.5", Depends: "site-lib (>= 1.0)", Conffiles: []string{"/etc/site/app.conf"},
		Files: map[string]string{"/etc/site/app.conf": "level = 2\n", "/usr/share/site/app": "app 2"},
	},
	{Name: "site-rival", Version: "1.0", Conflicts: "site-app", Files: map[string]string{"/usr/share/site-rival/data": "rival"}},
}

const (
	libFile   = PackageDir + "/site-lib_1.0_all.deb"
	appFile   = PackageDir + "/site-app_1.0_all.deb"
	newerFile = PackageDir + "/site-app_1%3a0.5_all.deb"
	rivalFile = PackageDir + "/site-rival_1.0_all.deb"

	appConfig = "/etc/site/app.conf"
)

// FileName is the name of its package file below PackageDir.
func (p MadePackage) FileName() string {
	return p.Name + "_" + strings.ReplaceAll(p.Version, ":", "%3a") + "_all.deb"
}

// Packages runs the suite of packages. For each test, fresh gives a Debian host with PackageDir, of which
// nothing is installed yet.
func Packages(t *testing.T, fresh func(t *testing.T) host.Host) {
	for _, tt := range []struct {
		name string
		test func(h *packageHelper)
	}{
		{"installation", testInstallation},
		{"needs", testNeeds},
		{"others", testOthers},
		{"removal", testRemoval},
		{"upgrade", testUpgrade},
		{"marks", testMarks},
		{"remains", testRemains},
		{"kept", testKept},
		{"expulsion", testExpulsion},
		{"names", testPackageNames},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(&packageHelper{t, fresh(t)}) })
	}
}

// packageHelper writes tests shortly.
type packageHelper struct {
	*testing.T
	h host.Host
}

func (h *packageHelper) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *packageHelper) commit(tx host.Transaction) error {
	return h.h.CommitPackages(h.Context(), tx, nil)
}

func (h *packageHelper) install(files ...string) {
	h.Helper()
	h.must(h.commit(host.Transaction{Install: files}))
}

func (h *packageHelper) pkg(name string) host.Package {
	h.Helper()
	list, err := h.h.Packages()
	h.must(err)
	for _, p := range list {
		if p.Name == name {
			return p
		}
	}
	return host.Package{}
}

// state wants packages in states: "NAME VERSION STATUS", or "NAME absent".
func (h *packageHelper) state(want ...string) {
	h.Helper()
	for _, w := range want {
		name, _, _ := strings.Cut(w, " ")
		got := name + " absent"
		if p := h.pkg(name); p.Name != "" {
			got = name + " " + p.Version + " " + p.Status
		}
		if got != w {
			h.Errorf("%s, want %s", got, w)
		}
	}
	if broken, err := h.h.PackageAudit(); err != nil || len(broken) > 0 {
		h.Errorf("audit: %q, %v", broken, err)
	}
}

// text wants a file with a content; "" for one that is absent.
func (h *packageHelper) text(path, want string) {
	h.Helper()
	if got := h.read(path); got != want {
		h.Errorf("%s holds %q, want %q", path, got, want)
	}
}

// read reads a file; "" for one that is absent.
func (h *packageHelper) read(path string) string {
	h.Helper()
	f, err := h.h.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	h.must(err)
	defer f.Close()
	data, err := io.ReadAll(f)
	h.must(err)
	return string(data)
}

func (h *packageHelper) write(path, text string) {
	h.Helper()
	f, err := h.h.OpenWrite(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = h.h.Create(path, 0o644)
	}
	h.must(err)
	h.must(f.Truncate(0))
	_, err = f.Write([]byte(text))
	h.must(err)
	h.must(f.Close())
}

// impossible wants a SolveError that says something.
func (h *packageHelper) impossible(err error, want string) {
	h.Helper()
	var impossible *host.SolveError
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), want) {
		h.Errorf("%v; want a *SolveError that speaks of %s", err, want)
	}
}

func changeNames(list []host.Change) []string {
	var found []string
	for _, c := range list {
		found = append(found, c.Name+" "+c.Version)
	}
	slices.Sort(found)
	return found
}

func testInstallation(h *packageHelper) {
	tx := host.Transaction{Install: []string{libFile, appFile}}
	s, err := h.h.Solve(tx)
	h.must(err)
	if got := strings.Join(changeNames(s.Install), ", "); got != "site-app 1.0, site-lib 1.0" || len(s.Upgrade)+len(s.Remove) > 0 {
		h.Errorf("solution %+v", s)
	}
	h.state("site-lib absent", "site-app absent") // to solve changes nothing
	for range 2 {                                 // the second time there is nothing to do
		h.must(h.commit(tx))
		h.state("site-lib 1.0 installed", "site-app 1.0 installed")
	}
	h.text("/usr/share/site/app", "app 1")
	h.text(appConfig, "level = 1\n")
	p := h.pkg("site-app")
	if len(p.Conffiles) != 1 || p.Conffiles[0].Path != appConfig || len(p.Conffiles[0].MD5) != 32 || p.Depends != "site-lib (>= 1.0)" {
		h.Errorf("package %+v", p)
	}
	files, err := h.h.PackageFiles("site-app")
	h.must(err)
	for _, want := range []string{"/etc/site", appConfig, "/usr/share/site/app"} {
		if !slices.Contains(files, want) {
			h.Errorf("files of site-app: %q lack %s", files, want)
		}
	}
	if !slices.IsSorted(files) {
		h.Errorf("files of site-app are in no order: %q", files)
	}
}

func testNeeds(h *packageHelper) {
	_, err := h.h.Solve(host.Transaction{Install: []string{appFile}})
	h.impossible(err, "site-lib")
	h.impossible(h.commit(host.Transaction{Install: []string{appFile}}), "site-lib")
	h.impossible(h.commit(host.Transaction{Install: []string{"no-such-package"}}), "no-such-package")
	h.state("site-lib absent", "site-app absent")
}

func testOthers(h *packageHelper) {
	h.install(libFile, appFile)
	h.impossible(h.commit(host.Transaction{Remove: []string{"site-lib"}}), "would also remove site-app 1.0")
	h.state("site-lib 1.0 installed", "site-app 1.0 installed")
	// Nothing is removed where nothing is to be removed.
	if err := h.commit(host.Transaction{Install: []string{rivalFile}}); err == nil {
		h.Error("a rival took the place of what nobody asked to remove")
	}
	h.state("site-app 1.0 installed", "site-rival absent")
	h.must(h.commit(host.Transaction{Install: []string{rivalFile}, Remove: []string{"site-app"}}))
	h.state("site-lib 1.0 installed", "site-rival 1.0 installed", "site-app 1.0 config-files")
}

func testRemoval(h *packageHelper) {
	h.install(libFile, appFile)
	h.write(appConfig, "level = 9\n")
	h.write(appConfig+".dpkg-old", "left")
	h.must(h.commit(host.Transaction{Remove: []string{"site-app"}}))
	h.state("site-app 1.0 config-files", "site-lib 1.0 installed")
	h.text(appConfig, "level = 9\n")
	h.text("/usr/share/site/app", "")
	for range 2 {
		h.must(h.commit(host.Transaction{Remove: []string{"site-app", "no-such-package"}, Purge: true}))
		h.state("site-app absent", "site-lib 1.0 installed")
	}
	h.text(appConfig, "")
	h.text(appConfig+".dpkg-old", "")
	if _, err := h.h.Lstat("/etc/site"); !errors.Is(err, fs.ErrNotExist) {
		h.Errorf("/etc/site stays behind: %v", err)
	}
}

func testUpgrade(h *packageHelper) {
	h.install(libFile, appFile)
	s, err := h.h.Solve(host.Transaction{Install: []string{newerFile}})
	h.must(err)
	if len(s.Upgrade) != 1 || s.Upgrade[0].Name != "site-app" || s.Upgrade[0].Old != "1.0" || s.Upgrade[0].Version != "1:0.5" || len(s.Install) > 0 {
		h.Errorf("solution %+v", s)
	}
	h.install(newerFile)
	h.state("site-app 1:0.5 installed")
	h.text(appConfig, "level = 2\n")
	h.text("/usr/share/site/old", "")

	if err := h.commit(host.Transaction{Install: []string{appFile}}); err == nil {
		h.Error("an older version is installed without being asked for")
	}
	h.write(appConfig, "level = 9\n")
	h.must(h.commit(host.Transaction{Install: []string{appFile}, Downgrade: true}))
	h.state("site-app 1.0 installed")
	h.text(appConfig, "level = 9\n")
	h.text(appConfig+".dpkg-dist", "level = 1\n")
}

func testMarks(h *packageHelper) {
	h.install(libFile, appFile)
	h.must(h.h.MarkPackages(h.Context(), []host.PackageMark{{Name: "site-app", Held: true}, {Name: "site-lib", Auto: true}}))
	if app, lib := h.pkg("site-app"), h.pkg("site-lib"); !app.Held || app.Auto || lib.Held || !lib.Auto {
		h.Errorf("held %v %v, auto %v %v", app.Held, lib.Held, app.Auto, lib.Auto)
	}
	h.must(h.h.MarkPackages(h.Context(), []host.PackageMark{{Name: "site-app"}, {Name: "site-lib"}}))
	if app, lib := h.pkg("site-app"), h.pkg("site-lib"); app.Held || lib.Auto {
		h.Errorf("the marks stay: %+v %+v", app, lib)
	}
	err := h.h.MarkPackages(h.Context(), []host.PackageMark{{Name: "site-rival", Held: true}})
	if err == nil || !strings.Contains(err.Error(), "site-rival") {
		h.Errorf("mark of what is not installed: %v", err)
	}
}

func testRemains(h *packageHelper) {
	h.install(libFile, appFile)
	dir := h.dir("/root/kept")
	if _, err := h.h.SaveRemains(h.Context(), []string{"site-app"}, dir); err == nil || !strings.Contains(err.Error(), "site-app") {
		h.Errorf("remains of an installed package: %v", err)
	}
	h.must(h.commit(host.Transaction{Remove: []string{"site-app"}}))
	was := h.pkg("site-app")
	files, err := h.h.SaveRemains(h.Context(), []string{"site-app"}, dir)
	h.must(err)
	h.must(h.commit(host.Transaction{Remove: []string{"site-app"}, Purge: true}))
	h.state("site-app absent")
	h.must(h.h.RestoreRemains(h.Context(), files["site-app"]))
	h.state("site-app 1.0 config-files")
	if now := h.pkg("site-app"); !slices.Equal(now.Conffiles, was.Conffiles) {
		h.Errorf("conffiles %v, were %v", now.Conffiles, was.Conffiles)
	}
}

func (h *packageHelper) dir(path string) string {
	h.Helper()
	h.must(h.h.Mkdir(path, 0o700))
	return path
}

func testKept(h *packageHelper) {
	h.install(libFile, appFile)
	dir := h.dir("/root/kept")
	files, missing, err := h.h.SavePackages(h.Context(), []string{"site-app", "site-rival"}, dir, nil)
	h.must(err)
	if files["site-app"] == "" || missing["site-rival"] == "" || len(files) != 1 || len(missing) != 1 {
		h.Fatalf("kept %v, missing %v", files, missing)
	}
	h.must(h.commit(host.Transaction{Remove: []string{"site-app"}, Purge: true}))
	h.must(h.commit(host.Transaction{Install: []string{files["site-app"]}}))
	h.state("site-app 1.0 installed")
	h.text("/usr/share/site/app", "app 1")
	h.text(appConfig, "level = 1\n")
}

func testExpulsion(h *packageHelper) {
	h.install(libFile, appFile)
	keep := h.dir("/root/scripts")
	h.must(h.h.ExpelPackages(h.Context(), nil, keep, nil))
	h.must(h.h.ExpelPackages(h.Context(), []host.Change{{Name: "site-app", Version: "1.0"}, {Name: "site-lib", Version: "1.0"}}, keep, nil))
	h.state("site-app absent", "site-lib absent")
	h.text(appConfig, "")
	h.must(h.h.ExpelPackages(h.Context(), []host.Change{{Name: "site-app", Version: "1.0"}}, keep, nil)) // it is gone
}

func testPackageNames(h *packageHelper) {
	for _, bad := range []string{"-o", "--purge", "site-*", "a b", ""} {
		if err := h.commit(host.Transaction{Remove: []string{bad}}); err == nil {
			h.Errorf("removal of %q is accepted", bad)
		}
		if err := h.commit(host.Transaction{Install: []string{bad}}); err == nil {
			h.Errorf("installation of %q is accepted", bad)
		}
		if _, err := h.h.PackageFiles(bad); err == nil {
			h.Errorf("files of %q are told", bad)
		}
	}
	if _, err := h.h.PackageFiles("no-such-package"); err == nil || !strings.Contains(err.Error(), "no-such-package") {
		h.Errorf("files of what is not installed: %v", err)
	}
	found, err := h.h.Candidates([]string{"no-such-package"})
	if err != nil || len(found) > 0 {
		h.Errorf("candidates of what nothing offers: %v, %v", found, err)
	}
	err = h.h.RefreshPackages(h.Context(), []string{"/etc/apt/sources.list.d/absent.list"}, nil)
	if err == nil || !strings.Contains(err.Error(), "/etc/apt/sources.list.d/absent.list") {
		h.Errorf("refresh of a source that is absent: %v", err)
	}
	if m, err := h.h.PackageManager(); err != nil || m.Name != "apt" || m.Version == "" {
		h.Errorf("package manager %+v, %v", m, err)
	}
	if holder, err := h.h.PackageLock(); err != nil || holder != nil {
		h.Errorf("lock %+v, %v", holder, err)
	}
}
