package host

import "testing"

func TestParseQuestion(t *testing.T) {
	for text, want := range map[string]Question{
		"imap://127.0.0.1:143":             {Protocol: "imap", Network: "tcp", Address: "127.0.0.1:143", Expect: "* OK"},
		"imaps://[::1]:993":                {Protocol: "imap", TLS: true, Network: "tcp", Address: "[::1]:993", Expect: "* OK"},
		"lmtp+unix:/run/x":                 {Protocol: "lmtp", Network: "unix", Address: "/run/x", Expect: "220"},
		"line+unix:/run/x.sock PROPS OK":   {Protocol: "line", Network: "unix", Address: "/run/x.sock", Send: "PROPS\r\n", Expect: "OK"},
		"lines://localhost:1234 PING PONG": {Protocol: "line", TLS: true, Network: "tcp", Address: "localhost:1234", Send: "PING\r\n", Expect: "PONG"},
	} {
		want.Service = "x"
		if got, err := ParseQuestion("x", text); err != nil || got != want {
			t.Errorf("%s: %+v (%v)", text, got, err)
		}
	}
	for _, bad := range []string{"", "gopher://h:1", "imap://h", "imap+unix:x", "imap+unix:/a/../b", "line://h:1", "imap://h:1 a b", "line://h:1 a", "line://h:6379 FLUSHALL +OK", "line://h:1 PING\rX +OK", "http:///run/x"} {
		if q, err := ParseQuestion("x", bad); err == nil {
			t.Errorf("%q is %+v", bad, q)
		}
	}
}
