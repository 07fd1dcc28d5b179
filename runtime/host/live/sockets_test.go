package live

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"zcp2kopano/runtime/host"
)

// The tables are the kernel's of a machine with little-endian words.
func TestListening(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	found := map[string]netip.AddrPort{}
	listening(head+
		"   0: 0100007F:008F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n"+
		"   1: 0100007F:0016 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n", found)
	listening(head+
		"   0: 00000000000000000000000001000000:03E1 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n"+
		"   1: 0000000000000000FFFF00000100A8C0:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0 100 0 0 10 0\n", found)
	want := map[string]string{"4711": "127.0.0.1:143", "4713": "[::1]:993", "4714": "192.168.0.1:80"}
	for inode, at := range want {
		if found[inode].String() != at {
			t.Errorf("socket %s: %v, want %s", inode, found[inode], at)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%v", found)
	}
}

// A port of this very process is seen, with its process; a connection to it is no listener.
func TestListenersOfThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr)
	h, err := OpenView("/")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	list, err := h.Listeners()
	if err != nil {
		t.Fatal(err)
	}
	want := host.Listener{Address: "127.0.0.1", Port: at.Port, PID: os.Getpid()}
	n := 0
	for _, got := range list {
		if got == want {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %+v in %+v", n, want, list)
	}
}
