package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/confine"
)

// The locks cannot be undone, so a child process tries to write under them.
func TestReadOnly(t *testing.T) {
	if dir := os.Getenv("CONFINE_TEST_DIR"); dir != "" {
		try(dir)
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := describe(t, dir)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestReadOnly$", "-test.v")
	cmd.Env = append(os.Environ(), "CONFINE_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if after := describe(t, dir); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	if strings.Contains(string(out), "WRITES") {
		t.Error("a way to write is open")
	}
	if !strings.Contains(string(out), "read: before") {
		t.Error("it cannot read any more")
	}
}

func try(dir string) {
	file := filepath.Join(dir, "file")
	reopened, _ := os.Open(file)
	inForce := map[string]bool{}
	for _, lock := range confine.ReadOnly() {
		fmt.Printf("%s: %v\n", lock.Name, lock.Err)
		inForce[lock.Name] = lock.Err == nil
	}
	if !inForce["seccomp"] {
		fmt.Println("this kernel has no seccomp: nothing to try")
	} else {
		ways := map[string]func() error{
			"create":   func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) },
			"write":    func() error { return os.WriteFile(file, []byte("after"), 0o600) },
			"truncate": func() error { return os.Truncate(file, 0) },
			"remove":   func() error { return os.Remove(file) },
			"rename":   func() error { return os.Rename(file, file+"2") },
			"link":     func() error { return os.Link(file, file+"2") },
			"symlink":  func() error { return os.Symlink("x", filepath.Join(dir, "l")) },
			"mkdir":    func() error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) },
			"mkfifo":   func() error { return unix.Mkfifo(filepath.Join(dir, "p"), 0o600) },
			"chmod":    func() error { return os.Chmod(file, 0o644) },
			"fchmod":   func() error { return reopened.Chmod(0o644) },
			"chown":    func() error { return os.Chown(file, 1, 1) },
			"utimes":   func() error { return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)) },
			"xattr":    func() error { return unix.Setxattr(file, "user.x", []byte("y"), 0) },
			"mount":    func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "") },
			"child":    func() error { return exec.Command("/bin/chmod", "0644", file).Run() },
			"child rm": func() error { return exec.Command("/bin/rm", "-f", file).Run() },
		}
		for name, way := range ways {
			if way() == nil {
				fmt.Println(name, "WRITES")
			}
		}
	}
	data, err := os.ReadFile(file)
	fmt.Printf("read: %s %v\n", data, err)
	if out, err := exec.Command("/bin/cat", file).Output(); err != nil {
		fmt.Printf("a child cannot read: %v %s\n", err, out)
	}
}

func describe(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		all = append(all, fmt.Sprint(e.Name(), info.Mode(), info.ModTime().UnixNano(), string(data)))
	}
	return strings.Join(all, "; ")
}
