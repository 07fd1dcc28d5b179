package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// What a snapshot captures unless it is told otherwise.
var (
	snapshotPackages = []string{"*zarafa*", "*kopano*", "*mapi*", "*vmime*", "*libical*"}
	snapshotConfig   = []string{"/etc/zarafa", "/etc/kopano", "/etc/postfix", "/etc/apt", "/etc/default", "/etc/mapi", "/etc/php5"}
	snapshotTrees    = []string{"/var/lib/zarafa", "/var/lib/kopano", "/var/log/zarafa", "/usr/local", "/run/zarafad"}
)

func snapshotCommand(a *app) *cobra.Command {
	var p params
	var o sim.SnapshotOptions
	var runbook, packages string
	cmd := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Write this machine down as a fixture, secrets removed",
		Long: `Write down what a simulation needs of this machine: facts, packages, services, accounts, mounts,
configuration with secrets replaced, trees of data as names and sizes. The run is simulated over this
machine first: what it asks of the database and the directory goes into the fixture with the answers,
and so do the files that it looks at; of those that it reads, the text, with secrets replaced. Parameters
are kept with it, secret ones by name, and of package files that it installs from (packages_dir) what a
simulation needs: the command that is named at the end works on any machine.
The machine is only read. Read the file before you give it away; it can be edited.`,
		Example: `  sudo zcp2kopano snapshot mail.txtar
  sudo zcp2kopano snapshot mail.txtar --tree /srv/attachments
  sudo zcp2kopano snapshot mail.txtar --packages /root/kopano --secret repo_password=/root/password
  zcp2kopano simulate --host mail.txtar`,
		Args: exactArg("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.setPackages(packages); err != nil {
				return err
			}
			return a.snapshot(cmd.Context(), args[0], runbook, &p, o)
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&packages, "packages", "", "the run that is meant installs from this `DIR` of downloaded packages (the parameter packages_dir)")
	cmd.Flags().StringVar(&runbook, "runbook", "", "the `RUNBOOK` whose questions are recorded; the stock one that fits by default")
	cmd.Flags().StringArrayVar(&o.Packages, "package", snapshotPackages, "capture the files of packages that match this `GLOB` (repeatable)")
	cmd.Flags().StringArrayVar(&o.Config, "config", snapshotConfig, "capture the content of this `PATH`, secrets replaced (repeatable)")
	cmd.Flags().StringArrayVar(&o.Trees, "tree", snapshotTrees, "capture the names and sizes below this `PATH` (repeatable)")
	return cmd
}

func (a *app) snapshot(ctx context.Context, file, runbook string, p *params, o sim.SnapshotOptions) error {
	view, err := live.OpenView("/")
	if err != nil {
		return err
	}
	defer view.Close()
	f, err := createOut(file, newOnly)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("snapshot: %s exists; name a new file", file)
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	defer f.Close()
	r := newRecorder(view)
	if err := a.recordQuestions(ctx, r, runbook, p, &o, (*target).lock); err != nil {
		return err
	}
	if !a.json {
		o.Progress = func(what string, files int64) { fmt.Fprintf(a.err, "%s: %d files\n", what, files) }
	}
	if err := sim.Snapshot(ctx, f, r.asFound(), o); err != nil {
		return err
	}
	if err := f.Complete(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]string{"file": file})
	}
	next := "zcp2kopano simulate"
	if runbook != "" {
		next += " " + state.Quote(runbook)
	}
	_, err = fmt.Fprintf(a.out, "%s\n\nnext, here or on another machine: %s --host %s\n", file, next, state.Quote(file))
	return err
}

// recordQuestions simulates the run over the machine, so that what it asks is known. How the run ends
// does not matter. Before any code of the runbook runs, lock is called.
func (a *app) recordQuestions(ctx context.Context, r *recorder, runbook string, p *params, o *sim.SnapshotOptions, lock func(*target)) error {
	t, err := simulateView(r, "")
	if err != nil {
		return err
	}
	defer t.Close()
	t.real = true
	lock(t)
	book, plain, secrets, err := a.prepare(ctx, runbook, t.Host, p)
	if err != nil {
		return err
	}
	a.carryOut(ctx, "simulate", t, book, plain, secrets, "", journal.Memory(version, time.Now), func(story.Event) {})
	o.Conn, o.Queries, o.Directory, o.Searches = r.conn, r.queries, r.directory, r.searches
	o.Offered = r.offered
	o.Params, o.Secrets = plain, slices.Sorted(maps.Keys(secrets))
	o.Seen, o.Listed, o.Read = slices.Sorted(maps.Keys(r.seen)), slices.Sorted(maps.Keys(r.listed)), slices.Sorted(maps.Keys(r.read))
	return nil
}
