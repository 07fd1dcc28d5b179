package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// workerCommand is what run, resume and rollback start; see package session.
func workerCommand(a *app) *cobra.Command {
	var to, until string
	var restore, kill bool
	cmd := &cobra.Command{
		Use:    "worker MODE ID",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayChange(args[0]); err != nil {
				return err
			}
			run, err := a.dir().Find(args[1])
			if err != nil {
				return err
			}
			lock, err := session.AdoptLock(a.dir(), state.Holder{PID: os.Getpid(), Start: time.Now(), Command: "zcp2kopano " + args[0], Run: run.ID})
			if err != nil {
				return err
			}
			defer lock.Close()
			machine, err := a.openLiveForWork()
			if err != nil {
				return err
			}
			defer machine.Close()
			s, err := a.dir().Status(run)
			if err != nil {
				return err
			}
			v, err := a.sessionWork(machine, job{run: s, mode: args[0], to: to, restore: restore, kill: kill, until: until}, session.TellEnd()).Do(cmd.Context())
			if err != nil {
				return err
			}
			return verdictError(v.Code)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "step to go back to")
	cmd.Flags().StringVar(&until, "until", "", "step to stop before")
	cmd.Flags().BoolVar(&restore, restoreFlag, false, "load the dump")
	cmd.Flags().BoolVar(&kill, killFlag, false, "end a server that upgrades the database")
	return cmd
}

func (a *app) sessionWork(machine *target, j job, tell func(story.Event)) session.Work {
	return session.Work{
		Run: j.run.Run, Mode: j.mode, To: j.to, Until: j.until, RestoreDatabase: j.restore, KillGuarded: j.kill, Caller: j.run.Caller, Host: machine.Host, HostLabel: machine.label,
		Builtins: workBuiltins(), Stock: runbooks.FS, Version: version, Emit: tell,
	}
}
