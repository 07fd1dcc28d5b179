package script

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
)

// answering is a Runner whose host answers as it is told.
type answering struct{ answer starlark.Value }

func (answering) Context() context.Context                 { return context.Background() }
func (a answering) CarryOut(*Call) (starlark.Value, error) { return a.answer, nil }

// TestLargeAnswersEarnSteps: who goes through what the host has answered may compute as much as that takes; who asks for
// little for ever, or computes for ever, is stopped as soon as before.
func TestLargeAnswersEarnSteps(t *testing.T) {
	people := func(n int) starlark.Value {
		list := make([]starlark.Value, n)
		for i := range list {
			list[i] = NewRecord(map[string]any{"dn": fmt.Sprint("uid=", i), "attributes": ToStarlark(map[string]any{"uid": []string{fmt.Sprint(i)}})})
		}
		return starlark.NewList(list)
	}
	const through = "found = {}\nfor p in ask():\n    uid = p.attributes.get(\"uid\", [])\n    if uid and uid[0].isdigit():\n        found[uid[0]] = len([c for c in [1, 2, 3] if c > 1])\n"
	for name, tc := range map[string]struct {
		answer starlark.Value
		source string
		want   string
	}{
		"many people, gone through":           {people(10_000), through, ""},
		"and again":                           {people(10_000), through + "for n in sorted(found):\n    found[n] += 1\n", ""},
		"many people, and a loop without end": {people(10_000), through + "for i in range(1 << 40):\n    pass\n", "instructions"},
		"a loop over itself":                  {people(10_000), "every = ask()\nfor p in every:\n    for q in every:\n        pass\n", "instructions"},
		"few people for ever":                 {people(100), "for i in range(1 << 40):\n    ask()\n", "instructions"},
		"nothing asked":                       {people(10_000), "for i in range(200000):\n    pass\n", "instructions"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Builtin{Name: "ask", Effect: Read}
			thread := &starlark.Thread{Name: "snippet"}
			thread.SetLocal(runnerKey, answering{tc.answer})
			release := newBudget(Limits{Steps: 200_000, Time: time.Hour, Heap: 1 << 30}).arm(context.Background(), thread)
			_, err := starlark.ExecFileOptions(dialect, thread, "snippet.star", "def f():\n    "+strings.ReplaceAll(tc.source, "\n", "\n    ")+"\n\nf()\n",
				starlark.StringDict{"ask": b.Callable()})
			release()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
