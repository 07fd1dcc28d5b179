package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

// arguments are those of a call, sorted out.
type arguments struct {
	positional []syntax.Expr
	named      []*syntax.BinaryExpr
	more       bool // *args
	moreNamed  bool // **kwargs
}

func argumentsOf(e *syntax.CallExpr) arguments {
	var a arguments
	for _, arg := range e.Args {
		switch arg := arg.(type) {
		case *syntax.BinaryExpr:
			if arg.Op == syntax.EQ {
				a.named = append(a.named, arg)
				continue
			}
		case *syntax.UnaryExpr:
			if arg.Op == syntax.STAR {
				a.more = true
				continue
			}
			if arg.Op == syntax.STARSTAR {
				a.moreNamed = true
				continue
			}
		}
		a.positional = append(a.positional, arg)
	}
	return a
}

func nameOf(arg *syntax.BinaryExpr) string { return arg.X.(*syntax.Ident).Name }

func (m *module) checkCall(f *function, e *syntax.CallExpr) {
	t := m.infer(e.Fn)
	switch {
	case t.builtin != nil:
		f.uses = append(f.uses, use{t.builtin, e})
		m.checkBuiltin(f, e, t.builtin)
	case t.fn != nil && t.only("function"):
		f.calls = append(f.calls, call{t.fn, e, "call"})
		m.checkDefined(e, t.fn)
	case t.only("module"):
		members, _ := m.attributesOf(t, "module")
		m.at(e.Fn, ruleType, "it has "+strings.Join(members, ", "), "the module %s is called; call one of its functions", t.module)
	case t.known() && !t.may("function") && !t.may("builtin_function_or_method") && everySample(t):
		hint := "leave the ( ) out"
		if t.only("string") {
			hint = "an operator or a comma is missing before ("
		}
		m.at(e.Fn, ruleType, hint, "%s cannot be called", an(t))
	}
	m.checkFrozen(f, e)
	for _, arg := range e.Args { // what is handed on may be called there
		if b, ok := arg.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			arg = b.Y
		}
		if t := m.infer(arg); t.fn != nil {
			as := ""
			if b := m.infer(e.Fn).builtin; b != nil {
				as = b.Name
			}
			f.calls = append(f.calls, call{t.fn, e, as})
		}
	}
}

// checkBuiltin holds a call against the declaration of a builtin.
func (m *module) checkBuiltin(f *function, e *syntax.CallExpr, b *script.Builtin) {
	a := argumentsOf(e)
	params := b.Params
	bound := map[string]syntax.Expr{}
	m.checkPositional(e, b, a, bound)
	for _, arg := range a.named {
		m.checkNamed(b, arg, bound)
	}
	for _, p := range params {
		value, given := bound[p.Name]
		if given {
			m.checkArgument(b, p, value)
			continue
		}
		if !p.Optional && !a.more && !a.moreNamed {
			m.span(e.Rparen, syntax.Position{}, ruleArguments, b.Signature(), "%s: missing argument %s", b.Name, p.Name)
		}
	}
	m.checkSpecial(e, b, a)
}

func (m *module) checkPositional(e *syntax.CallExpr, b *script.Builtin, a arguments, bound map[string]syntax.Expr) {
	var positional []script.Param
	for _, p := range b.Params {
		if p.Rest && !strings.HasPrefix(p.Name, "**") {
			for i, arg := range a.positional {
				if i < len(positional) {
					bound[positional[i].Name] = arg
				}
			}
			return
		}
		if !p.Keyword && !p.Rest {
			positional = append(positional, p)
		}
	}
	for i, arg := range a.positional {
		if i < len(positional) {
			bound[positional[i].Name] = arg
			continue
		}
		hint := b.Signature()
		if v, ok := m.constant(arg); ok && i < len(b.Params) && b.Params[i].Keyword && b.Params[i].Check(v) == nil {
			hint = "give it by its name: " + b.Params[i].Name + " = …"
		}
		m.at(arg, ruleArguments, hint, "%s takes %s without a name, and gets %d", b.Name, count(len(positional), "argument"), len(a.positional))
		return
	}
}

func (m *module) checkNamed(b *script.Builtin, arg *syntax.BinaryExpr, bound map[string]syntax.Expr) {
	name := nameOf(arg)
	var names []string
	for _, p := range b.Params {
		if strings.HasPrefix(p.Name, "**") {
			return
		}
		if p.Name == name && p.Positional {
			m.at(arg, ruleArguments, "leave the name out: "+b.Signature(), "%s takes %s without its name", b.Name, name)
			return
		}
		if p.Name == name {
			if bound[name] != nil {
				m.at(arg, ruleArguments, b.Signature(), "%s: argument %s is given twice", b.Name, name)
			}
			bound[name] = arg.Y
			return
		}
		if !p.Rest && !p.Positional {
			names = append(names, p.Name)
		}
	}
	m.at(arg.X, ruleArguments, cmp.Or(near.Question(name, names), b.Signature()), "%s: unexpected argument %s", b.Name, name)
}

// accepted are the types of the language that a declared type takes.
var accepted = map[script.Type][]string{
	script.String: {"string"}, script.Path: {"string"}, script.Mode: {"string"}, script.Int: {"int"}, script.Bool: {"bool"},
	script.Strings: {"list", "tuple", "set"}, script.Paths: {"list", "tuple", "set"}, script.Dict: {"dict"},
	script.SecretT: {"string", "secret"}, script.Text: {"string", "secret"}, script.Function: {"function", "builtin_function_or_method"},
	script.Iterable: {"list", "tuple", "dict", "set", "range", "iterable"}, script.Sized: {"list", "tuple", "dict", "set", "range", "string", "bytes"},
	script.Number: {"int", "float"},
}

func (m *module) checkArgument(b *script.Builtin, p script.Param, arg syntax.Expr) {
	if v, ok := m.constant(arg); ok {
		if v == starlark.None && p.Optional {
			return
		}
		if err := p.Check(v); err != nil {
			problem, hint := split(err.Error())
			if !strings.HasPrefix(hint, "did you mean") {
				problem, hint = err.Error(), valueHint(b, p, v)
			}
			m.at(arg, ruleValue, hint, "%s: argument %s: %s", b.Name, p.Name, problem)
			return
		}
		if v == starlark.None && accepted[p.Type] != nil {
			m.at(arg, ruleArguments, b.Signature(), "%s: argument %s: got None, want %s", b.Name, p.Name, p.Type)
			return
		}
	}
	want := accepted[p.Type]
	t := m.infer(arg)
	if want == nil || !t.known() || slices.ContainsFunc(want, t.may) || p.Optional && t.may("NoneType") {
		m.checkElements(b, p, arg, t)
		return
	}
	hint := b.Signature()
	switch {
	case t.only("secret"):
		hint = "a secret can only be given where one is asked for: the content of fs.write, the values of cfg.set, secret.text(\"login %s\", pw)"
	case p.Type == script.Mode:
		hint = "a mode is text: mode = \"0640\""
	case want[0] == "string" && t.only("int"):
		hint = "write it as text, in quotes, or str(x)"
	case want[0] == "list" && t.only("string"):
		hint = "make a list of it: [x]"
	case t.only("NoneType"):
		hint = "look at what returns None here: a function without return does"
	}
	m.at(arg, ruleArguments, hint, "%s: argument %s: got %s, want %s", b.Name, p.Name, an(t), p.Type)
}

func (m *module) checkElements(b *script.Builtin, p script.Param, arg syntax.Expr, t typ) {
	texts := p.Type == script.Strings || p.Type == script.Paths || b.Name == "string.join"
	if !texts || t.elem == nil || t.may("NoneType") || !t.elem.known() || t.elem.may("string") {
		return
	}
	m.at(arg, ruleArguments, "make text of each: [str(x) for x in xs], or [x.name for x in xs]", "%s: argument %s: got a list of %s, want list of strings", b.Name, p.Name, an(*t.elem))
}

func valueHint(b *script.Builtin, p script.Param, v starlark.Value) string {
	_, isInt := v.(starlark.Int)
	_, isText := v.(starlark.String)
	switch {
	case p.Type == script.Mode:
		return "a mode is text of octal digits: mode = \"0640\""
	case p.Type == script.Path && isText:
		return "a path begins with / and is written in its shortest form"
	case (p.Type == script.Strings || p.Type == script.Paths) && isText:
		return fmt.Sprintf("make a list of it: [%s]", v)
	case (p.Type == script.String || p.Type == script.Text) && isInt:
		return fmt.Sprintf("write it as text: \"%s\"", v)
	case p.Type == script.Bool && isText:
		return "write True or False, without quotes"
	case p.Type == script.Int && isText:
		return "write the number without quotes"
	case len(p.Choices) > 0:
		return "one of " + strings.Join(p.Choices, ", ")
	}
	return b.Signature()
}

// constant is the value of an expression that is always the same.
func (m *module) constant(e syntax.Expr) (starlark.Value, bool) {
	switch e := unparen(e).(type) {
	case *syntax.Literal:
		switch v := e.Value.(type) {
		case string:
			return starlark.String(v), e.Token == syntax.STRING
		case int64:
			return starlark.MakeInt64(v), true
		case float64:
			return starlark.Float(v), true
		}
	case *syntax.Ident:
		switch {
		case first(e) != nil:
		case e.Name == "None":
			return starlark.None, true
		case e.Name == "True" || e.Name == "False":
			return starlark.Bool(e.Name == "True"), true
		}
	case *syntax.ListExpr:
		return m.constants(e.List)
	case *syntax.TupleExpr:
		return m.constants(e.List)
	}
	if t := m.infer(e); t.text != nil {
		return starlark.String(*t.text), true
	}
	return nil, false
}

// constants takes a list of constants as one.
func (m *module) constants(list []syntax.Expr) (starlark.Value, bool) {
	var all []starlark.Value
	for _, e := range list {
		v, ok := m.constant(e)
		if !ok {
			return nil, false
		}
		all = append(all, v)
	}
	return starlark.NewList(all), true
}

// checkSpecial knows what single builtins want beyond their declaration.
func (m *module) checkSpecial(e *syntax.CallExpr, b *script.Builtin, a arguments) {
	switch b.Name {
	case "string.format":
		m.checkFormatCall(e, a)
	case "max", "min":
		if len(a.positional) == 0 && !a.more {
			m.at(e, ruleArguments, "give it a list: "+b.Name+"(xs)", "%s gets no argument", b.Name)
		}
		if len(a.positional) == 1 && !a.more {
			m.checkIterated(a.positional[0])
		}
	case "info", "warn", "inhibit":
		for _, arg := range a.named {
			if key, ok := text(arg.Y); ok && nameOf(arg) == "key" && !m.lint.isKey(key) {
				m.at(arg.Y, ruleValue, "like \"attachments/s3-prefix\"", "%s: key %q: want lower case letters, digits, hyphens and slashes", b.Name, key)
			}
		}
	case "string.split", "string.partition", "string.rpartition", "string.rsplit":
		if len(a.positional) > 0 {
			if sep, ok := text(a.positional[0]); ok && sep == "" {
				m.at(a.positional[0], ruleValue, "for its characters: list(s.elems())", "the separator is empty")
			}
		}
	case "run":
		if len(a.positional) > 0 {
			m.checkCommand(a.positional[0])
		}
	case "int":
		if len(a.positional) == 1 {
			if s, ok := text(a.positional[0]); ok {
				if _, err := starlark.Call(&starlark.Thread{}, starlark.Universe["int"], starlark.Tuple{starlark.String(s)}, nil); err != nil {
					m.at(a.positional[0], ruleValue, "give it digits", "%v", err)
				}
			}
		}
	}
}

// checkCommand holds what run() is to run against what it takes.
func (m *module) checkCommand(arg syntax.Expr) {
	l, ok := unparen(arg).(*syntax.ListExpr)
	if !ok {
		return
	}
	if len(l.List) == 0 {
		m.at(arg, ruleValue, "[\"/absolute/program\", \"argument\"]", "run gets no program")
		return
	}
	program, ok := text(l.List[0])
	if ok && script.CheckPath(program) != nil {
		m.at(l.List[0], ruleValue, "the program is given by its absolute path, and each argument as an element of its own", "run: %v", script.CheckPath(program))
	}
}

// checkFormatCall holds "{} {name}".format(…) against its arguments.
func (m *module) checkFormatCall(e *syntax.CallExpr, a arguments) {
	dot, ok := e.Fn.(*syntax.DotExpr)
	if !ok {
		return
	}
	t := m.infer(dot.X)
	if t.text == nil || a.more || a.moreNamed {
		return
	}
	fields, problem := fieldsOf(*t.text)
	if problem != "" {
		m.at(dot.X, ruleFormat, "put the number into the form that is wanted before; {} alone takes any value", "%s", problem)
		return
	}
	automatic := 0
	for _, field := range fields {
		i := -1
		switch {
		case field == "":
			i = automatic
			automatic++
		case field[0] >= '0' && field[0] <= '9':
			_, _ = fmt.Sscan(field, &i)
		default:
			if !slices.ContainsFunc(a.named, func(arg *syntax.BinaryExpr) bool { return nameOf(arg) == field }) {
				m.at(e, ruleFormat, "give it by its name: "+field+" = …", "the format names %s, which is not given", field)
			}
			continue
		}
		if i >= len(a.positional) {
			m.at(e, ruleFormat, "give a value for each {}", "the format takes more values than the %d that it gets", len(a.positional))
			return
		}
	}
}

// fieldsOf are the names in the braces of a format.
func fieldsOf(format string) (fields []string, problem string) {
	for {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			return fields, ""
		}
		if strings.HasPrefix(format[i:], "{{") || strings.HasPrefix(format[i:], "}}") {
			format = format[i+2:]
			continue
		}
		end := strings.IndexByte(format[i:], '}')
		if format[i] == '}' || end < 0 {
			return nil, "the format has a single brace; a brace is written {{ or }}"
		}
		field := format[i+1 : i+end]
		if strings.Contains(field, ":") {
			return nil, "the format has {" + field + "}: there are no widths and no numbers of digits"
		}
		if strings.ContainsAny(field, ".[") {
			return nil, "the format has {" + field + "}: a field takes a whole value"
		}
		field, _, _ = strings.Cut(field, "!")
		fields = append(fields, field)
		format = format[i+end+1:]
	}
}

// checkDefined holds a call against a function of the runbook's.
func (m *module) checkDefined(e *syntax.CallExpr, f *function) {
	a := argumentsOf(e)
	s := signatureOf(f)
	bound := map[string]bool{}
	for i, arg := range a.positional {
		if i < len(s.positional) {
			bound[s.positional[i]] = true
			continue
		}
		if !s.rest {
			m.at(arg, ruleArguments, s.text(f.name), "%s takes %s, and gets %d", f.name, count(len(s.positional), "argument"), len(a.positional))
			break
		}
	}
	for _, arg := range a.named {
		name := nameOf(arg)
		known := slices.Contains(s.positional, name) || slices.Contains(s.keyword, name)
		switch {
		case !known && !s.restNamed:
			names := append(slices.Clone(s.positional), s.keyword...)
			m.at(arg.X, ruleArguments, cmp.Or(near.Question(name, names), s.text(f.name)), "%s: unexpected argument %s", f.name, name)
		case bound[name]:
			m.at(arg, ruleArguments, s.text(f.name), "%s: argument %s is given twice", f.name, name)
		}
		bound[name] = true
	}
	if a.more || a.moreNamed {
		return
	}
	for _, name := range append(slices.Clone(s.positional), s.keyword...) {
		if !bound[name] && !s.optional[name] {
			m.span(e.Rparen, syntax.Position{}, ruleArguments, s.text(f.name), "%s: missing argument %s", f.name, name)
		}
	}
}

// signature is what a function takes.
type signature struct {
	positional, keyword []string
	optional            map[string]bool
	rest, restNamed     bool
	parts               []string
}

func (s signature) text(name string) string { return name + "(" + strings.Join(s.parts, ", ") + ")" }

func signatureOf(f *function) signature {
	s := signature{optional: map[string]bool{}}
	keyword := false
	for _, p := range f.params {
		id := paramName(p)
		switch p := p.(type) {
		case *syntax.UnaryExpr:
			keyword = true
			switch {
			case p.Op == syntax.STARSTAR:
				s.restNamed = true
				s.parts = append(s.parts, "**"+id.Name)
			case id != nil:
				s.rest = true
				s.parts = append(s.parts, "*"+id.Name)
			default:
				s.parts = append(s.parts, "*")
			}
			continue
		case *syntax.BinaryExpr:
			s.optional[id.Name] = true
			s.parts = append(s.parts, id.Name+" = …")
		default:
			s.parts = append(s.parts, id.Name)
		}
		if keyword {
			s.keyword = append(s.keyword, id.Name)
		} else {
			s.positional = append(s.positional, id.Name)
		}
	}
	return s
}
