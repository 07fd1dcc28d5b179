package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/manifest"
)

// TestPackages makes the program's own packages as a release has them, and installs and removes each by the words of the
// README. It takes builds for two architectures, and a tool that is fetched: make crash does it.
func TestPackages(t *testing.T) {
	t.Parallel()
	NeedRPM(t)
	begun := time.Now()
	if !chance.Nothing() {
		return
	}
	made := makePackages(t)
	for name, how := range map[string]struct {
		root func() *Root
		file string
		// The README's line, by which it comes, what lists its files, and how it goes.
		install, list, remove string
	}{
		"deb":             {func() *Root { return NewRoot(t) }, "zcp2kopano_1.2.3_amd64.deb", "dpkg -i zcp2kopano_*_amd64.deb", "dpkg -L zcp2kopano", "dpkg -P zcp2kopano"},
		"rpm on CentOS 7": {func() *Root { return NewRPMRoot(t, CentOS7) }, "zcp2kopano-1.2.3-1.x86_64.rpm", "rpm -i zcp2kopano-*.x86_64.rpm", "rpm -ql zcp2kopano", "rpm -e zcp2kopano"},
		"rpm on SLES 12":  {func() *Root { return NewRPMRoot(t, SLES12) }, "zcp2kopano-1.2.3-1.x86_64.rpm", "rpm -i zcp2kopano-*.x86_64.rpm", "rpm -ql zcp2kopano", "rpm -e zcp2kopano"},
		"tarball":         {func() *Root { return NewRoot(t) }, "zcp2kopano-1.2.3-linux-amd64.tar.gz", "tar -xf zcp2kopano-*-linux-amd64.tar.gz", "ls zcp2kopano-1.2.3-linux-amd64", "rm -r zcp2kopano-1.2.3-linux-amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			r := how.root()
			r.Must("mkdir", "-p", "/usr/share/man/man8", "/usr/share/zsh/site-functions") // which other packages of a whole system own
			before := r.State()
			for _, file := range []string{how.file, "SHA256SUMS"} { // what the README has brought to the server
				data, err := os.ReadFile(filepath.Join(made, file))
				if err != nil {
					t.Fatal(err)
				}
				r.WriteFile("/root/"+file, string(data), 0o644)
			}
			in := func(command string) string { return r.Must("sh", "-c", "cd /root && "+command) }
			if got := in(readmeLine(t, "SHA256SUMS | sha256sum -c")); !strings.Contains(got, how.file+": OK") {
				t.Errorf("checksum: %s", got)
			}
			in(readmeLine(t, how.install))
			listed := in(how.list)
			for _, part := range []string{"zcp2kopano\n", "README.md", "LICENSE", "zcp2kopano.8.gz", "_zcp2kopano"} {
				if !strings.Contains(listed, part) {
					t.Errorf("no %s among\n%s", part, listed)
				}
			}
			program := "zcp2kopano" // on the path
			if name == "tarball" {
				program = "./zcp2kopano-1.2.3-linux-amd64/zcp2kopano"
			}
			if got := in(program + " version"); !strings.HasPrefix(got, "zcp2kopano v1.2.3 linux/amd64") {
				t.Errorf("version: %s", got)
			}
			in(how.remove)
			in("rm " + how.file + " SHA256SUMS")
			if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
				t.Errorf("it has left something, or taken something along:\n%s", manifest.Table(diffs, "before", "after"))
			}
		})
	}
	chance.Figures(t, begun, "packages of two architectures, installed in four systems")
}

// readmeLine is the command line of the README that has some words, without what it says of it.
func readmeLine(t *testing.T, words string) string {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		command, _, _ := strings.Cut(line, " # ")
		if strings.HasPrefix(line, "    ") && strings.Contains(command, words) {
			return strings.TrimSpace(command)
		}
	}
	t.Fatalf("the README has no command line with %q", words)
	return ""
}

// makePackages makes them in a copy of the source, and returns their directory.
func makePackages(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(source, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("make", "-C", dir, "packages", "VERSION=v1.2.3")
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false") // the copy is no repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make packages: %v\n%s", err, out)
	}
	return filepath.Join(dir, "dist", "packages")
}
