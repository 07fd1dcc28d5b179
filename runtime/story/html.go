package story

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

//go:embed page.html
var page string

// HTML writes one self-contained page when the verdict is given: no scripts, nothing loaded from
// elsewhere, all text escaped. The verdict stands on top, then what needs a person.
func HTML(w io.Writer) func(Event) {
	s := &story{}
	return func(e Event) {
		s.add(e)
		if e.Kind != VerdictGiven || e.Verdict == nil {
			return
		}
		_ = writePage(w, s, e.Time)
	}
}

func writePage(w io.Writer, s *story, at time.Time) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"book":  bookName,
		"clean": clean,
		"word":  verdictWord,
		"diff":  diffParts,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, newPage(s, at))
}

// pageData is what the template shows.
type pageData struct {
	Run       RunInfo
	Banner    string
	Params    string
	Overrides string // of inhibitors
	Connects  string // where it may
	// Connections are the servers that it has connected to, and what points to them.
	Connections []string
	Made        string
	Verdict     Verdict
	Summary     string
	Failure     *script.ErrorInfo
	Findings    []runbook.Finding // worst first: a page is read from the top
	Steps       []pageStep
	Gaps        []pageGap
}

type pageStep struct {
	Name, Doc, Skipped, Unchanged, Replayed string
	Index, Count                            int
	Items                                   []pageItem
}

type pageItem struct {
	Class, Text, Result, Amount, Said string
	Detail                            *action.Detail
}

type pageGap struct {
	Why, Check string
	Whats      []string
}

func newPage(s *story, at time.Time) pageData {
	p := pageData{
		Run:       s.run,
		Params:    params(s.run.Params),
		Overrides: params(s.run.Overrides),
		Connects:  connects(s.run),
		Made:      at.UTC().Format("2006-01-02 15:04:05 UTC"),
		Verdict:   *s.verdict,
		Summary:   summary(s.run.Mode, *s.verdict),
		Failure:   s.failure,
	}
	if s.run.Mode == "simulate" {
		p.Banner = simulationBanner
	}
	for i := len(s.findings) - 1; i >= 0; i-- {
		p.Findings = append(p.Findings, s.findings[i])
	}
	for _, c := range s.steps {
		for _, it := range c.items {
			if it.kind == Connected {
				p.Connections = append(p.Connections, it.text)
			}
		}
		p.Steps = append(p.Steps, newPageStep(c))
	}
	for _, g := range s.unpredicted {
		p.Gaps = append(p.Gaps, pageGap{Why: g.why, Check: g.check, Whats: g.whats})
	}
	return p
}

func newPageStep(c *chapter) pageStep {
	step := pageStep{Name: c.name, Doc: c.doc, Index: c.index, Count: c.count, Skipped: c.skipped}
	if c.unchanged > 0 {
		step.Unchanged = alreadyWanted(c.unchanged)
	}
	if c.replayed > 0 {
		step.Replayed = count(c.replayed, "change") + " done before"
	}
	for _, it := range c.items {
		i := pageItem{Class: string(it.kind), Text: it.text, Result: it.result, Said: strings.Join(it.said, "\n"), Detail: it.detail}
		if it.detail != nil {
			i.Amount = amount(it.detail.Files, it.detail.Bytes)
		}
		step.Items = append(step.Items, i)
	}
	return step
}

// diffLine is a line of a diff with the class that colours it.
type diffLine struct{ Class, Text string }

func diffParts(diff string) []diffLine {
	var lines []diffLine
	for _, l := range strings.Split(strings.TrimRight(diff, "\n"), "\n") {
		class := ""
		switch {
		case strings.HasPrefix(l, "+"):
			class = "add"
		case strings.HasPrefix(l, "-"):
			class = "del"
		case strings.HasPrefix(l, "@@"):
			class = "hunk"
		}
		lines = append(lines, diffLine{class, clean(l)})
	}
	return lines
}
