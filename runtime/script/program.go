package script

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/secrets"
)

// Program is a module that was evaluated, with all that it loads.
type Program struct {
	Label    string // "@stock//debian.star"
	Globals  starlark.StringDict
	Builtins []*Builtin // that it could call

	sources map[string]string
	names   []string
	budget  *budget

	words func() map[string]bool // found once
}

// Modules are the sources of every module that it consists of, by label.
func (p *Program) Modules() map[string]string { return maps.Clone(p.sources) }

// Words are the ordinary words of the product: of what the builtins know, and of the stock runbooks. In free text
// they are not taken for a secret. The list is shared: it is not to be changed.
func (p *Program) Words() map[string]bool {
	return p.words()
}

func (p *Program) findWords() map[string]bool {
	words := map[string]bool{}
	for _, b := range p.Builtins {
		secrets.Words(words, b.Words)
	}
	for label, source := range p.sources {
		if strings.HasPrefix(label, stockRoot) {
			secrets.Words(words, source)
		}
	}
	return words
}

// Doc is the module's docstring.
func (p *Program) Doc() string {
	file, err := dialect.Parse("", p.sources[p.Label], 0)
	if err != nil || len(file.Stmts) == 0 {
		return ""
	}
	expr, ok := file.Stmts[0].(*syntax.ExprStmt)
	if !ok {
		return ""
	}
	lit, ok := expr.X.(*syntax.Literal)
	if !ok || lit.Token != syntax.STRING {
		return ""
	}
	return Dedent(lit.Value.(string))
}

// Afresh is the program with all that it may compute, for one more use of it.
func (p *Program) Afresh() *Program {
	fresh := *p
	fresh.budget = newBudget(p.budget.limits)
	return &fresh
}

// Explain adds to an error of the program's what it takes to show where it happened.
func (p *Program) Explain(err error) error {
	return &Error{Err: err, Sources: p.sources, names: p.names}
}

// At is an error that belongs to a place of the program, with a hint.
func (p *Program) At(pos syntax.Position, err error, hint string) error {
	return &Error{Err: err, Sources: p.sources, names: p.names, at: pos, hint: hint}
}

// Call calls a function of the program within its limits: what it asks of the host, run carries out, and what
// it prints goes to print.
func (p *Program) Call(ctx context.Context, run Runner, fn *starlark.Function, args starlark.Tuple, kwargs []starlark.Tuple, print func(pos, text string)) (starlark.Value, error) {
	thread := &starlark.Thread{Name: fn.Name(), Print: func(t *starlark.Thread, msg string) {
		print(t.CallFrame(1).Pos.String(), msg)
	}}
	thread.SetLocal(runnerKey, run)
	settle := p.budget.arm(ctx, thread)
	defer settle()
	earn(thread, args)
	for _, kv := range kwargs {
		earn(thread, kv)
	}
	value, err := starlark.Call(thread, fn, args, kwargs)
	if err != nil {
		return nil, p.Explain(err)
	}
	return value, nil
}

// Limits bound a runbook's evaluation, loaded modules included. Time spent inside builtins (a dump,
// a move of a tree) does not count: it belongs to the host. To go through what the host has answered takes what the site
// is large: a large answer gives more instructions, and time, as it has values.
type Limits struct {
	Steps uint64        // Starlark instructions
	Time  time.Duration // of evaluation, per module and per step
	Heap  uint64        // bytes that the runbook may hold, beside what the host takes
}

// DefaultLimits suit runbooks of thousands of lines.
var DefaultLimits = Limits{Steps: 20_000_000, Time: 30 * time.Second, Heap: 512 << 20}

// watchEvery is the time between two looks at a thread from outside.
const watchEvery = 2 * time.Millisecond

// weighEvery is the number of instructions between two looks at the memory from inside. It is small,
// because a string can double with every few of them, and the look from outside comes late where the
// machine is busy.
const weighEvery = 8

// budget is what is left of the limits. Modules and steps run one after the other on threads of
// their own, and all draw on the same budget of instructions.
type budget struct {
	limits Limits
	used   uint64 // instructions of the threads that ended
	earned uint64 // by large answers
}

// What a large answer gives for each of its values: an entry of a directory has about ten. A small one gives nothing, so
// that who asks for ever is no better off than who computes for ever.
const (
	smallAnswer  = 1000
	stepsPerPart = 30
	timePerPart  = 10 * time.Microsecond
)

// earn gives a thread what it takes to go through a value that the host, or an earlier step, has made.
func earn(thread *starlark.Thread, v starlark.Value) {
	w, ok := thread.Local(watchKey).(*watch)
	if !ok {
		return
	}
	if n := parts(v, 0); n > smallAnswer {
		w.budget.earned += stepsPerPart * n
		w.mu.Lock()
		w.limits.Time += time.Duration(n) * timePerPart
		w.mu.Unlock()
	}
}

// deepestAnswer bounds the count: what a host answers is flat.
const deepestAnswer = 20

// parts counts the values that a value is made of.
func parts(v starlark.Value, depth int) (n uint64) {
	if depth > deepestAnswer {
		return 1
	}
	switch v := v.(type) {
	case *starlarkstruct.Struct:
		for _, name := range v.AttrNames() {
			if attr, err := v.Attr(name); err == nil {
				n += parts(attr, depth+1)
			}
		}
	case *starlark.Dict:
		for key, value := range v.Entries() {
			n += parts(key, depth+1) + parts(value, depth+1)
		}
	case starlark.Sequence:
		for item := range starlark.Elements(v) {
			n += parts(item, depth+1)
		}
	}
	return n + 1
}

func newBudget(l Limits) *budget {
	if l == (Limits{}) {
		l = DefaultLimits
	}
	return &budget{limits: l}
}

// arm puts a thread under the budget, before its first call; release ends that, after its last.
func (b *budget) arm(ctx context.Context, thread *starlark.Thread) (release func()) {
	w := &watch{budget: b, limits: b.limits, started: time.Now(), done: make(chan struct{})}
	w.base.Store(heapBytes())
	thread.SetMaxExecutionSteps(1) // so that every instruction asks
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		switch steps := thread.ExecutionSteps(); {
		case b.used+steps >= b.limits.Steps+b.earned:
			thread.Cancel(fmt.Sprintf("the runbook has run more than %d instructions; look for an endless or very long loop", b.limits.Steps+b.earned))
		case steps%weighEvery == 0 && w.heavy(1):
			thread.Cancel(tooHeavy(b.limits))
		}
	}
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
	budget *budget
	limits Limits // Time grows
	done   chan struct{}
	base   atomic.Uint64 // of the heap: what is not the runbook's

	mu      sync.Mutex
	started time.Time
	spent   time.Duration // before started
	outside bool          // in a builtin, whose time is the host's
}

func (w *watch) run(ctx context.Context, thread *starlark.Thread) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	asked := ctx.Done()
	var since time.Time // it was asked to end
	for {
		select {
		case <-w.done:
			return
		case <-asked:
			thread.Cancel(ctx.Err().Error())
			asked, since = nil, time.Now()
		case <-tick.C:
			if reason := w.exceeded(1); reason != "" {
				thread.Cancel(reason)
			}
			if reason := w.exceeded(beyond); reason != "" {
				die(exit.Failed, reason)
			}
			if w.ignores(since) {
				die(exit.Interrupted, "interrupted")
			}
		}
	}
}

// heedWithin is the time that a runbook gets to end where it was asked to. One call of a function may
// take hours, such as the product of very large numbers.
const heedWithin = 5 * time.Second

// ignores reports whether a runbook goes on computing though it was asked to end. What a builtin does with
// the host ends by itself.
func (w *watch) ignores(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if since.IsZero() || w.outside {
		return false
	}
	if w.started.After(since) {
		since = w.started
	}
	return time.Since(since) > heedWithin
}

// beyond is how many times a limit must be exceeded before the program gives itself up. A thread ends
// only between two instructions, and one call of a function like list or replace can fill the memory
// of the machine, which has a mail server to run.
const beyond = 3

// die ends the program as a crash would: what was done is in the journal, and can be resumed.
var die = func(code int, reason string) {
	fmt.Fprintf(os.Stderr, "error: %s\n       the runbook could not be stopped, so the program ended itself\n", reason)
	os.Exit(code)
}

// exceeded tells which limit is exceeded that many times.
func (w *watch) exceeded(times int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.outside {
		return ""
	}
	if w.spent+time.Since(w.started) > time.Duration(times)*w.limits.Time {
		return fmt.Sprintf("the runbook has computed for more than %s without calling the host; look for an endless or very long loop", w.limits.Time)
	}
	if w.heavy(times) {
		return tooHeavy(w.limits)
	}
	return ""
}

// heavy reports whether the runbook holds more than so many times its memory. What nobody holds any
// more does not count, but that is only known after a collection.
func (w *watch) heavy(times int) bool {
	limit := w.base.Load() + uint64(times)*w.limits.Heap
	if heapBytes() <= limit {
		return false
	}
	runtime.GC()
	return heapBytes() > limit
}

func tooHeavy(l Limits) string {
	return fmt.Sprintf("the runbook holds more than %d MiB of memory; look for a string or list that grows in a loop", l.Heap>>20)
}

// outside runs a builtin's work on the host without charging time and memory to the runbook: a
// simulated host keeps what it changes in memory.
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
	before := heapBytes()
	defer func() {
		if after := heapBytes(); after > before {
			w.base.Add(after - before)
		}
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
