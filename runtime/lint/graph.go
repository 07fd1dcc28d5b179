package lint

import (
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

func (c *checker) isKey(key string) bool { return runbook.IsFindingKey(key) }

// graph notes what the functions of a stock module call, which are not looked at otherwise.
func (f *function) graph() {
	m := f.in
	if m.own || f.busy || f.calls != nil || f.uses != nil {
		return
	}
	for _, stmt := range f.body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt:
				return false
			case *syntax.LambdaExpr:
				return n == f.node
			case *syntax.CallExpr:
				m.checkCall(f, n)
			}
			return true
		})
	}
}

// reach visits all functions that a function calls, itself included, with the first call on the way there.
func (f *function) reach(visit func(g *function, by syntax.Node)) {
	seen := map[*function]bool{f: true}
	f.graph()
	visit(f, nil)
	var walk func(g *function, by syntax.Node)
	walk = func(g *function, by syntax.Node) {
		for _, c := range g.calls {
			if seen[c.to] || c.to == nil || !called(c.as) {
				continue
			}
			seen[c.to] = true
			at := by
			if at == nil {
				at = c.at
			}
			c.to.graph()
			visit(c.to, at)
			walk(c.to, at)
		}
	}
	walk(f, nil)
}

// called reports whether a function is surely called then and there: define and struct only keep what they are given.
func called(as string) bool {
	return slices.Contains([]string{"call", "look", "sorted", "max", "min"}, as)
}

// runsAtLoad reports whether a function is called while its module is loaded.
func (m *module) runsAtLoad(f *function) bool {
	found := false
	m.top.reach(func(g *function, _ syntax.Node) { found = found || g == f })
	return found
}

// checkCalls looks at who calls whom: recursion, and what may not be called where it is.
func (m *module) checkCalls() {
	for _, f := range m.ordered() {
		m.recursion(f)
	}
	m.top.reach(func(g *function, by syntax.Node) {
		for _, u := range g.uses {
			if !onHost(u.of) {
				continue
			}
			at, rule := by, ruleMaybeEffect
			if at == nil {
				at, rule = u.at, ruleEffect
			}
			m.at(at, rule, "put it into a step: a function with a docstring", "%s works on the run, so it can only be called inside a step; this is called while the runbook is loaded", u.of.Name)
			return
		}
	})
	m.checkRoles()
}

func onHost(b *script.Builtin) bool {
	return b.Effect == script.Read || b.Effect == script.Change || b.InStep
}

func (m *module) recursion(f *function) {
	if f.in != m {
		return
	}
	for _, c := range f.calls {
		if c.to == nil || !called(c.as) {
			continue
		}
		again := false
		c.to.reach(func(g *function, _ syntax.Node) { again = again || g == f })
		if again {
			m.at(c.at, ruleRecursion, "", "%s calls itself%s", f.name, map[bool]string{true: "", false: ", by way of " + c.to.name}[c.to == f])
			return
		}
	}
}

// checkRoles looks at the functions that define(), after() and others are given: what they are decides what they
// may call.
func (m *module) checkRoles() {
	roles := m.rolesIn()
	for _, f := range m.ordered() {
		role := roles[f]
		if role == "" {
			continue
		}
		f.reach(func(g *function, by syntax.Node) {
			for _, u := range g.uses {
				at, rule := by, ruleMaybeEffect
				if at == nil {
					at, rule = u.at, ruleEffect
				}
				switch {
				case role != "step" && u.of.Effect == script.Change:
					m.at(at, rule, "a change belongs into a step between them", "%s changes the host, and %s of a runbook changes nothing", u.of.Name, role)
				case role != "check" && u.of.Name == "look":
					m.at(at, rule, "call the function itself: a failure ends the run, which can be resumed", "look is for the check of a runbook, which may go on after a failure")
				}
			}
		})
		m.checkStepFunction(f)
	}
}

func (m *module) checkStepFunction(f *function) {
	def := f.def()
	if m.stubs[f.name] {
		return
	}
	if def == nil {
		m.at(f.node, ruleStep, "write def name(): with a docstring", "a lambda cannot be a step: a step has a name and a docstring")
		return
	}
	if !hasDocstring(def.Body) {
		m.at(def.Name, ruleStep, "begin it with a text in three double quotes: its first line tells the admin what the step does", "step %s has no docstring", f.name)
	}
	for _, p := range def.Params {
		if u, ok := p.(*syntax.UnaryExpr); ok && u.X != nil {
			m.at(p, ruleStep, "name what it needs: parameters of the runbook, or earlier steps whose result it uses", "step %s takes %s", f.name, map[bool]string{true: "**kwargs", false: "*args"}[u.Op == syntax.STARSTAR])
		}
	}
}

// rolesIn finds what functions of the module are for: "check", "step", "verify".
func (m *module) rolesIn() map[*function]string {
	roles := map[*function]string{}
	for _, stmt := range m.tree.Stmts {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			if e, ok := n.(*syntax.CallExpr); ok {
				m.rolesOf(e, roles)
			}
			return true
		})
	}
	for _, f := range m.functions {
		if role := m.lint.roles[placeOf(syntax.Start(f.node))]; role != "" && f.def() != nil {
			roles[f] = role
		}
	}
	return roles
}

func (m *module) rolesOf(e *syntax.CallExpr, roles map[*function]string) {
	b := m.infer(e.Fn).builtin
	if b == nil {
		return
	}
	a := argumentsOf(e)
	give := func(arg syntax.Expr, role string) {
		for _, f := range m.functionsIn(arg) {
			if f.in == m {
				roles[f] = role
			}
		}
	}
	switch b.Name {
	case "define":
		for _, arg := range a.named {
			if name := nameOf(arg); name == "check" || name == "verify" || name == "steps" {
				give(arg.Y, strings.TrimSuffix(name, "s"))
			}
		}
	case "runbook.after", "runbook.before", "runbook.replace":
		if len(a.positional) == 2 {
			give(a.positional[1], "step")
		}
	}
}

// functionsIn are the functions that an argument names: one, or those in a list.
func (m *module) functionsIn(e syntax.Expr) []*function {
	if l, ok := unparen(e).(*syntax.ListExpr); ok {
		var all []*function
		for _, item := range l.List {
			all = append(all, m.functionsIn(item)...)
		}
		return all
	}
	if t := m.infer(e); t.fn != nil {
		return []*function{t.fn}
	}
	return nil
}
