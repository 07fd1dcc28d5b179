package main

import (
	"github.com/spf13/cobra"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// completeRunbook completes the names of stock runbooks, and files.
func completeRunbook(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return script.StockRunbooks(runbooks.FS), cobra.ShellCompDirectiveDefault
}

// completeRun completes the IDs of runs.
func (a *app) completeRun(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	runs, _ := a.dir().Runs()
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	if len(args) > 0 {
		ids = nil
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeName completes the names of builtins.
func completeName(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		for _, b := range append(runbook.CoreBuiltins(), builtins.All()...) {
			names = append(names, b.Name)
		}
		names = append(names, "runbook")
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
