package host

import (
	"context"
	"fmt"
	"strconv"
)

// DatabaseReader asks a MySQL or MariaDB server, in sessions that are set READ ONLY before the
// first query.
type DatabaseReader interface {
	// Query runs one SELECT or SHOW statement. NULL is the empty string.
	Query(ctx context.Context, conn DatabaseConn, query string) (Rows, error)
	// Revision asks for the revision that a service brings a database to when it starts.
	Revision(ctx context.Context, q RevisionQuery) (int64, error)
}

// RevisionQuery asks for the revision of a database. A simulated host, whose services do nothing, answers
// with what the service that runs would have made of it.
type RevisionQuery struct {
	Conn    DatabaseConn
	Query   string // answers one number
	Service string // whose start raises it
	Target  int64  // what it raises it to; 0 if that is not known
}

// Number is the one number that rows hold.
func (r Rows) Number() (int64, error) {
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		return 0, fmt.Errorf("the database answered %d rows where one number was asked for", len(r.Rows))
	}
	return strconv.ParseInt(r.Rows[0][0], 10, 64)
}

// DatabaseWriter makes dumps, and loads them.
type DatabaseWriter interface {
	// DumpDatabase writes a consistent, compressed dump of one database to a new file of mode 0600
	// and syncs it. It never judges the dump: DumpResult holds what a judge needs.
	DumpDatabase(ctx context.Context, req DumpRequest, progress func(written int64)) (DumpResult, error)
	// CheckDump reads a dump to its end and changes nothing. It never judges it: DumpResult holds what
	// a judge needs, but for Tool.
	CheckDump(ctx context.Context, path, compression string, progress func(read int64)) (DumpResult, error)
	// LoadDatabase drops everything that is in a database, but not the database itself, and loads a dump
	// into it. It refuses while anybody else is connected to that database. Done again from half-way it
	// comes to the same end.
	LoadDatabase(ctx context.Context, req LoadRequest, progress func(read int64)) error
}

// DatabaseConn says how a database is reached. Socket wins over Host where both are given.
type DatabaseConn struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Socket   string `json:"socket"`
	User     string `json:"user"`
	Password Secret `json:"password"`
	Database string `json:"database"`
}

// Rows is the answer to a query.
type Rows struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// DumpRequest is a dump to be made.
type DumpRequest struct {
	Conn        DatabaseConn `json:"conn"`
	Path        string       `json:"path"`        // must not exist
	Final       string       `json:"final"`       // what the caller will call the finished dump; empty for Path
	Compression string       `json:"compression"` // "zstd", "gzip" or "none"
	// MostBytes is what the database holds at most, for a host that must guess; Doubt says why it may
	// hold more.
	MostBytes int64  `json:"most_bytes"`
	Doubt     string `json:"doubt,omitempty"`
}

// LargestDump is the largest dump, before and after compression, that a database can make that holds so
// many bytes. Binary values are dumped as hexadecimal digits, so that SQL takes twice the bytes of the
// data; numbers and escaped text take less, counted with the indexes, which are not dumped. Compression
// wins back the half that the digits add, but for what it needs itself: of random bytes zstd makes 1.04
// times, gzip 1.10 times as many.
func LargestDump(data int64, compression string) (raw, bytes int64) {
	const least = 64 << 10 // the statements that make the tables
	raw = 2*data + least
	if compression == "none" {
		return raw, raw
	}
	return raw, data + data/8 + least
}

// LoadRequest is a dump to be loaded.
type LoadRequest struct {
	Conn        DatabaseConn `json:"conn"`
	Path        string       `json:"path"`
	Compression string       `json:"compression"`
	SHA256      string       `json:"sha256"` // that the file must have; empty for any
}

// DumpResult tells what was written.
type DumpResult struct {
	RawBytes int64    `json:"raw_bytes"` // of SQL, before compression
	Bytes    int64    `json:"bytes"`     // of the file
	SHA256   string   `json:"sha256"`    // of the file; empty where the host cannot know
	Tables   []string `json:"tables"`    // whose CREATE TABLE was seen, in order
	Closed   bool     `json:"closed"`    // the dump ends with its "-- Dump completed" line
	Tool     string   `json:"tool"`      // path of the program and its version
}
