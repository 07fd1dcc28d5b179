package script

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/exit"
)

// evaluate runs a snippet under limits and returns its error.
func evaluate(t *testing.T, l Limits, source string) error {
	t.Helper()
	old := die
	die = func(int, string) {}
	defer func() { die = old }()
	thread := &starlark.Thread{Name: "snippet"}
	release := newBudget(l).arm(context.Background(), thread)
	_, err := starlark.ExecFileOptions(dialect, thread, "snippet.star", "def f():\n    "+strings.ReplaceAll(source, "\n", "\n    ")+"\n\nf()\n", nil)
	release()
	return err
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name, source, want string
	}{
		{"a string that doubles", "x = \"xxxxxxxx\"\nfor _ in range(100):\n    x = x + x", "of memory"},
		{"a list that doubles", "x = [1]\nfor _ in range(100):\n    x = x + x", "of memory"},
		{"a loop without end", "for _ in range(1000000000):\n    pass", "instructions"},
		{"nothing wrong", "x = [str(i) for i in range(1000)]", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := evaluate(t, Limits{Steps: 1_000_000, Time: time.Minute, Heap: 32 << 20}, tc.source)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestOneCallFillsTheMemory wants the program to give itself up where no instruction comes between: in
// a call that keeps on holding far more than the limit.
func TestOneCallFillsTheMemory(t *testing.T) {
	var dead atomic.Bool
	old := die
	die = func(int, string) { dead.Store(true) }
	defer func() { die = old }()
	thread := &starlark.Thread{Name: "snippet"}
	hoard := starlark.NewBuiltin("hoard", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		held := make([]byte, 128<<20) // until its last use below
		for waited := time.Duration(0); !dead.Load() && waited < time.Minute; waited += time.Millisecond {
			time.Sleep(time.Millisecond)
		}
		return starlark.MakeInt(int(held[0])), nil
	})
	release := newBudget(Limits{Steps: 1000, Time: time.Hour, Heap: 8 << 20}).arm(context.Background(), thread)
	defer release()
	if _, err := starlark.Call(thread, hoard, nil, nil); err != nil && !dead.Load() {
		t.Fatal(err)
	}
	if !dead.Load() {
		t.Error("one call held 128 MB for a minute, and the limit is far below")
	}
}

// TestOneCallHeedsNobody wants the program to give itself up, too, where it was asked to end and one
// call goes on.
func TestOneCallHeedsNobody(t *testing.T) {
	ended := make(chan int, 1000)
	old := die
	die = func(code int, _ string) { ended <- code }
	defer func() { die = old }()
	thread := &starlark.Thread{Name: "snippet"}
	ctx, interrupt := context.WithCancel(context.Background())
	code := exit.Done
	long := starlark.NewBuiltin("long", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		interrupt()
		select {
		case code = <-ended:
		case <-time.After(time.Minute):
		}
		return starlark.None, nil
	})
	release := newBudget(Limits{Steps: 1000, Time: time.Hour, Heap: 1 << 30}).arm(ctx, thread)
	_, err := starlark.Call(thread, long, nil, nil)
	release()
	if code != exit.Interrupted {
		t.Errorf("the program ended with %d, want %d (%v)", code, exit.Interrupted, err)
	}
}
