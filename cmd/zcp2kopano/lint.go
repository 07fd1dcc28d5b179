package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

func lintCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Find mistakes in runbooks",
		Long: `Find mistakes in runbooks: files, or all .star files below directories; the current directory by default.
All are told at once, each with its line, what is wrong in it and what to do: what the language refuses, calls
that do not fit the functions that they call, in branches that are rarely taken, too, and what is likely not
meant. An error fails when its line is reached, so simulate, check and run begin with none; warnings are told
here only. The exit code is 1 if anything is found. "zcp2kopano doc lint" lists the rules.

With --json each finding is a line: file, line, column, end_line, end_column, severity, rule, message, hint,
source. Without it the first line of each is FILE:LINE:COLUMN: SEVERITY: MESSAGE (RULE), which editors read.`,
		Example: `  zcp2kopano lint site
  zcp2kopano lint --json site/site.star`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.lint(cmd.Context(), args) },
	}
}

func (a *app) lint(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var found []lint.Finding
	for _, p := range paths {
		files, err := starFiles([]string{p})
		if err != nil {
			return err
		}
		more, err := lint.Files(ctx, script.LoadOptions{Dir: rootOf(p), Stock: runbooks.FS, Builtins: allBuiltins()}, booktest.Builtins(), files)
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	if err := a.tellFindings(found); err != nil {
		return err
	}
	if len(found) > 0 {
		return ended{exit.Failed}
	}
	return nil
}

var rootLoad = regexp.MustCompile(`(?m)^load\(\s*"//([^"]+)"`)

// rootOf is the root of the runbooks that a path belongs to: a directory is its own, and of a file the one, above
// it, in which all is found that it loads from there.
func rootOf(path string) string {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return path
	}
	text, _ := os.ReadFile(path)
	wanted := rootLoad.FindAllSubmatch(text, -1)
	dir := filepath.Dir(path)
	if filepath.Base(dir) == "lib" && len(wanted) == 0 {
		return filepath.Dir(dir)
	}
	for above, i := dir, 0; i < 4; above, i = filepath.Join(above, ".."), i+1 {
		missing := slices.ContainsFunc(wanted, func(m [][]byte) bool {
			_, err := os.Stat(filepath.Join(above, string(m[1])))
			return errors.Is(err, fs.ErrNotExist)
		})
		if !missing {
			return above
		}
	}
	return dir
}

func (a *app) tellFindings(found []lint.Finding) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	for i, f := range found {
		var err error
		switch {
		case a.json:
			err = enc.Encode(f)
		case i > 0:
			_, err = fmt.Fprintln(a.out)
		}
		if err == nil && !a.json {
			_, err = fmt.Fprintf(a.out, "%s: %s: %s (%s)\n", f.Pos(), f.Severity, f.Message, f.Rule)
			if err == nil {
				err = a.tellExcerpt(f)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) tellExcerpt(f lint.Finding) error {
	for _, line := range strings.Split(f.Source, "\n") {
		if _, err := fmt.Fprintln(a.out, "    "+line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(a.out, "  hint: "+f.Hint)
	return err
}

// loadChecked loads a runbook, and refuses one with a mistake. What is the program's own has none: the tests see
// to that.
func loadChecked(ctx context.Context, opts script.LoadOptions) (*runbook.Runbook, error) {
	if stock := strings.HasPrefix(opts.Name, "@stock//") || !strings.ContainsAny(opts.Name, "/."); stock {
		return runbook.Load(ctx, opts)
	}
	book, found, err := lint.Run(ctx, opts)
	if err != nil {
		return nil, err
	}
	if err := lint.Refusal(found); err != nil {
		return nil, err
	}
	if book == nil {
		return runbook.Load(ctx, opts) // which says why
	}
	return book, nil
}

// tellMistakes prints all mistakes for which a runbook is refused.
func (a *app) tellMistakes(refused *lint.Failure) {
	for i, f := range refused.Findings {
		if a.json {
			story.JSONLines(a.out)(story.Event{Kind: story.Failed, Error: f.Info()})
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.err)
		}
		story.Error(a.err, *f.Info(), a.console(a.err))
	}
}
