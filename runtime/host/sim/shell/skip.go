package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// miss reports something that is not carried out.
func (in *interp) miss(line uint, code, why string, leaves ...Path) {
	in.missed = true
	in.m.Missed(Missed{Script: in.file_, Line: line, Code: code, Why: why, Leaves: leaves})
}

// skip passes over a statement. Variables that it would set are not known from there on; if it could end
// the script, nobody knows what of the rest is done.
func (in *interp) skip(s *syntax.Stmt, why string) error {
	return in.skipFailing(s, why, false)
}

// skipFailing is skip, of a statement that may stand behind a failure: there "exit" alone is one too.
func (in *interp) skipFailing(s *syntax.Stmt, why string, failing bool) error {
	in.miss(s.Pos().Line(), code(s), why)
	in.taint(s)
	if in.status.Code != 0 {
		in.status = Status{Unknown: true}
	}
	if in.mayEnd(s, failing) {
		return in.giveUp(s, "whether the script goes on behind this line is not known")
	}
	return nil
}

// giveUp follows a script no further.
func (in *interp) giveUp(s *syntax.Stmt, why string) error {
	in.miss(s.Pos().Line(), "the rest of the script", why)
	return &exitError{Status{Unknown: true}}
}

// taint makes all variables unknown that a node sets, and forgets functions that it declares.
func (in *interp) taint(node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil {
				in.env.set(n.Name.Value, "", true)
			}
		case *syntax.WordIter:
			in.env.set(n.Name.Value, "", true)
		case *syntax.FuncDecl:
			if n.Name != nil {
				delete(in.funcs, n.Name.Value)
			}
		case *syntax.ParamExp:
			if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) && n.Param != nil {
				in.env.set(n.Param.Value, "", true)
			}
		case *syntax.CallExpr:
			in.taintCall(n)
		}
		return true
	})
}

func (in *interp) taintCall(call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	name := call.Args[0].Lit()
	switch name {
	case "read", "local", "export", "readonly", "unset", "getopts":
		for _, w := range call.Args[1:] {
			variable, _, _ := strings.Cut(w.Lit(), "=")
			if len(w.Parts) > 0 {
				if lit, ok := w.Parts[0].(*syntax.Lit); ok {
					variable, _, _ = strings.Cut(lit.Value, "=")
				}
			}
			if syntax.ValidName(variable) {
				in.env.set(variable, "", true)
			}
		}
	}
	if body, ok := in.funcs[name]; ok {
		delete(in.funcs, name) // so that one that calls itself comes to an end
		in.taint(body)
		in.funcs[name] = body
	}
}

// mayEnd reports whether a node could end the script, function or loop that it is in without that being a
// failure, or changes what everything behind it depends on.
func (in *interp) mayEnd(node syntax.Node, failing bool) bool {
	ends := false
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Subshell, *syntax.CmdSubst, *syntax.FuncDecl:
			return false
		case *syntax.CallExpr:
			ends = ends || in.callMayEnd(n, failing)
		}
		return true
	})
	return ends
}

func (in *interp) callMayEnd(call *syntax.CallExpr, failing bool) bool {
	if len(call.Args) == 0 {
		return false
	}
	switch name := call.Args[0].Lit(); name {
	case "exit", "return":
		if len(call.Args) == 1 {
			return !failing
		}
		status := call.Args[1].Lit()
		return status == "" && !failing || strings.Trim(status, "0") == "" && status != ""
	case "break", "continue", "exec", "set", "shift", "cd", "eval":
		return true
	default:
		body, ok := in.funcs[name]
		if !ok {
			return false
		}
		delete(in.funcs, name)
		defer func() { in.funcs[name] = body }()
		ends := false
		syntax.Walk(body, func(n syntax.Node) bool {
			if c, is := n.(*syntax.CallExpr); is && len(c.Args) > 0 && c.Args[0].Lit() != "return" {
				ends = ends || in.callMayEnd(c, failing)
			}
			return true
		})
		return ends
	}
}

// plain reports whether a statement does nothing but speak, and whether it always succeeds.
func plain(s *syntax.Stmt) (harmless, succeeds bool) {
	if s.Background || s.Negated || !onlyToTerminal(s.Redirs) {
		return false, false
	}
	switch cmd := s.Cmd.(type) {
	case *syntax.Block:
		for _, inner := range cmd.Stmts {
			if harmless, succeeds = plain(inner); !harmless {
				return false, false
			}
		}
		return len(cmd.Stmts) > 0, succeeds
	case *syntax.CallExpr:
		if len(cmd.Args) == 0 || len(cmd.Assigns) > 0 || hasSubstitution(cmd) {
			return false, false
		}
		switch cmd.Args[0].Lit() {
		case "true", ":", "echo", "printf":
			return true, true
		case "false":
			return true, false
		}
	}
	return false, false
}

// asks reports whether a statement is a test, which changes nothing.
func asks(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || s.Background || !onlyToTerminal(s.Redirs) || len(call.Args) == 0 || len(call.Assigns) > 0 || hasSubstitution(call) {
		return false
	}
	name := call.Args[0].Lit()
	return name == "test" || name == "["
}

func onlyToTerminal(redirs []*syntax.Redirect) bool {
	for _, r := range redirs {
		switch name := r.Word.Lit(); r.Op {
		case syntax.DplOut:
		case syntax.RdrOut, syntax.AppOut:
			if name != "/dev/null" && name != "/dev/stderr" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func hasSubstitution(node syntax.Node) bool {
	has := false
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp:
			has = true
		case *syntax.ParamExp:
			has = has || n.Exp != nil
		}
		return !has
	})
	return has
}

// code is a statement in one short line.
func code(s *syntax.Stmt) string {
	const limit = 120
	c := *s
	c.Comments = nil
	var b strings.Builder
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, &c); err != nil {
		return "a command"
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + " ..."
	}
	return text
}
