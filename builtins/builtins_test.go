package builtins_test

import (
	_ "embed"
	"strings"
	"testing"

	"zcp2kopano/builtins"
	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/script"
)

//go:embed testdata/examples.txtar
var exampleHost string

// leastExamples guards against builtins that get lost.
const leastExamples = 60

// TestExamples carries the example of every builtin out, each on a fresh host. An example may end in
// a finding; it must not fail.
func TestExamples(t *testing.T) {
	n := 0
	for _, b := range builtins.All() {
		t.Run(b.Name, func(t *testing.T) {
			n++
			r := builtintest.New(t, exampleHost, builtins.All()).Run(b.Example)
			if r.Verdict.Code != exit.Done && r.Verdict.Code != exit.Inhibited {
				t.Errorf("%s\n%s", b.Example, r.Verdict.Text)
			}
			if called := b.Name + "("; !strings.Contains(b.Example, called) {
				t.Errorf("the example does not call %s", b.Name)
			}
		})
	}
	if n < leastExamples {
		t.Errorf("only %d examples, at least %d are expected", n, leastExamples)
	}
}

// TestDeclarations holds every builtin to a complete declaration: the reference is made of it.
func TestDeclarations(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range builtins.All() {
		if seen[b.Name] {
			t.Errorf("%s is declared twice", b.Name)
		}
		seen[b.Name] = true
		first, _, _ := strings.Cut(b.Doc, "\n")
		if b.Doc == "" || !strings.HasSuffix(strings.TrimSpace(b.Doc), ".") || len(first) > 160 {
			t.Errorf("%s: Doc %q must begin with one short sentence", b.Name, b.Doc)
		}
		if b.Result == "" || b.Example == "" {
			t.Errorf("%s: no Result or no Example", b.Name)
		}
		if (b.Value != nil) == (b.Decide != nil) || (b.Decide != nil) != (b.Effect == script.Change) {
			t.Errorf("%s: Value and Decide do not fit the effect %s", b.Name, b.Effect)
		}
		for _, p := range b.Params {
			if p.Name == "" || p.Doc == "" || p.Type == "" {
				t.Errorf("%s: parameter %q lacks a type or a description", b.Name, p.Name)
			}
		}
	}
}
