package script_test

import (
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// TestLanguageIsDeclared: what is declared of the language is what it has, function by function and method by method.
func TestLanguageIsDeclared(t *testing.T) {
	declared := map[string][]string{}
	for _, b := range script.Language() {
		group, name, dotted := strings.Cut(b.Name, ".")
		if !dotted {
			group, name = "", b.Name
		}
		declared[group] = append(declared[group], name)
		if b.Doc == "" || b.Result == "" {
			t.Errorf("%s has no doc or result", b.Name)
		}
	}
	predeclared := script.Predeclared(nil)
	var functions []string
	for name, v := range starlark.Universe {
		if _, ok := v.(starlark.Callable); ok {
			functions = append(functions, name)
		}
	}
	has := map[string][]string{
		"": append(functions, "struct"), "json": predeclared["json"].(starlark.HasAttrs).AttrNames(),
		"string": starlark.String("").AttrNames(), "bytes": starlark.Bytes("").AttrNames(), "list": starlark.NewList(nil).AttrNames(),
		"dict": starlark.NewDict(0).AttrNames(), "set": starlark.NewSet(0).AttrNames(),
	}
	for group, names := range has {
		slices.Sort(names)
		slices.Sort(declared[group])
		if !slices.Equal(names, declared[group]) {
			t.Errorf("%q has\n%v\nand declared are\n%v", group, names, declared[group])
		}
	}
}

func TestShapeOf(t *testing.T) {
	for text, want := range map[string]string{
		"record(a, b): a is x, b is y":           "struct [a b]",
		"record(name, gid), or None if there is": "struct NoneType [name gid]",
		"None, or record(link, owner): path":     "NoneType struct [link owner]",
		"list of record(a), in order":            "list of struct [a]",
		"list of strings, a problem each":        "list of string",
		"string or secret; default if it":        "string secret",
		"string, or a secret":                    "string secret",
		"bool":                                   "bool",
		"what the function returns":              "",
		"dict of lists of record(version)":       "dict of list of struct [version]",
		"list of names, in order; empty if":      "list of string",
		"None; or, if its log said, record(x)":   "NoneType",
	} {
		if got := shown(script.ShapeOf(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func shown(s script.Shape) string {
	text := strings.Join(s.Types, " ")
	if s.Fields != nil {
		text += " [" + strings.Join(s.Fields, " ") + "]"
	}
	if s.Elem != nil {
		text += " of " + shown(*s.Elem)
	}
	return text
}
