package live_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/manifest"
)

// These tests use real apt, dpkg, init scripts and MariaDB in a Debian root.

// lockRole makes a copy of the test binary hold the lock of a file until it is killed; confinedRole makes
// it read the root that it is in.
const (
	lockRole     = "LIVE_TEST_LOCK"
	confinedRole = "LIVE_TEST_CONFINED"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(lockRole); path != "" {
		lockFile(path)
	}
	if text := os.Getenv(killedRole); text != "" {
		workUntilKilled(text)
	}
	if path := os.Getenv(live.MortalRole); path != "" {
		live.StartMortal(path)
	}
	if os.Getenv(confinedRole) != "" {
		confinedMain()
	}
	if slices.ContainsFunc(os.Args, func(arg string) bool {
		return strings.HasPrefix(arg, "-test.fuzz=") || arg == "-test.fuzzworker" || arg == "-test.fuzz"
	}) {
		os.Exit(m.Run()) // these need no root, and would take their own places away from each other
	}
	e2e.Main(m)
}

func lockFile(path string) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err == nil {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	time.Sleep(time.Hour) // it is ended when it is not needed any more
	os.Exit(0)
}

// holdLock starts another process that has the lock of a file.
func holdLock(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "upgrade")
	cmd.Env = []string{lockRole + "=" + path}
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("lock of %s: %s", path, line)
	}
	return cmd
}

// untilWaitedFor ends the holder of a lock once the wait for it is told.
func untilWaitedFor(holder *exec.Cmd) (watch *host.PackageWatch, waited func() bool) {
	var told atomic.Bool
	watch = lines(func(line string) {
		if strings.Contains(line, "waiting for") && told.CompareAndSwap(false, true) {
			holder.Process.Kill()
		}
	})
	return watch, told.Load
}

// watchArguments looks for text in the arguments of all processes until it is asked.
func watchArguments(t *testing.T, text string) (seen func() bool) {
	t.Helper()
	stop, found := make(chan struct{}), make(chan bool)
	go func() {
		hit := false
		for {
			select {
			case <-stop:
				found <- hit
				return
			default:
			}
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range files {
				data, _ := os.ReadFile(file)
				hit = hit || strings.Contains(string(data), text)
			}
		}
	}()
	return func() bool { close(stop); return <-found }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// debian gives a root and the host in it. Commands of the host run among this test's processes, so
// that the root gets this test's /proc.
func debian(t *testing.T) (*e2e.Root, *live.Host) {
	t.Helper()
	r := e2e.NewRoot(t)
	must(t, unix.Mount("/proc", r.Path("/proc"), "", unix.MS_BIND, ""))
	// What the host starts listens on ports that it shares with the other tests' hosts.
	r.WriteFile("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
	h, err := live.Open(r.Dir)
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return r, h
}

func status(t *testing.T, h *live.Host, name string) string {
	t.Helper()
	packages, err := h.Packages()
	must(t, err)
	for _, p := range packages {
		if p.Name == name {
			return p.Status
		}
	}
	return "absent"
}

func TestPackages(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	ctx := t.Context()

	solution, err := h.Solve(host.Transaction{Install: []string{"zarafa-server", "zarafa-spooler"}, NoRecommends: true})
	must(t, err)
	if len(solution.Install) < 2 || len(solution.Remove) != 0 || solution.DiskDelta <= 0 || solution.Download <= 0 {
		t.Errorf("solution %+v", solution)
	}
	var said []string
	must(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"zarafa-server", "zarafa-spooler"}, NoRecommends: true},
		lines(func(line string) { said = append(said, line) })))
	if !strings.Contains(strings.Join(said, "\n"), "Setting up zarafa-server") {
		t.Errorf("progress %q", said)
	}
	if got := status(t, h, "zarafa-server"); got != "installed" {
		t.Fatalf("zarafa-server is %s", got)
	}
	if files, err := h.PackageFiles("zarafa-server"); err != nil || !strings.Contains(strings.Join(files, "\n"), "/usr/sbin/zarafa-server") {
		t.Errorf("files %q %v", files, err)
	}
	if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
		t.Errorf("audit %q %v", broken, err)
	}
	candidates, err := h.Candidates([]string{"zarafa-server", "no-such-package"})
	if err != nil || len(candidates) != 1 || len(candidates["zarafa-server"]) == 0 || candidates["zarafa-server"][0].Depends == "" {
		t.Errorf("candidates %+v %v", candidates, err)
	}

	// What others need does not go along unasked.
	library := ownDependency(t, h)
	err = h.CommitPackages(ctx, host.Transaction{Remove: []string{library}, Purge: true}, nil)
	var impossible *host.SolveError
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "zarafa-server") {
		t.Errorf("removal of %s: %v", library, err)
	}
	if got := status(t, h, "zarafa-server"); got != "installed" {
		t.Fatalf("zarafa-server is %s after a refused transaction", got)
	}

	// A package that is not to be had is apt's own words.
	_, err = h.Solve(host.Transaction{Install: []string{"no-such-package"}})
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "no-such-package") {
		t.Errorf("unknown package: %v", err)
	}

	// Removed, purged, and purged again when nothing is left and no list names it.
	r.Edit("/etc/zarafa/server.cfg", "log_level = 3", "log_level = 5")
	both := []string{"zarafa-server", "zarafa-spooler"}
	must(t, h.CommitPackages(ctx, host.Transaction{Remove: both}, nil))
	if got := status(t, h, "zarafa-server"); got != "config-files" {
		t.Errorf("zarafa-server is %s after removal", got)
	}
	r.Must("rm", "/etc/apt/sources.list.d/zcp.list")
	must(t, h.RefreshPackages(ctx, nil, nil))
	for range 2 {
		must(t, h.CommitPackages(ctx, host.Transaction{Remove: both, Purge: true}, nil))
		if got := status(t, h, "zarafa-server"); got != "absent" {
			t.Errorf("zarafa-server is %s after purge", got)
		}
	}
}

// ownDependency is an installed package that zarafa-server depends on.
func ownDependency(t *testing.T, h *live.Host) string {
	t.Helper()
	packages, err := h.Packages()
	must(t, err)
	depends := ""
	for _, p := range packages {
		if p.Name == "zarafa-server" {
			depends = p.Depends
		}
	}
	for _, p := range packages {
		if p.Installed() && strings.HasPrefix(p.Name, "zarafa-") && strings.Contains(depends, p.Name) {
			return p.Name
		}
	}
	t.Fatalf("zarafa-server depends on no other package: %s", depends)
	return ""
}

func TestSaveAndRestore(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-server", "zarafa-dagent")
	r.Must("apt-get", "clean")
	must(t, h.Mkdir("/root/kept", 0o700))
	names := []string{"zarafa-server", "zarafa-dagent"}
	files, missing, err := h.SavePackages(t.Context(), names, "/root/kept", nil)
	if err != nil || len(missing) != 0 || len(files) != 2 {
		t.Fatalf("saved %v, missing %v, %v", files, missing, err)
	}
	again, _, err := h.SavePackages(t.Context(), names, "/root/kept", nil)
	if err != nil || again["zarafa-server"] != files["zarafa-server"] {
		t.Errorf("again %v %v", again, err)
	}

	// Without a repository the installed files are packed.
	r.Must("rm", "/etc/apt/sources.list.d/zcp.list")
	must(t, h.RefreshPackages(t.Context(), nil, nil))
	r.Edit("/etc/zarafa/server.cfg", "log_level = 3", "log_level = 5")
	must(t, h.Mkdir("/root/packed", 0o700))
	packed, missing, err := h.SavePackages(t.Context(), names, "/root/packed", nil)
	if err != nil || len(missing) != 0 || len(packed) != 2 {
		t.Fatalf("packed %v, missing %v, %v", packed, missing, err)
	}
	if entries, _ := h.ReadDir("/root/packed"); len(entries) != 2 {
		t.Errorf("left in the directory: %v", entries)
	}
	_, _, err = h.SavePackages(t.Context(), []string{"no-such-package"}, "/root/packed", nil)
	must(t, err)

	for _, kept := range []map[string]string{files, packed} {
		must(t, h.CommitPackages(t.Context(), host.Transaction{Remove: names, Purge: true}, nil))
		must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{kept["zarafa-server"], kept["zarafa-dagent"]}}, nil))
		if got := status(t, h, "zarafa-server"); got != "installed" {
			t.Fatalf("zarafa-server is %s", got)
		}
	}
	if !strings.Contains(r.ReadFile("/etc/zarafa/server.cfg"), "log_level = 5") {
		t.Error("the packed conffile is not the edited one")
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.BindRepositories()
	ctx := t.Context()
	probe := func(line, key string) (host.RepositoryAnswer, error) {
		files := []host.ConfigFile{{Path: "/etc/apt/sources.list.d/kopano.list", Content: host.NewSecret(line), Mode: 0o644}}
		if key != "" {
			files = append(files, host.ConfigFile{Path: "/etc/apt/keyrings/kopano.asc", Content: host.NewSecret(key), Mode: 0o644})
		}
		return h.ProbeRepository(ctx, host.RepositoryProbe{Files: files, Packages: []string{"kopano-server", "no-such-package"}})
	}
	signed := "deb [signed-by=/etc/apt/keyrings/kopano.asc] " + e2e.RepoURL("kopano87") + " ./\n"
	key := r.ReadFile(e2e.KeyFile)

	got, err := probe(signed, key)
	must(t, err)
	if !got.Known || got.Offers["kopano-server"] == "" || len(got.Missing) != 1 {
		t.Errorf("answer %+v", got)
	}
	for name, c := range map[string][2]string{
		"unsigned": {"deb [signed-by=/etc/apt/keyrings/kopano.asc] " + e2e.RepoURL("unsigned") + " ./\n", key},
		"no key":   {"deb " + e2e.RepoURL("kopano87") + " ./\n", ""},
		"gone":     {"deb [signed-by=/etc/apt/keyrings/kopano.asc] file:/srv/repos/none ./\n", key},
		"refused":  {"deb [signed-by=/etc/apt/keyrings/kopano.asc] http://me:s3cr3t@127.0.0.1:9/x ./\n", key},
	} {
		if _, err := probe(c[0], c[1]); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/etc/apt/sources.list.d", "/etc/apt/keyrings"} {
		if entries, _ := h.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s has %v after probes", dir, entries)
		}
	}

	// Lists at hand, then the wrong key: apt itself exits with 0.
	r.WriteFile("/etc/apt/keyrings/kopano.asc", key, 0o644)
	r.WriteFile("/etc/apt/sources.list.d/kopano.list", signed, 0o644)
	only := []string{"/etc/apt/sources.list.d/kopano.list"}
	must(t, h.RefreshPackages(ctx, only, nil))
	r.WriteFile("/etc/apt/sources.list.d/kopano.list", "deb "+e2e.RepoURL("kopano87")+" ./\n", 0o644)
	if err := h.RefreshPackages(ctx, only, nil); err == nil || !strings.Contains(err.Error(), "kopano") {
		t.Errorf("refresh without the key: %v", err)
	}
}

// TestSolveWithRepository asks what an installation would do, with a repository that is not configured and
// without packages that are there.
func TestSolveWithRepository(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.BindRepositories()
	files := []host.ConfigFile{
		{Path: "/etc/apt/sources.list.d/kopano.list", Content: host.NewSecret("deb [signed-by=/etc/apt/keyrings/kopano.asc] " + e2e.RepoURL("kopano87") + " ./\n"), Mode: 0o644},
		{Path: "/etc/apt/keyrings/kopano.asc", Content: host.NewSecret(r.ReadFile(e2e.KeyFile)), Mode: 0o644},
	}
	ask := func(remove ...string) (host.Solution, error) {
		tx := host.Transaction{Install: []string{"kopano-server"}, Remove: remove, NoRecommends: true}
		got, err := h.ProbeRepository(t.Context(), host.RepositoryProbe{Files: files, Tx: &tx})
		return got.Solution, err
	}
	refuses := func(err error, word string) {
		t.Helper()
		var impossible *host.SolveError
		if !errors.As(err, &impossible) || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "/tmp/") {
			t.Errorf("want a refusal that names %s: %v", word, err)
		}
	}
	_, err := ask()
	refuses(err, "libical3") // which Debian has, and no repository that this host knows

	r.AddRepository("zcp", "debian")
	r.Install("zarafa-server")
	before := r.State()
	packages, err := h.Packages()
	must(t, err)
	var gone []string
	for _, p := range packages {
		if strings.Contains(strings.ToLower(p.Origin), "zarafa") {
			gone = append(gone, p.Name)
		}
	}
	got, err := ask(gone...)
	must(t, err)
	comes := func(name string) bool {
		return slices.ContainsFunc(got.Install, func(c host.Change) bool { return c.Name == name && c.Version != "" })
	}
	if !comes("kopano-server") || !comes("kopano-common") || len(got.Remove) > 0 || got.Download == 0 {
		t.Errorf("solution %+v", got)
	}
	_, err = ask("libc6")
	refuses(err, "libc6")
	_, err = h.Solve(host.Transaction{Install: []string{"kopano-server"}})
	refuses(err, "kopano-server")
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) > 0 {
		t.Errorf("asking changed the host:\n%s", manifest.Table(diffs, "before", "after"))
	}
}

func TestBrokenDatabaseIsRepaired(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.WriteFile("/etc/zarafa/server.cfg", "# mine\n", 0o640)
	// An installation that asks and gets no answer leaves the package half-way.
	if r.Run("apt-get", "install", "-y", "-q", "--no-install-recommends", "zarafa-server").Code == 0 {
		t.Fatal("the conffile question was not asked")
	}
	broken, err := h.PackageAudit()
	must(t, err)
	if len(broken) == 0 || !strings.Contains(strings.Join(broken, "\n"), "zarafa-server") {
		t.Errorf("audit %q", broken)
	}
	must(t, h.RepairPackages(t.Context(), nil, nil))
	if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
		t.Errorf("audit after repair %q %v", broken, err)
	}
	if r.ReadFile("/etc/zarafa/server.cfg") != "# mine\n" {
		t.Error("the repair replaced a configuration file")
	}
	r.Must("dpkg", "--force-depends", "--remove", "zarafa-common")
	broken, err = h.PackageAudit()
	must(t, err)
	if len(broken) == 0 || !strings.Contains(strings.Join(broken, "\n"), "zarafa-common") {
		t.Errorf("audit without a package that another needs: %q", broken)
	}
}

// TestRepairEndsRemovals leaves packages as a dpkg does that is killed while it removes them: in their
// prerm script, or while it takes their files away.
func TestRepairEndsRemovals(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-client", "zarafa-lang", "orage")
	r.Edit("/var/lib/dpkg/status",
		"Package: zarafa-client\nStatus: install ok installed", "Package: zarafa-client\nStatus: purge ok half-installed",
		"Package: zarafa-lang\nStatus: install ok installed", "Package: zarafa-lang\nStatus: purge ok half-configured",
		"Package: orage\nStatus: install ok installed", "Package: orage\nStatus: deinstall ok half-installed")
	must(t, h.RepairPackages(t.Context(), nil, nil))
	if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
		t.Errorf("audit after repair %q %v", broken, err)
	}
	packages, err := h.Packages()
	must(t, err)
	for _, p := range packages {
		if slices.Contains([]string{"zarafa-client", "zarafa-lang", "orage"}, p.Name) && p.Status != "config-files" {
			t.Errorf("%s is %s", p.Name, p.Status)
		}
	}
}

// TestReinstallHalfUnpacked leaves a package as a dpkg does that is killed while it unpacks it, where no
// repository has it: only its kept file helps.
func TestReinstallHalfUnpacked(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-client")
	must(t, h.Mkdir("/srv/kept", 0o700))
	files, _, err := h.SavePackages(t.Context(), []string{"zarafa-client"}, "/srv/kept", nil)
	must(t, err)
	r.Must("rm", "/etc/apt/sources.list.d/zcp.list", "/etc/apt/sources.list.d/debian.list")
	r.Must("apt-get", "update")
	r.Edit("/var/lib/dpkg/status",
		"Package: zarafa-client\nStatus: install ok installed", "Package: zarafa-client\nStatus: install reinstreq half-installed")
	if err := h.RepairPackages(t.Context(), nil, nil); err == nil {
		t.Error("repaired from nothing")
	}
	tx := host.Transaction{Install: []string{files["zarafa-client"]}, NoRecommends: true, Downgrade: true}
	must(t, h.CommitPackages(t.Context(), tx, nil))
	if broken, err := h.PackageAudit(); err != nil || len(broken) != 0 {
		t.Errorf("audit %q %v", broken, err)
	}
}

// TestFileWithColon installs package files with an epoch in their names, as vendors write it, and below a
// directory with a colon. Apt passes over these without a word, and calls that success.
func TestFileWithColon(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	must(t, os.MkdirAll(r.Path("/srv/kopano:8.7"), 0o755))
	var files []string
	for _, p := range []fakepkg.Package{
		{Name: "site-base", Version: "1:2.0"},
		{Name: "site-mail", Version: "1:2.0-1", Depends: "site-base (>= 1:2.0)"},
	} {
		data, err := p.Deb()
		must(t, err)
		files = append(files, fmt.Sprintf("/srv/kopano:8.7/%s_%s_amd64.deb", p.Name, p.Version))
		must(t, os.WriteFile(r.Path(files[len(files)-1]), data, 0o644))
	}
	tx := host.Transaction{Install: files, NoRecommends: true}
	for _, coming := range []int{2, 0} { // the second time they are there
		solution, err := h.Solve(tx)
		must(t, err)
		if len(solution.Install) != coming {
			t.Errorf("solution %+v", solution)
		}
		must(t, h.CommitPackages(t.Context(), tx, nil))
		for _, name := range []string{"site-base", "site-mail"} {
			if got := status(t, h, name); got != "installed" {
				t.Errorf("%s is %s", name, got)
			}
		}
	}
	for _, dir := range []string{"/run", "/tmp"} {
		if left, _ := filepath.Glob(r.Path(dir + "/zcp2kopano-*")); len(left) > 0 {
			t.Errorf("%q stay", left)
		}
	}
}

// TestSaveAfterKill packs a package again where a killed run had begun to: its file is cut short behind the
// control fields, and must not be taken for the package.
func TestSaveAfterKill(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-client")
	r.Must("rm", "/etc/apt/sources.list.d/zcp.list", "/etc/apt/sources.list.d/debian.list")
	r.Must("apt-get", "update")
	must(t, h.Mkdir("/srv/kept", 0o700))
	save := func() string {
		files, missing, err := h.SavePackages(t.Context(), []string{"zarafa-client"}, "/srv/kept", nil)
		must(t, err)
		if len(missing) > 0 {
			t.Fatalf("missing: %v", missing)
		}
		return files["zarafa-client"]
	}
	file := save()
	// What dpkg-deb is writing has another name until it is whole.
	must(t, os.Rename(r.Path(file), r.Path(file+".part")))
	must(t, os.Truncate(r.Path(file+".part"), 600))
	again := save()
	r.Must("dpkg-deb", "--contents", again)
	if _, err := os.Lstat(r.Path(file + ".part")); again != file || !os.IsNotExist(err) {
		t.Errorf("saved as %s, and of the first attempt: %v", again, err)
	}
}

func TestLockIsNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	holder := holdLock(t, r.Path("/var/lib/dpkg/lock-frontend"))
	got, err := h.PackageLock()
	must(t, err)
	if got == nil || got.PID != holder.Process.Pid || got.Path != "/var/lib/dpkg/lock-frontend" || got.Command == "" {
		t.Fatalf("holder %+v, want process %d", got, holder.Process.Pid)
	}
	watch, waited := untilWaitedFor(holder)
	must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-client"}, NoRecommends: true}, watch))
	if !waited() {
		t.Error("it does not say that it waits")
	}
	holder = holdLock(t, r.Path("/var/lib/dpkg/lock"))
	live.SetLockPatience(h, 100*time.Millisecond)
	err = h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-client"}}, nil)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(holder.Process.Pid)) {
		t.Errorf("a lock that stays: %v", err)
	}
	// Nothing is broken, but what the other is at is not known.
	if err := h.RepairPackages(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), strconv.Itoa(holder.Process.Pid)) {
		t.Errorf("a repair while the lock stays: %v", err)
	}
}

// TestCommitAfterTheWait has the other user of the package manager do, meanwhile, what was to be done: an
// apt-get that outlived a killed run does just that. apt knows the package no more.
func TestCommitAfterTheWait(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-client")
	r.Must("rm", "/etc/apt/sources.list.d/zcp.list", "/etc/apt/sources.list.d/debian.list")
	r.Must("apt-get", "update")
	holder := holdLock(t, r.Path("/var/lib/dpkg/lock-frontend"))
	waits, done := make(chan struct{}), make(chan error)
	told := sync.OnceFunc(func() { close(waits) })
	go func() {
		tx := host.Transaction{Remove: []string{"zarafa-client"}, Purge: true}
		done <- h.CommitPackages(t.Context(), tx, lines(func(string) { told() }))
	}()
	select {
	case <-waits:
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	}
	r.Must("env", "DPKG_FRONTEND_LOCKED=1", "dpkg", "--purge", "zarafa-client")
	holder.Process.Kill()
	if err := <-done; err != nil {
		t.Errorf("a transaction that another ended meanwhile: %v", err)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	r.AddRepository("zcp", "debian")
	r.Install("zarafa-server", "zarafa-dagent")
	r.Must("/etc/init.d/zarafa-dagent", "stop")
	ctx := t.Context()
	state := func() host.Service {
		services, err := h.Services("zarafa-dag*")
		if err != nil || len(services) != 1 {
			t.Fatalf("services %+v %v", services, err)
		}
		return services[0]
	}
	must(t, h.StartService(ctx, "zarafa-dagent"))
	if s := state(); !s.Active || s.PID == 0 || s.Kind != "sysv" {
		t.Errorf("after start %+v", s)
	}
	processes, err := h.Processes()
	must(t, err)
	found := false
	for _, p := range processes {
		found = found || p.Name == "zarafa-dagent" && p.PID == state().PID && strings.HasPrefix(p.Exe, "/usr/")
	}
	if !found {
		t.Errorf("processes %+v", processes)
	}
	must(t, h.StopService(ctx, "zarafa-dagent", 10*time.Second))
	must(t, h.StopService(ctx, "zarafa-dagent", 10*time.Second))
	if s := state(); s.Active || s.PID != 0 {
		t.Errorf("after stop %+v", s)
	}
	must(t, h.DisableService("zarafa-dagent"))
	if state().Enabled {
		t.Error("enabled after disable")
	}
	must(t, h.EnableService("zarafa-dagent"))
	if !state().Enabled {
		t.Error("disabled after enable")
	}
	if err := h.MaskService("zarafa-dagent"); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("mask: %v", err)
	}
	if err := h.StartService(ctx, "no-such-service"); err == nil {
		t.Error("an unknown service starts")
	}
	must(t, h.StopService(ctx, "no-such-service", time.Second))

	// A process that stays is named.
	r.WriteFile("/etc/init.d/stubborn", "#!/bin/sh\nexit 0\n", 0o755)
	r.WriteFile("/usr/sbin/stubborn", "#!/bin/sh\nwhile :; do sleep 1; done\n", 0o755)
	cmd := r.Command("/usr/sbin/stubborn")
	cmd.Stdin, cmd.Stdout = nil, nil
	must(t, cmd.Start())
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		running, err := h.ServiceProcesses("stubborn")
		must(t, err)
		if len(running) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the process does not run")
		}
	}
	err = h.StopService(ctx, "stubborn", 300*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("stubborn: %v", err)
	}
	// One that ends by itself has not started.
	if err := h.StartService(ctx, "zarafa-missing"); err == nil {
		t.Error("a service without a script starts")
	}
	r.WriteFile("/etc/init.d/brief", "#!/bin/sh\nexit 0\n", 0o755)
	if err := h.StartService(ctx, "brief"); err == nil {
		t.Error("a service that does not stay counts as started")
	}
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	ctx := t.Context()
	conn := host.DatabaseConn{Host: "localhost", User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	rows, err := h.Query(ctx, conn, "SELECT MAX(databaserevision) AS revision, NULL FROM versions")
	must(t, err)
	if len(rows.Rows) != 1 || rows.Columns[0] != "revision" || rows.Rows[0][0] == "" || rows.Rows[0][1] != "" {
		t.Errorf("rows %+v", rows)
	}
	r.SQL("DELIMITER //\nCREATE FUNCTION zarafa.writes() RETURNS INT DETERMINISTIC BEGIN DELETE FROM zarafa.versions; RETURN 1; END//\n")
	if _, err := h.Query(ctx, conn, "SELECT writes()"); err == nil {
		t.Error("a SELECT that writes is not stopped by the session")
	}
	for query, refused := range map[string]bool{
		"SELECT 1 FROM information_schema.NO_SUCH_TABLE": true, "SELECT 1 FROM nowhere": true, "SELECT nothing": false,
	} {
		if _, err := h.Query(ctx, conn, query); err == nil || errors.Is(err, host.ErrUnsupported) != refused {
			t.Errorf("%s: %v", query, err)
		}
	}
	wrong := conn
	wrong.Password = host.NewSecret("wr0ng")
	none := conn
	none.Database = "nothere"
	dead := conn
	dead.Socket = "/run/mysqld/none.sock"
	for want, c := range map[string]host.DatabaseConn{"wrong user name or password": wrong, "nothere": none, "is it running": dead} {
		if _, err := h.Query(ctx, c, "SELECT 1"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: %v", want, err)
		}
	}

	must(t, h.Mkdir("/root/dump", 0o700))
	for _, compression := range []string{"zstd", "gzip", "none"} {
		path := "/root/dump/zarafa." + compression
		seen := watchArguments(t, e2e.Password)
		got, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: compression}, nil)
		if seen() {
			t.Error("the password shows in the arguments of a process")
		}
		must(t, err)
		st, _ := h.Lstat(path)
		if !got.Closed || got.RawBytes == 0 || got.Bytes != st.Size || len(got.SHA256) != 64 || st.Perm() != 0o600 || !strings.Contains(got.Tool, "Ver") {
			t.Errorf("%s: %+v, %v", compression, got, st.Mode)
		}
		if !slices.Contains(got.Tables, "stores") || !slices.Contains(got.Tables, "versions") {
			t.Errorf("%s: tables %q", compression, got.Tables)
		}
		if _, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: conn, Path: path, Compression: compression}, nil); !errors.Is(err, unix.EEXIST) {
			t.Errorf("%s: over an existing file: %v", compression, err)
		}
	}
	if _, err := h.DumpDatabase(ctx, host.DumpRequest{Conn: none, Path: "/root/dump/none", Compression: "zstd"}, nil); err == nil {
		t.Error("a database that is not there is dumped")
	}
	for _, dir := range []string{"/run", "/tmp"} {
		entries, _ := h.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name, "zcp2kopano-") {
				t.Errorf("%s/%s stays", dir, e.Name)
			}
		}
	}
}

func kill(t *testing.T, h *live.Host, name string) {
	processes, err := h.Processes()
	must(t, err)
	for _, p := range processes {
		if p.Name == name {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
}

func TestDumpThatFails(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	r.SQL("CREATE TABLE zarafa.big (id INT PRIMARY KEY, data LONGBLOB); " + strings.Repeat("INSERT INTO zarafa.big SELECT COALESCE(MAX(id),0)+1, RANDOM_BYTES(1024) FROM zarafa.big; ", 8) +
		strings.Repeat("INSERT INTO zarafa.big SELECT id+(SELECT MAX(id) FROM zarafa.big), RANDOM_BYTES(1024) FROM zarafa.big; ", 12))
	conn := host.DatabaseConn{User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	r.Mount("/srv/small", "4m")
	full := host.DumpRequest{Conn: conn, Path: "/srv/small/dump.zst", Compression: "zstd"}
	if _, err := h.DumpDatabase(t.Context(), full, nil); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("to a full disk: %v", err)
	}
	cut, cancel := context.WithCancel(t.Context())
	req := host.DumpRequest{Conn: conn, Path: "/root/cut.zst", Compression: "zstd"}
	if _, err := h.DumpDatabase(cut, req, func(int64) { cancel() }); err == nil {
		t.Error("a cancelled dump succeeds")
	}
	killed := host.DumpRequest{Conn: conn, Path: "/root/killed.zst", Compression: "none"}
	// At the first progress most of the data is still to come; what mysqldump says of its end differs with the moment.
	_, err := h.DumpDatabase(t.Context(), killed, func(int64) { kill(t, h, "mariadbd") })
	if err == nil || !strings.Contains(err.Error(), "/usr/bin/mysqldump: exit status ") {
		t.Errorf("of a server that dies: %v", err)
	}
	for _, path := range []string{"/srv/small/dump.zst", "/root/cut.zst", "/root/killed.zst"} {
		if _, err := h.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s stays: %v", path, err)
		}
	}
}

// lines tells a function what a package manager says, and what it waits for.
func lines(tell func(string)) *host.PackageWatch {
	return &host.PackageWatch{Tell: func(work host.PackageWork) { tell(strings.TrimSpace(work.Doing + " " + work.Line)) }}
}
