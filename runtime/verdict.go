package runtime

import (
	"context"
	"errors"
	"fmt"
)

// close turns the way a run ended into its verdict.
func (r *Run) close(err error) Verdict {
	r.tellUnpredicted()
	v := &r.verdict
	switch {
	case err == nil:
		v.Code, v.Text = CodeDone, r.successText()
	case errors.Is(err, errInhibited):
		v.Code = CodeInhibited
		v.Text = fmt.Sprintf("%s: nothing more was changed; mend what is listed above and try again", plural(v.Inhibitors, "inhibitor"))
	case errors.Is(err, errDiffers):
		r.tellError(err, r.next())
		v.Code, v.Text = CodeDiffers, "stopped: "+r.secrets.mask(ErrorInfoOf(err).Message)
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled), errors.Is(r.ctx.Err(), context.Canceled):
		v.Code, v.Text = CodeInterrupted, r.interruptedText()
	default:
		r.tellError(err, r.next())
		v.Code = CodeFailed
		v.Text = "failed: " + r.secrets.mask(ErrorInfoOf(err).Message)
		if r.step != nil {
			v.Text = fmt.Sprintf("failed in step %s: %s", r.step.Name, r.secrets.mask(ErrorInfoOf(err).Message))
		}
	}
	return r.finish()
}

func (r *Run) interruptedText() string {
	if r.cfg.Mode == "simulate" || r.cfg.Mode == "check" {
		return "interrupted; nothing on the host was changed"
	}
	return fmt.Sprintf("interrupted after %s; `zcp2kopano resume` goes on, `zcp2kopano rollback` goes back", plural(r.verdict.Changes, "change"))
}

func (r *Run) successText() string {
	v := r.verdict
	found := "no warnings"
	if v.Warnings > 0 {
		found = plural(v.Warnings, "warning")
	}
	switch {
	case r.doneBefore:
		return "the run ended in success before: there is nothing to resume"
	case r.cfg.Mode == "check":
		return "check passed: no inhibitors, " + found
	case v.Changes == 0:
		return "nothing to do: the host is as the runbook wants it; " + found
	case r.cfg.Mode == "simulate":
		return fmt.Sprintf("the simulation succeeded: %s, %s", plural(v.Changes, "change"), found)
	}
	return fmt.Sprintf("done: %s, %s", plural(v.Changes, "change"), found)
}

// next tells the admin what can be done after a failure.
func (r *Run) next() []string {
	if r.cfg.Mode == "simulate" || r.cfg.Mode == "check" {
		return []string{"nothing on the host was changed; mend the cause and try again"}
	}
	if r.step == nil {
		return []string{"nothing was changed; mend the cause and start the run again"}
	}
	return []string{
		"`zcp2kopano resume` goes on with this step once the cause is mended",
		"`zcp2kopano rollback` restores what was before the run",
	}
}

func (r *Run) tellError(err error, next []string) {
	info := ErrorInfoOf(err)
	info.Message = r.secrets.mask(info.Message)
	info.Next = next
	r.emit(Event{Kind: Failed, Error: info})
}

func (r *Run) finish() Verdict {
	v := &r.verdict
	v.Unpredicted = r.unpredicted
	v.Elapsed = r.cfg.Now().Sub(r.started)
	if r.cfg.Journal != nil && !r.refused {
		if _, err := r.cfg.Journal.Append("verdict", v); err != nil {
			v.Text += fmt.Sprintf(" (and the journal could not be closed: %v)", err)
			if v.Code == CodeDone {
				v.Code = CodeFailed
			}
		}
	}
	r.emit(Event{Kind: VerdictGiven, Verdict: v})
	return *v
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
