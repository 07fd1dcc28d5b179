package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Dump{} }) }

// Dump ("db.dump") dumps a database to a new file, or directory, and judges the dump: it must have its closing line,
// every table, and a size that the data allows. A dump that fails is removed.
//
// What has the wanted name is a complete, judged dump; Apply dumps under a temporary name and begins
// again from half-way. Undo removes both.
type Dump struct {
	Connection

	Path          string   `json:"path"`
	Compression   string   `json:"compression"`    // "zstd", "gzip" or "none"; "mydumper" makes a directory
	Tables        []string `json:"tables"`         // that the dump must hold
	ExpectedBytes int64    `json:"expected_bytes"` // data and indexes, as the server counts them
	MostBytes     int64    `json:"most_bytes,omitempty"`
	Rows          int64    `json:"rows,omitempty"`  // about so many
	Doubt         string   `json:"doubt,omitempty"` // why MostBytes is no upper bound

	// What a restore says about what is newer than the dump. Position asks for a number that grows with
	// what comes in; Newer counts what came after it, which stands in for {}.
	Position string `json:"position,omitempty"`
	Newer    string `json:"newer,omitempty"`
	What     string `json:"what,omitempty"` // what Newer counts: "messages"
	At       string `json:"at,omitempty"`   // the position of the dump; empty if it is not known

	Counters []host.Counter `json:"counters,omitempty"` // that a restore may not set back

	Afterwards []string `json:"afterwards,omitempty"` // what a restore tells when it is done; {TABLE} is the next number of a table

	// Size is what Prepare takes the numbers from: they change while the database is at work, and a plan
	// does not rest on them.
	Size DataSize `json:"-"`
}

// DataSize is how much data a database holds.
type DataSize struct {
	Rows     int64  // about so many
	Expected int64  // as the server counts data and indexes
	Most     int64  // as the largest account of it says
	Doubt    string // why it may yet be more; empty if it cannot
}

func (a *Dump) Kind() string         { return "db.dump" }
func (a *Dump) Summary() string      { return fmt.Sprintf("dump database %s to %s", a.Database, a.Path) }
func (a *Dump) Irreversible() string { return "" }
func (a *Dump) Touches() []policy.Target {
	return append(pathTargets(a.Path), policy.Target{Class: policy.Database, Name: a.Database})
}

func (a *Dump) Stage(env *Env) error { return a.stage(env) }

func (a *Dump) Prepare(env *Env) (bool, error) {
	if a.Size != (DataSize{}) {
		a.ExpectedBytes, a.MostBytes, a.Rows, a.Doubt = a.Size.Expected, a.Size.Most, a.Size.Rows, a.Size.Doubt
	}
	if err := needParent(env.Host, a.Path); err != nil {
		return false, err
	}
	_, err := env.Host.Lstat(a.Path)
	if err == nil {
		return false, fmt.Errorf("%s: that file exists, and a dump never replaces one; move it away or name another: %w", a.Summary(), fs.ErrExist)
	}
	if !host.Absent(err) {
		return false, err
	}
	if a.Position == "" {
		return true, nil
	}
	a.At, err = a.ask(env, a.Position)
	return true, err
}

// ask is the one number that a query answers; empty where a simulation does not know it.
func (a *Dump) ask(env *Env, query string) (string, error) {
	conn, err := a.conn(env)
	if err != nil {
		return "", err
	}
	rows, err := env.Host.Query(env.Ctx, conn, query)
	if errors.Is(err, host.ErrUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(rows.Rows) != 1 || len(rows.Rows[0]) != 1 {
		return "", fmt.Errorf("%s: one number was asked for, and %d rows came", query, len(rows.Rows))
	}
	if _, err := strconv.ParseUint(rows.Rows[0][0], 10, 64); err != nil {
		return "", fmt.Errorf("%s: %w", query, err)
	}
	return rows.Rows[0][0], nil
}

// newer counts what is in the database and not in the dump; empty if that is not known.
func (a *Dump) newer(env *Env) (string, error) {
	if a.At == "" || a.Newer == "" {
		return "", nil
	}
	return a.ask(env, strings.ReplaceAll(a.Newer, "{}", a.At))
}

// Detail says how large the dump may get.
func (a *Dump) Detail(*Env) (Detail, error) {
	lines := []string{fmt.Sprintf("%s, compression %s", counted(int64(len(a.Tables)), "table", "tables"), a.Compression)}
	if a.Doubt == "" {
		lines[0] += "; the dump takes at most that much"
	} else {
		lines = append(lines, "the dump may get larger: "+a.Doubt)
	}
	_, bytes := host.LargestDump(a.most(), a.Compression)
	return Detail{Files: 1, Bytes: bytes, Lines: lines}, nil
}

func (a *Dump) most() int64 { return max(a.MostBytes, a.ExpectedBytes) }

// Cost implements Coster.
func (a *Dump) Cost() Span { return dumpPace.of(a.most()) }

// LimitedBytes implements Limited.
func (a *Dump) LimitedBytes() int64 {
	if a.Compression == host.ParallelDump {
		return 0
	}
	return a.most()
}

// Unbounded implements Unbounded.
func (a *Dump) Unbounded() string {
	if a.Compression != host.ParallelDump {
		return ""
	}
	return "mydumper writes the dump by itself, and knows no limit of bytes a second, which mysqldump is held to; it only has the least priority at the disk"
}

// BrokenOff implements Breakable.
func (a *Dump) BrokenOff() string {
	return "the unfinished dump is removed, and a resume makes a new one"
}

func (a *Dump) Apply(env *Env) (Result, error) {
	made, err := a.make(env)
	if err != nil {
		return Result{}, err
	}
	return a.result(made), nil
}

// make makes the dump, unless an interrupted attempt has.
func (a *Dump) make(env *Env) (made host.DumpResult, err error) {
	if err := clearTemps(env, a.Path); err != nil {
		return made, err
	}
	done, err := exists(env.Host, a.Path)
	if err != nil {
		return made, err
	}
	if done {
		return a.marked(env)
	}
	if made, err = a.dump(env); err != nil {
		return made, errors.Join(fmt.Errorf("%s: %w", a.Summary(), err), clearTemps(env, a.Path))
	}
	if err := env.Mark(made); err != nil {
		return made, err
	}
	return made, renamePath(env.Host, a.unfinished(env), a.Path)
}

func (a *Dump) unfinished(env *Env) string { return path.Join(path.Dir(a.Path), env.temp()) }

func (a *Dump) dump(env *Env) (host.DumpResult, error) {
	conn, err := a.conn(env)
	if err != nil {
		return host.DumpResult{}, err
	}
	req := host.DumpRequest{Conn: conn, Path: a.unfinished(env), Final: a.Path, Compression: a.Compression, MostBytes: a.most(), Doubt: a.Doubt, Limit: env.Limit}
	raw, packed := host.LargestDump(req.MostBytes, a.Compression)
	if a.Compression == host.ParallelDump { // what it writes is seen only as it lies there
		raw = packed
	}
	ctx, stop := context.WithCancelCause(env.Ctx)
	defer stop(nil)
	allowed, before := env.Store.allow(path.Dir(a.Path)), int64(0)
	if err := allowed.take(0, 0); err != nil {
		return host.DumpResult{}, err
	}
	made, err := env.Host.DumpDatabase(ctx, req, func(written int64) {
		if err := allowed.take(written-before, 0); err != nil {
			stop(err)
		}
		before = written
		env.Progress(Progress{What: "dump " + a.Database, Done: written, Total: raw, AtMost: true, Unit: "bytes"})
	})
	if full := context.Cause(ctx); full != nil && env.Ctx.Err() == nil {
		err = full
	}
	if err == nil {
		err = env.Store.Room(path.Dir(a.Path), 0)
	}
	if err != nil {
		return made, err
	}
	return made, a.judge(made)
}

// A dump of a large database holds at least this part of what the server counts as data and indexes;
// small ones are mostly empty pages, so their size says nothing.
const (
	plausiblePart = 10
	plausibleFrom = 64 << 20
)

// judge says why a dump cannot be trusted.
func (a *Dump) judge(made host.DumpResult) error {
	var missing []string
	for _, table := range a.Tables {
		if !slices.Contains(made.Tables, table) {
			missing = append(missing, table)
		}
	}
	switch {
	case made.RawBytes <= 0 || made.Bytes <= 0:
		return errors.New("the dump is empty")
	case !made.Closed && a.Compression == host.ParallelDump:
		return errors.New("the dump's metadata does not say that it was finished, so it ended early; look for the reason in the database server's log")
	case !made.Closed:
		return errors.New(`the dump has no closing line ("-- Dump completed"), so it ended early; look for the reason in the database server's log (max_allowed_packet, a lost connection)`)
	case len(missing) > 0:
		return fmt.Errorf("the dump lacks the tables %s; check the rights of the database user", strings.Join(missing, ", "))
	case a.ExpectedBytes >= plausibleFrom && made.RawBytes < a.ExpectedBytes/plausiblePart:
		return fmt.Errorf("the dump has only %d bytes of SQL, for %d bytes of data and indexes; check the tables (mysqlcheck), or shrink them with OPTIMIZE TABLE if most of that is free space", made.RawBytes, a.ExpectedBytes)
	}
	return nil
}

// marked is the result of a dump that an interrupted Apply completed.
func (a *Dump) marked(env *Env) (host.DumpResult, error) {
	var made host.DumpResult
	if len(env.Marks) > 0 {
		err := json.Unmarshal(env.Marks[len(env.Marks)-1], &made)
		return made, err
	}
	st, err := env.Host.Lstat(a.Path)
	made.Bytes = st.Size
	return made, err
}

func (a *Dump) result(made host.DumpResult) Result {
	return Result{
		Lines:   stood(made.Standing, "not in the dump; they stay where they are when it is loaded"),
		Summary: fmt.Sprintf("dumped %s, %d bytes of SQL in %d bytes, by %s", counted(int64(len(made.Tables)), "table", "tables"), made.RawBytes, made.Bytes, made.Tool),
		Values: map[string]any{
			"path": a.Path, "bytes": made.Bytes, "raw_bytes": made.RawBytes, "sha256": made.SHA256,
			"tables": made.Tables, "tool": made.Tool,
		},
	}
}

// stood tells of what no dump holds.
func stood(standing []string, what string) []string {
	if len(standing) == 0 {
		return nil
	}
	var names []string
	for _, s := range slices.Compact(slices.Sorted(slices.Values(standing))) {
		kind, name, _ := strings.Cut(s, " ")
		names = append(names, strings.ToLower(kind)+" "+name)
	}
	return []string{what + ": " + strings.Join(names, ", ")}
}

func (a *Dump) Undo(env *Env) error {
	if err := clearTemps(env, a.Path); err != nil {
		return err
	}
	return removePath(env.Host, a.Path)
}

// Differences says whether the dump is still there.
func (a *Dump) Differences(env *Env) ([]string, error) {
	return env.Store.Compare(Preimage{Path: a.Path})
}

// DumpPath implements Dumper.
func (a *Dump) DumpPath() string { return a.Path }

// Dumped implements Dumper.
func (a *Dump) Dumped(env *Env) (made host.DumpResult, complete bool, err error) {
	if len(env.Marks) == 0 {
		return made, false, nil
	}
	made, err = a.marked(env)
	return made, err == nil, err
}

// Loading implements Dumper.
func (a *Dump) Loading(env *Env, trees []Numbered) (Action, error) {
	made, complete, err := a.Dumped(env)
	if err != nil {
		return nil, err
	}
	if !complete {
		return nil, fmt.Errorf("the dump %s was not completed: there is nothing to restore the database from", a.Path)
	}
	return &Restore{Dump: *a, Made: made, Trees: trees}, nil
}
