package story

import (
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
	for _, b := range sorted(builtins) {
		name := "__init__.py"
		if m := moduleOf(b); m != "" {
			name = m + ".py"
		}
		files[name] += stub(b)
	}
	return files
}

func stub(b *script.Builtin) string {
	var out strings.Builder
	fmt.Fprintf(&out, "def %s(%s)%s:\n", strings.TrimPrefix(b.Name, moduleOf(b)+"."), stubParams(b), stubResult(b))
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
	fmt.Fprintf(&out, "    \"\"\"%s\n    \"\"\"\n    pass\n\n", strings.ReplaceAll(doc, "\n", "\n    "))
	return out.String()
}

func stubParams(b *script.Builtin) string {
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
		part := p.Name
		if t := stubTypes[p.Type]; t != "" {
			part += ": " + t
		}
		if p.Optional {
			def := p.Default
			if def == "" {
				def = "None"
			}
			part += " = " + def
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func stubResult(b *script.Builtin) string {
	s := b.Shape()
	if len(s.Types) != 1 || shapeTypes[s.Types[0]] == "" {
		return ""
	}
	return " -> " + shapeTypes[s.Types[0]]
}
