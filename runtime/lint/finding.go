// Package lint finds mistakes in runbooks before anything runs: what the language refuses, what a builtin would
// refuse, what fails only in a branch that is rarely taken, and what works and is not meant. It reads sources
// and carries nothing out.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/script"
)

// Severity of a finding.
type Severity string

// An Error fails as soon as its line is reached, so nothing begins with one; a Warning is likely not meant.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one mistake.
type Finding struct {
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Column    int      `json:"column"`
	EndLine   int      `json:"end_line"`
	EndColumn int      `json:"end_column"`
	Severity  Severity `json:"severity"`
	Rule      string   `json:"rule"`
	Message   string   `json:"message"`
	Hint      string   `json:"hint"`
	Source    string   `json:"source"` // the line, and a line with a caret below it
}

// Pos is where the mistake is.
func (f Finding) Pos() string { return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column) }

// Info is the finding as failures are told.
func (f Finding) Info() *script.ErrorInfo {
	return &script.ErrorInfo{Message: f.Message, Pos: f.Pos(), Source: f.Source, Hint: f.Hint}
}

// Failure are the errors for which a runbook is refused.
type Failure struct{ Findings []Finding }

func (f *Failure) Error() string {
	first := f.Findings[0]
	text := fmt.Sprintf("%s: %s", first.Pos(), first.Message)
	if more := len(f.Findings) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// Refusal is the error of findings that keep a runbook from being run; nil if there is none.
func Refusal(found []Finding) error {
	var errors []Finding
	for _, f := range found {
		if f.Severity == Error {
			errors = append(errors, f)
		}
	}
	if errors == nil {
		return nil
	}
	return &Failure{errors}
}

// report collects the findings of all modules.
type report struct{ found []Finding }

func (r *report) sorted() []Finding {
	slices.SortStableFunc(r.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(r.found, func(a, b Finding) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}

// at reports a mistake at a node of a module.
func (m *module) at(n syntax.Node, rule rule, hint, format string, args ...any) {
	start, end := n.Span()
	m.span(start, end, rule, hint, format, args...)
}

func (m *module) span(start, end syntax.Position, rule rule, hint, format string, args ...any) {
	if !m.own {
		return // a stock runbook is looked at for what it tells of the site's own
	}
	message := fmt.Sprintf(format, args...)
	if hint == "" {
		hint = rule.hint
	}
	if !end.IsValid() {
		end = start
	}
	m.report.found = append(m.report.found, Finding{
		File: m.file, Line: int(start.Line), Column: int(start.Col), EndLine: int(end.Line), EndColumn: int(end.Col),
		Severity: rule.severity, Rule: rule.name, Message: message, Hint: strings.TrimPrefix(hint, "; "),
		Source: script.Excerpt(m.text, syntax.MakePosition(&m.label, start.Line, start.Col)),
	})
}
