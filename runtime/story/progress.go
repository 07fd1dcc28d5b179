package story

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"zcp2kopano/runtime/action"
)

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
