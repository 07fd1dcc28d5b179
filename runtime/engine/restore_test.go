package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// dbHost is a simulated host whose database has a content: the new server changes it for good, and the
// old one does not start on what the new one left.
type dbHost struct {
	*sim.Host
	content string
	dumps   map[string]string
	fail    string // the next load empties the database, and then fails for this reason
	loads   int
	refuses bool // the new server does not start
	alters  bool // but not before it has changed a table
	altered bool
	stuck   string // this service does not stop
	busy    string // this service holds its lock
	killed  string
	reloads []bool // whether the configuration was there at each
}

func (h *dbHost) ReloadService(ctx context.Context, name string) error {
	_, err := h.Lstat("/srv/a/config")
	h.reloads = append(h.reloads, err == nil)
	return h.Host.ReloadService(ctx, name)
}

func (h *dbHost) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	if service != h.busy {
		return nil, nil
	}
	return &host.ServiceLock{Path: paths[0], Since: h.Now(), Holder: host.Process{PID: 7, Name: service}}, nil
}

func (h *dbHost) KillService(ctx context.Context, name string, locks []string) error {
	h.busy, h.killed = "", name
	return h.Host.KillService(ctx, name, locks)
}

func (h *dbHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	if name == h.stuck {
		return errors.New(name + " does not stop")
	}
	return h.Host.StopService(ctx, name, patience)
}

func (h *dbHost) StartService(ctx context.Context, name string) error {
	if name == "old" && h.content != "zcp" {
		return errors.New("the database is too new")
	}
	if name == "new" && h.refuses {
		h.altered = h.alters
		return errors.New("unknown option")
	}
	if err := h.Host.StartService(ctx, name); err != nil {
		return err
	}
	if name == "new" {
		h.content = "upgraded"
	}
	return nil
}

func (h *dbHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	h.dumps[cmp.Or(req.Final, req.Path)] = h.content
	made, err := h.Host.DumpDatabase(ctx, req, progress)
	made.Took = 3 * time.Minute // the machine is busy
	return made, err
}

func (h *dbHost) LoadDatabase(ctx context.Context, req host.LoadRequest, progress func(int64)) error {
	list, err := h.Services("*")
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Active {
			return errors.New("the database is in use by " + s.Name)
		}
	}
	h.content = "empty"
	if h.fail != "" {
		err := errors.New(h.fail)
		h.fail = ""
		return err
	}
	if err := h.Host.LoadDatabase(ctx, req, progress); err != nil {
		return err
	}
	h.content = h.dumps[req.Path]
	h.loads++
	return nil
}

func (h *dbHost) Revision(context.Context, host.RevisionQuery) (int64, error) {
	if h.content == "upgraded" {
		return 118, nil
	}
	return 64, nil
}

// Query tells how the database numbers its users.
func (h *dbHost) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	switch {
	case strings.Contains(query, "AS shape"):
		return host.Rows{Columns: []string{"shape"}, Rows: [][]string{{fmt.Sprint(h.content, h.altered)}}}, nil
	case strings.Contains(query, "auto_increment"):
		return host.Rows{Columns: []string{"name", "numbered"}, Rows: [][]string{{"users", "id"}}}, nil
	case strings.HasPrefix(query, "SHOW CREATE TABLE"):
		return host.Rows{Columns: []string{"Table", "Create Table"}, Rows: [][]string{{"users", "CREATE TABLE `users` (\n  `id` int\n) ENGINE=InnoDB AUTO_INCREMENT=4711 DEFAULT CHARSET=utf8"}}}, nil
	case strings.Contains(query, "MAX("):
		return host.Rows{Columns: []string{"highest"}, Rows: [][]string{{"3"}}}, nil
	}
	return h.Host.Query(ctx, conn, query)
}

var databaseBuiltins = []*script.Builtin{
	{
		Name: "t.repair", Effect: script.Change,
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.Program{Command: []string{"/usr/bin/mysql", "repair"}, NoUndo: "names are joined",
				Database: true, Repeatable: true, Timeout: time.Minute}}}, nil
		},
	},
	{
		Name: "t.dump", Effect: script.Change,
		Params: []script.Param{{Name: "path", Type: script.Path}},
		Decide: func(c *script.Call) (script.Decision, error) {
			form := "zstd"
			if strings.HasSuffix(c.String("path"), ".mydumper") {
				form = host.ParallelDump
			}
			return script.Decision{Actions: []action.Action{&action.Dump{Connection: action.Connection{Database: "zarafa"}, Path: c.String("path"), Compression: form, Tables: []string{"users"}, ExpectedBytes: 1 << 30,
				Afterwards: []string{"{users} is the number of the next user"}}}}, nil
		},
	},
	{
		Name: "t.reload", Effect: script.Change,
		Params: []script.Param{{Name: "name", Type: script.String}},
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.Reload{Name: c.String("name")}}}, nil
		},
	},
	{
		Name: "t.service", Effect: script.Change,
		Params: []script.Param{
			{Name: "name", Type: script.String}, {Name: "active", Type: script.Bool},
			{Name: "no_return", Type: script.String, Optional: true, Default: `""`},
		},
		Decide: func(c *script.Call) (script.Decision, error) {
			active := c.Bool("active", false)
			a := &action.Service{Name: c.String("name"), Active: &active, NoReturn: c.String("no_return")}
			if a.NoReturn != "" {
				a.Works = &action.Works{Upgrade: &action.Upgrade{Database: action.Connection{Database: "zarafa"}, Query: "SELECT revision", Target: 118, Locks: []string{"/tmp/lock"}}}
			}
			return script.Decision{Actions: []action.Action{a}}, nil
		},
	},
}

const databaseFixture = testFixture + `
-- /lib/systemd/system/new.service --
[Service]
-- /lib/systemd/system/old.service --
[Service]
-- services --
new
old active pid=300
-- /usr/bin/mysqldump 0755 --
a program
-- /usr/bin/mysql 0755 --
a program
-- database --
table users InnoDB 3 64K 16K utf8_general_ci
`

const databaseScript = `
def dump():
    """Dump."""
    t.dump("/srv/a/zarafa.sql.zst")

def stop():
    """Stop the old server."""
    t.service("old", False)

def config():
    """Write a file."""
    t.write("/srv/a/config", "x")

def start():
    """Start the new server."""
    t.service("new", True, no_return = "it upgrades the database")
    t.write("/srv/a/late", "x")

runbook = define(steps = [dump, stop, config, start], allow = policy(write = ["/srv/a"], services = ["new", "old"], databases = ["zarafa"]))
`

func newDatabaseScene(t *testing.T) (*scene, *dbHost) {
	t.Helper()
	s := newScene(t)
	fixture, err := sim.ReadFixture([]byte(databaseFixture))
	if err != nil {
		t.Fatal(err)
	}
	if s.host, err = fixture.Host(sim.Options{}); err != nil {
		t.Fatal(err)
	}
	s.mkdir("/srv/a")
	return s, &dbHost{Host: s.host, content: "zcp", dumps: map[string]string{}}
}

func on(h *dbHost, more ...func(*engine.Config)) func(*engine.Config) {
	return func(c *engine.Config) {
		c.Host = h
		for _, change := range more {
			change(c)
		}
	}
}

// rollback rolls a scene's run back on a host with a database.
func (s *scene) rollback(h *dbHost, to string, more ...func(*engine.Config)) story.Verdict {
	cfg := s.config(&runbook.Runbook{Name: "site.star"})
	cfg.Previous = s.records()
	on(h, more...)(&cfg)
	return engine.Rollback(context.Background(), cfg, to)
}

func restore(c *engine.Config) { c.RestoreDatabase = true }

func (s *scene) said(text string) bool {
	return slices.ContainsFunc(s.events, func(e story.Event) bool { return strings.Contains(e.Text, text) })
}

func (s *scene) active(name string) bool {
	list, err := s.host.Services(name)
	return err == nil && len(list) == 1 && list[0].Active
}

// wantRestored wants the host to be as before the run, but for the two dumps.
func (s *scene) wantRestored(h *dbHost, v story.Verdict) {
	s.t.Helper()
	if v.Code != 0 || !strings.Contains(v.Text, "with the database restored") {
		s.t.Errorf("verdict %+v", v)
	}
	if h.content != "zcp" || !s.active("old") || s.active("new") {
		s.t.Errorf("database %s, old server %v, new server %v", h.content, s.active("old"), s.active("new"))
	}
	if got := s.names("/srv/a"); got != "zarafa-replaced.sql.zst zarafa.sql.zst" {
		s.t.Errorf("files %s", got)
	}
	if h.dumps["/srv/a/zarafa-replaced.sql.zst"] != "upgraded" {
		s.t.Errorf("what was replaced is not kept: %v", h.dumps)
	}
}

func TestRollbackRestoresDatabase(t *testing.T) {
	s, h := newDatabaseScene(t)
	if v := s.run(databaseScript, on(h)); v.Code != 0 || h.content != "upgraded" {
		t.Fatalf("run: %+v", v)
	}
	s.wantRestored(h, s.rollback(h, "", restore))
	if !s.said("4711 is the number of the next user") {
		t.Errorf("what the dump's loading means is not told: %+v", s.events)
	}
	if v := s.rollback(h, "", restore); v.Code != 0 || h.loads != 1 {
		t.Errorf("once more: %+v, %d loads", v, h.loads)
	}
}

// TestFailedStartSparesTheDatabase: what failed before it did anything to the database is undone like the rest.
func TestFailedStartSparesTheDatabase(t *testing.T) {
	s, h := newDatabaseScene(t)
	h.refuses = true
	v := s.run(databaseScript, on(h))
	if v.Code != exit.Failed || v.NoReturn != "" || !s.said("the database is as it was: start new failed before anything was done to it") {
		t.Fatalf("run: %+v; events %+v", v, s.events)
	}
	for _, way := range engine.Stand(s.records()).Ways() {
		if strings.Contains(fmt.Sprint(way), "--restore-database") {
			t.Errorf("it offers %v", way)
		}
	}
	if v := s.rollback(h, "", restore); v.Code != exit.Failed || !strings.Contains(v.Text, "there is no database to restore") {
		t.Errorf("rollback with the dump: %+v", v)
	}
	if v := s.rollback(h, ""); v.Code != exit.Done || !s.active("old") || s.names("/srv/a") != "" {
		t.Errorf("rollback: %+v; the old server %v; files %s", v, s.active("old"), s.names("/srv/a"))
	}
}

// TestSparedIsLookedAtAgain: by the rollback somebody has started the server by hand.
func TestSparedIsLookedAtAgain(t *testing.T) {
	s, h := newDatabaseScene(t)
	h.refuses = true
	s.run(databaseScript, on(h))
	h.content = "upgraded"
	if v := s.rollback(h, ""); v.Code != exit.RollbackIncomplete || !strings.Contains(v.Text, "rollback --restore-database") {
		t.Errorf("rollback: %+v", v)
	}
	s.wantRestored(h, s.rollback(h, "", restore))
}

// TestFailedStartThatChanged: a table was altered before the server failed, and only the dump leads back.
func TestFailedStartThatChanged(t *testing.T) {
	s, h := newDatabaseScene(t)
	h.refuses, h.alters = true, true
	if v := s.run(databaseScript, on(h)); v.Code != exit.Failed || v.NoReturn == "" || s.said("the database is as it was") {
		t.Fatalf("run: %+v", v)
	}
	if v := s.rollback(h, ""); v.Code != exit.RollbackIncomplete {
		t.Errorf("rollback: %+v", v)
	}
}

// Without being told to, a rollback leaves the database, says what it needs and how long it takes, and
// does the rest; the database can be restored afterwards.
func TestRollbackLeavesDatabaseAndRestoresItLater(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	const takes = "loading takes 3 to 18 minutes, after a dump of what is there by then (the first took 3 minutes)"
	told := func() (path, text string) {
		_, records, _, err := journal.Read(bytes.NewReader(s.log.Bytes()))
		if err == nil {
			path, text, err = engine.Loading(records)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path, text
	}
	if path, text := told(); path != "/srv/a/zarafa.sql.zst" || text != takes {
		t.Errorf("before it is asked whether to begin: %q, %q", path, text)
	}
	v := s.rollback(h, "")
	if v.Code != exit.RollbackIncomplete || !strings.Contains(v.Text, "rollback --restore-database") {
		t.Errorf("verdict %+v", v)
	}
	if !s.said("It needs the dump /srv/a/zarafa.sql.zst: `zcp2kopano rollback --restore-database` loads it, now or later; " + takes) {
		t.Errorf("events %+v", s.events)
	}
	if got := s.names("/srv/a"); got != "zarafa.sql.zst" || h.content != "upgraded" || s.active("old") {
		t.Errorf("files %s, database %s, old server %v", got, h.content, s.active("old"))
	}

	s.wantRestored(h, s.rollback(h, "", restore))
	before := slices.IndexFunc(s.events, func(e story.Event) bool {
		return e.Text == "the database comes back by the dump /srv/a/zarafa.sql.zst; "+takes
	})
	first := slices.IndexFunc(s.events, func(e story.Event) bool { return e.Kind == story.ChangeBegin })
	if before < 0 || first < before {
		t.Errorf("it is told as event %d, and the first change is %d", before, first)
	}
	if path, text := told(); path != "" || text != "" {
		t.Errorf("once it is loaded: %q, %q", path, text)
	}
}

// The admin loads the dump by hand; a second rollback starts what the first could not.
func TestRollbackAgainStartsTheOldServer(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	s.rollback(h, "")
	if s.active("old") || !s.said("not as before: undoing stop old") {
		t.Fatalf("the old server runs on the new database: %v; events %+v", s.active("old"), s.events)
	}
	h.content = "zcp"
	v := s.rollback(h, "")
	if !s.active("old") || s.said("not as before: undoing stop old") {
		t.Errorf("old server %v, verdict %+v", s.active("old"), v)
	}
}

// A new server that does not stop stops the rollback: what it works on is not taken away under it.
func TestRollbackDoesNotGoOnUnderRunningServer(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	h.stuck = "new"
	v := s.rollback(h, "")
	if v.Code != exit.RollbackIncomplete || !strings.Contains(v.Text, "new does not stop") {
		t.Errorf("verdict %+v", v)
	}
	if got := s.names("/srv/a"); got != "config zarafa.sql.zst" {
		t.Errorf("files %s", got)
	}
	h.stuck = ""
	s.wantRestored(h, s.rollback(h, "", restore))
}

// A load that breaks off is done again, whether or not the admin says so again.
func TestRestoreThatBreaksOff(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	h.fail = "lost connection"
	if v := s.rollback(h, "", restore); v.Code != exit.RollbackIncomplete || !strings.Contains(v.Text, "lost connection") {
		t.Fatalf("verdict %+v", v)
	}
	if h.content != "empty" || h.dumps["/srv/a/zarafa-replaced.sql.zst"] != "upgraded" {
		t.Fatalf("database %s, dumps %v", h.content, h.dumps)
	}
	s.wantRestored(h, s.rollback(h, ""))
}

// After a rollback to a step, the run may go on and upgrade again: then the dump is needed again.
func TestRestoreUpgradeAndRestore(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	if v := s.rollback(h, "start", restore); v.Code != 0 || h.content != "zcp" || s.active("old") {
		t.Fatalf("rollback to start: %+v, database %s", v, h.content)
	}
	previous := s.records()
	if v := s.run(databaseScript, on(h, func(c *engine.Config) { c.Previous = previous })); v.Code != 0 || h.content != "upgraded" {
		t.Fatalf("resume: %+v, database %s", v, h.content)
	}
	if v := s.rollback(h, "", restore); v.Code != 0 || h.content != "zcp" || !s.active("old") || h.loads != 2 {
		t.Errorf("rollback: %+v, database %s", v, h.content)
	}
}

func TestRestoreIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		to     string
		spoil  func(*scene, *dbHost)
		code   int
		want   string
	}{
		"nothing to restore": {script: strings.Replace(databaseScript, `, no_return = "it upgrades the database"`, "", 1), code: exit.Failed, want: "without --restore-database"},
		"no dump":            {script: strings.Replace(databaseScript, `t.dump("/srv/a/zarafa.sql.zst")`, "pass", 1), code: exit.Failed, want: "made no dump"},
		"dump is gone": {script: databaseScript, code: exit.RollbackIncomplete, want: "the dump cannot be read, and nothing was changed",
			spoil: func(s *scene, h *dbHost) { _ = h.Unlink("/srv/a/zarafa.sql.zst") }},
		"dump is another's": {script: databaseScript, code: exit.RollbackIncomplete, want: "belongs to user 1000",
			spoil: func(s *scene, h *dbHost) { _ = h.Lchown("/srv/a/zarafa.sql.zst", 1000, 0) }},
		"others may write to the dump": {script: databaseScript, code: exit.RollbackIncomplete, want: "can be written to by others",
			spoil: func(s *scene, h *dbHost) { _ = h.Chmod("/srv/a/zarafa.sql.zst", 0o622) }},
		"dump was changed": {script: databaseScript, code: exit.RollbackIncomplete, want: "the dump is not the one that the run made",
			spoil: func(s *scene, h *dbHost) {
				_ = h.Unlink("/srv/a/zarafa.sql.zst")
				_, err := h.Host.DumpDatabase(context.Background(), host.DumpRequest{Path: "/srv/a/zarafa.sql.zst", Compression: "zstd", MostBytes: 5}, nil)
				if err != nil {
					s.t.Fatal(err)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := newDatabaseScene(t)
			if v := s.run(tc.script, on(h)); v.Code != 0 {
				t.Fatalf("run: %+v", v)
			}
			if tc.spoil != nil {
				tc.spoil(s, h)
			}
			v := s.rollback(h, tc.to, restore, func(cfg *engine.Config) { cfg.Distrust = true })
			if v.Code != tc.code || !strings.Contains(v.Text, tc.want) || h.content != "upgraded" {
				t.Errorf("verdict %+v, want %q; database %s", v, tc.want, h.content)
			}
		})
	}
}

// What is refused before it begins leaves the run as it was.
func TestRefusedRollbackLeavesNoTrace(t *testing.T) {
	s, h := newDatabaseScene(t)
	s.run(databaseScript, on(h))
	before := len(s.records())
	if v := s.rollback(h, "nostep"); v.Code != exit.Failed || len(s.records()) != before {
		t.Errorf("verdict %+v, %d records more", v, len(s.records())-before)
	}
}

// Killed at any record, the rollback that restores the database comes to its end.
func TestRestoreCutShort(t *testing.T) {
	for at := 0; ; at++ {
		s, h := newDatabaseScene(t)
		s.run(databaseScript, on(h))
		v := s.rollback(h, "", restore, func(c *engine.Config) { c.Journal = &cutJournal{Writer: s.log, left: at} })
		if v.Code == 0 {
			if at < 8 {
				t.Fatalf("only %d records", at)
			}
			return
		}
		v = s.rollback(h, "", restore)
		if h.content != "zcp" || !s.active("old") || v.Code != 0 || h.dumps["/srv/a/zarafa.sql.zst"] != "zcp" {
			t.Fatalf("cut after %d records: %+v, database %s", at, v, h.content)
		}
	}
}

// TestRollbackRestoresWhatAProgramChanged: a program that repairs the database is no less for good than an upgrade.
func TestRollbackRestoresWhatAProgramChanged(t *testing.T) {
	s, h := newDatabaseScene(t)
	script := strings.Replace(databaseScript, `t.service("new", True, no_return = "it upgrades the database")`, `t.repair()`, 1)
	script = strings.Replace(script, `databases = ["zarafa"]`, `databases = ["zarafa"], programs = ["/usr/bin/mysql"]`, 1)
	if v := s.run(script, on(h)); v.Code != 0 || !strings.Contains(v.NoReturn, "names are joined") {
		t.Fatalf("run: %+v", v)
	}
	h.content = "repaired"
	if v := s.rollback(h, ""); v.Code == exit.Done {
		t.Errorf("without the dump: %+v", v)
	}
	if v := s.rollback(h, "", restore); v.Code != exit.Done || h.content != "zcp" || !s.active("old") {
		t.Errorf("%+v; database %s, old server %v", v, h.content, s.active("old"))
	}
}
