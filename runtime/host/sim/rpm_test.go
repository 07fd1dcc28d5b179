package sim

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"zcp2kopano/runtime/host"
)

// needRPM skips a test where the real rpm is missing, and fails it in CI.
func needRPM(t testing.TB) {
	t.Helper()
	var lacks []string
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacks = append(lacks, tool)
		}
	}
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root")
	}
	if len(lacks) == 0 {
		return
	}
	reason := "comparison with the real rpm left out: needs " + strings.Join(lacks, ", ") + " (make test as root installs the parts)"
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// rpmSpec describes a package to build. Files are the lines of %files, each with the content after
// " = ": "->TARGET" for a symlink; no content for a directory or ghost.
type rpmSpec struct {
	name, version string
	tags          string
	files         []string
	scripts       string
}

func (s rpmSpec) spec() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Name: %s\nVersion: %s\nRelease: 1\nSummary: test\nLicense: none\nVendor: Test\nBuildArch: noarch\nAutoReqProv: no\n%s\n%%description\ntest\n%%install\n", s.name, s.version, s.tags)
	var list []string
	for _, line := range s.files {
		entry, content, hasContent := strings.Cut(line, " = ")
		list = append(list, entry)
		name := "%{buildroot}" + entry[strings.LastIndexByte(entry, ' ')+1:]
		target, link := strings.CutPrefix(content, "->")
		fmt.Fprintf(&b, "mkdir -p $(dirname %s)\n", name)
		switch {
		case link:
			fmt.Fprintf(&b, "ln -s %s %s\n", target, name)
		case hasContent:
			fmt.Fprintf(&b, "echo -n '%s' > %s\n", content, name)
		case strings.Contains(entry, "%dir"):
			fmt.Fprintf(&b, "mkdir -p %s\n", name)
		}
	}
	fmt.Fprintf(&b, "%%files\n%%defattr(0644,root,root,0755)\n%s\n%s\n", strings.Join(list, "\n"), s.scripts)
	return b.String()
}

// builtRPMs are the rpms made until now, by spec: many tests share theirs.
var builtRPMs struct {
	sync.Mutex
	files map[string]string
}

// build makes the rpm in a directory of its own below top.
func (s rpmSpec) build(t testing.TB, defines ...string) string {
	t.Helper()
	text := s.spec()
	key := text + strings.Join(defines, "\n")
	builtRPMs.Lock()
	defer builtRPMs.Unlock()
	if file := builtRPMs.files[key]; file != "" {
		return file
	}
	if builtRPMs.files == nil {
		builtRPMs.files = map[string]string{}
	}
	top, err := os.MkdirTemp(rpmTop(t), "rpm")
	mustDo(t, err)
	spec := filepath.Join(top, s.name+".spec")
	mustDo(t, os.WriteFile(spec, []byte(text), 0o644))
	args := []string{"--quiet", "-bb"}
	for _, d := range append([]string{"_topdir " + top, "_rpmdir " + top, "_dbpath " + top + "/db", "_buildhost test", "_build_name_fmt out.rpm"}, defines...) {
		args = append(args, "--define", d)
	}
	cmd := exec.Command("rpmbuild", append(args, spec)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + top, "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s\n%s", err, out, text)
	}
	builtRPMs.files[key] = filepath.Join(top, "out.rpm")
	return builtRPMs.files[key]
}

var rpmTopOnce struct {
	sync.Once
	dir string
	err error
}

// rpmTop is where all tests of this run build their rpms; TestMain removes it.
func rpmTop(t testing.TB) string {
	t.Helper()
	rpmTopOnce.Do(func() { rpmTopOnce.dir, rpmTopOnce.err = os.MkdirTemp("", "rpms") })
	mustDo(t, rpmTopOnce.err)
	return rpmTopOnce.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if rpmTopOnce.dir != "" {
		os.RemoveAll(rpmTopOnce.dir)
	}
	os.Exit(code)
}

// readRPMFile reads an rpm as the simulation does.
func readRPMFile(t testing.TB, file string) *Package {
	t.Helper()
	r, err := os.Open(file)
	mustDo(t, err)
	defer r.Close()
	st, err := r.Stat()
	mustDo(t, err)
	p, err := ReadPackageFile(r, st.Size(), "test")
	mustDo(t, err)
	return p
}

const rpmAccounts = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2:daemon:/:/sbin/nologin\n"

// rpmTwin is a real root directory and a simulated host that go the same way.
type rpmTwin struct {
	t    *testing.T
	root string
	sim  *Host
}

func newRPMTwin(t *testing.T) *rpmTwin {
	root := t.TempDir()
	mustDo(t, os.Chmod(root, 0o755))
	for _, dir := range []string{"etc", "var/lib/rpm"} {
		mustDo(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	mustDo(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(rpmAccounts), 0o644))
	mustDo(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\ndaemon:x:2:\n"), 0o644))
	f, err := ReadFixture([]byte("-- host --\nbase: none\nmanager: yum 3.4.3\n-- tree --\nd0755 root:root - - /var/lib/rpm\nd0755 root:root - - /etc\n-- passwd --\n" + rpmAccounts + "-- group --\nroot:x:0:\ndaemon:x:2:\n"))
	mustDo(t, err)
	h, err := f.Host(Options{})
	mustDo(t, err)
	return &rpmTwin{t: t, root: root, sim: h}
}

func (w *rpmTwin) rpm(args ...string) (string, error) {
	cmd := exec.Command("rpm", append([]string{"--root", w.root, "--dbpath", "/var/lib/rpm"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + w.root, "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commit carries a transaction out on both sides: new versions of these packages, and the end of those.
func (w *rpmTwin) commit(specs []rpmSpec, remove ...string) {
	w.t.Helper()
	if err := w.try(specs, remove); err != nil {
		w.t.Fatal(err)
	}
}

// fails is commit where both sides refuse.
func (w *rpmTwin) fails(want string, specs ...rpmSpec) {
	w.t.Helper()
	var files []string
	for _, s := range specs {
		files = append(files, s.build(w.t))
	}
	if out, err := w.rpm(append([]string{"-U", "--nodeps"}, files...)...); err == nil || !strings.Contains(out, want) {
		w.t.Errorf("rpm: %v\n%s", err, out)
	}
	if err := w.simulate(files, nil); err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("simulation: %v", err)
	}
}

func (w *rpmTwin) try(specs []rpmSpec, remove []string) error {
	w.t.Helper()
	var files []string
	for _, s := range specs {
		files = append(files, s.build(w.t))
	}
	if len(files) > 0 {
		if out, err := w.rpm(append([]string{"-U", "--nodeps", "--oldpackage"}, files...)...); err != nil {
			return fmt.Errorf("rpm -U: %w\n%s", err, out)
		}
	}
	if len(remove) > 0 {
		if out, err := w.rpm(append([]string{"-e", "--nodeps"}, remove...)...); err != nil {
			return fmt.Errorf("rpm -e: %w\n%s", err, out)
		}
	}
	return w.simulate(files, remove)
}

func (w *rpmTwin) simulate(files, remove []string) error {
	w.t.Helper()
	tx := host.Transaction{Remove: remove, Downgrade: true}
	for i, file := range files {
		name := fmt.Sprintf("/var/lib/rpm/%d.rpm", i)
		mustDo(w.t, w.sim.files.PutSized(name, 1, 0o644, 0, 0, w.sim.Now()))
		w.sim.repositories.packageFiles[name] = readRPMFile(w.t, file)
		tx.Install = append(tx.Install, name)
	}
	if s, err := w.sim.Solve(tx); err == nil {
		tx.Remove = names(s.Remove) // rpm(8) asks nobody whether all that goes was listed
	}
	return w.sim.CommitPackages(w.t.Context(), tx, nil)
}

func (w *rpmTwin) install(specs ...rpmSpec) { w.t.Helper(); w.commit(specs) }
func (w *rpmTwin) erase(names ...string)    { w.t.Helper(); w.commit(nil, names...) }

func (w *rpmTwin) write(name, content string) {
	w.t.Helper()
	file := filepath.Join(w.root, name)
	mustDo(w.t, os.MkdirAll(filepath.Dir(file), 0o755))
	mustDo(w.t, os.WriteFile(file, []byte(content), 0o640))
	mustDo(w.t, os.Chmod(file, 0o640))
	mustDo(w.t, w.sim.files.PutFile(name, []byte(content), 0o640, 0, 0, w.sim.Now()))
}

func (w *rpmTwin) delete(name string) {
	w.t.Helper()
	mustDo(w.t, os.RemoveAll(filepath.Join(w.root, name)))
	mustDo(w.t, w.sim.files.removeAll(name))
}

func (w *rpmTwin) symlink(target, name string) {
	w.t.Helper()
	mustDo(w.t, os.Symlink(target, filepath.Join(w.root, name)))
	mustDo(w.t, w.sim.Symlink(target, name))
}

func (w *rpmTwin) rename(from, to string) {
	w.t.Helper()
	mustDo(w.t, os.Rename(filepath.Join(w.root, from), filepath.Join(w.root, to)))
	mustDo(w.t, w.sim.Rename(from, to))
}

func (w *rpmTwin) mkdir(name string, mode fs.FileMode) {
	w.t.Helper()
	mustDo(w.t, os.Mkdir(filepath.Join(w.root, name), mode))
	mustDo(w.t, os.Chmod(filepath.Join(w.root, name), mode))
	mustDo(w.t, w.sim.Mkdir(name, mode))
}

// chown gives a path to daemon on both sides.
func (w *rpmTwin) chown(name string) {
	w.t.Helper()
	mustDo(w.t, os.Lchown(filepath.Join(w.root, name), 2, 2))
	mustDo(w.t, w.sim.Lchown(name, 2, 2))
}

// compare compares the two sides.
func (w *rpmTwin) compare(step string) {
	w.t.Helper()
	for _, d := range w.differences() {
		w.t.Errorf("after %s: %s", step, d)
	}
}

// differences are those of the two trees, and of what the package databases say.
func (w *rpmTwin) differences() []string {
	w.t.Helper()
	var all []string
	real, simulated := w.realTree(), w.simTree()
	for _, name := range slices.Sorted(maps.Keys(real)) {
		if simulated[name] != real[name] {
			all = append(all, fmt.Sprintf("%s: rpm leaves %q, the simulation %q", name, real[name], simulated[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(simulated)) {
		if _, ok := real[name]; !ok {
			all = append(all, fmt.Sprintf("%s: rpm leaves nothing, the simulation %q", name, simulated[name]))
		}
	}
	if a, b := w.realDatabase(), w.simDatabase(); a != b {
		all = append(all, fmt.Sprintf("rpm's database says\n%s\nthe simulation's\n%s", a, b))
	}
	return all
}

// apart are paths that only one side has: rpm's own database, and what the test puts there.
func apart(name string) bool { return name == "/var/lib/rpm" }

func (w *rpmTwin) realTree() map[string]string {
	tree := map[string]string{}
	err := filepath.WalkDir(w.root, func(file string, d fs.DirEntry, err error) error {
		mustDo(w.t, err)
		name := strings.TrimPrefix(file, w.root)
		if name == "" {
			return nil
		}
		if apart(name) {
			return fs.SkipDir
		}
		info, err := d.Info()
		mustDo(w.t, err)
		content := ""
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(file)
		case info.Mode().IsRegular():
			var data []byte
			data, err = os.ReadFile(file)
			content = string(data)
		}
		mustDo(w.t, err)
		st := info.Sys().(*syscall.Stat_t)
		tree[name] = fmt.Sprintf("%v %d:%d %d %s", info.Mode(), st.Uid, st.Gid, linksOf(info.Mode(), uint64(st.Nlink)), content)
		return nil
	})
	mustDo(w.t, err)
	return tree
}

// linksOf leaves the number of links of directories out.
func linksOf(mode fs.FileMode, n uint64) uint64 {
	if mode.IsDir() {
		return 0
	}
	return n
}

func (w *rpmTwin) simTree() map[string]string {
	tree := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := w.sim.ReadDir(dir)
		mustDo(w.t, err)
		for _, e := range entries {
			name := path.Join(dir, e.Name)
			if apart(name) {
				continue
			}
			st, err := w.sim.Lstat(name)
			mustDo(w.t, err)
			content := ""
			switch {
			case st.IsDir():
				walk(name)
			case st.IsSymlink():
				content, err = w.sim.Readlink(name)
			case st.IsRegular():
				var data []byte
				data, err = w.sim.files.readFile(name)
				content = string(data)
			}
			mustDo(w.t, err)
			tree[name] = fmt.Sprintf("%v %d:%d %d %s", st.Mode, st.UID, st.GID, linksOf(st.Mode, st.Nlink), content)
		}
	}
	walk("/")
	return tree
}

// realDatabase lists packages with their files, and configuration files with their digests.
func (w *rpmTwin) realDatabase() string {
	out, err := w.rpm("-qa", "--qf", `[%{=NAME} %{=EVR} %{=ARCH} %{=VENDOR} %{FILENAMES} %{FILEFLAGS:fflags} %{FILEDIGESTS}\n]%{NAME} %{EVR} %{ARCH} %{VENDOR}\n`)
	if err != nil {
		w.t.Fatalf("rpm -qa: %v\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) > 5 {
			if !strings.HasPrefix(words[5], "c") { // no configuration file
				words = words[:5]
			} else {
				words = slices.Delete(words, 5, 6)
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (w *rpmTwin) simDatabase() string {
	list, err := w.sim.Packages()
	mustDo(w.t, err)
	var lines []string
	for _, p := range list {
		if !p.Installed() {
			w.t.Errorf("%s is %s", p.Name, p.Status)
		}
		head := fmt.Sprintf("%s %s %s %s", p.Name, p.Version, p.Arch, p.Origin)
		lines = append(lines, head)
		files, err := w.sim.PackageFiles(p.Name)
		mustDo(w.t, err)
		digests := map[string]string{}
		for _, c := range p.Conffiles {
			digests[c.Path] = c.MD5
		}
		for _, f := range files {
			lines = append(lines, strings.TrimSpace(head+" "+f+" "+digests[f]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const (
	rpmCfg    = "/etc/z/server.cfg"
	noReplace = "%config(noreplace) "
	replaced  = "%config "
)

// rpmServer is a package with a configuration file, directories, a symlink and a ghost.
func rpmServer(version, kind, cfg string) rpmSpec {
	return rpmSpec{name: "server", version: version, files: []string{
		"%dir /etc/z", kind + rpmCfg + " = " + cfg, "%attr(0755,root,root) /usr/sbin/server = elf " + version, "/usr/lib/z/plugin.so = so",
		"/usr/lib/libz.so = ->z/plugin.so", "%dir %attr(0750,daemon,daemon) /var/lib/z", "%ghost /var/log/z/server.log",
	}}
}

func plain(name, version string, files ...string) rpmSpec {
	return rpmSpec{name: name, version: version, files: files}
}

func TestRPMAgainstTheRealOne(t *testing.T) {
	needRPM(t)
	cases := map[string]func(w *rpmTwin){
		"erase, unedited": func(w *rpmTwin) { w.install(rpmServer("1", noReplace, "a")); w.erase("server") },
		"erase, edited": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.erase("server")
		},
		"erase, edited, replaceable": func(w *rpmTwin) {
			w.install(rpmServer("1", replaced, "a"))
			w.write(rpmCfg, "edited")
			w.write(rpmCfg+".rpmsave", "of an earlier time")
			w.erase("server")
		},
		"erase, only owner and mode changed": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "a")
			w.chown(rpmCfg)
			w.erase("server")
		},
		"erase, deleted": func(w *rpmTwin) { w.install(rpmServer("1", noReplace, "a")); w.delete(rpmCfg); w.erase("server") },
		"unowned files keep directories": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/etc/z/own.cfg", "site")
			w.write("/usr/lib/z/site.so", "site")
			w.write("/var/lib/z/attachments/1", "data")
			w.erase("server")
		},
		"ghosts go along": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/var/log/z/server.log", "log")
			w.write("/var/log/z/server.log.1", "log")
			w.erase("server")
		},
		"ghosts stay at an update": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/var/log/z/server.log", "log")
			w.install(rpmServer("2", noReplace, "a"))
		},
		"a ghost of configuration": func(w *rpmTwin) {
			w.write("/etc/g.cfg", "mine")
			w.install(plain("g", "1", "%ghost %config(noreplace) /etc/g.cfg", "%ghost %config /etc/h.cfg"))
			w.write("/etc/h.cfg", "later")
			w.compare("install")
			w.erase("g")
		},
		"directories that it does not list stay": func(w *rpmTwin) {
			w.install(plain("p", "1", "/opt/p/share/doc/p.txt = p"))
			w.compare("install")
			w.erase("p")
		},
		"a shared directory stays until the last one goes": func(w *rpmTwin) {
			w.install(plain("a", "1", "%dir /etc/z", "/etc/z/a = a"), plain("b", "1", "%dir /etc/z", "/etc/z/b = b"))
			w.erase("a")
			w.compare("erase a")
			w.erase("b")
		},
		"two go at once": func(w *rpmTwin) {
			w.install(plain("a", "1", "%dir /etc/z", "/etc/z/a = a"), plain("b", "1", "%dir /etc/z", "%dir /etc/z/sub", "/etc/z/sub/b = b"))
			w.erase("a", "b")
		},
		"a file of two packages stays until the last one goes": func(w *rpmTwin) {
			w.install(plain("a", "1", "/etc/both = same", noReplace+"/etc/c = c"), plain("b", "1", "/etc/both = same", noReplace+"/etc/c = c"))
			w.write("/etc/c", "edited")
			w.erase("a")
			w.compare("erase a")
			w.erase("b")
		},
		"an owned directory gets the package's mode and owner": func(w *rpmTwin) {
			w.mkdir("/etc/z", 0o700)
			w.chown("/etc/z")
			w.mkdir("/var/log", 0o700)
			w.install(rpmServer("1", noReplace, "a"))
		},
		"update, unedited": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.install(rpmServer("2", noReplace, "b"))
		},
		"update, edited, new one differs": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", noReplace, "b"))
			w.compare("update")
			w.erase("server")
		},
		"update, edited, new one is the same": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", noReplace, "a"))
		},
		"update, edited, replaceable": func(w *rpmTwin) {
			w.install(rpmServer("1", replaced, "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", replaced, "b"))
			w.compare("update")
			w.erase("server")
		},
		"update, edited, replaceable, the same": func(w *rpmTwin) {
			w.install(rpmServer("1", replaced, "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", replaced, "a"))
		},
		"update, edited to the new one": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "b")
			w.install(rpmServer("2", noReplace, "b"))
		},
		"update, deleted": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.delete(rpmCfg)
			w.install(rpmServer("2", noReplace, "b"))
		},
		"update, deleted, may be missing": func(w *rpmTwin) {
			w.install(rpmServer("1", "%config(noreplace missingok) ", "a"))
			w.delete(rpmCfg)
			w.install(rpmServer("2", "%config(noreplace missingok) ", "b"))
		},
		"install, may be missing": func(w *rpmTwin) { w.install(rpmServer("1", "%config(noreplace missingok) ", "a")) },
		"update, no longer configuration, edited": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", "", "b"))
		},
		"update, becomes configuration, edited": func(w *rpmTwin) {
			w.install(rpmServer("1", "", "a"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("2", noReplace, "b"))
		},
		"update drops files": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/var/lib/z/data", "data")
			w.install(plain("server", "2", "/usr/sbin/server = two"))
			w.compare("update")
			w.erase("server")
		},
		"update drops an edited configuration file": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.install(plain("server", "2", "/usr/sbin/server = two"))
		},
		"an edited program is overwritten": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/usr/sbin/server", "patched")
			w.install(rpmServer("2", noReplace, "a"))
		},
		"downgrade": func(w *rpmTwin) {
			w.install(rpmServer("2", noReplace, "b"))
			w.write(rpmCfg, "edited")
			w.install(rpmServer("1", noReplace, "a"))
		},
		"a file was there, another": func(w *rpmTwin) {
			w.write(rpmCfg, "mine")
			w.install(rpmServer("1", noReplace, "a"))
			w.compare("install")
			w.erase("server")
		},
		"a file was there, another, replaceable": func(w *rpmTwin) {
			w.write(rpmCfg, "mine")
			w.install(rpmServer("1", replaced, "a"))
			w.compare("install")
			w.erase("server")
		},
		"a file was there, the same": func(w *rpmTwin) { w.write(rpmCfg, "a"); w.install(rpmServer("1", noReplace, "a")) },
		"a program of the site is overwritten": func(w *rpmTwin) {
			w.write("/usr/sbin/server", "site")
			w.install(rpmServer("1", noReplace, "a"))
		},
		"over what an erased one left": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			w.erase("server")
			w.rename(rpmCfg+".rpmsave", rpmCfg)
			w.install(rpmServer("2", noReplace, "b"))
		},
		"configuration through a symlink": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.delete(rpmCfg)
			w.write("/etc/site.cfg", "mine")
			w.symlink("../site.cfg", rpmCfg)
			w.install(rpmServer("2", noReplace, "b"))
			w.compare("update")
			w.erase("server")
		},
		"a symlink of configuration": func(w *rpmTwin) {
			w.install(plain("l", "1", noReplace+"/etc/l = ->l.d/one", noReplace+"/etc/m = ->m.d/one"))
			w.delete("/etc/l")
			w.symlink("elsewhere", "/etc/l")
			w.install(plain("l", "2", noReplace+"/etc/l = ->l.d/two", noReplace+"/etc/m = ->m.d/two"))
			w.compare("update")
			w.erase("l")
		},
		"a symlink was there": func(w *rpmTwin) {
			w.symlink("elsewhere", "/etc/l")
			w.symlink("elsewhere", "/etc/m")
			w.symlink("elsewhere", "/etc/n")
			w.install(plain("l", "1", noReplace+"/etc/l = ->l.d/one", "/etc/m = ->m.d/one", replaced+"/etc/n = ->n.d/one"))
		},
		"a directory that root made a symlink": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/srv/z/attachments/1", "data")
			w.delete("/var/lib/z")
			w.symlink("../../srv/z", "/var/lib/z")
			w.install(rpmServer("2", noReplace, "b"))
			w.compare("update")
			w.erase("server")
		},
		"a directory that its owner made a symlink": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/srv/z/attachments/1", "data")
			w.chown("/srv/z")
			w.delete("/var/lib/z")
			w.symlink("../../srv/z", "/var/lib/z")
			w.chown("/var/lib/z")
			w.install(rpmServer("2", noReplace, "b"))
		},
		"a directory that somebody else made a symlink": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write("/srv/z/attachments/1", "data")
			w.delete("/var/lib/z")
			w.symlink("../../srv/z", "/var/lib/z")
			w.chown("/var/lib/z")
			w.install(rpmServer("2", noReplace, "b"))
		},
		"a symlinked directory with configuration": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.rename("/etc/z", "/etc/real")
			w.symlink("real", "/etc/z")
			w.write("/etc/real/own.cfg", "own")
			w.write("/etc/real/server.cfg", "edited")
			w.install(rpmServer("2", noReplace, "b"))
			w.compare("update")
			w.erase("server")
		},
		"a file became a directory": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.delete("/usr/lib/z/plugin.so")
			w.mkdir("/usr/lib/z/plugin.so", 0o755)
			w.erase("server")
		},
		"a directory became a file": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.delete("/var/lib/z")
			w.write("/var/lib/z", "file")
			w.compare("change")
			w.erase("server")
		},
		"a directory where a file is": func(w *rpmTwin) {
			w.write("/etc/z", "file")
			w.install(plain("p", "1", "%dir /etc/z", "/etc/z/p = p"))
		},
		"update, a symlink in place of what is no longer configuration": func(w *rpmTwin) {
			w.install(rpmServer("1", "", "a"))
			w.delete(rpmCfg)
			w.symlink("other.cfg", rpmCfg)
			w.install(rpmServer("2", replaced, "a"))
		},
		"update to the symlink that is there": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.delete(rpmCfg)
			w.symlink("other.cfg", rpmCfg)
			w.install(plain("server", "2", noReplace+rpmCfg+" = ->other.cfg"))
		},
		"accounts that are missing": func(w *rpmTwin) {
			w.install(plain("p", "1", "%attr(4755,nosuchuser,daemon) /usr/bin/a = a", "%attr(2755,daemon,nosuchgroup) /usr/bin/b = b", "%attr(6755,daemon,daemon) /usr/bin/c = c"))
		},
		"hard links": func(w *rpmTwin) {
			p := plain("p", "1", "/usr/bin/a = a", "/usr/bin/b = b", "/usr/bin/c = c")
			p.tags += "%define __spec_install_post ln -f %{buildroot}/usr/bin/a %{buildroot}/usr/bin/c"
			w.install(p)
		},
		"another package takes its place": func(w *rpmTwin) {
			w.install(rpmServer("1", noReplace, "a"))
			w.write(rpmCfg, "edited")
			other := plain("successor", "1", "%dir /etc/z", noReplace+rpmCfg+" = b", "/usr/sbin/successor = s")
			other.tags = "Obsoletes: server\nProvides: server = 2"
			w.install(other)
		},
		"two that differ in a file": func(w *rpmTwin) {
			w.install(plain("a", "1", "/etc/both = one"))
			w.fails("conflicts with file from package a-1", plain("b", "1", "/etc/both = two"))
			w.fails("conflicts with file from package a-1", plain("b", "1", "%attr(0600,root,root) /etc/both = one"))
			w.fails("conflicts with file from package a-1", plain("b", "1", "%attr(-,daemon,root) /etc/both = one"))
			w.fails("conflicts between attempted installs", plain("c", "1", "/etc/new = one"), plain("d", "1", "/etc/new = two"))
		},
		"two that differ in a configuration file": func(w *rpmTwin) {
			w.install(plain("a", "1", noReplace+"/etc/both = one"))
			w.fails("conflicts with file from package a-1", plain("b", "1", noReplace+"/etc/both = two"))
		},
		"two that differ in a directory": func(w *rpmTwin) {
			w.install(plain("a", "1", "%dir /etc/z"))
			w.fails("conflicts with file from package a-1", plain("b", "1", "%dir %attr(0700,root,root) /etc/z"))
		},
		"a file that an update hands over": func(w *rpmTwin) {
			w.install(plain("a", "1", noReplace+"/etc/cfg = one", "/usr/bin/tool = tool"))
			w.write("/etc/cfg", "edited")
			w.install(plain("a", "2", "/usr/bin/other = other"), plain("b", "1", noReplace+"/etc/cfg = two", "/usr/bin/tool = tool"))
		},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRPMTwin(t)
			cases[name](w)
			w.compare("all")
		})
	}
}

var rpmSequences = flag.Int("rpm-sequences", 12, "`number` of random sequences to play on the real rpm; each takes a second")

// TestRPMSequences plays random sequences of what happens to packages and their files on both sides.
func TestRPMSequences(t *testing.T) {
	needRPM(t)
	const length = 8
	versions := []rpmSpec{
		rpmServer("1", noReplace, "a"), rpmServer("2", noReplace, "b"), rpmServer("3", replaced, "b"), rpmServer("4", replaced, "c"), rpmServer("5", "", "c"),
		plain("server", "6", "/usr/sbin/server = six"), plain("server", "7", noReplace+rpmCfg+" = ->other.cfg", "%ghost /var/lib/z"),
	}
	other := plain("other", "1", "%dir /etc/z", "%dir %attr(0750,daemon,daemon) /var/lib/z", "/etc/z/other.cfg = other")
	sequence := func(r *rapid.T) {
		w := newRPMTwin(t)
		var story []string
		for range length {
			story = append(story, w.randomStep(r, versions, other))
			if d := w.differences(); len(d) > 0 {
				r.Fatalf("after %s:\n%s", strings.Join(story, ", "), strings.Join(d, "\n"))
			}
		}
	}
	checks := flag.Lookup("rapid.checks")
	defer checks.Value.Set(checks.Value.String())
	mustDo(t, checks.Value.Set(fmt.Sprint(*rpmSequences)))
	rapid.Check(t, sequence)
}

// randomStep does one thing on both sides, and says what.
func (w *rpmTwin) randomStep(r *rapid.T, versions []rpmSpec, other rpmSpec) string {
	w.t.Helper()
	installed := func(name string) bool { return w.sim.db.installed(name) != nil }
	switch step := rapid.SampledFrom([]string{"install", "install", "erase", "other", "edit", "edit", "delete", "link", "own"}).Draw(r, "step"); step {
	case "install":
		s := rapid.SampledFrom(versions).Draw(r, "version")
		if p := w.sim.db.installed("server"); p != nil && p.Version == s.version+"-1" {
			return "nothing"
		}
		w.install(s)
		return "install of " + s.version
	case "erase":
		if !installed("server") {
			return "nothing"
		}
		w.erase("server")
		return step
	case "other":
		if installed("other") {
			w.erase("other")
			return "erasure of other"
		}
		w.install(other)
		return "install of other"
	case "edit":
		content := rapid.SampledFrom([]string{"a", "b", "c", "mine"}).Draw(r, "content")
		w.delete(rpmCfg)
		w.write(rpmCfg, content)
		return "edit to " + content
	case "delete":
		name := rapid.SampledFrom([]string{rpmCfg, rpmCfg + ".rpmsave", "/var/lib/z/data"}).Draw(r, "name")
		w.delete(name)
		return "deletion of " + name
	case "link":
		if _, err := w.sim.Stat("/etc/z"); err != nil {
			return "nothing"
		}
		w.delete(rpmCfg)
		w.symlink("other.cfg", rpmCfg)
		return "a symlink"
	}
	name := rapid.SampledFrom([]string{"/etc/z/own.cfg", "/var/lib/z/data", "/var/log/z/server.log", "/usr/sbin/server"}).Draw(r, "name")
	w.write(name, "own")
	return "a file at " + name
}

// TestAssumeUnits has the services of a package go with it of which rpm does not tell the scriptlets; what is known of
// them is not touched.
func TestAssumeUnits(t *testing.T) {
	files := []host.PackedFile{
		{Path: "/usr/lib/systemd/system/zarafa-server.service"}, {Path: "/usr/lib/systemd/system/zarafa-job@.service"},
		{Path: "/usr/share/doc/zarafa/example.service"}, {Path: "/usr/lib/systemd/system/zarafa.target"},
	}
	for _, c := range []struct {
		p    Package
		want string
	}{
		{Package{Files: files, unknownScripts: true}, "preun disable zarafa-server; preun stop zarafa-server"},
		{Package{Files: files}, ""},
		{Package{Files: files, unknownScripts: true, Effects: []Effect{{When: "preun", Verb: "nothing-else"}}}, "preun nothing-else"},
	} {
		c.p.assumeUnits()
		var got []string
		for _, e := range c.p.Effects {
			got = append(got, e.String())
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("effects %q, want %q", got, c.want)
		}
	}
}
