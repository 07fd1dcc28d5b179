package engine_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
)

// noting is a journal that notes which types of records a power cut can take back, and which it cannot.
type noting struct {
	journal.Writer
	durable, lazy []string
}

func (n *noting) Append(typ string, data any) (uint64, error) {
	n.durable = append(n.durable, typ)
	return n.Writer.Append(typ, data)
}

func (n *noting) AppendLazy(typ string, data any) (uint64, error) {
	n.lazy = append(n.lazy, typ)
	return n.Writer.AppendLazy(typ, data)
}

func (n *noting) into(c *engine.Config) { n.Writer, c.Journal = c.Journal, n }

// want wants that all records of these types are durable before anything else is done.
func (n *noting) want(t *testing.T, types ...string) {
	t.Helper()
	for _, typ := range types {
		if slices.Contains(n.lazy, typ) || !slices.Contains(n.durable, typ) {
			t.Errorf("a power cut can take back a record %q; durable are %q", typ, n.durable)
		}
	}
}

// TestReliedOnIsDurable: what the next change of the host rests on is on the disk before it. An action that lost its mark
// takes what it left half-way for the state from before it, and one that lost that it was undone is undone once more, over
// what was undone since.
func TestReliedOnIsDurable(t *testing.T) {
	s, h := newDatabaseScene(t)
	var forth, back noting
	if v := s.run(databaseScript, on(h, forth.into)); v.Code != exit.Done {
		t.Fatalf("run: %+v", v)
	}
	forth.want(t, "run", "intent", "mark")
	s.wantRestored(h, s.rollback(h, "", restore, back.into))
	back.want(t, "rollback", "undone", "step-undone", "restore", "intent", "mark", "done")
}

// TestUndoOfAStepIsDurable: once the undoing of a step has begun, its calls are not answered from the journal any more.
func TestUndoOfAStepIsDurable(t *testing.T) {
	const failing = `
def half():
    """Half of it."""
    t.write("/srv/a/x", "x")
    fail("a mistake")

def other():
    """Something else."""
    t.write("/srv/a/y", "y")

runbook = define(steps = [half], allow = policy(write = ["/srv/a"]))
`
	s := newScene(t)
	s.mkdir("/srv/a")
	if v := s.run(failing, nil); v.Code != exit.Failed {
		t.Fatalf("run: %+v", v)
	}
	var n noting
	previous := s.records()
	v := s.run(strings.Replace(failing, "[half]", "[other]", 1), func(c *engine.Config) {
		c.Previous = previous
		n.into(c)
	})
	if v.Code != exit.Done || s.names("/srv/a") != "y" {
		t.Fatalf("resume: %+v; files %s", v, s.names("/srv/a"))
	}
	n.want(t, "step-undo", "undone", "step-undone")
}
