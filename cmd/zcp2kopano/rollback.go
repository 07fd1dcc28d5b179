package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/ways"
)

// restoreFlag lets a rollback go beyond the point of no return of the database.
const restoreFlag = "restore-database"

// killFlag lets it end a server within its upgrade of the database, which the dump replaces.
const killFlag = "kill-upgrade"

func rollbackCommand(a *app) *cobra.Command {
	var t teller
	var to string
	var restore, kill, accept, yes, foreground bool
	cmd := &cobra.Command{
		Use:   "rollback [ID]",
		Short: "Undo a run, from its last action to its first",
		Long: `Undo the actions of a run, from the last to the first, and compare everything that they touched with
what was recorded before. With --to only the steps from the end down to the one named are undone.

Without an ID it is about the unfinished run, else about the newest that has left something to undo.

What somebody has changed since in what the run made, an edited configuration file or what came into
a directory, is kept first, in backup/since of the run's directory, and named at the end.

Exit code 4 says that something is not as it was; what it is has been listed, and "zcp2kopano status"
lists it again. No new run can begin until you have looked at it. Fix what you can: another rollback
compares again. With --accept you say that the rest may stay so, which closes the run; nothing is undone
by that. So can a run be closed that goes neither on nor back, because what stops it cannot be fixed: what
it changed and was not undone is listed, and stays. Another rollback of it is still possible, by its ID.
A run whose journal is damaged is set aside, whole, in the folder aside of the state directory.

The first start of kopano-server upgrades the database for good. Before it, a rollback is complete.
After it, a rollback leaves the database as it is, says which dump it needs and how long that takes,
and puts back the rest. With --restore-database it loads the dump as well, now or in a second rollback
(how long that takes is told before it asks, and again before it begins):
the dump is read to its end and compared with its digest, what is in the database now (mail that has
come since!) is dumped to a file beside it, and only then is the database emptied and loaded. Nobody
else may be connected to it. Both dumps stay, for you to remove.

While a server upgrades the database no rollback begins: to end it would break the database. Wait until it
is done (zcp2kopano resume waits with you). Only --restore-database may end it, since the dump replaces what
that breaks: it names what it would kill, and asks; unattended, that is --kill-upgrade.`,
		Example: `  sudo zcp2kopano rollback
  sudo zcp2kopano rollback --to install_kopano
  sudo zcp2kopano rollback --restore-database
  sudo zcp2kopano rollback --accept
  sudo zcp2kopano rollback 20150830-221005-4f2a --yes`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayChange("rollback"); err != nil {
				return err
			}
			lock, err := a.lock("rollback")
			if err != nil {
				return err
			}
			defer lock.Close()
			s, err := a.pick(first(args), state.ToUndo)
			if err == nil && accept {
				return a.accept(s, yes)
			}
			if err == nil && kill && !restore {
				err = fmt.Errorf("--%s only goes with --%s: without the dump, a database whose upgrade is cut off cannot be used any more", killFlag, restoreFlag)
			}
			if err == nil {
				err = s.Rollback(to, restore)
			}
			if err != nil {
				return err
			}
			if !yes {
				if err := a.confirmRollback(s, to, restore); err != nil {
					return err
				}
				if restore && !kill {
					if kill, err = a.confirmKill(cmd.Context(), s); err != nil {
						return err
					}
				}
			}
			return a.work(cmd.Context(), lock, job{run: s, mode: session.ModeRollback, to: to, restore: restore, kill: kill, teller: &t, foreground: foreground})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "undo down to and including this `STEP`")
	_ = cmd.RegisterFlagCompletionFunc("to", a.completeTo)
	cmd.Flags().BoolVar(&restore, restoreFlag, false, "beyond the first start of kopano-server: load the dump of the database as well")
	cmd.Flags().BoolVar(&kill, killFlag, false, "with --"+restoreFlag+": end a server that is just upgrading the database")
	cmd.Flags().BoolVar(&accept, "accept", false, "undo nothing: accept what a rollback, or a run that goes neither on nor back, has left")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.MarkFlagsMutuallyExclusive("accept", "to")
	cmd.MarkFlagsMutuallyExclusive("accept", restoreFlag)
	cmd.MarkFlagsMutuallyExclusive("accept", killFlag)
	foregroundFlag(cmd, &foreground)
	return cmd
}

// accept closes a run as it is: one whose rollback has left differences, or one that can go neither on
// nor back. One whose journal cannot be gone by is set aside.
func (a *app) accept(s state.Status, yes bool) error {
	if err := s.Accept(); err != nil {
		return err
	}
	question := "Have you looked at this, and may it stay so?"
	for _, line := range s.Left {
		fmt.Fprintln(a.err, "not as before:", line)
	}
	for _, line := range s.Stays {
		fmt.Fprintln(a.err, "not undone:", line)
	}
	switch {
	case s.Trouble != nil:
		question = fmt.Sprintf("%v.\nNobody knows what this run has left. Have you looked at this machine, and may it stay as it is?", s.Trouble)
	case s.Phase != ways.Differing:
		question = fmt.Sprintf("This run is not at its end (%s), and what it changed would stay as it is now. Have you looked at this, and may it stay so?", s.Phase)
	}
	if !yes {
		ok, err := a.confirm(question)
		if err == nil && !ok {
			err = fmt.Errorf("not accepted: the run stays as it is")
		}
		if err != nil {
			return err
		}
	}
	if s.Trouble == nil {
		if err := s.Run.Accept(version); err != nil {
			return err
		}
		return a.showStatus(s.ID)
	}
	aside, err := a.dir().SetAside(s.Run)
	if err != nil {
		return fmt.Errorf("setting run %s aside: %w", s.ID, err)
	}
	_, err = fmt.Fprintf(a.out, "run %s was given up; nothing was undone. Its records and backups are in %s\n", s.ID, aside)
	return err
}

func (a *app) confirmRollback(s state.Status, to string, restore bool) error {
	what := "all of run " + s.ID
	if to != "" {
		what = "run " + s.ID + " down to step " + to
	}
	question := fmt.Sprintf("Undo %s (%s, %s)?", what, s.Order.Runbook, s.Phase)
	if beyond := beyondQuestion(s.Standing, restore, loadTime(s)); beyond != "" {
		question = "This run is past its point of no return. " + beyond + "\n" + question
	}
	all, _ := a.dir().Statuses() // a run that cannot be read keeps nobody from the one that was named
	if above := state.Above(all, s.Run); above != nil {
		question = fmt.Sprintf("Run %s (%s) was begun after it, and has changed this machine since: undo that one first, if you can.\n%s", above.ID, above.Phase, question)
	}
	ok, err := a.confirm(question)
	if err == nil && !ok {
		err = fmt.Errorf("not rolled back: nothing was changed")
	}
	return err
}

// confirmKill asks whether a server that is just upgrading the database may be ended; false if none is.
func (a *app) confirmKill(ctx context.Context, s state.Status) (bool, error) {
	_, records, _, err := journal.ReadFile(s.Run.Journal())
	if err != nil {
		return false, err
	}
	machine, err := a.openLiveForWork()
	if err != nil {
		return false, err
	}
	defer machine.Close()
	busy, err := engine.Busy(ctx, machine.Host, records)
	if busy == nil || err != nil {
		return false, err
	}
	ok, err := a.confirm(fmt.Sprintf("%s (process %d) %s since %s. It would be killed within that, and what it has done to the database be replaced by the dump.\nKill it?",
		busy.Guard.Service, busy.Lock.Holder.PID, busy.Guard.Doing, busy.Lock.Since.Format(time.DateTime)))
	if err == nil && !ok {
		err = fmt.Errorf("not rolled back: nothing was changed, and %s goes on", busy.Guard.Service)
	}
	return ok, err
}

// loadTime says, as a sentence of its own, how long it takes to load a run's dump; empty if that cannot be told.
func loadTime(s state.Status) string {
	_, records, _, err := journal.ReadFile(s.Run.Journal())
	if err != nil {
		return ""
	}
	_, takes, err := engine.Loading(records)
	if err != nil || takes == "" {
		return ""
	}
	return " L" + strings.TrimPrefix(takes, "l") + "."
}

// beyondQuestion says what a rollback does about what was changed for good; empty if nothing was.
func beyondQuestion(s ways.Standing, restore bool, takes string) string {
	switch {
	case s.Database == ways.Restorable && restore:
		return "The database will be emptied and loaded from the run's dump. What has come since, mail above all, is then only in a second dump, which is made first." + takes
	case s.Database == ways.Restorable:
		return "The database is left as it is; what is put back will not work with it before the dump is loaded (--" + restoreFlag + ", now or later)." + takes
	case s.Database == ways.Lost:
		return "The database is left as it is, and the run has made no dump: what is put back will not work with it before you have restored it by hand."
	case s.Packages:
		return "Packages were removed of which nothing could be kept: they do not come back."
	}
	return ""
}
