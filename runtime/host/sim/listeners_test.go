package sim

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// Which ports of other hosts answered goes into a snapshot, and a simulation over a machine asks that.
func TestPorts(t *testing.T) {
	f, err := ReadFixture([]byte("-- host --\nhostname: a\n-- ports --\nmail2:236 answers\nmail3:236 refuses\n"))
	mustDo(t, err)
	below, err := f.Host(Options{})
	mustDo(t, err)
	over, err := FromView(below, Options{})
	mustDo(t, err)
	defer over.Close()
	var text strings.Builder
	mustDo(t, Snapshot(t.Context(), &text, below, SnapshotOptions{Ports: map[string]bool{"mail3:236": false, "mail2:236": true}}))
	if want := "-- ports --\nmail2:236 answers\nmail3:236 refuses\n"; !strings.Contains(text.String(), want) {
		t.Errorf("a snapshot lacks %q:\n%s", want, text.String())
	}
	for name, h := range map[string]*Host{"fixture": below, "over a machine": over, "copied": over.Clone()} {
		for address, want := range f.Ports {
			if got, err := h.Answers(t.Context(), address); got != want || err != nil {
				t.Errorf("%s: %s: %v, %v", name, address, got, err)
			}
		}
		if _, err := h.Answers(t.Context(), "mail4:236"); err == nil {
			t.Errorf("%s: a port that nobody knows has an answer", name)
		}
	}
}

// Where processes listen goes with them: into a simulation over the host, into a snapshot and back, and away.
func TestListeners(t *testing.T) {
	f, err := ReadFixture([]byte(busyFixture))
	mustDo(t, err)
	below, err := f.Host(Options{})
	mustDo(t, err)
	want := []host.Listener{{Address: "127.0.0.1", Port: 143, PID: 77}, {Address: "::", Port: 993, PID: 77}}
	over, err := FromView(below, Options{})
	mustDo(t, err)
	defer over.Close()
	var text strings.Builder
	mustDo(t, Snapshot(t.Context(), &text, below, SnapshotOptions{}))
	if line := "77 root /usr/sbin/listens listen=127.0.0.1:143 listen=[::]:993\n"; !strings.Contains(text.String(), line) {
		t.Errorf("a snapshot has no line %q:\n%s", line, text.String())
	}
	for name, h := range map[string]*Host{"fixture": below, "over a machine": over} {
		if got, err := h.Listeners(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	over.services.processes = nil
	if got, err := over.Listeners(); err != nil || len(got) != 0 {
		t.Errorf("they listen still: %+v, %v", got, err)
	}
}
