package story

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fatih/color"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// ConsoleOptions say what the console can show.
type ConsoleOptions struct {
	Color    bool
	Progress bool // moving bars; without it, a plain line now and then
	Verbose  bool // whole diffs and lists
	Width    int  // columns; 0 for 80
}

const (
	defaultWidth = 80
	widest       = 110 // longer lines of prose are hard to read
	narrowest    = 20  // a frame is not made narrower
	diffLines    = 16  // shown of a diff, unless verbose
	listLines    = 6   // shown of a list, unless verbose
	itemIndent   = "   "
	deepIndent   = "       "
)

// Console tells a run to a person, as it happens: each step and below it what changes, then what a
// simulation could not know, the findings from the mildest to the worst, the counts, and as the last
// line the verdict.
func Console(w io.Writer, opts ConsoleOptions) func(Event) {
	if opts.Width <= 0 {
		opts.Width = defaultWidth
	}
	opts.Width = min(opts.Width, widest)
	c := &console{w: w, opts: opts, paint: palette(opts.Color), story: &story{}}
	c.progress = newProgress(w, opts)
	return c.tell
}

type console struct {
	w        io.Writer
	opts     ConsoleOptions
	paint    paints
	story    *story
	progress *progress
	open     *Event // the change in hand
}

// paints colour text by its meaning.
type paints struct {
	head, step, add, del, hunk, dim, warn, bad, good func(a ...any) string
}

func palette(on bool) paints {
	paint := func(attrs ...color.Attribute) func(a ...any) string {
		c := color.New(attrs...)
		c.DisableColor()
		if on {
			c.EnableColor()
		}
		return c.SprintFunc()
	}
	return paints{
		head: paint(color.Bold),
		step: paint(color.Bold, color.FgBlue),
		add:  paint(color.FgGreen),
		del:  paint(color.FgRed),
		hunk: paint(color.FgCyan),
		dim:  paint(color.Faint),
		warn: paint(color.FgYellow),
		bad:  paint(color.Bold, color.FgRed),
		good: paint(color.Bold, color.FgGreen),
	}
}

func (c *console) tell(e Event) {
	if e.Kind == ProgressMade {
		if e.Progress != nil {
			c.progress.show(e)
		}
		return
	}
	c.progress.clear(e)
	if e.Kind == StepBegin || e.Kind == Failed || e.Kind == VerdictGiven {
		c.closeStep()
	}
	c.story.add(e)
	switch e.Kind {
	case RunBegin:
		c.header()
	case StepBegin:
		c.stepBegin(e)
	case Output:
		c.output(e.Text)
	case FindingFound:
		c.finding(e)
	case NoReturn:
		c.noReturn(e.Text)
	case ChangeBegin:
		c.change(e)
	case ChangeEnd:
		c.changed(e)
	case Undone:
		c.block(itemIndent, "↶ ", "undone: "+e.Text, nil)
	case Connected:
		c.block(itemIndent, "+ ", "connects to "+e.Text, c.paint.dim)
	case Granted:
		c.block(itemIndent, "+ ", "may now change "+e.Text, c.paint.dim)
	case StepSkipped:
		c.block(itemIndent, "- ", e.Step+": "+e.Text, c.paint.dim)
	case VerdictGiven:
		c.closing()
	}
}

// output prints what a runbook says as it says it, and wraps only what does not fit.
func (c *console) output(text string) {
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if l = clean(l); utf8.RuneCountInString(l)+len(itemIndent) <= c.opts.Width {
			c.line(itemIndent + l)
			continue
		}
		c.block(itemIndent, "", l, nil)
	}
}

func (c *console) line(s string) { fmt.Fprintln(c.w, strings.TrimRight(s, " ")) }

// block prints wrapped text behind a mark; the following lines are indented below it.
func (c *console) block(indent, mark, text string, paint func(...any) string) {
	pad := strings.Repeat(" ", utf8.RuneCountInString(mark))
	for i, l := range wrap(text, c.opts.Width-len(indent)-len(pad)) {
		lead := mark
		if i > 0 {
			lead = pad
		}
		if paint != nil {
			l = paint(l)
		}
		c.line(indent + lead + l)
	}
}

func (c *console) header() {
	r := c.story.run
	c.line(c.paint.head(strings.TrimSpace(fmt.Sprintf("zcp2kopano %s: %s %s", clean(r.Version), r.Mode, clean(bookName(r.Runbook))))))
	doc, _, _ := strings.Cut(r.Doc, "\n")
	if doc != "" {
		c.block("", "", doc, nil)
	}
	c.line("")
	c.field("host", r.Host)
	c.field("system", r.System)
	if r.Dir != "" && r.Mode != "simulate" && r.Mode != "check" {
		c.field("run", r.ID+" in "+r.Dir)
	}
	c.field("parameters", params(r.Params))
	c.field("overridden", params(r.Overrides))
	c.field("connects", connects(r))
	if r.Until != "" {
		c.field("until", r.Until)
	}
	if r.Limit > 0 {
		c.field("limit", bytes(r.Limit)+" a second, until the first service is stopped")
	}
	if len(r.Deviations) > 0 {
		c.line("differs from the stock runbook:")
		for _, d := range r.Deviations {
			c.block(itemIndent, "", d.String(), nil)
		}
	}
	for _, w := range r.Warnings {
		c.block("", "! warning: ", w, c.paint.warn)
	}
	if r.Mode == "simulate" {
		c.line("")
		c.box(simulationBanner, '-', c.paint.head)
	}
}

// connects says where a run may connect to.
func connects(r RunInfo) string {
	return strings.Join(append([]string{"where this host's configuration or a parameter points"}, r.Servers...), ", ")
}

func (c *console) field(name, value string) {
	if value != "" {
		c.block("", fmt.Sprintf("%-12s", name), value, nil)
	}
}

func params(m map[string]string) string {
	var names []string
	for name, value := range m {
		if value != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = name + " = " + m[name]
	}
	return strings.Join(names, ", ")
}

func (c *console) stepBegin(e Event) {
	c.line("")
	head := fmt.Sprintf("[%d/%d] %s", e.Index, e.Count, clean(e.Step))
	if e.Doc == "" {
		c.line(c.paint.step(head))
		return
	}
	lines := wrap(head+" — "+e.Doc, c.opts.Width)
	if rest, ok := strings.CutPrefix(lines[0], head); ok {
		c.line(c.paint.step(head) + rest)
	} else {
		c.line(lines[0])
	}
	if rest := strings.Join(lines[1:], " "); rest != "" {
		c.block(itemIndent, "", rest, nil)
	}
}

// closeStep says in one line what a step found as it was wanted.
func (c *console) closeStep() {
	c.open = nil
	n := len(c.story.steps)
	if n == 0 {
		return
	}
	step := c.story.steps[n-1]
	if step.replayed > 0 {
		c.block(itemIndent, "", count(step.replayed, "change")+" of this step: done before", c.paint.dim)
	}
	if step.unchanged > 0 {
		c.block(itemIndent, "", alreadyWanted(step.unchanged), c.paint.dim)
	}
	step.replayed, step.unchanged = 0, 0
}

func alreadyWanted(n int) string {
	if n == 1 {
		return "1 thing was already as wanted"
	}
	return number(int64(n)) + " things were already as wanted"
}

// finding tells it in one line; warnings and inhibitors come again, with their remedy, at the end.
func (c *console) finding(e Event) {
	f := e.Finding
	if f == nil {
		return
	}
	text := f.Title
	if f.Severity == runbook.Info && f.Reason != "" {
		text += ": " + f.Reason
	}
	c.block(itemIndent, severityMark(f.Severity)+" ", text, c.severityPaint(f.Severity))
}

func severityMark(s runbook.Severity) string {
	switch s {
	case runbook.Inhibitor:
		return "✗"
	case runbook.Warning:
		return "!"
	}
	return "i"
}

func (c *console) severityPaint(s runbook.Severity) func(...any) string {
	switch s {
	case runbook.Inhibitor:
		return c.paint.bad
	case runbook.Warning:
		return c.paint.warn
	}
	return nil
}

// box frames a text so that nobody reads past it.
func (c *console) box(text string, frame rune, paint func(...any) string) {
	width := max(narrowest, min(c.opts.Width, 72))
	side := string(frame)
	if frame == '-' {
		side = "|"
	}
	bar := strings.Repeat(string(frame), width)
	c.line(paint(bar))
	for _, l := range chop(text, width-6) {
		c.line(paint(side + "  " + l + strings.Repeat(" ", width-6-utf8.RuneCountInString(l)) + "  " + side))
	}
	c.line(paint(bar))
}

func (c *console) noReturn(why string) {
	c.line("")
	c.box("POINT OF NO RETURN: the next change cannot be undone.\n"+why, '*', c.paint.bad)
}

func (c *console) change(e Event) {
	c.open = &e
	text := e.Text
	if d := e.Detail; d != nil {
		if size := amount(d.Files, d.Bytes); size != "" && (d.Diff == "" || d.Files > 1) {
			text += " (" + size + ")"
		}
	}
	c.block(itemIndent, "• ", text, nil)
	if e.Detail != nil {
		c.detail(*e.Detail)
	}
}

// changed tells an action's result if the action took a while: else its announcement has said enough.
func (c *console) changed(e Event) {
	text := e.Text
	if c.open != nil && text == c.open.Text {
		text = ""
	}
	slow := e.Elapsed >= time.Second && c.story.run.Mode != "simulate"
	if slow {
		text = strings.TrimSpace(text + " (" + duration(e.Elapsed) + ")")
	}
	if text != "" && (slow || c.opts.Verbose) {
		c.block(itemIndent+"  ", "→ ", text, c.paint.dim)
	}
	if e.Detail != nil {
		c.list(e.Detail.Lines)
	}
	c.open = nil
}

func (c *console) detail(d action.Detail) {
	c.diff(d.Diff)
	c.list(d.Lines)
}

func (c *console) diff(diff string) {
	if strings.TrimSpace(diff) == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(diff, "\n"), "\n")
	if len(lines) > 2 && strings.HasPrefix(lines[0], "--- ") && strings.HasPrefix(lines[1], "+++ ") {
		lines = lines[2:] // the summary above names the file
	}
	for i, l := range lines {
		if i == diffLines && len(lines) > diffLines+2 && !c.opts.Verbose {
			c.more(len(lines) - i)
			return
		}
		c.line(deepIndent + c.diffPaint(l)(clean(l)))
	}
}

func (c *console) diffPaint(line string) func(...any) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return c.paint.add
	case strings.HasPrefix(line, "-"):
		return c.paint.del
	case strings.HasPrefix(line, "@@"):
		return c.paint.hunk
	}
	return c.paint.dim
}

// list prints short names side by side, and anything longer below each other.
func (c *console) list(names []string) {
	if len(names) == 0 {
		return
	}
	lines, mark := names, "- "
	if compact(names) {
		lines, mark = wrap(strings.Join(names, ", "), c.opts.Width-len(deepIndent)), ""
	}
	for i, l := range lines {
		if i == listLines && len(lines) > listLines+2 && !c.opts.Verbose {
			c.more(len(lines) - i)
			return
		}
		c.block(deepIndent, mark, l, nil)
	}
}

func compact(names []string) bool {
	for _, n := range names {
		if len(n) > 48 || strings.Count(n, " ") > 1 || strings.Contains(n, ",") {
			return false
		}
	}
	return true
}

func (c *console) more(n int) {
	c.block(deepIndent, "", fmt.Sprintf("… %s; --verbose shows all", count(n, "more line")), c.paint.dim)
}

// closing tells what stands above single steps, the verdict last.
func (c *console) closing() {
	c.gaps()
	c.findings()
	c.failure()
	v := c.story.verdict
	if v == nil {
		return
	}
	c.line("")
	c.line(c.paint.head("Summary"))
	c.block(itemIndent, "", summary(c.story.run.Mode, *v), nil)
	if v.Times != nil {
		c.block(itemIndent, "", "time of a real run, "+v.Times.String(), nil)
		for _, why := range v.Times.Why {
			c.block(deepIndent, "- ", why, nil)
		}
	}
	if v.NoReturn != "" {
		c.block(itemIndent, "", "point of no return: "+v.NoReturn, nil)
	}
	c.line("")
	paint := c.paint.bad
	if v.Code == exit.Done {
		paint = c.paint.good
	}
	c.line(paint("verdict: " + c.verdictText(v.Text)))
}

// verdictText is the verdict in one line; a long cause, told in full above, is cut.
func (c *console) verdictText(text string) string {
	text = clean(strings.Join(strings.Fields(text), " "))
	if c.story.failure == nil || utf8.RuneCountInString(text) <= 2*c.opts.Width {
		return text
	}
	return wrapLine(text, 2*c.opts.Width-2)[0] + " …"
}

func summary(mode string, v Verdict) string {
	parts := []string{count(v.Changes, "change")}
	if mode == "rollback" {
		parts[0] += " undone"
	}
	parts = append(parts, count(v.Inhibitors, "inhibitor"), count(v.Warnings, "warning"), count(v.Infos, "info"))
	if v.Unpredicted > 0 {
		parts = append(parts, count(v.Unpredicted, "thing")+" not simulated")
	}
	return strings.Join(append(parts, duration(v.Elapsed)), " · ")
}

func (c *console) gaps() {
	if len(c.story.unpredicted) == 0 {
		return
	}
	c.line("")
	for i, l := range wrap("Not simulated (no news here is not good news)", c.opts.Width) {
		if i == 0 {
			rest := strings.TrimPrefix(l, "Not simulated")
			l = c.paint.head(strings.TrimSuffix(l, rest)) + c.paint.dim(rest)
		}
		c.line(l)
	}
	for _, g := range c.story.unpredicted {
		c.block(itemIndent, "? ", g.why, c.paint.warn)
		c.list(g.whats)
		if g.check != "" {
			c.block(deepIndent, "", "covered by: "+g.check, c.paint.dim)
		}
	}
}

// findings prints what needs a person, the worst last: logs are read from the bottom up.
func (c *console) findings() {
	started := false
	for _, f := range c.story.findings {
		if f.Severity == runbook.Info {
			continue
		}
		if !started {
			c.line("")
			c.line(c.paint.head("Findings"))
			started = true
		}
		c.block(itemIndent, severityMark(f.Severity)+" ", string(f.Severity)+": "+f.Title, c.severityPaint(f.Severity))
		if f.Reason != "" {
			c.block("     ", "why:    ", f.Reason, nil)
		}
		if f.Overridden != "" {
			c.block("     ", "overridden: ", f.Overridden, nil)
		}
		if f.Remedy != "" {
			c.block("     ", "remedy: ", f.Remedy, nil)
		}
		if f.Severity == runbook.Inhibitor && f.Key != "" && !f.Final {
			c.block("     ", "key:    ", f.Key, nil)
		}
	}
}

func (c *console) failure() {
	if c.story.failure != nil {
		c.line("")
		writeError(c.w, *c.story.failure, c.opts.Width, c.paint)
	}
}

// Field prints a name and what there is to say of it, wrapped to so many columns; 0 does not wrap.
func Field(w io.Writer, name, value string, width int) error {
	name = fmt.Sprintf("%-10s ", name)
	lines := []string{clean(value)}
	if width > 0 {
		lines = wrap(value, width-len(name))
	}
	_, err := fmt.Fprintln(w, name+strings.Join(lines, "\n"+strings.Repeat(" ", len(name))))
	return err
}

// Error tells a failure outside of a run: a runbook that does not load, a wrong parameter.
func Error(w io.Writer, info script.ErrorInfo, opts ConsoleOptions) {
	if opts.Width <= 0 {
		opts.Width = defaultWidth
	}
	writeError(w, info, min(opts.Width, widest), palette(opts.Color))
}

// writeError prints cause, place, source and next steps, in the order in which they are needed.
func writeError(w io.Writer, info script.ErrorInfo, width int, paint paints) {
	c := &console{w: w, opts: ConsoleOptions{Width: width}, paint: paint}
	c.block("", "error: ", info.Message, paint.bad)
	if info.Pos != "" {
		c.block(itemIndent, "at ", info.Pos, nil)
	}
	if info.Source != "" {
		for _, l := range strings.Split(strings.TrimRight(info.Source, "\n"), "\n") {
			c.line(deepIndent + clean(strings.ReplaceAll(l, "\t", "    ")))
		}
	}
	for _, frame := range info.Stack {
		c.block(itemIndent, "", "called from "+frame, paint.dim)
	}
	if info.Hint != "" {
		c.block(itemIndent, "hint: ", info.Hint, paint.warn)
	}
	for _, next := range info.Next {
		c.block(itemIndent, "next: ", next, nil)
	}
	if len(info.Said) > 0 {
		c.block(itemIndent, "", "the last words of the command:", paint.dim)
	}
	for _, line := range info.Said {
		c.line(deepIndent + clean(line))
	}
}
