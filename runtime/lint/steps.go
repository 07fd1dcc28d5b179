package lint

import (
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// learn notes what the functions of steps are for, and what their parameters are, now that the runbook says it.
func (c *checker) learn(book *runbook.Runbook) {
	known := map[string]typ{}
	for _, p := range book.Params {
		known[p.Name] = typeOfParam(p)
	}
	for _, s := range book.All() {
		pos := placeOf(s.Pos())
		c.roles[pos] = roleOf(book, s)
		if c.steps[pos] == nil {
			c.steps[pos] = map[string]typ{}
		}
		for _, name := range s.Takes() {
			t, ok := known[name]
			if old, twice := c.steps[pos][name]; twice {
				t = t.or(old)
			}
			if ok {
				c.steps[pos][name] = t
			}
		}
		if r := book.Results[s.Name]; r != nil {
			known[s.Name] = c.typeOfResult(s, r)
		}
	}
	c.forget()
}

// forget lets go of what was inferred: it rested on less than is known now.
func (c *checker) forget() {
	for _, m := range c.modules {
		clear(m.memo)
		for _, f := range m.functions {
			f.returns = nil
		}
	}
}

func roleOf(book *runbook.Runbook, s *runbook.Step) string {
	switch {
	case book.IsCheck(s):
		return "check"
	case book.IsClosing(s):
		return "verify"
	}
	return "step"
}

// place is where a step's function stands.
type place struct {
	label string
	line  int32
}

func placeOf(pos syntax.Position) place { return place{pos.Filename(), pos.Line} }

func typeOfParam(p *runbook.ParamSpec) typ {
	var t typ
	switch {
	case p.Secret:
		return is("secret")
	case p.Type == script.Int:
		t = is("int")
	case p.Type == script.Bool:
		t = is("bool")
	case p.Type == script.String || p.Type == script.Path:
		t = is("string")
	default:
		return anything
	}
	if p.Default == nil && !p.Required {
		return t.or(is("NoneType"))
	}
	return t
}

// typeOfResult is what a step gets that takes the result of another: the fields that the runbook tells of, and those
// that a function of the site's own returns beyond. It may be None, where that one was left out or found what stands in
// the way.
func (c *checker) typeOfResult(s *runbook.Step, r *runbook.Result) typ {
	t := is(r.Type)
	if len(r.Fields) > 0 {
		t.fields = map[string]typ{}
		for _, f := range r.Fields {
			t.fields[f.Name] = anything
		}
	}
	if f := c.functionAt(placeOf(s.Pos())); f != nil && f.in.own && t.fields != nil {
		returned := f.result()
		t.open = returned.fields == nil || returned.open
		for name := range returned.fields {
			t.fields[name] = anything
		}
	}
	return t.or(is("NoneType"))
}

// checkRunbook looks at what only the whole runbook tells.
func (c *checker) checkRunbook(main *module, book *runbook.Runbook) {
	for _, s := range book.All() {
		if r := book.Results[s.Name]; r != nil {
			c.checkResult(book, s, r)
		}
	}
	c.unusedParams(main, book)
}

// checkResult holds what a step's function returns, as far as that is known, against what the runbook says of it.
func (c *checker) checkResult(book *runbook.Runbook, s *runbook.Step, r *runbook.Result) {
	f := c.functionAt(placeOf(s.Pos()))
	takers := book.Takers(s)
	if f == nil || !f.in.own {
		return
	}
	t := f.result()
	hint := "end it with return " + r.Text()
	by := strings.Join(takers, ", ")
	switch {
	case !t.known():
	case t.only("NoneType"):
		if len(takers) > 0 {
			f.in.at(f.def().Name, ruleResult, hint, "step %s returns None, and its result is taken by %s", s.Name, by)
		}
	case !t.may(r.Type):
		f.in.at(f.def().Name, ruleResult, hint, "step %s returns %s", s.Name, an(t))
	case t.fields != nil && !t.open && r.Type == "struct":
		if missing := r.Missing(sortedKeys(t.fields)); missing != nil {
			f.in.at(f.def().Name, ruleResult, hint, "step %s returns a record without %s", s.Name, strings.Join(missing, ", "))
		}
	}
}

func (c *checker) functionAt(p place) *function {
	m := c.modules[p.label]
	if m == nil {
		return nil
	}
	for _, f := range m.functions {
		if def := f.def(); def != nil && def.Def.Line == p.line {
			return f
		}
	}
	return nil
}

// unusedParams finds parameters of the runbook that no function takes. Those of a runbook of the program's own are left
// to it: a site may have left steps out.
func (c *checker) unusedParams(main *module, book *runbook.Runbook) {
	taken := map[string]bool{}
	for _, m := range c.modules {
		for _, f := range m.functions {
			for _, p := range f.params {
				if id := paramName(p); id != nil {
					taken[id.Name] = true
				}
			}
		}
	}
	for _, m := range c.modules {
		if !m.own {
			continue
		}
		for _, stmt := range m.tree.Stmts {
			syntax.Walk(stmt, func(n syntax.Node) bool {
				call, ok := n.(*syntax.CallExpr)
				if !ok {
					return true
				}
				if b := m.infer(call.Fn).builtin; b == nil || b.Name != "param" || len(call.Args) == 0 {
					return true
				}
				name, ok := text(call.Args[0])
				if ok && !taken[name] && slices.ContainsFunc(book.Params, func(p *runbook.ParamSpec) bool { return p.Name == name }) {
					m.at(call.Args[0], ruleUnusedParam, "", "no step takes the parameter %s", name)
				}
				return true
			})
		}
	}
}
