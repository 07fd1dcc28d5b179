package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Download server of a root, and what it asks for. The password has what URLs cannot hold unquoted.
const (
	DownloadHost = "download.example.org"
	RepoBase     = "https://" + DownloadHost + "/supported/core:/final"
	RepoUser     = "serial@example.org"
	RepoPassword = "key!with/all:of@it?%20"
)

// ServeDownloads serves a repository by HTTPS below RepoBase, to those who give RepoUser and
// RepoPassword. It answers inside the root only.
func (r *Root) ServeDownloads(repository string) {
	r.t.Helper()
	certificate, authority, err := makeCertificate()
	if err != nil {
		r.t.Fatal(err)
	}
	r.WriteFile("/etc/ssl/certs/ca-certificates.crt", string(authority), 0o644)
	r.WriteFile("/etc/hosts", r.ReadFile("/etc/hosts")+"127.0.0.1 "+DownloadHost+"\n", 0o644)
	listener, err := r.listen("127.0.0.1:443")
	if err != nil {
		r.t.Fatal(err)
	}
	files := http.FileServer(http.Dir(filepath.Join(Repositories(r.t), repository)))
	prefix := "/supported/core:/final"
	server := &http.Server{
		Handler: authorized(http.StripPrefix(prefix, files)), TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: time.Minute,
	}
	go server.ServeTLS(listener, "", "")
	r.t.Cleanup(func() { server.Close() })
}

func authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != RepoUser || password != RepoPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="subscription"`)
			http.Error(w, "no subscription", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// listen opens a port in the root's network.
func (r *Root) listen(address string) (net.Listener, error) {
	type answer struct {
		l   net.Listener
		err error
	}
	opened := make(chan answer)
	go func() {
		runtime.LockOSThread() // thrown away with its namespace
		ns, err := os.Open(filepath.Join(r.nsDir, "net"))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err != nil {
			opened <- answer{nil, fmt.Errorf("join the root's network: %w", err)}
			return
		}
		l, err := net.Listen("tcp", address)
		opened <- answer{l, err}
	}()
	a := <-opened
	return a.l, a.err
}

// makeCertificate makes a certificate for DownloadHost that is its own authority.
func makeCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: DownloadHost}, DNSNames: []string{DownloadHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority, nil
}
