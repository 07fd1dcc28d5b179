package lint

import (
	"math/big"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

func (m *module) checkBinary(e *syntax.BinaryExpr) {
	x, y := m.infer(e.X), m.infer(e.Y)
	switch e.Op {
	case syntax.EQ, syntax.AND, syntax.OR: // EQ is a named argument
	case syntax.EQL, syntax.NEQ:
		m.checkCompared(e, x, y)
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		m.checkOrdered(e, x, y)
	case syntax.IN, syntax.NOT_IN:
		m.checkIn(e, x, y)
	default:
		m.checkOperation(e, e.Op, e.X, e.Y)
	}
}

func (m *module) checkCompared(e *syntax.BinaryExpr, x, y typ) {
	if x.only("secret") || y.only("secret") {
		m.at(e, ruleType, "`if password:` asks whether there is one", "a secret is not compared with anything")
		return
	}
	if !everySample(x) || !everySample(y) || x.may("NoneType") || y.may("NoneType") {
		return
	}
	for _, a := range x.names {
		for _, b := range y.names {
			if a == b || numeric(a) && numeric(b) {
				return
			}
		}
	}
	if x.only("function") || y.only("function") || x.only("builtin_function_or_method") || y.only("builtin_function_or_method") {
		m.at(e, ruleConstant, "write () behind the function", "a function is compared, and not called")
		return
	}
	m.at(e, ruleConstant, "convert one of them: str(x), int(x)", "%s never equals %s", an(x), an(y))
}

func numeric(name string) bool { return name == "int" || name == "float" }

func (m *module) checkOrdered(e *syntax.BinaryExpr, x, y typ) {
	if x.only("secret") || y.only("secret") {
		m.at(e, ruleType, "`if password:` asks whether there is one", "a secret is not compared with anything")
		return
	}
	if !everySample(x) || !everySample(y) {
		return
	}
	for _, a := range x.names {
		for _, b := range y.names {
			if _, err := starlark.Compare(e.Op, samples[a], samples[b]); err == nil {
				return
			}
		}
	}
	m.at(e, ruleType, "convert one of them: int(x), str(x)", "%s and %s have no order", an(x), an(y))
}

func (m *module) checkIn(e *syntax.BinaryExpr, x, y typ) {
	if y.only("string") && x.known() && !x.may("string") {
		m.at(e, ruleType, "a text is looked for in a text: str(x) in s", "%s cannot be in a string", an(x))
		return
	}
	if y.known() && !y.only("string") && !fits(y, func(v starlark.Value) bool {
		_, err := starlark.Binary(syntax.IN, starlark.String("x"), v)
		return err == nil || !strings.HasPrefix(err.Error(), "unknown binary op")
	}) {
		m.at(e.Y, ruleType, "look in a list, a dict, a set or a string", "nothing can be in %s", an(y))
	}
}

// checkOperation asks the language whether an operator takes values of these types.
func (m *module) checkOperation(at syntax.Node, op syntax.Token, ex, ey syntax.Expr) {
	x, y := m.infer(ex), m.infer(ey)
	if op == syntax.PERCENT && x.only("string") {
		m.checkFormat(at, x, ey, y)
		return
	}
	if op == syntax.SLASH && x.only("int") && y.only("int") {
		m.at(at, ruleDivision, "", "the quotient is a number with a fraction")
	}
	if (op == syntax.SLASH || op == syntax.SLASHSLASH || op == syntax.PERCENT) && isZero(ey) {
		m.at(ey, ruleType, "", "nothing can be divided by zero")
		return
	}
	if !everySample(x) || !everySample(y) {
		return
	}
	for _, a := range x.names {
		for _, b := range y.names {
			if _, err := starlark.Binary(op, samples[a], samples[b]); err == nil || !strings.HasPrefix(err.Error(), "unknown binary op") {
				return
			}
		}
	}
	m.at(at, ruleType, operationHint(op, x, y), "%s cannot be used between %s and %s", op, an(x), an(y))
}

func isZero(e syntax.Expr) bool {
	lit, ok := unparen(e).(*syntax.Literal)
	return ok && (lit.Value == int64(0) || lit.Value == float64(0))
}

func operationHint(op syntax.Token, x, y typ) string {
	switch {
	case op != syntax.PLUS:
		return ""
	case x.only("dict") && y.only("dict"):
		return "for dicts: x | y"
	case x.only("list") || y.only("list"):
		return "make a list of it: [x], list(x)"
	case x.only("string") || y.only("string"):
		return "make text of it with str(x), or write \"%s %d\" % (name, n)"
	case x.only("set") && y.only("set"):
		return "for sets: x | y"
	}
	return ""
}

func (m *module) checkUnary(e *syntax.UnaryExpr) {
	if e.X == nil || e.Op == syntax.NOT || e.Op == syntax.STAR || e.Op == syntax.STARSTAR {
		return
	}
	if t := m.infer(e.X); t.known() && !fits(t, func(v starlark.Value) bool { _, err := starlark.Unary(e.Op, v); return err == nil }) {
		m.at(e, ruleType, "only numbers have a sign", "%s cannot stand before %s", e.Op, an(t))
	}
}

func (m *module) checkIndex(e *syntax.IndexExpr) {
	x, y := m.infer(e.X), m.infer(e.Y)
	if x.only("module") {
		m.at(e, ruleType, "write a dot: "+x.module+".name", "a module has no elements")
		return
	}
	if x.may("struct") && x.known() && !x.may("dict") && !x.may("list") {
		if s, ok := text(e.Y); ok {
			m.at(e, ruleType, "write a dot: x."+s, "a record has no elements")
			return
		}
	}
	switch {
	case !x.known():
	case x.only("dict"):
		m.checkHashable(e.Y)
	case !fits(x, func(v starlark.Value) bool {
		_, indexable := v.(starlark.Indexable)
		_, mapping := v.(starlark.Mapping)
		return indexable || mapping
	}):
		m.at(e, ruleType, indexHint(x), "%s has no elements to take by [ ]", an(x))
	case (x.only("list") || x.only("string") || x.only("tuple") || x.only("range")) && y.known() && !y.may("int"):
		m.at(e.Y, ruleType, "the number of the element counts from 0; a dict is asked by a key", "the elements of %s have numbers, not %s", an(x), an(y))
	case x.only("tuple") && x.items != nil:
		m.checkTupleIndex(e, len(x.items))
	}
}

func indexHint(t typ) string {
	if t.may("builtin_function_or_method") || t.may("function") {
		return "call it with ( )"
	}
	return "take an element of a list, a dict, a tuple or a string"
}

func (m *module) checkTupleIndex(e *syntax.IndexExpr, n int) {
	lit, ok := unparen(e.Y).(*syntax.Literal)
	if !ok {
		return
	}
	if i, ok := lit.Value.(int64); ok && int(i) >= n {
		m.at(e.Y, ruleType, "the first element has the number 0", "the tuple has %d elements, and none of number %d", n, i)
	}
}

// checkFormat holds a format against the values that it is given.
func (m *module) checkFormat(at syntax.Node, format typ, values syntax.Expr, t typ) {
	if format.text == nil {
		return
	}
	verbs, named, problem := verbsOf(*format.text)
	if problem != "" {
		m.at(at, ruleFormat, "", "%s", problem)
		return
	}
	if named {
		if t.known() && !t.may("dict") {
			m.at(values, ruleFormat, "give a dict: \"%(name)s\" % {\"name\": x}", "the format names its values")
		}
		return
	}
	given := []typ{t}
	switch {
	case t.only("tuple") && t.items != nil:
		given = t.items
	case t.only("tuple") && isEmptyTuple(values):
		given = nil
	case !t.known() || t.may("tuple") || t.may("dict") && len(verbs) == 0:
		return
	}
	if len(given) != len(verbs) {
		m.at(at, ruleFormat, formatHint(len(verbs), len(given)), "the format takes %s, and gets %d", count(len(verbs), "value"), len(given))
		return
	}
	for i, verb := range verbs {
		m.checkVerb(values, verb, given[i])
	}
}

func isEmptyTuple(e syntax.Expr) bool {
	t, ok := unparen(e).(*syntax.TupleExpr)
	return ok && len(t.List) == 0
}

func formatHint(verbs, given int) string {
	if given == 1 && verbs > 1 {
		return "several values stand in parentheses: \"%s %s\" % (a, b)"
	}
	return "each % of the format takes one value; a percent sign is written %%"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return big.NewInt(int64(n)).String() + " " + what + "s"
}

func (m *module) checkVerb(at syntax.Expr, verb rune, t typ) {
	ok := true
	switch verb {
	case 'd', 'i', 'o', 'x', 'X':
		ok = t.may("int") || t.may("float") || t.may("bool") && false
	case 'e', 'f', 'g', 'E', 'F', 'G':
		ok = t.may("int") || t.may("float")
	case 'c':
		ok = t.may("int") || t.may("string")
	}
	if !ok {
		m.at(at, ruleFormat, "write %s, which takes any value", "%%%c takes a number, and gets %s", verb, an(t))
	}
}

// verbsOf are the verbs of a format, and whether they are named.
func verbsOf(format string) (verbs []rune, named bool, problem string) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i < len(format) && format[i] == '(' {
			end := strings.IndexByte(format[i:], ')')
			if end < 0 {
				return nil, false, "the format has %( without )"
			}
			named, i = true, i+end+1
		}
		if i >= len(format) {
			return nil, false, "the format ends with %; a percent sign is written %%"
		}
		verb, size := utf8.DecodeRuneInString(format[i:])
		switch {
		case verb == '%':
		case strings.ContainsRune("srdioxXeEfFgGc", verb):
			verbs = append(verbs, verb)
		case strings.ContainsRune("0123456789.-+ #*", verb):
			return nil, false, "the format has %" + upToLetter(format[i:]) + ": there are no widths and no numbers of digits"
		default:
			return nil, false, "the format has %" + string(verb) + ", which is unknown; a percent sign is written %%"
		}
		i += size - 1
	}
	return verbs, named, ""
}

func upToLetter(s string) string {
	for i, c := range s {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return s[:i+1]
		}
	}
	return s
}
