package live

import (
	"context"
	"errors"
	"net"
	"testing"
)

// A port answers, is refused by its host, or cannot be reached; what cannot be is never taken for refused.
func TestAnswersOfPorts(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	address := open.Addr().String()
	if answers, err := (ports{}).Answers(t.Context(), address); !answers || err != nil {
		t.Errorf("a port that listens: %v, %v", answers, err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if answers, err := (ports{}).Answers(t.Context(), closed.Addr().String()); answers || err != nil {
		t.Errorf("a port that nobody has: %v, %v", answers, err)
	}
	for _, bad := range []string{"no-such-host.invalid:236", "255.255.255.255:236", "127.0.0.1", ":236", "127.0.0.1:x"} {
		if answers, err := (ports{}).Answers(t.Context(), bad); answers || err == nil {
			t.Errorf("%s: %v, %v", bad, answers, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if answers, err := (ports{}).Answers(ended, address); answers || !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v, %v", answers, err)
	}
}
