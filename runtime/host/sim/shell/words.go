package shell

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

func (in *interp) config() *expand.Config {
	c := &expand.Config{Env: environ{in}, CmdSubst: in.substitute, NoUnset: in.nounset}
	if !in.noglob {
		c.ReadDir2 = func(name string) ([]fs.DirEntry, error) { return in.m.ReadDir(name) }
	}
	return c
}

// fields expands words to arguments. They are known if nothing unknown went into them.
func (in *interp) fields(words []*syntax.Word) (list []string, known bool, err error) {
	in.touched = false
	var total int
	for field, err := range expand.FieldsSeq(in.config(), words...) {
		if err != nil {
			return nil, false, in.expansionError(err)
		}
		if total += len(field) + 1; total > 4*maxText {
			return nil, false, nil
		}
		list = append(list, field)
	}
	return list, !in.touched, nil
}

// literal expands a word to one string, as in an assignment.
func (in *interp) literal(w *syntax.Word) (s string, known bool, err error) {
	if w == nil {
		return "", true, nil
	}
	in.touched = false
	s, err = expand.Literal(in.config(), w)
	if err != nil {
		return "", false, in.expansionError(err)
	}
	return s, !in.touched, nil
}

// expansionError ends a script where the shell would: at an unset parameter that it does not want to be
// unset. What else cannot be expanded is not known.
func (in *interp) expansionError(err error) error {
	var unset expand.UnsetParameterError
	var fatal *fatalError
	switch {
	case errors.As(err, &fatal):
		return fatal.error
	case errors.As(err, &unset):
		return &exitError{Status{Code: 2}}
	}
	return nil
}

// fatalError is one of the machine's, on its way through the expansion of a word.
type fatalError struct{ error }

// substitute carries out "$(...)".
func (in *interp) substitute(w io.Writer, cmd *syntax.CmdSubst) error {
	touched := in.touched
	var out Text
	err := in.inSubshell(func(sub *interp) error {
		sub.out, sub.mixed = &out, false
		return sub.stmts(cmd.Stmts)
	})
	var fatal *fatalError
	if err != nil && !errors.As(err, &fatal) {
		err = &fatalError{err}
	}
	status := in.status
	in.subStatus = &status
	in.touched = touched || out.Unknown
	io.WriteString(w, out.S)
	return err
}

// write adds to the output.
func (in *interp) write(t Text) {
	if in.out == nil {
		return
	}
	in.out.Unknown = in.out.Unknown || t.Unknown
	if in.out.S += t.S; len(in.out.S) > maxText {
		in.out.S, in.out.Unknown = "", true
	}
}

// redirect does what the redirections of a statement ask for. What it returns puts everything back; it
// is nil if the statement is not to be carried out.
func (in *interp) redirect(s *syntax.Stmt) (done func() error, err error) {
	out, input, mixed := in.out, in.in, in.mixed
	var files []func() error
	back := func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f())
		}
		in.out, in.in, in.mixed = out, input, mixed
		return errors.Join(errs...)
	}
	for _, r := range s.Redirs {
		ok, err := in.redirection(s, r, &files)
		if err != nil || !ok {
			return nil, errors.Join(err, back(), in.checkErrexit(s))
		}
	}
	if call, is := s.Cmd.(*syntax.CallExpr); is && len(call.Args) == 1 && call.Args[0].Lit() == "exec" {
		return func() error { in.in, in.mixed = input, mixed; return nil }, nil
	}
	return back, nil
}

func (in *interp) redirection(s *syntax.Stmt, r *syntax.Redirect, files *[]func() error) (ok bool, err error) {
	fd := "1"
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		fd = "0"
	}
	if r.N != nil {
		fd = r.N.Value
	}
	if r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc {
		return true, in.hereDocument(r)
	}
	name, known, err := in.literal(r.Word)
	if err != nil {
		return false, err
	}
	if !known {
		in.status = Status{Unknown: true}
		return false, in.skip(s, "the file of a redirection is not known")
	}
	switch r.Op {
	case syntax.WordHdoc:
		in.in = &Text{S: name + "\n"}
	case syntax.RdrIn:
		return in.readFrom(fd, name)
	case syntax.DplOut, syntax.DplIn:
		switch {
		case fd == "2":
			in.mixed = name == "1"
		case fd == "1" && name != "1":
			in.out = nil
		}
	case syntax.RdrOut, syntax.RdrClob, syntax.AppOut, syntax.RdrAll, syntax.AppAll:
		all := r.Op == syntax.RdrAll || r.Op == syntax.AppAll
		return in.writeTo(fd, name, r.Op == syntax.AppOut || r.Op == syntax.AppAll, all, files)
	default:
		in.status = Status{Unknown: true}
		return false, in.skip(s, "a redirection of this kind is not followed")
	}
	return true, nil
}

func (in *interp) hereDocument(r *syntax.Redirect) error {
	in.touched = false
	body, err := expand.Document(in.config(), r.Hdoc)
	if err != nil {
		in.in = &Text{Unknown: true}
		return in.expansionError(err)
	}
	if r.Op == syntax.DashHdoc {
		lines := strings.SplitAfter(body, "\n")
		for i := range lines {
			lines[i] = strings.TrimLeft(lines[i], "\t")
		}
		body = strings.Join(lines, "")
	}
	in.in = &Text{S: body, Unknown: in.touched}
	return nil
}

func (in *interp) readFrom(fd, name string) (ok bool, err error) {
	if fd != "0" {
		return true, nil
	}
	if name == "/dev/null" {
		in.in = &Text{}
		return true, nil
	}
	t, err := in.m.ReadFile(in.path(name))
	var failed *fs.PathError
	if errors.As(err, &failed) {
		in.status = Status{Code: 2}
		return false, nil
	}
	in.in = &t
	return err == nil, err
}

// writeTo sends output to a file. The file is there at once, and has its content when the command ends.
func (in *interp) writeTo(fd, name string, extend, all bool, files *[]func() error) (ok bool, err error) {
	switch name {
	case "/dev/null", "/dev/stderr", "/dev/tty", "/dev/console":
		if fd == "1" {
			in.out = nil
		}
		return true, nil
	case "/dev/stdout":
		return true, nil
	}
	file, umask := in.path(name), in.umask
	err = in.m.WriteFile(file, Text{}, extend, umask)
	var failed *fs.PathError
	if errors.As(err, &failed) {
		in.status = Status{Code: 2}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	content := &Text{Unknown: fd != "1" || all} // what goes to standard error is not known
	if fd == "1" {
		in.out = content
	}
	*files = append(*files, func() error {
		err := in.m.WriteFile(file, *content, true, umask)
		if errors.As(err, &failed) {
			in.status = Status{Code: 1}
			return nil
		}
		return err
	})
	return true, nil
}

// path makes a name absolute.
func (in *interp) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return strings.TrimSuffix(in.dir, "/") + "/" + name
}
