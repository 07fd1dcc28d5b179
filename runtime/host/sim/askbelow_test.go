package sim

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"zcp2kopano/runtime/host"
)

// barred is a machine whose services this process may not connect to.
type barred struct{ host.View }

func (barred) Ask(_ context.Context, q host.Question) (string, error) {
	return "", fmt.Errorf("%v: %w: permission denied", q, host.ErrUnasked)
}

// TestUnaskedIsAGap: what a simulation could not ask the machine's service is told as not simulated, and stays told from
// a service that does not work.
func TestUnaskedIsAGap(t *testing.T) {
	sv := &services{mu: &sync.Mutex{}, gaps: newGaps(), below: barred{}, known: map[string]*service{"zarafa-server": {active: true, found: true}}}
	q := host.Question{Service: "zarafa-server", Protocol: "http", Network: "unix", Address: "/run/prio"}
	if _, err := sv.Ask(t.Context(), q); err == nil || !strings.Contains(err.Error(), host.ErrUnasked.Error()) {
		t.Errorf("got %v", err)
	}
	if told := sv.gaps.all(); len(told) != 1 || told[0].What != "whether zarafa-server answers: http on /run/prio" {
		t.Errorf("told %+v", told)
	}
}
