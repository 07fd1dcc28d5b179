package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/ways"
)

func resumeCommand(a *app) *cobra.Command {
	var t teller
	var runbook, until string
	var noPlan, yes, foreground bool
	cmd := &cobra.Command{
		Use:   "resume [ID]",
		Short: "Go on with a run that failed or was broken off",
		Long: `Go on with a run that failed, was interrupted, or whose machine was switched off. What is done stays
done; an action that was caught half-way is brought to its end first. A service that the run had
stopped or started, and that a restart of the machine or somebody has started or stopped since, is
brought back to where it was. The run uses the runbook and the parameters that were kept with it.
Without an ID it is about the unfinished run.

With --runbook a corrected runbook takes the place of the kept one: steps that ended stay ended; if the
unfinished step now asks for something else, what it did is undone and it begins again. The changes of
the runbook are shown first.

What a step has decided it keeps: a resume wants the same versions of packages, also where the
repository offers others by now. "rollback --to STEP" and then "resume" begin the step again.

A run that was begun with --until, and was cut short before it came there, still stops there; with
"--until end" it goes on to the end. One that has stopped there goes on to the end.

A run that was begun with --plan is held to its plan after a resume, too. With --no-plan, or a corrected
runbook, it is not held to it any more. A run that was begun with --limit keeps it, unless another is given.`,
		Example: `  sudo zcp2kopano resume
  sudo zcp2kopano resume --no-plan
  sudo zcp2kopano resume 20150830-221005-4f2a --runbook /root/site/site.star`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mayChange("resume"); err != nil {
				return err
			}
			lock, err := a.lock("resume")
			if err != nil {
				return err
			}
			defer lock.Close()
			s, err := a.pick(first(args), state.Unfinished)
			if err == nil {
				err = s.Resume(around(noPlan, runbook)...)
			}
			if err != nil {
				return err
			}
			if runbook != "" {
				if err := a.correct(cmd.Context(), s, runbook, yes); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("limit") {
				if err := s.Run.Limit(int64(a.limit)); err != nil {
					return err
				}
			}
			if noPlan {
				if err := s.Run.Unhold(); err != nil {
					return err
				}
			}
			return a.work(cmd.Context(), lock, job{run: s, mode: session.ModeResume, until: until, teller: &t, foreground: foreground})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&runbook, "runbook", "", "go on with this corrected runbook `FILE`")
	cmd.Flags().BoolVar(&noPlan, "no-plan", false, "go on without being held to the plan that the run was begun with")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "take the corrected runbook without asking")
	untilFlag(cmd, &until, a.keptBook)
	limitFlag(cmd, &a.limit)
	foregroundFlag(cmd, &foreground)
	return cmd
}

// around are the flags that leave aside what was kept with the run.
func around(noPlan bool, runbook string) (flags []string) {
	if noPlan {
		flags = append(flags, ways.NoPlan)
	}
	if runbook != "" {
		flags = append(flags, ways.Runbook)
	}
	return flags
}

// correct shows how a runbook differs from the one kept with the run, asks, and puts it in its place.
func (a *app) correct(ctx context.Context, s state.Status, name string, yes bool) error {
	machine, err := openLive()
	if err != nil {
		return err
	}
	defer machine.Close()
	book, err := load(ctx, name, machine.Host)
	if err != nil {
		return err
	}
	a.distrusts = true
	if err := errors.Join(a.judgeFiles(distrusted(name, book)), a.fitsRun(s, book)); err != nil {
		return err
	}
	old, err := s.Run.Modules()
	if err != nil {
		return err
	}
	if !a.showCorrected(old, book.Modules()) {
		fmt.Fprintln(a.err, "the runbook is the one that was kept with the run")
		return nil
	}
	plan, err := s.Run.Plan()
	if err != nil {
		return err
	}
	for _, line := range correctedSteps(s, book) {
		fmt.Fprintln(a.err, line)
	}
	if plan != nil && !s.Order.Unheld {
		fmt.Fprintln(a.err, "the run is not held to its plan any more: the plan was made with the runbook as it was")
	}
	if !yes {
		ok, err := a.confirm("Go on with the runbook so changed?")
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("not resumed: nothing was changed")
		}
	}
	return s.Run.Correct(book.Name, book.Modules())
}

// fitsRun refuses a runbook that does not take the parameters that the run was begun with.
func (a *app) fitsRun(s state.Status, book *runbook.Runbook) error {
	keeper, err := s.Run.Keeper()
	if err != nil {
		return err
	}
	secrets, err := s.Run.Secrets(s.Order, keeper)
	if err != nil {
		return err
	}
	if _, err := book.CheckParams(s.Order.Params, secrets); err != nil {
		return fmt.Errorf("the corrected runbook does not fit the run: a run goes on with the parameters that it was begun with; leave these in the runbook, and give new ones a default: %w", err)
	}
	return nil
}

// showCorrected shows how the modules differ, and reports whether they do.
func (a *app) showCorrected(old, corrected map[string]string) bool {
	labels := maps.Clone(old)
	maps.Copy(labels, corrected)
	changed := false
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if text := diff.Diff("kept/"+label, []byte(old[label]), "corrected/"+label, []byte(corrected[label])); len(text) > 0 {
			changed = true
			fmt.Fprintf(a.err, "%s", text)
		}
	}
	return changed
}

// correctedSteps says what a fixed runbook means for a run that stands where it does.
func correctedSteps(s state.Status, book *runbook.Runbook) []string {
	var names, lines []string
	for _, step := range book.All() {
		names = append(names, step.Name)
	}
	if len(s.Ended) > 0 {
		lines = append(lines, "done, and not done again, even where the runbook has changed: "+strings.Join(s.Ended, ", "))
	}
	var gone, fresh []string
	for _, name := range s.Ended {
		if !slices.Contains(names, name) {
			gone = append(gone, name)
		}
	}
	for _, name := range names {
		if !slices.Contains(s.Ended, name) && !slices.Contains(s.Steps, name) {
			fresh = append(fresh, name)
		}
	}
	if len(gone) > 0 {
		lines = append(lines, "done, and no longer in the runbook; what they did stays (a rollback undoes it): "+strings.Join(gone, ", "))
	}
	if s.Step != "" && !slices.Contains(s.Ended, s.Step) {
		line := "unfinished: " + s.Step + "; if it now asks for something else, what it did is undone and it begins again"
		if !slices.Contains(names, s.Step) {
			line = "unfinished, and no longer in the runbook: " + s.Step + "; what it did is undone"
		}
		lines = append(lines, line)
	}
	if len(fresh) > 0 {
		lines = append(lines, "new, and to be done (a step that was given another name is a new one, too): "+strings.Join(fresh, ", "))
	}
	return lines
}
