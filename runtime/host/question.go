package host

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
)

// Question is a request to one listener of a service: its socket or port, in its protocol. A listener
// that accepts a connection and says nothing has not answered: a daemon may open its sockets long before
// it does its work.
type Question struct {
	Service  string `json:"service"`
	Protocol string `json:"protocol"` // a key of Protocols
	TLS      bool   `json:"tls,omitempty"`
	Network  string `json:"network"` // "unix" or "tcp"
	Address  string `json:"address"` // absolute path, or host:port
	Send     string `json:"send,omitempty"`
	Expect   string `json:"expect,omitempty"` // what the first line of the answer begins with
}

// Protocol is how a conversation begins: what a client says first, if it is the one to begin, and what the
// first line of the answer begins with.
type Protocol struct{ Send, Expect string }

// Protocols are the ways to ask. With "line" the question brings both along; "connect" is content with
// a connection. "client" asks nothing of the service: it is seen to hold a connection to the address, which
// is another service's. That is what can be seen of one that listens nowhere.
var Protocols = map[string]Protocol{
	"http":    {Send: "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", Expect: "HTTP/1."},
	"imap":    {Expect: "* OK"},
	"pop3":    {Expect: "+OK"},
	"lmtp":    {Expect: "220"},
	"smtp":    {Expect: "220"},
	"line":    {},
	"connect": {},
	"client":  {},
}

// words are what may be sent with "line": they ask, and change nothing in any protocol.
var words = []string{"HELP", "NOOP", "PING", "PROPS", "VERSION"}

// ErrUnasked is the error of a question that could not be put, for a reason that lies with the asker: it tells
// nothing about the service.
var ErrUnasked = errors.New("the question could not be put")

// ErrNeverAnswers is the error of a question that a simulated host knows to stay without an answer for ever.
var ErrNeverAnswers = errors.New("it never answers")

// ParseQuestion reads the text form of a question to a service: "imap://127.0.0.1:143",
// "https://localhost:237", "http+unix:/run/x.sock", "line+unix:/run/x.sock PING PONG". An s behind the
// protocol stands for TLS; two words behind the address are what is sent and what is expected.
func ParseQuestion(service, text string) (Question, error) {
	parts := strings.Fields(text)
	if len(parts) != 1 && len(parts) != 3 {
		return Question{}, fmt.Errorf("question %q is not \"PROTOCOL://HOST:PORT\" or \"PROTOCOL+unix:/PATH\", with what is sent and what is expected behind it for protocol line", text)
	}
	scheme, address, _ := strings.Cut(parts[0], ":")
	q := Question{Service: service, Network: "tcp", Protocol: scheme}
	if name, unix := strings.CutSuffix(scheme, "+unix"); unix {
		q.Protocol, q.Network = name, "unix"
	}
	if _, known := Protocols[q.Protocol]; !known {
		q.Protocol, q.TLS = strings.CutSuffix(q.Protocol, "s")
	}
	known, ok := Protocols[q.Protocol]
	if !ok {
		return Question{}, fmt.Errorf("question %q: unknown protocol; known are %s, each with an s behind it for TLS", text, strings.Join(protocolNames(), ", "))
	}
	q.Send, q.Expect = known.Send, known.Expect
	if (q.Protocol == "line") != (len(parts) == 3) {
		return Question{}, fmt.Errorf("question %q: protocol line needs what is sent and what is expected behind the address, and no other takes them", text)
	}
	if len(parts) == 3 {
		if !slices.Contains(words, parts[1]) {
			return Question{}, fmt.Errorf("question %q: %q is not sent to a service, as it may be an order; words that only ask are %s", text, parts[1], strings.Join(words, ", "))
		}
		q.Send, q.Expect = parts[1]+"\r\n", parts[2]
	}
	q.Address = strings.TrimPrefix(address, "//")
	return q, q.checkAddress(text)
}

func (q Question) checkAddress(text string) error {
	if q.Network == "unix" {
		if !path.IsAbs(q.Address) || path.Clean(q.Address) != q.Address {
			return fmt.Errorf("question %q: %q is not the absolute path of a socket", text, q.Address)
		}
		return nil
	}
	if name, port, err := net.SplitHostPort(q.Address); err != nil || name == "" || port == "" {
		return fmt.Errorf("question %q: %q is not HOST:PORT", text, q.Address)
	}
	return nil
}

// String is the question in words, for messages: "imap on 127.0.0.1:143".
func (q Question) String() string {
	tls := ""
	if q.TLS {
		tls = " over TLS"
	}
	if q.Protocol == "client" {
		return "a connection that it holds to " + q.Address
	}
	if q.Protocol == "line" {
		return fmt.Sprintf("%s on %s", strings.TrimSpace(q.Send), q.Address)
	}
	return q.Protocol + tls + " on " + q.Address
}

// Judge reports whether a line is the answer that was expected.
func (q Question) Judge(line string) error {
	if strings.HasPrefix(line, q.Expect) {
		return nil
	}
	return fmt.Errorf("%v: the answer is %.80q, and should begin with %q", q, line, q.Expect)
}

func protocolNames() []string {
	var names []string
	for name := range Protocols {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
