package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/state"
)

func forgetCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget [ID]",
		Short: "Destroy the secrets and backups of a closed run",
		Long: `Destroy what a run has kept to go back with, once you will not: its secrets, the contents from before
it, kept package files and names. It cannot be undone any more. What it did, and what was told of it, stays.
Dumps of the database stay where they are, for you to remove, and so does what the file system, its
snapshots or a backup of the machine have of all this.

Without an ID it is about the newest closed run that has not been forgotten. A run that is not closed keeps all.`,
		Example: `  sudo zcp2kopano forget
  sudo zcp2kopano forget 20150830-221005-4f2a --yes`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeRun,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := mayChange("forget"); err != nil {
				return err
			}
			lock, err := a.lock("forget")
			if err != nil {
				return err
			}
			defer lock.Close()
			s, err := a.pick(first(args), state.ToForget)
			if err == nil {
				err = s.Forget()
			}
			if err != nil {
				return err
			}
			if !yes {
				ok, err := a.confirm(fmt.Sprintf("Destroy the secrets and backups of run %s (%s, %s)? It cannot be undone afterwards.", s.ID, s.Order.Runbook, s.Phase))
				if err == nil && !ok {
					err = fmt.Errorf("not forgotten: nothing was destroyed")
				}
				if err != nil {
					return err
				}
			}
			if err := s.Run.Forget(time.Now().UTC()); err != nil {
				return err
			}
			return a.showStatus(s.ID)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
