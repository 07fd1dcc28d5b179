package host

import (
	"context"
	"strings"
)

// DirectoryReader asks an LDAP server.
type DirectoryReader interface {
	// SearchDirectory reads all entries below base that match an RFC 4515 filter, by pages where the
	// server pages. It is an error if the server did not positively end the result.
	SearchDirectory(ctx context.Context, conn DirectoryConn, req DirectorySearch) ([]Entry, error)
	// SearchPages is SearchDirectory for any number of entries: it hands them on page by page, and holds one at a
	// time. An error of page ends it.
	SearchPages(ctx context.Context, conn DirectoryConn, req DirectorySearch, page func([]Entry) error) error
}

// DirectoryWriter changes the entries of an LDAP server.
type DirectoryWriter interface {
	// OpenDirectory opens a session at the first server that answers.
	OpenDirectory(ctx context.Context, conn DirectoryConn) (Directory, error)
	// ExportDatabase writes all entries of a database, whose server is stopped, to a new file of mode 0600, as LDIF,
	// and syncs it.
	ExportDatabase(ctx context.Context, db DirectoryDatabase, path string) error
	// CheckImport reads LDIF as ImportDatabase would, and changes nothing: it is an error if an entry cannot be loaded.
	CheckImport(ctx context.Context, db DirectoryDatabase, path string) error
	// ImportDatabase fills a database without files from LDIF, and makes its indexes. What it makes is root's. From
	// half-way it cannot be gone on with: the files have to go first.
	ImportDatabase(ctx context.Context, db DirectoryDatabase, path string) error
}

// DirectoryDatabase is a database of an OpenLDAP server on the host.
type DirectoryDatabase struct {
	Config    string `json:"config"`    // the server's slapd.conf, or its directory slapd.d
	Suffix    string `json:"suffix"`    // DN of the entry above all of it
	Directory string `json:"directory"` // where its files are
	// Conn is how the server was reached when it ran: a simulated host, whose machine's server runs, reads by it.
	Conn DirectoryConn `json:"-"`
}

// ConfigDir tells whether a server keeps its configuration in a directory, as cn=config, and not in a file.
func (db DirectoryDatabase) ConfigDir() bool { return !strings.HasSuffix(db.Config, ".conf") }

// Directory is a session with an LDAP server.
type Directory interface {
	// Search is SearchPages in this session.
	Search(ctx context.Context, req DirectorySearch, page func([]Entry) error) error
	// Change carries out changes, several at a time; each is done as a whole or not at all. The answers are in their
	// order: nil, or why the server refused.
	Change(ctx context.Context, changes []EntryChange) []error
	Close() error
}

// DirectoryConn says how a directory is reached.
type DirectoryConn struct {
	URLs     []string `json:"urls"` // ldap://, ldaps://, ldapi://
	StartTLS bool     `json:"start_tls"`
	BindDN   string   `json:"bind_dn"` // empty for an anonymous session
	Password Secret   `json:"password"`
	External bool     `json:"external,omitempty"` // as whom an ldapi:// socket knows this process (SASL EXTERNAL)
	CAFile   string   `json:"ca_file,omitempty"`  // whose certificates are trusted, instead of the system's
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

// Values are those of an attribute by this very description, in any case; nil if it has none.
func (e Entry) Values(attribute string) []string {
	for name, values := range e.Attributes {
		if strings.EqualFold(name, attribute) {
			return values
		}
	}
	return nil
}

// EntryChange is a change of one entry: a new one, its end, or changes of its values.
type EntryChange struct {
	DN     string
	Add    map[string][]string // the values of an entry that is new
	Delete bool
	Values []ValueChange
	Relax  bool // may change what an entry is for good: its structural class (draft-zeilenga-ldap-relax)
}

// ValueChange adds values to an attribute, or takes them away.
type ValueChange struct {
	Delete    bool
	Attribute string
	Values    []string // none to delete all
}
