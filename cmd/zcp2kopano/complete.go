package main

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/testdata/hosts"
)

// completion is what cobra asks for the words that may follow.
type completion = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// words are completed by no files.
func words(list []string) ([]string, cobra.ShellCompDirective) {
	return list, cobra.ShellCompDirectiveNoFileComp
}

// completeRunbook completes the names of stock runbooks, and files.
func completeRunbook(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return words(nil)
	}
	return script.StockRunbooks(runbooks.FS), cobra.ShellCompDirectiveDefault
}

// completeRun completes the IDs of runs.
func (a *app) completeRun(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return words(nil)
	}
	runs, _ := a.dir().Runs()
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return words(ids)
}

// completeDoc completes what can be explained: pages, modules and functions; then runbooks and directives.
func (a *app) completeDoc(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 1 && args[0] == "runbook":
		return completeRunbook(cmd, nil, begun)
	case len(args) == 1 && args[0] == "directive":
		return words(builtins.DirectiveNames())
	case len(args) > 0:
		return words(nil)
	}
	names := map[string]bool{"runbook": true, "directive": true}
	for name := range a.docPages() {
		names[name] = true
	}
	for _, b := range reference() {
		names[b.Name] = true
		if module, _, dotted := strings.Cut(b.Name, "."); dotted {
			names[module] = true
		}
	}
	return words(slices.Sorted(maps.Keys(names)))
}

// completeHost completes the shipped example hosts, and files.
func completeHost(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	shipped, _ := fs.Glob(hosts.FS, "*.txtar")
	names := []string{"live"}
	for _, name := range shipped {
		names = append(names, strings.TrimSuffix(name, ".txtar"))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// meantBook is the runbook that a command line speaks of, as far as it is typed; nil if there is none.
func meantBook(cmd *cobra.Command, args []string) *runbook.Runbook {
	name := first(args)
	if name == "" { // the runbooks of all families ask for the same
		name = script.StockRunbooks(runbooks.FS)[0]
	}
	book, err := runbook.Load(cmd.Context(), script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: allBuiltins()})
	if err != nil {
		return nil
	}
	return book
}

// completeParam completes the names of parameters, and behind the = their values.
func completeParam(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	book := meantBook(cmd, args)
	if book == nil {
		return words(nil)
	}
	name, _, valued := strings.Cut(begun, "=")
	var list []string
	for _, p := range book.Params {
		switch {
		case p.Secret:
		case !valued:
			list = append(list, p.Name+"=")
		case p.Name == name && p.Type == script.Path:
			return nil, cobra.ShellCompDirectiveDefault
		case p.Name == name:
			for _, value := range valuesOf(p) {
				list = append(list, p.Name+"="+value)
			}
		}
	}
	if !valued {
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return words(list)
}

func valuesOf(p *runbook.ParamSpec) []string {
	switch {
	case len(p.Choices) > 0:
		return p.Choices
	case p.Type == script.Bool:
		return []string{"yes", "no"}
	case p.DefaultText() != "":
		return []string{p.DefaultText()}
	}
	return nil
}

// completeSecret completes the names of secrets; behind the = stands a file.
func completeSecret(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	book := meantBook(cmd, args)
	if book == nil || strings.Contains(begun, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var list []string
	for _, p := range book.Params {
		if p.Secret {
			list = append(list, p.Name+"=")
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeOverride completes the keys of inhibitors; behind the = stands why.
func completeOverride(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	book := meantBook(cmd, args)
	if book == nil || strings.Contains(begun, "=") {
		return words(nil)
	}
	var list []string
	for _, key := range lint.Overridable(book.Modules()) {
		list = append(list, key+"=")
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeUntil completes where a run can be asked to stop.
func completeUntil(book func(cmd *cobra.Command, args []string) *runbook.Runbook) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return words(append(stepsOf(book(cmd, args)), engine.UntilNoReturn))
	}
}

// completeTo completes the steps down to which a run can be undone.
func (a *app) completeTo(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return words(stepsOf(a.keptBook(cmd, args)))
}

func stepsOf(book *runbook.Runbook) []string {
	if book == nil {
		return nil
	}
	return runbook.StepNames(book.All())
}

// keptBook is the runbook that is kept with the run that a command line speaks of: the one named, or the newest.
func (a *app) keptBook(cmd *cobra.Command, args []string) *runbook.Runbook {
	s, err := a.pick(first(args), func(all []state.Status) *state.Status {
		if len(all) == 0 {
			return nil
		}
		return &all[len(all)-1]
	})
	if err != nil {
		return nil
	}
	modules, err := s.Run.Modules()
	if err != nil {
		return nil
	}
	book, err := runbook.LoadCopy(cmd.Context(), s.Order.Label, modules, script.LoadOptions{Builtins: allBuiltins()})
	if err != nil {
		return nil
	}
	return book
}
