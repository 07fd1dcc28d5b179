package live

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestCopyInto passes over what is not there or is no file, as apt does, and over nothing else.
func TestCopyInto(t *testing.T) {
	h, dir := open(t)
	for _, parent := range scratchParents {
		must(t, os.MkdirAll(dir+parent, 0o755))
	}
	write(t, dir, "/etc/apt/sources.list.d/a.list", "deb x ./\n")
	must(t, os.Mkdir(filepath.Join(dir, "etc/apt/sources.list.d/b.list"), 0o755))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "etc/apt/sources.list.d/c.list")))
	must(t, os.Symlink("d.list", filepath.Join(dir, "etc/apt/sources.list.d/d.list")))
	s, err := h.parts.m.files.newScratch(scratchParents...)
	must(t, err)
	defer s.remove()
	for name, want := range map[string]error{
		"a.list": nil, "b.list": nil, "c.list": nil, "d.list": nil, "none.list": nil,
		"a.list/x": syscall.ENOTDIR,
	} {
		if err := h.parts.m.files.copyInto(s, "/etc/apt/sources.list.d/"+name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}
