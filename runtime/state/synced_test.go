package state

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/synced"
)

// TestBegunRunIsDurable: after a power cut all of a run is there, or nothing. Each file is synced before it has its name,
// then its directory; the name of the run itself comes last.
func TestBegunRunIsDurable(t *testing.T) {
	d := Dir{filepath.Join(t.TempDir(), "lib/state")}
	var run Run
	got := synced.By(t, func() (err error) {
		run, err = d.Begin(Order{Runbook: "debian", Label: "@stock//debian.star", Program: "1", Begun: begun},
			map[string]host.Secret{"key": host.NewSecret("hunter2")}, map[string]string{"@stock//debian.star": "a"})
		return err
	})
	runs := filepath.Dir(run.Path)
	if len(got) == 0 || got[len(got)-1] != "fsync "+runs {
		t.Errorf("the name of the run is not made durable last: %q", got)
	}
	for above := runs; above != filepath.Dir(d.Path); above = filepath.Dir(above) {
		if !slices.Contains(got, "fsync "+filepath.Dir(above)) {
			t.Errorf("the name of %s was not made durable: %q", above, got)
		}
	}
	err := filepath.WalkDir(run.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == run.Path {
			return err
		}
		draft := filepath.Join(runs, "."+run.ID, strings.TrimPrefix(path, run.Path))
		if e.IsDir() {
			if !slices.Contains(got, "fsync "+filepath.Dir(draft)) {
				t.Errorf("the name of %s was not made durable: %q", path, got)
			}
			return nil
		}
		content := slices.Index(got, "fsync "+draft+".new")
		if content < 0 || slices.Index(got[content:], "fsync "+filepath.Dir(draft)) < 0 {
			t.Errorf("%s: not both its content and its name were made durable: %q", path, got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
