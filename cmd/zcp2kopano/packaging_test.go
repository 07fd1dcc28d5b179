package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/rpm"
)

// makeRule runs the Makefile in a directory, with variables and targets, and returns what it prints.
func makeRule(t *testing.T, dir string, args ...string) string {
	t.Helper()
	file, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", append([]string{"-s", "--no-print-directory", "-C", dir, "-f", file}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // of the make that runs the tests
		name, _, _ := strings.Cut(v, "=")
		return name == "MAKEFLAGS" || name == "MFLAGS" || name == "MAKELEVEL"
	})
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make %s: %v\n%s%s", args, err, out, problems.String())
	}
	return string(out)
}

// TestPackageVersions has versions of packages in the order of the releases, for both package managers, and in the
// letters that both take.
func TestPackageVersions(t *testing.T) {
	dir := t.TempDir()
	versions := []struct{ git, want string }{ // as git describe tells them, from the oldest
		{"unknown", "0.0.unknown"},
		{"v0.9", "0.9"},
		{"v1.0.0-alpha1", "1.0.0~alpha1"},
		{"v1.0.0-rc1", "1.0.0~rc1"},
		{"v1.0.0-rc1-5-gabc1234", "1.0.0~rc1.5.gabc1234"},
		{"v1.0.0-rc2-dirty", "1.0.0~rc2.dirty"},
		{"v1.0.0", "1.0.0"},
		{"v1.0.0-12-g1234567-dirty", "1.0.0.12.g1234567.dirty"},
		{"v1.0.1", "1.0.1"},
		{"v1.10.0", "1.10.0"},
	}
	before := ""
	for _, v := range versions {
		got := strings.TrimSpace(makeRule(t, dir, "VERSION="+v.git, "--eval=shown: ; @echo '$(PACKAGE_VERSION)'", "shown"))
		if got != v.want {
			t.Errorf("%s becomes %s, want %s", v.git, got, v.want)
		}
		if before != "" && (deb.Compare(before, got) >= 0 || rpm.Compare(before, got) >= 0) {
			t.Errorf("%s is not newer than %s: dpkg %d, rpm %d", got, before, deb.Compare(before, got), rpm.Compare(before, got))
		}
		before = got
	}
	if got := strings.TrimSpace(makeRule(t, dir, "VERSION=1a2b3c4", "--eval=shown: ; @echo '$(PACKAGE_VERSION)'", "shown")); got != "0.0.1a2b3c4" {
		t.Errorf("a commit without a tag becomes %s", got)
	}
}

// What stands in for the compiler and for nfpm: the one makes programs that call this one, the other packs nothing and
// writes down what it would pack.
const (
	standInBuild = `#!/bin/sh
[ "$1" = -o ] && mkdir -p "${2%/*}" && printf '#!/bin/sh\nexec zcp2kopano "$@"\n' >"$2" && chmod 755 "$2"
`
	standInNFPM = `#!/bin/sh
set -e
[ "$1 $2 $4 $6" = 'package --config --packager --target' ]
sed -n 's/.*src: //p' "$3" | sed "s/\${ARCH}/$ARCH/" | while read -r file; do
	[ -s "$file" ] || { echo "$file is not there" >&2; exit 1; }
done
echo "$5 $ARCH $VERSION" >"$7/$5-$ARCH"
`
)

// TestMakePackages runs the rule with stand-ins for what takes long, or the network: cmd/e2e installs what the real ones
// make. The README says what is in it.
func TestMakePackages(t *testing.T) {
	dir, tools := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"build": standInBuild, "nfpm": standInNFPM} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README.md", "LICENSE", "packaging"} {
		from, err := filepath.Abs("../../" + name)
		if err == nil {
			err = os.Symlink(from, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	makeRule(t, dir, "packages", "VERSION=v1.2.3-rc1", "BUILD="+tools+"/build", "NFPM="+tools+"/nfpm")
	made := filepath.Join(dir, "dist", "packages")
	want := []string{
		"SHA256SUMS", "deb-amd64", "deb-arm64", "rpm-amd64", "rpm-arm64",
		"zcp2kopano-1.2.3~rc1-linux-amd64.tar.gz", "zcp2kopano-1.2.3~rc1-linux-arm64.tar.gz",
	}
	entries, err := os.ReadDir(made)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, want) {
		t.Fatalf("made are %q, want %q", names, want)
	}
	for _, name := range want[1:5] {
		kind, arch, _ := strings.Cut(name, "-")
		if got, err := os.ReadFile(filepath.Join(made, name)); err != nil || string(got) != kind+" "+arch+" 1.2.3~rc1\n" {
			t.Errorf("%s is packed as %q (%v)", name, got, err)
		}
	}
	sums := exec.Command("sha256sum", "-c", "SHA256SUMS")
	sums.Dir = made
	if out, err := sums.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != len(want)-1 {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
	const top = "zcp2kopano-1.2.3~rc1-linux-arm64/"
	unpack := exec.Command("tar", "-xf", want[6])
	unpack.Dir = made
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	for name, holds := range map[string]string{
		"zcp2kopano": "", "README.md": "# zcp2kopano", "LICENSE": "MIT", "zcp2kopano.8.gz": "\x1f\x8b",
		"zcp2kopano.bash": "complete -o default -F __start_zcp2kopano zcp2kopano", "_zcp2kopano": "#compdef zcp2kopano",
	} {
		if got, err := os.ReadFile(filepath.Join(made, top, name)); err != nil || !strings.Contains(string(got), holds) {
			t.Errorf("the tarball's %s lacks %q (%v)", name, holds, err)
		}
	}
	if st, err := os.Stat(filepath.Join(made, top, "zcp2kopano")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("the tarball's program: %v (%v)", st, err)
	}
}

// TestPackagePlaces has each file of a package where those look for it who use it: sudo, man, and the shells, of which zsh has
// places of its own on Debian.
func TestPackagePlaces(t *testing.T) {
	data, err := os.ReadFile("../../packaging/nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	field := func(entry, name string) string {
		_, rest, _ := strings.Cut(entry, name+": ")
		line, _, _ := strings.Cut(rest, "\n")
		value, _, _ := strings.Cut(line, " #")
		return strings.TrimSpace(value)
	}
	_, contents, _ := strings.Cut(string(data), "contents:\n")
	places := map[string][]string{} // by kind of package
	for entry := range strings.SplitSeq(contents, "- src: ") {
		for _, kind := range []string{"deb", "rpm"} {
			if only, to := field(entry, "packager"), field(entry, "dst"); to != "" && (only == "" || only == kind) {
				places[kind] = append(places[kind], to)
			}
		}
	}
	for kind, functions := range map[string]string{"deb": "vendor-completions", "rpm": "site-functions"} {
		want := []string{
			"/usr/sbin/zcp2kopano", "/usr/share/bash-completion/completions/zcp2kopano", "/usr/share/doc/zcp2kopano/LICENSE",
			"/usr/share/doc/zcp2kopano/README.md", "/usr/share/man/man8/zcp2kopano.8.gz", "/usr/share/zsh/" + functions + "/_zcp2kopano",
		}
		if slices.Sort(places[kind]); !slices.Equal(places[kind], want) {
			t.Errorf("a .%s has %q, want %q", kind, places[kind], want)
		}
	}
}
