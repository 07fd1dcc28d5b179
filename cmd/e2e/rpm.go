package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"zcp2kopano/cmd/e2e/fakepkg"
)

// rpmMmdebstrapArgs make the tree below every rpm root: Debian's builds of rpm, dnf (also by the name of
// yum) and zypper, with rpm's database where it is on other systems; systemd and MariaDB.
var rpmMmdebstrapArgs = []string{
	"--quiet", "--variant=apt", "--mode=root",
	"--include=adduser,ca-certificates,systemd-sysv,libpam-systemd,dbus,procps,mariadb-client,mariadb-server-core," +
		"rpm,dnf,zypper,libzypp-common,libzypp-config,libzypp-bin",
	`--aptopt=Apt::Install-Recommends "false"`,
	"--dpkgopt=path-exclude=/usr/share/locale/*",
	"--dpkgopt=path-exclude=/usr/share/man/*",
	"--dpkgopt=path-exclude=/usr/share/doc/*",
	`--customize-hook=mkdir -p "$1"/etc/rpm "$1"/var/lib/rpm "$1"/etc/yum.repos.d`,
	`--customize-hook=echo "%_dbpath /var/lib/rpm" > "$1"/etc/rpm/macros`,
	`--customize-hook=ln -s dnf-3 "$1"/usr/bin/yum`,
	`--customize-hook=chroot "$1" useradd -r -d /nonexistent -s /bin/false mysql`,
}

// rpmBase is the cached tree below every rpm root.
var rpmBase = sync.OnceValues(func() (string, error) { return makeBase(rpmMmdebstrapArgs) })

// NeedRPM skips a test that cannot have an rpm root here, and fails it in CI.
func NeedRPM(t testing.TB) {
	t.Helper()
	lacks := missing()
	for _, program := range []string{"rpmbuild", "rpmsign", "createrepo_c"} {
		if _, err := exec.LookPath(program); err != nil {
			lacks = append(lacks, program)
		}
	}
	needAll(t, lacks)
}

// Systems that an rpm root can look like.
const (
	CentOS7 = "NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n"
	RHEL8   = "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"8.6 (Ootpa)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"8.6\"\nPLATFORM_ID=\"platform:el8\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 8.6 (Ootpa)\"\n"
	SLES12  = "NAME=\"SLES\"\nVERSION=\"12-SP5\"\nID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"12.5\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 12 SP5\"\n"
	SLES15  = "NAME=\"SLES\"\nVERSION=\"15-SP3\"\nID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.3\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP3\"\n"
)

// Where a root sees the rpm repositories, and the key of those that are signed.
const (
	RPMReposDir = "/srv/rpms"
	RPMKeyFile  = "/srv/rpms/RPM-GPG-KEY"
)

// RPMRepositories makes all rpm repositories, once for a test binary, and returns their directory: the
// packages of "zcp" and "kopano" are signed, and so are their lists; those of "update" (a newer ZCP) and
// "unsigned" (as kopano) are not. In "fronts" are package files that stand for the package managers.
func RPMRepositories(t testing.TB) string {
	t.Helper()
	NeedRPM(t)
	dir, err := rpmRepositories()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var rpmRepositories = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rpms")
	if err != nil {
		return "", err
	}
	builder, err := fakepkg.NewRPMBuilder()
	if err != nil {
		return "", err
	}
	defer builder.Close()
	signer, err := fakepkg.NewSigner("packages@example.org")
	if err != nil {
		return "", err
	}
	defer signer.Close()
	stranger, err := fakepkg.NewSigner("stranger@example.org")
	if err != nil {
		return "", err
	}
	defer stranger.Close()
	key, err1 := signer.Key()
	other, err2 := stranger.Key()
	return dir, errors.Join(err1, err2,
		os.Chmod(dir, 0o755),
		os.Mkdir(filepath.Join(dir, "system"), 0o755),
		builder.Build(filepath.Join(dir, "system"), fakepkg.SystemRPM),
		builder.WriteRepository(filepath.Join(dir, "fronts"), fakepkg.FrontRPMs, nil),
		builder.WriteRepository(filepath.Join(dir, "zcp"), fakepkg.ZCPRPMs("7.2.6"), signer),
		builder.WriteRepository(filepath.Join(dir, "update"), fakepkg.ZCPRPMs("7.2.7"), nil),
		builder.WriteRepository(filepath.Join(dir, "kopano"), fakepkg.KopanoRPMs(), signer),
		builder.WriteRepository(filepath.Join(dir, "unsigned"), fakepkg.KopanoRPMs(), nil),
		builder.WriteRepository(filepath.Join(dir, "modular"), fakepkg.KopanoRPMs(), nil),
		asModule(filepath.Join(dir, "modular"), "kopano-server-0:8.7.0-1.noarch"),
		os.WriteFile(filepath.Join(dir, "RPM-GPG-KEY"), key, 0o644),
		os.WriteFile(filepath.Join(dir, "STRANGER-KEY"), other, 0o644),
	)
})

// asModule has a repository say that a package is of a stream of a module, which nobody has enabled.
func asModule(dir, artifact string) error {
	file := filepath.Join(dir, "modules.yaml")
	text := "---\ndocument: modulemd\nversion: 2\ndata:\n  name: mail\n  stream: \"8\"\n  version: 1\n  context: c0ffee\n  arch: noarch\n  summary: Mail\n" +
		"  description: Mail\n  license:\n    module: [MIT]\n  artifacts:\n    rpms: [" + artifact + "]\n...\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if out, err := exec.Command("modifyrepo_c", "--mdtype=modules", file, filepath.Join(dir, "repodata")).CombinedOutput(); err != nil {
		return fmt.Errorf("modifyrepo_c: %w: %s", err, out)
	}
	return nil
}

// NewRPMRoot makes a root with rpm, dnf and zypper that looks like a system, and has the repositories
// bound, none of them configured.
func NewRPMRoot(t testing.TB, system string, opts ...Option) *Root {
	t.Helper()
	dir := RPMRepositories(t)
	r := NewRoot(t, append(opts, onRPM)...)
	if err := errors.Join(os.RemoveAll(r.Path("/var/lib/dpkg")), os.Remove(r.Path("/etc/os-release"))); err != nil {
		t.Fatal(err)
	}
	r.WriteFile("/etc/os-release", system, 0o644)
	r.Bind(dir, RPMReposDir)
	r.Must("rpm", "-i", "--justdb", "--nodeps", RPMReposDir+"/system/system-release-7-1.noarch.rpm")
	return r
}

// asRelease has what is not the same on newer systems as on older ones: where SUSE's has the database of packages (and a
// symlink where it was), and that RHEL's dnf has no other name.
func (r *Root) asRelease(release string) {
	r.t.Helper()
	switch release {
	case SLES15:
		r.Must("mkdir", "-p", "/usr/lib/sysimage")
		r.Must("mv", "/var/lib/rpm", "/usr/lib/sysimage/rpm")
		r.Must("ln", "-s", "../../usr/lib/sysimage/rpm", "/var/lib/rpm")
		r.WriteFile("/etc/rpm/macros", "%_dbpath /usr/lib/sysimage/rpm\n", 0o644)
	case RHEL8:
		if err := os.Remove(r.Path("/usr/bin/yum")); err != nil {
			r.t.Fatal(err)
		}
	}
}

// RPMRepoFile is the configuration of a repository of RPMRepositories; checks are lines like "gpgcheck=1".
func RPMRepoFile(name, checks string) string {
	return "[" + name + "]\nname=" + name + "\nbaseurl=file://" + RPMReposDir + "/" + name + "\nenabled=1\n" + checks + "\n"
}
