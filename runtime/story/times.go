package story

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/action"
)

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
