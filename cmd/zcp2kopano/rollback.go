package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
)

// restoreFlag lets a rollback go beyond the point of no return of the database.
const restoreFlag = "restore-database"

func rollbackCommand(a *app) *cobra.Command {
	var t teller
	var to string
	var restore, yes, foreground bool
	cmd := &cobra.Command{
		Use:   "rollback [ID]",
		Short: "Undo a run, from its last action to its first",
		Long: `Undo the actions of a run, from the last to the first, and compare everything that they touched with
what was recorded before. With --to only the steps from the end down to the one named are undone.

What somebody has changed since in what the run made, an edited configuration file or what came into
a directory, is kept first, in backup/since of the run's directory, and named at the end.

Exit code 4 says that something is not as it was; what it is has been listed.

The first start of kopano-server upgrades the database for good. Before it, a rollback is complete.
After it, a rollback leaves the database as it is, says which dump it needs and how long that takes,
and puts back the rest. With --restore-database it loads the dump as well, now or in a second rollback:
the dump is read to its end and compared with its digest, what is in the database now (mail that has
come since!) is dumped to a file beside it, and only then is the database emptied and loaded. Nobody
else may be connected to it. Both dumps stay, for you to remove.`,
		Example: `  sudo zcp2kopano rollback
  sudo zcp2kopano rollback --to install_kopano
  sudo zcp2kopano rollback --restore-database
  sudo zcp2kopano rollback 20150830-221005-4f2a --yes`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needRoot("rollback"); err != nil {
				return err
			}
			lock, err := a.lock("rollback", first(args))
			if err != nil {
				return err
			}
			defer lock.Close()
			s, err := a.pick(first(args))
			if err != nil {
				return err
			}
			if s.Phase == state.RolledBack || s.Phase == state.Untouched {
				return fmt.Errorf("run %s has left nothing to undo (%s)", s.ID, s.Phase)
			}
			if !yes {
				if err := a.confirmRollback(s, to, restore); err != nil {
					return err
				}
			}
			return a.work(cmd.Context(), lock, job{run: s.Run, mode: session.ModeRollback, to: to, restore: restore, teller: &t, foreground: foreground})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "undo down to and including this `STEP`")
	cmd.Flags().BoolVar(&restore, restoreFlag, false, "beyond the first start of kopano-server: load the dump of the database as well")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	foregroundFlag(cmd, &foreground)
	return cmd
}

func (a *app) confirmRollback(s state.Status, to string, restore bool) error {
	what := "all of run " + s.ID
	if to != "" {
		what = "run " + s.ID + " down to step " + to
	}
	question := fmt.Sprintf("Undo %s (%s, %s)?", what, s.Order.Runbook, s.Phase)
	if s.Verdict != nil && s.Verdict.NoReturn != "" {
		question = "This run is past its point of no return: " + s.Verdict.NoReturn + "\n" + beyondQuestion(restore) + "\n" + question
	}
	ok, err := a.confirm(question)
	if err == nil && !ok {
		err = fmt.Errorf("not rolled back: nothing was changed")
	}
	return err
}

// beyondQuestion says what a rollback does about a database that was changed for good.
func beyondQuestion(restore bool) string {
	if restore {
		return "The database will be emptied and loaded from the run's dump. What has come since, mail above all, is then only in a second dump, which is made first."
	}
	return "The database is left as it is; what is put back will not work with it before the dump is loaded (--" + restoreFlag + ", now or later)."
}
