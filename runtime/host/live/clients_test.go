package live

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// TestClient: a service counts as a client as long as it holds a connection, and no other program's counts.
func TestClient(t *testing.T) {
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, silent)
	port := listen(t, "tcp", "127.0.0.1:0", silent)
	for text, dial := range map[string][2]string{"client+unix:" + socket: {"unix", socket}, "client://" + port: {"tcp", port}} {
		ask := func(service string) error {
			t.Helper()
			q, err := host.ParseQuestion(service, text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Ask(context.Background(), q)
			return err
		}
		if err := ask(self(t)); err == nil || !strings.Contains(err.Error(), "there is none") {
			t.Errorf("%s, without a connection: %v", text, err)
		}
		conn, err := net.Dial(dial[0], dial[1])
		if err != nil {
			t.Fatal(err)
		}
		err = ask(self(t))
		for tries := 0; err != nil && tries < 5; tries++ { // it may not have been accepted yet
			err = ask(self(t))
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := ask("kopano-spooler"); err == nil {
			t.Errorf("%s: the connection is another program's", text)
		}
		conn.Close()
	}
}

// TestClientOfNobody: where nobody listens, nothing is said of the service.
func TestClientOfNobody(t *testing.T) {
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for text, want := range map[string]bool{
		"client+unix:" + filepath.Join(t.TempDir(), "s"): true,
		"client://127.0.0.1:1":                           true,
		"client://localhost:1":                           true,
		"client://192.0.2.1:1":                           false, // another machine's
	} {
		q, err := host.ParseQuestion(self(t), text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Ask(context.Background(), q); err == nil || errors.Is(err, host.ErrUnasked) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
