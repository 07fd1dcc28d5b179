// Package simtest puts files on simulated hosts, for tests.
package simtest

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"zcp2kopano/runtime/host/sim/simfs"
)

// Files is a file system that holds nothing but these files; see Write.
func Files(t testing.TB, content map[string]string) *simfs.FS {
	t.Helper()
	files := simfs.New(simfs.Options{})
	Write(t, simfs.Afero(files), content)
	return files
}

// Write writes files, and the directories that they are in: the content by path; "-> target" makes a
// symlink.
func Write(t testing.TB, files afero.Fs, content map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if err := write(files, name, content[name]); err != nil {
			t.Fatal(err)
		}
	}
}

func write(files afero.Fs, name, content string) error {
	if err := files.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		return files.(afero.Linker).SymlinkIfPossible(target, name)
	}
	return afero.WriteFile(files, name, []byte(content), 0o644)
}
