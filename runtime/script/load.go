package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// stockRoot is the label of the embedded runbooks' root; forkRoot is the root of the fork.
const (
	stockRoot = "@stock//"
	forkRoot  = "//"
)

// maxModule bounds a module's source.
const maxModule = 1 << 20

// dialect is Starlark with sets, and without while, recursion and top-level control flow, so that
// runbooks stay checklists and the Bazel tools can format and lint them.
var dialect = &syntax.FileOptions{Set: true}

// LoadOptions says where a runbook comes from.
type LoadOptions struct {
	// Name is a stock runbook ("debian") or the path of a file ("site/debian.star"); the file's
	// directory is then the root of the fork.
	Name string
	// Dir, if given, is the root of the fork, and Name the path of a file below it.
	Dir      string
	Stock    fs.FS // root of @stock//: debian.star, lib/...
	Builtins []*Builtin
	Limits   Limits // zero: DefaultLimits
	// Coverage, if given, counts the lines that are carried out.
	Coverage *Coverage
}

// Load reads, checks and evaluates a module and all that it loads. Errors are for ErrorInfoOf.
func Load(ctx context.Context, opts LoadOptions) (*Program, error) {
	l := newLoader(ctx, opts)
	label, err := l.entry(opts.Dir, opts.Name)
	if err != nil {
		return nil, err
	}
	if l.fork != nil {
		defer l.fork.Close()
	}
	return l.program(label)
}

// LoadCopy loads a module from the copy kept with a run: modules by label.
func LoadCopy(ctx context.Context, label string, modules map[string]string, opts LoadOptions) (*Program, error) {
	l := newLoader(ctx, opts)
	l.copy = modules
	return l.program(label)
}

func newLoader(ctx context.Context, opts LoadOptions) *loader {
	l := &loader{
		ctx: ctx, coverage: opts.Coverage, stock: opts.Stock, builtins: opts.Builtins,
		predeclared: predeclare(opts.Builtins), budget: newBudget(opts.Limits),
		sources: map[string]string{}, modules: map[string]*module{},
	}
	if l.coverage != nil {
		l.predeclared[markName] = l.coverage.marks()
	}
	return l
}

// program evaluates a module and all that it loads.
func (l *loader) program(label string) (*Program, error) {
	p := &Program{Label: label, Builtins: l.builtins, sources: l.sources, names: predeclaredNames(l.predeclared), budget: l.budget}
	p.words = sync.OnceValue(p.findWords)
	var err error
	if p.Globals, err = l.load(label); err != nil {
		return nil, p.Explain(err)
	}
	return p, nil
}

type loader struct {
	ctx         context.Context
	stock       fs.FS
	fork        *os.Root
	copy        map[string]string // label to source, instead of stock and fork
	builtins    []*Builtin
	predeclared starlark.StringDict
	budget      *budget
	coverage    *Coverage // nil if nothing counts lines
	sources     map[string]string
	modules     map[string]*module
}

type module struct {
	globals starlark.StringDict // nil while it loads
	err     error
}

// entry finds the module to start with and opens the fork's root if it is a file.
func (l *loader) entry(dir, name string) (label string, err error) {
	if dir != "" {
		l.fork, err = os.OpenRoot(dir)
		return forkRoot + name, err
	}
	if strings.HasPrefix(name, stockRoot) {
		return name, nil
	}
	if _, err := os.Stat(name); err != nil && strings.Contains(name, "=") {
		return "", fmt.Errorf("no runbook %q; a parameter of the runbook is given with --param %s", name, name)
	}
	if !strings.ContainsAny(name, "/.") {
		if _, err := fs.Stat(l.stock, name+".star"); err != nil {
			return "", fmt.Errorf("no stock runbook %q (there are: %s); a runbook of your own is named by its path, like site/%s.star",
				name, strings.Join(StockRunbooks(l.stock), ", "), name)
		}
		return stockRoot + name + ".star", nil
	}
	if filepath.Ext(name) != ".star" {
		return "", fmt.Errorf("runbook %s: the name of a runbook ends in .star", name)
	}
	if _, err := os.Stat(name); err != nil {
		return "", fmt.Errorf("runbook %s: %w", name, errors.Unwrap(err))
	}
	l.fork, err = os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return "", fmt.Errorf("runbook %s: %w", name, err)
	}
	return forkRoot + filepath.Base(name), nil
}

// StockRunbooks lists the embedded runbooks by name.
func StockRunbooks(stock fs.FS) []string {
	files, _ := fs.Glob(stock, "*.star")
	var names []string
	for _, f := range files {
		if name := strings.TrimSuffix(f, ".star"); !strings.HasSuffix(name, "_test") {
			names = append(names, name)
		}
	}
	return names
}

// resolve turns what a load statement says into a label.
func (l *loader) resolve(from, want string) (string, error) {
	root, name := "", want
	switch {
	case strings.HasPrefix(want, stockRoot):
		root, name = stockRoot, strings.TrimPrefix(want, stockRoot)
	case strings.HasPrefix(want, forkRoot):
		root, name = rootOf(from), strings.TrimPrefix(want, forkRoot)
	default:
		root = rootOf(from)
		name = path.Join(path.Dir(strings.TrimPrefix(from, root)), want)
		if strings.HasPrefix(want, "/") || strings.Contains(want, "..") {
			name = want
		}
	}
	if !fs.ValidPath(name) || path.Ext(name) != ".star" {
		return "", fmt.Errorf("load(%q): a module is named %sNAME.star, %sNAME.star (from the runbook's own directory), or by a path below the loading file; no \"..\", no absolute path",
			want, stockRoot, forkRoot)
	}
	return root + name, nil
}

func rootOf(label string) string {
	if strings.HasPrefix(label, stockRoot) {
		return stockRoot
	}
	return forkRoot
}

// load evaluates a module once and returns its globals.
func (l *loader) load(label string) (starlark.StringDict, error) {
	if m := l.modules[label]; m != nil {
		if m.globals == nil && m.err == nil {
			return nil, fmt.Errorf("%s loads itself, by way of the modules that it loads", label)
		}
		return m.globals, m.err
	}
	m := &module{}
	l.modules[label] = m
	m.globals, m.err = l.eval(label)
	return m.globals, m.err
}

func (l *loader) eval(label string) (starlark.StringDict, error) {
	source, err := l.read(label)
	if err != nil {
		return nil, err
	}
	l.sources[label] = source
	file, err := dialect.Parse(label, source, 0)
	if err != nil {
		return nil, err
	}
	guardComparisons(file)
	boundGrowth(file)
	if l.coverage != nil {
		l.coverage.mark(label, source, file)
	}
	program, err := starlark.FileProgram(file, l.predeclared.Has)
	if err != nil {
		return nil, err
	}
	thread := &starlark.Thread{Name: label, Print: func(*starlark.Thread, string) {}}
	thread.Load = func(_ *starlark.Thread, want string) (starlark.StringDict, error) {
		next, err := l.resolve(label, want)
		if err != nil {
			return nil, err
		}
		return l.load(next)
	}
	settle := l.budget.arm(l.ctx, thread)
	defer settle()
	globals, err := program.Init(thread, l.predeclared)
	if err != nil {
		return nil, err
	}
	globals.Freeze()
	return globals, nil
}

func (l *loader) read(label string) (string, error) {
	if l.copy != nil {
		source, ok := l.copy[label]
		if !ok {
			return "", fmt.Errorf("%s: not in the copy kept with the run", label)
		}
		return source, nil
	}
	root := rootOf(label)
	name := strings.TrimPrefix(label, root)
	var files fs.FS = l.stock
	if root == forkRoot {
		if l.fork == nil {
			return "", fmt.Errorf("%s: a stock runbook has no directory of its own to load from", label)
		}
		files = l.fork.FS()
	}
	info, err := fs.Stat(files, name) // before it is opened: opening a FIFO waits for a writer
	if err != nil {
		return "", fmt.Errorf("%s: %w", label, reason(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", label)
	}
	f, err := files.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", label, reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", label, reason(err))
	}
	if len(data) > maxModule {
		return "", fmt.Errorf("%s: larger than %d KiB", label, maxModule>>10)
	}
	return string(data), nil
}

// reason is a path error's cause without the path, which the label tells better.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Dedent takes the indentation that all lines but the first share off a docstring.
func Dedent(doc string) string {
	lines := strings.Split(doc, "\n")
	indent := -1
	for _, line := range lines[1:] {
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && (indent < 0 || len(line)-len(trimmed) < indent) {
			indent = len(line) - len(trimmed)
		}
	}
	for i := 1; i < len(lines) && indent > 0; i++ {
		lines[i] = lines[i][min(indent, len(lines[i])):]
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
