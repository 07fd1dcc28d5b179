package action_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// young has one process, which was started when the test began.
func young(h *scripted) func(int) []host.Process {
	started := h.Now()
	return func(int) []host.Process { return []host.Process{{PID: 7, Name: "server", Started: started}} }
}

// TestGuardWaitsForTheLock: a server that was started just now gets its lock only when it has reached its
// database; a stop before that would hit it in the middle of its work.
func TestGuardWaitsForTheLock(t *testing.T) {
	stop := &action.Service{Name: "server", Active: new(false), Before: host.Service{Active: true}}
	h := &scripted{Host: server(t, "server active"), answer: func(int) error { return errRefused }}
	h.processes = young(h)
	h.lock = func(n int) *host.ServiceLock {
		if n < 4 {
			return nil
		}
		return &host.ServiceLock{Path: lockPath, Since: h.Now(), Holder: host.Process{PID: 7}}
	}
	var ticks []action.Progress
	var busy *action.Busy
	if _, err := stop.Apply(env(h, &ticks)); !errors.As(err, &busy) || h.stopped != 0 {
		t.Errorf("%v; stopped %d times", err, h.stopped)
	}
	if len(ticks) == 0 || !strings.Contains(ticks[len(ticks)-1].Text, "no lock yet") {
		t.Errorf("what it waits for is not told: %+v", ticks)
	}

	h.lock = func(int) *host.ServiceLock { return nil }
	asked := h.looks["ask"]
	h.answer = func(n int) error {
		if n < asked+4 {
			return errRefused
		}
		return nil
	}
	h.processes = young(h)
	if _, err := stop.Apply(env(h, nil)); err != nil || h.stopped != 1 || h.looks["ask"] < asked+4 {
		t.Errorf("one that answers in the end: %v; stopped %d times", err, h.stopped)
	}
}

// TestGuardDoesNotWaitForEver: one that neither answers nor has a lock can be stopped in the end.
func TestGuardDoesNotWaitForEver(t *testing.T) {
	h := &scripted{Host: server(t, "server active"), answer: func(int) error { return errRefused }}
	h.processes = young(h)
	h.lock = func(int) *host.ServiceLock { return nil }
	before := h.Now()
	if _, err := (&action.Service{Name: "server", Active: new(false)}).Apply(env(h, nil)); err != nil || h.stopped != 1 {
		t.Errorf("%v; stopped %d times", err, h.stopped)
	}
	if waited := h.Now().Sub(before); waited < time.Minute || waited > 5*time.Minute {
		t.Errorf("it waited %v of the host's time", waited)
	}
}

// spared looks, within a stop, whether systemd may kill.
type spared struct {
	scripted
	file   string
	during bool
	err    error
}

func (s *spared) StopService(ctx context.Context, name string, patience time.Duration) error {
	_, err := s.Lstat(s.file)
	s.during = err == nil
	if s.err != nil {
		return s.err
	}
	return s.scripted.StopService(ctx, name, patience)
}

// TestGuardedStopKillsNothing: what begins with its work when it has been told to stop already, is not killed by systemd.
func TestGuardedStopKillsNothing(t *testing.T) {
	const file = "/run/systemd/system/server.service.d/zcp2kopano.conf"
	h := &spared{scripted: scripted{Host: server(t, "server active")}, file: file}
	for _, dir := range []string{"/run/systemd", "/run/systemd/system"} {
		if err := h.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.lock = func(n int) *host.ServiceLock {
		if h.during {
			return &host.ServiceLock{Path: lockPath, Since: h.Now(), Holder: host.Process{PID: 7}}
		}
		return nil
	}
	h.err = host.StillRunning("server", time.Minute, nil)
	stop := &action.Service{Name: "server", Active: new(false), Before: host.Service{Active: true}}
	var busy *action.Busy
	if _, err := stop.Apply(env(h, nil)); !errors.As(err, &busy) || !h.during {
		t.Errorf("%v; spared: %v", err, h.during)
	}
	if _, err := h.Lstat("/run/systemd/system/server.service.d"); err == nil {
		t.Error("the file that spares it is left behind")
	}
}
