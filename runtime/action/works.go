package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// Works is what it means that a service works: the questions that it answers, by the same process for some
// seconds, and the revision that it brings its database to.
type Works struct {
	Questions []host.Question `json:"questions,omitempty"`
	Upgrade   *Upgrade        `json:"upgrade,omitempty"`
	Log       string          `json:"log,omitempty"`      // its log file; empty for the journal of the host
	Failures  *Failures       `json:"failures,omitempty"` // what its log may not say; nil: nobody looks
	Patience  time.Duration   `json:"patience,omitempty"` // to wait for it; 0: without end
}

// Upgrade is the work on its database that a service does when it starts.
type Upgrade struct {
	Database Connection `json:"database"`
	Query    string     `json:"query"`            // for the revision
	Target   int64      `json:"target,omitempty"` // 0: not known; then it has ended when the revision no longer moves
	Locks    []string   `json:"locks,omitempty"`  // files that are there while it is at it
}

// ErrStopped ends a wait that the admin has broken off. What was waited for goes on, and the action can be
// brought to its end later.
var ErrStopped = errors.New("the wait was broken off")

const (
	settleTime = 5 * time.Second  // that a service must have run for when it is said to work
	stillTime  = 10 * time.Second // after which a revision no longer moves
	doubtTime  = time.Minute      // after which a revision that stays where it is will not come any more
	tickTime   = time.Second
)

// waiting is one wait for a service to work.
type waiting struct {
	env     *Env
	service string
	works   Works
	began   time.Time
	process host.Process // that has to do the work
	first   time.Time    // when the process was seen first

	lock      *host.ServiceLock
	revision  int64
	moved     time.Time // when the revision was last seen to change
	from      int64     // the revision at the begin
	known     bool      // the revision was asked for
	asked     error     // why it could not be
	unasked   time.Time // since when a question could not be put; zero if the last could
	remaining string    // what is missing

	log listening
}

// await returns when the service works. It fails as soon as the process ends that was to do the work:
// what the init system starts in its place fails in the same way, again and again.
func (a *Service) await(env *Env, works Works) error {
	_, err := a.awaitWorks(env, works, nil)
	return err
}

// awaitWorks also hears its log, and tells what that said that is no reason to fail.
func (a *Service) awaitWorks(env *Env, works Works, log *host.LogMark) (*listening, error) {
	w := &waiting{env: env, service: a.Name, works: works, began: env.Host.Now(), from: a.From}
	if err := w.listen(log); err != nil {
		return nil, err
	}
	for {
		err := w.look()
		if err == nil {
			err = w.missing()
		}
		if err == nil {
			if err = w.hear(); err != nil {
				err = errors.Join(err, env.Mark(heard{true}))
			}
		}
		if err != nil {
			return nil, err
		}
		if w.remaining == "" {
			return &w.log, nil
		}
		if err := w.patience(); err != nil {
			return nil, err
		}
		w.tick()
		if err := env.Host.Sleep(env.Ctx, tickTime); err != nil {
			return nil, err
		}
	}
}

// look sees that the process is the same, and that the wait is still wanted.
func (w *waiting) look() error {
	if w.env.stopped() {
		return ErrStopped
	}
	running, err := w.env.Host.ServiceProcesses(w.service)
	if err != nil {
		return err
	}
	switch {
	case len(running) == 0 && w.process.PID == 0:
		return w.unseen()
	case len(running) == 0:
		return w.failed(fmt.Sprintf("its process %d ended", w.process.PID))
	case w.process.PID == 0:
		w.process, w.first = running[0], w.env.Host.Now()
	case running[0].PID != w.process.PID:
		return w.failed(fmt.Sprintf("its process %d ended, and %d was started in its place", w.process.PID, running[0].PID))
	}
	return nil
}

// unseen judges a service of which no process can be told by its name: what the init system says counts.
func (w *waiting) unseen() error {
	now, _, err := (&Service{Name: w.service}).Now(w.env.Host)
	if err == nil && !now.Active {
		err = w.failed("it ended right after its start")
	}
	return err
}

// missing finds what the service does not do yet.
func (w *waiting) missing() error {
	w.remaining = ""
	if err := w.upgrading(); err != nil || w.remaining != "" {
		return err
	}
	for _, q := range w.works.Questions {
		err := w.ask(q)
		if errors.Is(err, host.ErrNeverAnswers) {
			return w.failed(err.Error())
		}
		if errors.Is(err, errLooked) {
			return errors.Unwrap(err)
		}
		if err != nil {
			w.remaining = err.Error()
			return w.unaskable(err)
		}
	}
	w.unasked = time.Time{}
	return w.upgraded()
}

// unaskable ends a wait for an answer to a question that for a minute could not even be put: it would have no end.
func (w *waiting) unaskable(err error) error {
	now := w.env.Host.Now()
	switch {
	case !errors.Is(err, host.ErrUnasked):
		w.unasked = time.Time{}
	case w.unasked.IsZero():
		w.unasked = now
	case now.Sub(w.unasked) >= doubtTime:
		return fmt.Errorf("whether service %s works cannot be seen: %w; fix that, and leave the service alone meanwhile", w.service, err)
	}
	return nil
}

// upgrading looks how far the database is. While the lock is held nothing is asked of the service: it
// would not answer, and each question would wait in its queue.
func (w *waiting) upgrading() error {
	up := w.works.Upgrade
	if up == nil {
		return nil
	}
	var err error
	if w.lock, err = w.env.Host.ServiceLock(w.service, up.Locks); err != nil {
		return err
	}
	if err := w.askRevision(); err != nil {
		return err
	}
	if w.lock != nil && !w.lock.Stale() {
		w.remaining = fmt.Sprintf("it works on its database, under its lock %s since %s", w.lock.Path, w.lock.Since.Format(time.TimeOnly))
	}
	return nil
}

// askRevision asks the database. One that does not answer just now is asked again.
func (w *waiting) askRevision() error {
	up, now := w.works.Upgrade, w.env.Host.Now()
	conn, err := up.Database.conn(w.env)
	if err != nil {
		return err
	}
	revision, err := w.env.Host.Revision(w.env.Ctx, host.RevisionQuery{Conn: conn, Query: up.Query, Service: w.service, Target: up.Target})
	if errors.Is(err, host.ErrUnknown) {
		return err // a simulation that will never know
	}
	if w.asked = err; err != nil {
		return nil
	}
	if !w.known || revision != w.revision {
		w.moved = now
	}
	if w.from == 0 {
		w.from = revision
	}
	w.revision, w.known = revision, true
	return nil
}

// upgraded judges the revision of a database whose service answers.
func (w *waiting) upgraded() error {
	now := w.env.Host.Now()
	if now.Sub(w.process.Started) < settleTime && now.Sub(w.first) < settleTime { // by either: a clock may be set back meanwhile
		w.remaining = "it answers, and has to go on doing so for a few seconds"
	}
	up := w.works.Upgrade
	switch {
	case up == nil:
	case w.asked != nil && now.Sub(w.began) < doubtTime:
		w.remaining = "it answers, and its database does not: " + w.asked.Error()
	case w.asked != nil:
		return w.failed("it answers, but its database cannot be asked for its revision: " + w.asked.Error())
	case up.Target == 0 && now.Sub(w.moved) < stillTime:
		w.remaining = fmt.Sprintf("it answers; whether the revision of its database, %d, goes on moving", w.revision)
	case up.Target > w.revision && now.Sub(w.moved) < doubtTime:
		w.remaining = fmt.Sprintf("it answers, and its database is at revision %d of %d", w.revision, up.Target)
	case up.Target > w.revision:
		return w.failed(fmt.Sprintf("it answers, but database %s stays at revision %d, where %d was expected: see whether it is this database that its configuration names", up.Database.Database, w.revision, up.Target))
	}
	return nil
}

// errLooked wraps what look found while a question was waiting for its answer.
var errLooked = errors.New("seen meanwhile")

type lookedError struct{ err error }

func (e lookedError) Error() string        { return e.err.Error() }
func (e lookedError) Unwrap() error        { return e.err }
func (e lookedError) Is(target error) bool { return target == errLooked }

// ask puts a question. The wait for its answer is a wait as any other: it ticks, and ends with the process.
func (w *waiting) ask(q host.Question) error {
	ctx, cancel := context.WithCancel(w.env.Ctx)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := w.env.Host.Ask(ctx, q)
		answered <- err
	}()
	ticks := time.NewTicker(tickTime)
	defer ticks.Stop()
	for {
		select {
		case err := <-answered:
			return err
		case <-ticks.C:
			w.remaining = "an answer to " + q.String()
			if err := w.look(); err != nil {
				cancel()
				<-answered
				return lookedError{err}
			}
			w.tick()
			w.remaining = ""
		}
	}
}

// patience ends a wait that has lasted too long.
func (w *waiting) patience() error {
	if w.works.Patience == 0 || w.env.Host.Now().Sub(w.began) < w.works.Patience {
		return nil
	}
	return w.failed(fmt.Sprintf("it runs, and %v after its start this is still missing: %s", w.works.Patience, w.remaining))
}

// tick tells what is waited for.
func (w *waiting) tick() {
	parts := []string{w.remaining}
	if up := w.works.Upgrade; up != nil && w.known {
		text := fmt.Sprintf("database at revision %d", w.revision)
		if up.Target > 0 {
			text += fmt.Sprintf(" of %d", up.Target)
		}
		parts = append(parts, text)
	}
	if trace := w.trace(); len(trace.Lines) > 0 {
		parts = append(parts, "log: "+trace.Lines[len(trace.Lines)-1])
	}
	p := Progress{What: "wait for " + w.service + " to work", Text: strings.Join(parts, "; ")}
	if up := w.works.Upgrade; up != nil && w.known && up.Target > w.from {
		p.Done, p.Total, p.Unit = w.revision-w.from, up.Target-w.from, "revisions"
	}
	w.env.Progress(p)
}

func (w *waiting) trace() host.Trace {
	return w.env.Host.ServiceTrace(w.env.Ctx, w.service, w.works.Log)
}

// failed makes the error of a service that does not work: why, how it ended, and what it said last.
func (w *waiting) failed(why string) error {
	trace := w.trace()
	text := "service " + w.service + " does not work: " + why
	if trace.End != "" && strings.Contains(why, "ended") {
		text += " (" + trace.End + ")"
	}
	if w.known && w.works.Upgrade != nil {
		text += fmt.Sprintf("; its database is at revision %d", w.revision)
	}
	switch {
	case trace.Log == "":
		return errors.New(text + "; see its log, and fix what it reports")
	case len(trace.Lines) == 0:
		return fmt.Errorf("%s; see its log (%s), and fix what it reports", text, trace.Log)
	}
	return fmt.Errorf("%s; fix what its log reports (%s), which ends with:\n%s", text, trace.Log, strings.Join(trace.Lines, "\n"))
}

// worksNow reports whether the service works, without waiting for it.
func (a *Service) worksNow(env *Env) (bool, error) {
	w := &waiting{env: env, service: a.Name, works: *a.Works, began: env.Host.Now()}
	running, err := env.Host.ServiceProcesses(a.Name)
	if err != nil || len(running) == 0 {
		return false, err
	}
	w.process = running[0]
	err = w.listen(a.LogFrom)
	if err == nil {
		err = w.missing()
	}
	if err == nil {
		err = w.hear()
	}
	if err != nil && env.Ctx.Err() != nil {
		return false, err
	}
	return err == nil && w.remaining == "" && len(w.log.said) == 0, nil
}
