package runbooks_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/story"
)

// TestPackagesByHand has somebody remove, purge or install packages of Kopano between the run and its rollback. What is gone
// already is what the rollback wants: it goes to its end, tells of it, and leaves nothing of it. What needs the run's
// packages has to go first, and the rollback goes on then.
func TestPackagesByHand(t *testing.T) {
	g := newGoal(t, mainRoute)
	all := []string{"kopano-client", "kopano-common", "kopano-dagent", "kopano-lang", "kopano-search", "kopano-server", "kopano-utils"}
	for _, tc := range []struct {
		hand  host.Transaction
		told  string
		again bool // the rollback stops, and goes on when what was installed is gone
	}{
		{hand: host.Transaction{Remove: []string{"kopano-dagent"}, Purge: true}, told: "by whoever removed them since: kopano-dagent; the"},
		{hand: host.Transaction{Remove: []string{"kopano-search"}, Purge: true}, told: "by whoever removed them since: kopano-search; the"},
		{hand: host.Transaction{Remove: []string{"kopano-server"}}, told: "by whoever removed them since: kopano-server; the"},
		{hand: host.Transaction{Remove: all, Purge: true}, told: "by whoever removed them since: " + strings.Join(all, ", ") + "; the"},
		{hand: host.Transaction{Install: []string{"kopano-monitor"}}, told: "would also remove kopano-monitor 8.7.20.0-0+24.1: it was installed since the run, and needs what", again: true},
	} {
		w := g.kit.world(t)
		if v := w.run(g.kit, &trap{}); v.Code != exit.Done {
			t.Fatal(v.Text)
		}
		byHand := func(tx host.Transaction) {
			t.Helper()
			if err := w.host.CommitPackages(context.Background(), tx, nil); err != nil {
				t.Fatal(err)
			}
		}
		byHand(tc.hand)
		what := fmt.Sprintf("%+v", tc.hand)
		if tc.again {
			if v := w.rollback(g.kit, &trap{}); v.Code != exit.RollbackIncomplete || !strings.Contains(v.Text, tc.told) {
				t.Errorf("%s: %+v", what, v)
			}
			if err := w.host.StopService(context.Background(), "kopano-monitor", time.Minute); err != nil {
				t.Fatal(err)
			}
			byHand(host.Transaction{Remove: append(tc.hand.Install, "kopano-dagent"), Purge: true})
			if _, text := g.goesBack(w.again()); strings.Count(text, "or by the rollback before this one: kopano-dagent; the") != 1 {
				t.Errorf("%s: what was removed between two rollbacks is not told once:\n%s", what, text)
			}
		} else {
			_, text := g.goesBack(w.again())
			if strings.Count(text, tc.told) != 1 {
				t.Errorf("%s: it does not tell %q once:\n%s", what, tc.told, text)
			}
		}
		if err := g.rolledBack(w); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// goesBack rolls a run back, and returns what is said.
func (g *goal) goesBack(w *world) (story.Verdict, string) {
	var told []string
	v := w.process(g.kit, &trap{}, func(ctx context.Context, cfg engine.Config) story.Verdict {
		cfg.Emit = func(e story.Event) { told = append(told, e.Text) }
		return engine.Rollback(ctx, cfg, "")
	})
	return v, strings.Join(told, "\n")
}

// TestNobodyRemovedPackages: where the installation was broken off, or failed, nobody has removed what did not come; where a
// rollback was broken off, it may have been that one.
func TestNobodyRemovedPackages(t *testing.T) {
	g := newGoal(t, mainRoute)
	last, n := 0, 0
	g.kit.world(t).run(g.kit, &trap{watch: func(p place) {
		if p.look || p.after {
			return
		}
		if n++; strings.Contains(p.point, "commit") {
			last = n
		}
	}})
	if last == 0 {
		t.Fatal("the run commits no packages")
	}
	for _, f := range []fault{{name: "killed"}, {name: "fails", errno: syscall.EIO}} {
		w := g.kit.world(t)
		w.run(g.kit, &trap{fault: f, at: last})
		v, told := g.goesBack(w.again())
		if v.Code != exit.Done || strings.Contains(told, "gone already") {
			t.Errorf("%s: %s; it tells:\n%s", f.name, v.Text, told)
		}
	}
}
