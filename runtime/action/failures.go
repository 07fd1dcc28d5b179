package action

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"zcp2kopano/runtime/host"
)

// Failures are regular expressions for the lines of a service's log, while it comes up: the first list that
// has one for a line decides.
type Failures struct {
	Passes []string `json:"passes,omitempty"` // of no matter
	Stops  []string `json:"stops,omitempty"`  // it does not do its work
	Warns  []string `json:"warns,omitempty"`  // it works, and somebody should read this
}

// Check is an error if one is no regular expression.
func (f Failures) Check() error {
	_, err := f.compile()
	return err
}

func (f Failures) compile() (lists [3][]*regexp.Regexp, err error) {
	for i, list := range [][]string{f.Passes, f.Stops, f.Warns} {
		for _, text := range list {
			re, err := regexp.Compile(text)
			if err != nil {
				return lists, err
			}
			lists[i] = append(lists[i], re)
		}
	}
	return lists, nil
}

// listening is what was heard of a service's log.
type listening struct {
	rules [3][]*regexp.Regexp
	from  host.LogMark
	watch bool
	read  bool     // there was something to read
	said  []string // lines to warn of
	more  int      // that were too many
}

// mostSaid is how many lines are quoted.
const mostSaid = 10

// heard is journaled once a failure was told: who goes on does so because it was repaired, or does not matter.
// Then the log counts from there on.
type heard struct {
	Told bool `json:"heard"`
}

// markLog notes where the service's log ends before a start. Of a service that runs it counts from where
// this run had started it.
func (a *Service) markLog(env *Env, starts bool) {
	if a.Works == nil || a.Works.Failures == nil || !or(a.Active, false) {
		return
	}
	mark, known := env.Logs[a.Name]
	if starts || !known {
		mark = env.Host.LogEnd(env.Ctx, a.Name, a.Works.Log)
	}
	a.LogFrom = &mark
	env.noteLog(a.Name, mark)
}

func (env *Env) noteLog(service string, mark host.LogMark) {
	if env.Logs != nil {
		env.Logs[service] = mark
	}
}

// logFrom is where the log of this attempt begins: where it ended before the start, or, if a failure was told already, where
// it ends now, before a service that has ended since is started again.
func (a *Service) logFrom(env *Env) *host.LogMark {
	if a.Works == nil || a.LogFrom == nil {
		return nil
	}
	for _, mark := range env.Marks {
		var told heard
		if json.Unmarshal(mark, &told) == nil && told.Told {
			now := env.Host.LogEnd(env.Ctx, a.Name, a.Works.Log)
			return &now
		}
	}
	return a.LogFrom
}

// listen begins to read the log behind a mark; nil for not at all.
func (w *waiting) listen(from *host.LogMark) (err error) {
	if w.works.Failures == nil || from == nil {
		return nil
	}
	w.log.watch, w.log.from = true, *from
	w.log.rules, err = w.works.Failures.compile()
	return err
}

// hear reads on, and fails for a line that says that the service does not do its work.
func (w *waiting) hear() error {
	if !w.log.watch {
		return nil
	}
	part := w.env.Host.LogSince(w.env.Ctx, w.service, w.works.Log, w.log.from)
	w.log.from, w.log.read = part.End, w.log.read || part.Seen
	for _, line := range part.Lines {
		switch w.log.judge(line) {
		case stops:
			return w.failed(fmt.Sprintf("its log says %q", w.env.mask(line)))
		case warns:
			w.log.add(w.env.mask(line))
		}
	}
	w.env.noteLog(w.service, part.End)
	return nil
}

const (
	passes = iota
	stops
	warns
)

func (l *listening) judge(line string) int {
	for kind, list := range l.rules {
		for _, re := range list {
			if re.MatchString(line) {
				return kind
			}
		}
	}
	return passes
}

func (l *listening) add(line string) {
	switch {
	case slices.Contains(l.said, line):
	case len(l.said) >= mostSaid:
		l.more++
	default:
		l.said = append(l.said, line)
	}
}

// seen says what was heard.
func (l *listening) seen() string {
	switch {
	case !l.watch:
		return ""
	case !l.read:
		return "; its log was not seen"
	case len(l.said) > 0:
		return "; its log shows failures"
	}
	return "; its log shows no failure"
}

// values are the lines to warn of, for the runbook.
func (l *listening) values() map[string]any {
	if len(l.said) == 0 {
		return nil
	}
	lines := slices.Clone(l.said)
	if l.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", l.more))
	}
	return map[string]any{"failures": lines}
}
