package lint

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/syntax"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// position reads "12:5: in f".
func position(text string) (line, col int32) {
	parts := strings.SplitN(text, ":", 3)
	l, _ := strconv.Atoi(parts[0])
	c := 1
	if len(parts) > 1 {
		c, _ = strconv.Atoi(parts[1])
	}
	return int32(max(l, 1)), int32(max(c, 1))
}

// targets are the variables that an assignment gives a value.
func targets(lhs syntax.Expr) []*syntax.Ident {
	switch lhs := lhs.(type) {
	case *syntax.Ident:
		return []*syntax.Ident{lhs}
	case *syntax.ParenExpr:
		return targets(lhs.X)
	case *syntax.TupleExpr:
		return allTargets(lhs.List)
	case *syntax.ListExpr:
		return allTargets(lhs.List)
	}
	return nil
}

func allTargets(list []syntax.Expr) []*syntax.Ident {
	var all []*syntax.Ident
	for _, e := range list {
		all = append(all, targets(e)...)
	}
	return all
}

func unparen(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}

// text is the value of a string literal.
func text(e syntax.Expr) (string, bool) {
	lit, ok := unparen(e).(*syntax.Literal)
	if !ok || lit.Token != syntax.STRING {
		return "", false
	}
	return lit.Value.(string), true
}

// split takes the next step off an error that ends in one.
func split(message string) (what, hint string) {
	i := strings.LastIndex(message, "; ")
	if i < 0 {
		return message, ""
	}
	return message[:i], message[i+2:]
}
