package host

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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
	// LoadDatabase drops everything that is in a database but what stands, and not the database itself, and loads a dump
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
	// Limit waits until so many bytes more of SQL may be read; nil does not. A parallel dump knows no limit.
	Limit func(ctx context.Context, bytes int) error `json:"-"`
}

// Compressions are those of dumps that are one file.
var Compressions = []string{"zstd", "gzip", "none"}

// ParallelDump stands in the place of a compression: the dump is a directory that mydumper writes, by several connections
// at a time, of files that are packed by gzip.
const ParallelDump = "mydumper"

// DumpForms are all that a dump can be.
var DumpForms = append(slices.Clone(Compressions), ParallelDump)

// CheckCompression refuses what is none of them.
func CheckCompression(kind string) error {
	if !slices.Contains(DumpForms, kind) {
		return fmt.Errorf("compression %q is not one of %s", kind, strings.Join(DumpForms, ", "))
	}
	return nil
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
	// Next is, by table, the least number that its AUTO_INCREMENT column may give to the next row. A table
	// that is not in the dump does not matter.
	Next map[string]uint64 `json:"next,omitempty"`
	// Counters are numbers that a row of the database holds, and that it may not go below.
	Counters []Counter `json:"counters,omitempty"`
	// Standing is what no dump holds, and is not dropped.
	Standing []string `json:"standing,omitempty"`
}

// Counter is a number that a program keeps in a row of a database, and gives away by.
type Counter struct {
	Table string `json:"table"`
	Key   string `json:"key"`  // column that names the row
	Name  string `json:"name"` // of the row
	Value string `json:"value"`
	Form  string `json:"form"` // how Value holds the number: "decimal" digits, or "little-endian" bytes
	Least string `json:"least,omitempty"`
}

// CounterForms are what Counter.Form may be.
var CounterForms = []string{"decimal", "little-endian"}

// Query asks for a counter's value, in hexadecimal digits.
func (c Counter) Query() string {
	return fmt.Sprintf("SELECT HEX(%s) AS value FROM %s WHERE %s = %s", QuoteName(c.Value), QuoteName(c.Table), QuoteName(c.Key), quoteText(c.Name))
}

// Raise sets a counter to Least.
func (c Counter) Raise() string {
	return fmt.Sprintf("UPDATE %s SET %s = x'%s' WHERE %s = %s", QuoteName(c.Table), QuoteName(c.Value), c.Least, QuoteName(c.Key), quoteText(c.Name))
}

// Number is what these hexadecimal digits of a counter's value mean; false if they are no number.
func (c Counter) Number(digits string) (uint64, bool) {
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) == 0 {
		return 0, false
	}
	if c.Form == "decimal" {
		n, err := strconv.ParseUint(string(raw), 10, 64)
		return n, err == nil
	}
	var n uint64
	for i, b := range raw {
		if i >= 8 && b != 0 {
			return 0, false
		}
		if i < 8 {
			n |= uint64(b) << (8 * i)
		}
	}
	return n, true
}

// QuoteName quotes the name of a table or column.
func QuoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func quoteText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// DumpResult tells what was written.
type DumpResult struct {
	RawBytes int64    `json:"raw_bytes"`          // of SQL, before compression
	Bytes    int64    `json:"bytes"`              // of the file
	SHA256   string   `json:"sha256"`             // of the file; empty where the host cannot know
	Tables   []string `json:"tables"`             // whose CREATE TABLE was seen, in order
	Views    []string `json:"views,omitempty"`    // that it makes
	Closed   bool     `json:"closed"`             // the dump ends with its "-- Dump completed" line
	Tool     string   `json:"tool"`               // path of the program and its version
	Standing []string `json:"standing,omitempty"` // what is not in it: Objects.Standing
	Held     []Object `json:"held,omitempty"`     // what is in it beside tables; only who makes it knows
	Definers []string `json:"definers,omitempty"` // whose views, triggers, routines and events it holds

	Took time.Duration `json:"took_ns,omitempty"` // to make it; 0 where the host cannot know
}

// StandBeside is what is left standing while this dump is loaded: what it did not hold itself, and what a later one, of
// the content that it replaces, did not. What this one holds makes way for its own self: a view that has stopped working
// since, or has taken the place of a table, and a routine beside which another account has made one.
func (r DumpResult) StandBeside(later []string) []string {
	return append(slices.Clone(r.Standing), slices.DeleteFunc(slices.Clone(later), func(s string) bool {
		kind, name, _ := strings.Cut(s, " ")
		if kind == "VIEW" && (slices.Contains(r.Views, name) || slices.Contains(r.Tables, name)) {
			return true
		}
		return slices.ContainsFunc(r.Held, func(o Object) bool { return o.Kind == kind && o.Name == name })
	})...)
}

var nextNumber = regexp.MustCompile(`(?m)^\) .*?\bAUTO_INCREMENT=([0-9]+)`)

// NextNumber is what a table gives its next row in its AUTO_INCREMENT column, by its CREATE TABLE.
func NextNumber(create string) uint64 {
	m := nextNumber.FindStringSubmatch(create)
	if m == nil {
		return 1
	}
	n, _ := strconv.ParseUint(m[1], 10, 64)
	return n
}
