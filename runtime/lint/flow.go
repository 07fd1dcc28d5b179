package lint

import (
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// ends reports whether nothing follows a block: it returns, fails, or leaves a loop.
func ends(m *module, body []syntax.Stmt) bool {
	for _, stmt := range body {
		if endsStmt(m, stmt) {
			return true
		}
	}
	return false
}

func endsStmt(m *module, stmt syntax.Stmt) bool {
	switch stmt := stmt.(type) {
	case *syntax.ReturnStmt:
		return true
	case *syntax.BranchStmt:
		return stmt.Token != syntax.PASS
	case *syntax.IfStmt:
		return stmt.False != nil && ends(m, stmt.True) && ends(m, stmt.False)
	case *syntax.ExprStmt:
		call, ok := stmt.X.(*syntax.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fn.(*syntax.Ident)
		return ok && first(id) == nil && (id.Name == "fail" || id.Name == "finish")
	}
	return false
}

// flow looks at the order in which statements run.
func (m *module) flow(f *function) {
	m.unreachable(f.body)
	if f.def() != nil {
		m.returnsAlike(f)
		m.unassigned(f)
	}
}

func (m *module) unreachable(body []syntax.Stmt) {
	for i, stmt := range body {
		if i > 0 && endsStmt(m, body[i-1]) {
			m.at(stmt, ruleUnreachable, "", "no way leads here: the statement before ends the way")
			return
		}
		switch stmt := stmt.(type) {
		case *syntax.IfStmt:
			m.unreachable(stmt.True)
			m.unreachable(stmt.False)
		case *syntax.ForStmt:
			m.unreachable(stmt.Body)
		}
	}
}

// returnsAlike wants a value of all ways through a function, or of none.
func (m *module) returnsAlike(f *function) {
	var bare *syntax.ReturnStmt
	valued := false
	returnsOf(f.body, func(r *syntax.ReturnStmt) {
		if r.Result != nil {
			valued = true
		} else if bare == nil {
			bare = r
		}
	})
	switch {
	case !valued:
	case bare != nil:
		m.at(bare, ruleReturn, "", "%s returns a value elsewhere, and none here", f.name)
	case !ends(m, f.body):
		m.at(f.def().Name, ruleReturn, "", "%s returns a value on some ways, and none at its end", f.name)
	}
}

// state are the variables that have a value for sure.
type state map[*syntax.Ident]bool

func (s state) clone() state {
	c := state{}
	for k := range s {
		c[k] = true
	}
	return c
}

// both keeps what two ways have in common; nil is a way that ended.
func both(a, b state) state {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	c := state{}
	for k := range a {
		if b[k] {
			c[k] = true
		}
	}
	return c
}

// unassigned finds variables that are used before they have a value.
func (m *module) unassigned(f *function) {
	w := &assignments{m: m, f: f, told: map[*syntax.Ident]bool{}, some: map[*syntax.Ident]bool{}}
	s := state{}
	for _, p := range f.params {
		if id := paramName(p); id != nil {
			s[first(id)] = true
		}
	}
	w.block(f.body, s)
}

type assignments struct {
	m    *module
	f    *function
	told map[*syntax.Ident]bool
	some map[*syntax.Ident]bool // variables that have a value on some way to here
}

func (w *assignments) block(body []syntax.Stmt, s state) state {
	for _, stmt := range body {
		if s == nil {
			return nil
		}
		s = w.stmt(stmt, s)
	}
	return s
}

func (w *assignments) stmt(stmt syntax.Stmt, s state) state {
	switch stmt := stmt.(type) {
	case *syntax.AssignStmt:
		w.use(stmt.RHS, s)
		if stmt.Op != syntax.EQ {
			w.use(stmt.LHS, s)
		}
		w.give(stmt.LHS, s)
	case *syntax.DefStmt:
		w.give(stmt.Name, s)
	case *syntax.ExprStmt:
		w.use(stmt.X, s)
	case *syntax.ReturnStmt:
		if stmt.Result != nil {
			w.use(stmt.Result, s)
		}
	case *syntax.IfStmt:
		w.use(stmt.Cond, s)
		return both(w.block(stmt.True, s.clone()), w.block(stmt.False, s.clone()))
	case *syntax.ForStmt:
		w.use(stmt.X, s)
		inner := s.clone()
		w.give(stmt.Vars, inner)
		w.later(stmt.Body)
		w.block(stmt.Body, inner)
		return s
	}
	if endsStmt(w.m, stmt) {
		return nil
	}
	return s
}

func (w *assignments) give(lhs syntax.Expr, s state) {
	for _, id := range targets(lhs) {
		if v := first(id); v != nil {
			s[v], w.some[v] = true, true
		}
	}
	w.useParts(lhs, s)
}

// later notes what the body of a loop gives a value, which it may have when the loop goes round again.
func (w *assignments) later(body []syntax.Stmt) {
	for _, stmt := range body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			var given syntax.Expr
			switch n := n.(type) {
			case *syntax.AssignStmt:
				given = n.LHS
			case *syntax.ForStmt:
				given = n.Vars
			case *syntax.DefStmt:
				given = n.Name
			}
			if given != nil {
				for _, id := range targets(given) {
					w.some[first(id)] = true
				}
			}
			_, inner := n.(*syntax.DefStmt)
			return !inner
		})
	}
}

// useParts looks at what stands within the target of an assignment: x[key] = value uses x and key.
func (w *assignments) useParts(lhs syntax.Expr, s state) {
	switch lhs := lhs.(type) {
	case *syntax.IndexExpr:
		w.use(lhs.X, s)
		w.use(lhs.Y, s)
	case *syntax.DotExpr:
		w.use(lhs.X, s)
	}
}

func (w *assignments) use(e syntax.Expr, s state) {
	syntax.Walk(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.LambdaExpr, *syntax.Comprehension:
			if c, ok := n.(*syntax.Comprehension); ok {
				if clause, ok := c.Clauses[0].(*syntax.ForClause); ok {
					w.use(clause.X, s)
				}
			}
			return false
		case *syntax.DotExpr:
			w.use(n.X, s)
			return false
		case *syntax.BinaryExpr:
			if n.Op == syntax.EQ { // a named argument
				w.use(n.Y, s)
				return false
			}
		case *syntax.Ident:
			w.ident(n, s)
		}
		return true
	})
}

func (w *assignments) ident(id *syntax.Ident, s state) {
	b, ok := id.Binding.(*resolve.Binding)
	if !ok || b.First == nil || (b.Scope != resolve.Local && b.Scope != resolve.Cell) || s[b.First] || w.told[b.First] {
		return
	}
	if w.m.enclosing[b.First] != w.f {
		return
	}
	w.told[b.First] = true
	hint := ""
	if w.m.global(id.Name) != nil || w.m.isLoaded(id.Name) {
		hint = "the function makes a variable of that name, which hides the one of the module; what a module defines cannot be changed: use another name"
	} else if w.m.isName(id.Name) || w.m.lint.byName[id.Name] != nil {
		hint = "the function makes a variable of that name, which hides " + id.Name + " of the language: use another name"
	}
	if w.some[b.First] {
		w.m.at(id, ruleMaybe, hint, "%s may have no value here", id.Name)
		return
	}
	w.m.at(id, ruleUnassigned, hint, "%s is used here before it has a value", id.Name)
}

func (m *module) isLoaded(name string) bool {
	for to := range m.loads {
		if to.Name == name {
			return true
		}
	}
	return false
}

// unused finds variables that nobody reads.
func (m *module) unused() {
	read := map[*syntax.Ident]bool{}
	for _, stmt := range m.tree.Stmts {
		m.reads(stmt, read)
	}
	for v, f := range m.enclosing {
		if read[v] || strings.HasPrefix(v.Name, "_") && f != m.top {
			continue
		}
		switch {
		case f == m.top && m.isTo(v):
			m.at(v, ruleUnusedLoad, "", "%s is loaded and not used", v.Name)
		case f == m.top && strings.HasPrefix(v.Name, "_"):
			m.at(v, ruleUnused, "remove it", "%s is not used, and no other module can load it", v.Name)
		case f != m.top && !m.isParam(f, v) && !m.isLoopVar(f, v):
			m.at(v, ruleUnused, "", "variable %s is unused", v.Name)
		}
	}
}

func (m *module) isTo(v *syntax.Ident) bool {
	for _, stmt := range m.tree.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			for _, to := range load.To {
				if to == v {
					return true
				}
			}
		}
	}
	return false
}

func (m *module) isParam(f *function, v *syntax.Ident) bool {
	for _, p := range f.params {
		if paramName(p) == v {
			return true
		}
	}
	return false
}

// isLoopVar reports whether a loop gives a variable its values: it then may be there for the count alone.
func (m *module) isLoopVar(f *function, v *syntax.Ident) bool {
	found := false
	for _, stmt := range f.body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			var vars syntax.Expr
			switch n := n.(type) {
			case *syntax.ForStmt:
				vars = n.Vars
			case *syntax.ForClause:
				vars = n.Vars
			}
			if vars != nil {
				for _, id := range targets(vars) {
					found = found || first(id) == v
				}
			}
			return true
		})
	}
	return found
}

// reads notes the variables that are read.
func (m *module) reads(n syntax.Node, read map[*syntax.Ident]bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.AssignStmt:
			m.reads(n.RHS, read)
			if len(targets(n.LHS)) == 0 || n.Op != syntax.EQ {
				m.reads(n.LHS, read)
			} else {
				m.readsParts(n.LHS, read)
			}
			return false
		case *syntax.ForStmt:
			m.reads(n.X, read)
			for _, s := range n.Body {
				m.reads(s, read)
			}
			return false
		case *syntax.DefStmt:
			for _, p := range n.Params {
				if def, ok := p.(*syntax.BinaryExpr); ok {
					m.reads(def.Y, read)
				}
			}
			for _, s := range n.Body {
				m.reads(s, read)
			}
			return false
		case *syntax.LoadStmt:
			return false
		case *syntax.DotExpr:
			m.reads(n.X, read)
			return false
		case *syntax.BinaryExpr:
			if n.Op == syntax.EQ {
				m.reads(n.Y, read)
				return false
			}
		case *syntax.Ident:
			if v := first(n); v != nil {
				read[v] = true
			}
		}
		return true
	})
}

// readsParts looks into a pattern, where x[i] reads x.
func (m *module) readsParts(lhs syntax.Expr, read map[*syntax.Ident]bool) {
	switch lhs := lhs.(type) {
	case *syntax.TupleExpr:
		for _, e := range lhs.List {
			m.readsParts(e, read)
		}
	case *syntax.ListExpr:
		for _, e := range lhs.List {
			m.readsParts(e, read)
		}
	case *syntax.ParenExpr:
		m.readsParts(lhs.X, read)
	case *syntax.Ident:
	default:
		m.reads(lhs, read)
	}
}
