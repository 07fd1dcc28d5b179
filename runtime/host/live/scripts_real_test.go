package live_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/manifest"
)

// fails and hangs are the end of a maintainer script that does so until somebody repairs it. What hangs also
// heeds no SIGTERM, and neither does what it has started.
const (
	fails = "[ -e /run/repaired ] || { echo the disk is on fire; exit 3; }\n"
	hangs = "[ -e /run/repaired ] || { echo waiting for a better world; trap '' TERM; sh -c \"trap '' TERM; sleep 600\"; sleep 600; }\n"
)

// troubled are two packages, one of which needs the other, and has a script that goes wrong.
func troubled(script, argument, trouble string) []fakepkg.Package {
	needed := fakepkg.Package{Name: "site-base", Version: "1.0", Maintainer: "The Site <site@example.org>", Summary: "base of the site", Files: []fakepkg.File{fakepkg.Text("/usr/share/site-base/data", "data")}}
	bad := fakepkg.Package{
		Name: "site-mail", Version: "2.0-1", Maintainer: "The Site <site@example.org>", Summary: "mail of the site", Depends: "site-base",
		Files: []fakepkg.File{
			fakepkg.Text("/etc/site/mail.conf", "shipped"),
			fakepkg.Text("/usr/share/site-mail/data", "data"),
		},
		Conffiles: []string{"/etc/site/mail.conf"},
		Scripts:   map[string]string{},
	}
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm"} {
		bad.Scripts[name] = "#!/bin/sh\necho \"$0 $*\" >>/run/ran\n"
	}
	bad.Scripts[script] += fmt.Sprintf("if [ \"$1\" = %s ]; then\n%sfi\n", argument, trouble)
	return []fakepkg.Package{needed, bad}
}

// writePackages puts package files into a root, and names them as the root sees them.
func writePackages(t *testing.T, r *e2e.Root, packages []fakepkg.Package) []string {
	t.Helper()
	must(t, os.MkdirAll(r.Path("/srv/debs"), 0o755))
	var files []string
	for _, p := range packages {
		_, err := p.Write(r.Path("/srv/debs"))
		must(t, err)
		files = append(files, "/srv/debs/"+p.FileName())
	}
	return files
}

// TestForeignArchitecture installs a package file of another architecture than the system's, as a way back does that brings one
// back, and takes it away again.
func TestForeignArchitecture(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	arch := "i386"
	if runtime.GOARCH != "amd64" {
		arch = "amd64"
	}
	r.Must("dpkg", "--add-architecture", arch)
	files := writePackages(t, r, []fakepkg.Package{{Name: "site-compat", Version: "1.0", Arch: arch, Maintainer: "Nobody <nobody@example.org>", Summary: "a library"}})
	before := r.State()
	env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
	_, err := commit.Apply(env)
	must(t, err)
	if now := status(t, h, "site-compat:"+arch); now != "installed" {
		t.Errorf("it is %q", now)
	}
	undone(t, r, env, commit, before, "")
}

const shortPatience = 8 * time.Second

// TestHookOfApt has a command of the site's fail that apt calls when it is done: installed is what was to be, which is told,
// and a rollback takes it away again. With a package that fails as well, that is the failure.
func TestHookOfApt(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		r, h := debian(t)
		r.WriteFile("/etc/apt/apt.conf.d/99site", `DPkg::Post-Invoke {"true"; "echo no room for a backup; exit 3";}; APT::Update::Post-Invoke {"exit 4";};`, 0o644)
		trouble := ""
		if fail {
			trouble = fails
		}
		files := writePackages(t, r, troubled("postinst", "configure", ":\n"+trouble))
		before := r.State()
		env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
		result, err := commit.Apply(env)
		if fail {
			if err == nil || !strings.Contains(err.Error(), `the last that was said before is "the disk is on fire"`) {
				t.Errorf("the failure of a script is told as %v", err)
			}
			continue
		}
		must(t, err)
		if told := strings.Join(result.Lines, "\n"); !strings.Contains(told, "DPkg::Post-Invoke 'echo no room for a backup; exit 3'") {
			t.Errorf("of the hook is told: %s", told)
		}
		undone(t, r, env, commit, before, "")

		watch := &host.PackageWatch{}
		must(t, h.RefreshPackages(t.Context(), nil, watch))
		if told := strings.Join(watch.Warned, "\n"); !strings.Contains(told, "APT::Update::Post-Invoke 'exit 4'") {
			t.Errorf("of the hook behind an update is told: %s", told)
		}
		r.WriteFile("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/nowhere ./\n", 0o644)
		if err := h.RefreshPackages(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("lists that cannot be read, with a hook that fails: %v", err)
		}
	}
}

// TestTroubledInstallation installs packages one of whose maintainer scripts fails or hangs. Unmended, the
// rollback finishes all the same, with nothing left; repaired, the run goes on. It makes a sample, with make crash all.
func TestTroubledInstallation(t *testing.T) {
	t.Parallel()
	type trouble struct {
		script, argument, trouble string
		cause                     string // of the run's failure; empty if only the way back is troubled
		kept                      string // the script without which the package went
	}
	troubles := []trouble{
		{"preinst", "install", fails, "package site-mail: its pre-installation script (preinst) ", ""},
		{"preinst", "install", hangs, "the maintainer script site-mail.preinst had not ended after 8s and was ended", ""},
		{"postinst", "configure", fails, "package site-mail: its post-installation script (postinst) ", ""},
		{"postinst", "configure", hangs, "the maintainer script site-mail.postinst had not ended after 8s and was ended", ""},
		{"prerm", "remove", fails, "", "site-mail.prerm"},
		{"prerm", "remove", hangs, "", "site-mail.prerm"},
		{"postrm", "remove", fails, "", "site-mail.postrm"},
		{"postrm", "purge", fails, "", "site-mail.postrm"},
		{"postrm", "purge", hangs, "", "site-mail.postrm"},
	}
	for _, c := range chance.Pick(t, troubles, 6, func(c trouble) string { return c.script }) {
		t.Run(fmt.Sprintf("%s %s %s", c.script, c.argument, map[string]string{fails: "fails", hangs: "hangs"}[c.trouble]), func(t *testing.T) {
			t.Parallel()
			r, h := debian(t)
			files := writePackages(t, r, troubled(c.script, c.argument, c.trouble))
			before := r.State()
			env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
			commit.Patience = shortPatience
			var told []action.Progress
			env.Progress = func(p action.Progress) { told = append(told, p) }
			_, err := commit.Apply(env)
			switch {
			case c.cause == "":
				must(t, err)
			case err == nil || !strings.HasPrefix(err.Error(), "install /srv/debs/site-base_1.0_all.deb, /srv/debs/site-mail_2.0-1_all.deb: "+c.cause):
				t.Fatalf("the failure is told as %v", err)
			case c.trouble == hangs:
				ticks(t, told, "script site-mail."+c.script, "waiting for a better world")
			case !strings.Contains(err.Error(), `"the disk is on fire"`):
				t.Errorf("what the script said is not told: %v", err)
			}
			if c.cause != "" {
				repaired(t, r, h, commit)
				return
			}
			undone(t, r, env, commit, before, c.kept)
		})
		if c.cause == "" {
			continue
		}
		t.Run(fmt.Sprintf("%s %s %s, rolled back", c.script, c.argument, map[string]string{fails: "fails", hangs: "hangs"}[c.trouble]), func(t *testing.T) {
			t.Parallel()
			r, h := debian(t)
			files := writePackages(t, r, troubled(c.script, c.argument, c.trouble))
			before := r.State()
			env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
			commit.Patience = shortPatience
			if _, err := commit.Apply(env); err == nil {
				t.Fatal("the script did not fail")
			}
			os.Remove(r.Path("/run/ran"))
			undone(t, r, env, commit, before, c.kept)
			if ran, _ := os.ReadFile(r.Path("/run/ran")); strings.Contains(string(ran), c.script+" "+c.argument) {
				t.Errorf("the rollback ran the script again:\n%s", ran)
			}
		})
	}
}

// ticks wants a wait to be told each second, with what was said last: at the first look the script may not have spoken.
func ticks(t *testing.T, told []action.Progress, what, text string) {
	t.Helper()
	last, seen := int64(-1), 0
	for _, p := range told {
		if p.What != what {
			continue
		}
		seen++
		if p.Done < last || p.Text != text && seen > 1 || p.Unit != "s" {
			t.Errorf("progress %+v after %d s", p, last)
		}
		last = p.Done
	}
	if seen < 2 || last < 1 {
		t.Errorf("%s is told %d times, for %d s", what, seen, last)
	}
}

// repaired has the cause repaired, and goes on.
func repaired(t *testing.T, r *e2e.Root, h *live.Host, commit *action.Commit) {
	t.Helper()
	r.WriteFile("/run/repaired", "", 0o644)
	env := &action.Env{
		Ctx: t.Context(), Host: h, Store: &action.Store{Host: h, Dir: "/var/lib/zcp2kopano/runs/1/backup"},
		Tag: "1-1-0", Progress: func(action.Progress) {}, Mark: func(any) error { return nil },
	}
	_, err := commit.Apply(env)
	must(t, err)
	for _, name := range []string{"site-base", "site-mail"} {
		if got := status(t, h, name); got != "installed" {
			t.Errorf("repaired, %s is %s", name, got)
		}
	}
	if broken, err := h.PackageAudit(); err != nil || len(broken) > 0 {
		t.Errorf("audit: %q, %v", broken, err)
	}
}

// undone rolls back, and wants all to be as it was. A script that kept its package is kept, and named.
func undone(t *testing.T, r *e2e.Root, env *action.Env, commit *action.Commit, before *manifest.Manifest, kept string) {
	t.Helper()
	must(t, commit.Undo(env))
	scripts, err := env.Store.WithoutScripts()
	must(t, err)
	if got := strings.Join(scripts, " "); got != kept {
		t.Errorf("scripts set aside: %q, want %q", got, kept)
	}
	if kept != "" && !strings.Contains(r.ReadFile(env.Store.Scripts()+"/"+kept), "/run/repaired") {
		t.Errorf("%s is not the script that was set aside", kept)
	}
	must(t, os.RemoveAll(r.Path("/var/lib/zcp2kopano")))
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) > 0 {
		t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
	if got := r.Must("dpkg", "--audit"); got != "" {
		t.Errorf("dpkg --audit: %s", got)
	}
	r.Must("apt-get", "check")
}

// TestTroubledRemoval removes a package whose scripts fail or hang when it goes. It stays, so the rollback
// brings it back whole, without running into the script again.
func TestTroubledRemoval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, argument, trouble, cause string }{
		{"prerm", "remove", fails, "package site-mail: its pre-removal script (prerm) "},
		{"prerm", "remove", hangs, "the maintainer script site-mail.prerm had not ended"},
		{"postrm", "remove", fails, "package site-mail: its post-removal script (postrm) "},
		{"postrm", "remove", hangs, "the maintainer script site-mail.postrm had not ended"},
		{"postrm", "purge", fails, "package site-mail: its post-removal script (postrm) "},
	} {
		t.Run(fmt.Sprintf("%s %s %s", c.script, c.argument, map[string]string{fails: "fails", hangs: "hangs"}[c.trouble]), func(t *testing.T) {
			t.Parallel()
			r, h := debian(t)
			files := writePackages(t, r, troubled(c.script, c.argument, c.trouble))
			must(t, h.CommitPackages(t.Context(), host.Transaction{Install: files}, nil))
			before := r.State()
			env, commit := prepareCommit(t, r, h, host.Transaction{Remove: []string{"site-mail", "site-base"}, Purge: true})
			commit.Patience = shortPatience
			if _, err := commit.Apply(env); err == nil || !strings.Contains(err.Error(), ": "+c.cause) {
				t.Fatalf("the failure is told as %v", err)
			}
			undone(t, r, env, commit, before, "")
		})
	}
}

// TestDiskFullWhileUnpacking fills the disk while a package is unpacked.
func TestDiskFullWhileUnpacking(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	packages := troubled("postinst", "never", "")
	noise := make([]byte, 0, 1<<20)
	for sum := sha256.Sum256(nil); len(noise) < 1<<20; sum = sha256.Sum256(sum[:]) {
		noise = append(noise, sum[:]...)
	}
	packages[1].Files = append(packages[1].Files, fakepkg.File{Path: "/opt/site/big", Mode: 0o644, Content: noise})
	files := writePackages(t, r, packages)
	r.Must("mount", "-t", "tmpfs", "-o", "size=200k", "small", "/opt")
	before := r.State()
	env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
	_, err := commit.Apply(env)
	if err == nil || !strings.Contains(err.Error(), "No space left on device") {
		t.Fatalf("the failure is told as %v", err)
	}
	undone(t, r, env, commit, before, "")
}

// TestRollbackPastTheHangingScriptOfADeadRun kills the program, not what it had started: the package manager
// hangs in a script on and on, and has the lock. The script goes with its package, so it is ended.
func TestRollbackPastTheHangingScriptOfADeadRun(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	files := writePackages(t, r, troubled("postinst", "configure", hangs))
	before := r.State()
	env, commit := prepareCommit(t, r, h, host.Transaction{Install: files})
	orphan := r.Command("apt-get", append([]string{"-y", "install"}, files...)...)
	must(t, r.Start(orphan))
	ended := make(chan error)
	go func() { ended <- orphan.Wait() }()
	for { // until the script runs
		if data, err := os.ReadFile(r.Path("/run/ran")); err == nil && strings.Contains(string(data), "configure") {
			break
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	commit.Patience = shortPatience
	undone(t, r, env, commit, before, "")
	<-ended
}

// TestRPMTroubledScriptlets installs packages whose scriptlets fail or hang, and takes them away again.
func TestRPMTroubledScriptlets(t *testing.T) {
	builder, err := fakepkg.NewRPMBuilder()
	must(t, err)
	t.Cleanup(func() { builder.Close() })
	var building sync.Mutex
	onEachFront(t, func(t *testing.T, k rpmKind, r *e2e.Root, h *live.Host) {
		must(t, os.MkdirAll(r.Path("/srv/site"), 0o755))
		for _, c := range []struct{ script, trouble, cause, kept string }{
			{"pre", fails, "scriptlet failed, exit status 3", ""},
			{"post", fails, "", ""},
			{"preun", fails, "", ".scripts"},
			{"preun", hangs, "", ".scripts"},
			{"post", hangs, "", ""},
		} {
			name := "site-" + c.script + map[string]string{fails: "-fails", hangs: "-hangs"}[c.trouble]
			building.Lock()
			built := t.TempDir()
			err := builder.Build(built, fakepkg.RPM{
				Name: name, Summary: "of the site", Files: []fakepkg.RPMFile{{File: fakepkg.Text("/usr/share/"+name, "data")}},
				Scripts: map[string]string{c.script: c.trouble},
			})
			building.Unlock()
			must(t, err)
			file := name + "-1-1.noarch.rpm"
			data, err := os.ReadFile(built + "/" + file)
			must(t, err)
			must(t, os.WriteFile(r.Path("/srv/site/"+file), data, 0o644))
			env, commit := prepareCommit(t, r, h, host.Transaction{Install: []string{"/srv/site/" + file}})
			commit.Patience = shortPatience
			_, err = commit.Apply(env)
			if c.cause != "" && (err == nil || !strings.Contains(err.Error(), c.cause)) || c.script == "preun" && err != nil {
				t.Fatalf("%s: the run: %v", name, err)
			}
			must(t, commit.Undo(env))
			scripts, err := env.Store.WithoutScripts()
			must(t, err)
			if want := map[bool]string{true: name + c.kept}[c.kept != ""]; strings.Join(scripts, " ") != want {
				t.Errorf("%s: scripts set aside: %q, want %q", name, scripts, want)
			}
			must(t, os.RemoveAll(r.Path("/var/lib/zcp2kopano")))
			if got := installed(t, h, name); got.Name != "" {
				t.Errorf("%s is still there: %+v", name, got)
			}
			if _, err := os.Lstat(r.Path("/usr/share/" + name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s has left its files: %v", name, err)
			}
		}
	})
}
