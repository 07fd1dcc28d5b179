package action_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// logging is a service that says lines, one each time that its log is looked at.
type logging struct {
	scripted
	lines []string
}

func (l *logging) LogEnd(context.Context, string, string) host.LogMark {
	return host.LogMark{Size: int64(l.looks["said"])}
}

func (l *logging) LogSince(_ context.Context, _, _ string, from host.LogMark) host.LogPart {
	said := min(l.n("said"), len(l.lines))
	return host.LogPart{Lines: l.lines[min(int(from.Size), said):said], Seen: true, End: host.LogMark{Size: int64(said)}}
}

var rules = action.Failures{
	Passes: []string{"disconnected"}, Stops: []string{"no session", "half served"}, Warns: []string{`\[error *\]`},
}

// judged is a start whose log is looked at.
func judged(t *testing.T) *action.Service {
	a := start(t, 118)
	a.Works.Failures, a.Works.Patience = &rules, time.Minute
	return a
}

// busy keeps a service from answering until its log was read n times.
func (l *logging) busy(n int) *logging {
	l.answer = func(int) error {
		if l.looks["said"] < n {
			return errRefused
		}
		return nil
	}
	return l
}

func TestLogTellsOfFailures(t *testing.T) {
	h := (&logging{scripted: scripted{Host: server(t, "server")}, lines: []string{
		"a: [error  ] Client disconnected", "b: [notice ] ready", "c: [error  ] a plugin is missing", "c: [error  ] a plugin is missing",
	}}).busy(4)
	a := judged(t)
	e := env(h, nil)
	if _, err := a.Prepare(e); err != nil {
		t.Fatal(err)
	}
	result, err := a.Apply(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := result.Values["failures"].([]string); !slices.Equal(got, []string{"c: [error  ] a plugin is missing"}) || !strings.Contains(result.Summary, "shows failures") {
		t.Errorf("%+v", result)
	}
}

// TestLogStopsAStart quotes the line; who goes on starts behind it, since it was repaired or does not matter.
func TestLogStopsAStart(t *testing.T) {
	h := (&logging{scripted: scripted{Host: server(t, "server")}, lines: []string{"[notice ] begins", "[error  ] no session: logon failed"}}).busy(3)
	a := judged(t)
	e := env(h, nil)
	e.Mark = func(v any) error {
		data, err := json.Marshal(v)
		e.Marks = append(e.Marks, data)
		return err
	}
	err := perform(t, a, e)
	if err == nil || !strings.Contains(err.Error(), `its log says "[error  ] no session: logon failed"`) || !strings.Contains(err.Error(), "/var/log/server.log") {
		t.Fatalf("got %v", err)
	}
	if _, err := a.Apply(e); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// talker says its next line while it is started, and no other.
type talker struct{ *logging }

func (t talker) LogSince(_ context.Context, _, _ string, from host.LogMark) host.LogPart {
	said := t.looks["said"]
	return host.LogPart{Lines: t.lines[from.Size:said], Seen: true, End: host.LogMark{Size: int64(said)}}
}

func (t talker) StartService(ctx context.Context, name string) error {
	t.n("said")
	return t.logging.StartService(ctx, name)
}

// TestLogOfASecondStart: what a service that is started once more says while it comes up is of this start, though a failure
// of the first was told.
func TestLogOfASecondStart(t *testing.T) {
	h := talker{&logging{scripted: scripted{Host: server(t, "server")}, lines: []string{"[error  ] no session: logon failed", "[error  ] no session: logon failed again"}}}
	a := judged(t)
	e := env(h, nil)
	e.Mark = func(v any) error {
		data, err := json.Marshal(v)
		e.Marks = append(e.Marks, data)
		return err
	}
	if err := perform(t, a, e); err == nil || !strings.Contains(err.Error(), "logon failed") {
		t.Fatalf("got %v", err)
	}
	if err := h.StopService(t.Context(), "server", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Apply(e); err == nil || !strings.Contains(err.Error(), "logon failed again") {
		t.Errorf("a second time: %v", err)
	}
}

// TestOldLinesAreOfNoMatter, nor is what an earlier process has said.
func TestOldLinesAreOfNoMatter(t *testing.T) {
	h := &logging{scripted: scripted{Host: server(t, "server")}, lines: []string{"[error  ] no session"}}
	h.n("said")
	if err := perform(t, judged(t), env(h, nil)); err != nil {
		t.Error(err)
	}
}

// TestLogSinceTheFirstStart: a service that was started leniently, and runs, is judged from that start on.
func TestLogSinceTheFirstStart(t *testing.T) {
	h := &logging{scripted: scripted{Host: server(t, "server")}, lines: []string{"half served"}}
	e := env(h, nil)
	e.Logs = map[string]host.LogMark{}
	lenient := &action.Service{Name: "server", Active: new(true), Lenient: true, Works: &action.Works{Failures: &rules}}
	if err := perform(t, lenient, e); err != nil {
		t.Fatal(err)
	}
	h.n("said")
	again := &action.Service{Name: "server", Active: new(true), Works: &action.Works{Failures: &rules}}
	if err := perform(t, again, e); err == nil || !strings.Contains(err.Error(), "half served") {
		t.Errorf("got %v", err)
	}
}
