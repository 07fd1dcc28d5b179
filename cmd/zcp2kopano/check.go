package main

import (
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/journal"
)

func checkCommand(a *app) *cobra.Command {
	var t teller
	var p params
	var h hostFlags
	cmd := &cobra.Command{
		Use:   "check [RUNBOOK]",
		Short: "Check whether this machine is ready; change nothing",
		Long: `Run only the preflight of a runbook on this machine and print what it finds: facts, warnings, and
inhibitors with their remedy. Nothing is changed: as in a simulation of this machine, what carries the
runbook out gives up the power to write before it begins. What the package manager and the services are
asked is asked by another process, which does nothing else; a package manager reads a repository that is
not configured yet in a private directory. Fix one thing after the other and check again; with an
inhibitor left the exit code is 2.`,
		Example: `  sudo zcp2kopano check
  sudo zcp2kopano check --param config=copy --report /root/check.html
  zcp2kopano check --host mail.txtar`,
		Args:              maxArgs(1),
		ValidArgsFunction: completeRunbook,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.setPackages(h.packages); err != nil {
				return err
			}
			if h.name == "" || h.name == "live" {
				if err := a.judge(); err != nil {
					return err
				}
			}
			target, err := h.openChecked()
			if err != nil {
				return err
			}
			defer target.Close()
			tell, err := t.open(a)
			if err != nil {
				return err
			}
			defer t.drop()
			target.lock()
			p.meant = target.fixture
			book, plain, secrets, err := a.prepare(cmd.Context(), first(args), target.Host, &p)
			if err != nil {
				return err
			}
			v := a.carryOut(cmd.Context(), "check", target, book, plain, secrets, "", journal.Memory(version, time.Now), tell)
			if err := t.close(); err != nil {
				return err
			}
			return verdictError(v.Code)
		},
	}
	t.flags(cmd)
	p.flags(cmd)
	h.checkFlags(cmd)
	return cmd
}
