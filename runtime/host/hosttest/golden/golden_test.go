package golden

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	*update = true
	File(t, filepath.Join(dir, "a"), "one\n")
	Tree(t, filepath.Join(dir, "tree"), map[string]string{"/left/over": "text", "/etc/b": "two\n"})
	Tree(t, filepath.Join(dir, "tree"), map[string]string{"/etc/b": "three\n"})
	*update = false
	File(t, filepath.Join(dir, "a"), "one\n")
	Tree(t, filepath.Join(dir, "tree"), map[string]string{"/etc/b": "three\n"})
	if _, err := os.Stat(filepath.Join(dir, "tree/left")); !os.IsNotExist(err) {
		t.Errorf("a file that is no longer got stays: %v", err)
	}
}
