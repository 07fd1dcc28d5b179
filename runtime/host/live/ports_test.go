package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"
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
	if answers, err := (ports{}).Answers(t.Context(), boundPort(t)); answers || err != nil {
		t.Errorf("a port at which nobody listens: %v, %v", answers, err)
	}
	for _, bad := range []string{"255.255.255.255:236", "127.0.0.1", ":236", "127.0.0.1:x"} {
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

// boundPort is the address of a port at which nobody listens, and that nobody else is given.
func boundPort(t *testing.T) string {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s) })
	if err := unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(s)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}
