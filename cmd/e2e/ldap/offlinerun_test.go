package ldap

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// offlineBook is of the stock runbooks what they do with ldap_schema = offline, and no more.
const offlineBook = `"""The directory's conversion, offline."""

load("@stock//lib/offline.star", "convert_offline", "look_at_offline")

def _directory(socket, password):
    conn = ldap.connection([socket], bind_dn = "cn=admin,dc=example,dc=org", password = password)
    return struct(connection = conn, base = "dc=example,dc=org")

def survey(socket, password):
    """Look at the directory."""
    return look_at_offline(_directory(socket, password))

def convert(survey, socket, password, dump_dir):
    """Convert the directory."""
    convert_offline(survey, _directory(socket, password), dump_dir)

runbook = define(
    params = [
        param("socket", doc = "where the directory's server is"),
        param("password", secret = True, required = True, doc = "of its administrator"),
        param("dump_dir", type = "path", doc = "for the export"),
    ],
    check = survey,
    steps = [convert],
    allow = policy(write = ["DUMPS"], services = ["slapd"]),
)
`

// machine is a host whose service slapd is a real server.
type machine struct{ *server }

func (m machine) Services(pattern string) ([]host.Service, error) {
	if is, err := path.Match(pattern, "slapd"); err != nil || !is {
		return nil, err
	}
	service := host.Service{Name: "slapd", Kind: "sysv", Active: m.cmd != nil, Enabled: true}
	if m.cmd != nil {
		service.PID = m.cmd.Process.Pid
	}
	return []host.Service{service}, nil
}

func (m machine) ServiceProcesses(string) ([]host.Process, error) { return m.Processes() }

func (m machine) StartService(context.Context, string) error {
	if m.cmd == nil {
		m.start()
	}
	return nil
}

func (m machine) StopService(context.Context, string, time.Duration) error {
	m.stop()
	return nil
}

// at is where a file of the host is: /etc/default, which says where the server's configuration is, lies beside that.
func (m machine) at(name string) string {
	if rest, is := strings.CutPrefix(name, "/etc/default"); is {
		return m.path("default") + rest
	}
	return name
}

func (m machine) Open(name string) (host.File, error)          { return m.server.Open(m.at(name)) }
func (m machine) Stat(name string) (host.Stat, error)          { return m.server.Stat(m.at(name)) }
func (m machine) Lstat(name string) (host.Stat, error)         { return m.server.Lstat(m.at(name)) }
func (m machine) ReadDir(name string) ([]host.DirEntry, error) { return m.server.ReadDir(m.at(name)) }
func (m machine) OpenTree(name string) (host.DirReader, error) { return m.server.OpenTree(m.at(name)) }

// cutJournal is a journal that takes so many records more, as of a run that is killed then.
type cutJournal struct {
	*journal.Log
	left, taken int
}

func (c *cutJournal) Append(typ string, data any) (uint64, error) {
	if c.left == 0 {
		return 0, errKilled
	}
	c.left--
	c.taken++
	return c.Log.Append(typ, data)
}

func (c *cutJournal) AppendLazy(typ string, data any) (uint64, error) {
	if c.left == 0 {
		return 0, errKilled
	}
	return c.Log.AppendLazy(typ, data)
}

func (c *cutJournal) AppendWithNext(typ string, data any) error {
	if c.left == 0 {
		return errKilled
	}
	return c.Log.AppendWithNext(typ, data)
}

// offlineRun is a run of offlineBook.
type offlineRun struct {
	t    *testing.T
	s    *server
	book *runbook.Runbook
	n    int // of runs so far
	told []string

	keeper  *state.Keeper
	records []byte
}

// does has the engine do something with the run, whose journal takes so many records more; -1 for all.
func (r *offlineRun) does(mode string, h host.Host, left int, do func(context.Context, engine.Config) story.Verdict) (v story.Verdict, taken int) {
	r.t.Helper()
	log, previous := journal.Memory("test", time.Now), []journal.Record(nil)
	if r.records != nil {
		var damage *journal.Damage
		var err error
		log, previous, damage, err = journal.OpenMemory(r.records, time.Now)
		if err != nil || damage != nil {
			r.t.Fatal(err, damage)
		}
	}
	cut := &cutJournal{Log: log, left: left}
	v = do(context.Background(), engine.Config{
		Mode: mode, ID: "r1", Runbook: r.book, Host: h, HostLabel: "this machine", Dir: fmt.Sprintf("%s/own/runs/%d", r.s.dir, r.n),
		Params:  map[string]string{"socket": r.s.conn.URLs[0], "dump_dir": r.s.path("export")},
		Secrets: map[string]host.Secret{"password": r.s.conn.Password},
		Journal: cut, Keeper: r.keeper, Version: "test", Now: time.Now, Previous: previous, Stop: make(chan struct{}),
		Emit: func(e story.Event) {
			if e.Finding != nil {
				r.told = append(r.told, e.Finding.Title+": "+e.Finding.Reason)
			}
		},
	})
	r.records = bytes.Clone(log.Bytes())
	return v, cut.taken
}

func (r *offlineRun) begin() { r.n, r.records, r.keeper, r.told = r.n+1, nil, state.Memory(), nil }

func (r *offlineRun) ends(what string, v story.Verdict) {
	r.t.Helper()
	if v.Code != exit.Done {
		r.t.Fatalf("%s: %+v\n%q", what, v, r.told)
	}
}

// configuration is what the server's configuration says, by file.
func (s *server) configuration() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.conf", "*.schema"} {
		names, err := filepath.Glob(s.path(pattern))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				s.t.Fatal(err)
			}
			all[filepath.Base(name)] = string(text)
		}
	}
	return all
}

// ownLines are those of an entry without what its server notes: a simulated one that has loaded an export tells them all.
func ownLines(text string) string {
	noted := []string{"createTimestamp", "creatorsName", "entryCSN", "entryDN", "hasSubordinates", "modifiersName", "modifyTimestamp", "structuralObjectClass", "subschemaSubentry", "contextCSN"}
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		name, _, _ := strings.Cut(line, ": ")
		return slices.Contains(noted, name)
	})
	return strings.Join(lines, "\n")
}

// TestOfflineRun has the stock runbooks' own steps convert the files of a real server: what a simulation foretells is what
// comes; it goes back to the start; and killed at some record of the journal, resumed or taken back at once, it comes to
// the same ends.
func TestOfflineRun(t *testing.T) {
	want := site(60)
	s := zarafaOnly(t, "slapd.conf", ldifOf(want))
	for _, name := range []string{"default", "own"} {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("default/slapd", "SLAPD_CONF="+s.config+"\n")
	s.write("offline.star", strings.Replace(offlineBook, "DUMPS", s.path("export"), 1))
	book, err := runbook.Load(t.Context(), script.LoadOptions{Name: "offline.star", Dir: s.dir, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(script.ErrorInfoOf(err))
	}
	s.start()
	r := &offlineRun{t: t, s: s, book: book}
	real := withPackages{machine{s}}
	start, times, config := contents(t, s, s.conn), s.times(), s.configuration()
	isStart := func(what string) {
		t.Helper()
		if now := contents(t, s, s.conn); !maps.Equal(now, start) {
			check(t, what, now, want, isOld)
			t.Fatalf("%s: entries were exchanged", what)
		}
		if !maps.Equal(s.times(), times) || !maps.Equal(s.configuration(), config) {
			t.Fatalf("%s: the times of entries, or the configuration, are not what they were: %q", what, s.configuration())
		}
	}

	over, err := sim.FromView(real, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	r.begin()
	v, _ := r.does("simulate", over, -1, engine.Execute)
	r.ends("simulated", v)
	foretold := contents(t, over, s.conn)
	foretoldConf, err := over.Open(s.config)
	if err != nil {
		t.Fatal(err)
	}
	defer foretoldConf.Close()
	var conf bytes.Buffer
	if _, err := conf.ReadFrom(foretoldConf); err != nil {
		t.Fatal(err)
	}
	isStart("after a simulation")

	r.begin()
	v, records := r.does("run", real, -1, engine.Execute)
	r.ends("run", v)
	isEnd := func(what string) {
		t.Helper()
		now := contents(t, s, s.conn)
		check(t, what, now, want, isNew)
		for id, text := range now {
			if told := ownLines(foretold[id]); told != text {
				t.Fatalf("%s: an entry is\n%s\nforetold\n%s", what, text, told)
			}
		}
		if len(now) != len(foretold) || s.configuration()["slapd.conf"] != conf.String() {
			t.Fatalf("%s: %d entries, foretold %d; slapd.conf is\n%s\nforetold\n%s", what, len(now), len(foretold), s.configuration()["slapd.conf"], conf.String())
		}
		if !maps.Equal(s.times(), times) {
			t.Fatalf("%s: what the server notes of its entries has changed", what)
		}
	}
	isEnd("converted")
	back := func(ctx context.Context, cfg engine.Config) story.Verdict { return engine.Rollback(ctx, cfg, "") }
	v, _ = r.does("run", real, -1, back)
	r.ends("taken back", v)
	isStart("taken back")

	begun, points := time.Now(), []int{chance.Rand(t, 0).IntN(records)}
	if chance.Nothing() {
		for points = nil; len(points) < records; {
			points = append(points, len(points))
		}
	}
	for _, at := range points {
		for _, resumed := range []bool{true, false} {
			r.begin()
			if v, _ = r.does("run", real, at, engine.Execute); v.Code == exit.Done {
				t.Fatalf("killed after %d of %d records, it is done: %+v", at, records, v)
			}
			if resumed {
				v, _ = r.does("run", real, -1, engine.Execute)
				r.ends("resumed", v)
				isEnd("resumed")
			}
			v, _ = r.does("run", real, -1, back)
			r.ends("taken back after a kill", v)
			if s.cmd == nil {
				t.Fatalf("killed after %d records and taken back, the server does not run", at)
			}
			isStart("taken back after a kill")
		}
	}
	chance.Figures(t, begun, "an offline conversion of %d records killed at %d, resumed and taken back", records, len(points))
}
