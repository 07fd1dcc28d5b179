package lint

import (
	"slices"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/runbook"
)

// Overridable lists the keys of the inhibitors in the texts of modules that an admin can override, as far as they stand
// there word for word.
func Overridable(modules map[string]string) []string {
	var keys []string
	for label, source := range modules {
		tree, err := (&syntax.FileOptions{Set: true}).Parse(label, source, 0)
		if err != nil {
			continue
		}
		syntax.Walk(tree, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok {
				if key := overridable(call); key != "" {
					keys = append(keys, key)
				}
			}
			return true
		})
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// overridable is the key of an inhibitor that is told by a call; empty if it tells none, or one that is final.
func overridable(call *syntax.CallExpr) string {
	if id, ok := call.Fn.(*syntax.Ident); !ok || id.Name != "inhibit" {
		return ""
	}
	var f runbook.Finding
	a := argumentsOf(call)
	if len(a.positional) > 0 {
		f.Title, _ = text(a.positional[0])
	}
	for _, arg := range a.named {
		word, _ := text(arg.Y)
		id, _ := arg.Y.(*syntax.Ident)
		switch nameOf(arg) {
		case "title":
			f.Title = word
		case "key":
			if word == "" {
				return ""
			}
			f.Key = word
		case "final":
			if id == nil || id.Name != "False" {
				return ""
			}
		}
	}
	f.Name()
	return f.Key
}
