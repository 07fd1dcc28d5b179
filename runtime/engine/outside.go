package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// outsideWithin is how long word to the outside may take in all: a run has ended, and somebody waits for its end.
const outsideWithin = 5 * time.Minute

// tellOutside calls the runbook's on_success or on_failure. That is no part of the run: its verdict stands in the
// journal already, nothing of this does, and a failure of it changes no exit code. So it is done once at most.
func (r *Run) tellOutside() {
	step := r.toTell()
	if step == nil {
		return
	}
	r.connections.unjournaled = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), outsideWithin)
	defer cancel()
	outcome, err := r.outcome()
	if err == nil {
		_, err = r.rb.Call(ctx, &messenger{r, ctx}, step.With(outcome), nil, func(pos, text string) {
			r.emit(story.Event{Kind: story.Output, Text: text, Pos: pos})
		})
	}
	r.tellUnpredicted()
	if err != nil {
		info := script.ErrorInfoOf(err)
		r.emit(story.Event{Kind: story.Output, Text: fmt.Sprintf("%s failed: %s (%s)", step.Name, info.Message, info.Pos), Pos: info.Pos})
		r.verdict.Text += "; and word of it has not reached the outside, see above"
	}
}

// toTell is the function to be called at this end; nil for none.
func (r *Run) toTell() *runbook.Step {
	v := &r.verdict
	switch {
	case r.back || r.refused || r.doneBefore || r.cfg.Mode == "check" || v.Until != "" || v.Code == exit.Interrupted:
		return nil
	case v.Code == exit.Done:
		return r.rb.OnSuccess
	}
	return r.rb.OnFailure
}

// outcome is what those functions are given.
func (r *Run) outcome() (starlark.Value, error) {
	info, err := r.info()
	if err != nil {
		return nil, err
	}
	step := ""
	if r.step != nil && r.verdict.Code != exit.Done {
		step = r.step.Name
	}
	return script.NewRecord(map[string]any{
		"code": r.verdict.Code, "text": r.verdict.Text, "step": step, "id": info.ID, "mode": info.Mode, "runbook": info.Runbook,
		"host": info.Host, "changes": r.verdict.Changes, "no_return": r.verdict.NoReturn,
	}), nil
}

// messenger carries out what those functions call: looks, and programs that tell others.
type messenger struct {
	run *Run
	ctx context.Context
}

// Connect judges a server as for the run.
func (m *messenger) Connect(s host.Server) error { return m.run.Connect(s) }

// Context ends when word to the outside has taken too long.
func (m *messenger) Context() context.Context { return m.ctx }

// CarryOut answers a look, and sends what an action has to send.
func (m *messenger) CarryOut(c *script.Call) (starlark.Value, error) {
	r := m.run
	c.View = r.view()
	if c.Builtin.Effect == script.Read {
		return c.Answer()
	}
	decision, err := c.Builtin.Decide(c)
	if err != nil {
		return nil, err
	}
	var said []string
	for _, a := range decision.Actions {
		sender, ok := a.(action.Messenger)
		if !ok {
			return nil, c.Errorf("on_success and on_failure only look and run programs: nobody would undo what they change")
		}
		if err := r.policy.Check(a.Touches()); err != nil {
			return nil, c.Errorf("%w", err)
		}
		lines, err := sender.Send(m.ctx, r.cfg.Host)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		r.emit(story.Event{Kind: story.Output, Text: "told the outside: " + a.Summary(), Pos: c.Pos()})
		said = append(said, lines...)
	}
	return script.NewRecord(map[string]any{"output": strings.Join(said, "\n")}), nil
}
