package live

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

const (
	ldapPageSize = 500
	ldapTimeout  = 2 * time.Minute // for one answer of the server
)

var ldapScopes = map[string]int{
	"base": ldap.ScopeBaseObject,
	"one":  ldap.ScopeSingleLevel,
	"sub":  ldap.ScopeWholeSubtree,
}

// ldapClient reaches LDAP servers.
type ldapClient struct{ files *space }

// SearchDirectory asks the first server of the list that answers. Every page must end with success: a
// size limit, a lost connection or a page without its continuation is an error, never a short result.
func (v ldapClient) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	var all []host.Entry
	err := v.SearchPages(ctx, conn, req, func(page []host.Entry) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

// SearchPages is SearchDirectory, page by page.
func (v ldapClient) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	if _, known := ldapScopes[req.Scope]; !known {
		return fmt.Errorf("LDAP search: scope %q is none of base, one, sub", req.Scope)
	}
	if err := req.Check(); err != nil {
		return err
	}
	s, err := v.open(ctx, conn)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Search(ctx, req, page)
}

// OpenDirectory opens a session at the first server of the list that answers.
func (v ldapClient) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	return v.open(ctx, conn)
}

func (v ldapClient) open(ctx context.Context, conn host.DirectoryConn) (*ldapSession, error) {
	if err := conn.Check(); err != nil {
		return nil, err
	}
	server, address, err := v.dialDirectory(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := bind(server, conn); err != nil {
		server.Close()
		return nil, fmt.Errorf("LDAP server %s: %w", address, err)
	}
	return &ldapSession{server: server, address: address}, nil
}

// greet asks for what each LDAP server tells (RFC 4512, 5.1), whatever it answers: nothing that a runbook wrote, the
// bytes of a filter for one, reaches a server that speaks another protocol.
func greet(server *ldap.Conn) error {
	_, err := server.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"1.1"}, nil))
	var answer *ldap.Error
	if errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork {
		return nil
	}
	return err
}

func bind(server *ldap.Conn, conn host.DirectoryConn) error {
	if conn.External {
		if err := server.ExternalBind(); err != nil {
			return fmt.Errorf("bind by SASL EXTERNAL: %w", directory.Explain(err))
		}
		return nil
	}
	if conn.BindDN == "" {
		return directory.Explain(greet(server)) // a new session is anonymous
	}
	if conn.Password.Empty() {
		// RFC 4513 5.1.2: this would succeed as an anonymous session.
		return fmt.Errorf("bind as %s: the password is empty", conn.BindDN)
	}
	if err := server.Bind(conn.BindDN, conn.Password.Reveal()); err != nil {
		return fmt.Errorf("bind as %s: %w", conn.BindDN, directory.Explain(err))
	}
	return nil
}

// completeRanges fetches the rest of attributes that Active Directory sends in part, as
// "member;range=0-1499" (MS-ADTS 3.1.1.3.1.3.3).
func completeRanges(server *ldap.Conn, entries []*ldap.Entry) error {
	for _, entry := range entries {
		for _, attribute := range entry.Attributes {
			name, next, partial := rangeOf(attribute.Name)
			for partial {
				request := ldap.NewSearchRequest(entry.DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false,
					"(objectClass=*)", []string{fmt.Sprintf("%s;range=%s-*", name, next)}, nil)
				result, err := server.Search(request)
				if err != nil {
					return err
				}
				if len(result.Entries) != 1 || len(result.Entries[0].Attributes) != 1 {
					return fmt.Errorf("%s: the server does not send the rest of attribute %s", entry.DN, name)
				}
				rest := result.Entries[0].Attributes[0]
				attribute.Values = append(attribute.Values, rest.Values...)
				_, next, partial = rangeOf(rest.Name)
			}
			attribute.Name = name
		}
	}
	return nil
}

// rangeOf takes a ranged name apart: what it names, and where the next part starts if there is one.
func rangeOf(attribute string) (name, next string, partial bool) {
	name, option, ranged := strings.Cut(attribute, ";range=")
	_, end, _ := strings.Cut(option, "-")
	var last int
	if !ranged || end == "*" {
		return name, "", false
	}
	if _, err := fmt.Sscan(end, &last); err != nil {
		return attribute, "", false
	}
	return name, fmt.Sprint(last + 1), true
}

func entriesOf(found []*ldap.Entry) []host.Entry {
	entries := make([]host.Entry, 0, len(found))
	for _, e := range found {
		attributes := make(map[string][]string, len(e.Attributes))
		for _, a := range e.Attributes {
			attributes[a.Name] = append(attributes[a.Name], a.Values...)
		}
		entries = append(entries, host.Entry{DN: e.DN, Attributes: attributes})
	}
	return entries
}

func (v ldapClient) dialDirectory(ctx context.Context, conn host.DirectoryConn) (*ldap.Conn, string, error) {
	if len(conn.URLs) == 0 {
		return nil, "", errors.New("LDAP: no server is named")
	}
	var failures []error
	for _, address := range conn.URLs {
		server, err := v.dialServer(ctx, address, conn)
		if err == nil {
			return server, address, nil
		}
		failures = append(failures, fmt.Errorf("cannot connect to LDAP server %s: %w", address, err))
	}
	return nil, "", errors.Join(failures...)
}

func (v ldapClient) dialServer(ctx context.Context, address string, conn host.DirectoryConn) (*ldap.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if rest, local := strings.CutPrefix(address, "ldapi://"); local {
		raw, err := v.files.dialSocket(ctx, host.LDAPISocket(rest))
		if err != nil {
			return nil, err
		}
		return startSession(raw, false), nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	config, err := v.ldapTLS(cmp.Or(u.Hostname(), "localhost"), conn.CAFile)
	if err != nil {
		return nil, err
	}
	var raw net.Conn
	switch u.Scheme {
	case "ldap":
		raw, err = (&net.Dialer{}).DialContext(ctx, "tcp", withPort(u, "389"))
	case "ldaps":
		raw, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", withPort(u, "636"))
	default:
		err = fmt.Errorf("scheme %q is none of ldap, ldaps, ldapi", u.Scheme)
	}
	if err != nil {
		return nil, err
	}
	server := startSession(raw, u.Scheme == "ldaps")
	if conn.StartTLS && u.Scheme == "ldap" {
		if err := server.StartTLS(config); err != nil {
			server.Close()
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	return server, nil
}

func startSession(raw net.Conn, encrypted bool) *ldap.Conn {
	server := ldap.NewConn(raw, encrypted)
	server.Start()
	server.SetTimeout(ldapTimeout)
	return server
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	name := u.Hostname()
	if name == "" {
		name = "localhost"
	}
	return net.JoinHostPort(name, port)
}

// ldapTLS trusts the system's authorities and those of the host's ldap.conf(5), whose TLS_REQCERT may
// also say that certificates are not checked. These are the rules by which the mail server's own
// connection lives. A file of authorities that the caller names takes their place: then certificates are
// checked by it, and nothing else.
func (v ldapClient) ldapTLS(server, caFile string) (*tls.Config, error) {
	config := oldTLS()
	config.ServerName = server
	if caFile != "" {
		data, err := v.files.readFile(caFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
		}
		return checked(config, server, roots), nil
	}
	settings := v.ldapConf()
	switch strings.ToLower(settings["TLS_REQCERT"]) {
	case "never", "allow":
		config.InsecureSkipVerify = true
		return config, nil
	}
	var roots *x509.CertPool // those of the system
	if path := settings["TLS_CACERT"]; path != "" {
		if data, err := v.files.readFile(path); err == nil {
			if roots, _ = x509.SystemCertPool(); roots == nil {
				roots = x509.NewCertPool()
			}
			roots.AppendCertsFromPEM(data)
		}
	}
	return checked(config, server, roots), nil
}

func (v ldapClient) ldapConf() map[string]string {
	settings := map[string]string{}
	for _, path := range []string{"/etc/ldap/ldap.conf", "/etc/openldap/ldap.conf"} {
		data, err := v.files.readFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if words := strings.Fields(line); len(words) == 2 && !strings.HasPrefix(words[0], "#") {
				settings[strings.ToUpper(words[0])] = words[1]
			}
		}
		break
	}
	return settings
}
