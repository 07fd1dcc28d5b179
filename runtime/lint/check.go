package lint

import (
	"cmp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

// check looks at a module that is the site's own.
func (m *module) check() {
	m.docstring()
	m.visit(m.top)
	for _, f := range m.ordered() {
		m.visit(f)
	}
	m.unused()
	m.checkCalls()
}

// ordered are the functions of a module as they stand in it.
func (m *module) ordered() []*function {
	var all []*function
	for _, f := range m.functions {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *function) int {
		p, q := syntax.Start(a.node), syntax.Start(b.node)
		return int(p.Line-q.Line)*1000 + int(p.Col-q.Col)
	})
	return all
}

// visit looks at all statements and expressions of a function, those of functions in it left out.
func (m *module) visit(f *function) {
	m.flow(f)
	for _, stmt := range f.body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt:
				m.shadows(n.Name)
				return false
			case *syntax.LambdaExpr:
				return n == f.node
			case *syntax.LoadStmt:
				return false
			}
			m.node(f, n)
			return true
		})
	}
}

func (m *module) node(f *function, n syntax.Node) {
	switch n := n.(type) {
	case *syntax.DotExpr:
		m.checkAttribute(n)
	case *syntax.CallExpr:
		m.checkCall(f, n)
	case *syntax.BinaryExpr:
		m.checkBinary(n)
	case *syntax.UnaryExpr:
		m.checkUnary(n)
	case *syntax.IndexExpr:
		m.checkIndex(n)
	case *syntax.SliceExpr:
		if t := m.infer(n.X); t.known() && !fits(t, func(v starlark.Value) bool { _, ok := v.(starlark.Sliceable); return ok }) {
			m.at(n, ruleType, "", "%s has no parts to take by [from:to]", an(t))
		}
	case *syntax.DictExpr:
		m.checkKeys(n)
	case *syntax.ForStmt:
		m.checkIterated(n.X)
		m.checkChangedMeanwhile(n)
	case *syntax.ForClause:
		m.checkIterated(n.X)
	case *syntax.AssignStmt:
		m.checkAssign(f, n)
	case *syntax.ExprStmt:
		m.checkEffect(f, n)
	case *syntax.IfStmt:
		m.checkCondition(n.Cond)
	case *syntax.CondExpr:
		m.checkCondition(n.Cond)
	}
}

// an names a type in a sentence.
func an(t typ) string {
	words := map[string]string{"NoneType": "None", "builtin_function_or_method": "function", "struct": "record"}
	var names []string
	for _, name := range t.names {
		if w := words[name]; w != "" {
			name = w
		}
		switch {
		case name == "None":
		case strings.ContainsAny(name[:1], "aeiou"):
			name = "an " + name
		default:
			name = "a " + name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// attributesOf lists what a type has; ok is false where that is not known.
func (m *module) attributesOf(t typ, name string) (list []string, ok bool) {
	switch name {
	case "module":
		for _, b := range m.lint.builtins {
			if member, in := strings.CutPrefix(b.Name, t.module+"."); in {
				list = append(list, member)
			}
		}
		return list, true
	case "struct":
		return sortedKeys(t.fields), t.fields != nil && !t.open
	case "param", "policy", "guard":
		return nil, true
	}
	sample, has := samples[name].(starlark.HasAttrs)
	if samples[name] == nil {
		return nil, false
	}
	if has {
		list = sample.AttrNames()
	}
	return list, true
}

func (m *module) checkAttribute(e *syntax.DotExpr) {
	t := m.infer(e.X)
	if !t.known() {
		return
	}
	var all []string
	for _, name := range t.names {
		list, ok := m.attributesOf(t, name)
		if !ok || slices.Contains(list, e.Name.Name) {
			return
		}
		all = append(all, list...)
	}
	want := e.Name.Name
	hint := ""
	for _, name := range t.names {
		if h, ok := attributeHabits[name+"."+want]; ok {
			hint = "instead: " + h
		}
	}
	if hint == "" && len(all) > 0 {
		hint = cmp.Or(near.Question(want, all), "it has "+strings.Join(all, ", "))
	}
	if t.only("module") {
		m.at(e.Name, ruleAttribute, hint, "%s has no function %s", t.module, want)
		return
	}
	if t.only("NoneType") {
		hint = "look at what returns None here: a function without return does"
	}
	m.at(e.Name, ruleAttribute, hint, "%s has no %s", an(t), want)
}

func (m *module) checkIterated(x syntax.Expr) {
	t := m.infer(x)
	if !t.known() || fits(t, isIterable) {
		return
	}
	hint := "go through a list"
	switch {
	case t.only("string"):
		hint = "for its characters: s.elems(); for its lines: s.splitlines(); for its words: s.split()"
	case t.only("int"):
		hint = "for numbers: range(n)"
	case t.only("NoneType"):
		hint = "look at what returns None here: a function without return does"
	}
	m.at(x, ruleType, hint, "%s cannot be gone through", an(t))
}

// mutators are the methods that change a value.
var mutators = list("append extend insert remove pop clear add discard update setdefault popitem")

func list(words string) []string { return strings.Fields(words) }

// changed is the variable that a statement or expression changes the value of; nil if it is none.
func changed(n syntax.Node) *syntax.Ident {
	var x syntax.Expr
	switch n := n.(type) {
	case *syntax.CallExpr:
		dot, ok := n.Fn.(*syntax.DotExpr)
		if !ok || !slices.Contains(mutators, dot.Name.Name) {
			return nil
		}
		x = dot.X
	case *syntax.AssignStmt:
		index, ok := unparen(n.LHS).(*syntax.IndexExpr)
		if !ok {
			return nil
		}
		x = index.X
	}
	for {
		switch y := x.(type) {
		case *syntax.ParenExpr:
			x = y.X
			continue
		case *syntax.Ident:
			return y
		}
		return nil
	}
}

func (m *module) checkChangedMeanwhile(loop *syntax.ForStmt) {
	over, ok := unparen(loop.X).(*syntax.Ident)
	if !ok || first(over) == nil {
		return
	}
	for i, stmt := range loop.Body {
		if i+1 < len(loop.Body) && endsStmt(m, loop.Body[i+1]) {
			continue
		}
		syntax.Walk(stmt, func(n syntax.Node) bool {
			if id := changed(n); id != nil && first(id) == first(over) {
				if _, isList := n.(*syntax.AssignStmt); !isList || m.infer(over).only("dict") && false {
					m.at(n, ruleIteration, "", "%s is changed while a loop goes through it", id.Name)
				}
			}
			return true
		})
	}
}

func (m *module) checkAssign(f *function, n *syntax.AssignStmt) {
	for _, id := range targets(n.LHS) {
		m.shadows(id)
	}
	if n.Op != syntax.EQ {
		m.checkOperation(n, n.Op-syntax.PLUS_EQ+syntax.PLUS, n.LHS, n.RHS)
		if l, ok := unparen(n.RHS).(*syntax.ListExpr); ok && n.Op == syntax.PLUS_EQ && len(l.List) == 1 && m.infer(n.LHS).only("list") {
			m.at(n, ruleAppend, "", "a list of one element is added to a list")
		}
	}
	switch lhs := unparen(n.LHS).(type) {
	case *syntax.DotExpr:
		if t := m.infer(lhs.X); !t.known() || t.only("struct") || t.only("module") {
			m.at(lhs, ruleType, "a record cannot be changed: make a new one with struct(), or keep a dict: d[\"name\"] = value", "a field cannot be assigned")
		}
	case *syntax.IndexExpr:
		t := m.infer(lhs.X)
		if t.only("string") || t.only("tuple") || t.only("struct") {
			m.at(lhs, ruleType, "make a new one, or keep a list or a dict", "%s cannot be changed", an(t))
		}
	}
	m.checkUnpacked(n)
	m.checkFrozen(f, n)
}

func (m *module) checkUnpacked(n *syntax.AssignStmt) {
	var want int
	switch lhs := unparen(n.LHS).(type) {
	case *syntax.TupleExpr:
		want = len(lhs.List)
	case *syntax.ListExpr:
		want = len(lhs.List)
	default:
		return
	}
	t := m.infer(n.RHS)
	if t.only("tuple") && t.items != nil && len(t.items) != want {
		m.at(n, ruleType, "give each variable a value", "%d values are assigned to %d variables", len(t.items), want)
	} else if t.known() && !fits(t, isIterable) {
		m.at(n.RHS, ruleType, "give each variable a value", "%s cannot be assigned to %d variables", an(t), want)
	}
}

// checkFrozen looks for a change of what a module defines, which cannot be changed when steps run.
func (m *module) checkFrozen(f *function, n syntax.Node) {
	id := changed(n)
	if id == nil || f == m.top || m.runsAtLoad(f) {
		return
	}
	b, ok := id.Binding.(*resolve.Binding)
	if !ok || b.First == nil || m.enclosing[b.First] != m.top {
		return
	}
	m.at(n, ruleFrozen, "", "%s is defined at the top of a module, and cannot be changed in %s", id.Name, f.name)
}

func (m *module) checkEffect(f *function, n *syntax.ExprStmt) {
	switch x := unparen(n.X).(type) {
	case *syntax.Literal:
		if x.Token == syntax.STRING {
			return // a docstring, or a comment
		}
		m.at(n, ruleNoEffect, "", "a value stands alone")
	case *syntax.CallExpr:
		t := m.infer(x.Fn)
		if b := t.builtin; b != nil && isMethodOf(b, "string") {
			m.at(n, ruleNoEffect, "assign the result: s = s."+strings.TrimPrefix(b.Name, "string.")+"(…)", "the result of %s is not used; the string itself stays as it is", strings.TrimPrefix(b.Name, "string."))
		} else if b != nil && slices.Contains(list("sorted reversed str int len list dict set tuple struct secret.text text.normalize"), b.Name) {
			m.at(n, ruleNoEffect, "assign the result: x = "+b.Name+"(…)", "the result of %s is not used", b.Name)
		}
	case *syntax.DotExpr, *syntax.Ident:
		if t := m.infer(x); t.builtin != nil || t.fn != nil {
			m.at(n, ruleNoEffect, "write () behind it", "a function is named, and not called")
			return
		}
		m.at(n, ruleNoEffect, "", "a value stands alone")
	case *syntax.Comprehension:
		m.at(n, ruleNoEffect, "write a for loop", "a list is made, and not used")
	case *syntax.BinaryExpr:
		hint := ""
		if x.Op == syntax.EQL {
			hint = "= assigns, == compares"
		}
		m.at(n, ruleNoEffect, hint, "a value stands alone")
	case *syntax.UnaryExpr, *syntax.IndexExpr, *syntax.ListExpr, *syntax.TupleExpr, *syntax.DictExpr, *syntax.CondExpr:
		m.at(n, ruleNoEffect, "", "a value stands alone")
	}
}

func isMethodOf(b *script.Builtin, of string) bool { return strings.HasPrefix(b.Name, of+".") }

// checkCondition looks for conditions that are always so: a function that is not called, a text that is not empty.
func (m *module) checkCondition(cond syntax.Expr) {
	switch c := unparen(cond).(type) {
	case *syntax.BinaryExpr:
		if c.Op == syntax.OR || c.Op == syntax.AND {
			m.checkCondition(c.X)
			m.checkCondition(c.Y)
		}
		return
	case *syntax.UnaryExpr:
		if c.Op == syntax.NOT {
			m.checkCondition(c.X)
		}
		return
	case *syntax.Literal:
		if s, ok := c.Value.(string); ok && s != "" {
			m.at(cond, ruleConstant, "compare it with something: x == \"a\" or x == \"b\", or x in (\"a\", \"b\")", "a text that is not empty always counts as true")
		}
		return
	}
	if t := m.infer(cond); t.only("function") || t.only("builtin_function_or_method") {
		m.at(cond, ruleConstant, "write () behind it", "a function always counts as true; it is not called here")
	}
}

func (m *module) checkKeys(e *syntax.DictExpr) {
	seen := map[string]bool{}
	for _, entry := range e.List {
		key := entry.(*syntax.DictEntry).Key
		if s, ok := text(key); ok {
			if seen[s] {
				m.at(key, ruleType, "leave one of them out", "key %q stands twice", s)
			}
			seen[s] = true
		}
		m.checkHashable(key)
	}
}

func (m *module) checkHashable(key syntax.Expr) {
	if t := m.infer(key); t.only("list") || t.only("dict") || t.only("set") {
		m.at(key, ruleType, "a tuple can be a key: tuple(xs)", "%s cannot be a key", an(t))
	} else if t.only("secret") {
		m.at(key, ruleType, "a secret can only be a value", "a secret cannot be a key")
	}
}

// shadows wants names of the language left alone.
func (m *module) shadows(id *syntax.Ident) {
	if v := first(id); v != id || m.enclosing[v] != m.top {
		return // within a function it is away where it is used, which is told
	}
	if v, ok := m.lint.testNames[id.Name]; ok && m.isName(id.Name) {
		m.at(id, ruleShadow, "", "%s takes the %s %s away", id.Name, map[bool]string{true: "module", false: "function"}[v.Type() == "module"], id.Name)
	} else if starlark.Universe.Has(id.Name) {
		m.at(id, ruleShadow, "", "%s takes %s of the language away", id.Name, id.Name)
	}
}

// docstring wants a module, and long functions that others can load, to say what they are for.
func (m *module) docstring() {
	if m.broken || len(m.tree.Stmts) == 0 {
		return
	}
	if !hasDocstring(m.tree.Stmts) {
		start := syntax.Start(m.tree.Stmts[0])
		m.span(start, syntax.Position{}, ruleDocstring, "", "the module has no docstring")
	}
	for _, f := range m.ordered() {
		def := f.def()
		if def == nil || f.outer != m.top || strings.HasPrefix(f.name, "_") || len(def.Body) < 5 || hasDocstring(def.Body) {
			continue
		}
		m.at(def.Name, ruleDocstring, "", "%s has no docstring", f.name)
	}
}

func hasDocstring(body []syntax.Stmt) bool {
	expr, ok := body[0].(*syntax.ExprStmt)
	if !ok {
		return false
	}
	_, ok = text(expr.X)
	return ok
}
