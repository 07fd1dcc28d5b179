package action

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Restore{} }) }

// Restore ("db.restore") puts a database back to what a dump holds. It is what a rollback does beyond the
// point of no return, when it is told to; no runbook can ask for it.
//
// Prepare checks the dump. Apply first dumps what
// is in the database now to Saved, then empties it and loads the dump; from half-way, once Saved is
// complete, it empties and loads again. It cannot be undone, but Saved holds what it replaced.
type Restore struct {
	Dump  Dump            `json:"dump"`  // the action that made the dump
	Made  host.DumpResult `json:"made"`  // what it made
	Saved string          `json:"saved"` // the dump of what is replaced
}

func (a *Restore) Kind() string     { return "db.restore" }
func (a *Restore) Stage(*Env) error { return nil }
func (a *Restore) Summary() string {
	return fmt.Sprintf("restore database %s from %s", a.Dump.Database, a.Dump.Path)
}
func (a *Restore) Touches() []policy.Target { return a.Dump.Touches() }
func (a *Restore) Irreversible() string     { return "" }

func (a *Restore) Prepare(env *Env) (bool, error) {
	if err := a.check(env); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	var err error
	a.Saved, err = freeBeside(env.Host, a.Dump.Path)
	return true, err
}

// check reads the dump to its end and refuses one that is not as it was made.
func (a *Restore) check(env *Env) error {
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
	made := a.Dump
	made.Tables, made.ExpectedBytes = a.Made.Tables, 0
	if err := made.judge(read); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	return nil
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
		fmt.Sprintf("%d tables; %s", len(a.Made.Tables), LoadTime(a.Made.RawBytes)),
		"what is in the database now is dumped to " + a.Saved + " first",
	}}, nil
}

func (a *Restore) Apply(env *Env) (Result, error) {
	if len(env.Marks) > 0 { // begun before: the dump has lain there since it was checked
		if err := a.check(env); err != nil {
			return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
		}
	}
	if err := a.save(env); err != nil {
		return Result{}, err
	}
	conn, err := a.Dump.conn(env)
	if err != nil {
		return Result{}, err
	}
	req := host.LoadRequest{Conn: conn, Path: a.Dump.Path, Compression: a.Dump.Compression, SHA256: a.Made.SHA256}
	err = env.Host.LoadDatabase(env.Ctx, req, func(n int64) {
		env.Progress(Progress{What: "load " + a.Dump.Path, Done: n, Total: a.Made.RawBytes, Unit: "bytes"})
	})
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return Result{Summary: fmt.Sprintf("restored database %s: %d tables; what it replaced is in %s", a.Dump.Database, len(a.Made.Tables), a.Saved)}, nil
}

// save dumps what will be replaced, once: from half-way the database may already be emptied.
func (a *Restore) save(env *Env) error {
	now := a.Dump
	now.Path, now.Tables, now.ExpectedBytes = a.Saved, nil, 0
	if _, err := now.Apply(env); err != nil {
		return fmt.Errorf("%s: first the present content: %w; nothing was changed", a.Summary(), err)
	}
	return nil
}

func (a *Restore) Undo(*Env) error {
	return errors.New("a database that was restored is not taken back: " + a.Saved + " holds what it was")
}

// Loading is bound by the server's disk. These are a slow old disk's and a fast one's pace.
const (
	slowLoad = 2 << 20 // bytes of SQL a second
	fastLoad = 20 << 20
)

// LoadTime says how long it takes to load so many bytes of SQL.
func LoadTime(raw int64) string {
	minutes := func(pace int64) int64 { return (raw + 60*pace - 1) / (60 * pace) }
	from, to := max(minutes(fastLoad), 1), max(minutes(slowLoad), 1)
	switch {
	case to == 1:
		return "loading takes about a minute"
	case to < 120:
		return fmt.Sprintf("loading takes between %d and %d minutes, by the disk", from, to)
	}
	return fmt.Sprintf("loading takes between %d minutes and %d hours, by the disk", from, (to+59)/60)
}

// Dumped is what a dump action of an earlier run made; ok is false if it did not come to its end.
func (a *Dump) Dumped(env *Env) (made host.DumpResult, ok bool, err error) {
	if len(env.Marks) == 0 {
		return made, false, nil
	}
	made, err = a.marked(env)
	return made, err == nil, err
}
