package story

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// effects say in words what a call of a builtin does to the host.
var effects = map[script.Effect]string{
	script.Pure:     "does not touch the host",
	script.Read:     "reads the host",
	script.Change:   "changes the host",
	script.Describe: "describes the runbook",
}

// Index lists builtins by module, a line each.
func Index(w io.Writer, builtins []*script.Builtin, opts ConsoleOptions) {
	if opts.Width <= 0 {
		opts.Width = defaultWidth
	}
	c := &console{w: w, opts: opts, paint: palette(opts.Color)}
	group := ""
	for i, b := range sorted(builtins) {
		if m := moduleOf(b); m != group || i == 0 {
			if i > 0 {
				c.line("")
			}
			group = m
			title := m
			if title == "" {
				title = "global names"
			}
			c.line(c.paint.head(title))
		}
		c.block("  ", fmt.Sprintf("%-20s ", b.Name), sentence(b.Doc), nil)
	}
}

// Entry describes one builtin in full.
func Entry(w io.Writer, b *script.Builtin, opts ConsoleOptions) {
	if opts.Width <= 0 {
		opts.Width = defaultWidth
	}
	c := &console{w: w, opts: opts, paint: palette(opts.Color)}
	c.line(c.paint.head(b.Signature()))
	c.line("")
	c.block("  ", "", reflow(b.Doc), nil)
	if len(b.Params) > 0 {
		c.line("")
		for _, p := range b.Params {
			c.block("  ", fmt.Sprintf("%-12s ", p.Name), paramLine(p), nil)
		}
	}
	c.line("")
	if b.Result != "" {
		c.block("  ", "returns      ", b.Result, nil)
	}
	c.block("  ", "effect       ", effects[b.Effect], nil)
	if b.Example == "" {
		return
	}
	c.line("")
	c.line("  " + c.paint.dim("example"))
	for _, l := range strings.Split(strings.TrimSpace(b.Example), "\n") {
		c.line("    " + l)
	}
}

func paramLine(p script.Param) string {
	parts := []string{string(p.Type)}
	if len(p.Choices) > 0 {
		parts = append(parts, "one of "+strings.Join(p.Choices, ", "))
	}
	if p.Optional {
		def := p.Default
		if def == "" {
			def = "None"
		}
		parts = append(parts, "default "+def)
	}
	if p.Keyword {
		parts = append(parts, "by name only")
	}
	return p.Doc + " (" + strings.Join(parts, "; ") + ")"
}

// Markdown writes the whole reference.
func Markdown(w io.Writer, builtins []*script.Builtin) {
	fmt.Fprint(w, "# What a runbook can call\n")
	group, first := "", true
	for _, b := range sorted(builtins) {
		if m := moduleOf(b); m != group || first {
			group, first = m, false
			title := "`" + m + "`"
			if m == "" {
				title = "Global names"
			}
			fmt.Fprintf(w, "\n## %s\n", title)
		}
		fmt.Fprintf(w, "\n### `%s`\n\n%s\n\n", b.Signature(), strings.TrimSpace(b.Doc))
		if len(b.Params) > 0 {
			fmt.Fprint(w, "| parameter | meaning |\n|---|---|\n")
			for _, p := range b.Params {
				fmt.Fprintf(w, "| `%s` | %s |\n", p.Name, strings.ReplaceAll(paramLine(p), "|", "\\|"))
			}
			fmt.Fprintln(w)
		}
		if b.Result != "" {
			fmt.Fprintf(w, "Returns %s. ", strings.TrimSuffix(b.Result, "."))
		}
		fmt.Fprintf(w, "It %s.\n", effects[b.Effect])
		if b.Example != "" {
			fmt.Fprintf(w, "\n```python\n%s\n```\n", strings.TrimSpace(b.Example))
		}
	}
}

// RunbookEntry describes a runbook: what it is for, its steps with what they return, its parameters, and what it may
// change.
func RunbookEntry(w io.Writer, book *runbook.Runbook, opts ConsoleOptions) {
	if opts.Width <= 0 {
		opts.Width = defaultWidth
	}
	c := &console{w: w, opts: opts, paint: palette(opts.Color)}
	c.line(c.paint.head(book.Name))
	c.line("")
	c.block("  ", "", reflow(book.Doc), nil)
	c.line("")
	c.block("  ", "for ", strings.Join(book.Systems, ", "), nil)
	for _, warning := range book.Warnings() {
		c.block("  ", "! ", warning, c.paint.warn)
	}
	c.line("")
	c.line(c.paint.head("steps"))
	for i, s := range book.All() {
		c.stepEntry(book, i+1, s)
	}
	c.line("")
	c.line(c.paint.head("parameters"))
	for _, p := range book.Params {
		c.block("  ", fmt.Sprintf("%-14s ", p.Name), specLine(p), nil)
	}
	c.line("")
	c.line(c.paint.head("permissions"))
	for _, p := range book.Permissions() {
		c.block("  ", fmt.Sprintf("%-14s ", p.What), strings.Join(p.Entries, ", "), nil)
	}
	c.block("  ", "", "and what a run finds on the host and is told as \"may now change\"; nothing else", nil)
}

func (c *console) stepEntry(book *runbook.Runbook, number int, s *runbook.Step) {
	doc, _, _ := strings.Cut(s.Doc, "\n")
	c.block("  ", fmt.Sprintf("%2d %-18s ", number, s.Name), doc, nil)
	r := book.Results[s.Name]
	if r == nil {
		return
	}
	c.block("     ", "returns ", resultLine(r), c.paint.dim)
	for _, f := range r.Fields {
		c.block("       ", fmt.Sprintf("%-18s ", f.Name), f.Doc, c.paint.dim)
	}
}

func resultLine(r *runbook.Result) string {
	if len(r.Fields) > 0 {
		return "a record: " + r.Doc
	}
	return r.Type + ": " + r.Doc
}

func specLine(p *runbook.ParamSpec) string {
	parts := []string{string(p.Type)}
	if len(p.Choices) > 0 {
		parts = append(parts, "one of "+strings.Join(p.Choices, ", "))
	}
	if bounds := p.RangeText(); bounds != "" {
		parts = append(parts, bounds)
	}
	switch {
	case p.Secret:
		parts = append(parts, "given with --secret "+p.Name+"=FILE")
	case p.Required:
		parts = append(parts, "required")
	case p.DefaultText() != "":
		parts = append(parts, "default "+p.DefaultText())
	}
	return p.Doc + " (" + strings.Join(parts, "; ") + ")"
}

func sorted(builtins []*script.Builtin) []*script.Builtin {
	list := append([]*script.Builtin(nil), builtins...)
	sort.SliceStable(list, func(i, j int) bool {
		a, b := moduleOf(list[i]), moduleOf(list[j])
		if a != b {
			return a < b
		}
		return list[i].Name < list[j].Name
	})
	return list
}

func moduleOf(b *script.Builtin) string {
	module, _, dotted := strings.Cut(b.Name, ".")
	if !dotted {
		return ""
	}
	return module
}

// sentence is the first sentence of a documentation.
func sentence(doc string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(doc), "\n")
	if first, _, more := strings.Cut(line, ". "); more {
		return first + "."
	}
	return line
}

// reflow joins the lines of each paragraph, so that they can be wrapped again. Indented lines and
// lists stay as they are.
func reflow(doc string) string {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(doc), "\n") {
		switch {
		case i == 0:
		case line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "- ") || strings.HasSuffix(b.String(), "\n"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}
