package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/fork"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

func diffCommand(a *app) *cobra.Command {
	var summary bool
	cmd := &cobra.Command{
		Use:   "diff [DIR]",
		Short: "Show how a fork differs from its stock",
		Long: `Show how a fork (the current directory by default) differs from the stock runbooks that it came from:
for each runbook the steps, parameters and permissions, and then the texts. If this program brings
another stock, what has changed in that is listed as well; "merge" brings it in.`,
		Example: `  zcp2kopano diff site
  zcp2kopano diff site --summary`,
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.diff(cmd.Context(), first(args), summary) },
	}
	cmd.Flags().BoolVar(&summary, "summary", false, "leave the texts out, and only name the files")
	return cmd
}

// bookDiff is in what a fork's runbook differs from its stock's.
type bookDiff struct {
	Runbook    string              `json:"runbook"`
	Stock      string              `json:"stock,omitempty"` // what it is made of
	Deviations []runbook.Deviation `json:"deviations"`
	Error      *script.ErrorInfo   `json:"error,omitempty"` // it cannot be loaded
}

func (a *app) diff(ctx context.Context, dir string, summary bool) error {
	if dir == "" {
		dir = "."
	}
	memory, err := fork.Recall(dir)
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	site, err := fork.Stock(os.DirFS(dir))
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	stock, err := fork.Stock(runbooks.FS)
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	books, err := diffBooks(ctx, dir, fork.Base(dir))
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	texts := fork.Changes(memory.Texts, site, "stock", "site")
	newer := fork.Changes(memory.Texts, stock, memory.Version, version)
	if summary {
		for _, list := range [][]fork.Change{texts, newer} {
			for i := range list {
				list[i].Diff = ""
			}
		}
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]any{
			"dir": dir, "stock": memory.Version, "program": version, "runbooks": books, "texts": texts, "newer": newer,
		})
	}
	return a.tellDiff(dir, memory.Version, books, texts, newer)
}

func (a *app) tellDiff(dir, from string, books []bookDiff, texts, newer []fork.Change) error {
	fmt.Fprintf(a.out, "%s is a fork of the stock of %s\n", dir, from)
	for _, b := range books {
		switch {
		case b.Error != nil:
			fmt.Fprintf(a.out, "\n%s cannot be loaded: %s (%s)\n", b.Runbook, b.Error.Message, b.Error.Pos)
		case b.Stock == "":
			fmt.Fprintf(a.out, "\n%s is not made of a stock runbook\n", b.Runbook)
		case len(b.Deviations) > 0:
			fmt.Fprintf(a.out, "\n%s, made of %s:\n", b.Runbook, b.Stock)
			for _, d := range b.Deviations {
				fmt.Fprintf(a.out, "  %s\n", d)
			}
		}
	}
	tellChanges(a, "texts", texts)
	if len(newer) == 0 {
		return nil
	}
	tellChanges(a, fmt.Sprintf("the stock of this program (%s) has changed since", version), newer)
	_, err := fmt.Fprintf(a.out, "\nnext: zcp2kopano merge %s\n", dir)
	return err
}

func tellChanges(a *app, title string, changes []fork.Change) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\n%s:\n", title)
	for _, c := range changes {
		fmt.Fprintf(a.out, "  %s %s\n", c.Kind, c.File)
		if c.Diff != "" {
			fmt.Fprint(a.out, c.Diff)
		}
	}
}

// diffBooks compares the runbooks of a fork with those of a stock.
func diffBooks(ctx context.Context, dir string, stock fs.FS) ([]bookDiff, error) {
	all := []bookDiff{}
	names, err := runbookFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b := bookDiff{Runbook: name, Deviations: []runbook.Deviation{}}
		book, err := runbook.Load(ctx, script.LoadOptions{Name: filepath.Join(dir, name), Stock: stock, Builtins: allBuiltins()})
		switch {
		case errors.Is(err, runbook.ErrNoRunbook):
			continue
		case err != nil:
			b.Error = script.ErrorInfoOf(err)
		default:
			b.Stock = book.OfStock(stock)
			b.Deviations = append(b.Deviations, book.Deviations...)
		}
		all = append(all, b)
	}
	return all, nil
}

// runbookFiles lists the files at the top of a fork that can be runbooks.
func runbookFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) == ".star" && !booktest.IsTest(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}
