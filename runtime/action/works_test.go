package action_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/state"
)

const lockPath = "/tmp/server-upgrade-lock"

// server is a fixture of one service; line is its line in the section "services".
func server(t *testing.T, line string) *sim.Host {
	t.Helper()
	f, err := sim.ReadFixture([]byte(`-- host --
init: systemd
manager: apt 1.0.9.8.4
-- /lib/systemd/system/server.service --
[Service]
ExecStart=/usr/sbin/server
[Install]
WantedBy=multi-user.target
-- /lib/systemd/system/other.service --
[Service]
ExecStart=/usr/sbin/server
-- packages --
Package: tool
Version: 1
-- tree --
f0755 root:root 1K - /usr/sbin/server
-- database --
? SELECT MAX(revision) AS value FROM versions
value
64

-- services --
` + line + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// scripted is a host whose service does what a test says, each time that it is looked at.
type scripted struct {
	*sim.Host
	processes func(n int) []host.Process
	answer    func(n int) error
	revision  func(n int) int64
	lock      func(n int) *host.ServiceLock
	looks     map[string]int
	started   int
	stopped   int
}

func (s *scripted) n(what string) int {
	if s.looks == nil {
		s.looks = map[string]int{}
	}
	s.looks[what]++
	return s.looks[what]
}

func (s *scripted) StartService(ctx context.Context, name string) error {
	s.started++
	return s.Host.StartService(ctx, name)
}

func (s *scripted) StopService(ctx context.Context, name string, patience time.Duration) error {
	s.stopped++
	return s.Host.StopService(ctx, name, patience)
}

func (s *scripted) ServiceProcesses(name string) ([]host.Process, error) {
	if s.processes == nil {
		return s.Host.ServiceProcesses(name)
	}
	return s.processes(s.n("processes")), nil
}

func (s *scripted) Ask(ctx context.Context, q host.Question) (string, error) {
	if s.answer == nil {
		return s.Host.Ask(ctx, q)
	}
	return "", s.answer(s.n("ask"))
}

func (s *scripted) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	if s.revision == nil {
		return s.Host.Revision(ctx, q)
	}
	return s.revision(s.n("revision")), nil
}

func (s *scripted) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	if s.lock == nil {
		return s.Host.ServiceLock(service, paths)
	}
	return s.lock(s.n("lock")), nil
}

func (s *scripted) ServiceTrace(context.Context, string, string) host.Trace {
	return host.Trace{Log: "/var/log/server.log", Lines: []string{"Start: step", "Duplicate column name"}, End: "exit status 255"}
}

func env(h host.Host, ticks *[]action.Progress) *action.Env {
	return &action.Env{
		Ctx: context.Background(), Host: h, Store: &action.Store{Host: h, Dir: "/var/lib/x/backup"}, Secrets: state.Memory(),
		Progress: func(p action.Progress) {
			if ticks != nil {
				*ticks = append(*ticks, p)
			}
		},
		Mark:   func(any) error { return nil },
		Guards: []action.Guard{{Service: "server", Locks: []string{lockPath}, Doing: "upgrades its database", Asks: "http+unix:/run/server.sock"}},
	}
}

func question(t *testing.T, text string) host.Question {
	t.Helper()
	q, err := host.ParseQuestion("server", text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func start(t *testing.T, target int64) *action.Service {
	t.Helper()
	return &action.Service{Name: "server", Active: new(true), Works: &action.Works{
		Questions: []host.Question{question(t, "http+unix:/run/server.sock")},
		Upgrade:   &action.Upgrade{Query: "SELECT MAX(revision) AS value FROM versions", Target: target, Locks: []string{lockPath}},
	}}
}

// perform stages, prepares and applies.
func perform(t *testing.T, a action.Action, e *action.Env) error {
	t.Helper()
	if err := a.Stage(e); err != nil {
		t.Fatal(err)
	}
	needed, err := a.Prepare(e)
	if err != nil || !needed {
		t.Fatalf("needed %v (%v)", needed, err)
	}
	_, err = a.Apply(e)
	return err
}

var errRefused = errors.New("connection refused")

// TestStartWaitsForTheWork: active is not enough; the request has to be answered, the database to be at its
// revision, and the lock to be gone.
func TestStartWaitsForTheWork(t *testing.T) {
	h := &scripted{Host: server(t, "server")}
	h.lock = func(n int) *host.ServiceLock {
		if n <= 3 {
			return &host.ServiceLock{Path: lockPath, Holder: host.Process{PID: 1}}
		}
		return nil
	}
	h.revision = func(n int) int64 { return min(64+int64(n)*9, 118) }
	h.answer = func(n int) error {
		if n < 4 {
			return errRefused
		}
		return nil
	}
	var ticks []action.Progress
	a := start(t, 118)
	if err := perform(t, a, env(h, &ticks)); err != nil {
		t.Fatal(err)
	}
	if h.looks["ask"] < 4 || h.looks["revision"] < 6 {
		t.Errorf("looked %v", h.looks)
	}
	if last := ticks[len(ticks)-1]; a.From != 73 || last.Done != 118-73 || last.Total != 118-73 {
		t.Errorf("from revision %d, the last progress is %+v", a.From, last)
	}
	var told strings.Builder
	for _, p := range ticks {
		told.WriteString(p.Text + "\n")
	}
	for _, text := range []string{"under its lock " + lockPath, "database at revision 82 of 118", "connection refused", "log: Duplicate column name"} {
		if !strings.Contains(told.String(), text) {
			t.Errorf("%q is not told:\n%s", text, told.String())
		}
	}
	if needed, err := a.Prepare(env(h, nil)); needed || err != nil {
		t.Errorf("a service that works is started once more: %v (%v)", needed, err)
	}
}

func TestStartFails(t *testing.T) {
	one := func(pid int) []host.Process { return []host.Process{{PID: pid, Name: "server"}} }
	for name, c := range map[string]struct {
		target int64
		h      scripted
		say    string
	}{
		"its process ends": {118, scripted{
			answer: func(int) error { return errRefused },
			processes: func(n int) []host.Process {
				if n < 4 {
					return one(7)
				}
				return nil
			},
		}, "its process 7 ended (exit status 255)"},
		"it is started again and again": {118, scripted{
			processes: func(n int) []host.Process { return one(n) },
			answer:    func(int) error { return errRefused },
		}, "its process 1 ended, and 2 was started in its place"},
		"another database": {118, scripted{
			revision: func(int) int64 { return 64 },
		}, "stays at revision 64, where 118 was expected"},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.h
			h.Host = server(t, "server")
			err := perform(t, start(t, c.target), env(&h, nil))
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Fatalf("%v; want %q", err, c.say)
			}
			for _, text := range []string{"service server does not work", "/var/log/server.log", "Duplicate column name"} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v; it lacks %q", err, text)
				}
			}
		})
	}
}

// TestStartedJustNow: a service that answers works only if its process is there some seconds later.
func TestStartedJustNow(t *testing.T) {
	h := &scripted{Host: server(t, "server"), revision: func(int) int64 { return 118 }}
	began := h.Now()
	h.processes = func(int) []host.Process {
		if h.Now().Sub(began) >= 3*time.Second {
			return nil
		}
		return []host.Process{{PID: 7, Name: "server", Started: began}}
	}
	if err := perform(t, start(t, 118), env(h, nil)); err == nil || !strings.Contains(err.Error(), "its process 7 ended") {
		t.Errorf("got %v", err)
	}
}

// TestStartOfAFixture: what a fixture says of a service is how its start ends.
func TestStartOfAFixture(t *testing.T) {
	for line, say := range map[string]string{
		"server mute":     "it never answers",
		"server dies":     "should be running",
		"server upgrades": "",
	} {
		a := start(t, 118)
		e := env(server(t, line), nil)
		stop := make(chan struct{})
		close(stop)
		if say == "" { // it would wait for ever
			e.Stop = stop
			if err := perform(t, a, e); !errors.Is(err, action.ErrStopped) {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if err := perform(t, a, e); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v; want %q", line, err, say)
		}
	}
}

// TestUnknownTarget: of a release that nobody knows the revision has to stop moving.
func TestUnknownTarget(t *testing.T) {
	h := &scripted{Host: server(t, "server"), revision: func(n int) int64 { return min(64+int64(n), 80) }}
	if err := perform(t, start(t, 0), env(h, nil)); err != nil {
		t.Fatal(err)
	}
	if h.looks["revision"] < 20 {
		t.Errorf("it was content after %d looks", h.looks["revision"])
	}
}

// TestPredictedRevision: in a simulation the database is then at the target.
func TestPredictedRevision(t *testing.T) {
	h := server(t, "server")
	if err := perform(t, start(t, 118), env(h, nil)); err != nil {
		t.Fatal(err)
	}
	rows, err := h.Query(context.Background(), host.DatabaseConn{}, "SELECT MAX(revision) AS value FROM versions")
	if n, _ := rows.Number(); n != 118 || err != nil {
		t.Errorf("revision %d (%v)", n, err)
	}
}

// TestBrokenOffWait: the service goes on, and the wait can be gone on with: nothing is started or stopped.
func TestBrokenOffWait(t *testing.T) {
	h := &scripted{Host: server(t, "server"), answer: func(int) error { return errRefused }}
	stop := make(chan struct{})
	e := env(h, nil)
	e.Stop = stop
	e.Progress = func(p action.Progress) {
		if strings.Contains(p.Text, "refused") && h.looks["ask"] == 3 {
			close(stop)
		}
	}
	a := start(t, 118)
	if err := perform(t, a, e); !errors.Is(err, action.ErrStopped) {
		t.Fatalf("got %v", err)
	}
	h.answer = nil
	if _, err := a.Apply(env(h, nil)); err != nil {
		t.Fatal(err)
	}
	if h.started != 1 || h.stopped != 0 {
		t.Errorf("started %d times, stopped %d times", h.started, h.stopped)
	}
}

func TestPatience(t *testing.T) {
	h := &scripted{Host: server(t, "server"), answer: func(int) error { return errRefused }}
	a := start(t, 118)
	a.Works.Patience = 30 * time.Second
	if err := perform(t, a, env(h, nil)); err == nil || !strings.Contains(err.Error(), "30s after its start") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

// TestClockSetBack: a process that seems to have started in an hour, since the clock was set back, is waited for no longer
// than another one.
func TestClockSetBack(t *testing.T) {
	h := &scripted{Host: server(t, "server")}
	later := h.Now().Add(time.Hour)
	h.processes = func(int) []host.Process { return []host.Process{{PID: 7, Started: later}} }
	a := start(t, 118)
	a.Works.Patience = time.Minute
	if err := perform(t, a, env(h, nil)); err != nil {
		t.Error(err)
	}
}

// TestLenientStart reports the failure and goes on; the start behind it does not.
func TestLenientStart(t *testing.T) {
	h := server(t, "server masked")
	e := env(h, nil)
	lenient := &action.Service{Name: "server", Active: new(true), Lenient: true}
	if err := perform(t, lenient, e); err != nil {
		t.Fatal(err)
	}
	if err := perform(t, &action.Service{Name: "server", Active: new(true)}, e); err == nil {
		t.Error("it is said to run")
	}
}

// TestStoppedServiceServesAgain: undoing a stop holds the service to what it answered before, and to no more.
func TestStoppedServiceServesAgain(t *testing.T) {
	h := &scripted{Host: server(t, "server active")}
	imap, http := question(t, "imap://127.0.0.1:143"), question(t, "http+unix:/run/server.sock")
	h.answer = func(n int) error {
		if n == 1 {
			return errRefused // imap did not answer before
		}
		return nil
	}
	a := &action.Service{Name: "server", Active: new(false), Works: &action.Works{Questions: []host.Question{imap, http}}}
	e := env(h, nil)
	if err := perform(t, a, e); err != nil {
		t.Fatal(err)
	}
	if len(a.Served) != 1 || a.Served[0] != http {
		t.Fatalf("it answered %v", a.Served)
	}
	asked := h.looks["ask"]
	h.answer = func(n int) error {
		if n < asked+3 {
			return errRefused
		}
		return nil
	}
	if err := a.Undo(e); err != nil {
		t.Fatal(err)
	}
	if h.looks["ask"] < asked+3 {
		t.Error("it did not wait for the answer")
	}
	h.answer = func(int) error { return errRefused }
	if err := a.Undo(e); err == nil {
		t.Error("a service that does not serve any more counts as it was")
	}
}

// TestUnaskedIsNoAnswer: a question that could not be put tells nothing about the service, and that is said.
func TestUnaskedIsNoAnswer(t *testing.T) {
	h := &scripted{Host: server(t, "server active")}
	imap, http := question(t, "imap://127.0.0.1:143"), question(t, "http+unix:/run/server.sock")
	h.answer = func(n int) error {
		if n == 1 {
			return fmt.Errorf("%v: %w: too many open files", imap, host.ErrUnasked)
		}
		return errRefused
	}
	a := &action.Service{Name: "server", Active: new(false), Works: &action.Works{Questions: []host.Question{imap, http}}}
	e := env(h, nil)
	needed, err := a.Prepare(e)
	if err != nil || !needed {
		t.Fatalf("needed %v (%v)", needed, err)
	}
	result, err := a.Apply(e)
	if err != nil || len(a.Served) != 0 || len(result.Lines) != 1 || !strings.Contains(result.Lines[0], "too many open files") {
		t.Errorf("it served %v; it tells %q (%v)", a.Served, result.Lines, err)
	}
	if err := a.Undo(e); err != nil {
		t.Error(err)
	}
	if told := strings.Join(a.Told(), "\n"); !strings.Contains(told, "imap on 127.0.0.1:143") || strings.Contains(told, "server.sock") {
		t.Errorf("the way back tells %q", told)
	}
}

// TestGuard: nothing disturbs a service at its work, and what would says what it is at.
func TestGuard(t *testing.T) {
	h := &scripted{Host: server(t, "server active upgrades")}
	e := env(h, nil)
	stop := &action.Service{Name: "server", Active: new(false), Before: host.Service{Active: true}}
	started := &action.Service{Name: "server", Active: new(true)} // as a run has started it
	remove := &action.Commit{Tx: host.Transaction{Remove: []string{"tool"}}}
	for name, change := range map[string]func() error{
		"stop":           func() error { _, err := stop.Apply(e); return err },
		"undo a start":   func() error { return started.Undo(e) },
		"remove":         func() error { _, err := remove.Apply(e); return err },
		"undo a removal": func() error { return remove.Undo(e) },
		"reload":         func() error { _, err := (&action.Reload{Name: "server"}).Apply(e); return err },
	} {
		var busy *action.Busy
		err := change()
		if !errors.As(err, &busy) || !strings.Contains(err.Error(), "upgrades its database since") || !strings.Contains(err.Error(), lockPath) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.stopped != 0 {
		t.Error("it was stopped")
	}
	if err := (&action.Service{Name: "other", Active: new(false)}).Undo(e); err != nil {
		t.Errorf("another service is guarded, too: %v", err)
	}
	e.Kill = true
	if err := started.Undo(e); err != nil {
		t.Fatal(err)
	}
	if left, _ := h.ServiceProcesses("server"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestStaleLock: a lock that nobody holds keeps a service that answers from nothing, and is removed for the
// init script's sake; one that does not answer may be at work without a lock of its own.
func TestStaleLock(t *testing.T) {
	h := &scripted{Host: server(t, "server active")}
	e := env(h, nil)
	f, err := h.Create(lockPath, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	h.answer = func(int) error { return errRefused }
	a := &action.Service{Name: "server", Active: new(false)}
	var busy *action.Busy
	if _, err := a.Apply(e); !errors.As(err, &busy) || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v", err)
	}
	h.answer = nil
	if _, err := a.Apply(e); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Lstat(lockPath); err == nil || h.stopped != 1 {
		t.Errorf("stopped %d times; the lock: %v", h.stopped, err)
	}
}

// TestUnaskable: a wait without a limit ends where its question cannot be put, and not for one that passes.
func TestUnaskable(t *testing.T) {
	unasked := fmt.Errorf("http+unix:/run/server.sock: %w: permission denied", host.ErrUnasked)
	h := &scripted{Host: server(t, "server"), answer: func(n int) error {
		if n > 1000 {
			panic("the wait has no end")
		}
		return unasked
	}}
	if err := perform(t, start(t, 118), env(h, nil)); err == nil || !errors.Is(err, host.ErrUnasked) || !strings.Contains(err.Error(), "leave the service alone") {
		t.Errorf("got %v", err)
	}
	h = &scripted{Host: server(t, "server"), answer: func(n int) error {
		switch {
		case n > 200:
			return nil
		case n%50 == 0: // between two such times nobody listens
			return errRefused
		}
		return unasked
	}}
	if err := perform(t, start(t, 118), env(h, nil)); err != nil {
		t.Errorf("one that passes: %v", err)
	}
}
