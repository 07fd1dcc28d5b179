package action

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
)

// TestTransplantLooksAgain: a server that was started since is seen before anything is done to its database, there and
// back.
func TestTransplantLooksAgain(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	setDatabase(t, h, oldEntries)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, transplant()))
	for _, way := range []struct {
		name string
		go_  func(tester) error
	}{{"there", tr.apply}, {"back", tr.undo}} {
		start := h.state(t)
		h.running = []host.Process{{PID: 7, Name: "slapd"}}
		if err := way.go_(t); err == nil || !strings.Contains(err.Error(), "slapd runs (pid 7): stop it first") {
			t.Errorf("%s: %v", way.name, err)
		}
		equalStates(t, start, h.state(t))
		h.running = nil
		must(t, way.go_(t))
	}
}

// TestConvertPutsBackWhatItDeleted: an entry that was deleted to be made again, and cannot be, is there again as it was.
func TestConvertPutsBackWhatItDeleted(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = directoryHost(t, anActiveDirectory+hosttest.DirectoryLDIF, standardSchema, adSchema)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, oldToNew()))
	start, refused := tr.entries(t), 0
	tr.env.Host = refusingHost{h, func(n int, change host.EntryChange) error {
		if refused == 0 && change.Add != nil && strings.HasPrefix(change.DN, "cn=all,") {
			refused = n
		}
		if n == refused {
			return &directory.Error{Code: 51} // it is busy
		}
		return asActiveDirectory(change)
	}}
	if _, err := tr.action(t).Apply(tr.env); err == nil || refused == 0 {
		t.Errorf("%v, change %d refused", err, refused)
	}
	sameState(t, "refused", tr.entries(t), start)
}
