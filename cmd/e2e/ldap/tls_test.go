package ldap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// authority is one that signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	return authority{cert, key}
}

// sign makes a certificate and its key, as PEM; of the authority itself where the name is empty.
func (a authority) sign(t *testing.T, name string) (cert, key string) {
	t.Helper()
	made, own := a.cert, a.key
	if name != "" {
		var err error
		if own, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		made = &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter}
	}
	der, err := x509.CreateCertificate(rand.Reader, made, a.cert, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// lastPort is the last that was given out.
var lastPort atomic.Int64

// freePort finds a port below those that the kernel gives to others meanwhile: a server takes it seconds later.
func freePort(t *testing.T) int {
	t.Helper()
	lastPort.CompareAndSwap(0, int64(20000+os.Getpid()%10000))
	for {
		port := int(lastPort.Add(1))
		if port >= 32768 {
			t.Fatal("no port below 32768 is free")
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
}

// TestEncrypted reaches a real server by each encrypted way, and trusts nobody whom it is not told to.
func TestEncrypted(t *testing.T) {
	s := zarafaOnly(t, "slapd.conf", ldifOf(site(1)))
	ours, other := newAuthority(t), newAuthority(t)
	ca, _ := ours.sign(t, "")
	otherCA, _ := other.sign(t, "")
	cert, key := ours.sign(t, "localhost")
	for name, text := range map[string]string{"ca.pem": ca, "other.pem": otherCA, "cert.pem": cert, "key.pem": key} {
		s.write(name, text)
	}
	conf, err := os.ReadFile(s.path("slapd.conf"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("slapd.conf", fmt.Sprintf("TLSCertificateFile %[1]s/cert.pem\nTLSCertificateKeyFile %[1]s/key.pem\nTLSCACertificateFile %[1]s/ca.pem\nlocalSSF 256\nsecurity simple_bind=128\n%s", s.dir, conf))
	plain, encrypted := freePort(t), freePort(t)
	s.listen = []string{fmt.Sprintf("ldap://127.0.0.1:%d", plain), fmt.Sprintf("ldaps://127.0.0.1:%d", encrypted)}
	s.start()
	for _, c := range []struct {
		name, url, ca string
		startTLS      bool
		want          string // an error; empty for none
	}{
		{name: "ldaps", url: "ldaps://localhost:%d", ca: "ca.pem"},
		{name: "StartTLS", url: "ldap://localhost:%d", ca: "ca.pem", startTLS: true},
		{name: "another name", url: "ldaps://127.0.0.1:%d", ca: "ca.pem", want: "certificate"},
		{name: "another name, StartTLS", url: "ldap://127.0.0.1:%d", ca: "ca.pem", startTLS: true, want: "certificate"},
		{name: "another authority", url: "ldaps://localhost:%d", ca: "other.pem", want: "unknown authority"},
		{name: "the system's authorities", url: "ldaps://localhost:%d", want: "unknown authority"},
		{name: "a file without certificates", url: "ldaps://localhost:%d", ca: "key.pem", want: "no certificate in PEM form"},
		{name: "in the clear", url: "ldap://localhost:%d", want: "wants an encrypted session"},
	} {
		conn := s.conn
		port := plain
		if strings.HasPrefix(c.url, "ldaps") {
			port = encrypted
		}
		conn.URLs, conn.StartTLS = []string{fmt.Sprintf(c.url, port)}, c.startTLS
		if c.ca != "" {
			conn.CAFile = s.path(c.ca)
		}
		found, err := s.SearchDirectory(context.Background(), conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "base", Filter: "(objectClass=*)"})
		switch {
		case c.want == "" && (err != nil || len(found) != 1):
			t.Errorf("%s: %d entries, %v", c.name, len(found), err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	search := host.DirectorySearch{Base: "cn=config", Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"cn"}}
	if found, err := s.SearchDirectory(context.Background(), s.external, search); err != nil || len(found) != 1 {
		t.Errorf("EXTERNAL on the socket: %d entries, %v", len(found), err)
	}
	outside := host.DirectoryConn{URLs: []string{fmt.Sprintf("ldaps://localhost:%d", encrypted)}, CAFile: s.path("ca.pem"), External: true}
	if _, err := s.SearchDirectory(context.Background(), outside, search); err == nil || !strings.Contains(err.Error(), "EXTERNAL") {
		t.Errorf("EXTERNAL without a certificate: %v", err)
	}
}
