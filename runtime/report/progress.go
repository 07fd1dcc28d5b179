package report

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"zcp2kopano/runtime"
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
	last time.Time // of the action's begin, or of the last plain line
}

func newProgress(w io.Writer, opts ConsoleOptions) *progress {
	return &progress{w: w, moves: opts.Progress, width: opts.Width}
}

func (p *progress) show(e runtime.Event) {
	if !p.moves {
		p.plain(e)
		return
	}
	if p.bar == nil || p.what != e.Progress.What {
		p.erase()
		p.bar, p.what = p.newBar(e), e.Progress.What
	}
	if e.Progress.Total > 0 {
		_ = p.bar.Set64(min(e.Progress.Done, e.Progress.Total))
		return
	}
	_ = p.bar.Set64(e.Progress.Done)
}

func (p *progress) newBar(e runtime.Event) *progressbar.ProgressBar {
	total := e.Progress.Total
	if total <= 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(itemIndent+"  "+clean(e.Progress.What)),
		progressbar.OptionSetWidth(max(10, p.width/4)),
		progressbar.OptionShowBytes(e.Progress.Unit == "bytes"),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionClearOnFinish(),
	)
}

// plain prints the first line once an action has lasted for a while, and then one now and then.
func (p *progress) plain(e runtime.Event) {
	if p.what != e.Progress.What || p.last.IsZero() {
		p.what, p.last = e.Progress.What, e.Time
		return
	}
	if e.Time.Sub(p.last) < quiet {
		return
	}
	p.last = e.Time
	fmt.Fprintln(p.w, itemIndent+"  … "+progressText(e))
}

// clear makes room for other output, and forgets an action that ended.
func (p *progress) clear(e runtime.Event) {
	p.erase()
	if e.Kind == runtime.ChangeBegin {
		p.what, p.last = "", e.Time
	}
}

func (p *progress) erase() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.bar = nil
}
