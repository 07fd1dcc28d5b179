package main

import (
	"encoding/json"
	"fmt"

	"zcp2kopano/builtins"
	"zcp2kopano/runtime/near"
)

// docDirective tells a directive's history, of each file that has one of the name.
func (a *app) docDirective(name string) error {
	found := builtins.Histories(name)
	if len(found) == 0 {
		return fmt.Errorf("no release of ZCP or Kopano has a directive %q%s", name, near.Hint(name, builtins.DirectiveNames()))
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
			{"changes", h.Change}, {"replaced by", h.Replacement}, {"note", h.Semantics}, {"new default", h.InForce},
		} {
			if line.text != "" {
				fmt.Fprintf(a.out, "  %-14s  %s\n", line.what, line.text)
			}
		}
	}
	return nil
}

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
