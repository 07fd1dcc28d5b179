package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zcp2kopano/cmd/e2e/fakepkg"
)

// Where a root sees the package repositories, and the key that signed them.
const (
	ReposDir = "/srv/repos"
	KeyFile  = "/srv/repos/Release.key"
)

// RepoURL is the URL of a repository for "deb URL ./": "zcp", "debian", "kopano84", "kopano87",
// "kopano-debian" (as Debian splits it), "zcp-ubuntu16.04" and "ubuntu16.04" (of a release of Ubuntu), or "unsigned" (kopano84 without a signature).
func RepoURL(name string) string { return "file:" + ReposDir + "/" + name }

// Repositories makes all package repositories, once for a test binary, and returns their directory.
func Repositories(t testing.TB) string {
	t.Helper()
	Need(t)
	dir, err := repositories()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var repositories = sync.OnceValues(makeRepositories)

func makeRepositories() (string, error) {
	dir, err := os.MkdirTemp("", "repos")
	if err != nil {
		return "", err
	}
	programs, err := buildDaemons(dir)
	if err != nil {
		return "", err
	}
	signer, err := fakepkg.NewSigner("Repository <repository@example.org>")
	if err != nil {
		return "", err
	}
	defer signer.Close()
	if err := writeRepositories(dir, programs, signer); err != nil {
		return "", err
	}
	key, err := signer.Key()
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "Release.key"), key, 0o644)
}

// writeRepositories makes each repository reachable below the name that the vendor gives a release,
// like Debian_12, too.
func writeRepositories(dir string, programs fakepkg.Programs, signer *fakepkg.Signer) error {
	release, err := osRelease("VERSION_ID")
	if err != nil {
		return err
	}
	zcp, err1 := fakepkg.ZCPPackages(programs)
	kopano84, err2 := fakepkg.KopanoPackages(fakepkg.Kopano84, programs)
	kopano87, err3 := fakepkg.KopanoPackages(fakepkg.Kopano87, programs)
	kopanoDebian, err4 := fakepkg.DebianPackages(programs)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	for _, repo := range []struct {
		name     string
		packages []fakepkg.Package
		signer   *fakepkg.Signer
	}{
		{"zcp", zcp, signer},
		{"debian", fakepkg.DistributionPackages(), signer},
		{"kopano84", kopano84, signer},
		{"kopano87", kopano87, signer},
		{"kopano-debian", kopanoDebian, signer},
		{"unsigned", kopano84, nil},
	} {
		at := filepath.Join(dir, repo.name)
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if err := os.Symlink(".", filepath.Join(at, "Debian_"+release)); err != nil {
			return err
		}
		if err := fakepkg.WriteRepository(at, repo.name, repo.packages, repo.signer); err != nil {
			return err
		}
	}
	return errors.Join(writeReleases(dir, signer), os.Chmod(dir, 0o755))
}

// release is one of Ubuntu's, with the PHP that it has, and the Kopano that the vendor made for it.
type release struct {
	version, php string
	kopano       fakepkg.Generation
	base         string // the repository with the rest of that Kopano
}

var ubuntus = []release{
	{"14.04", "5.5", fakepkg.Kopano84, "kopano84"},
	{"16.04", "7.0", fakepkg.Kopano84, "kopano84"},
	{"18.04", "7.2", fakepkg.Kopano87, "kopano87"},
}

// writeReleases makes the repositories of Ubuntu's releases, for ZCP ("zcp-ubuntu16.04") and for Kopano
// ("ubuntu16.04"): a repository offers the bindings for its own release's PHP only.
func writeReleases(dir string, signer *fakepkg.Signer) error {
	for _, u := range ubuntus {
		for _, repo := range []struct {
			name, base string
			packages   []fakepkg.Package
		}{
			{"zcp-ubuntu" + u.version, "zcp", fakepkg.ZCP.PHPPackages(u.php)},
			{"ubuntu" + u.version, u.base, u.kopano.PHPPackages(u.php)},
		} {
			at := filepath.Join(dir, repo.name)
			if err := errors.Join(os.Mkdir(at, 0o755), os.Symlink(".", filepath.Join(at, "Ubuntu_"+u.version))); err != nil {
				return err
			}
			if err := fakepkg.ExtendRepository(at, filepath.Join(dir, repo.base), repo.name, repo.packages, signer); err != nil {
				return err
			}
		}
	}
	return nil
}

func buildDaemons(dir string) (fakepkg.Programs, error) {
	server, err1 := buildProgram(dir, "zcp2kopano/cmd/e2e/fakepkg/cmd/server")
	daemon, err2 := buildProgram(dir, "zcp2kopano/cmd/e2e/fakepkg/cmd/daemon")
	return fakepkg.Programs{Server: server, Daemon: daemon}, errors.Join(err1, err2)
}

// buildProgram builds a static program of this module, with build tags, and returns its bytes.
func buildProgram(dir, pkg string, tags ...string) ([]byte, error) {
	work, err := os.MkdirTemp(dir, "build") // two are built at the same time
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, "program")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-tags", strings.Join(tags, ","), "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return os.ReadFile(file)
}

// AddRepository configures a repository of Repositories and rereads the lists.
func (r *Root) AddRepository(names ...string) {
	r.t.Helper()
	r.BindRepositories()
	for _, name := range names {
		r.WriteFile("/etc/apt/sources.list.d/"+name+".list",
			fmt.Sprintf("deb [signed-by=%s] %s ./\n", KeyFile, RepoURL(name)), 0o644)
	}
	r.Must("apt-get", "update")
}

// BindRepositories shows the repositories in the root, without configuring any. A system of rpm packages has no use for
// them.
func (r *Root) BindRepositories() {
	r.t.Helper()
	if r.rpm {
		return
	}
	if _, err := os.Lstat(r.Path(KeyFile)); err != nil {
		r.Bind(Repositories(r.t), ReposDir)
	}
}

// Install installs packages of the configured repositories.
func (r *Root) Install(names ...string) {
	r.t.Helper()
	r.Must("apt-get", append([]string{"install", "-y", "-q", "--no-install-recommends"}, names...)...)
}

// Program is the path, in the root, of the program under test.
const Program = "/usr/local/sbin/zcp2kopano"

// programPackage is what Program is built from.
const programPackage = "zcp2kopano/cmd/zcp2kopano"

var (
	program        = sync.OnceValues(func() ([]byte, error) { return buildProgram(os.TempDir(), programPackage) })
	haltingProgram = sync.OnceValues(func() ([]byte, error) { return buildProgram(os.TempDir(), programPackage, "halt") })
)

// InstallProgram puts the program under test, freshly built, into the root, if it has none yet.
func (r *Root) InstallProgram() {
	r.t.Helper()
	r.installProgram(program)
}

// InstallHaltingProgram does so with one that a halter can stop at each record of its journal.
func (r *Root) InstallHaltingProgram() {
	r.t.Helper()
	r.installProgram(haltingProgram)
}

func (r *Root) installProgram(build func() ([]byte, error)) {
	r.t.Helper()
	if _, err := os.Lstat(r.Path(Program)); err == nil {
		return
	}
	binary, err := build()
	if err != nil {
		r.t.Fatal(err)
	}
	r.WriteFile(Program, string(binary), 0o755)
}

// Lend brings programs of this machine, which is of the same release, into the root, with the libraries that it lacks.
func (r *Root) Lend(programs ...string) {
	r.t.Helper()
	for _, program := range programs {
		out, err := exec.CommandContext(r.t.Context(), "ldd", program).Output()
		if err != nil {
			r.t.Fatalf("%s: %v; make parts installs it", program, err)
		}
		needed := []string{program}
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, "/") {
				needed = append(needed, word)
			}
		}
		for _, name := range needed {
			if _, err := os.Stat(r.Path(name)); err == nil {
				continue
			}
			content, err := os.ReadFile(name)
			if err != nil {
				r.t.Fatal(err)
			}
			r.WriteFile(name, string(content), 0o755)
		}
	}
}
