package script

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Coverage counts which lines of runbooks were carried out: those on which a statement of a function begins. What a
// module does while it is loaded says nothing, since it is done whatever is tested.
//
// The interpreter tells the position of an instruction at each step, but has none for many statements: `return True`,
// `continue`, `x = y`. So each statement is given a mark before it, which is an instruction of its own.
type Coverage struct {
	mu    sync.Mutex
	files map[string]*covered
}

// covered is a file's share.
type covered struct {
	source string
	lines  []int           // of its statements, in order of the text
	hits   []atomic.Uint32 // of each
}

// NewCoverage has seen nothing yet.
func NewCoverage() *Coverage { return &Coverage{files: map[string]*covered{}} }

// markName is what a mark calls. No runbook can name it.
const markName = "mark of the coverage"

// LinesOf is what was carried out of one file: line to number of times.
type LinesOf struct {
	Label  string
	Source string
	Times  map[int]int
}

// Add counts a file whose statements nothing has carried out yet.
func (c *Coverage) Add(label, source string) error {
	file, err := dialect.Parse(label, source, 0)
	if err == nil {
		c.mark(label, source, file)
	}
	return err
}

// Files are all files, in order of their names.
func (c *Coverage) Files() []LinesOf {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []LinesOf
	for _, label := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[label]
		file := LinesOf{Label: label, Source: f.source, Times: map[int]int{}}
		for i, line := range f.lines {
			file.Times[line] = max(file.Times[line], int(f.hits[i].Load()))
		}
		all = append(all, file)
	}
	return all
}

// mark puts a mark before each statement of a file's functions. A file that is loaded again is counted on.
func (c *Coverage) mark(label, source string, file *syntax.File) {
	m := &marker{label: label}
	for _, stmt := range file.Stmts {
		m.functions(stmt)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.files[label]; old == nil || old.source != source {
		c.files[label] = &covered{source: source, lines: m.lines, hits: make([]atomic.Uint32, len(m.lines))}
	}
}

// marks is the function that the marks of a program call.
func (c *Coverage) marks() *starlark.Builtin {
	return starlark.NewBuiltin(markName, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		label, _ := starlark.AsString(args[0])
		n, err := starlark.AsInt32(args[1])
		c.mu.Lock()
		f := c.files[label]
		c.mu.Unlock()
		if err != nil || f == nil || n >= len(f.hits) {
			return nil, fmt.Errorf("coverage: no statement %v in %s", args[1], label)
		}
		f.hits[n].Add(1)
		return starlark.None, nil
	})
}

// marker marks the statements of one file.
type marker struct {
	label string
	lines []int
}

// functions marks the functions that a statement outside of one defines.
func (m *marker) functions(stmt syntax.Stmt) {
	if def, ok := stmt.(*syntax.DefStmt); ok {
		def.Body = m.block(def.Body, true)
	}
}

// block marks the statements of a block. The docstring of a function stays what it begins with.
func (m *marker) block(stmts []syntax.Stmt, body bool) []syntax.Stmt {
	var marked []syntax.Stmt
	for i, stmt := range stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			m.functions(stmt)
			marked = append(marked, stmt)
			continue
		case *syntax.ExprStmt:
			if _, doc := stmt.X.(*syntax.Literal); doc && body && i == 0 {
				marked = append(marked, stmt)
				continue
			}
		}
		marked = append(marked, m.markOf(stmt), stmt)
		switch stmt := stmt.(type) {
		case *syntax.IfStmt:
			stmt.True, stmt.False = m.block(stmt.True, false), m.block(stmt.False, false)
		case *syntax.ForStmt:
			stmt.Body = m.block(stmt.Body, false)
		}
	}
	return marked
}

func (m *marker) markOf(stmt syntax.Stmt) syntax.Stmt {
	at, _ := stmt.Span()
	n := len(m.lines)
	m.lines = append(m.lines, int(at.Line))
	return &syntax.ExprStmt{X: &syntax.CallExpr{
		Fn: &syntax.Ident{NamePos: at, Name: markName}, Lparen: at, Rparen: at,
		Args: []syntax.Expr{
			&syntax.Literal{Token: syntax.STRING, TokenPos: at, Value: m.label},
			&syntax.Literal{Token: syntax.INT, TokenPos: at, Value: int64(n)},
		},
	}}
}
