package script

import (
	"context"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Reader reads the modules of a runbook as text, by the rules by which they are loaded, without evaluating them.
type Reader struct{ l *loader }

// NewReader opens the place that a runbook comes from, and tells its label.
func NewReader(opts LoadOptions) (r *Reader, label string, err error) {
	l := newLoader(context.Background(), opts)
	label, err = l.entry(opts.Dir, opts.Name)
	return &Reader{l}, label, err
}

// Close gives the place up.
func (r *Reader) Close() {
	if r.l.fork != nil {
		r.l.fork.Close()
	}
}

// Read is the source of a module.
func (r *Reader) Read(label string) (string, error) { return r.l.read(label) }

// Resolve turns what a load statement of a module says into a label.
func (r *Reader) Resolve(from, want string) (string, error) { return r.l.resolve(from, want) }

// IsStock reports whether a module is one of the program's own.
func IsStock(label string) bool { return rootOf(label) == stockRoot }

// Dialect is the language of runbooks, for who parses one.
func Dialect() *syntax.FileOptions { return dialect }

// Predeclared are the names that a runbook sees, beside those of the language.
func Predeclared(builtins []*Builtin) starlark.StringDict { return predeclare(builtins) }

// KnownNames are all names that a runbook can use, those in modules with their module's name.
func KnownNames(builtins []*Builtin) []string { return predeclaredNames(predeclare(builtins)) }

// Excerpt is a line of source with a caret below a column.
func Excerpt(source string, pos syntax.Position) string {
	info := &ErrorInfo{}
	place(info, &Error{Sources: map[string]string{pos.Filename(): source}}, pos)
	return info.Source
}
