package live

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// All who move something share the limit. The clock is the test's own.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, each = 1_000_000, 5_000_000
		wait := (&Host{}).Limiter(perSecond)
		begun := time.Now()
		var lanes sync.WaitGroup
		for range 4 {
			lanes.Go(func() {
				for range each / 250_000 { // more than may be moved at once
					if err := wait(t.Context(), 250_000); err != nil {
						t.Error(err)
					}
				}
			})
		}
		lanes.Wait()
		took, want := time.Since(begun), 4*each/perSecond*time.Second
		if took < want-time.Second || took > want {
			t.Errorf("%v, want %v", took, want)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := wait(ctx, each); !errors.Is(err, context.Canceled) {
			t.Errorf("a wait that is broken off: %v", err)
		}
	})
}

// A limit of a byte a second lets one byte through.
func TestLeastLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait, begun := (&Host{}).Limiter(1), time.Now()
		if err := wait(t.Context(), 10); err != nil || time.Since(begun) != 9*time.Second {
			t.Errorf("%v, %v", err, time.Since(begun))
		}
	})
}

// What a dump reads from its tool is what the limit counts, both ways in which it comes.
func TestDumpHoldsToTheLimit(t *testing.T) {
	text := bytes.Repeat([]byte("INSERT INTO x VALUES (1);\n"), 10_000)
	for name, feed := range map[string]func(s *dumpScanner) error{
		"written": func(s *dumpScanner) error { _, err := s.Write(text); return err },
		"read":    func(s *dumpScanner) error { _, err := s.ReadFrom(bytes.NewReader(text)); return err },
	} {
		var moved int
		full := errors.New("enough")
		for _, fails := range []error{nil, full} {
			var out bytes.Buffer
			p, err := newPacker("none", &out)
			if err != nil {
				t.Fatal(err)
			}
			moved = 0
			s := &dumpScanner{out: p, limit: func(n int) error { moved += n; return fails }}
			if err := feed(s); !errors.Is(err, fails) {
				t.Errorf("%s: %v, want %v", name, err, fails)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if fails == nil && moved != len(text) {
				t.Errorf("%s: %d bytes were counted, of %d", name, moved, len(text))
			}
		}
	}
}

// Every thread of the process gives way, and a thread that comes later, and each is as before when that ends. Idle time
// alone is for who asks for it.
func TestGiveWay(t *testing.T) {
	for idle, allowed := range map[bool][]uintptr{false: {ioprioBestEffort}, true: {ioprioIdle, ioprioBestEffort}} {
		before := priorities(t)
		end := (&Host{}).GiveWay(idle)
		for tid, p := range priorities(t) {
			if !slices.Contains(allowed, p) {
				t.Errorf("idle %t: thread %d has priority %#x", idle, tid, p)
			}
		}
		come := make(chan uintptr)
		go func() {
			runtime.LockOSThread() // a thread that no other work is done on, and that ends with it
			come <- priorityOf(t, unix.Gettid())
		}()
		if p := <-come; !slices.Contains(allowed, p) {
			t.Errorf("idle %t: a new thread has priority %#x", idle, p)
		}
		end()
		end() // once is enough
		for tid, p := range priorities(t) {
			if was, known := before[tid]; known && p != was {
				t.Errorf("idle %t: thread %d has priority %#x, had %#x", idle, tid, p, was)
			}
		}
	}
}

// priorities are those of all threads.
func priorities(t *testing.T) map[int]uintptr {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]uintptr{}
	for _, e := range list {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if p := priorityOf(t, tid); p != departed {
			all[tid] = p
		}
	}
	return all
}

const departed = ^uintptr(0)

func priorityOf(t *testing.T, tid int) uintptr {
	p, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioThread, uintptr(tid), 0)
	if errno == unix.ESRCH {
		return departed
	}
	if errno != 0 {
		t.Error(errno)
	}
	return p
}
