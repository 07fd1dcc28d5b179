package action

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"testing"
)

// The package's documentation names each kind, with the file that it is in.
func TestDocListsKinds(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	must(t, err)
	text := f.Doc.Text()
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) +(\w+\.go) `).FindAllStringSubmatch(text, -1) {
		kind, file := m[1], m[2]
		if kinds[kind] == nil {
			continue
		}
		listed = append(listed, kind)
		source, err := os.ReadFile(file)
		must(t, err)
		if !regexp.MustCompile(`\) Kind\(\) string +\{ return "` + regexp.QuoteMeta(kind) + `" \}`).Match(source) {
			t.Errorf("%s is not in %s", kind, file)
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, Kinds()) {
		t.Errorf("doc.go lists %q, the kinds are %q", listed, Kinds())
	}
}
