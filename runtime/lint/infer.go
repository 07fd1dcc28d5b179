package lint

import (
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/script"
)

// function is one that the runbook defines; a module's top level is one, too.
type function struct {
	in      *module
	name    string
	node    syntax.Node // DefStmt, LambdaExpr or File
	params  []syntax.Expr
	body    []syntax.Stmt
	outer   *function
	calls   []call
	uses    []use
	returns *typ
	busy    bool
}

// call is one function calling another, or handing it on to be called.
type call struct {
	to *function
	at syntax.Node
	as string // "call", or the builtin that it is handed to
}

// use is a call of a builtin.
type use struct {
	of *script.Builtin
	at syntax.Node
}

// def is the function's definition; nil for a lambda.
func (f *function) def() *syntax.DefStmt { d, _ := f.node.(*syntax.DefStmt); return d }

// collect notes what each variable may be, and which functions there are.
func (m *module) collect() {
	m.top = &function{in: m, name: "the top of " + m.file, node: m.tree, body: m.tree.Stmts}
	m.collectBody(m.top, m.tree.Stmts)
}

func (m *module) collectBody(f *function, body []syntax.Stmt) {
	for _, stmt := range body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt:
				inner := m.define(f, n, n.Name.Name, n.Params, n.Body)
				m.bind(f, n.Name, func() typ { return typ{names: []string{"function"}, fn: inner} })
				return false
			case *syntax.LambdaExpr:
				m.define(f, n, "lambda", n.Params, []syntax.Stmt{&syntax.ReturnStmt{Return: n.Lambda, Result: n.Body}})
				return false
			case *syntax.AssignStmt:
				m.assign(f, n)
				m.change(changed(n))
			case *syntax.CallExpr:
				m.change(changed(n))
				m.handedOn(n)
			case *syntax.ForStmt:
				m.bindElements(f, n.Vars, n.X)
			case *syntax.ForClause:
				m.bindElements(f, n.Vars, n.X)
			case *syntax.LoadStmt:
				for _, to := range n.To {
					m.bind(f, to, func() typ { return m.imported(to) })
				}
			}
			return true
		})
	}
}

func (m *module) define(outer *function, node syntax.Node, name string, params []syntax.Expr, body []syntax.Stmt) *function {
	f := &function{in: m, name: name, node: node, params: params, body: body, outer: outer}
	m.functions[node] = f
	for _, p := range params {
		id := paramName(p)
		if id == nil {
			continue
		}
		star, _ := p.(*syntax.UnaryExpr)
		m.bind(f, id, func() typ {
			switch {
			case star != nil && star.Op == syntax.STAR:
				return is("tuple")
			case star != nil:
				return is("dict")
			}
			return m.given(f, id.Name)
		})
		if def, ok := p.(*syntax.BinaryExpr); ok {
			m.collectBody(outer, []syntax.Stmt{&syntax.ExprStmt{X: def.Y}})
		}
	}
	m.collectBody(f, body)
	return f
}

// change notes that a variable's value is changed, so that its elements are not those that it began with.
func (m *module) change(id *syntax.Ident) {
	if id != nil && first(id) != nil {
		m.changes[first(id)] = true
	}
}

// handedOn notes the same of what a function gets that is no builtin: it may change it.
func (m *module) handedOn(e *syntax.CallExpr) {
	if id, ok := e.Fn.(*syntax.Ident); !ok || first(id) == nil {
		return
	}
	for _, arg := range e.Args {
		if named, ok := arg.(*syntax.BinaryExpr); ok {
			arg = named.Y
		}
		if id, ok := unparen(arg).(*syntax.Ident); ok {
			m.change(id)
		}
	}
}

// given is what a step's parameter is, as far as the runbook says it.
func (m *module) given(f *function, name string) typ {
	if def := f.def(); def != nil {
		if t, ok := m.lint.steps[place{m.label, def.Def.Line}][name]; ok {
			return t
		}
	}
	return anything
}

// paramName is the identifier of a parameter; nil for a bare *.
func paramName(p syntax.Expr) *syntax.Ident {
	switch p := p.(type) {
	case *syntax.Ident:
		return p
	case *syntax.BinaryExpr:
		return p.X.(*syntax.Ident)
	case *syntax.UnaryExpr:
		if p.X != nil {
			return p.X.(*syntax.Ident)
		}
	}
	return nil
}

// first is the identifier that stands for a variable.
func first(id *syntax.Ident) *syntax.Ident {
	if b, ok := id.Binding.(*resolve.Binding); ok && b.First != nil {
		return b.First
	}
	return nil
}

func (m *module) bind(f *function, id *syntax.Ident, is func() typ) {
	if v := first(id); v != nil {
		m.bindings[v] = append(m.bindings[v], is)
		if m.enclosing[v] == nil {
			m.enclosing[v] = f
		}
	}
}

func (m *module) assign(f *function, n *syntax.AssignStmt) {
	if n.Op != syntax.EQ {
		for _, id := range targets(n.LHS) {
			m.bind(f, id, func() typ { return m.operation(n.Op-syntax.PLUS_EQ+syntax.PLUS, m.variable(id), m.infer(n.RHS)) })
		}
		return
	}
	m.bindValue(f, n.LHS, func() typ { return m.infer(n.RHS) })
}

func (m *module) bindElements(f *function, vars, x syntax.Expr) {
	m.bindValue(f, vars, func() typ { return elements(m.infer(x)) })
}

// bindValue binds the variables of a pattern to a value or its parts.
func (m *module) bindValue(f *function, lhs syntax.Expr, value func() typ) {
	switch lhs := lhs.(type) {
	case *syntax.Ident:
		m.bind(f, lhs, value)
	case *syntax.ParenExpr:
		m.bindValue(f, lhs.X, value)
	case *syntax.TupleExpr:
		m.bindParts(f, lhs.List, value)
	case *syntax.ListExpr:
		m.bindParts(f, lhs.List, value)
	}
}

func (m *module) bindParts(f *function, list []syntax.Expr, value func() typ) {
	for i, e := range list {
		m.bindValue(f, e, func() typ {
			v := value()
			if len(v.items) == len(list) {
				return v.items[i]
			}
			return elements(v)
		})
	}
}

// elements is what is found by going through a value.
func elements(t typ) typ {
	if t.only("range") {
		return is("int")
	}
	if t.elem == nil || t.may("dict") {
		return anything
	}
	return *t.elem
}

func (m *module) imported(id *syntax.Ident) typ {
	from, ok := m.origin(id)
	if !ok {
		return anything
	}
	g := from.from.global(from.name)
	if g == nil {
		return anything
	}
	return from.from.variable(g)
}

// variable is what a variable may be: all that it is anywhere given.
func (m *module) variable(id *syntax.Ident) typ {
	v := first(id)
	if v == nil || m.bindings[v] == nil {
		return anything
	}
	if t, ok := m.memo[v]; ok {
		return t
	}
	m.memo[v] = anything // while it is looked for: it may depend on itself
	all := m.bindings[v][0]()
	for _, value := range m.bindings[v][1:] {
		all = all.or(value())
	}
	if m.changes[v] {
		all.elem, all.items = nil, nil
	}
	m.memo[v] = all
	return all
}

// infer is what an expression may be.
func (m *module) infer(e syntax.Expr) typ {
	if _, ok := e.(*syntax.Ident); !ok {
		if t, ok := m.memo[e]; ok {
			return t
		}
		m.memo[e] = anything
	}
	t := m.inferNew(e)
	if _, ok := e.(*syntax.Ident); !ok {
		m.memo[e] = t
	}
	return t
}

func (m *module) inferNew(e syntax.Expr) typ {
	switch e := e.(type) {
	case *syntax.Literal:
		return literal(e)
	case *syntax.Ident:
		return m.name(e)
	case *syntax.ParenExpr:
		return m.infer(e.X)
	case *syntax.ListExpr:
		return m.sequence("list", e.List)
	case *syntax.TupleExpr:
		return m.sequence("tuple", e.List)
	case *syntax.DictExpr:
		return m.dict(e)
	case *syntax.Comprehension:
		return m.comprehension(e)
	case *syntax.CondExpr:
		return m.infer(e.True).or(m.infer(e.False))
	case *syntax.UnaryExpr:
		if e.Op == syntax.NOT {
			return is("bool")
		}
		if e.X != nil && m.infer(e.X).known() {
			t := m.infer(e.X)
			t.text = nil
			return t
		}
	case *syntax.BinaryExpr:
		return m.binary(e)
	case *syntax.LambdaExpr:
		return typ{names: []string{"function"}, fn: m.functions[e]}
	case *syntax.DotExpr:
		return m.attribute(e)
	case *syntax.IndexExpr:
		return m.index(e)
	case *syntax.SliceExpr:
		t := m.infer(e.X)
		t.text, t.items = nil, nil
		return t
	case *syntax.CallExpr:
		return m.call(e)
	}
	return anything
}

func literal(e *syntax.Literal) typ {
	switch e.Token {
	case syntax.STRING:
		s := e.Value.(string)
		return typ{names: []string{"string"}, text: &s}
	case syntax.BYTES:
		return is("bytes")
	case syntax.FLOAT:
		return is("float")
	}
	return is("int")
}

func (m *module) name(id *syntax.Ident) typ {
	switch id.Name {
	case "None", "True", "False":
		if first(id) == nil {
			return map[string]typ{"None": is("NoneType"), "True": is("bool"), "False": is("bool")}[id.Name]
		}
	}
	if first(id) != nil {
		return m.variable(id)
	}
	if b := m.lint.byName[id.Name]; b != nil && (m.isName(id.Name) || starlark.Universe.Has(id.Name)) {
		return typ{names: []string{"builtin_function_or_method"}, builtin: b}
	}
	if m.isName(id.Name) { // a module
		return typ{names: []string{"module"}, module: id.Name}
	}
	return anything
}

func (m *module) sequence(kind string, list []syntax.Expr) typ {
	if len(list) == 0 {
		return is(kind)
	}
	var items []typ
	for _, e := range list {
		items = append(items, m.infer(e))
	}
	elem := items[0]
	for _, t := range items[1:] {
		elem = elem.or(t)
	}
	elem.text = nil
	t := of(kind, elem)
	if kind == "tuple" {
		t.items = items
	}
	return t
}

func (m *module) dict(e *syntax.DictExpr) typ {
	if len(e.List) == 0 {
		return is("dict")
	}
	var all typ
	for i, entry := range e.List {
		v := m.infer(entry.(*syntax.DictEntry).Value)
		if i == 0 {
			all = v
			continue
		}
		all = all.or(v)
	}
	all.text = nil
	return of("dict", all)
}

func (m *module) comprehension(e *syntax.Comprehension) typ {
	if entry, ok := e.Body.(*syntax.DictEntry); ok {
		return of("dict", m.infer(entry.Value))
	}
	return of("list", m.infer(e.Body))
}

func (m *module) binary(e *syntax.BinaryExpr) typ {
	switch e.Op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE, syntax.IN, syntax.NOT_IN:
		return is("bool")
	case syntax.AND, syntax.OR:
		t := m.infer(e.X).or(m.infer(e.Y))
		t.text = nil
		return t
	}
	return m.operation(e.Op, m.infer(e.X), m.infer(e.Y))
}

// operation is what an operator makes of two values: what the language makes of samples of their types.
func (m *module) operation(op syntax.Token, x, y typ) typ {
	if op == syntax.PERCENT && x.only("string") {
		return is("string")
	}
	if op == syntax.SLASH && x.known() && y.known() {
		return is("float")
	}
	if !everySample(x) || !everySample(y) {
		return anything
	}
	var all typ
	found := false
	for _, a := range x.names {
		for _, b := range y.names {
			v, err := starlark.Binary(op, samples[a], samples[b])
			if err != nil {
				continue
			}
			t := is(v.Type())
			if (a == "list" || a == "tuple") && a == b {
				t.elem = either(x, y, a, func(t typ) *typ { return t.elem })
			}
			if found {
				t = all.or(t)
			}
			all, found = t, true
		}
	}
	return all
}

// attribute is a field of a record, a function of a module, or a method.
func (m *module) attribute(e *syntax.DotExpr) typ {
	x := m.infer(e.X)
	if x.only("module") {
		if b := m.lint.byName[x.module+"."+e.Name.Name]; b != nil {
			return typ{names: []string{"builtin_function_or_method"}, builtin: b}
		}
		return anything
	}
	if x.only("struct") {
		if f, ok := x.fields[e.Name.Name]; ok {
			return f
		}
		return anything
	}
	for _, name := range x.names {
		if b := m.lint.byName[name+"."+e.Name.Name]; b != nil && (len(x.names) == 1 || len(x.names) == 2 && x.may("NoneType")) {
			return typ{names: []string{"builtin_function_or_method"}, builtin: b}
		}
	}
	if x.may("struct") && !x.open {
		if f, ok := x.fields[e.Name.Name]; ok {
			return f
		}
	}
	return anything
}

func (m *module) index(e *syntax.IndexExpr) typ {
	x := m.infer(e.X)
	switch {
	case x.only("string"):
		return is("string")
	case x.only("range"):
		return is("int")
	case x.elem != nil && (x.only("list") || x.only("tuple") || x.only("dict")):
		return *x.elem
	}
	return anything
}

// call is what a call returns.
func (m *module) call(e *syntax.CallExpr) typ {
	fn := m.infer(e.Fn)
	switch {
	case fn.fn != nil && fn.only("function"):
		return fn.fn.result()
	case fn.builtin == nil:
		return anything
	}
	switch fn.builtin.Name {
	case "struct":
		return m.record(e)
	case "list", "sorted", "reversed", "tuple", "set":
		if len(e.Args) > 0 {
			kind := strings.TrimSuffix(strings.TrimSuffix(fn.builtin.Name, "ed"), "revers")
			if kind != "tuple" && kind != "set" {
				kind = "list"
			}
			return of(kind, elements(m.infer(e.Args[0])))
		}
	case "look":
		if len(e.Args) > 1 {
			if do := m.infer(e.Args[1]); do.fn != nil {
				return do.fn.result().or(is("NoneType"))
			}
		}
	case "list.pop", "dict.get", "dict.values", "dict.pop":
		return anything
	}
	return shaped(fn.builtin.Shape())
}

// record is what struct() makes.
func (m *module) record(e *syntax.CallExpr) typ {
	t := is("struct")
	t.fields = map[string]typ{}
	for _, arg := range e.Args {
		if b, ok := arg.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			f := m.infer(b.Y)
			f.text = nil
			t.fields[b.X.(*syntax.Ident).Name] = f
			continue
		}
		t.open = true // **fields
	}
	return t
}

// result is what a function may return.
func (f *function) result() typ {
	if f.returns != nil {
		return *f.returns
	}
	if f.busy {
		return anything
	}
	f.busy = true
	defer func() { f.busy = false }()
	t, found := typ{}, false
	add := func(u typ) {
		u.text = nil
		if found {
			u = t.or(u)
		}
		t, found = u, true
	}
	returnsOf(f.body, func(r *syntax.ReturnStmt) {
		if r.Result == nil {
			add(is("NoneType"))
			return
		}
		add(f.in.infer(r.Result))
	})
	if !ends(f.in, f.body) {
		add(is("NoneType"))
	}
	f.returns = &t
	return t
}

// returnsOf visits the return statements of a function, not those of functions in it.
func returnsOf(body []syntax.Stmt, visit func(*syntax.ReturnStmt)) {
	for _, stmt := range body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				visit(n)
			}
			return true
		})
	}
}
