package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
)

func rollbackCommand(a *app) *cobra.Command {
	var t teller
	var to string
	var yes, foreground bool
	cmd := &cobra.Command{
		Use:   "rollback [ID]",
		Short: "Undo a run, from its last action to its first",
		Long: `Undo the actions of a run, from the last to the first, and compare everything that they touched with
what was recorded before. With --to only the steps from the end down to the one named are undone.

Exit code 4 says that something is not as it was; what it is has been listed. The first start of
kopano-server upgrades the database: after it, the database needs the dump that the run made.`,
		Example: `  sudo zcp2kopano rollback
  sudo zcp2kopano rollback --to install_kopano
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
				if err := a.confirmRollback(s, to); err != nil {
					return err
				}
			}
			return a.work(cmd.Context(), lock, job{run: s.Run, mode: session.ModeRollback, to: to, teller: &t, foreground: foreground})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "undo down to and including this `STEP`")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	foregroundFlag(cmd, &foreground)
	return cmd
}

func (a *app) confirmRollback(s state.Status, to string) error {
	what := "all of run " + s.ID
	if to != "" {
		what = "run " + s.ID + " down to step " + to
	}
	question := fmt.Sprintf("Undo %s (%s, %s)?", what, s.Order.Runbook, s.Phase)
	if s.Verdict != nil && s.Verdict.NoReturn != "" {
		question = "This run is past its point of no return: " + s.Verdict.NoReturn + "\n" + question
	}
	ok, err := a.confirm(question)
	if err == nil && !ok {
		err = fmt.Errorf("not rolled back: nothing was changed")
	}
	return err
}
