package aside

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAllSignsCross: each error that the package host tells from others by a variable is told on the other side, too.
func TestAllSignsCross(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, errorsOf(file)...)
	}
	own, err := parser.ParseFile(token.NewFileSet(), "aside.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var crossing []string
	ast.Inspect(own, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Err") {
			crossing = append(crossing, s.Sel.Name)
		}
		return true
	})
	if !slices.Contains(declared, "ErrUnasked") {
		t.Fatalf("found only %v", declared)
	}
	for _, name := range declared {
		if !slices.Contains(crossing, name) {
			t.Errorf("host.%s is lost on the way", name)
		}
	}
	for name, sign := range signs {
		far := failureOf(&fs.PathError{Op: "open", Path: "/x", Err: sign}).asError()
		for other, is := range signs {
			if errors.Is(far, is) != (other == name) {
				t.Errorf("%s arrives as %s", name, other)
			}
		}
	}
}

// errorsOf are the variables of a file that begin with Err.
func errorsOf(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}
