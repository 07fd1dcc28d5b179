package lint

import (
	"errors"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

// mostErrors bounds the errors of syntax that are looked for in one module.
const mostErrors = 20

// parse reads a module, and tells each part that does not parse: one that does not hides no other. A part is what
// stands between two lines that begin in the first column.
func (m *module) parse() {
	text := m.text
	for range mostErrors {
		file, err := script.Dialect().Parse(m.label, text, 0)
		if err == nil {
			m.tree = file
			return
		}
		var bad syntax.Error
		if !errors.As(err, &bad) {
			m.span(syntax.MakePosition(&m.label, 1, 1), syntax.Position{}, ruleSyntax, "", "%v", err)
			break
		}
		m.broken = true
		line := m.syntaxError(text, bad)
		var ok bool
		if text, ok = m.blankPart(text, line); !ok {
			break
		}
	}
	m.tree, _ = script.Dialect().Parse(m.label, "", 0)
}

// syntaxError tells why a part does not parse, and returns the line at fault.
func (m *module) syntaxError(text string, bad syntax.Error) int {
	lines := strings.Split(text, "\n")
	pos := bad.Pos
	at := min(int(pos.Line), len(lines)) - 1
	if line, col := openBracket(lines[:at]); line > 0 && (begins(lines[at]) || strings.TrimSpace(strings.Join(lines[at:], "")) == "") {
		bracket := syntax.MakePosition(&m.label, int32(line), int32(col))
		m.span(bracket, syntax.Position{}, ruleSyntax, "close it, or look for the bracket that was meant", "the bracket %s is not closed", lines[line-1][col-1:col])
		return line
	}
	if strings.TrimSpace(lines[at]) == "" || strings.HasPrefix(bad.Msg, "got newline") && pos.Col == 1 { // what is wrong is above
		for at > 0 && (strings.TrimSpace(lines[at]) == "" || at >= int(pos.Line)-1) {
			at--
		}
		pos.Line, pos.Col = int32(at+1), int32(len(lines[at]))
	}
	m.span(pos, syntax.Position{}, ruleSyntax, hintFor(lines[at], bad.Msg), "%s", bad.Msg)
	return int(pos.Line)
}

// openBracket finds the last bracket that is open at the end of some lines. Lines and columns count from 1.
func openBracket(lines []string) (line, col int) {
	var open [][2]int
	for i, text := range lines {
		bare := quoted.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("_", len(s)) })
		bare, _, _ = strings.Cut(bare, "#")
		for j, c := range []byte(bare) {
			switch {
			case strings.IndexByte("([{", c) >= 0:
				open = append(open, [2]int{i + 1, j + 1})
			case strings.IndexByte(")]}", c) >= 0 && len(open) > 0:
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return 0, 0
	}
	return open[len(open)-1][0], open[len(open)-1][1]
}

// blankPart empties the part of a module that holds a line. Of a function its name stays, so that its callers are
// not told that it is missing.
func (m *module) blankPart(text string, line int) (string, bool) {
	lines := strings.Split(text, "\n")
	at := min(line, len(lines)) - 1
	first := at
	for first > 0 && !begins(lines[first]) {
		first--
	}
	blanked := false
	stub := ""
	if name, ok := strings.CutPrefix(lines[first], "def "); ok {
		if name, _, ok = strings.Cut(name, "("); ok && isIdentifier(name) {
			stub = "def " + name + "(*args, **kwargs): pass"
			m.stubs[name] = true
		}
	} else if name, _, ok := strings.Cut(lines[first], "="); ok && isIdentifier(strings.TrimSpace(name)) {
		stub = strings.TrimSpace(name) + " = None"
	}
	for i := first; i < len(lines) && (i <= at || !begins(lines[i])); i++ {
		blanked = blanked || lines[i] != ""
		lines[i] = ""
	}
	if lines[first] = stub; strings.Contains(text, stub) && stub != "" && !blanked {
		return "", false
	}
	return strings.Join(lines, "\n"), blanked
}

// begins reports whether a part begins with a line.
func begins(line string) bool {
	return line != "" && !strings.ContainsAny(line[:1], " \t)]}#") && !strings.HasPrefix(line, "elif") && !strings.HasPrefix(line, "else")
}

func isIdentifier(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// resolve binds names, and tells those that are not defined.
func (m *module) resolve() {
	err := resolve.File(m.tree, m.isName, starlark.Universe.Has)
	var bad resolve.ErrorList
	if !errors.As(err, &bad) {
		return
	}
	for _, e := range bad {
		name, undefined := strings.CutPrefix(e.Msg, "undefined: ")
		if !undefined {
			m.span(e.Pos, syntax.Position{}, ruleName, hintForMessage(e.Msg), "%s", e.Msg)
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		m.span(e.Pos, syntax.Position{}, ruleName, m.meant(name), "undefined: %s", name)
	}
}

// meant is what a name that is not defined may be meant for.
func (m *module) meant(name string) string {
	if hint, ok := nameHabits[name]; ok {
		return hint
	}
	if best := near.Name(name, append(m.topNames(), m.lint.known...)); best != "" {
		return "did you mean " + best + "?"
	}
	for _, b := range m.lint.builtins { // wirte(…) for fs.write(…)
		if _, member, dotted := strings.Cut(b.Name, "."); dotted && member == name {
			return "did you mean " + b.Name + "?"
		}
	}
	return ""
}

// topNames are what the module itself defines and loads.
func (m *module) topNames() []string {
	var names []string
	for _, stmt := range m.tree.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			names = append(names, stmt.Name.Name)
		case *syntax.AssignStmt:
			if id, ok := stmt.LHS.(*syntax.Ident); ok {
				names = append(names, id.Name)
			}
		case *syntax.LoadStmt:
			for _, to := range stmt.To {
				names = append(names, to.Name)
			}
		}
	}
	return names
}
