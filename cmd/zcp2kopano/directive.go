package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"zcp2kopano/builtins"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/story"
)

// docDirectives lists the files whose directives are known.
func (a *app) docDirectives() error {
	for _, file := range builtins.DirectiveFiles() {
		fmt.Fprintf(a.out, "%-16s  %d directives\n", file, len(builtins.DirectivesOf(file)))
	}
	fmt.Fprintln(a.out, "\n`zcp2kopano doc directive FILE` lists those of a file, and with a directive's name tells its history")
	return nil
}

// docDirective tells a directive's history, of each file that has one of the name, or lists the directives of a file.
func (a *app) docDirective(name string) error {
	if of := builtins.DirectivesOf(name); len(of) > 0 {
		fmt.Fprintln(a.out, strings.Join(of, "\n"))
		return nil
	}
	found := builtins.Histories(name)
	if len(found) == 0 {
		hint := near.Hint(name, append(builtins.DirectiveNames(), builtins.DirectiveFiles()...))
		return fmt.Errorf("no release of ZCP or Kopano has a directive %q%s", name, cmp.Or(hint, "; `zcp2kopano doc directive server.cfg` lists those of a file"))
	}
	enc := json.NewEncoder(a.out)
	for i, h := range found {
		if a.json {
			if err := enc.Encode(h); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s in %s\n\n", h.Directive, h.File)
		for _, r := range h.Releases {
			fmt.Fprintf(a.out, "  %-14s  %s\n", r.Name, stateOf(r))
		}
		for _, line := range []struct{ what, text string }{
			{"changes", changes.Replace(h.Change)}, {"replaced by", h.Replacement}, {"note", h.Semantics}, {"takeover", h.Takeover},
		} {
			if line.text == "" || line.text == "kept" {
				continue
			}
			for _, text := range story.Wrap(line.text, directiveWidth) {
				fmt.Fprintf(a.out, "  %-14s  %s\n", line.what, text)
				line.what = ""
			}
		}
	}
	return nil
}

// directiveWidth is how wide what is said of a directive gets, beside what it is.
const directiveWidth = 90

// changes has the words of the facts as an admin would say them.
var changes = strings.NewReplacer("name/path only ", "its path: ", " -> ", " becomes ")

func stateOf(r builtins.Release) string {
	if !r.Known {
		return "does not know it"
	}
	text := "default " + r.Default
	if r.Default == "" {
		text = "empty by default"
	}
	if r.Shipped != "" && r.Shipped != r.Default {
		text += "; its file says " + r.Shipped
	}
	if r.Ignored {
		text += "; without effect"
	}
	return text
}
