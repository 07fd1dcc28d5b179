package runbooks_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// solving counts how often the package manager works out the removal of ZCP's server: to carry it out it does so, too.
type solving struct {
	*sim.Host
	removals int
}

func (s *solving) count(tx host.Transaction) {
	if slices.Contains(tx.Remove, "zarafa-server") {
		s.removals++
	}
}

func (s *solving) Solve(tx host.Transaction) (host.Solution, error) {
	s.count(tx)
	return s.Host.Solve(tx)
}

func (s *solving) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	s.count(tx)
	return s.Host.CommitPackages(ctx, tx, w)
}

// The removal of ZCP is worked out in the preflight, and under the package manager's lock.
func TestStockSolvesRemovalTwice(t *testing.T) {
	s := &solving{Host: stockHost(t, hosts.Example, nil)}
	v := engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: loadStock(t, "debian"), Host: s, HostLabel: "an example",
		Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(story.Event) {},
	})
	if v.Code != exit.Done || s.removals != 2 {
		t.Errorf("code %d, %s; the removal is worked out %d times, want 2", v.Code, v.Text, s.removals)
	}
}
