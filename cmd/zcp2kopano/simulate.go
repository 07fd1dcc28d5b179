package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/export"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

func simulateCommand(a *app) *cobra.Command {
	var t teller
	var p params
	var h hostFlags
	var plan planFile
	var files filesDir
	var until string
	cmd := &cobra.Command{
		Use:   "simulate [RUNBOOK]",
		Short: "Show what a run would do; nothing on this machine is changed",
		Long: `Carry a runbook out on a simulated host and show each change: files as diffs, packages, services,
trees by count and size. What a simulation cannot know is listed as "not simulated".

RUNBOOK is a stock runbook (debian, rhel, sles) or the path of your own (site/site.star). Without it, the stock
runbook that fits the host is taken. The host is a shipped example server, unless --host names a
fixture (see: zcp2kopano snapshot) or --live takes this machine, which is then only read.

With --files the files that the run would leave are written into a new directory, to be looked at or
compared: /etc/kopano, or what --files-of names. Passwords and keys in them are masked, and files in
which they could not be found are left out, unless --with-secrets leaves them in. Symlinks are not
followed; they, owners and modes are listed in manifest.mtree, in the format of mtree(5).`,
		Example: `  zcp2kopano simulate
  zcp2kopano simulate --live --report /root/plan.html
  zcp2kopano simulate --live --plan /root/evening.plan
  zcp2kopano simulate --live --files /root/evening --files-of /etc/kopano --files-of /etc/apt
  zcp2kopano simulate --live --packages /root/kopano-8.7.20
  zcp2kopano simulate site/site.star --host mail.txtar --param config=copy`,
		Args:              maxArgs(1),
		ValidArgsFunction: completeRunbook,
		RunE: func(cmd *cobra.Command, args []string) error {
			if until != "" && plan.path != "" {
				return fmt.Errorf("a plan is of a whole run: leave out --until or --plan")
			}
			if err := errors.Join(p.setPackages(h.packages), files.check(cmd)); err != nil {
				return err
			}
			if h.live || h.name == "live" {
				if err := a.judge(); err != nil {
					return err
				}
			}
			target, err := h.open()
			if err != nil {
				return err
			}
			defer target.Close()
			if err := plan.open(a, target); err != nil {
				return err
			}
			defer plan.drop()
			tell, err := t.open(a)
			if err != nil {
				return err
			}
			defer t.drop()
			if err := files.open(target.real); err != nil {
				return err
			}
			defer files.close()
			target.lock()
			p.meant = target.fixture
			book, plain, secrets, err := a.prepare(cmd.Context(), first(args), target.Host, &p)
			if err != nil {
				return err
			}
			if err := engine.CheckUntil(book, until); err != nil {
				return err
			}
			log := journal.Memory(version, time.Now)
			v := a.carryOut(cmd.Context(), "simulate", target, book, plain, secrets, until, log, tell)
			if err := plan.keep(v, target.Host, book, plain, secrets, log); err != nil {
				return err
			}
			if err := files.keep(a, v, target, export.Options{Known: book.KnownSecrets(secrets)}); err != nil {
				return err
			}
			if err := t.close(); err != nil {
				return err
			}
			return verdictError(v.Code)
		},
	}
	t.flags(cmd)
	p.flags(cmd)
	h.flags(cmd)
	files.flags(cmd)
	untilFlag(cmd, &until, meantBook)
	limitFlag(cmd, &a.limit)
	cmd.Flags().StringVar(&plan.path, "plan", "", "keep the plan in this new `FILE`, to hold a run to it (run --plan)")
	return cmd
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// prepare loads the runbook, and reads and checks its parameters.
func (a *app) prepare(ctx context.Context, name string, h host.Host, p *params) (*runbook.Runbook, map[string]string, map[string]host.Secret, error) {
	plain, secrets, err := p.read(a.in)
	if err != nil {
		return nil, nil, nil, err
	}
	if a.overrides, err = p.readOverrides(); err != nil {
		return nil, nil, nil, err
	}
	book, err := load(ctx, name, h)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := p.fill(book, plain, secrets); err != nil {
		return nil, nil, nil, err
	}
	p.complete(book, plain, secrets)
	if err := a.askMissing(book, secrets); err != nil {
		return nil, nil, nil, err
	}
	if _, err := book.CheckParams(plain, secrets); err != nil {
		return nil, nil, nil, err
	}
	return book, plain, secrets, a.judgeFiles(append(p.distrusted, distrusted(name, book)...))
}

// allBuiltins is what runbooks can call where this machine is only read, workBuiltins what they can where it is
// changed; tests add some that mean harm.
var allBuiltins, workBuiltins = builtins.All, builtins.All

// load loads a runbook by name; without one, the stock runbook that fits the host.
func load(ctx context.Context, name string, h host.Host) (*runbook.Runbook, error) {
	opts := script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: allBuiltins()}
	if name != "" {
		return loadChecked(ctx, opts)
	}
	facts, err := h.Facts()
	if err != nil {
		return nil, fmt.Errorf("the host's facts: %w", err)
	}
	stock := script.StockRunbooks(runbooks.FS)
	for _, opts.Name = range stock {
		book, err := runbook.Load(ctx, opts)
		if err != nil {
			return nil, err
		}
		for _, spec := range book.Systems {
			if fits, err := facts.Matches(spec); err != nil || fits {
				return book, err
			}
		}
	}
	return nil, fmt.Errorf("no stock runbook is for %s (there are: %s); name one to have its preflight all the same, or one of your own",
		strings.TrimSpace(facts.Hostname+" "+facts.OSRelease["PRETTY_NAME"]), strings.Join(stock, ", "))
}

// carryOut carries a runbook out on a simulated host, with journal and secrets in memory.
func (a *app) carryOut(ctx context.Context, mode string, t *target, book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret, until string, log *journal.Log, tell func(story.Event)) story.Verdict {
	ctx, release := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer release()
	return engine.Execute(ctx, engine.Config{
		Mode: mode, ID: mode, Runbook: book, Params: plain, Secrets: secrets, Overrides: a.overrides,
		Host: t.Host, HostLabel: t.label, Dir: t.dir(a.state, mode), Until: until, Limit: int64(a.limit), Trusted: trust.Ours(),
		Journal: log, Keeper: state.Memory(),
		Version: version, Now: time.Now, Emit: tell,
	})
}
