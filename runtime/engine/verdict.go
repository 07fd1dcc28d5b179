package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// close turns the way a run ended into its verdict.
func (r *Run) close(err error) story.Verdict {
	r.tellUnpredicted()
	v := &r.verdict
	var until *untilError
	switch {
	case errors.As(err, &until):
		v.Code, v.Until, v.Text = exit.Done, until.before, r.stoppedText(until)
	case err == nil:
		v.Code, v.Text = exit.Done, r.successText()
	case errors.Is(err, errInhibited):
		v.Code = exit.Inhibited
		v.Text = fmt.Sprintf("%s: %s; fix what is listed above and try again", plural(v.Inhibitors, "inhibitor"), unchangedText(v))
		if s := r.standing(v); r.real() && s.Phase != ways.Untouched {
			v.Text = fmt.Sprintf("%s: nothing more was changed; fix what is listed above, then: %s", plural(v.Inhibitors, "inhibitor"), ways.Join(s.Ways()))
		}
	case errors.Is(err, errDiffers):
		v.Code = exit.Differs
		v.Text = "stopped: " + r.secrets.mask(script.ErrorInfoOf(err).Message)
		r.tellError(err, r.next())
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled), errors.Is(r.ctx.Err(), context.Canceled):
		v.Code = exit.Interrupted
		v.Text = r.interruptedText()
	default:
		v.Code = exit.Failed
		v.Text = "failed: " + r.secrets.mask(script.ErrorInfoOf(err).Message)
		if r.step != nil {
			v.Text = fmt.Sprintf("failed in step %s: %s", r.step.Name, r.secrets.mask(script.ErrorInfoOf(err).Message))
		}
		r.tellError(err, r.next())
	}
	return r.finish()
}

// unchangedText is for a run that an inhibitor has ended.
func unchangedText(v *story.Verdict) string {
	if v.Changes == 0 {
		return "nothing was changed"
	}
	return "nothing more was changed"
}

// real reports whether there is a run to go on with, or back from.
func (r *Run) real() bool { return r.cfg.Mode != "simulate" && r.cfg.Mode != "check" }

// brokenText says what was broken off, if anything was, and what that means.
func (r *Run) brokenText() string {
	if r.broken == "" {
		return ""
	}
	return r.secrets.mask(r.broken) + "; "
}

// stoppedText is for a run that stops where it was asked to.
func (r *Run) stoppedText(until *untilError) string {
	v := &r.verdict
	if !r.real() {
		return fmt.Sprintf("the simulation %s: %s, %s", until, plural(v.Changes, "change"), count(v.Warnings, "warning", "warnings"))
	}
	v.Until = until.before // where it stands depends on it
	s := r.standing(v)
	if s.Phase == ways.Untouched {
		return fmt.Sprintf("%s; nothing was changed; %s", until, ways.Join(s.Ways()))
	}
	return fmt.Sprintf("%s, after %s; %s", until, plural(v.Changes, "change"), ways.Join(s.Ways()))
}

func (r *Run) interruptedText() string {
	if !r.real() {
		return "interrupted; nothing on the host was changed"
	}
	s := r.standing(&r.verdict)
	if s.Phase == ways.Untouched {
		return "interrupted before the first change; " + ways.Join(s.Ways())
	}
	return fmt.Sprintf("interrupted after %s; %s%s", plural(r.verdict.Changes, "change"), r.brokenText(), ways.Join(s.Ways()))
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
	if !r.real() {
		return []string{"nothing on the host was changed; fix the cause and try again"}
	}
	s := r.standing(&r.verdict)
	switch {
	case s.Phase == ways.Untouched && r.verdict.Code == exit.Differs && r.step == nil: // it is not for this run
		return []string{"nothing was changed; simulate again with --plan, look at the new plan, and start the run with that"}
	case s.Phase == ways.Untouched && r.verdict.Code == exit.Differs:
		return []string{
			"nothing was changed; put back what differs, and start the run again with the same plan",
			"or simulate again with --plan, look at the new plan, and start the run with that",
		}
	case s.Phase == ways.Untouched:
		return []string{"nothing was changed; fix the cause and start the run again"}
	}
	return lines(s.Ways())
}

func lines(open []ways.Way) []string {
	var all []string
	for _, w := range open {
		all = append(all, w.String())
	}
	return all
}

// closeRollback turns the way a rollback ended into its verdict.
func (r *Run) closeRollback(differences []string, err error) story.Verdict {
	v := &r.verdict
	switch {
	case r.refused:
		v.Code, v.Text = exit.Failed, "not rolled back, nothing was changed: "+r.secrets.mask(script.ErrorInfoOf(err).Message)
		r.tellError(err, r.instead(err, v))
	case errors.Is(err, errInterrupted), err != nil && errors.Is(r.ctx.Err(), context.Canceled):
		v.Code = exit.Interrupted
		v.Text = "rollback interrupted; " + r.brokenText() + ways.Join(r.standing(v).Ways())
	case err != nil:
		v.Code, v.Text = exit.RollbackIncomplete, "rollback incomplete: "+r.secrets.mask(script.ErrorInfoOf(err).Message)
		r.tellError(err, append([]string{"fix the cause first"}, lines(r.standing(v).Ways())...))
	case len(differences) > 0:
		r.closeDiffering(differences)
	case r.undoneBefore:
		v.Text = "the run was rolled back already: there is nothing left to undo"
	case r.restoring != nil:
		v.Text = "rolled back" + r.backTo() + ", with the database restored from the dump: everything else that " + r.toucher() + " touched was compared and is as it was. " +
			"The dump and a dump of what it replaced were kept; remove them once the database has proved good"
	default:
		v.Text = "rolled back" + r.backTo() + ": everything that " + r.toucher() + " touched was compared and is as it was"
	}
	if len(r.keptLogs) > 0 && !r.refused {
		v.Text += "; kept, and yours to remove: the logs in " + strings.Join(r.keptLogs, ", ")
	}
	return r.finish()
}

// instead is what can be done in place of a rollback that was refused. While a guarded service is at its work
// another rollback would be refused, too.
func (r *Run) instead(err error, v *story.Verdict) []string {
	s := r.standing(v)
	var busy *action.Busy
	if !errors.As(err, &busy) {
		return lines(s.Ways())
	}
	list := []string{fmt.Sprintf("wait until %s is done: `%s` waits with you, and goes on", busy.Guard.Service, r.cfg.Caller.Command("resume"))}
	if s.Phase == ways.Done || s.Resume() != nil {
		list = []string{fmt.Sprintf("wait until %s is done, then do this again", busy.Guard.Service)}
	}
	if s.Database == ways.Restorable {
		list = append(list, fmt.Sprintf("`%s` ends it, and loads the dump in its place", r.cfg.Caller.Command("rollback", "--restore-database", "--kill-upgrade")))
	}
	return list
}

func (r *Run) backTo() string {
	if r.part == "" {
		return ""
	}
	return " to step " + r.part
}

func (r *Run) toucher() string {
	if r.part == "" {
		return "the run"
	}
	return "it and the later steps"
}

// closeDiffering lists what is not as it was.
func (r *Run) closeDiffering(differences []string) {
	v := &r.verdict
	v.Code = exit.RollbackIncomplete
	for _, d := range differences {
		r.emit(story.Event{Kind: story.Output, Text: "not as before: " + d})
		v.Left = append(v.Left, r.secrets.mask(d))
	}
	v.Text = fmt.Sprintf("rolled back%s, but %s not as before, listed above", r.backTo(), count(len(differences), "thing is", "things are"))
	if s := r.standing(v); len(s.Ways()) > 0 {
		v.Text += "; " + ways.Join(s.Ways())
	}
}

func (r *Run) tellError(err error, next []string) {
	info := script.ErrorInfoOf(err)
	info.Message = r.secrets.mask(info.Message)
	for i, line := range info.Said {
		info.Said[i] = r.secrets.mask(line)
	}
	info.Next = next
	r.emit(story.Event{Kind: story.Failed, Error: info})
}

func (r *Run) finish() story.Verdict {
	v := &r.verdict
	v.Unpredicted = r.unpredicted
	if r.cfg.Mode == "simulate" {
		v.Times = r.estimate.result()
	}
	v.Elapsed = r.spent + r.cfg.Now().Sub(r.started)
	if r.cfg.Journal != nil && !r.refused {
		if _, err := r.cfg.Journal.Append("verdict", v); err != nil {
			v.Text += fmt.Sprintf(" (and the journal could not be closed: %v)", err)
			if v.Code == exit.Done {
				v.Code = exit.Failed
			}
		}
	}
	r.tellOutside()
	r.emit(story.Event{Kind: story.VerdictGiven, Verdict: v})
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
