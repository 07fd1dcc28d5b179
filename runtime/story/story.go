package story

import (
	"sort"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// story is a run as it is told: its events sorted into steps, with what stands above and below them.
type story struct {
	run         RunInfo
	steps       []*chapter
	findings    []runbook.Finding // mildest first
	unpredicted []gap
	failure     *script.ErrorInfo
	verdict     *Verdict
}

// chapter is one step.
type chapter struct {
	name, doc    string
	index, count int
	items        []item
	unchanged    int
	replayed     int
	skipped      string // why
}

// item is one thing that happened in a step.
type item struct {
	kind   EventKind
	text   string
	result string
	said   []string // by a program
	detail *action.Detail
}

// gap is a group of things that a simulation cannot know for the same reason.
type gap struct {
	why, check string
	whats      []string
}

func (s *story) add(e Event) {
	switch e.Kind {
	case RunBegin:
		if e.Run != nil {
			s.run = *e.Run
		}
	case StepBegin:
		s.steps = append(s.steps, &chapter{name: e.Step, doc: e.Doc, index: e.Index, count: e.Count})
	case FindingFound:
		if e.Finding != nil {
			s.findings = append(s.findings, *e.Finding)
			sort.SliceStable(s.findings, func(i, j int) bool {
				return rank(s.findings[i].Severity) < rank(s.findings[j].Severity)
			})
		}
	case UnpredictedIs:
		if e.Unpredicted != nil {
			s.addGap(*e.Unpredicted)
		}
	case Failed:
		if s.failure == nil && e.Error != nil {
			s.failure = e.Error // the first error is the cause
		}
	case VerdictGiven:
		s.verdict = e.Verdict
	default:
		s.current(e).add(e)
	}
}

// current is the chapter that an event belongs to.
func (s *story) current(e Event) *chapter {
	if n := len(s.steps); n > 0 && (e.Step == "" || s.steps[n-1].name == e.Step) {
		return s.steps[n-1]
	}
	c := &chapter{name: e.Step}
	s.steps = append(s.steps, c)
	return c
}

func (c *chapter) add(e Event) {
	switch e.Kind {
	case Unchanged:
		c.unchanged++
	case Replayed:
		c.replayed++
	case StepSkipped:
		c.skipped = e.Text
	case ChangeEnd:
		c.end(e)
	case ChangeBegin, NoReturn, Output, Granted, Connected, Undone:
		c.items = append(c.items, item{kind: e.Kind, text: e.Text, detail: e.Detail})
	}
}

// end adds the result to the change that it closes.
func (c *chapter) end(e Event) {
	for i := len(c.items) - 1; i >= 0; i-- {
		if c.items[i].kind == ChangeBegin {
			if e.Text != c.items[i].text {
				c.items[i].result = e.Text
			}
			if e.Detail != nil {
				c.items[i].said = e.Detail.Lines
			}
			return
		}
	}
}

func (s *story) addGap(u host.Unpredicted) {
	for i := range s.unpredicted {
		g := &s.unpredicted[i]
		if g.why == u.Why && g.check == u.Check {
			g.whats = append(g.whats, u.What)
			return
		}
	}
	s.unpredicted = append(s.unpredicted, gap{why: u.Why, check: u.Check, whats: []string{u.What}})
}

func rank(s runbook.Severity) int {
	switch s {
	case runbook.Inhibitor:
		return 2
	case runbook.Warning:
		return 1
	}
	return 0
}
