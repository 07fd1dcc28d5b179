package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/fork"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// mergeFlags are what `merge` can be told.
type mergeFlags struct {
	dryRun, conflicts, failures bool
	params                      params
}

func mergeCommand(a *app) *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "merge [DIR]",
		Short: "Bring this program's stock into a fork",
		Long: `Bring what has changed in the stock runbooks since a fork (the current directory by default) was made,
or merged last, into it. What only one side has changed is taken from that side; where both have changed
the same place, nothing is written unless you say --with-conflicts: then all three texts stand there,
marked, for you to decide.

Before anything is written the result is tried in a directory of its own: each runbook is loaded and
simulated on a shipped host that it fits, and all tests are run. If one fails, nothing is written; that the
preflight of a site refuses the shipped host is told, and no failure. What a merge replaces is kept in
.before-merge.`,
		Example: `  zcp2kopano merge site --dry-run
  zcp2kopano merge site`,
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.merge(cmd.Context(), first(args), &f) },
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "try the result, and write nothing")
	cmd.Flags().BoolVar(&f.conflicts, "with-conflicts", false, "write conflicts too, marked; the result is not tried then")
	cmd.Flags().BoolVar(&f.failures, "despite-failures", false, "write the result although it, or one of its tests, fails")
	f.params.flags(cmd)
	return cmd
}

func (a *app) merge(ctx context.Context, dir string, f *mergeFlags) error {
	if dir == "" {
		dir = "."
	}
	plain, secrets, err := f.params.read(a.in)
	if err != nil {
		return err
	}
	stock, err := fork.Stock(runbooks.FS)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	m, err := fork.Prepare(dir, version, stock)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if m.UpToDate() {
		return a.told("nothing to merge: %s came from this very stock (%s)", dir, version)
	}
	if err := a.tellMerge(m); err != nil {
		return err
	}
	if n := m.Conflicts(); n > 0 {
		return a.mergeConflicts(m, n, f)
	}
	if err := a.try(ctx, m, &f.params, plain, secrets); err != nil {
		if !f.failures || f.dryRun {
			return fmt.Errorf("merge: the result fails, and nothing is written (--despite-failures writes it): %w", err)
		}
		a.tellError(err)
	}
	if f.dryRun {
		return a.told("the result was tried; nothing is written")
	}
	if err := m.Write(); err != nil {
		return fmt.Errorf("merge: %w; what was there is in %s, and the merge can be begun again", err, filepath.Join(dir, fork.BeforeMerge))
	}
	return a.told("merged: %s is a fork of the stock of %s now; what was replaced is in %s", dir, version, filepath.Join(dir, fork.BeforeMerge))
}

// told prints a sentence, unless only JSON is wanted.
func (a *app) told(format string, args ...any) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]string{"text": fmt.Sprintf(format, args...)})
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

func (a *app) tellMerge(m *fork.Merge) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]any{"dir": m.Dir, "from": m.Memory.Version, "to": m.Version, "files": m.Files})
	}
	fmt.Fprintf(a.out, "from the stock of %s to that of %s:\n", m.Memory.Version, m.Version)
	for _, file := range m.Files {
		line := fmt.Sprintf("  %-14s %s", file.Kind, file.File)
		if file.Why != "" {
			line += " (" + file.Why + ")"
		}
		fmt.Fprintln(a.out, line)
	}
	return nil
}

func (a *app) mergeConflicts(m *fork.Merge, n int, f *mergeFlags) error {
	if f.dryRun || !f.conflicts {
		for _, file := range m.Files {
			if file.Kind == fork.Conflict && !a.json {
				fmt.Fprint(a.out, fork.ConflictsIn(file.File, m.Result[file.File]))
			}
		}
		return fmt.Errorf("merge: %d conflicts, where you and the stock have changed the same place; nothing is written. "+
			"With --with-conflicts they are, marked, for you to decide; what is there now is kept", n)
	}
	if err := m.Write(); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := a.told("merged, with %d conflicts: decide each of them, and take the marks out; what was replaced is in %s\n\nnext: zcp2kopano test %s",
		n, filepath.Join(m.Dir, fork.BeforeMerge), m.Dir); err != nil {
		return err
	}
	return ended{exit.Failed}
}

// try loads, tests and simulates what a merge comes to, in a directory of its own.
func (a *app) try(ctx context.Context, m *fork.Merge, given *params, plain map[string]string, secrets map[string]host.Secret) error {
	dir, err := os.MkdirTemp("", "zcp2kopano-merge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := m.Try(dir); err != nil {
		return err
	}
	names, err := runbookFiles(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		err = errors.Join(err, a.tryBook(ctx, dir, name, given, plain, secrets))
	}
	if err != nil {
		return err
	}
	return a.tryTests(ctx, dir)
}

// tryBook loads a runbook, and simulates it on the first shipped host that it is for.
func (a *app) tryBook(ctx context.Context, dir, name string, given *params, plain map[string]string, secrets map[string]host.Secret) error {
	book, err := loadChecked(ctx, script.LoadOptions{Name: filepath.Join(dir, name), Stock: runbooks.FS, Builtins: allBuiltins()})
	if errors.Is(err, runbook.ErrNoRunbook) {
		return nil
	}
	if refused := (*lint.Failure)(nil); errors.As(err, &refused) {
		var all error
		for _, f := range refused.Findings {
			all = errors.Join(all, fmt.Errorf("%s: %s: %s", name, strings.Replace(f.Pos(), dir, "/", 1), f.Message))
		}
		return all
	}
	if err != nil {
		info := script.ErrorInfoOf(err)
		return fmt.Errorf("%s: %s: %s", name, info.Pos, info.Message)
	}
	t, err := hostFor(book)
	if err != nil || t == nil {
		return err
	}
	defer t.Close()
	own, ownSecrets := map[string]string{}, map[string]host.Secret{}
	for _, p := range book.Params {
		if v, given := plain[p.Name]; given {
			own[p.Name] = v
		}
		if s, given := secrets[p.Name]; given {
			ownSecrets[p.Name] = s
		}
	}
	if err := given.meantFor(book).fill(book, own, ownSecrets); err != nil {
		return err
	}
	var inhibitors []string
	broken := false
	v := a.carryOut(ctx, "simulate", t, book, own, ownSecrets, "", journal.Memory(version, time.Now), func(e story.Event) {
		if e.Finding != nil && e.Finding.Severity == runbook.Inhibitor {
			inhibitors = append(inhibitors, e.Finding.Title)
			broken = broken || e.Finding.FailedLook()
		}
	})
	if v.Code == exit.Inhibited && !broken { // a site's own check may know its servers, and the shipped host is none
		return a.told("  refused        %s on %s, there by its own preflight: %s", name, t.label, strings.Join(inhibitors, "; "))
	}
	if v.Code != exit.Done {
		return fmt.Errorf("%s, simulated on %s: %s", name, t.label, v.Text)
	}
	return a.told("  simulated      %s on %s: %d changes", name, t.label, v.Changes)
}

// hostFor is a shipped host that a runbook is for; nil if there is none.
func hostFor(book *runbook.Runbook) (*target, error) {
	shipped, err := fs.Glob(hosts.FS, "*.txtar")
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{hosts.Example}, shipped...) {
		t, err := openFixture(name, "")
		if err != nil {
			return nil, err
		}
		facts, err := t.Facts()
		for _, spec := range book.Systems {
			if fits, e := facts.Matches(spec); e == nil && fits {
				return t, err
			}
		}
		if err := errors.Join(err, t.Close()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (a *app) tryTests(ctx context.Context, dir string) error {
	opts, err := simOptions("")
	if err != nil {
		return err
	}
	failed := 0
	results, err := booktest.Run(ctx, booktest.Config{
		Dir: dir, Stock: runbooks.FS, Hosts: hosts.FS, Builtins: allBuiltins(), Sim: opts, Parallel: runtime.GOMAXPROCS(0),
		Tell: func(r booktest.Result) {
			if len(r.Failures) > 0 {
				failed++
				a.tellTest("", r)
			}
		},
	})
	if errors.Is(err, booktest.ErrNone) {
		return nil // a site may have left its tests out
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d tests fail", failed, len(results))
	}
	return a.told("  tested         %d tests passed", len(results))
}
