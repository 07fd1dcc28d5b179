package host

import "context"

// DirectoryReader asks an LDAP server.
type DirectoryReader interface {
	// SearchDirectory reads all entries below base that match an RFC 4515 filter, by pages where the
	// server pages. It is an error if the server did not positively end the result.
	SearchDirectory(ctx context.Context, conn DirectoryConn, req DirectorySearch) ([]Entry, error)
}

// DirectoryConn says how a directory is reached.
type DirectoryConn struct {
	URLs     []string `json:"urls"` // ldap://, ldaps://, ldapi://
	StartTLS bool     `json:"start_tls"`
	BindDN   string   `json:"bind_dn"` // empty for an anonymous session
	Password Secret   `json:"password"`
}

// DirectorySearch is an LDAP search; Scope is "base", "one" or "sub".
type DirectorySearch struct {
	Base       string   `json:"base"`
	Scope      string   `json:"scope"`
	Filter     string   `json:"filter"`
	Attributes []string `json:"attributes"`
}

// Entry is an LDAP entry; attribute values are raw bytes as strings.
type Entry struct {
	DN         string              `json:"dn"`
	Attributes map[string][]string `json:"attributes"`
}
