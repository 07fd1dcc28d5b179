package story

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
)

// clean makes text from a host or a runbook safe for a terminal: control characters, which could
// move the cursor or change the screen, are shown as escapes.
func clean(s string) string {
	if !strings.ContainsFunc(s, unsafeRune) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafeRune(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unsafeRune is true for control characters, and for the marks that reorder text.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
}

// Wrap breaks text into lines for a terminal.
func Wrap(text string, width int) []string { return wrap(text, width) }

// wrap breaks text into lines of at most width runes, and of one word where a word is longer: a path
// that the terminal breaks can still be copied. What stands between backquotes is one word: a command of
// which a part is copied does something else. Line feeds of the text stay.
func wrap(text string, width int) []string {
	var lines []string
	for _, paragraph := range strings.Split(strings.TrimRight(clean(text), "\n"), "\n") {
		lines = append(lines, wrapLine(paragraph, width)...)
	}
	return lines
}

func wrapLine(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range words(text) {
		n := utf8.RuneCountInString(word)
		if used > 0 && used+1+n > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	return append(lines, line)
}

// words splits text at blanks that do not stand between backquotes.
func words(text string) []string {
	var all []string
	open := false
	for _, field := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + field
		} else {
			all = append(all, field)
		}
		if strings.Count(field, "`")%2 == 1 {
			open = !open
		}
	}
	if open { // nothing closes it: then it opens nothing
		return strings.Fields(text)
	}
	return all
}

// chop is wrap for a frame: what is too long for a line is cut, behind a slash where there is one.
func chop(text string, width int) []string {
	var lines []string
	for _, l := range wrap(text, width) {
		runes := []rune(l)
		for len(runes) > width {
			at := width
			for i := width; i > width/2; i-- {
				if runes[i-1] == '/' || runes[i-1] == ' ' {
					at = i
					break
				}
			}
			lines = append(lines, strings.TrimRight(string(runes[:at]), " "))
			runes = runes[at:]
		}
		lines = append(lines, string(runes))
	}
	return lines
}

// number writes 20000 as "20,000".
func number(n int64) string {
	if n < 0 {
		return "-" + number(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytes writes a size with SI units: "6.1 GB".
func bytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 && n > -1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for (value >= 999.95 || value <= -999.95) && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// amount says how large a tree is; empty if nothing is known.
func amount(files, size int64) string {
	var parts []string
	if files > 0 {
		parts = append(parts, count(int(files), "file"))
	}
	if size > 0 {
		parts = append(parts, bytes(size))
	}
	return strings.Join(parts, ", ")
}

// count writes "1 file", "2 files".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(int64(n)) + " " + noun
}

// duration rounds to what a person reads.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// ProgressText says how far an action is: "dump zarafa: 1.2 GB of 4.0 GB (30 %), 55.0 MB/s, 51 seconds left, for 22s".
func ProgressText(e Event) string {
	p := e.Progress
	amounts := amountsOf(p)
	if part := partDone(p); part >= 0 && len(amounts) > 0 {
		amounts[len(amounts)-1] += fmt.Sprintf(" (%d %%)", int(100*part))
	}
	text := clean(p.What)
	if facts := nonEmpty(append(amounts, rateOf(p), leftOf(p), clean(p.Text))...); len(facts) > 0 {
		text += ": " + strings.Join(facts, ", ")
	}
	if since := sinceOf(e); since != "" {
		text += ", for " + since
	}
	return text
}

// amountsOf is how much is done: "12,000 of 50,000 files", "1.2 GB of 4.0 GB".
func amountsOf(p *action.Progress) []string {
	unit := " " + p.Unit
	if p.Unit == "bytes" {
		return nonEmpty(doneOf(bytes, p.Done, p.Total, p.AtMost))
	}
	amounts := nonEmpty(doneOf(number, p.Done, p.Total, p.AtMost))
	for i := range amounts {
		amounts[i] += unit
	}
	return append(amounts, nonEmpty(doneOf(bytes, p.Bytes, p.TotalBytes, p.AtMost))...)
}

func doneOf(show func(int64) string, done, total int64, atMost bool) string {
	of := " of "
	if atMost {
		of = " of at most "
	}
	switch {
	case total > 0:
		return show(done) + of + show(total)
	case done > 0:
		return show(done)
	}
	return ""
}

// partDone is between 0 and 1, by the bytes if they are counted; less than 0 if that is not known.
func partDone(p *action.Progress) float64 {
	switch {
	case p.TotalBytes > 0:
		return float64(min(p.Bytes, p.TotalBytes)) / float64(p.TotalBytes)
	case p.Total > 0:
		return float64(min(p.Done, p.Total)) / float64(p.Total)
	}
	return -1
}

// rateOf is how fast it advances: in bytes, where they are counted.
func rateOf(p *action.Progress) string {
	switch {
	case p.BytesRate > 0:
		return bytes(p.BytesRate) + "/s"
	case p.Rate > 0 && p.Unit == "bytes":
		return bytes(p.Rate) + "/s"
	case p.Rate > 0:
		return number(p.Rate) + " " + p.Unit + "/s"
	}
	return ""
}

func leftOf(p *action.Progress) string {
	if p.Left <= 0 {
		return ""
	}
	text := action.Span{Least: p.Left, Most: p.Left}.String() + " left"
	if p.AtMost {
		return "at most " + text
	}
	return text
}

// sinceOf is for how long it goes on, from the first second on.
func sinceOf(e Event) string {
	if e.Elapsed < time.Second {
		return ""
	}
	return e.Elapsed.Truncate(time.Second).String()
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
}

// verdictWord names how a run ended.
func verdictWord(v Verdict) string {
	if v.Until != "" {
		return "STOPPED AS ASKED"
	}
	switch v.Code {
	case exit.Done:
		return "OK"
	case exit.Inhibited:
		return "INHIBITED"
	case exit.Differs:
		return "DIFFERS FROM PLAN"
	case exit.RollbackIncomplete:
		return "ROLLBACK INCOMPLETE"
	case exit.Locked:
		return "LOCKED"
	case exit.Interrupted:
		return "INTERRUPTED"
	}
	return "FAILED"
}

// bookName is a runbook's name as the admin knows it: "debian" for "@stock//debian.star".
func bookName(label string) string {
	if _, name, ok := strings.Cut(label, "//"); ok {
		label = name
	}
	return strings.TrimSuffix(label, ".star")
}

// simulationBanner heads the report of a simulated run.
const simulationBanner = "SIMULATION: nothing on this machine is changed"

// quiet is how long a console without moving bars waits between two lines of the same action.
const quiet = 30 * time.Second

// progress shows how far a long action is: as a bar that is redrawn, or as plain lines.
type progress struct {
	w     io.Writer
	moves bool
	width int

	bar  *progressbar.ProgressBar
	what string
	ends bool      // it is known when the bar is full
	last time.Time // of the last line
}

func newProgress(w io.Writer, opts ConsoleOptions) *progress {
	return &progress{w: w, moves: opts.Progress && opts.Width >= barEnds+barWords, width: opts.Width}
}

// A bar that does not fit into its line cannot be taken away again. The bar itself, the percentage and the blanks take
// barEnds columns; with less than barWords for what it says there is none. What is waited for has at least whatWords of
// them.
const (
	barWidth  = 10
	barEnds   = barWidth + 12
	barWords  = 46
	whatWords = 28

	barSteps = 1000
)

func (p *progress) show(e Event) {
	if !p.moves {
		p.plain(e)
		return
	}
	part := partDone(e.Progress)
	if p.bar == nil || p.what != e.Progress.What || p.ends != (part >= 0) {
		p.erase()
		p.what, p.ends = e.Progress.What, part >= 0
		p.bar = p.newBar(e)
	}
	_ = p.bar.Set64(max(0, min(int64(part*barSteps), barSteps-1)))
	p.bar.Describe(p.words(e))
}

// newBar has the bar say nothing by itself: what it would say of rate and time left goes back to its own begin.
func (p *progress) newBar(e Event) *progressbar.ProgressBar {
	steps := int64(-1)
	if p.ends {
		steps = barSteps
	}
	return progressbar.NewOptions64(steps,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.words(e)),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionClearOnFinish(),
	)
}

// words are what a bar says: what goes on, and as much of the rest as there is room for, the most important first.
func (p *progress) words(e Event) string {
	room := p.width - barEnds
	what := itemIndent + clean(e.Progress.What)
	left := room - min(utf8.RuneCountInString(what), whatWords)
	amounts := amountsOf(e.Progress)
	slices.Reverse(amounts) // bytes tell more than files
	told := ""
	for _, fact := range nonEmpty(append([]string{leftOf(e.Progress)}, append(amounts, rateOf(e.Progress), clean(e.Progress.Text), sinceOf(e))...)...) {
		if n := utf8.RuneCountInString(told + ", " + fact); n <= left {
			told += ", " + fact
		}
	}
	told = strings.TrimPrefix(told, ",")
	return cut(what, room-utf8.RuneCountInString(told)) + told
}

// cut shortens a text to so many columns.
func cut(text string, room int) string {
	if runes := []rune(text); len(runes) > room {
		return string(runes[:max(0, room-1)]) + "…"
	}
	return text
}

// plain prints the first line once nothing was said for a while, and then one now and then.
func (p *progress) plain(e Event) {
	if p.last.IsZero() {
		p.last = e.Time
		return
	}
	if e.Time.Sub(p.last) < quiet {
		return
	}
	p.last = e.Time
	for i, l := range wrap(ProgressText(e), p.width-len(itemIndent)-4) {
		fmt.Fprintln(p.w, itemIndent+"  "+[]string{"… ", "  "}[min(i, 1)]+l)
	}
}

// clear makes room for other output.
func (p *progress) clear(e Event) {
	p.erase()
	p.what, p.last = "", e.Time
}

func (p *progress) erase() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.bar = nil
}

// Times is how long a run takes: a guess by what its actions have to do (action.Cost), and by what the
// runbook expects beyond them. What has no cost, looking at the host above all, is not in it.
type Times struct {
	Steps []StepTime  `json:"steps"`
	Whole action.Span `json:"whole"`
	Down  action.Span `json:"down"`          // from the first service that is stopped to the last that is started
	Why   []string    `json:"why,omitempty"` // what the runbook expects, with the reason
}

// StepTime is how long a step takes.
type StepTime struct {
	Name string `json:"name"`
	action.Span
}

// longest lists the steps that may take the longest, and long.
func (t *Times) longest(n int) []StepTime {
	steps := slices.DeleteFunc(slices.Clone(t.Steps), func(s StepTime) bool { return s.Most < 30*time.Second })
	slices.SortStableFunc(steps, func(a, b StepTime) int { return int((b.Most - a.Most) / time.Millisecond) })
	return steps[:min(n, len(steps))]
}

// String tells it in a sentence or two.
func (t *Times) String() string {
	text := "a guess: " + t.Whole.String()
	if t.Down.Most > 0 {
		text += "; services are down for " + t.Down.String()
	}
	var steps []string
	for _, s := range t.longest(4) {
		steps = append(steps, fmt.Sprintf("%s %s", s.Name, s.Span))
	}
	if len(steps) > 0 {
		text += " (" + strings.Join(steps, ", ") + ")"
	}
	return text
}

// Left is what a forecast leaves for a run that has ended these steps in so much time. How far between
// the forecast's two ends the run is says what to expect of the rest, within a quarter of the range.
func (t *Times) Left(ended map[string]time.Duration) (rest action.Span) {
	var done action.Span
	var took time.Duration
	for _, s := range t.Steps {
		if d, ok := ended[s.Name]; ok {
			done, took = done.Plus(s.Span), took+d
		} else {
			rest = rest.Plus(s.Span)
		}
	}
	width := done.Most - done.Least
	if width < 10*time.Second {
		return rest // nothing was learnt yet
	}
	at := float64(took-done.Least) / float64(width)
	part := func(f float64) time.Duration {
		return rest.Least + time.Duration(min(max(f, 0), 1)*float64(rest.Most-rest.Least))
	}
	return action.Span{Least: part(at - 0.25), Most: part(max(at, 0) + 0.25)}
}
