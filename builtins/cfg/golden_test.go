package cfg

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testdata/old is a site on ZCP 7.2.6 that began on 7.1, with LDAP and the Zarafa schema;
// testdata/golden holds, per approach and target, the new files and what is said about them.
func TestGolden(t *testing.T) {
	old := readTree(t, "testdata/old")
	for _, approach := range []string{"merge", "copy"} {
		for _, to := range []string{"8.4.5", "8.7.20", "11.0.2"} {
			dir := filepath.Join("testdata", "golden", approach+"-"+to)
			got := told(takeOver(t, old, approach, "7.2.6", to))
			if *update {
				writeTree(t, dir, got)
			}
			want := readTree(t, dir)
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if got[name] != want[name] {
					t.Errorf("%s%s differs (go test -update writes it anew):\n%s", dir, name, got[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d files, want %d", dir, len(got), len(want))
			}
		}
	}
}

// told is a result as files: the new ones, and what is said about them.
func told(r *Result) map[string]string {
	files := map[string]string{"/notes": "", "/problems": "", "/skipped": ""}
	for _, f := range r.Files {
		files[f.Path] = string(f.Content)
	}
	for _, n := range r.Notes {
		files["/notes"] += n.String() + "\n"
	}
	for _, p := range r.Problems {
		files["/problems"] += p.String() + "\n"
	}
	for _, p := range r.Skipped {
		files["/skipped"] += p.String() + "\n"
	}
	return files
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		files[strings.TrimPrefix(p, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
