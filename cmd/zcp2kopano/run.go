package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

func runCommand(a *app) *cobra.Command {
	var t teller
	var p params
	var packages, planPath, until string
	var yes, foreground, atOnce bool
	cmd := &cobra.Command{
		Use:   "run [RUNBOOK]",
		Short: "Carry a runbook out on this machine",
		Long: `Carry a runbook out on this machine, as root. First the whole run is simulated over this machine and
shown; then it asks, and only a full "yes" starts it. With --yes it does not ask: the simulation is not
shown, says how long each step takes, and how long services are down, and keeps a run from starting that
fails in it; --no-forecast leaves it out.

With --plan the run does what the plan says, call by call, or stops. The plan's file has to belong to
root or to you, and nobody else may be able to write to it. What changes by itself while the server
works (how much there is of mail, times, free space) is not compared, accounts are compared by name, and
what the last look at the result sees is no part of the plan. What differs is told field by field, as it
was and as it is. A plan is used up by the first run that changes something; one that is refused before
that leaves it as it is.

With --until it stops before a step, so that you can look at the machine before it goes on; with
"--until no-return" it stops before the first change that cannot be undone, which is the first start of
kopano-server. "zcp2kopano resume" goes on from there, and "zcp2kopano rollback" goes back. Do not leave the
machine so for long, and do not restart it: Kopano's services may be installed by then, and start with it.

What is copied and dumped before the run stops the first service has the least priority at the disk, where the disk's
scheduler knows priorities. With --limit it gets there only when nobody else wants the disk, which on a busy one may take
long, and moves at most so many bytes a second: of files as they are copied, of a dump as SQL, before it is
compressed. mydumper knows no such limit; a warning says so where it is asked for.

The run goes on when the terminal is lost: "zcp2kopano status --follow" shows it again. Ctrl-C lets it
finish the action in hand and stop; a second Ctrl-C breaks that action off. In both cases, and after
a failure, the verdict names the commands that go on or back; "zcp2kopano status" names them again.`,
		Example: `  sudo zcp2kopano run
  sudo zcp2kopano run --secret repo_password=/root/kopano-password
  sudo zcp2kopano run --packages /root/kopano-8.7.20 --yes
  sudo zcp2kopano run --plan /root/evening.plan
  sudo zcp2kopano run --until no-return
  sudo zcp2kopano run --limit 50M
  sudo zcp2kopano run site/site.star --param attachments=keep`,
		Args:              maxArgs(1),
		ValidArgsFunction: completeRunbook,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayChange("run"); err != nil {
				return err
			}
			if err := p.setPackages(packages); err != nil {
				return err
			}
			if atOnce && !yes {
				return fmt.Errorf("--no-forecast goes with --yes: without it the simulation is what you are asked about")
			}
			return a.run(cmd.Context(), first(args), &p, &t, planPath, until, assent{yes, atOnce}, foreground)
		},
	}
	t.flags(cmd)
	p.flags(cmd)
	cmd.Flags().StringVar(&packages, "packages", "", "install from this `DIR` of downloaded packages (the parameter packages_dir)")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "start without showing a rehearsal and without asking")
	cmd.Flags().BoolVar(&atOnce, "no-forecast", false, "with --yes: start at once, without the simulation that tells how long it takes, and whether it fails")
	cmd.Flags().StringVar(&planPath, "plan", "", "hold the run to the plan in this `FILE` (simulate --live --plan): it stops before the first difference; a plan holds for 7 days")
	untilFlag(cmd, &until, meantBook)
	limitFlag(cmd, &a.limit)
	foregroundFlag(cmd, &foreground)
	return cmd
}

func untilFlag(cmd *cobra.Command, until *string, book func(*cobra.Command, []string) *runbook.Runbook) {
	cmd.Flags().StringVar(until, "until", "", "stop before this `STEP`, or with no-return before the first change that cannot be undone")
	_ = cmd.RegisterFlagCompletionFunc("until", completeUntil(book))
}

func foregroundFlag(cmd *cobra.Command, foreground *bool) {
	cmd.Flags().BoolVar(foreground, "foreground", false, "do the work in this process instead of a worker of its own, where a supervisor keeps it alive")
}

// mayChange is for each command that changes this machine: it needs root, and an environment like that of the machine's
// own scripts.
func mayChange(command string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s changes this machine and needs root: sudo zcp2kopano %s", command, command)
	}
	return session.ShedCaller()
}

// assent is what was said on the command line to a run's question whether to begin.
type assent struct{ given, atOnce bool }

func (a *app) run(ctx context.Context, name string, p *params, t *teller, planPath, until string, yes assent, foreground bool) error {
	// the lock is held from before the first look until the worker has it
	lock, err := a.lock("run")
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := a.refuseUnfinished(); err != nil {
		return err
	}
	machine, err := openLive()
	if err != nil {
		return err
	}
	defer machine.Close()
	a.distrusts = true
	book, plain, secrets, err := a.prepare(ctx, name, machine.Host, p)
	if err != nil {
		return err
	}
	if err := engine.CheckUntil(book, until); err != nil {
		return err
	}
	plan, err := a.readPlan(planPath)
	if err != nil {
		return err
	}
	forecast, err := a.rehearse(ctx, book, plain, secrets, yes, until)
	if err != nil {
		return err
	}
	if name == "" {
		name = strings.TrimSuffix(strings.TrimPrefix(book.Name, "@stock//"), ".star")
	}
	run, err := a.dir().Begin(state.Order{
		Runbook: name, Label: book.Name, Program: version, Begun: time.Now().UTC(), Params: plain, Overrides: a.overrides, Forecast: forecast, Limit: int64(a.limit),
	}, secrets, book.Modules())
	if err != nil {
		return err
	}
	if err := run.KeepPlan(plan); err != nil {
		return err
	}
	s, err := a.dir().Status(run)
	if err != nil {
		return err
	}
	return a.work(ctx, lock, job{run: s, mode: session.ModeRun, until: until, teller: t, foreground: foreground})
}

// refuseUnfinished refuses a new run while an earlier one has left the machine half-way.
func (a *app) refuseUnfinished() error {
	s, err := a.dir().Unfinished()
	if err != nil || s == nil {
		return err
	}
	if s.Trouble != nil {
		return fmt.Errorf("run %s is unfinished (%s), and has to come to its end before a new run: %w; %s", s.ID, s.Phase, s.Trouble, ways.Join(s.Ways()))
	}
	return fmt.Errorf("run %s is unfinished (%s), and has to come to its end before a new run: %s", s.ID, s.Phase, ways.Join(s.Ways()))
}

// rehearse simulates over this machine, and asks unless the answer was given. It returns how long the run takes, if the
// simulation comes to its end.
func (a *app) rehearse(ctx context.Context, book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret, yes assent, until string) (*story.Times, error) {
	if yes.atOnce {
		return nil, nil
	}
	if yes.given {
		return a.forecast(ctx, book, plain, secrets, until)
	}
	if !a.interactive() {
		return nil, fmt.Errorf("there is no terminal to ask on; add --yes if you are sure, or look first: zcp2kopano simulate --live")
	}
	var t teller
	tell, err := t.open(a)
	if err != nil {
		return nil, err
	}
	v, err := a.rehearseApart(ctx, book, plain, secrets, tell)
	if err != nil {
		return nil, err
	}
	if v.Code != exit.Done {
		return nil, verdictError(v.Code)
	}
	fmt.Fprintln(a.err)
	ok, err := a.confirm("This was the simulation. Now carry it out on this machine? Have a backup that you know can be restored.")
	if err == nil && !ok {
		err = fmt.Errorf("not started: nothing was changed")
	}
	return v.Times, err
}

// forecast simulates unseen. What stands in the way is for the run to find, which then reports it as ever. A run whose
// simulation fails would come to the same end, with ZCP stopped or gone; where only a part is to be run, the failure may lie
// behind it.
func (a *app) forecast(ctx context.Context, book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret, until string) (*story.Times, error) {
	fmt.Fprintln(a.err, "simulating the run first, to know how long it takes, and whether it comes to its end")
	v, err := a.rehearseApart(ctx, book, plain, secrets, func(story.Event) {})
	if err != nil {
		return nil, err
	}
	switch v.Code {
	case exit.Done:
		return v.Times, nil
	case exit.Interrupted:
		fmt.Fprintln(a.err, "interrupted before the run began; nothing was changed")
		return nil, ended{exit.Interrupted}
	}
	if v.Code != exit.Failed {
		return nil, nil
	}
	if until == "" {
		return nil, fmt.Errorf("not started, and nothing was changed: the simulation of this run ends with: %s; zcp2kopano simulate --live shows all of it; mend that, or add --no-forecast to start nevertheless", v.Text)
	}
	fmt.Fprintln(a.err, "the simulation of the whole run ends with: "+v.Text)
	return nil, nil
}

// lock takes the right to change this machine.
func (a *app) lock(command string) (*state.Lock, error) {
	return a.dir().Lock(state.Holder{PID: os.Getpid(), Start: time.Now(), Command: "zcp2kopano " + command})
}

// job is one piece of work on a kept run.
type job struct {
	run        state.Status
	mode       string
	to         string
	until      string // run, resume: where to stop
	restore    bool   // rollback: load the dump of the database
	kill       bool   // rollback: end a server that upgrades the database
	teller     *teller
	foreground bool
}

// work does a job, in a worker that it follows, or in this process.
func (a *app) work(ctx context.Context, lock *state.Lock, j job) error {
	tell, err := j.teller.open(a)
	if err != nil {
		return err
	}
	defer j.teller.drop()
	var v *story.Verdict
	if j.foreground {
		v, err = a.workHere(ctx, lock, j, tell)
	} else {
		v, err = a.workApart(ctx, lock, j, tell)
	}
	if err == nil {
		err = j.teller.close()
	}
	if err != nil {
		return err
	}
	if lost := a.out.failure(); lost != nil { // by now; the run has its own account of what it did
		fmt.Fprintf(a.err, "%v; the whole story: `%s`\n", lost, j.run.Caller.Command("status", "--follow"))
		a.out.lost = nil
	}
	return verdictError(v.Code)
}

func (a *app) workHere(ctx context.Context, lock *state.Lock, j job, tell func(story.Event)) (*story.Verdict, error) {
	if err := lock.Name(state.Holder{PID: os.Getpid(), Start: time.Now(), Command: "zcp2kopano " + j.mode, Run: j.run.ID}); err != nil {
		return nil, err
	}
	machine, err := a.openLiveForWork()
	if err != nil {
		return nil, err
	}
	defer machine.Close()
	w := a.sessionWork(machine, j, tell)
	w.Heard = func(s os.Signal, n int) { fmt.Fprintln(a.err, "\n"+stopWords(s, n)) }
	v, err := w.Do(ctx)
	return &v, err
}

// workApart starts a worker and shows what it does. Signals are passed on to it, but for those that end
// the login session: the run goes on without it.
func (a *app) workApart(ctx context.Context, lock *state.Lock, j job, tell func(story.Event)) (*story.Verdict, error) {
	signals := make(chan os.Signal, 4) // from before the worker is there: what comes meanwhile is passed on
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	from := session.End(j.run.Run)
	worker, err := session.Start(j.run.Run, lock, "worker", j.mode, j.run.ID, "--to", j.to, "--until", j.until,
		"--"+restoreFlag+"="+strconv.FormatBool(j.restore), "--"+killFlag+"="+strconv.FormatBool(j.kill), "--state", a.state)
	if err != nil {
		return nil, err
	}
	lock.Close() // the worker holds it now
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		for n := 0; ; n++ {
			s, ok := <-signals
			if !ok {
				return
			}
			if s == syscall.SIGTERM && sessionEnds() {
				leave()
				return
			}
			fmt.Fprintln(a.err, "\n"+stopWords(s, n))
			if n > 0 && s == syscall.SIGINT {
				worker.BreakOff()
			} else {
				worker.Stop(s)
			}
		}
	}()
	told := false // why it failed
	v, err := session.Follow(ctx, j.run.Run, from, worker.Alive, func(e story.Event) {
		told = told || e.Kind == story.Failed
		tell(e)
	})
	if v != nil {
		worker.Await()
	}
	if err == nil && v == nil {
		v = tellEnd(worker.End(), told, tell)
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(a.err, "\nthe session ends, and the run goes on: `%s` shows it\n", j.run.Caller.Command("status", "--follow"))
		return nil, ended{exit.Interrupted}
	case err == nil && v == nil && worker.StoppedEarly():
		fmt.Fprintf(a.err, "interrupted before the %s began; %s\n", j.mode, ways.Join(j.run.Ways()))
		return nil, ended{exit.Interrupted}
	case err == nil && v == nil:
		err = a.workerFailure(j.run.Run, worker.Failure())
	}
	return v, err
}

// stopWords says what the n-th signal to stop does.
func stopWords(s os.Signal, n int) string {
	switch {
	case n == 0:
		return "stopping: the action in hand is finished first; Ctrl-C again breaks it off, in the middle"
	case s == syscall.SIGINT && n == 1:
		return "breaking the action in hand off: its programs are told to end, and killed after 10 s; the verdict says what that means"
	case s == syscall.SIGINT:
		return "it is being broken off; nothing more can be done to hurry it"
	}
	return "it is stopping"
}

// tellEnd tells what a worker could not write to its run's events file, and returns its verdict; nil
// if it gave none.
func tellEnd(end []story.Event, told bool, tell func(story.Event)) (v *story.Verdict) {
	for _, e := range end {
		if e.Kind == story.Failed && told {
			continue
		}
		tell(e)
		if e.Kind == story.VerdictGiven {
			v = e.Verdict
		}
	}
	return v
}

// sessionEnds reports whether systemd is ending the login session that this process belongs to.
func sessionEnds() bool {
	view, err := live.OpenView("/")
	if err != nil {
		return false
	}
	defer view.Close()
	return view.SessionEnds()
}

// workerFailure shortens what a worker left that crashed.
func (a *app) workerFailure(run state.Run, err error) error {
	words := lastWords(err.Error())
	switch {
	case errors.Is(err, session.ErrNoVerdict):
		return a.withWays(run, err)
	case words == "":
		return err
	}
	return a.withWays(run, a.crashed(words, err.Error()))
}

// withWays adds to a failure what can be done about its run.
func (a *app) withWays(run state.Run, err error) error {
	s, unread := a.dir().Status(run)
	if unread != nil || s.Trouble != nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, ways.Join(s.Ways()))
}
