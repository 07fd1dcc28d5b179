package runbooks_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/bazelbuild/buildtools/build"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/runbook"
)

// TestEveryFindingHasAKey: an admin overrides a finding by it, and a site's own tools tell findings by it.
func TestEveryFindingHasAKey(t *testing.T) {
	files, err := fs.Glob(runbooks.FS, "lib/*.star")
	if err != nil {
		t.Fatal(err)
	}
	findings := 0
	for _, name := range files {
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := build.ParseDefault(name, data)
		if err != nil {
			t.Fatal(err)
		}
		build.Walk(parsed, func(e build.Expr, _ []build.Expr) {
			call, ok := e.(*build.CallExpr)
			if !ok {
				return
			}
			ident, ok := call.X.(*build.Ident)
			if !ok || !strings.Contains(" info warn inhibit finding ", " "+ident.Name+" ") {
				return
			}
			findings++
			if key := keyOf(call); key != "" && !runbook.IsFindingKey(key) || key == "" && !keyed(call) {
				start, _ := call.Span()
				t.Errorf("%s:%d: the finding has no key, or a wrong one: %q", name, start.Line, key)
			}
		})
	}
	if findings < 100 {
		t.Errorf("only %d findings were seen", findings)
	}
}

// keyOf is the key that a call gives as it is written.
func keyOf(call *build.CallExpr) string {
	for _, arg := range call.List {
		if assign, ok := arg.(*build.AssignExpr); ok && assign.LHS.(*build.Ident).Name == "key" {
			if text, ok := assign.RHS.(*build.StringExpr); ok {
				return text.Value
			}
		}
	}
	return ""
}

// keyed reports whether it gives one at all, put together from parts.
func keyed(call *build.CallExpr) bool {
	for _, arg := range call.List {
		if assign, ok := arg.(*build.AssignExpr); ok && assign.LHS.(*build.Ident).Name == "key" {
			return true
		}
	}
	return false
}
