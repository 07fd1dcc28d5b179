package story

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
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
