package runbooks_test

import (
	"fmt"
	stdruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/hosttest/chance"
)

// leg is the part of a run from the end of a step to the end of the next one. The world is as if the process had been
// killed where the leg begins, so that each point of it is reached without what lies before it.
type leg struct {
	mu    sync.Mutex
	world *world
	looks []string // what is asked in it, by number; empty for what every resume asks
	begun bool     // an action was, before it
}

// begin is a world in which the leg begins.
func (l *leg) begin(t testing.TB) *world {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.world.again()
	w.t = t
	return w
}

// beginOfStep and endOfStep are the points at which the step of a leg begins and ends.
const beginOfStep, endOfStep = "append lazily step", "append step-done"

// legs cuts a run where its steps end. The last leg has also what comes behind the last step.
func (g *goal) legs(t testing.TB) []*leg {
	t.Helper()
	var ends []int
	tr := &trap{watch: func(at place) {
		if at.after && at.point == endOfStep {
			ends = append(ends, at.n)
		}
	}}
	g.kit.world(t).run(g.kit, tr)
	legs := []*leg{{world: g.kit.world(t)}}
	for _, n := range ends[:len(ends)-1] {
		w, where, err := g.meet(t, trial{fault: fault{name: "killed after", after: true}, at: n})
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		legs = append(legs, &leg{world: w})
	}
	for i, l := range legs {
		l.begun = l.world.begun()
		in, over := i < 2, false // what a resume asks before its step is tried once
		tr := &trap{watch: func(at place) {
			in = in || at.after && at.point == beginOfStep
			over = over || at.after && at.point == endOfStep && i < len(legs)-1
			switch {
			case at.look && in && !over:
				l.looks = append(l.looks, at.point)
			case at.look && !over:
				l.looks = append(l.looks, "")
			}
		}}
		if v := l.begin(t).run(g.kit, tr); v.Code != exit.Done {
			t.Fatalf("the run from its leg %d on: %s", i+1, v.Text)
		}
	}
	return legs
}

// reading is a look that fails.
type reading struct {
	trial
	leg    *leg
	follow bool // the run is resumed and rolled back
}

// followed is one in how many runs in which a look fails is resumed and rolled back. That is tried at the points of
// change, and a look leaves what the change before it has left.
const followed = 20

// readings are the looks that fail: of each question that the run asks one, in one way, by seed.
func (g *goal) readings(t testing.TB) (list []reading, looks int) {
	t.Helper()
	rnd := chance.Rand(t, 5)
	var order []string
	asked := map[string][]reading{}
	for _, l := range g.legs(t) {
		looks += len(l.looks)
		for n, question := range l.looks {
			switch {
			case question == "":
				continue
			case asked[question] == nil:
				order = append(order, question)
			}
			asked[question] = append(asked[question], reading{trial: trial{at: n + 1}, leg: l})
		}
	}
	for _, question := range order {
		one := asked[question][rnd.IntN(len(asked[question]))]
		errno := errnos[rnd.IntN(len(errnos))]
		one.fault = fault{name: errno.Error() + " from reading", errno: errno, look: true}
		one.follow = rnd.IntN(followed) == 0
		list = append(list, one)
	}
	return list, looks
}

// TestEachReadingFails has things that the run of the stock runbook reads fail once, in one way: half of all, by seed, and
// with make crash each. (That tries all ways each time that it is read, from the beginning of the run on, too:
// TestCrashEverywhere.)
func TestEachReadingFails(t *testing.T) {
	begun := time.Now()
	list, looks := newGoal(t, mainRoute).readings(t)
	if all := mainTrials(t).looks; looks < all {
		t.Fatalf("the legs of the run have %d looks, the run has %d", looks, all)
	}
	list = chance.Pick(t, list, len(list)/2, func(r reading) *leg { return r.leg })
	dealtWith := &leftovers{}
	var next atomic.Int64
	for shard := range stdruntime.GOMAXPROCS(0) {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			g := newGoal(t, mainRoute)
			g.dealtWith = dealtWith
			report := newFailures(t)
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				if err := g.failsToRead(t, list[i]); err != nil {
					report.add(err)
				}
			}
			report.end()
		})
	}
	t.Cleanup(func() {
		chance.Figures(t, begun, "%d of %d looks failed; of what they left, %d different hosts and journals were resumed and rolled back",
			min(int(next.Load()), len(list)), looks, len(dealtWith.known))
	})
}

func (g *goal) failsToRead(t testing.TB, one reading) error {
	w := one.leg.begin(t)
	where, err := g.meetIn(w, one.trial)
	if err != nil {
		return err
	}
	if !one.follow && (one.leg.begun || w.begun()) {
		return nil
	}
	return g.goesOn(w, where)
}
