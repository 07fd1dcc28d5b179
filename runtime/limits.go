package runtime

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"sync"
	"time"

	"go.starlark.net/starlark"
)

// errLimit is the cause of a thread that was stopped by its limits.
var errLimit = errors.New("limit")

// checkEvery is the number of instructions between two looks at the limits. One instruction can
// double a string, so it is small; a look costs about a microsecond.
const checkEvery = 256

// budget is what is left of the limits. Modules and steps run one after the other on threads of
// their own, and all draw on the same budget of instructions.
type budget struct {
	mu     sync.Mutex
	limits Limits
	used   uint64 // instructions of the threads that ended
}

func newBudget(l Limits) *budget {
	if l == (Limits{}) {
		l = DefaultLimits
	}
	return &budget{limits: l}
}

// clock measures a thread's time of evaluation, the time inside builtins left out.
type clock struct {
	started time.Time
	paused  time.Duration
}

// arm puts a thread under the budget. go.starlark.net calls OnMaxSteps when the step limit is
// reached; raising the limit each time makes it a hook that runs every checkEvery instructions.
// It must be called before the thread's first call; settle after its last.
func (b *budget) arm(ctx context.Context, thread *starlark.Thread) (settle func()) {
	c := &clock{started: time.Now()}
	thread.SetLocal(clockKey, c)
	thread.SetMaxExecutionSteps(checkEvery)
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		if err := b.check(ctx, thread.ExecutionSteps(), c); err != nil {
			thread.Cancel(err.Error())
			return
		}
		thread.SetMaxExecutionSteps(thread.ExecutionSteps() + checkEvery)
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.used += thread.ExecutionSteps()
	}
}

func (b *budget) check(ctx context.Context, steps uint64, c *clock) error {
	b.mu.Lock()
	used := b.used + steps
	b.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case used > b.limits.Steps:
		return fmt.Errorf("%w: the runbook has run more than %d instructions; look for an endless or very long loop", errLimit, b.limits.Steps)
	case time.Since(c.started)-c.paused > b.limits.Time:
		return fmt.Errorf("%w: the runbook has computed for more than %s without calling the host; look for an endless or very long loop", errLimit, b.limits.Time)
	case heapBytes() > b.limits.Heap:
		return fmt.Errorf("%w: the runbook holds more than %d MiB of memory; look for a string or list that grows in a loop", errLimit, b.limits.Heap>>20)
	}
	return nil
}

const clockKey = "zcp2kopano.clock"

// outside runs a builtin's work without charging its time to the runbook.
func outside(thread *starlark.Thread, work func()) {
	c, ok := thread.Local(clockKey).(*clock)
	if !ok {
		work()
		return
	}
	start := time.Now()
	work()
	c.paused += time.Since(start)
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
