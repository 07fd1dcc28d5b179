package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/runbook"
)

// distrusted are the files of a runbook of the admin's own that somebody else could exchange: what is in them runs as
// root.
func distrusted(name string, book *runbook.Runbook) (list []error) {
	if name == "" {
		return nil
	}
	root, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return []error{err}
	}
	for _, label := range slices.Sorted(maps.Keys(book.Modules())) {
		module, own := strings.CutPrefix(label, "//")
		if !own {
			continue
		}
		var foreign *trust.Error
		if errors.As(trust.Check(trust.Here{}, trust.Ours(), filepath.Join(root, module)), &foreign) {
			list = append(list, foreign)
		}
	}
	return list
}

// judgeFiles refuses files that somebody else could exchange, before a run; else it tells of them.
func (a *app) judgeFiles(distrusted []error) error {
	for _, err := range distrusted {
		if a.distrusts {
			return err
		}
		fmt.Fprintf(a.err, "warning: a run will refuse this: %v\n", err)
	}
	return nil
}
