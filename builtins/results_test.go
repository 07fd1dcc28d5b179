package builtins_test

import (
	"fmt"
	"slices"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/builtins"
	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/runtime/script"
)

// TestResultsAreAsDeclared carries the examples out and holds each answer against what the declaration says of it: the
// checker of runbooks goes by that, and calls what is not declared a mistake.
func TestResultsAreAsDeclared(t *testing.T) {
	seen := 0
	var watched []*script.Builtin
	for _, b := range builtins.All() {
		copied := *b
		if value := b.Value; value != nil {
			copied.Value = func(c *script.Call) (starlark.Value, error) {
				v, err := value(c)
				if err == nil {
					seen++
					fits(t, b.Name, b.Shape(), orNone(v))
				}
				return v, err
			}
		}
		if decide := b.Decide; decide != nil {
			copied.Decide = func(c *script.Call) (script.Decision, error) {
				d, err := decide(c)
				if err == nil && d.Result != nil {
					seen++
					fits(t, b.Name, b.Shape(), d.Result)
				}
				return d, err
			}
		}
		watched = append(watched, &copied)
	}
	for _, b := range builtins.All() {
		builtintest.New(t, exampleHost, watched).Run(b.Example)
	}
	if seen < leastExamples {
		t.Errorf("only %d answers were seen", seen)
	}
}

func orNone(v starlark.Value) starlark.Value {
	if v == nil {
		return starlark.None
	}
	return v
}

func fits(t *testing.T, name string, s script.Shape, v starlark.Value) {
	t.Helper()
	if problem := misfit(s, v); problem != "" {
		t.Errorf("%s: %s: mend its Result", name, problem)
	}
}

func misfit(s script.Shape, v starlark.Value) string {
	if s.Types == nil {
		return ""
	}
	if !slices.Contains(s.Types, v.Type()) {
		return fmt.Sprintf("it returns a %s, and declares %v", v.Type(), s.Types)
	}
	if record, ok := v.(*starlarkstruct.Struct); ok && s.Fields != nil {
		fields := slices.Clone(s.Fields)
		slices.Sort(fields)
		if has := record.AttrNames(); !slices.Equal(has, fields) {
			return fmt.Sprintf("it returns a record of %v, and declares %v", has, fields)
		}
	}
	if dict, ok := v.(*starlark.Dict); ok && s.Elem != nil {
		var values []starlark.Value
		for _, item := range dict.Items() {
			values = append(values, item[1])
		}
		v = starlark.NewList(values)
	}
	if list, ok := v.(starlark.Sequence); ok && s.Elem != nil {
		for e := range starlark.Elements(list) {
			if problem := misfit(*s.Elem, e); problem != "" {
				return "in it: " + problem
			}
		}
	}
	return ""
}
