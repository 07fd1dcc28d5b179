package shell

import (
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// shared is what a script and its subshells have in common.
type shared struct {
	m      Machine
	missed bool
	steps  int
}

// interp is a shell.
type interp struct {
	*shared
	env    *scope
	name   string
	args   []string
	dir    string
	umask  fs.FileMode
	funcs  map[string]*syntax.Stmt
	trap   string // what is done at the end
	status Status

	errexit, nounset, noglob bool
	quiet                    int // conditions that it is in: errexit does not end it there

	out   *Text // nil is a terminal
	in    *Text
	mixed bool // standard error goes where the output goes
	depth int
	file_ string // that was read in with "."

	touched   bool    // something unknown went into the words that are being expanded
	subStatus *Status // of a substitution in them
}

// subshell is a shell that begins with the state of this one.
func (in *interp) subshell() *interp {
	sub := *in
	sub.env, sub.funcs = in.env.clone(), maps.Clone(in.funcs)
	sub.args = slices.Clone(in.args)
	sub.trap, sub.touched, sub.subStatus = "", false, nil
	return &sub
}

func (in *interp) file(f *syntax.File) error { return in.stmts(f.Stmts) }

// runTrap does what a script has asked for at its end.
func (in *interp) runTrap() error {
	if in.trap == "" {
		return nil
	}
	text, end := in.trap, in.status
	in.trap = ""
	err := in.evaluate(text, 0)
	var exit *exitError
	if errors.As(err, &exit) {
		in.status = exit.status
		return nil
	}
	in.status = end
	return err
}

func (in *interp) stmts(list []*syntax.Stmt) error {
	for _, s := range list {
		if err := in.stmt(s); err != nil {
			return err
		}
	}
	return nil
}

func (in *interp) stmt(s *syntax.Stmt) error {
	if in.steps++; in.steps > maxSteps || in.depth > maxNest {
		return in.giveUp(s, "it goes on for too long to be followed")
	}
	if s.Background || s.Coprocess {
		in.status = Status{}
		return in.skip(s, "it runs beside the script")
	}
	if !s.Negated {
		if err := in.command(s); err != nil {
			return err
		}
		return in.checkErrexit(s)
	}
	in.quiet++
	err := in.command(s)
	in.quiet--
	if err == nil && !in.status.Unknown {
		in.status = truth(in.status.Code != 0)
	}
	return err
}

func truth(is bool) Status {
	if is {
		return Status{}
	}
	return Status{Code: 1}
}

// checkErrexit ends a script of "set -e" after a command, subshell or pipeline that failed.
func (in *interp) checkErrexit(s *syntax.Stmt) error {
	if !in.errexit || in.quiet > 0 || in.status.Unknown || in.status.Code == 0 {
		return nil
	}
	switch cmd := s.Cmd.(type) {
	case *syntax.CallExpr, *syntax.Subshell, *syntax.DeclClause:
	case *syntax.BinaryCmd:
		if cmd.Op != syntax.Pipe && cmd.Op != syntax.PipeAll {
			return nil
		}
	default:
		return nil
	}
	return &exitError{in.status}
}

// command carries out a statement without regard to what its status means.
func (in *interp) command(s *syntax.Stmt) error {
	done, err := in.redirect(s)
	if err != nil || done == nil {
		return err
	}
	err = in.simple(s)
	return errors.Join(err, done())
}

func (in *interp) simple(s *syntax.Stmt) error {
	switch cmd := s.Cmd.(type) {
	case nil:
		in.status = Status{}
	case *syntax.CallExpr:
		return in.call(s, cmd)
	case *syntax.Block:
		return in.stmts(cmd.Stmts)
	case *syntax.Subshell:
		return in.inSubshell(func(sub *interp) error { return sub.stmts(cmd.Stmts) })
	case *syntax.BinaryCmd:
		return in.binary(cmd)
	case *syntax.IfClause:
		return in.ifClause(s, cmd)
	case *syntax.CaseClause:
		return in.caseClause(s, cmd)
	case *syntax.ForClause:
		return in.forClause(s, cmd)
	case *syntax.WhileClause:
		return in.whileClause(s, cmd)
	case *syntax.FuncDecl:
		return in.declare(s, cmd)
	case *syntax.DeclClause:
		return in.declClause(s, cmd)
	case *syntax.TestClause, *syntax.ArithmCmd, *syntax.LetClause:
		in.status = Status{Unknown: true}
		in.taint(s)
	default:
		in.status = Status{Unknown: true}
		return in.skip(s, "words of the language that are not followed")
	}
	return nil
}

// inSubshell follows commands that can change nothing of this shell but its status.
func (in *interp) inSubshell(do func(sub *interp) error) error {
	sub := in.subshell()
	sub.depth++
	err := do(sub)
	var exit *exitError
	var back *returnError
	switch {
	case errors.As(err, &exit):
		sub.status, err = exit.status, nil
	case errors.As(err, &back):
		sub.status, err = back.status, nil
	}
	if err == nil {
		err = sub.runTrap()
	}
	in.status = sub.status
	return err
}

func (in *interp) binary(cmd *syntax.BinaryCmd) error {
	switch cmd.Op {
	case syntax.Pipe, syntax.PipeAll:
		return in.pipe(cmd)
	}
	in.quiet++
	err := in.stmt(cmd.X)
	in.quiet--
	if err != nil {
		return err
	}
	or := cmd.Op == syntax.OrStmt
	if in.status.Unknown {
		return in.perhaps(cmd.Y, or)
	}
	if (in.status.Code != 0) != or {
		return nil
	}
	return in.stmt(cmd.Y)
}

// perhaps meets a command that is carried out if one failed (or succeeded) of which that is not known.
func (in *interp) perhaps(s *syntax.Stmt, or bool) error {
	harmless, succeeds := plain(s)
	switch {
	case asks(s):
		if err := in.condition([]*syntax.Stmt{s}); err != nil {
			return err
		}
		if !in.status.Unknown && (in.status.Code == 0) != or {
			in.status = Status{Unknown: true} // the other one decides, and is not known
		}
		return nil
	case or && succeeds:
		in.status = Status{}
		return nil
	case harmless:
		return nil
	}
	return in.skipFailing(s, "whether it is carried out depends on a command that is not simulated", or)
}

func (in *interp) pipe(cmd *syntax.BinaryCmd) error {
	var between Text
	err := in.inSubshell(func(sub *interp) error {
		sub.out, sub.mixed = &between, cmd.Op == syntax.PipeAll
		sub.quiet++
		return sub.stmt(cmd.X)
	})
	if err != nil {
		return err
	}
	return in.inSubshell(func(sub *interp) error {
		sub.in = &between
		return sub.stmt(cmd.Y)
	})
}

// condition carries out the commands of a condition.
func (in *interp) condition(list []*syntax.Stmt) error {
	in.quiet++
	defer func() { in.quiet-- }()
	return in.stmts(list)
}

func (in *interp) ifClause(s *syntax.Stmt, cmd *syntax.IfClause) error {
	for c := cmd; c != nil; c = c.Else {
		if len(c.Cond) == 0 { // else
			return in.stmts(c.Then)
		}
		if err := in.condition(c.Cond); err != nil {
			return err
		}
		switch {
		case in.status.Unknown:
			return in.skipIf(s, c)
		case in.status.Code == 0:
			return in.stmts(c.Then)
		}
	}
	in.status = Status{}
	return nil
}

// skipIf passes over what follows a condition whose answer is not known.
func (in *interp) skipIf(s *syntax.Stmt, c *syntax.IfClause) error {
	var rest []*syntax.Stmt
	for ; c != nil; c = c.Else {
		rest = append(rest, c.Then...)
		if c.Else != nil {
			rest = append(rest, c.Else.Cond...)
		}
	}
	if !slices.ContainsFunc(rest, func(s *syntax.Stmt) bool { harmless, _ := plain(s); return !harmless }) {
		in.status = Status{Unknown: true}
		return nil
	}
	const why = "whether it is carried out depends on a condition whose answer is not known"
	in.status = Status{Unknown: true}
	for _, r := range rest {
		if harmless, _ := plain(r); harmless {
			continue
		}
		if err := in.skipFailing(r, why, false); err != nil {
			return err
		}
	}
	return nil
}

func (in *interp) caseClause(s *syntax.Stmt, cmd *syntax.CaseClause) error {
	word, known, err := in.literal(cmd.Word)
	if err != nil {
		return err
	}
	if !known {
		in.status = Status{Unknown: true}
		return in.skip(s, "the word that it depends on is not known")
	}
	for _, item := range cmd.Items {
		for _, p := range item.Patterns {
			is, known, err := in.matches(word, p)
			if err != nil {
				return err
			}
			if !known {
				in.status = Status{Unknown: true}
				return in.skip(s, "a pattern is not known")
			}
			if !is {
				continue
			}
			in.status = Status{}
			if item.Op != syntax.Break {
				return in.skip(s, "it falls through to the next case")
			}
			return in.stmts(item.Stmts)
		}
	}
	in.status = Status{}
	return nil
}

func (in *interp) matches(word string, p *syntax.Word) (is, known bool, err error) {
	in.touched = false
	text, err := expand.Pattern(in.config(), p)
	if err != nil || in.touched {
		return false, false, in.expansionError(err)
	}
	expr, err := pattern.Regexp(text, pattern.EntireString)
	if err != nil {
		return word == text, true, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return false, false, nil
	}
	return re.MatchString(word), true, nil
}

func (in *interp) forClause(s *syntax.Stmt, cmd *syntax.ForClause) error {
	iter, ok := cmd.Loop.(*syntax.WordIter)
	if !ok || cmd.Select {
		in.status = Status{Unknown: true}
		return in.skip(s, "a loop of this kind is not followed")
	}
	items := slices.Clone(in.args)
	if iter.InPos.IsValid() {
		var known bool
		var err error
		if items, known, err = in.fields(iter.Items); err != nil {
			return err
		}
		if !known {
			in.status = Status{Unknown: true}
			return in.skip(s, "what it goes through is not known")
		}
	}
	in.status = Status{}
	for _, item := range items {
		in.env.set(iter.Name.Value, item, false)
		if end, err := in.round(cmd.Do); end || err != nil {
			return err
		}
	}
	return nil
}

func (in *interp) whileClause(s *syntax.Stmt, cmd *syntax.WhileClause) error {
	end := Status{}
	for {
		if in.steps++; in.steps > maxSteps {
			return in.giveUp(s, "it goes on for too long to be followed")
		}
		if err := in.condition(cmd.Cond); err != nil {
			return err
		}
		if in.status.Unknown {
			return in.skip(s, "how often it goes round is not known")
		}
		if (in.status.Code == 0) == cmd.Until {
			in.status = end
			return nil
		}
		stop, err := in.round(cmd.Do)
		if stop || err != nil {
			return err
		}
		end = in.status
	}
}

// round carries out the body of a loop, and reports whether the loop ends with that.
func (in *interp) round(body []*syntax.Stmt) (end bool, err error) {
	err = in.stmts(body)
	var loop *loopError
	if !errors.As(err, &loop) {
		return false, err
	}
	if loop.n > 1 {
		loop.n--
		return true, loop
	}
	in.status = Status{}
	return !loop.again, nil
}

func (in *interp) declare(s *syntax.Stmt, cmd *syntax.FuncDecl) error {
	in.status = Status{}
	if cmd.Name == nil {
		return in.skip(s, "a function of this kind is not followed")
	}
	if in.funcs == nil {
		in.funcs = map[string]*syntax.Stmt{}
	}
	in.funcs[cmd.Name.Value] = cmd.Body
	return nil
}

// invoke calls a function of the script.
func (in *interp) invoke(body *syntax.Stmt, args []string) error {
	former := in.args
	in.args = args
	in.depth++
	in.env.enter()
	err := in.stmt(body)
	in.env.leave()
	in.depth--
	in.args = former
	var back *returnError
	if errors.As(err, &back) {
		in.status, err = back.status, nil
	}
	return err
}

// evaluate follows text that a script has put together itself, or has read in.
func (in *interp) evaluate(text string, line uint) error {
	f, why := parse(text)
	if strings.TrimSpace(text) == "" {
		in.status = Status{}
		return nil
	}
	if why != "" {
		in.status = Status{Unknown: true}
		in.miss(line, firstLine(text), why)
		return nil
	}
	in.depth++
	defer func() { in.depth-- }()
	return in.file(f)
}

// scope are the variables of a shell.
type scope struct {
	vars   map[string]variable
	locals []map[string]*variable // what functions have hidden
}

type variable struct {
	value    string
	unknown  bool
	exported bool
}

func newScope(env map[string]string) *scope {
	s := &scope{vars: map[string]variable{"IFS": {value: " \t\n"}}}
	for name, value := range env {
		s.vars[name] = variable{value: value, exported: true}
	}
	return s
}

func (s *scope) clone() *scope {
	c := &scope{vars: maps.Clone(s.vars)}
	for _, frame := range s.locals {
		c.locals = append(c.locals, maps.Clone(frame))
	}
	return c
}

func (s *scope) set(name, value string, unknown bool) {
	v := s.vars[name]
	v.value, v.unknown = value, unknown
	if unknown || len(value) > maxText {
		v.value, v.unknown = "", true
	}
	s.vars[name] = v
}

func (s *scope) unset(name string) { delete(s.vars, name) }

func (s *scope) export(name string) {
	v, ok := s.vars[name]
	if ok {
		v.exported = true
		s.vars[name] = v
	}
}

// known is the value of a variable, empty if it has none that is known.
func (s *scope) known(name string) string { return s.vars[name].value }

func (s *scope) enter() { s.locals = append(s.locals, map[string]*variable{}) }

func (s *scope) leave() {
	frame := s.locals[len(s.locals)-1]
	s.locals = s.locals[:len(s.locals)-1]
	for name, was := range frame {
		if was == nil {
			delete(s.vars, name)
			continue
		}
		s.vars[name] = *was
	}
}

// local hides a variable for the rest of a function.
func (s *scope) local(name string) bool {
	if len(s.locals) == 0 {
		return false
	}
	frame := s.locals[len(s.locals)-1]
	if _, already := frame[name]; already {
		return true
	}
	frame[name] = nil
	if v, ok := s.vars[name]; ok {
		frame[name] = &v
	}
	return true
}

// environ answers what the words of a script ask for, and notes what is not known.
type environ struct{ in *interp }

func text(s string) expand.Variable { return expand.Variable{Set: true, Kind: expand.String, Str: s} }

func (e environ) Get(name string) expand.Variable {
	in := e.in
	switch name {
	case "#":
		return text(strconv.Itoa(len(in.args)))
	case "@", "*":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, in.args...)}
	case "?":
		in.touched = in.touched || in.status.Unknown
		return text(strconv.Itoa(in.status.Code))
	case "0":
		return text(in.name)
	case "PWD":
		return text(in.dir)
	case "-":
		return text(in.options())
	case "$", "!", "PPID", "RANDOM", "SECONDS", "LINENO", "HOSTNAME", "OLDPWD", "_":
		in.touched = true
		return text("0")
	}
	if home, is := strings.CutPrefix(name, "HOME "); is {
		in.touched = true // never of the machine that this runs on
		return text("~" + home)
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n >= 1 && n <= len(in.args) {
			return text(in.args[n-1])
		}
		return expand.Variable{}
	}
	v, ok := in.env.vars[name]
	if !ok {
		return expand.Variable{}
	}
	in.touched = in.touched || v.unknown
	return text(v.value)
}

func (e environ) Each(func(string, expand.Variable) bool) {}

// Set is what "${name:=word}" asks for.
func (e environ) Set(name string, v expand.Variable) error {
	if v.Kind == expand.Indexed || v.Kind == expand.Associative {
		e.in.env.set(name, "", true)
		return nil
	}
	e.in.env.set(name, v.Str, e.in.touched)
	return nil
}

func (in *interp) options() string {
	s := ""
	for o, on := range map[string]bool{"e": in.errexit, "u": in.nounset, "f": in.noglob} {
		if on {
			s += o
		}
	}
	return s
}
