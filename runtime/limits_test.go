package runtime

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.starlark.net/starlark"
)

// evaluate runs a snippet under limits and returns its error, and whether the program would have
// ended itself.
func evaluate(t *testing.T, l Limits, source string) (err error, died bool) {
	t.Helper()
	var dead atomic.Bool
	old := die
	die = func(string) { dead.Store(true) }
	defer func() { die = old }()
	thread := &starlark.Thread{Name: "snippet"}
	release := newBudget(l).arm(context.Background(), thread)
	_, err = starlark.ExecFileOptions(dialect, thread, "snippet.star", "def f():\n    "+strings.ReplaceAll(source, "\n", "\n    ")+"\n\nf()\n", nil)
	release()
	return err, dead.Load()
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
			err, _ := evaluate(t, Limits{Steps: 1_000_000, Time: time.Minute, Heap: 32 << 20}, tc.source)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestOneCallFillsTheMemory wants the program to give itself up where no instruction comes between.
func TestOneCallFillsTheMemory(t *testing.T) {
	if _, died := evaluate(t, Limits{Steps: 1000, Time: time.Minute, Heap: 8 << 20}, "x = list(range(8000000))"); !died {
		t.Error("a list of 128 MB was made in one call, and the limit is far below")
	}
}
