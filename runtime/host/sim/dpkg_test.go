package sim

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
)

// needDpkg skips where the real dpkg, or another program, is missing, and fails instead on a test
// machine.
func needDpkg(t *testing.T, others ...string) {
	t.Helper()
	for _, tool := range append([]string{"dpkg", "dpkg-deb"}, others...) {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is needed to compare with: %v", tool, err)
			}
			t.Skipf("%s is needed to compare with: %v", tool, err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("dpkg makes files of root only for root")
	}
}

// madeDeb describes a package to build: files by path, "->TARGET" for a symlink, "" with a final slash
// for a directory.
type madeDeb struct {
	name, version string
	control       string // more control fields
	files         map[string]string
	conffiles     []string
	scripts       []string
	postinst      string // what that script does; nothing if empty
}

func (d madeDeb) build(t *testing.T, dir string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range d.files {
		file := filepath.Join(root, name)
		mustDo(t, os.MkdirAll(filepath.Dir(file), 0o755))
		switch target, link := strings.CutPrefix(content, "->"); {
		case strings.HasSuffix(name, "/"):
			mustDo(t, os.MkdirAll(file, 0o755))
		case link:
			mustDo(t, os.Symlink(target, file))
		default:
			mustDo(t, os.WriteFile(file, []byte(content), 0o644))
		}
	}
	mustDo(t, os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755))
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: test\n%s", d.name, d.version, d.control)
	mustDo(t, os.WriteFile(filepath.Join(root, "DEBIAN/control"), []byte(control), 0o644))
	if len(d.conffiles) > 0 {
		mustDo(t, os.WriteFile(filepath.Join(root, "DEBIAN/conffiles"), []byte(strings.Join(d.conffiles, "\n")+"\n"), 0o644))
	}
	for _, s := range d.scripts {
		text := "exit 0\n"
		if s == "postinst" && d.postinst != "" {
			text = d.postinst
		}
		mustDo(t, os.WriteFile(filepath.Join(root, "DEBIAN", s), []byte("#!/bin/sh\n"+text), 0o755))
	}
	file := filepath.Join(dir, d.name+"_"+d.version+"_all.deb")
	out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Zxz", "-b", root, file).CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return file
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// twin is a real root directory and a simulated host that go the same way.
type twin struct {
	t    *testing.T
	root string
	debs string
	sim  *Host

	options []string // of dpkg, for what the simulation reads in its settings
}

func newTwin(t *testing.T) *twin {
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc"} {
		mustDo(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	mustDo(t, os.Chmod(root, 0o755))
	mustDo(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644))
	mustDo(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/available"), nil, 0o644))
	f, err := ReadFixture([]byte("-- host --\nbase: none\n-- tree --\nd0755 root:root - - /var/lib/dpkg\nd0755 root:root - - /etc\n"))
	mustDo(t, err)
	h, err := f.Host(Options{})
	mustDo(t, err)
	return &twin{t: t, root: root, debs: t.TempDir(), sim: h}
}

func (w *twin) dpkg(args ...string) {
	w.t.Helper()
	all := append([]string{"--root=" + w.root, "--force-confdef", "--force-confold", "--force-unsafe-io", "--force-depends", "--force-script-chrootless"}, append(w.options, args...)...)
	cmd := exec.Command("dpkg", all...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DPKG_MAINTSCRIPT_DEBUG=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
}

func (w *twin) install(d madeDeb) {
	w.t.Helper()
	file := d.build(w.t, w.debs)
	w.dpkg("-i", file)
	r, err := os.Open(file)
	mustDo(w.t, err)
	defer r.Close()
	st, err := r.Stat()
	mustDo(w.t, err)
	p, err := ReadPackageFile(r, st.Size(), "test")
	mustDo(w.t, err)
	mustDo(w.t, w.sim.files.PutSized("/var/lib/dpkg/x.deb", 1, 0o644, 0, 0, w.sim.Now()))
	w.sim.repositories.packageFiles["/var/lib/dpkg/x.deb"] = p
	mustDo(w.t, w.sim.CommitPackages(context.Background(), host.Transaction{Install: []string{"/var/lib/dpkg/x.deb"}}, nil))
}

func (w *twin) remove(name string, purge bool) {
	w.t.Helper()
	how := "--remove"
	if purge {
		how = "--purge"
	}
	w.dpkg(how, name)
	mustDo(w.t, w.sim.CommitPackages(context.Background(), host.Transaction{Remove: []string{name}, Purge: purge}, nil))
}

func (w *twin) write(name, content string) {
	w.t.Helper()
	mustDo(w.t, os.MkdirAll(filepath.Dir(filepath.Join(w.root, name)), 0o755))
	mustDo(w.t, os.WriteFile(filepath.Join(w.root, name), []byte(content), 0o640))
	mustDo(w.t, os.Chmod(filepath.Join(w.root, name), 0o640))
	mustDo(w.t, w.sim.files.PutFile(name, []byte(content), 0o640, 0, 0, w.sim.Now()))
}

func (w *twin) delete(name string) {
	w.t.Helper()
	mustDo(w.t, os.RemoveAll(filepath.Join(w.root, name)))
	mustDo(w.t, w.sim.files.removeAll(name))
}

func (w *twin) symlink(target, name string) {
	w.t.Helper()
	mustDo(w.t, os.Symlink(target, filepath.Join(w.root, name)))
	mustDo(w.t, w.sim.Symlink(target, name))
}

func (w *twin) fifo(name string) {
	w.t.Helper()
	mustDo(w.t, os.MkdirAll(filepath.Dir(filepath.Join(w.root, name)), 0o755))
	mustDo(w.t, syscall.Mkfifo(filepath.Join(w.root, name), 0o600))
	mustDo(w.t, w.sim.files.mkdirAll(path.Dir(name)))
	mustDo(w.t, w.sim.Mknod(name, fs.ModeNamedPipe|0o600, 0))
}

// rename moves a file or directory on both sides.
func (w *twin) rename(from, to string) {
	w.t.Helper()
	mustDo(w.t, os.Rename(filepath.Join(w.root, from), filepath.Join(w.root, to)))
	mustDo(w.t, w.sim.Rename(from, to))
}

// compare compares the two trees, and what the package database says.
func (w *twin) compare(step string) {
	w.t.Helper()
	real, simulated := w.realTree(), w.simTree()
	for _, name := range slices.Sorted(maps.Keys(real)) {
		if simulated[name] != real[name] {
			w.t.Errorf("after %s: %s: dpkg leaves %q, the simulation %q", step, name, real[name], simulated[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(simulated)) {
		if _, ok := real[name]; !ok {
			w.t.Errorf("after %s: %s: dpkg leaves nothing, the simulation %q", step, name, simulated[name])
		}
	}
	if a, b := w.realStatus(), w.simStatus(); a != b {
		w.t.Errorf("after %s: dpkg's database says\n%s\nthe simulation's\n%s", step, a, b)
	}
}

func (w *twin) realTree() map[string]string {
	tree := map[string]string{}
	err := filepath.WalkDir(w.root, func(file string, d fs.DirEntry, err error) error {
		mustDo(w.t, err)
		name := strings.TrimPrefix(file, w.root)
		if name == "" {
			return nil
		}
		if name == "/var/lib/dpkg" || name == "/var/log" {
			return fs.SkipDir
		}
		info, err := d.Info()
		mustDo(w.t, err)
		switch {
		case info.IsDir():
			tree[name] = info.Mode().String()
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			mustDo(w.t, err)
			tree[name] = "-> " + target
		case !info.Mode().IsRegular():
			tree[name] = info.Mode().String()
		default:
			data, err := os.ReadFile(file)
			mustDo(w.t, err)
			tree[name] = info.Mode().String() + " " + string(data)
		}
		return nil
	})
	mustDo(w.t, err)
	return tree
}

func (w *twin) simTree() map[string]string {
	tree := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := w.sim.ReadDir(dir)
		mustDo(w.t, err)
		for _, e := range entries {
			name := path.Join(dir, e.Name)
			if name == "/var/lib/dpkg" || name == "/var/log" {
				continue
			}
			st, err := w.sim.Lstat(name)
			mustDo(w.t, err)
			switch {
			case st.IsDir():
				tree[name] = st.Mode.String()
				walk(name)
			case st.IsSymlink():
				target, err := w.sim.Readlink(name)
				mustDo(w.t, err)
				tree[name] = "-> " + target
			case !st.IsRegular():
				tree[name] = st.Mode.String()
			default:
				data, err := w.sim.files.readFile(name)
				mustDo(w.t, err)
				tree[name] = st.Mode.String() + " " + string(data)
			}
		}
	}
	walk("/")
	return tree
}

func (w *twin) realStatus() string {
	out, err := exec.Command("dpkg-query", "--admindir="+filepath.Join(w.root, "var/lib/dpkg"), "-W",
		"-f", "${Package} ${Version} ${db:Status-Status} ${Conffiles}\n").CombinedOutput()
	if err != nil && !strings.Contains(string(out), "no packages found") {
		w.t.Fatalf("dpkg-query: %v\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.Contains(line, "no packages found") && !strings.HasSuffix(line, "not-installed") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func (w *twin) simStatus() string {
	list, err := w.sim.Packages()
	mustDo(w.t, err)
	var lines []string
	for _, p := range list {
		line := p.Name + " " + p.Version + " " + p.Status
		for _, c := range p.Conffiles {
			line += " " + c.Path + " " + c.MD5
			if c.Obsolete {
				line += " obsolete"
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func server(version, cfg string) madeDeb {
	return madeDeb{name: "server", version: version, conffiles: []string{"/etc/z/server.cfg"}, files: map[string]string{
		"/etc/z/server.cfg": cfg, "/usr/sbin/server": "elf " + version, "/usr/lib/z/plugin.so": "so", "/var/lib/z/": "",
		"/usr/lib/libz.so": "->z/plugin.so",
	}}
}

func TestDpkgAgainstTheRealOne(t *testing.T) {
	needDpkg(t)
	const cfg = "/etc/z/server.cfg"
	cases := map[string]func(w *twin){
		"paths that dpkg is told to leave out": func(w *twin) {
			w.options = []string{"--path-exclude=/usr/share/doc/*", "--path-include=/usr/share/doc/*/copyright"}
			w.write("/etc/dpkg/dpkg.cfg.d/docs", "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n")
			docs := map[string]string{"/usr/bin/z": "z"}
			for _, name := range []string{"copyright", "changelog", "examples/one", "empty/"} {
				docs["/usr/share/doc/z/"+name] = strings.TrimSuffix(name, "empty/")
			}
			w.install(madeDeb{name: "z", version: "1", files: docs})
			w.compare("install")
			w.remove("z", false)
		},
		"a file where a package that was removed had a conffile": func(w *twin) {
			w.install(server("1", "a"))
			w.remove("server", false)
			w.install(madeDeb{name: "other", version: "1", files: map[string]string{cfg: "other's"}})
		},
		"a new version without a directory that another package has": func(w *twin) {
			w.install(server("1", "a"))
			w.install(madeDeb{name: "other", version: "1", files: map[string]string{"/var/lib/z/": ""}})
			next := server("2", "a")
			delete(next.files, "/var/lib/z/")
			w.install(next)
		},
		"remove keeps conffiles":  func(w *twin) { w.install(server("1", "a")); w.remove("server", false) },
		"purge takes edited ones": func(w *twin) { w.install(server("1", "a")); w.write(cfg, "edited"); w.remove("server", true) },
		"purge after remove": func(w *twin) {
			w.install(server("1", "a"))
			w.remove("server", false)
			w.compare("remove")
			w.remove("server", true)
		},
		"purge takes leftovers beside a conffile": func(w *twin) {
			w.install(server("1", "a"))
			for _, ext := range []string{"~", ".bak", "%", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-tmp", ".orig", ".save", ".~1~", "~1~", "~12~", "~x~", ".bak2"} {
				w.write(cfg+ext, ext)
			}
			w.write("/etc/z/#server.cfg#", "emacs")
			w.write("/etc/z/own.cfg", "site")
			w.remove("server", true)
		},
		"overridden owners and modes": func(w *twin) {
			w.install(server("1", "a"))
			w.write("/var/lib/dpkg/statoverride", "root root 4750 /usr/sbin/server\nroot root 0700 /var/lib/new\nroot root 0600 /etc/z/server.cfg\nroot root 2700 /usr/lib/z\n")
			d := server("2", "b")
			d.files["/var/lib/new/"] = ""
			w.install(d)
		},
		"unowned files keep directories": func(w *twin) {
			w.install(server("1", "a"))
			w.write("/usr/lib/z/site.so", "site")
			w.write("/var/lib/z/attachments/1", "data")
			w.remove("server", false)
			w.compare("remove")
			w.remove("server", true)
		},
		"directories of another package stay": func(w *twin) {
			w.install(server("1", "a"))
			w.install(madeDeb{name: "other", version: "1", files: map[string]string{"/etc/z/": "", "/usr/lib/z/": ""}})
			w.remove("server", true)
			w.compare("purge server")
			w.remove("other", true)
		},
		"a directory that the admin made a symlink": func(w *twin) {
			w.install(server("1", "a"))
			w.write("/srv/z/attachments/1", "data")
			w.delete("/var/lib/z")
			w.symlink("/srv/z", "/var/lib/z")
			w.remove("server", true)
		},
		"a symlinked directory with conffiles": func(w *twin) {
			w.install(server("1", "a"))
			w.rename("/etc/z", "/etc/real")
			w.symlink("real", "/etc/z")
			w.write("/etc/real/own.cfg", "own")
			w.remove("server", false)
			w.compare("remove")
			w.remove("server", true)
		},
		"new version, unedited":      func(w *twin) { w.install(server("1", "a")); w.install(server("2", "b")) },
		"new version, edited":        func(w *twin) { w.install(server("1", "a")); w.write(cfg, "edited"); w.install(server("2", "b")) },
		"same conffile, edited":      func(w *twin) { w.install(server("1", "a")); w.write(cfg, "edited"); w.install(server("2", "a")) },
		"edited to the new one":      func(w *twin) { w.install(server("1", "a")); w.write(cfg, "b"); w.install(server("2", "b")) },
		"new version, deleted":       func(w *twin) { w.install(server("1", "a")); w.delete(cfg); w.install(server("2", "b")) },
		"same version, deleted":      func(w *twin) { w.install(server("1", "a")); w.delete(cfg); w.install(server("2", "a")) },
		"a file was there, another":  func(w *twin) { w.write(cfg, "mine"); w.install(server("1", "a")) },
		"a file was there, the same": func(w *twin) { w.write(cfg, "a"); w.install(server("1", "a")) },
		"over a removed one": func(w *twin) {
			w.install(server("1", "a"))
			w.write(cfg, "edited")
			w.remove("server", false)
			w.install(server("2", "b"))
		},
		"over a removed one, unedited": func(w *twin) {
			w.install(server("1", "a"))
			w.remove("server", false)
			w.install(server("2", "b"))
		},
		"over a removed one, deleted": func(w *twin) {
			w.install(server("1", "a"))
			w.remove("server", false)
			w.delete(cfg)
			w.install(server("2", "b"))
		},
		"reinstall": func(w *twin) {
			w.install(server("1", "a"))
			w.write(cfg, "edited")
			w.write("/usr/sbin/server", "patched")
			w.install(server("1", "a"))
		},
		"conffile through a symlink": func(w *twin) {
			w.install(server("1", "a"))
			w.delete(cfg)
			w.write("/etc/site.cfg", "mine")
			w.symlink("../site.cfg", cfg)
			w.install(server("2", "b"))
			w.compare("upgrade")
			w.remove("server", true)
		},
		"a new conffile behind a link": func(w *twin) {
			w.write("/etc/site.cfg", "mine")
			w.write("/etc/z/own.cfg", "own")
			w.symlink("../site.cfg", cfg)
			w.install(server("1", "a"))
			w.compare("install")
			w.install(server("2", "b"))
		},
		"conffile links to a device": func(w *twin) {
			w.install(server("1", "a"))
			w.delete(cfg)
			w.symlink("/dev/z", cfg)
			w.fifo("/dev/z")
			w.write("/dev/z.bak", "x")
			w.remove("server", true)
		},
		"conffile links to a directory": func(w *twin) {
			w.install(server("1", "a"))
			w.delete(cfg)
			w.write("/srv/z/keep", "x")
			w.write("/srv/z.bak", "x")
			w.symlink("../../srv/z", cfg)
			w.remove("server", true)
		},
		"conffile links upwards out of a linked directory": func(w *twin) {
			w.install(server("1", "a"))
			w.delete(cfg)
			w.rename("/etc/z", "/srv")
			w.symlink("../srv", "/etc/z")
			w.write("/site.cfg", "mine")
			w.write("/etc/site.cfg", "another")
			w.symlink("../site.cfg", cfg)
			w.remove("server", true)
		},
		"a linked directory below one with conffiles": func(w *twin) {
			d := server("1", "a")
			d.conffiles = append(d.conffiles, "/etc/z/scripts/create")
			d.files["/etc/z/scripts/create"] = "c"
			w.install(d)
			w.rename("/etc/z/scripts", "/etc/real")
			w.symlink("../real", "/etc/z/scripts")
			w.remove("server", true)
		},
		"a linked directory with one that stays": func(w *twin) {
			d := server("1", "a")
			d.conffiles = append(d.conffiles, "/etc/z/scripts/create.d/00store")
			d.files["/etc/z/scripts/create.d/00store"] = "c"
			w.install(d)
			w.write("/etc/z/scripts/create.d/50own", "mine")
			w.rename("/etc/z/scripts", "/etc/real")
			w.symlink("../real", "/etc/z/scripts")
			w.remove("server", true)
		},
		"a linked directory with conffiles, purged at once": func(w *twin) {
			w.install(server("1", "a"))
			w.rename("/etc/z", "/etc/real")
			w.symlink("real", "/etc/z")
			w.remove("server", true)
		},
		"files dropped by a new version": func(w *twin) {
			w.install(server("1", "a"))
			w.install(madeDeb{name: "server", version: "2", files: map[string]string{"/usr/sbin/server": "2"}})
			w.compare("upgrade")
			w.remove("server", false)
			w.compare("remove")
			w.remove("server", true)
		},
		"a directory where a symlink comes": func(w *twin) {
			w.write("/usr/share/app/site.txt", "x")
			w.install(madeDeb{name: "app", version: "1", files: map[string]string{"/usr/share/app": "->app-1", "/usr/share/app-1/f": "f"}})
			w.compare("install")
			w.remove("app", true)
		},
		"a symlink where a directory comes": func(w *twin) {
			w.write("/srv/app/site.txt", "x")
			w.write("/usr/share/x", "x")
			w.symlink("../../srv/app", "/usr/share/app")
			w.install(madeDeb{name: "app", version: "1", files: map[string]string{"/usr/share/app/f": "f"}})
			w.compare("install")
			w.remove("app", true)
		},
		"a file of the site is overwritten": func(w *twin) { w.write("/usr/sbin/server", "site"); w.install(server("1", "a")) },
		"postrm keeps the record": func(w *twin) {
			d := madeDeb{name: "p", version: "1", files: map[string]string{"/usr/bin/p": "p"}, scripts: []string{"postrm"}}
			w.install(d)
			w.remove("p", false)
			w.compare("remove")
			w.remove("p", true)
		},
		"a package with a conffile in a shared directory": func(w *twin) {
			w.install(madeDeb{name: "common", version: "1", files: map[string]string{"/etc/z/": "", "/var/log/zz/": ""}})
			w.install(server("1", "a"))
			w.write("/etc/z/own.cfg", "own")
			w.remove("common", true)
			w.compare("purge common")
			w.remove("server", true)
		},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwin(t)
			cases[name](w)
			w.compare("all")
		})
	}
}

func TestInstallRefusesForeignFiles(t *testing.T) {
	f, err := ReadFixture([]byte("-- host --\nbase: debian\n-- packages --\nPackage: a\nVersion: 1\nFiles:\n /usr/bin/x\n-- available --\nPackage: b\nVersion: 1\nFiles:\n /usr/bin/x\n\nPackage: c\nVersion: 1\nReplaces: a\nFiles:\n /usr/bin/x\n"))
	mustDo(t, err)
	h, err := f.Host(Options{})
	mustDo(t, err)
	err = h.CommitPackages(context.Background(), host.Transaction{Install: []string{"b"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "trying to overwrite '/usr/bin/x', which is also in package a 1") {
		t.Errorf("got %v", err)
	}
	mustDo(t, h.CommitPackages(context.Background(), host.Transaction{Install: []string{"c"}}, nil))
	list, _ := h.Packages()
	if !slices.ContainsFunc(list, func(p host.Package) bool { return p.Name == "c" && p.Installed() }) {
		t.Errorf("c is not installed: %v", list)
	}
}
