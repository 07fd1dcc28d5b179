package session

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/state"
)

func appendEvents(t *testing.T, r state.Run, events ...runtime.Event) {
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
			appendEvents(t, r, runtime.Event{Kind: runtime.Output, Text: text})
			time.Sleep(lookPause / 2)
		}
		appendEvents(t, r, runtime.Event{Kind: runtime.VerdictGiven, Verdict: &runtime.Verdict{Code: 2}},
			runtime.Event{Kind: runtime.Output, Text: "of a later attempt"})
	}()
	got := ""
	v, err := Follow(t.Context(), r, 0, func() bool { return true }, func(e runtime.Event) { got += e.Text })
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
	appendEvents(t, r, runtime.Event{Kind: runtime.Output, Text: "last words"})
	got := ""
	v, err := Follow(t.Context(), r, 0, dead, func(e runtime.Event) { got += e.Text })
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
	appendEvents(t, r, runtime.Event{Kind: runtime.RunBegin}, runtime.Event{Kind: runtime.Output, Text: "old"})
	want := End(r)
	appendEvents(t, r, runtime.Event{Kind: runtime.RunBegin}, runtime.Event{Kind: runtime.Output, Text: "new"})
	if at, err := LastBegin(r); at != want || err != nil {
		t.Errorf("begins at %d, want %d (%v)", at, want, err)
	}
}

func TestSignals(t *testing.T) {
	ctx, stop, release := onSignals(context.Background())
	defer release()
	self := os.Getpid()
	syscall.Kill(self, syscall.SIGHUP)
	select {
	case <-stop:
		t.Fatal("a hangup stops the run")
	case <-time.After(50 * time.Millisecond):
	}
	syscall.Kill(self, syscall.SIGTERM)
	<-stop
	syscall.Kill(self, syscall.SIGTERM) // of a supervisor, say, and passed on by a parent
	select {
	case <-ctx.Done():
		t.Fatal("SIGTERM breaks the action off")
	case <-time.After(50 * time.Millisecond):
	}
	syscall.Kill(self, syscall.SIGINT)
	<-ctx.Done()
}

func TestProgressIsThinnedOut(t *testing.T) {
	var n atomic.Int32
	tell := seldom(func(runtime.Event) { n.Add(1) })
	for range 1000 {
		tell(runtime.Event{Kind: runtime.ProgressMade, Progress: &action.Progress{}})
	}
	tell(runtime.Event{Kind: runtime.ChangeEnd})
	if n.Load() != 2 {
		t.Errorf("%d events, want 2", n.Load())
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
