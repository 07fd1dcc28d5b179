package engine_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

var treeBuiltins = []*script.Builtin{
	{
		Name: "t.keep", Effect: script.Change, Params: []script.Param{{Name: "path", Type: script.Path}},
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.Keep{Path: c.String("path"), Of: c.String("path")}}}, nil
		},
	},
	{
		Name: "t.give_back", Effect: script.Change, Params: []script.Param{{Name: "path", Type: script.Path}},
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.GiveBack{Path: c.String("path")}}}, nil
		},
	},
	{
		Name: "t.copy", Effect: script.Change, Params: []script.Param{{Name: "from", Type: script.Path}, {Name: "to", Type: script.Path}},
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.Copy{From: c.String("from"), To: c.String("to")}}}, nil
		},
	},
}

// runTrees runs a runbook that may use these, too.
func (s *scene) runTrees(source string, change func(*engine.Config)) story.Verdict {
	s.t.Helper()
	dir := s.t.TempDir()
	write(s.t, dir, "site.star", source)
	rb, err := runbook.Load(context.Background(), script.LoadOptions{
		Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: append(treeBuiltins, testBuiltins()...),
	})
	if err != nil {
		s.t.Fatal(script.ErrorInfoOf(err))
	}
	cfg := s.config(rb)
	if change != nil {
		change(&cfg)
	}
	return engine.Execute(context.Background(), cfg)
}

// TestTreeIsGivenBackLater: the first rollback leaves the database, and with it what the new server has deleted from the
// tree. The second one loads the dump, and the tree has to hold again what the dump knows of, although all that is about
// the tree was undone before.
func TestTreeIsGivenBackLater(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.mkdir("/srv/a/mail")
	s.put("/srv/a/mail/1", "an attachment")
	v := s.runTrees(`
def dump():
    """Dump."""
    t.keep("/srv/a/mail")
    t.dump("/srv/a/zarafa.sql.zst")

def stop():
    """Stop the old server."""
    t.service("old", False)
    t.give_back("/srv/a/mail")

def start():
    """Start the new server."""
    t.keep("/srv/a/mail")
    t.service("new", True, no_return = "it upgrades the database")

runbook = define(steps = [dump, stop, start], allow = policy(write = ["/srv/a"], services = ["new", "old"], databases = ["zarafa"]))
`, on(h))
	if v.Code != exit.Done {
		t.Fatalf("run: %+v", v)
	}
	if err := s.host.Unlink("/srv/a/mail/1"); err != nil {
		t.Fatal(err)
	}
	if v := s.rollback(h, ""); v.Code != exit.RollbackIncomplete || s.names("/srv/a/mail") != "" {
		t.Fatalf("without the dump: %+v; files %s", v, s.names("/srv/a/mail"))
	}
	if v := s.rollback(h, "", restore); v.Code != exit.Done || s.names("/srv/a/mail") != "1" {
		t.Errorf("with the dump: %+v; files %q", v, s.names("/srv/a/mail"))
	}
}

// TestNoRunbookCopiesTheState: secrets of runs would lie where the runbook has put them.
func TestNoRunbookCopiesTheState(t *testing.T) {
	for _, from := range []string{"/var/lib/zcp2kopano/runs/r0", "/var/lib"} {
		s := newScene(t)
		for _, dir := range []string{"/srv/a", "/var/lib/zcp2kopano", "/var/lib/zcp2kopano/runs", "/var/lib/zcp2kopano/runs/r0"} {
			s.mkdir(dir)
		}
		s.put("/var/lib/zcp2kopano/runs/r0/secrets", "hunter2")
		v := s.runTrees(`
def copy():
    """Copy."""
    t.copy("`+from+`", "/srv/a/copy")

runbook = define(steps = [copy], allow = policy(write = ["/srv/a"]))
`, nil)
		if v.Code != exit.Failed || !strings.Contains(v.Text, "no runbook can ") || s.names("/srv/a") != "" {
			t.Errorf("%s: %+v; files %s", from, v, s.names("/srv/a"))
		}
	}
}
