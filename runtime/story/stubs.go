package story

import (
	"cmp"
	"fmt"
	"strings"

	"zcp2kopano/runtime/script"
)

// stubTypes are the declared types as Python writes them.
var stubTypes = map[script.Type]string{
	script.String: "str", script.Path: "str", script.Mode: "str", script.Text: "str", script.SecretT: "str",
	script.Int: "int", script.Bool: "bool", script.Strings: "list[str]", script.Paths: "list[str]", script.Dict: "dict",
}

// shapeTypes are types of results as Python writes them.
var shapeTypes = map[string]string{
	"string": "str", "int": "int", "float": "float", "bool": "bool", "NoneType": "None", "list": "list", "dict": "dict", "tuple": "tuple", "secret": "str",
}

// Stubs are files in the syntax of Python from which editors know what a runbook can call: __init__.py holds the
// global names, NAME.py those of a module. Language servers for Starlark take such a directory.
func Stubs(builtins []*script.Builtin) map[string]string {
	files := map[string]string{}
	own := map[string]bool{}
	for _, b := range builtins {
		own[b.Name] = true
	}
	for _, b := range sorted(builtins) {
		name := "__init__.py"
		if m := moduleOf(b); m != "" {
			name = m + ".py"
		}
		files[name] += stub(b, own)
	}
	return files
}

// stub is that of one builtin. Own are the names of all: what a module calls list is no type in its file.
func stub(b *script.Builtin, own map[string]bool) string {
	typed := func(mark, name string) string {
		bare, _, _ := strings.Cut(name, "[")
		if name == "" || own[moduleOf(b)+"."+bare] {
			return ""
		}
		return mark + name
	}
	var out strings.Builder
	fmt.Fprintf(&out, "def %s(%s)%s:\n", strings.TrimPrefix(b.Name, moduleOf(b)+"."), stubParams(b, typed), typed(" -> ", stubResult(b)))
	doc := strings.TrimSpace(b.Doc)
	if len(b.Params) > 0 {
		doc += "\n\nArgs:"
	}
	for _, p := range b.Params {
		doc += "\n  " + strings.TrimLeft(p.Name, "*") + ": " + paramLine(p)
	}
	if b.Result != "" {
		doc += "\n\nReturns:\n  " + b.Result
	}
	doc = strings.ReplaceAll(strings.ReplaceAll(doc, `\`, `\\`), `"""`, `\"\"\"`)
	fmt.Fprintf(&out, "    \"\"\"%s\n    \"\"\"\n    ...\n\n", strings.ReplaceAll(doc, "\n", "\n    "))
	return out.String()
}

func stubParams(b *script.Builtin, typed func(mark, name string) string) string {
	var parts []string
	star := false
	for _, p := range b.Params {
		switch {
		case p.Rest:
			parts, star = append(parts, p.Name), true
			continue
		case p.Keyword && !star:
			parts, star = append(parts, "*"), true
		}
		parts = append(parts, stubParam(p, typed(": ", stubTypes[p.Type])))
	}
	return strings.Join(parts, ", ")
}

func stubParam(p script.Param, typed string) string {
	part, def := p.Name+typed, cmp.Or(p.Default, "None")
	if typed != "" && p.Optional && def == "None" {
		part += " | None"
	}
	if p.Optional {
		part += " = " + def
	}
	return part
}

func stubResult(b *script.Builtin) string {
	s := b.Shape()
	if len(s.Types) != 1 || shapeTypes[s.Types[0]] == "" {
		return ""
	}
	return shapeTypes[s.Types[0]]
}
