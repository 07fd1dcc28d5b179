package lint

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// checker looks at the modules of one runbook.
type checker struct {
	builtins  []*script.Builtin // that a runbook can call, those of the language included
	byName    map[string]*script.Builtin
	called    []*script.Builtin // those without the language's
	names     starlark.StringDict
	testNames starlark.StringDict
	known     []string
	reader    *script.Reader
	dir       string // of the site's own modules
	modules   map[string]*module
	report    *report
	made      []made
	roles     map[place]string         // by the position of a step's function, the part of the runbook that it belongs to
	steps     map[place]map[string]typ // by the position of a step's function, what its parameters are
}

// module is one file.
type module struct {
	lint        *checker
	label, file string
	text        string
	own         bool // it is the site's own, so its mistakes are told
	tree        *syntax.File
	broken      bool // a part of it does not parse
	report      *report
	bindings    map[*syntax.Ident][]func() typ
	loads       map[*syntax.Ident]loaded
	changes     map[*syntax.Ident]bool // variables whose values are changed
	functions   map[syntax.Node]*function
	enclosing   map[*syntax.Ident]*function // of a variable
	memo        map[syntax.Expr]typ
	top         *function       // what runs while the module is loaded
	stubs       map[string]bool // functions that do not parse
}

// loaded is where a name comes from.
type loaded struct {
	from *module
	name string
}

// Run looks at a runbook and all that it loads of the site's own, and then at the runbook that it makes; nil if it
// cannot be loaded, or makes none.
func Run(ctx context.Context, opts script.LoadOptions) (*runbook.Runbook, []Finding, error) {
	c, label, err := open(opts)
	if err != nil {
		return nil, nil, err
	}
	defer c.reader.Close()
	main, err := c.module(label)
	if err != nil {
		return nil, nil, err
	}
	book := c.evaluate(ctx, main, opts)
	c.checkAll()
	c.conclude()
	return book, c.report.sorted(), nil
}

// Files looks at modules below a directory, opts.Dir, as Run does at one. Those whose names end in _test.star see the
// builtins for tests, too.
func Files(ctx context.Context, opts script.LoadOptions, tests []*script.Builtin, files []string) ([]Finding, error) {
	opts.Name = filepath.Base(files[0])
	c, _, err := open(opts)
	if err != nil {
		return nil, err
	}
	defer c.reader.Close()
	c.addTests(tests)
	for _, name := range files {
		rel, err := filepath.Rel(opts.Dir, name)
		if err != nil {
			return nil, err
		}
		m, err := c.module("//" + filepath.ToSlash(rel))
		if err != nil {
			return nil, err
		}
		opts.Name = filepath.ToSlash(rel)
		c.evaluate(ctx, m, opts)
	}
	c.checkAll()
	c.conclude()
	return c.report.sorted(), nil
}

// made is a runbook that was loaded, or why it could not be.
type made struct {
	by   *module
	book *runbook.Runbook
	err  error
}

// evaluate loads the runbook that a module makes. Where something does not even compile, there is none to learn from.
func (c *checker) evaluate(ctx context.Context, m *module, opts script.LoadOptions) *runbook.Runbook {
	if c.failed() || !m.defines("runbook") {
		return nil
	}
	book, err := runbook.Load(ctx, opts)
	c.made = append(c.made, made{m, book, err})
	if err == nil {
		c.learn(book)
	}
	return book
}

// conclude tells what the runbooks as a whole tell. That one cannot be loaded is told if no mistake explains it.
func (c *checker) conclude() {
	explained := c.failed()
	for _, r := range c.made {
		switch {
		case r.err == nil:
			c.checkRunbook(r.by, r.book)
		case !explained:
			c.evaluation(r.by, r.err)
		}
	}
}

func open(opts script.LoadOptions) (*checker, string, error) {
	opts.Builtins = slices.Concat(runbook.CoreBuiltins(), opts.Builtins)
	reader, label, err := script.NewReader(opts)
	if err != nil {
		return nil, "", err
	}
	c := &checker{
		called: opts.Builtins, builtins: slices.Concat(opts.Builtins, script.Language()), byName: map[string]*script.Builtin{},
		names: script.Predeclared(opts.Builtins), known: script.KnownNames(opts.Builtins), reader: reader,
		dir: cmp.Or(opts.Dir, filepath.Dir(opts.Name)), modules: map[string]*module{}, report: &report{}, steps: map[place]map[string]typ{}, roles: map[place]string{},
	}
	for _, b := range slices.Concat(c.builtins, runbook.Methods()) {
		c.byName[b.Name] = b
	}
	c.testNames = c.names
	return c, label, nil
}

// addTests makes the builtins for tests known.
func (c *checker) addTests(tests []*script.Builtin) {
	c.testNames = script.Predeclared(slices.Concat(c.called, tests))
	for _, b := range tests {
		c.byName[b.Name] = b
	}
	c.builtins = slices.Concat(c.builtins, tests)
}

// isName reports whether a module sees a name without defining it.
func (m *module) isName(name string) bool {
	if strings.HasSuffix(m.label, "_test.star") {
		return m.lint.testNames.Has(name)
	}
	return m.lint.names.Has(name)
}

// failed reports whether an error was found.
func (c *checker) failed() bool { return Refusal(c.report.found) != nil }

// module reads a module, and those that it loads if they are the site's own.
func (c *checker) module(label string) (*module, error) {
	if m := c.modules[label]; m != nil {
		return m, nil
	}
	text, err := c.reader.Read(label)
	if err != nil {
		return nil, err
	}
	m := &module{
		lint: c, label: label, file: c.fileOf(label), text: text, own: !script.IsStock(label), report: c.report,
		bindings: map[*syntax.Ident][]func() typ{}, loads: map[*syntax.Ident]loaded{}, functions: map[syntax.Node]*function{},
		enclosing: map[*syntax.Ident]*function{}, memo: map[syntax.Expr]typ{}, stubs: map[string]bool{}, changes: map[*syntax.Ident]bool{},
	}
	c.modules[label] = m
	m.parse()
	m.resolve()
	for _, stmt := range m.tree.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok && m.own {
			m.load(load)
		}
	}
	m.collect()
	return m, nil
}

// origin is where a loaded name comes from. Stock runbooks are read no further than the site's own need it.
func (m *module) origin(id *syntax.Ident) (loaded, bool) {
	if from, ok := m.loads[id]; ok || m.own {
		return from, ok
	}
	for _, stmt := range m.tree.Stmts {
		load, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		if i := slices.Index(load.To, id); i >= 0 {
			label, err := m.lint.reader.Resolve(m.label, load.ModuleName())
			if err != nil {
				return loaded{}, false
			}
			from, err := m.lint.module(label)
			if err != nil || from.top == nil {
				return loaded{}, false
			}
			m.loads[id] = loaded{from, load.From[i].Name}
			return m.loads[id], true
		}
	}
	return loaded{}, false
}

func (c *checker) fileOf(label string) string {
	if script.IsStock(label) {
		return label
	}
	return filepath.Join(c.dir, strings.TrimPrefix(label, "//"))
}

// load looks a load statement's module and names up.
func (m *module) load(stmt *syntax.LoadStmt) {
	label, err := m.lint.reader.Resolve(m.label, stmt.ModuleName())
	if err != nil {
		m.at(stmt.Module, ruleLoad, "", "%v", err)
		return
	}
	from, err := m.lint.module(label)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "a module is named //lib/NAME.star, from the runbook's own directory, or @stock//lib/NAME.star, of those in the program"
		}
		m.at(stmt.Module, ruleLoad, hint, "%v", err)
		return
	}
	if from.top == nil { // it is being read
		m.at(stmt.Module, ruleLoad, "put what both need into a third module", "%s loads itself, by way of the modules that it loads", label)
		return
	}
	defined := from.topNames()
	for i, name := range stmt.From {
		if !from.defines(name.Name) && !strings.HasPrefix(name.Name, "_") && !from.broken {
			m.at(name, ruleLoad, strings.TrimPrefix(near.HintOrList(name.Name, exported(defined)), "; "), "%s defines no %s", stmt.ModuleName(), name.Name)
			continue
		}
		m.loads[stmt.To[i]] = loaded{from, name.Name}
	}
}

func exported(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "_") })
}

// defines reports whether a module gives a name that others can load.
func (m *module) defines(name string) bool { return m.global(name) != nil }

// global is the identifier that binds a global name.
func (m *module) global(name string) *syntax.Ident {
	for _, stmt := range m.tree.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			if stmt.Name.Name == name {
				return stmt.Name
			}
		case *syntax.AssignStmt:
			for _, id := range targets(stmt.LHS) {
				if id.Name == name {
					return id
				}
			}
		}
	}
	return nil
}

// checkAll looks at all modules that are the site's own.
func (c *checker) checkAll() {
	for _, label := range sortedKeys(c.modules) {
		if m := c.modules[label]; m.own {
			m.check()
		}
	}
}

// evaluation tells why a runbook without a mistake in sight cannot be loaded.
func (c *checker) evaluation(main *module, err error) {
	info := script.ErrorInfoOf(err)
	m, line, col := main, int32(1), int32(1)
	for label, other := range c.modules {
		rest, ok := strings.CutPrefix(info.Pos, label+":")
		if !ok {
			continue
		}
		m = other
		line, col = position(rest)
	}
	if !m.own { // the site's own call stands further out
		for _, frame := range info.Stack {
			for label, other := range c.modules {
				if rest, ok := strings.CutPrefix(frame, label+":"); ok && other.own && !m.own {
					m = other
					line, col = position(rest)
				}
			}
		}
	}
	own := m.own
	m.own = true
	message, hint := split(info.Message)
	m.span(syntax.MakePosition(&m.label, line, col), syntax.Position{}, ruleEvaluation, cmp.Or(info.Hint, hint), "%s", message)
	m.own = own
}
