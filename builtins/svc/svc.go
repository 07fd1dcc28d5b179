// Package svc is the runbooks' module svc: services and processes.
package svc

import (
	"path"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{
		state, list, processes, listeners, config, ask, lock, logOf, upgrade, failures,
		stop, start, restart, reload, enable, disable, mask, unmask,
		holdStarts, releaseStarts,
	}
}

// record is a service as runbooks see it.
func record(s host.Service) starlark.Value {
	return script.NewRecord(map[string]any{
		"name": s.Name, "exists": s.Kind != "", "kind": s.Kind, "active": s.Active, "enabled": s.Enabled,
		"masked": s.Masked, "failed": s.Failed, "pid": s.PID,
	})
}

const recordDoc = "record(name, exists, kind, active, enabled, masked, failed, pid): kind is \"systemd\" or \"sysv\"; pid is 0 where none runs"

// find looks one service up; an unknown one has no Kind.
func find(view host.View, name string) (host.Service, error) {
	found, err := view.Services(name)
	if err != nil {
		return host.Service{}, err
	}
	for _, s := range found {
		if s.Name == name {
			return s, nil
		}
	}
	return host.Service{Name: name}, nil
}

var state = &script.Builtin{
	Name:     "svc.state",
	Doc:      "Tells the state of one service. An unknown one has exists False.",
	Params:   []script.Param{{Name: "name", Type: script.String, Doc: "service, without .service"}},
	Result:   recordDoc,
	Effect:   script.Read,
	Volatile: true,
	Example: `
if svc.state("zarafa-server").active:
    print("zarafa-server runs")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		s, err := find(c.View, c.String("name"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return record(s), nil
	},
}

var listeners = &script.Builtin{
	Name: "svc.listeners",
	Doc: "Lists where processes accept connections over TCP.\n\n" +
		"Where it cannot be seen whose a socket is, pid is 0 and name and user are empty. In a simulation it is as it was at its " +
		"start, without what has ended since.",
	Result:   "list of record(address, port, pid, name, user), in order of port; address is \"0.0.0.0\" or \"::\" for all of the host's",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for listener in svc.listeners():
    if listener.port == 143:
        print(listener.name, "serves IMAP")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		found, err := c.View.Listeners()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		running, err := c.View.Processes()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		names := map[int]host.Process{}
		for _, p := range running {
			names[p.PID] = p
		}
		var records []any
		for _, l := range found {
			p := names[l.PID]
			records = append(records, script.NewRecord(map[string]any{
				"address": l.Address, "port": l.Port, "pid": l.PID, "name": p.Name, "user": p.User,
			}))
		}
		return script.ToStarlark(records), nil
	},
}

var list = &script.Builtin{
	Name:     "svc.list",
	Doc:      "Lists the services whose name matches.",
	Params:   []script.Param{{Name: "pattern", Type: script.String, Doc: "glob: *, ?, [a-z]", Optional: true, Default: `"*"`}},
	Result:   "list of " + recordDoc + "; in order of name",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for service in svc.list("zarafa-*"):
    print(service.name, "runs" if service.active else "is stopped")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		pattern := c.StringOr("pattern", "*")
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, c.Errorf("pattern %q: %w", pattern, err)
		}
		found, err := c.View.Services(pattern)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		records := make([]any, len(found))
		for i, s := range found {
			records[i] = record(s)
		}
		return script.ToStarlark(records), nil
	},
}

var processes = &script.Builtin{
	Name: "svc.processes",
	Doc:  "Lists the running processes whose program's name matches.",
	Params: []script.Param{
		{Name: "pattern", Type: script.String, Doc: "glob for the base name of the executable", Optional: true, Default: `"*"`},
		{Name: "user", Type: script.String, Doc: "only those of this user", Optional: true, Default: `""`, Keyword: true},
	},
	Result:   "list of record(pid, name, exe, user, uid, config), in order of pid; config is the file behind the option -c, empty if there is none",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for process in svc.processes("zarafa-*"):
    print(process.name, "runs as", process.user)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		pattern := c.StringOr("pattern", "*")
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, c.Errorf("pattern %q: %w", pattern, err)
		}
		running, err := c.View.Processes()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		var records []any
		for _, p := range running {
			if ok, _ := path.Match(pattern, p.Name); !ok || c.Has("user") && c.String("user") != p.User {
				continue
			}
			records = append(records, script.NewRecord(map[string]any{
				"pid": p.PID, "name": p.Name, "exe": p.Exe, "user": p.User, "uid": p.UID, "config": p.Config,
			}))
		}
		return script.ToStarlark(records), nil
	},
}
