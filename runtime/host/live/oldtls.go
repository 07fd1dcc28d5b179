package live

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// oldTLS speaks with servers of the time of ZCP, too: TLS 1.0, and no exchange of keys but by RSA (OpenSSL 0.9.8 and 1.0, the
// NSS of Red Hat and SUSE, Windows 2008). ZCP's own connections to these servers of the site are no stronger, and a server
// that can do better does.
func oldTLS() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS10}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		config.CipherSuites = append(config.CipherSuites, suite.ID)
	}
	return config
}

// checked has a server's certificate checked by these authorities, nil for those of the system, as OpenLDAP's library does:
// by its subject's common name where it has no other names, which crypto/tls does not look at.
func checked(config *tls.Config, server string, roots *x509.CertPool) *tls.Config {
	config.InsecureSkipVerify = true // the name by crypto/tls; all is verified here
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		leaf, between := state.PeerCertificates[0], x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
			return err
		}
		if len(leaf.DNSNames)+len(leaf.IPAddresses) > 0 {
			return leaf.VerifyHostname(server)
		}
		if !namedBy(leaf.Subject.CommonName, server) {
			return fmt.Errorf("the certificate is that of %q, not of %s", leaf.Subject.CommonName, server)
		}
		return nil
	}
	return config
}

// namedBy reports whether a common name is that of a server; "*." stands for its first part.
func namedBy(name, server string) bool {
	if rest, pattern := strings.CutPrefix(name, "*."); pattern {
		_, domain, within := strings.Cut(server, ".")
		return within && domain != "" && strings.EqualFold(rest, domain)
	}
	return name != "" && strings.EqualFold(name, server)
}
