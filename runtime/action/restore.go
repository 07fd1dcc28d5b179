package action

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &Restore{} }) }

// Restore ("db.restore") puts a database back to what a dump holds. It is what a rollback does beyond the
// point of no return, when it is told to; no runbook can ask for it.
//
// Prepare checks the dump, and looks up the numbers that the database has given to rows: files and
// clients outside it go by them, so that none may be given again to something else. Apply first dumps what
// is in the database now to Saved, then empties it and loads the dump; from half-way, once Saved is
// complete, it empties and loads again. It cannot be undone, but Saved holds what it replaced.
type Restore struct {
	Dump     Dump              `json:"dump"`               // the action that made the dump
	Made     host.DumpResult   `json:"made"`               // what it made
	Trees    []Numbered        `json:"trees,omitempty"`    // whose files are named by numbers of the database
	Saved    string            `json:"saved"`              // the dump of what is replaced
	Next     map[string]uint64 `json:"next,omitempty"`     // by table, the next number that it would have given
	Listed   map[string]uint64 `json:"listed,omitempty"`   // by table, the highest number of a file when its tree was first listed
	Counters []host.Counter    `json:"counters,omitempty"` // of the dump, as they stood before
	Newer    string            `json:"newer,omitempty"`    // how many of Dump.What are in the database and not in the dump
}

// Numbered is a tree whose files are named by the numbers of a table.
type Numbered struct {
	Path  string `json:"path"`
	Of    string `json:"of,omitempty"` // where it was before
	Only  string `json:"only,omitempty"`
	Table string `json:"table"`
}

func (a *Restore) Kind() string     { return "db.restore" }
func (a *Restore) Stage(*Env) error { return nil }
func (a *Restore) Summary() string {
	return fmt.Sprintf("restore database %s from %s", a.Dump.Database, a.Dump.Path)
}
func (a *Restore) Touches() []policy.Target { return a.Dump.Touches() }
func (a *Restore) Irreversible() string     { return "" }

// Servers implements Connector.
func (a *Restore) Servers() ([]host.Server, error) { return a.Dump.Servers() }

func (a *Restore) Prepare(env *Env) (bool, error) {
	if err := a.check(env); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	var err error
	if a.Saved, err = freeBeside(env.Host, a.Dump.Path); err != nil {
		return false, err
	}
	a.Newer, _ = a.Dump.newer(env) // of a database that somebody has emptied nothing can be told
	if err := a.numbers(env); err != nil {
		return false, fmt.Errorf("%s: %w; nothing was changed", a.Summary(), err)
	}
	return true, nil
}

// Asking for the tables whose rows the database numbers by itself, and their columns.
const queryNumbered = "SELECT TABLE_NAME AS name, COLUMN_NAME AS numbered FROM information_schema.COLUMNS " +
	"WHERE TABLE_SCHEMA = DATABASE() AND EXTRA LIKE '%auto_increment%' ORDER BY TABLE_NAME"

// eachNumbered visits the tables whose rows the database numbers; none where a simulation does not know.
func (a *Restore) eachNumbered(env *Env, visit func(conn host.DatabaseConn, table, column string) error) error {
	conn, err := a.Dump.conn(env)
	if err != nil {
		return err
	}
	rows, err := env.Host.Query(env.Ctx, conn, queryNumbered)
	if errors.Is(err, host.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, row := range rows.Rows {
		if err := visit(conn, row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

// numbers looks up what each table would number its next row, and what its files say.
func (a *Restore) numbers(env *Env) error {
	a.Next = map[string]uint64{}
	err := a.eachNumbered(env, func(conn host.DatabaseConn, table, _ string) error {
		rows, err := env.Host.Query(env.Ctx, conn, "SHOW CREATE TABLE "+host.QuoteName(table))
		if err == nil && len(rows.Rows) == 1 && len(rows.Rows[0]) > 1 {
			a.Next[table] = host.NextNumber(rows.Rows[0][1])
		}
		return err
	})
	if err == nil {
		err = a.counters(env)
	}
	if err != nil {
		return err
	}
	for _, t := range a.Trees {
		kept := keptTree{path: t.Path, only: t.Only}
		err := kept.each(env, func(e tree.Entry[host.DirReader]) error {
			if n := number(e.Rel); !e.Stat.IsDir() && n < math.MaxInt32 {
				a.Next[t.Table] = max(a.Next[t.Table], n+1)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return a.listed(env)
}

// listed looks up the highest number among the files that were listed before the dump was begun. What the dump knows
// beyond it came between the two.
func (a *Restore) listed(env *Env) error {
	for _, t := range a.Trees {
		books, err := keptTree{path: t.Path, of: t.Of, only: t.Only}.books(env)
		if err != nil {
			return err
		}
		if books.List == nil {
			continue
		}
		list, err := openList(env, books.List)
		if err != nil {
			return err
		}
		_, err = list.upTo("", func(l treeLine) error {
			if a.Listed == nil {
				a.Listed = map[string]uint64{}
			}
			a.Listed[t.Table] = max(a.Listed[t.Table], number(l.Rel))
			return nil
		})
		list.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// counters looks up how far the counters have come.
func (a *Restore) counters(env *Env) error {
	conn, err := a.Dump.conn(env)
	if err != nil {
		return err
	}
	tables, err := env.Host.Query(env.Ctx, conn, "SHOW TABLES")
	if errors.Is(err, host.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range a.Dump.Counters {
		if !slices.ContainsFunc(tables.Rows, func(row []string) bool { return row[0] == c.Table }) {
			continue // somebody has emptied the database
		}
		rows, err := env.Host.Query(env.Ctx, conn, c.Query())
		if errors.Is(err, host.ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if len(rows.Rows) == 1 {
			c.Least = rows.Rows[0][0]
			a.Counters = append(a.Counters, c)
		}
	}
	return nil
}

// highest looks up, in the database as it was dumped, the highest number that each table has, and all those that are
// higher than what was listed of its files.
func (a *Restore) highest(env *Env) (highest, unlisted []string, err error) {
	err = a.eachNumbered(env, func(conn host.DatabaseConn, table, column string) error {
		rows, err := env.Host.Query(env.Ctx, conn, fmt.Sprintf("SELECT COALESCE(MAX(%s), 0) AS highest FROM %s", host.QuoteName(column), host.QuoteName(table)))
		if err == nil && len(rows.Rows) == 1 {
			highest = append(highest, table+" "+rows.Rows[0][0])
		}
		listed, numbers := a.Listed[table]
		if err != nil || !numbers {
			return err
		}
		rows, err = env.Host.Query(env.Ctx, conn, fmt.Sprintf("SELECT DISTINCT %s AS numbered FROM %s WHERE %[1]s > %[3]d ORDER BY %[1]s", host.QuoteName(column), host.QuoteName(table), listed))
		for _, row := range rows.Rows {
			unlisted = append(unlisted, table+" "+row[0])
		}
		return err
	})
	return highest, unlisted, err
}

// RestoredBy is what a database holds again after a Restore with this result.
func RestoredBy(done *Result) *Restored {
	r := &Restored{Highest: map[string]uint64{}, Unlisted: map[string][]uint64{}}
	eachNumber(done.Values["highest"], func(table string, n uint64) { r.Highest[table] = n })
	eachNumber(done.Values["unlisted"], func(table string, n uint64) { r.Unlisted[table] = append(r.Unlisted[table], n) })
	return r
}

// eachNumber reads lines "TABLE NUMBER", as they were made, or from the journal.
func eachNumber(value any, visit func(table string, n uint64)) {
	var lines []any
	switch found := value.(type) {
	case []string:
		for _, line := range found {
			lines = append(lines, line)
		}
	case []any:
		lines = found
	}
	for _, line := range lines {
		text, _ := line.(string)
		at := strings.LastIndexByte(text, ' ')
		if n, err := strconv.ParseUint(text[at+1:], 10, 64); err == nil && at > 0 {
			visit(text[:at], n)
		}
	}
}

// check reads the dump to its end and refuses one that is not as it was made.
func (a *Restore) check(env *Env) error {
	if env.TrustAlone != nil {
		if err := env.TrustAlone(a.Dump.Path); err != nil {
			return fmt.Errorf("the dump is not gone by, and nothing was changed: %w", err)
		}
	}
	read, err := env.Host.CheckDump(env.Ctx, a.Dump.Path, a.Dump.Compression, func(n int64) {
		env.Progress(Progress{What: "check the dump " + a.Dump.Path, Done: n, Total: a.Made.RawBytes, Unit: "bytes"})
	})
	if err != nil {
		return fmt.Errorf("the dump cannot be read, and nothing was changed: %w", err)
	}
	if read.Bytes != a.Made.Bytes || read.SHA256 != a.Made.SHA256 {
		return fmt.Errorf("the dump is not the one that the run made (%d bytes, was %d; SHA-256 %s, was %s), and nothing was changed; find out who changed it",
			read.Bytes, a.Made.Bytes, read.SHA256, a.Made.SHA256)
	}
	a.Made.Views = read.Views
	made := a.Dump
	made.Tables, made.ExpectedBytes = a.Made.Tables, 0
	err = made.judge(read)
	if err == nil {
		err = a.mayMake(env, read.Definers)
	}
	if err == nil {
		err = a.trusted(env)
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	return nil
}

// mayMake refuses a dump in the middle of which the server would stop, because what is another account's may not be made.
func (a *Restore) mayMake(env *Env, definers []string) error {
	if len(definers) == 0 {
		return nil
	}
	conn, err := a.Dump.conn(env)
	if err != nil {
		return err
	}
	account, err := host.AskAccount(asking(env, conn))
	if errors.Is(err, host.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(definers), account.May)
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("the dump holds views, triggers, routines or events of %s, which %s may not make again: GRANT SUPER ON *.* to it (SET USER on MariaDB 10.5 and later, "+
		"SET_USER_ID or SET_ANY_DEFINER on MySQL 8), then roll back again", strings.Join(others, ", "), account.Name)
}

// trusted refuses a dump in the middle of which the server would stop, because it keeps a binary log.
func (a *Restore) trusted(env *Env) error {
	conn, err := a.Dump.conn(env)
	if err != nil {
		return err
	}
	refused, err := host.Distrusted(asking(env, conn), a.Made.Held)
	if errors.Is(err, host.ErrUnknown) || err == nil && len(refused) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, o := range refused {
		names = append(names, o.String())
	}
	return fmt.Errorf("the database server keeps a binary log, or is of a Galera cluster, and would not let user %s make what the dump holds (errors 1418 and 1419): %s; as its administrator "+
		"SET GLOBAL log_bin_trust_function_creators = 1, then roll back again", conn.User, strings.Join(names, ", "))
}

// asking asks the server of a connection.
func asking(env *Env, conn host.DatabaseConn) func(query string) (host.Rows, error) {
	return func(query string) (host.Rows, error) { return env.Host.Query(env.Ctx, conn, query) }
}

// freeBeside is the first name of X-replaced.sql.zst, X-replaced-2.sql.zst, ... that is free.
func freeBeside(v host.View, dump string) (string, error) {
	base, ending, _ := strings.Cut(path.Base(dump), ".")
	for n := 1; ; n++ {
		name := base + "-replaced"
		if n > 1 {
			name += fmt.Sprintf("-%d", n)
		}
		if ending != "" {
			name += "." + ending
		}
		name = path.Join(path.Dir(dump), name)
		there, err := exists(v, name)
		if err != nil || !there {
			return name, err
		}
	}
}

// Detail says how long it takes, and where the replaced content is kept.
func (a *Restore) Detail(*Env) (Detail, error) {
	return Detail{Bytes: a.Made.RawBytes, Lines: []string{
		fmt.Sprintf("%s; %s", counted(int64(len(a.Made.Tables)), "table", "tables"), a.Dump.LoadTime(a.Made)),
		"what is in the database now is dumped to " + a.Saved + " first" + a.withNewer(", with "),
	}}, nil
}

// withNewer names what is newer than the dump, if it was counted.
func (a *Restore) withNewer(begin string) string {
	if a.Newer == "" {
		return ""
	}
	return fmt.Sprintf("%s%s %s that are newer than the dump", begin, a.Newer, a.Dump.What)
}

// Cost implements Coster.
func (a *Restore) Cost() Span {
	raw, _ := host.LargestDump(a.Dump.most(), "none")
	made := a.Made
	made.RawBytes = max(raw, made.RawBytes)
	return dumpPace.of(a.Dump.most()).Plus(a.Dump.loading(made))
}

// BrokenOff implements Breakable.
func (a *Restore) BrokenOff() string {
	return "the database may be half loaded, and no server can work with it before `rollback --restore-database` has loaded it whole"
}

func (a *Restore) Apply(env *Env) (Result, error) {
	if len(env.Marks) > 0 { // begun before: the dump has lain there since it was checked
		if err := a.check(env); err != nil {
			return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
		}
	}
	saved, err := a.save(env)
	if err != nil {
		return Result{}, err
	}
	conn, err := a.Dump.conn(env)
	if err != nil {
		return Result{}, err
	}
	req := host.LoadRequest{
		Conn: conn, Path: a.Dump.Path, Compression: a.Dump.Compression, SHA256: a.Made.SHA256, Next: a.Next, Counters: a.Counters,
		Standing: a.Made.StandBeside(saved.Standing),
	}
	err = env.Host.LoadDatabase(env.Ctx, req, func(n int64) {
		env.Progress(Progress{What: "load " + a.Dump.Path, Done: n, Total: a.Made.RawBytes, Unit: "bytes"})
	})
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	highest, unlisted, err := a.highest(env)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return Result{
		Summary: fmt.Sprintf("restored database %s: %s; what it replaced is in %s%s", a.Dump.Database, counted(int64(len(a.Made.Tables)), "table", "tables"), a.Saved, a.withNewer(", with ")),
		Lines:   append(a.beside(env, conn, req.Standing), a.afterwards()...),
		Values:  map[string]any{"highest": highest, "unlisted": unlisted},
	}, nil
}

// beside tells what became of what is not in the dump that was loaded: it is as it was before the load, unless somebody
// has dropped it since the dump was made.
func (a *Restore) beside(env *Env, conn host.DatabaseConn, standing []string) []string {
	if len(standing) == 0 {
		return nil
	}
	found, err := env.Host.Query(env.Ctx, conn, host.QueryDefiners)
	if err != nil { // the dump is loaded all the same
		return stood(standing, "not in the dump, and not touched")
	}
	gone := slices.DeleteFunc(slices.Clone(standing), func(s string) bool {
		return slices.ContainsFunc(found.Rows, func(row []string) bool { return row[0]+" "+row[1] == s })
	})
	there := slices.DeleteFunc(slices.Clone(standing), func(s string) bool { return slices.Contains(gone, s) })
	return append(stood(there, "not in the dump, and left as they are"),
		stood(gone, "not in the dump, and gone since it was made, by whoever dropped them")...)
}

// afterwards is what there is to tell once the dump is loaded.
func (a *Restore) afterwards() []string {
	var numbers []string
	for _, table := range slices.Sorted(maps.Keys(a.Next)) {
		numbers = append(numbers, "{"+table+"}", strconv.FormatUint(a.Next[table], 10))
	}
	var lines []string
	for _, text := range a.Dump.Afterwards {
		lines = append(lines, strings.NewReplacer(numbers...).Replace(text))
	}
	return lines
}

// save dumps what will be replaced, once: from half-way the database may already be emptied.
func (a *Restore) save(env *Env) (host.DumpResult, error) {
	now := a.Dump
	now.Path, now.Tables, now.ExpectedBytes = a.Saved, nil, 0
	saved, err := now.make(env)
	if err != nil {
		return saved, fmt.Errorf("%s: first the present content: %w; nothing was changed", a.Summary(), err)
	}
	return saved, nil
}

func (a *Restore) Undo(*Env) error {
	return errors.New("a database that was restored is not taken back: " + a.Saved + " holds what it was")
}

// LoadTime implements Dumper.
func (a *Dump) LoadTime(made host.DumpResult) string {
	text := "loading takes " + a.loading(made).String()
	if made.Took < time.Second {
		return text
	}
	return text + ", after a dump of what is there by then (the first took " + Span{made.Took, made.Took}.String() + ")"
}

// loading is how long the loading of a dump takes: no machine loads faster than it dumps, and most of one that was slow
// at the one are slower at the other.
func (a *Dump) loading(made host.DumpResult) Span {
	guess := loadPace.of(made.RawBytes).Plus(rowPace.of(a.Rows))
	least := max(guess.Least, made.Took)
	return Span{least, max(guess.Most, loadPerDump*least)}
}

// loadPerDump is how many times as long as the dump the loading takes where the machine is slower than a slow one.
const loadPerDump = 4
