package runbooks_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// reboot is what init does with services when a machine is switched on again: what is enabled runs, and
// nothing else.
func (w *world) reboot() {
	w.t.Helper()
	list, err := w.host.Services("*")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list {
		if err := w.host.StopService(context.Background(), s.Name, time.Second); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, s := range list {
		if s.Enabled && !s.Masked {
			_ = w.host.StartService(context.Background(), s.Name) // its program may be gone
		}
	}
}

// runs reports whether a service runs whose name matches.
func (w *world) runs(pattern string) bool {
	w.t.Helper()
	list, err := w.host.Services(pattern)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(s host.Service) bool { return s.Active })
}

// After a power cut, services run that the run had stopped and are enabled, and others do not that it
// had started: resume and rollback come to the same end all the same.
func TestCrashAndReboot(t *testing.T) {
	g := newGoal(t, mainRoute)
	var list []trial
	for _, what := range mainTrials(t).list {
		if what.power {
			list = append(list, what)
		}
	}
	t.Logf("%d power cuts", len(list))
	list = sample(t, list, 60)
	report := newFailures(t)
	for _, what := range list {
		back := func(w *world) error {
			early := !w.noReturn() && w.runs("kopano-*")
			err := g.rolledBack(w)
			if !early {
				return err
			}
			if err == nil || !strings.Contains(err.Error(), "and the run had not started it") {
				return fmt.Errorf("a service of Kopano ran, which is not told: %v", err)
			}
			return same(w.timed(), g.start) // all else is as it was
		}
		for _, then := range []func(*world) error{g.resumed, back} {
			w, where, err := g.meet(t, what)
			if err == nil && w.begun() {
				w.reboot()
				err = then(w)
			}
			if err != nil {
				report.add(fmt.Errorf("%s, and the machine started again: %w", where, err))
			}
		}
	}
	report.end()
}
