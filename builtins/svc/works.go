package svc

import (
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/builtins/internal/connection"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var (
	answersParam = script.Param{Name: "answers", Type: script.Strings, Doc: "questions that the service answers when it works", Optional: true, Default: "[]", Keyword: true}
	upgradeParam = script.Param{Name: "upgrade", Type: script.Any, Doc: "svc.upgrade(): the work on its database that the service does when it starts", Optional: true, Keyword: true}
	logParam     = script.Param{Name: "log", Type: script.String, Doc: "path of the service's log; empty for the journal of systemd", Optional: true, Default: `""`, Keyword: true}
	withinParam  = script.Param{Name: "within", Type: script.Int, Doc: "seconds in which the service has to work; 0 for no limit", Optional: true, Default: "0", Keyword: true}
)

var failuresParam = script.Param{Name: "failures", Type: script.Any, Doc: "svc.failures(): what its log may not say while it comes up", Optional: true, Keyword: true}

// worksOf reads what it means that a service works; nil if nothing says so.
func worksOf(c *script.Call) (*action.Works, error) {
	name, err := serviceName(c)
	if err != nil {
		return nil, err
	}
	work := &action.Works{Log: c.String("log")}
	work.Questions, err = questions(c, name)
	if err != nil || !c.Has("answers") {
		return nil, err
	}
	return work, nil
}

// workToDo is what a start has to come to; nil if nothing says so.
func workToDo(c *script.Call) (*action.Works, error) {
	work, err := worksOf(c)
	if err != nil {
		return nil, err
	}
	up, err := upgradeOf(c.Value("upgrade"))
	if err != nil {
		return nil, c.Errorf("argument upgrade: %w; pass what svc.upgrade returns", err)
	}
	bad, err := failuresOf(c.Value("failures"))
	if err != nil {
		return nil, c.Errorf("argument failures: %w; pass what svc.failures returns", err)
	}
	if work == nil && up == nil && bad == nil {
		return nil, nil
	}
	if work == nil {
		work = &action.Works{Log: c.String("log")}
	}
	work.Upgrade, work.Failures, work.Patience = up, bad, time.Duration(c.Int("within", 0))*time.Second
	if work.Patience < 0 {
		return nil, c.Errorf("argument within: it is negative")
	}
	return work, nil
}

func questions(c *script.Call, service string) ([]host.Question, error) {
	var list []host.Question
	for _, text := range c.Strings("answers") {
		q, err := host.ParseQuestion(service, text)
		if err != nil {
			return nil, c.Errorf("argument answers: %w", err)
		}
		list = append(list, q)
	}
	return list, nil
}

var upgrade = &script.Builtin{
	Name: "svc.upgrade",
	Doc:  "Describes the work on its database that a service does when it starts, for svc.start.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what mysql.connection returned"},
		{Name: "query", Type: script.String, Doc: "a SELECT that answers the revision: one number"},
		{Name: "target", Type: script.Int, Doc: "the revision that the service brings the database to; 0 if it is not known: then the work has ended when the revision no longer moves", Optional: true, Default: "0", Keyword: true},
		{Name: "locks", Type: script.Paths, Doc: "files that are there while the service is at it", Optional: true, Default: "[]", Keyword: true},
	},
	Result: "record(conn, query, target, locks)",
	Effect: script.Pure,
	Example: `
work = svc.upgrade(mysql.connection({}), "SELECT MAX(databaserevision) AS revision FROM versions", target = 118, locks = ["/tmp/kopano-upgrade-lock"])
print("the database comes to revision", work.target)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		if _, err := connection.Of(c.Value("conn")); err != nil {
			return nil, c.Errorf("argument conn: %w", err)
		}
		return script.NewRecord(map[string]any{
			"conn": c.Value("conn"), "query": c.String("query"), "target": c.Int("target", 0), "locks": c.Strings("locks"),
		}), nil
	},
}

var failures = &script.Builtin{
	Name: "svc.failures",
	Doc: "Says what a service's log may not say while it comes up, for svc.start.\n\n" +
		"The log is read from where it ended before the start: the file, and, with systemd, the journal. For each line the first list counts " +
		"that has an expression for it. A line of stops fails the start, and is quoted. Those of warns are returned by it, so that a " +
		"runbook can report them though the start succeeded. What a service does not log, or logs to a syslog file, is not seen.",
	Params: []script.Param{
		{Name: "stops", Type: script.Strings, Doc: "regular expressions (RE2) for lines that say that it does not do its work", Optional: true, Default: "[]", Keyword: true},
		{Name: "warns", Type: script.Strings, Doc: "for lines that somebody should read", Optional: true, Default: "[]", Keyword: true},
		{Name: "passes", Type: script.Strings, Doc: "for lines that are of no matter though one of the others is for them, too", Optional: true, Default: "[]", Keyword: true},
	},
	Result: "record(stops, warns, passes)",
	Effect: script.Pure,
	Example: `
bad = svc.failures(warns = [r"\[error "], passes = ["Client disconnected"])
print(bad.warns)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		f := action.Failures{Passes: c.Strings("passes"), Stops: c.Strings("stops"), Warns: c.Strings("warns")}
		if err := f.Check(); err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"passes": f.Passes, "stops": f.Stops, "warns": f.Warns}), nil
	},
}

// failuresOf reads the record that svc.failures made; nil if there is none.
func failuresOf(v starlark.Value) (*action.Failures, error) {
	if v == nil || v == starlark.None {
		return nil, nil
	}
	rec, ok := v.(*starlarkstruct.Struct)
	if !ok {
		return nil, fmt.Errorf("got %s", v.Type())
	}
	var f action.Failures
	for name, to := range map[string]*[]string{"passes": &f.Passes, "stops": &f.Stops, "warns": &f.Warns} {
		field, err := rec.Attr(name)
		if err != nil {
			return nil, err
		}
		list, ok := field.(*starlark.List)
		if !ok {
			return nil, fmt.Errorf("%s: got %s", name, field.Type())
		}
		for i := range list.Len() {
			text, _ := starlark.AsString(list.Index(i))
			*to = append(*to, text)
		}
	}
	return &f, f.Check()
}

// upgradeOf reads the record that svc.upgrade made; nil if there is none.
func upgradeOf(v starlark.Value) (*action.Upgrade, error) {
	if v == nil || v == starlark.None {
		return nil, nil
	}
	rec, ok := v.(*starlarkstruct.Struct)
	if !ok {
		return nil, fmt.Errorf("got %s", v.Type())
	}
	fields := map[string]starlark.Value{}
	for _, name := range []string{"conn", "query", "target", "locks"} {
		var err error
		if fields[name], err = rec.Attr(name); err != nil {
			return nil, err
		}
	}
	db, err := connection.Of(fields["conn"])
	if err != nil {
		return nil, err
	}
	up := &action.Upgrade{Database: action.ConnectionTo(db)}
	up.Query, _ = starlark.AsString(fields["query"])
	if err := starlark.AsInt(fields["target"], &up.Target); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	locks, ok := fields["locks"].(*starlark.List)
	if !ok {
		return nil, fmt.Errorf("locks: got %s", fields["locks"].Type())
	}
	for i := range locks.Len() {
		lock, _ := starlark.AsString(locks.Index(i))
		up.Locks = append(up.Locks, lock)
	}
	return up, nil
}

var ask = &script.Builtin{
	Name: "svc.ask",
	Doc: "Asks a service, and tells what it does not answer.\n\n" +
		"The questions are those of svc.start. A service of which no process runs answers nothing.",
	Params: []script.Param{
		nameParam,
		{Name: "answers", Type: script.Strings, Doc: "the questions"},
		{Name: "sure", Type: script.Bool, Doc: "leave out the questions that could not be put, because this process may not connect, for one: they tell nothing about the service", Optional: true, Default: "False", Keyword: true},
	},
	Result:   "list of strings, a problem each; empty if the service runs and answers all",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for problem in svc.ask("zarafa-server", ["http+unix:/var/run/zarafad/server.sock"]):
    warn("zarafa-server does not work", problem)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, err := serviceName(c)
		if err != nil {
			return nil, err
		}
		asked, err := questions(c, name)
		if err != nil {
			return nil, err
		}
		s, err := find(c.View, name)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		problems := []any{}
		if !s.Active {
			problems = append(problems, "it does not run")
			asked = nil
		}
		for _, q := range asked {
			_, err := c.View.Ask(c.Context(), q)
			if errors.Is(err, host.ErrUnasked) && c.Bool("sure", false) {
				continue
			}
			if err != nil {
				problems = append(problems, err.Error())
			}
		}
		return script.ToStarlark(problems), nil
	},
}

var lock = &script.Builtin{
	Name: "svc.lock",
	Doc: "Looks for a lock of a service: a file by which it says that it must not be disturbed.\n\n" +
		"One in a /tmp that systemd has given the service for itself is found, too.",
	Params: []script.Param{nameParam, {Name: "locks", Type: script.Paths, Doc: "files, as the service sees them"}},
	Result: "record(path, since, pid, stale), or None; pid is the process that holds it, 0 for one that is stale: left from a process that is gone. " +
		"since is a time, as text",
	Effect:   script.Read,
	Volatile: true,
	Example: `
lock = svc.lock("zarafa-server", ["/tmp/zarafa-upgrade-lock"])
if lock and not lock.stale:
    inhibit("zarafa-server upgrades its database", "its process %d does so since %s" % (lock.pid, lock.since))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, err := serviceName(c)
		if err != nil {
			return nil, err
		}
		found, err := c.View.ServiceLock(name, c.Strings("locks"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		if found == nil {
			return starlark.None, nil
		}
		return script.NewRecord(map[string]any{
			"path": found.Path, "since": found.Since.Format(time.DateTime), "pid": found.Holder.PID, "stale": found.Stale(),
		}), nil
	},
}

var logOf = &script.Builtin{
	Name: "svc.log",
	Doc:  "Tells what a service said last, and how its last process ended.",
	Params: []script.Param{
		nameParam,
		{Name: "file", Type: script.String, Doc: "path of its log; empty for the journal of systemd", Optional: true, Default: `""`},
	},
	Result:   "record(where, lines, end): where is the path, or the command that shows the log; end is like \"exit status 255\", or empty",
	Effect:   script.Read,
	Volatile: true,
	Example: `
said = svc.log("zarafa-server", "/var/log/zarafa/server.log")
print(said.where, said.lines)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, err := serviceName(c)
		if err != nil {
			return nil, err
		}
		trace := c.View.ServiceTrace(c.Context(), name, c.String("file"))
		return script.NewRecord(map[string]any{"where": trace.Log, "lines": append([]string{}, trace.Lines...), "end": trace.End}), nil
	},
}
