package runtime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

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

// estimate gathers the times of a run as it goes.
type estimate struct {
	times    Times
	down, up *action.Span // the whole so far, when the first service stopped, and when the last one started
}

func (e *estimate) step(name string) { e.times.Steps = append(e.times.Steps, StepTime{Name: name}) }

func (e *estimate) add(s action.Span) {
	e.times.Whole = e.times.Whole.Plus(s)
	if n := len(e.times.Steps); n > 0 {
		e.times.Steps[n-1].Span = e.times.Steps[n-1].Plus(s)
	}
}

func (e *estimate) action(a action.Action) {
	if action.Stops(a) && e.down == nil {
		before := e.times.Whole
		e.down = &before
	}
	e.add(action.Cost(a))
	if action.Starts(a) && e.down != nil {
		after := e.times.Whole
		e.up = &after
	}
}

// result is what was gathered; nil if nothing was.
func (e *estimate) result() *Times {
	t := e.times
	t.Steps = slices.DeleteFunc(slices.Clone(t.Steps), func(s StepTime) bool { return s.Most == 0 })
	if len(t.Steps) == 0 {
		return nil
	}
	if e.down != nil {
		end := t.Whole
		if e.up != nil {
			end = *e.up
		}
		t.Down = end.Minus(*e.down)
	}
	return &t
}

// left is what a forecast leaves for a run that has ended these steps in so much time. How far between
// the forecast's two ends the run is says what to expect of the rest, within a quarter of the range.
func (t *Times) left(ended map[string]time.Duration) (rest action.Span) {
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

// tellLeft tells a real run's admin, after a step, how long the rest takes.
func (r *Run) tellLeft(step string, took time.Duration) {
	t := r.cfg.Forecast
	if t == nil || !r.real() {
		return
	}
	if r.ended == nil {
		r.ended = map[string]time.Duration{}
	}
	r.ended[step] = took
	rest := t.left(r.ended)
	if rest.Most < time.Minute || !slices.ContainsFunc(t.Steps, func(s StepTime) bool { return s.Name == step }) {
		return
	}
	r.emit(Event{Kind: Output, Text: fmt.Sprintf("the rest takes about %s, by the pace so far", rest)})
}

var expectBuiltin = &Builtin{
	Name: "expect", Effect: Pure, Value: expect,
	Doc: "Tell how long something takes that only the runbook knows of, for the estimate of the run: work of a server at its start, say. It is a guess with its range, and nothing waits for it.",
	Params: []Param{
		{Name: "what", Type: String, Doc: "what takes the time"},
		{Name: "least", Type: Int, Doc: "seconds, on a fast machine"},
		{Name: "most", Type: Int, Doc: "seconds, on a slow one"},
	},
	Result:  "None",
	Example: `expect("the upgrade of 2,000,000 rows", 7, 120)`,
}

func expect(c *Call) (starlark.Value, error) {
	if c.Run == nil {
		return nil, c.Errorf("it can only be called inside a step")
	}
	least, most := c.Int("least", 0), c.Int("most", 0)
	if least < 0 || most < least {
		return nil, c.Errorf("want a range of seconds, got %d to %d", least, most)
	}
	s := action.Span{Least: time.Duration(least) * time.Second, Most: time.Duration(most) * time.Second}
	c.Run.estimate.add(s)
	c.Run.estimate.times.Why = append(c.Run.estimate.times.Why, c.Run.secrets.mask(c.String("what"))+": "+s.String())
	return starlark.None, nil
}
