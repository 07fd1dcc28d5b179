package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// cacheDir keeps base trees from one test run to the next.
const cacheDir = "/var/cache/zcp2kopano-test"

// The packages of the base trees besides dpkg and apt: an init system, what the packages under test
// need, and a database server and its clients.
const (
	includesSysV = "adduser,ca-certificates,lsb-base,init-system-helpers,sysvinit-core,sysv-rc,insserv,procps,ucf," +
		"mariadb-client,mariadb-server-core"
	includesSystemd = "adduser,ca-certificates,lsb-base,init-system-helpers,systemd-sysv,libpam-systemd,dbus,procps," +
		"mariadb-client,mariadb-server-core"
)

// mmdebstrapArgs precede the suite, the directory and the sources.
func mmdebstrapArgs(includes string) []string {
	return []string{
		"--quiet", "--variant=apt", "--mode=root", "--include=" + includes,
		`--aptopt=Apt::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		`--customize-hook=chroot "$1" useradd -r -d /nonexistent -s /bin/false mysql`,
		`--customize-hook=rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap`,
	}
}

// base is the cached tree below a Root. The first call ever makes it, in a minute.
func base(t testing.TB, tree func() (string, error)) string {
	t.Helper()
	Need(t)
	dir, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	baseSysV    = sync.OnceValues(func() (string, error) { return makeBase(mmdebstrapArgs(includesSysV)) })
	baseSystemd = sync.OnceValues(func() (string, error) { return makeBase(mmdebstrapArgs(includesSystemd)) })
)

// makeBase makes the tree of these arguments, if the cache has it not.
func makeBase(args []string) (string, error) {
	sources, err := aptSources()
	if err != nil {
		return "", err
	}
	suite, err := osRelease("VERSION_CODENAME")
	if err != nil {
		return "", err
	}
	args = append(slices.Clone(args), suite)
	dir := filepath.Join(cacheDir, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(args, "\n"))))[:16])
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, bootstrap(args, dir, sources)
}

func bootstrap(args []string, dir, sources string) error {
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	cmd := exec.Command("mmdebstrap", append(args, fresh, sources)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TMPDIR=/var/tmp")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("mmdebstrap: %w: %s", err, out), os.RemoveAll(fresh))
	}
	return os.Rename(fresh, dir)
}

func lock(file string) (unlock func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return f.Close, syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
}

// aptSources is the file with this machine's package sources.
func aptSources() (string, error) {
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return file, nil
		}
	}
	return "", errors.New("no apt sources found")
}

func osRelease(field string) (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok && name == field {
			return strings.Trim(value, `"`), nil
		}
	}
	return "", fmt.Errorf("/etc/os-release has no %s", field)
}
