package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/confine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/aside"
	"zcp2kopano/runtime/host/live"
)

// asideName is the command that answers for a process which has given up its power.
const asideName = "stand-aside"

func asideCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: asideName, Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, release := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer release()
			view, err := live.OpenView("/")
			if err != nil {
				return err
			}
			defer view.Close()
			locks := confine.Asking(attemptName, "asking").String() // before the first question
			return aside.Serve(ctx, asked{view, locks}, a.in, a.out.file)
		},
	}
}

// asked is this machine, and what keeps the process that answers for it.
type asked struct {
	aside.Readers
	locks string
}

// Locks implements aside.Confined.
func (a asked) Locks() string { return a.locks }

// checkedHost is this machine, to be read by a process that has given up its power: another one asks for it where
// reading takes that. Its writing half is refused by the kernel.
type checkedHost struct {
	*live.Host
	*aside.Client
}

var _ host.Host = checkedHost{}

// openCheckedLive opens this machine for a check.
func openCheckedLive() (*target, error) {
	client, release, err := startAside()
	if err != nil {
		return nil, fmt.Errorf("starting the process that asks the package manager: %w", err)
	}
	t, err := openLive()
	if err != nil {
		return nil, errors.Join(err, release())
	}
	t.Host, t.release, t.real = checkedHost{t.Host.(*live.Host), client}, release, true
	if t.aside, err = client.Locks(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// startAside starts the process that answers. It ends when nobody asks any more, at the latest with this one.
func startAside() (client *aside.Client, release func() error, err error) {
	cmd := exec.Command("/proc/self/exe", asideName)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = os.Stderr
	questions, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	stop := func() { _ = cmd.Process.Signal(syscall.SIGTERM) }
	release = func() error {
		questions.Close()
		err := cmd.Wait()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	return aside.NewClient(answers, questions, stop), release, nil
}
