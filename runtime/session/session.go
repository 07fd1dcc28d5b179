// Package session carries a kept run out apart from the terminal that began it.
//
// A run is done by a worker: the same program, started in a session of its own (and in a systemd
// scope where there is systemd), so that neither a hangup nor a logout nor Ctrl-C on the terminal
// reaches it. The worker writes what it does to the run's events file; whoever wants to see it, the
// command that started it first of all, follows that file. Only signals sent on purpose stop it:
// after the first it finishes the action in hand; a SIGINT after that breaks it off.
package session

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// The modes of work.
const (
	ModeRun      = "run"
	ModeResume   = "resume"
	ModeRollback = "rollback"
)

// Work is a kept run to be carried out, gone on with, or undone.
type Work struct {
	Run  state.Run
	Mode string
	To   string // rollback: the last step to undo; empty for all

	RestoreDatabase bool // rollback: load the dump
	KillGuarded     bool // rollback: end a service that must not be disturbed

	Heard func(s os.Signal, n int) // called at each signal to stop; may be nil
	Until string                   // run, resume: where to stop

	Caller ways.Caller // how the admin calls the program for this run

	Host      host.Host
	HostLabel string
	Builtins  []*script.Builtin
	Stock     fs.FS // what a site's runbook is compared with
	Version   string
	Emit      func(story.Event) // hears events besides the run's events file; may be nil
}

// Do does the work in this process and returns its verdict. The caller holds the lock. An error is
// told before anything is done: there is no verdict then.
func (w Work) Do(ctx context.Context) (story.Verdict, error) {
	order, err := w.Run.Order()
	if err != nil {
		return story.Verdict{}, err
	}
	book, err := w.book(ctx, order)
	if err != nil {
		return story.Verdict{}, err
	}
	keeper, err := w.keeper()
	if err != nil {
		return story.Verdict{}, err
	}
	secrets, err := w.secrets(order, keeper)
	if err != nil {
		return story.Verdict{}, err
	}
	plan, err := w.plan(order)
	if err != nil {
		return story.Verdict{}, err
	}
	events, err := openEvents(w.Run)
	if err != nil {
		return story.Verdict{}, err
	}
	defer events.Close()
	log, previous, err := w.Run.Open(w.Version, time.Now)
	if err != nil {
		return story.Verdict{}, err
	}
	defer log.Close()
	ctx, stop, release := onSignals(ctx, w.Heard)
	defer release()
	cfg := engine.Config{
		Mode: w.Mode, ID: w.Run.ID, Runbook: book, Params: order.Params, Secrets: secrets, Overrides: order.Overrides,
		Host: w.Host, HostLabel: w.HostLabel, Trusted: trust.Ours(), Distrust: true, Dir: w.Run.Path, Journal: log, Keeper: keeper,
		Version: w.Version, Now: time.Now, Stop: stop, Previous: previous, Plan: plan,
		RestoreDatabase: w.RestoreDatabase, KillGuarded: w.KillGuarded, Until: w.Until, Caller: w.Caller, Forecast: order.Forecast, Limit: w.limit(order),
		Emit: story.Tee(seldom(numbered(log, story.JSONLines(events))), w.Emit),
	}
	return w.execute(ctx, cfg), nil
}

// book loads the copy of the runbook. The way back needs none, and must not fail for its sake: another
// version of the program may no longer load it.
func (w Work) book(ctx context.Context, order state.Order) (*runbook.Runbook, error) {
	if w.Mode == ModeRollback {
		return &runbook.Runbook{Name: order.Label}, nil
	}
	modules, err := w.Run.Modules()
	if err != nil {
		return nil, err
	}
	book, err := runbook.LoadCopy(ctx, order.Label, modules, script.LoadOptions{Builtins: w.Builtins, Stock: w.Stock})
	if err != nil && order.Program != w.Version {
		err = fmt.Errorf("%w (the run was begun by version %s of the program, this is %s: use that version to go on, or correct the runbook and `%s`; a rollback needs neither)",
			err, order.Program, w.Version, w.Caller.Command("resume", "--runbook", "FILE"))
	}
	return book, err
}

// keeper opens the run's secrets. The way back goes on without them where they are damaged, as where they
// are gone: what needs one says so.
func (w Work) keeper() (*state.Keeper, error) {
	keeper, err := w.Run.Keeper()
	if err != nil && w.Mode == ModeRollback {
		return state.Memory(), nil
	}
	return keeper, err
}

// secrets are the values of the secret parameters. The way back needs none of the parameters.
func (w Work) secrets(order state.Order, keeper *state.Keeper) (map[string]host.Secret, error) {
	if w.Mode == ModeRollback {
		return nil, nil
	}
	return w.Run.Secrets(order, keeper)
}

// limit is how many bytes a second may be moved while services run. The way back is not held back.
func (w Work) limit(order state.Order) int64 {
	if w.Mode == ModeRollback {
		return 0
	}
	return order.Limit
}

// plan is what the run is held to, nil for nothing.
func (w Work) plan(order state.Order) (*engine.Plan, error) {
	if order.Unheld || w.Mode == ModeRollback {
		return nil, nil
	}
	return w.Run.Plan()
}

func (w Work) execute(ctx context.Context, cfg engine.Config) story.Verdict {
	if w.Mode == ModeRollback {
		return engine.Rollback(ctx, cfg, w.To)
	}
	return engine.Execute(ctx, cfg)
}

// onSignals closes stop at the first SIGINT or SIGTERM, and ends ctx at a SIGINT that comes after
// that. A second SIGTERM says no more than the first: it may come from a supervisor and from a parent
// that passes it on. A hangup and a broken pipe are nothing to stop for.
func onSignals(parent context.Context, heard func(os.Signal, int)) (ctx context.Context, stop <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTTOU)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, breakOff)
	asked := make(chan struct{})
	done := make(chan struct{})
	if heard == nil {
		heard = func(os.Signal, int) {}
	}
	go heed(signals, done, heard, func() { close(asked) }, cancel)
	return ctx, asked, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// heed asks at the first signal, and ends at a SIGINT after that, or where it is told to break off.
func heed(signals <-chan os.Signal, done <-chan struct{}, heard func(os.Signal, int), ask, end func()) {
	for n := 0; ; n++ {
		var s os.Signal
		select {
		case <-done:
			return
		case s = <-signals:
		}
		heard(s, n)
		if n == 0 {
			ask()
		}
		if s == breakOff || n > 0 && s == syscall.SIGINT {
			end()
			return
		}
	}
}

// numbered says with each event how far the journal was then.
func numbered(log *journal.Log, tell func(story.Event)) func(story.Event) {
	return func(e story.Event) {
		e.Journal = log.Durable()
		tell(e)
	}
}

// progressPause is the least time between two progress events in the file.
const progressPause = 900 * time.Millisecond // a tick each second is not to be left out for being early

// seldom thins out progress, which would fill the file of a long run.
func seldom(tell func(story.Event)) func(story.Event) {
	var mu sync.Mutex
	var last time.Time
	return func(e story.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == story.ProgressMade {
			if e.Time.Sub(last) < progressPause {
				return
			}
			last = e.Time
		}
		tell(e)
	}
}

// lookPause is how often a follower looks for new events.
const lookPause = 100 * time.Millisecond

// Follow passes events from the run's file on, beginning at byte from, until the verdict, until ctx
// ends, or until nobody is alive to write more. It returns the verdict, nil if none came.
func Follow(ctx context.Context, r state.Run, from int64, alive func() bool, emit func(story.Event)) (*story.Verdict, error) {
	f, err := waitOpen(ctx, r.Events(), alive)
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(from, 0); err != nil {
		return nil, err
	}
	in := bufio.NewReader(f)
	var line []byte
	for {
		living := alive() // asked before reading: what a dying writer left is read still
		for {
			part, err := in.ReadBytes('\n')
			line = append(line, part...)
			if err != nil {
				break
			}
			var e story.Event
			if json.Unmarshal(line, &e) == nil {
				emit(e)
				if e.Kind == story.VerdictGiven {
					return e.Verdict, nil
				}
			}
			line = line[:0]
		}
		if !living {
			return nil, nil
		}
		if !pause(ctx) {
			return nil, ctx.Err()
		}
	}
}

func waitOpen(ctx context.Context, path string, alive func() bool) (*os.File, error) {
	for {
		living := alive()
		f, err := os.Open(path)
		if err == nil {
			return f, nil
		}
		if !os.IsNotExist(err) {
			return nil, err
		}
		if !living {
			return nil, nil
		}
		if !pause(ctx) {
			return nil, ctx.Err()
		}
	}
}

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lookPause):
		return true
	}
}

// LastBegin is the place in the run's events file where its newest attempt begins.
func LastBegin(r state.Run) (int64, error) {
	f, err := os.Open(r.Events())
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	var at, begin int64
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return begin, nil
		}
		var e struct {
			Kind story.EventKind `json:"kind"`
		}
		if json.Unmarshal(line, &e) == nil && e.Kind == story.RunBegin {
			begin = at
		}
		at += int64(len(line))
	}
}

// End is the size of the run's events file: where the next attempt's events begin.
func End(r state.Run) int64 {
	info, err := os.Stat(r.Events())
	if err != nil {
		return 0
	}
	return info.Size()
}
