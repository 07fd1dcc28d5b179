package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// RPMSystem is a system of rpm packages that a site can run on.
type RPMSystem struct {
	Name     string // of the stock runbook for it
	Release  string // what it says that it is
	Repos    string // directory of the repositories' configuration
	family   fakepkg.Family
	install  []string // the command that installs packages
	refresh  []string // the command that rereads the lists of repositories
	keyFiles []string // what a migration makes for the repository's key
	site     *site
}

// The systems: dnf by yum's name on the first, by its own on its successor, and zypper.
var (
	OnCentOS7 = &RPMSystem{"rhel", CentOS7, "/etc/yum.repos.d", fakepkg.RHEL7, []string{"yum", "-y", "install"}, []string{"yum", "-y", "makecache"}, redHatsKeys, new(site)}
	OnRHEL8   = &RPMSystem{"rhel", RHEL8, "/etc/yum.repos.d", fakepkg.RHEL8, []string{"dnf", "-y", "install"}, []string{"dnf", "-y", "makecache"}, redHatsKeys, new(site)}
	OnSLES12  = &RPMSystem{"sles", SLES12, "/etc/zypp/repos.d", fakepkg.SLE12, zypper("install", "--no-recommends"), zypper("refresh"), susesKeys, new(site)}
	OnSLES15  = &RPMSystem{"sles", SLES15, "/etc/zypp/repos.d", fakepkg.SLE15, zypper("install", "--no-recommends"), zypper("refresh"), susesKeys, new(site)}
)

// On SUSE's systems no package has made their directory.
var (
	redHatsKeys = []string{"/etc/pki/rpm-gpg/RPM-GPG-KEY-kopano"}
	susesKeys   = []string{"/etc/zypp/keys", "/etc/zypp/keys/RPM-GPG-KEY-kopano"}
)

func zypper(args ...string) []string {
	return append([]string{"zypper", "--non-interactive", "--no-gpg-checks"}, args...)
}

func (s *RPMSystem) String() string { return s.family.Name }

// RPMServersDir is where a root sees the repositories of whole servers, "zcp" and "kopano", each with a directory for
// each family.
const RPMServersDir = "/srv/servers"

// rpmServers makes these repositories, once for a test binary.
var rpmServers = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "servers"); err != nil {
		return "", err
	}
	programs, err := buildDaemons(dir)
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
	zcp, err1 := fakepkg.ZCPServerRPMs(programs)
	kopano, err2 := fakepkg.KopanoServerRPMs(programs)
	if err := errors.Join(err1, err2, os.Chmod(dir, 0o755)); err != nil {
		return "", err
	}
	php := map[string]func(fakepkg.Family) fakepkg.RPM{"zcp": fakepkg.Family.ZCPPHP, "kopano": fakepkg.Family.KopanoPHP}
	write := func(name string, shared []fakepkg.RPM, first, second fakepkg.Family) error {
		at := filepath.Join(dir, name, first.Name)
		if err := builder.WriteRepository(at, append(shared, php[name](first)), signer); err != nil {
			return err
		}
		return builder.ExtendRepository(filepath.Join(dir, name, second.Name), at, []fakepkg.RPM{php[name](second)}, signer)
	}
	err = errors.Join(write("zcp", zcp, fakepkg.RHEL7, fakepkg.SLE12), write("kopano", kopano, fakepkg.RHEL7, fakepkg.SLE12))
	if chance.Nothing() {
		err = errors.Join(err, write("zcp", zcp, fakepkg.RHEL8, fakepkg.SLE15), write("kopano", fakepkg.OnPython3(kopano), fakepkg.RHEL8, fakepkg.SLE15))
	}
	if err != nil {
		return "", err
	}
	key, err := signer.Key()
	return dir, errors.Join(err, os.WriteFile(filepath.Join(dir, "RPM-GPG-KEY"), key, 0o644))
})

// NewRPMSite makes a root with a ZCP server as NewSite does, on a system of rpm packages. ZCP's own repository is
// not configured: the vendor's has been gone for years.
func NewRPMSite(t testing.TB, system *RPMSystem) *Root {
	t.Helper()
	needSystemd(t)
	system.site.Do(func() { system.site.image = system.build(t).Rest() })
	if system.site.image == "" {
		t.Fatal("the site that all tests begin with could not be built")
	}
	return system.wake(t, system.site.image)
}

// wake makes a root of a site's Image, with everything running as it was.
func (s *RPMSystem) wake(t testing.TB, image Image) *Root {
	t.Helper()
	r := WakeSite(t, image, Systemd(), onRPM)
	r.bindServers()
	return r
}

// onRPM has a root begin with the tree of rpm systems.
func onRPM(o *options) { o.base, o.rpm = rpmBase, true }

func (r *Root) bindServers() {
	r.t.Helper()
	dir, err := rpmServers()
	if err != nil {
		r.t.Fatal(err)
	}
	r.Bind(dir, RPMServersDir)
}

// build makes such a root from its packages on.
func (s *RPMSystem) build(t testing.TB) *Root {
	t.Helper()
	r := NewRPMRoot(t, s.Release, Systemd())
	r.asRelease(s.Release)
	r.bindServers()
	// The distribution enables nothing of its own accord, and the site all that is Kopano's.
	r.WriteFile("/usr/lib/systemd/system-preset/99-default-disable.preset", "disable *\n", 0o644)
	r.WriteFile("/etc/systemd/system-preset/50-site.preset", "enable kopano-*.service\n", 0o644)
	r.Must("sh", "-c", "rpm -i --justdb --nodeps "+RPMReposDir+"/fronts/*.rpm")
	r.Must("mkdir", "-p", "/etc/pki/rpm-gpg") // of the package filesystem; SUSE has it, too
	r.StartMariaDB()
	repo := s.Repos + "/zarafa.repo"
	r.WriteFile(repo, fmt.Sprintf("[zarafa]\nname=Zarafa\nbaseurl=file://%s/zcp/%s\nenabled=1\ngpgcheck=0\n", RPMServersDir, s.family.Name), 0o644)
	r.Must(s.refresh[0], s.refresh[1:]...)
	r.Must(s.install[0], append(s.install[1:], "zarafa", "zarafa-webapp", "php-mapi")...)
	if err := os.Remove(r.Path(repo)); err != nil {
		t.Fatal(err)
	}
	r.furnish("/usr/local/lib/python2.7/site-packages/zarafa/__init__.py")
	for _, service := range siteServices {
		r.Must("systemctl", "enable", "--now", "zarafa-"+service)
	}
	return r
}

// migration installs Kopano from the repository of the system's family.
func (s *RPMSystem) migration() Migration {
	return Migration{Runbook: s.Name, Site: true, URL: "file://" + RPMServersDir + "/kopano", Key: RPMServersDir + "/RPM-GPG-KEY"}
}
