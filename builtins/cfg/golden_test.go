package cfg

import (
	"path/filepath"
	"testing"

	"zcp2kopano/runtime/host/hosttest/golden"
)

//go:generate go test -count=1 -run TestGolden -update

// testdata/old is a site on ZCP 7.2.6 that began on 7.1, with LDAP and the Zarafa schema;
// testdata/golden holds, per approach and target, the new files and what is said about them.
func TestGolden(t *testing.T) {
	old := golden.Read(t, "testdata/old")
	for _, approach := range []string{"merge", "copy"} {
		for _, to := range []string{"8.4.5", "8.7.20", "11.0.2"} {
			dir := filepath.Join("testdata", "golden", approach+"-"+to)
			got := told(takeOver(t, old, approach, "7.2.6", to))
			golden.Tree(t, dir, got)
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
