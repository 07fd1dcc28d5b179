package story

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// TestStubsParse: a stub is a function in the syntax of Python. Without its annotations it is one of Starlark, too, and
// that has a parser here.
func TestStubsParse(t *testing.T) {
	files := Stubs(slices.Concat(runbook.CoreBuiltins(), runbook.Methods(), script.Language()))
	annotation := regexp.MustCompile(`(?m)^def .*$`)
	typed := regexp.MustCompile(`: (list\[str\]|[a-z]+)( \| None)?|\) -> [A-Za-z\[\]]+`)
	functions := 0
	for name, text := range files {
		plain := annotation.ReplaceAllStringFunc(text, func(line string) string {
			return typed.ReplaceAllStringFunc(line, func(s string) string {
				if s[0] == ')' {
					return ")"
				}
				return ""
			})
		})
		plain = strings.ReplaceAll(plain, "\n    ...\n", "\n    pass\n")
		file, err := (&syntax.FileOptions{}).Parse(name, plain, 0)
		if err != nil {
			t.Errorf("%v in\n%s", err, plain)
			continue
		}
		functions += len(file.Stmts)
	}
	if functions < 100 {
		t.Errorf("only %d functions", functions)
	}
}

// TestKindsAreAll: each kind of event has a line in the reference.
func TestKindsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, k := range Kinds() {
		have = append(have, string(k.Kind))
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || spec.Type == nil {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "EventKind" {
			n++
			kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !slices.Contains(have, kind) {
				t.Errorf("kind %s is not explained (%v)", kind, err)
			}
		}
		return true
	})
	if n != len(have) {
		t.Errorf("%d kinds, and %d are explained", n, len(have))
	}
}

// TestSchema: the schema has the fields of an event, those of its parts among them.
func TestSchema(t *testing.T) {
	s := Schema()
	properties := s["properties"].(map[string]any)
	finding := properties["finding"].(map[string]any)["properties"].(map[string]any)
	if finding["severity"].(map[string]any)["type"] != "string" || properties["time"].(map[string]any)["format"] != "date-time" {
		t.Errorf("%v", s)
	}
	if !slices.Contains(s["required"].([]any), any("kind")) || slices.Contains(s["required"].([]any), any("finding")) {
		t.Errorf("required: %v", s["required"])
	}
}
