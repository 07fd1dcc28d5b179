package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestRemoveLeftovers keeps to the directories that killed processes of this program left.
func TestRemoveLeftovers(t *testing.T) {
	h, dir := open(t)
	dead := exec.Command("/bin/true")
	must(t, dead.Run())
	for _, parent := range scratchParents {
		must(t, os.MkdirAll(dir+parent, 0o755))
	}
	left := []string{
		fmt.Sprintf("/run/zcp2kopano-%d-AAAA", dead.Process.Pid),
		fmt.Sprintf("/tmp/zcp2kopano-%d-AAAA", dead.Process.Pid),
		fmt.Sprintf("/var/tmp/zcp2kopano-%d-BBBB", os.Getpid()), // from before, when the number was another's
	}
	for _, path := range left {
		must(t, os.Mkdir(dir+path, 0o700))
		write(t, dir, path+"/etc/client.cnf", "password=secret\n")
	}
	others := []string{
		fmt.Sprintf("/run/zcp2kopano-%d-LIVES", os.Getppid()),
		fmt.Sprintf("/tmp/somebody-%d-AAAA", dead.Process.Pid),
		"/tmp/zcp2kopano-check-12345",
		"/tmp/zcp2kopano",
	}
	for _, path := range others {
		must(t, os.Mkdir(dir+path, 0o700))
	}
	open := fmt.Sprintf("/tmp/zcp2kopano-%d-OPEN", dead.Process.Pid)
	must(t, os.Mkdir(dir+open, 0o755)) // ours are closed to others
	link := fmt.Sprintf("/tmp/zcp2kopano-%d-LINK", dead.Process.Pid)
	must(t, os.Symlink(filepath.Join(dir, others[1]), dir+link))

	must(t, h.RemoveLeftovers())
	for _, path := range left {
		if _, err := os.Lstat(dir + path); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for _, path := range append(others, open, link) {
		if _, err := os.Lstat(dir + path); err != nil {
			t.Errorf("taken away: %v", err)
		}
	}
}
