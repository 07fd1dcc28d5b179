package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

func docCommand(a *app) *cobra.Command {
	var markdown bool
	var stubs string
	cmd := &cobra.Command{
		Use:   "doc [NAME]",
		Short: "Explain what a runbook can call, and what a runbook does",
		Long: `Without a name, list everything that a runbook can call. With the name of a function or a module
(fs.write, fs), explain it. "doc runbook NAME" explains a runbook: its steps and its parameters.
"doc directive NAME" tells what every release of ZCP and Kopano makes of a directive of their configuration
files, what took its place, and what a run makes of it; "doc directive FILE" lists those of a file.
"doc language" shows what the language of runbooks has, and what it has not; "doc lint" lists what lint looks
for, "doc journal" explains the journal of a run, its format and its records, and "doc events" the lines of
--json; with --json it is their JSON Schema.

With --stubs the functions are written into a new directory as stubs in the syntax of Python, which editors take:
starlark-lsp start --builtin-paths DIR.`,
		Example: `  zcp2kopano doc
  zcp2kopano doc fs.write
  zcp2kopano doc runbook debian
  zcp2kopano doc directive softdelete_lifetime
  zcp2kopano doc language
  zcp2kopano doc --stubs stubs
  zcp2kopano doc --markdown > reference.md`,
		Args:              maxArgs(2),
		ValidArgsFunction: a.completeDoc,
		RunE: func(cmd *cobra.Command, args []string) error {
			if first(args) == "directive" && len(args) == 1 {
				return a.docDirectives()
			}
			if first(args) == "directive" {
				return a.docDirective(args[1])
			}
			if len(args) == 2 {
				return a.docRunbook(cmd, args)
			}
			if page := a.docPages()[first(args)]; page != nil {
				return page()
			}
			if stubs != "" {
				return a.writeStubs(stubs)
			}
			return a.doc(first(args), markdown)
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write the whole reference as Markdown")
	cmd.Flags().StringVar(&stubs, "stubs", "", "write stubs for editors into this new `DIR`")
	_ = cmd.MarkFlagDirname("stubs")
	cmd.MarkFlagsMutuallyExclusive("stubs", "markdown")
	return cmd
}

//go:embed language.txt
var languagePage string

// docPages are the pages that are about no single function.
func (a *app) docPages() map[string]func() error {
	return map[string]func() error{
		"language": func() error { _, err := fmt.Fprint(a.out, languagePage); return err },
		"journal":  func() error { _, err := fmt.Fprint(a.out, engine.JournalDoc()); return err },
		"lint":     a.docLint,
		"events":   a.docEvents,
	}
}

func (a *app) docLint() error {
	for _, r := range lint.Rules() {
		var err error
		if a.json {
			err = json.NewEncoder(a.out).Encode(map[string]string{"rule": r[0], "severity": r[1], "doc": r[2]})
		} else {
			_, err = fmt.Fprintf(a.out, "%-17s %-8s %s\n", r[0], r[1], r[2])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) docEvents() error {
	if a.json {
		return json.NewEncoder(a.out).Encode(story.Schema())
	}
	fmt.Fprintf(a.out, `With --json, simulate, check, run, resume and rollback write an event a line, and the file events.jsonl of a run holds
the same. This is version %d of their form: within a version fields and kinds are added, and none is taken away or given
another meaning; who reads them passes over what it does not know. An event has a time, a kind, often the step, and
what the kind says. `+"`zcp2kopano doc events --json`"+` writes the JSON Schema.

`, story.SchemaVersion)
	for _, k := range story.Kinds() {
		if _, err := fmt.Fprintf(a.out, "%-12s %s\n", k.Kind, k.Doc); err != nil {
			return err
		}
	}
	return nil
}

// writeStubs writes stubs for editors into a directory that is new or empty.
func (a *app) writeStubs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("stubs: %s is not empty; name a new directory", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stubs: %w", err)
	}
	files := story.Stubs(stubbed())
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := writeNew(path, []byte(files[name])); err != nil {
			return fmt.Errorf("stubs: %w", err)
		}
		if err := a.list(path); err != nil {
			return err
		}
	}
	return nil
}

// stubbed is what editors do not know by themselves: all but the language's own functions and methods.
func stubbed() []*script.Builtin {
	return slices.DeleteFunc(append(reference(), booktest.Builtins()...), func(b *script.Builtin) bool {
		return slices.Contains(script.Language(), b) && b.Name != "struct" && !strings.HasPrefix(b.Name, "json.")
	})
}

// reference lists everything that a runbook can call.
func reference() []*script.Builtin {
	all := append(runbook.CoreBuiltins(), runbook.Methods()...)
	return slices.Concat(all, builtins.All(), script.Language())
}

func (a *app) doc(name string, markdown bool) error {
	found := matching(reference(), name)
	if len(found) == 0 {
		var names []string
		for _, b := range reference() {
			names = append(names, b.Name)
		}
		return fmt.Errorf("nothing is named %q%s; `zcp2kopano doc` lists all names", name, near.Hint(name, names))
	}
	switch {
	case a.json:
		return a.docJSON(found)
	case markdown:
		story.Markdown(a.out, found)
	case name == "":
		story.Index(a.out, found, a.console(a.out.file))
	default:
		for i, b := range found {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			story.Entry(a.out, b, a.console(a.out.file))
		}
	}
	return nil
}

// matching finds a name, or all of a module.
func matching(all []*script.Builtin, name string) []*script.Builtin {
	var found []*script.Builtin
	for _, b := range all {
		if name == "" || b.Name == name || strings.HasPrefix(b.Name, name+".") {
			found = append(found, b)
		}
	}
	return found
}

func (a *app) docJSON(found []*script.Builtin) error {
	enc := json.NewEncoder(a.out)
	for _, b := range found {
		err := enc.Encode(map[string]any{
			"name": b.Name, "signature": b.Signature(), "doc": b.Doc, "params": b.Params,
			"result": b.Result, "effect": b.Effect, "example": b.Example,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) docRunbook(cmd *cobra.Command, args []string) error {
	if args[0] != "runbook" {
		return fmt.Errorf("doc takes one name, or: doc runbook NAME, doc directive NAME")
	}
	book, err := runbook.Load(cmd.Context(), script.LoadOptions{Name: args[1], Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]any{
			"name": book.Name, "doc": book.Doc, "systems": book.Systems, "params": describeParams(book), "steps": describeSteps(book),
			"permissions": book.Permissions(), "warnings": book.Warnings(),
		})
	}
	story.RunbookEntry(a.out, book, a.console(a.out.file))
	return nil
}

func describeSteps(book *runbook.Runbook) []map[string]any {
	var steps []map[string]any
	for _, s := range book.All() {
		step := map[string]any{"name": s.Name, "doc": s.Doc, "takes": s.Takes()}
		if r := book.Results[s.Name]; r != nil {
			step["result"] = map[string]any{"doc": r.Doc, "type": r.Type, "fields": r.Fields}
		}
		steps = append(steps, step)
	}
	return steps
}

func describeParams(book *runbook.Runbook) []map[string]any {
	var list []map[string]any
	for _, p := range book.Params {
		list = append(list, map[string]any{
			"name": p.Name, "type": p.Type, "doc": p.Doc, "default": p.DefaultText(),
			"choices": p.Choices, "at_least": p.AtLeast, "at_most": p.AtMost, "required": p.Required, "secret": p.Secret,
		})
	}
	return list
}
