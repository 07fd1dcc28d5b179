package runbooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
)

// TestCrashAndBeginStepAgain goes back to the beginning of the step in which the run was killed, and then
// on: what the step had decided, such as the versions of packages, it decides again.
func TestCrashAndBeginStepAgain(t *testing.T) {
	g := newGoal(t, mainRoute)
	var list []trial
	for _, what := range mainTrials(t).list {
		if what.errno == nil {
			list = append(list, what)
		}
	}
	report := newFailures(t)
	began := 0
	for _, what := range sample(t, list, 60) {
		w, where, err := g.meet(t, what)
		step := w.step()
		if err == nil && step != "" {
			began++
			err = g.begunAgain(w, step)
		}
		if err != nil {
			report.add(fmt.Errorf("%s: step %s begun again: %w", where, step, err))
		}
	}
	t.Logf("%d times", began)
	report.end()
}

func (g *goal) begunAgain(w *world, step string) error {
	v := w.process(g.kit, &trap{}, func(ctx context.Context, cfg engine.Config) story.Verdict {
		return engine.Rollback(ctx, cfg, step)
	})
	if v.Code != exit.Done && v.Code != exit.RollbackIncomplete {
		return fmt.Errorf("rollback: code %d: %s", v.Code, v.Text)
	}
	return g.resumed(w)
}

// step is the last step in which an action was begun.
func (w *world) step() string {
	_, records := w.open()
	step, last := "", ""
	for _, r := range records {
		var data struct{ Name string }
		switch r.Type {
		case "step":
			if json.Unmarshal(r.Data, &data) == nil {
				step = data.Name
			}
		case "intent":
			last = step
		}
	}
	return last
}
