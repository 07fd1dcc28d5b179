// Package parts has what Debian packages bring for tests to hold the program to, without installing them.
package parts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// cacheDir keeps them from one test run to the next.
const cacheDir = "/var/cache/zcp2kopano-test"

// Unpacked is the directory with the files of a package for this system, which the first call ever downloads. Without
// one a test is skipped, or fails if the environment has CI.
func Unpacked(t testing.TB, name string) string {
	t.Helper()
	dir, err := unpacked(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return dir
}

func unpacked(name string) (string, error) {
	dir := filepath.Join(cacheDir, "parts", name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fresh := dir + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o755), command(fresh, "apt-get", "download", name)); err != nil {
		return "", err
	}
	files, err := filepath.Glob(fresh + "/*.deb")
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("apt-get download %s left %q: %v", name, files, err)
	}
	return dir, errors.Join(command(fresh, "dpkg-deb", "-x", files[0], "."), os.Remove(files[0]), os.Rename(fresh, dir))
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
