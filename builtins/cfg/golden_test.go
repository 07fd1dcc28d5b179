package cfg

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The new files, notes and problems of a typical site, for both approaches.
func TestGolden(t *testing.T) {
	old, err := txtar.ParseFile("testdata/old.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range old.Files {
		files[f.Name] = string(f.Data)
	}
	for _, approach := range []string{"merge", "copy"} {
		for _, to := range []string{"8.4.5", "8.7.20", "11.0.2"} {
			name := filepath.Join("testdata", "golden", approach+"-"+to+".txtar")
			got := render(takeOver(t, files, approach, "7.2.6", to), approach, to)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; look at it after go test -update:\n%s", name, firstDifference(want, got))
			}
		}
	}
}

func render(r *Result, approach, to string) []byte {
	a := &txtar.Archive{Comment: []byte(fmt.Sprintf("old.txtar taken over to Kopano %s, approach %s.\n\n", to, approach))}
	add := func(name, text string) { a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text)}) }
	for _, f := range r.Files {
		add(f.Path, string(f.Content))
	}
	var notes, problems, skipped strings.Builder
	for _, n := range r.Notes {
		notes.WriteString(n.String() + "\n")
	}
	for _, p := range r.Problems {
		problems.WriteString(p.String() + "\n")
	}
	for _, p := range r.Skipped {
		skipped.WriteString(p.String() + "\n")
	}
	add("notes", notes.String())
	add("problems", problems.String())
	add("skipped", skipped.String())
	return txtar.Format(a)
}

func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			return fmt.Sprintf("line %d: want %q, got %q", i+1, w[i], strings.Join(g[min(i, len(g)):min(i+1, len(g))], ""))
		}
	}
	return "more lines than wanted"
}
