package live

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// issuer is the authority of a site, which signs by RSA.
type issuer struct {
	t    *testing.T
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the site's authority"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &issuer{t, key, cert}
}

// serve listens as a server of 2008 does: TLS 1.0, and no exchange of keys but by RSA. Its certificate has a common name,
// and alternative ones if there are any.
func (i *issuer) serve(name string, others []net.IP, talk func(net.Conn)) string {
	i.t.Helper()
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: others,
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, form, i.cert, &i.key.PublicKey, i.key)
	must(i.t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: i.key}},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA},
	})
	must(i.t, err)
	i.t.Cleanup(func() { l.Close() })
	go serve(l, talk)
	return l.Addr().String()
}

// TestOldServers: those to which ZCP connects are looked at, too, and no other is taken for one.
func TestOldServers(t *testing.T) {
	h, dir := open(t)
	client := ldapClient{h.parts.m.files}
	own, foreign := newIssuer(t), newIssuer(t)
	for name, i := range map[string]*issuer{"own.pem": own, "foreign.pem": foreign} {
		write(t, dir, name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})))
	}
	handshake := func(c net.Conn) { _ = c.(*tls.Conn).Handshake(); silent(c) }
	here, elsewhere := net.IPv4(127, 0, 0, 1), net.IPv4(192, 0, 2, 1)
	for _, c := range []struct {
		name, authorities string
		others            []net.IP
		says              string
	}{
		{"127.0.0.1", "/own.pem", nil, ""},
		{"other", "/own.pem", []net.IP{here}, ""},
		{"other", "/own.pem", nil, `that of "other"`},
		{"127.0.0.1", "/own.pem", []net.IP{elsewhere}, "192.0.2.1"},
		{"127.0.0.1", "/foreign.pem", nil, "unknown authority"},
		{"127.0.0.1", "", nil, "unknown authority"},
	} {
		address := own.serve(c.name, c.others, handshake)
		server, err := client.dialServer(t.Context(), "ldaps://"+address, host.DirectoryConn{CAFile: c.authorities})
		if err == nil {
			server.Close()
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	write(t, dir, "etc/ldap/ldap.conf", "TLS_CACERT /own.pem\n")
	server, err := client.dialServer(t.Context(), "ldaps://"+own.serve("127.0.0.1", nil, handshake), host.DirectoryConn{})
	must(t, err)
	server.Close()
	q, err := host.ParseQuestion(self(t), "imaps://"+foreign.serve("x", nil, says("* OK ready\r\n")))
	must(t, err)
	if _, err := h.Ask(context.Background(), q); err != nil {
		t.Error(err)
	}
}

func TestNamedBy(t *testing.T) {
	for _, c := range []struct {
		name, server string
		want         bool
	}{
		{"Ldap.example.org", "ldap.EXAMPLE.org", true}, {"*.example.org", "ldap.example.org", true}, {"*.example.org", "a.b.example.org", false},
		{"*.example.org", "example.org", false}, {"ldap", "ldap.example.org", false}, {"", "", false}, {"*.", "ldap.", false}, {"*", "ldap", false},
	} {
		if got := namedBy(c.name, c.server); got != c.want {
			t.Errorf("%q for %q: %v", c.name, c.server, got)
		}
	}
}
