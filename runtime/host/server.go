package host

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Server is the other end of a connection.
type Server struct {
	Host   string
	Port   int
	Socket string // a Unix socket of this host, in the place of both
	Usual  bool   // its protocol uses this port, or this socket, where nothing says otherwise

	written string // of a socket: as it was given
}

// LDAPSocket is where OpenLDAP of Debian and SUSE listens for this host alone.
const LDAPSocket = "/var/run/slapd/ldapi"

const (
	mysqlPort = 3306
	ldapPort  = 389
	ldapsPort = 636
	httpPort  = 80
	httpsPort = 443
)

// Server is where the connection leads.
func (c DatabaseConn) Server() Server {
	if c.Socket != "" {
		return Server{Socket: path.Clean(c.Socket), written: c.Socket}
	}
	port := cmp.Or(c.Port, mysqlPort)
	return Server{Host: cmp.Or(c.Host, "localhost"), Port: port, Usual: port == mysqlPort}
}

// Servers are those that the connection may lead to: the first that answers is taken.
func (c DirectoryConn) Servers() ([]Server, error) {
	var list []Server
	for _, address := range c.URLs {
		s, err := ServerAt(address)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// ServerAt is the server that a URL of LDAP or HTTP names.
func ServerAt(address string) (Server, error) {
	if rest, local := strings.CutPrefix(address, "ldapi://"); local {
		socket := LDAPISocket(rest)
		return Server{Socket: socket, Usual: socket == LDAPSocket, written: address}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return Server{}, WithoutURL(err)
	}
	usual := map[string]int{"ldap": ldapPort, "ldaps": ldapsPort, "http": httpPort, "https": httpsPort}[u.Scheme]
	if usual == 0 {
		return Server{}, fmt.Errorf("scheme %q is none of ldap, ldaps, ldapi, http, https", u.Scheme)
	}
	port := usual
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return Server{}, fmt.Errorf("port %q is no number", u.Port())
		}
	}
	return Server{Host: cmp.Or(u.Hostname(), "localhost"), Port: port, Usual: port == usual}, nil
}

// LDAPISocket is the socket of an ldapi URL, which has its path percent-encoded in the place of the
// host (so that net/url does not parse it); without one it is the usual one.
func LDAPISocket(rest string) string {
	if socket, err := url.PathUnescape(strings.TrimSuffix(rest, "/")); err == nil && socket != "" {
		return path.Clean(socket)
	}
	return LDAPSocket
}

func (s Server) String() string {
	if s.Socket != "" {
		return s.Socket
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// Here reports whether the server can only be this host's.
func (s Server) Here() bool {
	if s.Socket != "" || strings.EqualFold(s.Host, "localhost") {
		return true
	}
	ip := net.ParseIP(s.Host)
	return ip != nil && ip.IsLoopback()
}

// NamedIn reports whether a text names the server, as a word of its own: its socket, or its host. One on this host needs
// no name but that of its port.
func (s Server) NamedIn(text string) bool {
	switch {
	case s.Socket != "":
		return hasWord(text, s.Socket, socketSign) || s.written != "" && hasWord(text, s.written, socketSign) ||
			hasWord(sameEscapes(text), url.PathEscape(s.Socket), escapedSign)
	case s.Here():
		return s.PortIn(text)
	}
	return hasWord(strings.ToLower(text), strings.ToLower(s.Host), nameSign)
}

// PortIn reports whether a text names the server's port, which it need not where that is the usual one.
func (s Server) PortIn(text string) bool {
	return s.Usual || s.Socket != "" || hasWord(text, strconv.Itoa(s.Port), nameSign)
}

var escape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// sameEscapes writes percent escapes as url.PathEscape does: those in small letters mean the same.
func sameEscapes(text string) string { return escape.ReplaceAllStringFunc(text, strings.ToUpper) }

func nameSign(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.'
}

func socketSign(c byte) bool  { return nameSign(c) || c == '/' }
func escapedSign(c byte) bool { return nameSign(c) || c == '%' }

// hasWord reports whether a word stands in a text with none of these signs at its ends. A full stop behind it that
// ends a sentence does not belong to it.
func hasWord(text, word string, sign func(byte) bool) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		at += from
		end := at + len(word)
		rest := text[end:]
		if len(rest) > 0 && rest[0] == '.' && (len(rest) == 1 || !sign(rest[1])) {
			rest = ""
		}
		if (at == 0 || !sign(text[at-1])) && (rest == "" || !sign(rest[0])) {
			return true
		}
		from = at + 1
	}
}
