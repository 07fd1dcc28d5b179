package session

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

func appendEvents(t *testing.T, r state.Run, events ...story.Event) {
	t.Helper()
	f, err := os.OpenFile(r.Events(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		// in two writes: a follower meets half a line
		for _, part := range [][]byte{data[:len(data)/2], append(data[len(data)/2:], '\n')} {
			if _, err := f.Write(part); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFollowUntilTheVerdict(t *testing.T) {
	r := state.Run{ID: "x", Path: t.TempDir()}
	go func() {
		time.Sleep(2 * lookPause) // the file is not there at first
		for _, text := range []string{"a", "b", "c"} {
			appendEvents(t, r, story.Event{Kind: story.Output, Text: text})
			time.Sleep(lookPause / 2)
		}
		appendEvents(t, r, story.Event{Kind: story.VerdictGiven, Verdict: &story.Verdict{Code: 2}},
			story.Event{Kind: story.Output, Text: "of a later attempt"})
	}()
	got := ""
	v, err := Follow(t.Context(), r, 0, func() bool { return true }, func(e story.Event) { got += e.Text })
	if err != nil || v == nil || v.Code != 2 || got != "abc" {
		t.Errorf("got %q, %v, %v", got, v, err)
	}
}

func TestFollowTheDead(t *testing.T) {
	r := state.Run{ID: "x", Path: t.TempDir()}
	dead := func() bool { return false }
	if v, err := Follow(t.Context(), r, 0, dead, nil); v != nil || err != nil {
		t.Errorf("without events: %v, %v", v, err)
	}
	appendEvents(t, r, story.Event{Kind: story.Output, Text: "last words"})
	got := ""
	v, err := Follow(t.Context(), r, 0, dead, func(e story.Event) { got += e.Text })
	if v != nil || err != nil || got != "last words" {
		t.Errorf("got %q, %v, %v", got, v, err)
	}
}

func TestFollowStopsWithItsContext(t *testing.T) {
	r := state.Run{ID: "x", Path: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(lookPause, cancel)
	if _, err := Follow(ctx, r, 0, func() bool { return true }, nil); err == nil {
		t.Error("no error")
	}
}

func TestLastBegin(t *testing.T) {
	r := state.Run{ID: "x", Path: t.TempDir()}
	if at, err := LastBegin(r); at != 0 || err != nil {
		t.Errorf("without events: %d, %v", at, err)
	}
	appendEvents(t, r, story.Event{Kind: story.RunBegin}, story.Event{Kind: story.Output, Text: "old"})
	want := End(r)
	appendEvents(t, r, story.Event{Kind: story.RunBegin}, story.Event{Kind: story.Output, Text: "new"})
	if at, err := LastBegin(r); at != want || err != nil {
		t.Errorf("begins at %d, want %d (%v)", at, want, err)
	}
}

func TestSignals(t *testing.T) {
	ctx, stop, release := onSignals(context.Background(), nil)
	defer release()
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("a hangup is not ignored")
	}
	self := os.Getpid()
	syscall.Kill(self, syscall.SIGTERM)
	<-stop
	syscall.Kill(self, syscall.SIGINT)
	<-ctx.Done()
}

// A second SIGTERM may come of a supervisor, and be passed on by a parent: it breaks nothing off. (If
// it did, nobody would be there to take the last signal, and the test would never end.) Two SIGINTs may come as one, and so
// who passes them on says it in another way.
func TestOnlyInterruptBreaksOff(t *testing.T) {
	for _, come := range [][]os.Signal{
		{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT},
		{syscall.SIGINT, breakOff},
		{breakOff},
	} {
		signals, ended := make(chan os.Signal), make(chan struct{})
		var heard []string
		go func() {
			defer close(ended)
			heed(signals, nil, func(os.Signal, int) {}, func() { heard = append(heard, "ask") }, func() { heard = append(heard, "break off") })
		}()
		for _, s := range come {
			signals <- s
		}
		<-ended
		if got := strings.Join(heard, ", "); got != "ask, break off" {
			t.Errorf("%v: heard %s", come, got)
		}
	}
}

// TestBreakOffIsNotLost has a worker that does not get to take its signals stopped and broken off at once.
func TestBreakOffIsNotLost(t *testing.T) {
	w := &Worker{cmd: exec.Command("/bin/sh", "-c", "trap 'echo asked' INT; trap 'echo broken off; exit' USR1; kill -STOP $$; while :; do sleep 0.1; done")}
	var out strings.Builder
	w.cmd.Stdout = &out
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid)
	for {
		if data, err := os.ReadFile(stat); err != nil || strings.Contains(string(data), ") T ") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Stop(syscall.SIGINT)
	w.BreakOff()
	w.Stop(syscall.SIGCONT)
	_ = w.cmd.Wait()
	if !strings.Contains(out.String(), "broken off") {
		t.Errorf("the worker took %q", out.String())
	}
}

func TestProgressIsThinnedOut(t *testing.T) {
	n := 0
	tell := seldom(func(story.Event) { n++ })
	begin := time.Date(2015, 8, 30, 22, 10, 0, 0, time.UTC)
	for i := range 1000 { // within two seconds
		tell(story.Event{Kind: story.ProgressMade, Time: begin.Add(time.Duration(i) * 2 * time.Millisecond), Progress: &action.Progress{}})
	}
	tell(story.Event{Kind: story.ChangeEnd})
	if n != 4 { // at 0, 0.9 and 1.8 s, and the end
		t.Errorf("%d events, want 4", n)
	}
}

func TestAdoptLock(t *testing.T) {
	d := state.Dir{Path: filepath.Join(t.TempDir(), "state")}
	lock, err := AdoptLock(d, state.Holder{PID: 1}) // nothing was passed on: it is taken
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if h, err := d.Holder(); err != nil || h == nil {
		t.Errorf("holder %v, %v", h, err)
	}
}

func TestScopeIsNotTheWorkersWords(t *testing.T) {
	for said, want := range map[string]string{
		"Running scope as unit: zcp2kopano-20261125-1-7.scope\nerror: no such run\n": "error: no such run\n",
		"Running as unit zcp2kopano-20261125-1-7.scope.\n":                           "",
		"Running out of memory\n":                                                    "Running out of memory\n",
		"":                                                                           "",
	} {
		if got := withoutScope(said); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
	}
}

// Only a worker that a signal ended had not begun to heed it.
func TestStoppedEarly(t *testing.T) {
	for script, want := range map[string]bool{
		"kill -INT $$": true, "kill -TERM $$": true, "kill -USR1 $$": true, "kill -KILL $$": false, "exit 130": false, "exit 0": false,
	} {
		w := &Worker{cmd: exec.Command("/bin/sh", "-c", script), ended: make(chan struct{})}
		_ = w.cmd.Run()
		close(w.ended)
		if got := w.StoppedEarly(); got != want {
			t.Errorf("%s: %v", script, got)
		}
	}
}
