package runtime

import (
	"context"
	"fmt"
	"runtime/metrics"
	"sync"
	"time"

	"go.starlark.net/starlark"
)

// watchEvery is the time between two looks at a thread's time and memory. Even a list that doubles
// with each instruction cannot outrun it by more than one instruction: large memory takes longer to
// fill.
const watchEvery = 2 * time.Millisecond

// budget is what is left of the limits. Modules and steps run one after the other on threads of
// their own, and all draw on the same budget of instructions.
type budget struct {
	limits Limits
	used   uint64 // instructions of the threads that ended
}

func newBudget(l Limits) *budget {
	if l == (Limits{}) {
		l = DefaultLimits
	}
	return &budget{limits: l}
}

// arm puts a thread under the budget, before its first call; release ends that, after its last.
func (b *budget) arm(ctx context.Context, thread *starlark.Thread) (release func()) {
	left := b.limits.Steps - min(b.used, b.limits.Steps)
	thread.SetMaxExecutionSteps(max(left, 1))
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		thread.Cancel(fmt.Sprintf("the runbook has run more than %d instructions; look for an endless or very long loop", b.limits.Steps))
	}
	w := &watch{limits: b.limits, started: time.Now(), done: make(chan struct{})}
	thread.SetLocal(watchKey, w)
	var ended sync.WaitGroup
	ended.Go(func() { w.run(ctx, thread) })
	return func() {
		close(w.done)
		ended.Wait()
		b.used += thread.ExecutionSteps()
	}
}

const watchKey = "zcp2kopano.watch"

// watch cancels a thread that computes too long or holds too much memory.
type watch struct {
	limits Limits
	done   chan struct{}

	mu      sync.Mutex
	started time.Time
	spent   time.Duration // before started
	outside bool          // in a builtin, whose time is the host's
}

func (w *watch) run(ctx context.Context, thread *starlark.Thread) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-ctx.Done():
			thread.Cancel(ctx.Err().Error())
			return
		case <-tick.C:
			if reason := w.exceeded(); reason != "" {
				thread.Cancel(reason)
				return
			}
		}
	}
}

func (w *watch) exceeded() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.outside {
		return ""
	}
	if w.spent+time.Since(w.started) > w.limits.Time {
		return fmt.Sprintf("the runbook has computed for more than %s without calling the host; look for an endless or very long loop", w.limits.Time)
	}
	if heapBytes() > w.limits.Heap {
		return fmt.Sprintf("the runbook holds more than %d MiB of memory; look for a string or list that grows in a loop", w.limits.Heap>>20)
	}
	return ""
}

// outside runs a builtin's work on the host without charging it to the runbook.
func outside(thread *starlark.Thread, work func()) {
	w, ok := thread.Local(watchKey).(*watch)
	if !ok {
		work()
		return
	}
	w.mu.Lock()
	w.spent += time.Since(w.started)
	w.outside = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.started, w.outside = time.Now(), false
		w.mu.Unlock()
	}()
	work()
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
