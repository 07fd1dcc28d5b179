package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
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
	snapshotTrees    = []string{
		"/etc/zarafa", "/etc/kopano", "/etc/postfix", "/etc/apt", "/etc/default", "/etc/mapi", "/etc/php5",
		"/var/lib/zarafa", "/var/lib/kopano", "/var/log/zarafa", "/usr/local", "/run/zarafad",
	}
)

func snapshotCommand(a *app) *cobra.Command {
	var p params
	var o sim.SnapshotOptions
	var runbook, packages string
	var directives []string
	cmd := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Write this machine down as a fixture, secrets removed",
		Long: `Write down what a simulation needs of this machine: facts, packages, services, accounts, mounts,
trees of configuration and data as names, owners, modes and sizes. The run is simulated over this
machine first: what it asks of the database and the directory goes into the fixture with the answers.
Of files, it holds the contents of those that the simulation reads, that packages have shipped so, and
that --with names, secrets replaced, and of ZCP's and Kopano's configuration the values of directives that
are known or that --directive names. They are listed at the end. A simulation that reads another file of the
snapshot is told that its content is not in it. Parameters
are kept with it, secret ones by name, and of package files that it installs from (packages_dir) what a
simulation needs: the command that is named at the end works on any machine.
The machine is only read. Read the file before you give it away; it can be edited.`,
		Example: `  sudo zcp2kopano snapshot mail.txtar
  sudo zcp2kopano snapshot mail.txtar --with /etc/postfix --directive site_option
  sudo zcp2kopano snapshot mail.txtar --tree /srv/attachments
  sudo zcp2kopano snapshot mail.txtar --packages /root/kopano --secret repo_password=/root/password
  zcp2kopano simulate --host mail.txtar`,
		Args: exactArg("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.setPackages(packages); err != nil {
				return err
			}
			var held []string
			o.Sparse, o.Directive = true, knownDirective(directives)
			o.Holds = func(name string) { held = append(held, name) }
			if err := a.snapshot(cmd.Context(), args[0], runbook, &p, o); err != nil || a.json {
				return err
			}
			slices.Sort(held)
			fmt.Fprintf(a.err, "it holds the contents of %d files, secrets replaced:\n  %s\n", len(held), strings.Join(held, "\n  "))
			return nil
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&packages, "packages", "", "the run that is meant installs from this `DIR` of downloaded packages (the parameter packages_dir)")
	cmd.Flags().StringVar(&runbook, "runbook", "", "the `RUNBOOK` whose questions are recorded; the stock one that fits by default")
	cmd.Flags().StringArrayVar(&o.Packages, "package", snapshotPackages, "capture the files of packages that match this `GLOB` (repeatable)")
	cmd.Flags().StringArrayVar(&o.Config, "with", nil, "capture the content of this `PATH`, and of all below it, too, secrets replaced (repeatable)")
	cmd.Flags().StringArrayVar(&directives, "directive", nil, "keep the values of this `DIRECTIVE` of configuration, which is not known (repeatable)")
	cmd.Flags().StringArrayVar(&o.Trees, "tree", snapshotTrees, "capture the names and sizes below this `PATH` (repeatable)")
	return cmd
}

// knownDirective knows the directives of ZCP and Kopano, and those that are named.
func knownDirective(named []string) func(file, name string) bool {
	known := map[string]bool{}
	for _, b := range allBuiltins() {
		for line := range strings.Lines(b.Words) {
			if cells := strings.SplitN(line, "\t", 4); len(cells) == 4 {
				known[cells[2]] = true
			}
		}
	}
	return func(file, name string) bool {
		return path.Ext(file) != ".cfg" || known[name] || slices.Contains(named, name)
	}
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
	o.Ports = r.ports
	o.Offered, o.Lost = r.offered, r.lost
	o.Params, o.Secrets = plain, slices.Sorted(maps.Keys(secrets))
	o.Seen, o.Listed, o.Read = slices.Sorted(maps.Keys(r.seen)), slices.Sorted(maps.Keys(r.listed)), slices.Sorted(maps.Keys(r.read))
	return nil
}
