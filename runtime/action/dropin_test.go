package action

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// holdingHost is a host of rpm packages that looks, while packages come and go, which services systemd holds off.
type holdingHost struct {
	*fakeHost
	held [][]string // by transaction
	fail error
}

func (h *holdingHost) ReloadServices() error { return nil }

func (h *holdingHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	h.held = append(h.held, heldOff(h))
	if h.fail != nil {
		return h.fail
	}
	return h.fakeHost.CommitPackages(ctx, tx, w)
}

// heldOff are the services with such a file.
func heldOff(v host.View) []string {
	var held []string
	entries, _ := v.ReadDir(runtimeUnits)
	for _, e := range entries {
		if _, err := v.Lstat(runtimeUnits + "/" + e.Name + "/" + holding.name); err == nil {
			held = append(held, e.Name)
		}
	}
	return held
}

// TestStartsAreHeldOff: no service starts while packages of rpm come and go, on either way: that of a package that comes,
// and that of one which is put back. One that runs goes on, and nothing stays of it, whether it succeeds or fails.
func TestStartsAreHeldOff(t *testing.T) {
	fake := newFake()
	h := &holdingHost{fakeHost: fake}
	env := newEnv(h)
	zarafaInstalled(t, fake)
	fake.manager = host.PackageManager{Name: "yum"}
	fake.owned = map[string][]string{"zarafa-server": {"/usr/lib/systemd/system/zarafa-server.service", "/usr/lib/systemd/system/zarafa-agent.service"}}
	for _, file := range fake.owned["zarafa-server"] {
		put(t, fake, file, "", 0o644, 0, 0)
	}
	must(t, fake.PutDir(runtimeUnits, 0o755, 0, 0))
	fake.services["zarafa-server"] = host.Service{Name: "zarafa-server", Kind: "systemd"}
	fake.services["zarafa-agent"] = host.Service{Name: "zarafa-agent", Kind: "systemd", Active: true}
	a := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Install: []string{"kopano-server"}}}
	if changes, err := a.Prepare(env); err != nil || !changes {
		t.Fatalf("prepare: %v, %v", changes, err)
	}
	h.fail = errors.New("a full disk")
	if _, err := a.Apply(env); !errors.Is(err, h.fail) {
		t.Errorf("apply: %v", err)
	}
	h.fail = nil
	if left := heldOff(h); len(left) > 0 {
		t.Errorf("after a failure these are held off: %q", left)
	}
	_, err := a.Apply(env)
	must(t, err)
	must(t, a.Undo(env))
	for i, held := range h.held {
		for _, name := range []string{"kopano-common.service.d", "kopano-server.service.d", "zarafa-server.service.d"} {
			if !slices.Contains(held, name) {
				t.Errorf("transaction %d: %s is not among %q", i+1, name, held)
			}
		}
		if i < 2 && slices.Contains(held, "zarafa-agent.service.d") {
			t.Errorf("transaction %d: a service that runs is held off: %q", i+1, held)
		}
	}
	if len(h.held) < 4 { // twice on, and the packages of two on the way back
		t.Errorf("%d transactions", len(h.held))
	}
	if entries, _ := h.ReadDir(runtimeUnits); len(entries) > 0 {
		t.Errorf("left in %s: %v", runtimeUnits, entries)
	}
}

// stuckHost is a host on which one directory cannot be changed, or the services cannot be listed.
type stuckHost struct {
	*fakeHost
	stuck   string
	mute    bool
	reloads int
}

func (h *stuckHost) ReloadServices() error { h.reloads++; return nil }

func (h *stuckHost) OpenTreeWrite(name string) (host.Dir, error) {
	if name == h.stuck {
		return nil, errDisk
	}
	return h.fakeHost.OpenTreeWrite(name)
}

func (h *stuckHost) Services(pattern string) ([]host.Service, error) {
	if h.mute {
		return nil, errDisk
	}
	return h.fakeHost.Services(pattern)
}

// TestNothingStaysHeldOff: whatever fails, all services are let go that can be, and systemd is told.
func TestNothingStaysHeldOff(t *testing.T) {
	const stuck = runtimeUnits + "/a.service.d"
	for name, c := range map[string]struct {
		stuck string
		mute  bool
		left  []string
	}{
		"one cannot be let go":         {stuck: stuck, left: []string{"a.service.d"}},
		"services cannot be asked for": {mute: true},
	} {
		h := &stuckHost{fakeHost: newFake(), stuck: c.stuck, mute: c.mute}
		for _, service := range []string{"a", "b"} { // an earlier attempt was killed
			put(t, h.fakeHost, runtimeUnits+"/"+service+".service.d/"+holding.name, holding.text, 0o644, 0, 0)
		}
		k := &startsKeeper{Held: []string{"a", "b"}}
		err := k.withoutHeld(newEnv(h), func(*Env) error { t.Errorf("%s: it goes on", name); return nil })
		if !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
		if left := heldOff(h); !slices.Equal(left, c.left) || h.reloads == 0 {
			t.Errorf("%s: held off are %q, want %q; systemd was told %d times", name, left, c.left, h.reloads)
		}
	}
}

// TestHoldTellsWhatItIs: whoever finds it after a kill reads whose it is and how to be rid of it.
func TestHoldTellsWhatItIs(t *testing.T) {
	first, _, _ := strings.Cut(holding.text, "\n")
	if !strings.HasPrefix(first, "# zcp2kopano: ") || !strings.Contains(first, "rollback") || !strings.Contains(first, "daemon-reload") {
		t.Errorf("the first line is %q", first)
	}
}
