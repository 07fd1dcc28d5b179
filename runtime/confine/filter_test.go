package confine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const filteredFile = "CONFINE_TEST_FILE"

// TestFilterWithoutLandlock opens files where seccomp alone refuses to open them for writing.
func TestFilterWithoutLandlock(t *testing.T) {
	if file := os.Getenv(filteredFile); file != "" {
		underFilter(t, file)
		return
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestFilterWithoutLandlock$", "-test.v")
	cmd.Env = append(os.Environ(), filteredFile+"="+file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

func underFilter(t *testing.T, file string) {
	if err := filterCalls(true); err != nil {
		t.Skip(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "content" {
		t.Errorf("reading: %q %v", data, err)
	}
	for name, flags := range map[string]int{"write": os.O_WRONLY, "read and write": os.O_RDWR, "create": os.O_CREATE, "truncate": os.O_TRUNC} {
		f, err := os.OpenFile(file, flags, 0)
		if !errors.Is(err, syscall.EACCES) {
			t.Errorf("opening to %s: %v", name, err)
		}
		f.Close()
	}
	if err := os.Chmod(file, 0o600); !errors.Is(err, syscall.EPERM) {
		t.Errorf("chmod: %v", err)
	}
	if err := os.Remove(file); !errors.Is(err, syscall.EPERM) {
		t.Errorf("remove: %v", err)
	}
}
