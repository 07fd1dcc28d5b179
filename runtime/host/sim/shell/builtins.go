package shell

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// builtins are the commands of the language itself. Special ones are called even where a function has
// their name.
var builtins map[string]func(in *interp, s *syntax.Stmt, args []string) error

func init() {
	status := func(code int) func(*interp, *syntax.Stmt, []string) error {
		return func(in *interp, _ *syntax.Stmt, _ []string) error { in.status = Status{Code: code}; return nil }
	}
	builtins = map[string]func(in *interp, s *syntax.Stmt, args []string) error{
		":": status(0), "true": status(0), "false": status(1), "hash": status(0), "times": status(0), "wait": status(0), "ulimit": status(0),
		"echo": (*interp).echo, "printf": (*interp).printf,
		"test": (*interp).test, "[": (*interp).test,
		"set": (*interp).set, "shift": (*interp).shift, "unset": (*interp).unset, "read": (*interp).read,
		"exit": (*interp).exit, "return": (*interp).back, "break": (*interp).leaveLoop, "continue": (*interp).leaveLoop,
		"eval": (*interp).eval, ".": (*interp).source, "source": (*interp).source,
		"cd": (*interp).cd, "pwd": (*interp).pwd, "umask": (*interp).setUmask, "trap": (*interp).setTrap,
		"command": (*interp).commandWord, "type": (*interp).which, "which": (*interp).which, "exec": (*interp).exec,
	}
}

// call carries out a simple command.
func (in *interp) call(s *syntax.Stmt, cmd *syntax.CallExpr) error {
	if len(cmd.Args) == 0 {
		return in.assignments(cmd.Assigns)
	}
	if name := cmd.Args[0].Lit(); name == "export" || name == "readonly" || name == "local" {
		return in.declaration(s, name, cmd.Args[1:])
	}
	args, known, err := in.fields(cmd.Args)
	if err != nil {
		return err
	}
	if !known {
		return in.callUnknown(s, cmd)
	}
	if len(args) == 0 {
		in.status = Status{}
		return in.assignments(cmd.Assigns)
	}
	restore, err := in.prefix(cmd.Assigns)
	if err != nil {
		return err
	}
	defer restore()
	return in.run(s, args, true)
}

// prefix sets variables for one command.
func (in *interp) prefix(assigns []*syntax.Assign) (restore func(), err error) {
	if len(assigns) == 0 {
		return func() {}, nil
	}
	former := in.env.vars
	in.env.vars = in.env.clone().vars
	for _, a := range assigns {
		if err := in.assign(a); err != nil {
			return nil, err
		}
		in.env.export(a.Name.Value)
	}
	return func() { in.env.vars = former }, nil
}

func (in *interp) run(s *syntax.Stmt, args []string, functions bool) error {
	if body, ok := in.funcs[args[0]]; ok && functions {
		return in.invoke(body, args[1:])
	}
	if do, ok := builtins[args[0]]; ok {
		return do(in, s, args)
	}
	c := Command{Args: args, Vars: in.env.known, Umask: in.umask, Dir: in.dir, Line: s.Pos().Line()}
	if in.in != nil {
		c.Stdin = *in.in
	}
	r, err := in.m.Run(c)
	if err != nil {
		return err
	}
	in.status = r.Status
	if r.Unknown {
		in.status = Status{Unknown: true}
		r.Out = Text{Unknown: true}
		in.miss(s.Pos().Line(), code(s), r.Why, r.Leaves...)
	}
	if in.mixed {
		r.Out.Unknown = true
	}
	for _, name := range r.Taint {
		in.env.set(name, "", true)
	}
	in.write(r.Out)
	return nil
}

// callUnknown meets a command whose words are not all known.
func (in *interp) callUnknown(s *syntax.Stmt, cmd *syntax.CallExpr) error {
	name := cmd.Args[0].Lit()
	if _, function := in.funcs[name]; !function {
		switch name {
		case "echo", "printf":
			in.status = Status{}
			in.write(Text{Unknown: true})
			return nil
		case ":", "true":
			in.status = Status{}
			return nil
		case "test", "[":
			in.status = Status{Unknown: true}
			return nil
		case "exit", "return":
			if name == "exit" {
				return &exitError{Status{Unknown: true}}
			}
			return &returnError{Status{Unknown: true}}
		}
	}
	in.status = Status{Unknown: true}
	in.write(Text{Unknown: true})
	return in.skip(s, "some of its words are not known")
}

// assignments are a command of nothing else.
func (in *interp) assignments(assigns []*syntax.Assign) error {
	in.subStatus = nil
	for _, a := range assigns {
		if err := in.assign(a); err != nil {
			return err
		}
	}
	in.status = Status{}
	if in.subStatus != nil {
		in.status = *in.subStatus
	}
	return nil
}

func (in *interp) assign(a *syntax.Assign) error {
	if a.Naked || a.Name == nil {
		return nil
	}
	name := a.Name.Value
	if a.Array != nil || a.Index != nil {
		in.env.set(name, "", true)
		return nil
	}
	value, known, err := in.literal(a.Value)
	if err != nil {
		return err
	}
	if a.Append {
		former := in.env.vars[name]
		value, known = former.value+value, known && !former.unknown
	}
	in.env.set(name, value, !known)
	return nil
}

// declaration is export, readonly or local in sh, where their arguments are common words.
func (in *interp) declaration(s *syntax.Stmt, kind string, words []*syntax.Word) error {
	in.status = Status{}
	for _, w := range words {
		lit, isLit := w.Parts[0].(*syntax.Lit)
		if !isLit || strings.HasPrefix(lit.Value, "-") {
			if isLit {
				continue
			}
			return in.skip(s, "names of variables that are not written out are not followed")
		}
		name, rest, hasValue := strings.Cut(lit.Value, "=")
		if !syntax.ValidName(name) {
			return in.skip(s, "names of variables that are not written out are not followed")
		}
		if kind == "local" {
			in.env.local(name)
		}
		if hasValue {
			value := *w
			first := *lit
			first.Value = rest
			value.Parts = append([]syntax.WordPart{&first}, w.Parts[1:]...)
			text, known, err := in.literal(&value)
			if err != nil {
				return err
			}
			in.env.set(name, text, !known)
		}
		if kind == "export" {
			in.env.export(name)
		}
	}
	return nil
}

// declClause is the same in bash.
func (in *interp) declClause(s *syntax.Stmt, cmd *syntax.DeclClause) error {
	in.status = Status{}
	for _, a := range cmd.Args {
		if a.Name == nil {
			continue
		}
		if cmd.Variant.Value != "export" && cmd.Variant.Value != "readonly" {
			in.env.local(a.Name.Value)
		}
		if err := in.assign(a); err != nil {
			return err
		}
		if cmd.Variant.Value == "export" {
			in.env.export(a.Name.Value)
		}
	}
	return nil
}

// echo speaks as that of dash does, which knows escapes and no option but -n.
func (in *interp) echo(_ *syntax.Stmt, args []string) error {
	args = args[1:]
	end := "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	text := strings.Join(args, " ") + end
	if strings.Contains(text, `\`) {
		text = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(text)
	}
	in.write(Text{S: text})
	in.status = Status{}
	return nil
}

func (in *interp) printf(_ *syntax.Stmt, args []string) error {
	in.status = Status{}
	if len(args) < 2 {
		in.status = Status{Code: 2}
		return nil
	}
	format, args := args[1], args[2:]
	for {
		text, used, err := expand.Format(in.config(), format, args)
		if err != nil {
			in.write(Text{Unknown: true})
			in.status = Status{Unknown: true}
			return nil
		}
		in.write(Text{S: text})
		if args = args[min(used, len(args)):]; used == 0 || len(args) == 0 {
			return nil
		}
	}
}

func (in *interp) set(s *syntax.Stmt, args []string) error {
	in.status = Status{}
	for i := 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			in.args = slices.Clone(args[i+1:])
			return nil
		case (a == "-o" || a == "+o") && i+1 < len(args):
			i++
			in.option(map[string]byte{"errexit": 'e', "nounset": 'u', "noglob": 'f'}[args[i]], a == "-o")
		case len(a) > 1 && (a[0] == '-' || a[0] == '+'):
			for j := 1; j < len(a); j++ {
				in.option(a[j], a[0] == '-')
			}
		default:
			in.args = slices.Clone(args[i:])
			return nil
		}
	}
	return nil
}

func (in *interp) option(letter byte, on bool) {
	switch letter {
	case 'e':
		in.errexit = on
	case 'u':
		in.nounset = on
	case 'f':
		in.noglob = on
	}
}

// number is the first argument, or what is taken if there is none.
func number(args []string, otherwise int) (int, bool) {
	if len(args) < 2 {
		return otherwise, true
	}
	n, err := strconv.Atoi(args[1])
	return n, err == nil && n >= 0
}

func (in *interp) shift(s *syntax.Stmt, args []string) error {
	n, ok := number(args, 1)
	if !ok || n > len(in.args) {
		return &exitError{Status{Code: 2}} // as dash does
	}
	in.args = in.args[n:]
	in.status = Status{}
	return nil
}

func (in *interp) unset(_ *syntax.Stmt, args []string) error {
	for _, a := range args[1:] {
		switch {
		case a == "-f":
			for _, name := range args[1:] {
				delete(in.funcs, name)
			}
		case !strings.HasPrefix(a, "-"):
			in.env.unset(a)
		}
	}
	in.status = Status{}
	return nil
}

// read takes a line of what is on standard input, if that is known.
func (in *interp) read(s *syntax.Stmt, args []string) error {
	raw := false
	var names []string
	for _, a := range args[1:] {
		if strings.HasPrefix(a, "-") {
			raw = raw || a == "-r"
			continue
		}
		names = append(names, a)
	}
	if in.in == nil || in.in.Unknown {
		for _, name := range names {
			in.env.set(name, "", true)
		}
		in.status = Status{Unknown: true}
		return nil
	}
	line, rest, ended := strings.Cut(in.in.S, "\n")
	in.in.S = rest
	fields := expand.ReadFields(in.config(), line, len(names), raw)
	for i, name := range names {
		value := ""
		if i < len(fields) {
			value = fields[i]
		}
		in.env.set(name, value, false)
	}
	in.status = truth(ended)
	return nil
}

func (in *interp) exit(_ *syntax.Stmt, args []string) error {
	n, ok := number(args, in.status.Code)
	end := Status{Code: n & 0xff, Unknown: len(args) < 2 && in.status.Unknown}
	if !ok {
		end = Status{Code: 2}
	}
	return &exitError{end}
}

func (in *interp) back(s *syntax.Stmt, args []string) error {
	err := in.exit(s, args)
	var exit *exitError
	if errors.As(err, &exit) {
		return &returnError{exit.status}
	}
	return err
}

func (in *interp) leaveLoop(_ *syntax.Stmt, args []string) error {
	n, ok := number(args, 1)
	in.status = Status{}
	if !ok || n < 1 {
		return &exitError{Status{Code: 2}}
	}
	return &loopError{again: args[0] == "continue", n: n}
}

func (in *interp) eval(s *syntax.Stmt, args []string) error {
	return in.evaluate(strings.Join(args[1:], " "), s.Pos().Line())
}

// source reads a file in with ".".
func (in *interp) source(s *syntax.Stmt, args []string) error {
	if len(args) < 2 {
		in.status = Status{Code: 2}
		return nil
	}
	name := in.path(args[1])
	lib, err := in.m.Source(name)
	switch {
	case err != nil:
		return err
	case lib.Missing:
		return &exitError{Status{Code: 2}} // as dash does
	case lib.Known:
		in.status = Status{}
		return nil
	case lib.Opaque != "":
		in.status = Status{Unknown: true}
		in.miss(s.Pos().Line(), code(s), lib.Opaque)
		return nil
	}
	former, args0 := in.file_, in.args
	in.file_ = name
	if len(args) > 2 {
		in.args = args[2:]
	}
	err = in.evaluate(lib.Text, s.Pos().Line())
	in.file_, in.args = former, args0
	var back *returnError
	if errors.As(err, &back) {
		in.status, err = back.status, nil
	}
	return err
}

func (in *interp) cd(_ *syntax.Stmt, args []string) error {
	to, ok := in.env.vars["HOME"].value, true
	if len(args) > 1 {
		to = args[len(args)-1]
	}
	is, known := false, true
	if to != "" && to != "-" {
		is, known = in.m.Test('d', in.path(to))
	} else {
		ok, known = false, false
	}
	switch {
	case !known:
		return &exitError{Status{Unknown: true}}
	case !is || !ok:
		in.status = Status{Code: 2}
		return nil
	}
	in.dir, in.status = path.Clean(in.path(to)), Status{}
	return nil
}

func (in *interp) pwd(*syntax.Stmt, []string) error {
	in.write(Text{S: in.dir + "\n"})
	in.status = Status{}
	return nil
}

func (in *interp) setUmask(s *syntax.Stmt, args []string) error {
	in.status = Status{}
	if len(args) < 2 {
		in.write(Text{S: "0" + strconv.FormatUint(uint64(in.umask), 8) + "\n"})
		return nil
	}
	n, err := strconv.ParseUint(args[1], 8, 12)
	if err != nil {
		return in.giveUp(s, "a umask of this kind is not followed")
	}
	in.umask = fs.FileMode(n & 0o777)
	return nil
}

func (in *interp) setTrap(_ *syntax.Stmt, args []string) error {
	in.status = Status{}
	for i, a := range args {
		if i < 2 || a != "0" && a != "EXIT" {
			continue
		}
		if in.trap = args[1]; in.trap == "-" {
			in.trap = ""
		}
	}
	return nil
}

// commandWord is "command": what a name means, or a program in spite of a function.
func (in *interp) commandWord(s *syntax.Stmt, args []string) error {
	if len(args) > 1 && (args[1] == "-v" || args[1] == "-V") {
		return in.which(s, args[1:])
	}
	if len(args) > 1 && args[1] == "-p" {
		args = args[1:]
	}
	if len(args) < 2 {
		in.status = Status{}
		return nil
	}
	return in.run(s, args[1:], false)
}

// which tells where commands are. In front of the names can be an option.
func (in *interp) which(_ *syntax.Stmt, args []string) error {
	found, known := true, true
	for _, name := range args[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		where := name
		if _, builtin := builtins[name]; args[0] == "which" || !builtin && in.funcs[name] == nil {
			file, is, sure := in.m.LookPath(name)
			where, found, known = file, found && is, known && sure
			if !is {
				continue
			}
		}
		in.write(Text{S: where + "\n", Unknown: !known})
	}
	in.status = Status{Code: 1, Unknown: !known}
	if found {
		in.status.Code = 0
	} else if args[0] == "type" || args[0] == "-v" {
		in.status.Code = 127
	}
	return nil
}

func (in *interp) exec(s *syntax.Stmt, args []string) error {
	if len(args) < 2 {
		in.status = Status{}
		return nil
	}
	if err := in.run(s, args[1:], false); err != nil {
		return err
	}
	return &exitError{in.status}
}
