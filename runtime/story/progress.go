package story

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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
	last time.Time // of the last line
}

func newProgress(w io.Writer, opts ConsoleOptions) *progress {
	return &progress{w: w, moves: opts.Progress && opts.Width >= barRoom+barNumbers, width: opts.Width}
}

// A bar that does not fit into its line cannot be taken away again. What it counts in takes barNumbers
// columns at most; with less than barRoom for the words and the bar itself there is none.
const (
	barNumbers = 42
	barRoom    = 26
	barWidth   = 10
)

// fit cuts the words of a bar to what its line has room for.
func (p *progress) fit(text string, bar int) string {
	room := max(0, p.width-barNumbers-bar)
	if runes := []rune(text); len(runes) > room {
		return string(runes[:max(0, room-1)]) + "…"
	}
	return text
}

func (p *progress) show(e Event) {
	if !p.moves {
		p.plain(e)
		return
	}
	if p.bar == nil || p.what != e.Progress.What {
		p.erase()
		p.bar, p.what = p.newBar(e), e.Progress.What
	}
	p.bar.Describe(p.words(e))
	if e.Progress.Total > 0 {
		_ = p.bar.Set64(min(e.Progress.Done, e.Progress.Total))
		return
	}
	_ = p.bar.Set64(e.Progress.Done)
}

func (p *progress) newBar(e Event) *progressbar.ProgressBar {
	total := e.Progress.Total
	if total <= 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(p.words(e)),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionShowBytes(e.Progress.Unit == "bytes"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(false), // its words tell since when it goes on, by the run's account
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionClearOnFinish(),
	)
}

// words are what a bar says, with the seconds since it began.
func (p *progress) words(e Event) string {
	seconds := ""
	if e.Elapsed >= time.Second {
		seconds = " " + e.Elapsed.Truncate(time.Second).String()
	}
	return p.fit(itemIndent+clean(e.Progress.What), barWidth+len(seconds)) + seconds
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
	for i, l := range wrap(progressText(e), p.width-len(itemIndent)-4) {
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
