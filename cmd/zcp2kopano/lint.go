package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bazelbuild/buildtools/warn"
	"github.com/spf13/cobra"

	"zcp2kopano/runtime/exit"
)

// lintRules are the rules of the linter that speak of Starlark as such, not of Bazel's files.
var lintRules = []string{
	"dict-concatenation", "duplicated-name", "function-docstring", "integer-division",
	"keyword-positional-params", "list-append", "load", "module-docstring", "no-effect",
	"redefined-variable", "return-value", "string-iteration", "uninitialized", "unreachable",
	"unused-variable",
}

func lintCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Look for likely mistakes in runbooks",
		Long: `Look for likely mistakes in runbooks: files, or all .star files below directories; the current
directory by default. The exit code is 1 if there is one. "simulate" finds what only shows when a
runbook runs.`,
		Example: `  zcp2kopano lint site
  zcp2kopano lint --json site/site.star`,
		RunE: func(_ *cobra.Command, args []string) error { return a.lint(args) },
	}
}

func (a *app) lint(paths []string) error {
	files, err := starFiles(paths)
	if err != nil {
		return err
	}
	found := 0
	enc := json.NewEncoder(a.out)
	for _, name := range files {
		_, parsed, err := parseStar(name)
		if err != nil {
			return err
		}
		for _, f := range warn.FileWarnings(parsed, lintRules, nil, warn.ModeWarn, nil) {
			found++
			message, _, _ := strings.Cut(f.Message, "\n") // the rest explains the linter's own directives
			if a.json {
				err = enc.Encode(map[string]any{"file": name, "line": f.Start.Line, "column": f.Start.LineRune, "rule": f.Category, "message": message})
			} else {
				_, err = fmt.Fprintf(a.out, "%s:%d:%d: %s (%s)\n", name, f.Start.Line, f.Start.LineRune, message, f.Category)
			}
			if err != nil {
				return err
			}
		}
	}
	if found > 0 {
		return ended{exit.Failed}
	}
	return nil
}
