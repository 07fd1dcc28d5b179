package script

import (
	"context"
	"maps"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/host/secrets"
)

// Program is a module that was evaluated, with all that it loads.
type Program struct {
	Label    string // "@stock//debian.star"
	Globals  starlark.StringDict
	Builtins []*Builtin // that it could call

	sources map[string]string
	names   []string
	budget  *budget

	words func() map[string]bool // found once
}

// Modules are the sources of every module that it consists of, by label.
func (p *Program) Modules() map[string]string { return maps.Clone(p.sources) }

// Words are the ordinary words of the product: of what the builtins know, and of the stock runbooks. In free text
// they are not taken for a secret. The list is shared: it is not to be changed.
func (p *Program) Words() map[string]bool {
	return p.words()
}

func (p *Program) findWords() map[string]bool {
	words := map[string]bool{}
	for _, b := range p.Builtins {
		secrets.Words(words, b.Words)
	}
	for label, source := range p.sources {
		if strings.HasPrefix(label, stockRoot) {
			secrets.Words(words, source)
		}
	}
	return words
}

// Doc is the module's docstring.
func (p *Program) Doc() string {
	file, err := dialect.Parse("", p.sources[p.Label], 0)
	if err != nil || len(file.Stmts) == 0 {
		return ""
	}
	expr, ok := file.Stmts[0].(*syntax.ExprStmt)
	if !ok {
		return ""
	}
	lit, ok := expr.X.(*syntax.Literal)
	if !ok || lit.Token != syntax.STRING {
		return ""
	}
	return Dedent(lit.Value.(string))
}

// Afresh is the program with all that it may compute, for one more use of it.
func (p *Program) Afresh() *Program {
	fresh := *p
	fresh.budget = newBudget(p.budget.limits)
	return &fresh
}

// Explain adds to an error of the program's what it takes to show where it happened.
func (p *Program) Explain(err error) error {
	return &Error{Err: err, Sources: p.sources, names: p.names}
}

// At is an error that belongs to a place of the program, with a hint.
func (p *Program) At(pos syntax.Position, err error, hint string) error {
	return &Error{Err: err, Sources: p.sources, names: p.names, at: pos, hint: hint}
}

// Call calls a function of the program within its limits: what it asks of the host, run carries out, and what
// it prints goes to print.
func (p *Program) Call(ctx context.Context, run Runner, fn *starlark.Function, args starlark.Tuple, kwargs []starlark.Tuple, print func(pos, text string)) (starlark.Value, error) {
	thread := &starlark.Thread{Name: fn.Name(), Print: func(t *starlark.Thread, msg string) {
		print(t.CallFrame(1).Pos.String(), msg)
	}}
	thread.SetLocal(runnerKey, run)
	settle := p.budget.arm(ctx, thread)
	defer settle()
	value, err := starlark.Call(thread, fn, args, kwargs)
	if err != nil {
		return nil, p.Explain(err)
	}
	return value, nil
}
