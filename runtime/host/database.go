package host

import "context"

// DatabaseReader asks a MySQL or MariaDB server, in sessions that are set READ ONLY before the
// first query.
type DatabaseReader interface {
	// Query runs one SELECT or SHOW statement. NULL is the empty string.
	Query(ctx context.Context, conn DatabaseConn, query string) (Rows, error)
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
	// ExpectedBytes is the size of data and indexes, for progress and for a host that must guess.
	ExpectedBytes int64 `json:"expected_bytes"`
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
