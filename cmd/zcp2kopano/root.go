package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// stdio is where a command reads and writes.
type stdio struct {
	in, out, err *os.File
	guarded      bool // the process is a child of guard
}

// app is what all commands share: the streams and the flags of the root command.
type app struct {
	in, err *os.File
	out     *output
	args    []string
	guarded bool // a child of guard
	json    bool
	noColor bool
	verbose bool
	state   string

	distrusts bool              // refuse what somebody else could exchange, instead of telling
	limit     limit             // of what is copied and dumped while services run
	overrides map[string]string // inhibitors that the admin has overridden: why, by key
}

func (a *app) dir() state.Dir { return state.Dir{Path: a.state} }

// ended carries the exit code of a run that has told its verdict already.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func verdictError(code int) error {
	if code == exit.Done {
		return nil
	}
	return ended{code}
}

// execute runs the command line and returns the exit code.
func execute(args []string, io stdio) int {
	a := &app{in: io.in, err: io.err, out: &output{file: io.out}, args: args, guarded: io.guarded}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.Execute()
	code := a.exitCode(err)
	if lost := a.out.failure(); lost != nil && !errors.Is(err, a.out.lost) {
		story.Error(a.err, *script.ErrorInfoOf(lost), a.console(a.err))
		if code == exit.Done {
			return exit.Failed
		}
	}
	return code
}

// exitCode tells an error that no verdict has told.
func (a *app) exitCode(err error) int {
	var done ended
	switch {
	case err == nil:
		return exit.Done
	case errors.As(err, &done):
		return done.code
	}
	a.tellError(err)
	var locked *state.LockedError
	if errors.As(err, &locked) {
		return exit.Locked
	}
	return exit.Failed
}

// tellError prints an error that no verdict has told.
func (a *app) tellError(err error) {
	var refused *lint.Failure
	if errors.As(err, &refused) {
		a.tellMistakes(refused)
		return
	}
	info := script.ErrorInfoOf(err)
	if a.json {
		story.JSONLines(a.out)(story.Event{Kind: story.Failed, Error: info})
		return
	}
	story.Error(a.err, *info, a.console(a.err))
}

// plainSwitches has the help show a switch by its name alone: that it takes =true as well helps nobody to read it.
func plainSwitches(template string) string {
	cobra.AddTemplateFunc("plainSwitches", func(usages string) string {
		values := "[=true|false]"
		return strings.ReplaceAll(usages, values, strings.Repeat(" ", len(values)))
	})
	return strings.ReplaceAll(template, "FlagUsages |", "FlagUsages | plainSwitches |")
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "zcp2kopano",
		Short: "Migrate a mail server from ZCP to Kopano Core, in place",
		Long: `zcp2kopano migrates a mail server from ZCP (Zarafa) 7.1 or 7.2 to Kopano Core, in place.

A runbook says what to do, step by step. Every run can be simulated first: then nothing on the
machine is changed. A real run is journaled, so that it can be resumed or rolled back.

Without a command it says where things stand and what to do next.

Exit codes:
  0    done
  1    failed, or a wrong use of the command line
  2    inhibitors were found: nothing more was changed
  3    the run differs from the plan
  4    the rollback is incomplete, or has left differences
  5    another run holds the lock
  130  interrupted`,
		Example: `  zcp2kopano simulate                  # a whole migration of an example server
  zcp2kopano simulate --live           # what would happen on this machine
  zcp2kopano check                     # is this machine ready?
  sudo zcp2kopano run                  # the migration
  sudo zcp2kopano rollback             # back to what was`,
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkExclusive(cmd); err != nil {
				return err
			}
			if _, runs := cmd.Annotations[runsCode]; runs && !a.guarded {
				return a.whereItStands(cmd, a.guard())
			}
			a.state, err = filepath.Abs(a.state) // a worker starts in another directory
			return err
		},
		RunE: func(*cobra.Command, []string) error { return a.whereThingsStand() },
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "write JSON, one object a line")
	flags.BoolVar(&a.noColor, "no-color", false, "no colour (as with NO_COLOR)")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "show whole diffs and lists")
	flags.StringVar(&a.state, "state", state.DefaultPath, "directory of runs, journals and backups")
	_ = flags.MarkHidden("state")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(plainSwitches(root.UsageTemplate()))
	simulate, check, run, resume := simulateCommand(a), checkCommand(a), runCommand(a), resumeCommand(a)
	doc, snapshot, test := docCommand(a), snapshotCommand(a), testCommand(a)
	diff, merge := diffCommand(a), mergeCommand(a)
	markRunsCode(simulate, check, run, resume, doc, snapshot, test, diff, merge)
	root.AddCommand(
		attemptCommand(a), rehearseCommand(a), nameFileCommand(a), asideCommand(a), // children of others
		forgetCommand(a),
		simulate, check, run, statusCommand(a), resume,
		rollbackCommand(a), workerCommand(a), writeFilesCommand(a), snapshot, doc, forkCommand(a), diff, merge,
		fmtCommand(a), lintCommand(a), test, versionCommand(a), manCommand(a),
	)
	return root
}

var exclusiveFlags = regexp.MustCompile(`\[([^\]]*)\] were all set`)

// checkExclusive says in plain words which flags exclude each other; cobra's own words name its groups.
func checkExclusive(cmd *cobra.Command) error {
	err := cmd.ValidateFlagGroups()
	if err == nil {
		return nil
	}
	given := exclusiveFlags.FindStringSubmatch(err.Error())
	if given == nil {
		return err
	}
	flags := "--" + strings.Join(strings.Fields(given[1]), " and --")
	return fmt.Errorf("%s exclude each other: give only one of them; see `%s --help`", flags, cmd.CommandPath())
}

// noArgs refuses arguments; on the root command, one is a misspelt command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return fmt.Errorf("%s takes no argument, got %q; see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	hint := ""
	if known := cmd.SuggestionsFor(args[0]); len(known) > 0 {
		hint = "; did you mean " + strings.Join(known, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s; `zcp2kopano --help` lists the commands", args[0], hint)
}

// maxArgs is cobra's, with a way out.
func maxArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%s takes at most %d argument, got %d; see `%s --help`", cmd.CommandPath(), n, len(args), cmd.CommandPath())
		}
		return nil
	}
}

func exactArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s needs one argument: %s; see `%s --help`", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// flagError adds the nearest flag to the complaint about an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	hint := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if guess := near.Name(unknown.GetSpecifiedName(), names); guess != "" {
			hint = "; did you mean --" + guess + "?"
		}
	}
	return fmt.Errorf("%w%s; see `%s --help`", err, hint, cmd.CommandPath())
}
