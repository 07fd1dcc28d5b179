package svc

import (
	"strings"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

var nameParam = script.Param{Name: "name", Type: script.String, Doc: "service, without .service"}

// decide decides on actions on the service named by the call.
func decide(c *script.Call, states ...action.Service) (script.Decision, error) {
	name, err := serviceName(c)
	if err != nil {
		return script.Decision{}, err
	}
	d := script.Decision{Result: starlark.None}
	for _, s := range states {
		s.Name = name
		d.Actions = append(d.Actions, &s)
	}
	return d, nil
}

// telling lets the last action give the result.
func telling(d script.Decision, err error) (script.Decision, error) {
	d.Result = nil
	return d, err
}

// toldResult is what a start tells.
const toldResult = "None, or record(failures): the lines, if its log said something of the list warns"

// serviceName reads the parameter name.
func serviceName(c *script.Call) (string, error) {
	name := c.String("name")
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "/ \t\n*?[") {
		return "", c.Errorf("%q is not the name of a service; svc.list lists those that match a pattern", name)
	}
	return strings.TrimSuffix(name, ".service"), nil
}

func yes() *bool { return new(true) }
func no() *bool  { return new(false) }

// patience reads the parameter of that name.
func patience(c *script.Call) (time.Duration, error) {
	seconds := c.Int("patience", defaultPatience)
	if seconds < 1 || seconds > 24*3600 {
		return 0, c.Errorf("argument patience: %d is out of range; give 1 to 86400 seconds", seconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

// defaultPatience is longer than systemd's own limit (90 s), after which it kills what stays.
const defaultPatience = 300

var patienceParam = script.Param{Name: "patience", Type: script.Int, Doc: "seconds to wait until its last process is gone", Optional: true, Default: "300", Keyword: true}

var stop = &script.Builtin{
	Name: "svc.stop",
	Doc: "Stops a service, and sees that it is stopped: inactive, and none of its processes left.\n\n" +
		"A service that is not there is stopped already. Processes that stay are an error that names them; nothing is killed. " +
		"A service that a guard of the runbook keeps from being disturbed is not stopped. Of the questions in answers those count " +
		"that it answers now: a rollback that starts it again sees that it answers these again.",
	Params: []script.Param{nameParam, patienceParam, answersParam, logParam},
	Result: "None",
	Effect: script.Change,
	Example: `
for service in svc.list("zarafa-*"):
    svc.stop(service.name, patience = 600)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		wait, err := patience(c)
		if err != nil {
			return script.Decision{}, err
		}
		work, err := worksOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		return decide(c, action.Service{Active: no(), Patience: wait, Works: work})
	},
}

var start = &script.Builtin{
	Name: "svc.start",
	Doc: "Starts a service and waits until it runs; with answers or upgrade, until it works.\n\n" +
		"It works when the same process answers all questions for some seconds, and, with upgrade, the database is at the revision " +
		"that this service brings it to. There is no limit to that wait, unless within gives one; it fails as soon as the process ends. " +
		"Whoever breaks it off leaves the service alone: a resume waits on. A service that runs already is only asked.\n\n" +
		"A question is PROTOCOL://HOST:PORT or PROTOCOL+unix:/PATH; protocols are http, imap, pop3, lmtp, smtp, connect (content with a " +
		"connection), each with an s behind it for TLS, and line, which sends the second word of the question (HELP, NOOP, PING, PROPS " +
		"or VERSION), to nobody but the service itself, and expects an answer that begins with the third. The answer has to come from the service itself. With client nothing is asked: the service has to hold a " +
		"connection to that address, for a second at least; that shows of one that listens nowhere that another lets it in.\n\n" +
		"no_return says why a start cannot be undone: the run then announces it as a point of no return. With lenient a start that " +
		"fails is told and no error, for a service that must not keep others from starting; start it once more without, at the end: " +
		"its log then counts from the first.",
	Params: []script.Param{
		nameParam,
		{Name: "no_return", Type: script.String, Doc: "what the start changes for good", Optional: true, Default: `""`, Keyword: true},
		answersParam, upgradeParam, logParam, failuresParam, withinParam,
		{Name: "lenient", Type: script.Bool, Doc: "a start that fails is not an error", Optional: true, Default: "False", Keyword: true},
	},
	Result: toldResult,
	Effect: script.Change,
	Example: `
svc.start(
    "kopano-server",
    no_return = "its first start upgrades the database",
    answers = ["http+unix:/var/run/kopano/server.sock"],
    upgrade = svc.upgrade(mysql.connection({}), "SELECT MAX(databaserevision) AS revision FROM versions", target = 118),
)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		work, err := workToDo(c)
		if err != nil {
			return script.Decision{}, err
		}
		return telling(decide(c, action.Service{Active: yes(), NoReturn: c.String("no_return"), Works: work, Lenient: c.Bool("lenient", false)}))
	},
}

var restart = &script.Builtin{
	Name: "svc.restart",
	Doc: "Stops a service, sees that it is stopped, and starts it. One that does not run is started.\n\n" +
		"The stop is that of svc.stop, and the start that of svc.start. Where the service can read its configuration again without, svc.reload is better.",
	Params: []script.Param{nameParam, patienceParam, answersParam, upgradeParam, logParam, failuresParam, withinParam},
	Result: toldResult,
	Effect: script.Change,
	Example: `
svc.restart("kopano-dagent", answers = ["lmtp://127.0.0.1:2003"])
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		wait, err := patience(c)
		if err != nil {
			return script.Decision{}, err
		}
		work, err := workToDo(c)
		if err != nil {
			return script.Decision{}, err
		}
		return telling(decide(c, action.Service{Active: no(), Patience: wait, Works: work}, action.Service{Active: yes(), Works: work}))
	},
}

var reload = &script.Builtin{
	Name: "svc.reload",
	Doc: "Makes a running service read its configuration again, and sees that its process goes on.\n\n" +
		"The way is that of its unit or init script, else SIGHUP to its main process. A daemon takes over only part of its options " +
		"in this way, and one that does not know the signal ends by it. A rollback reloads the service once more when the configuration " +
		"is back.",
	Params: []script.Param{nameParam},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.reload("zarafa-server")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		name, err := serviceName(c)
		return script.Decision{Result: starlark.None, Actions: []action.Action{&action.Reload{Name: name}}}, err
	},
}

var enable = &script.Builtin{
	Name:   "svc.enable",
	Doc:    "Has a service started when the machine boots.",
	Params: []script.Param{nameParam},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.enable("kopano-server")
`,
	Decide: func(c *script.Call) (script.Decision, error) { return decide(c, action.Service{Enabled: yes()}) },
}

var disable = &script.Builtin{
	Name:   "svc.disable",
	Doc:    "Has a service not started when the machine boots. One that runs goes on.",
	Params: []script.Param{nameParam},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.disable("kopano-ical")
`,
	Decide: func(c *script.Call) (script.Decision, error) { return decide(c, action.Service{Enabled: no()}) },
}

var mask = &script.Builtin{
	Name: "svc.mask",
	Doc: "Keeps a service from being started by anything (systemd only).\n\n" +
		"Do not leave one masked while packages install: their scripts fail on it. svc.hold_starts is for that.",
	Params: []script.Param{nameParam},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.mask("kopano-presence")
`,
	Decide: func(c *script.Call) (script.Decision, error) { return decide(c, action.Service{Masked: yes()}) },
}

var unmask = &script.Builtin{
	Name:   "svc.unmask",
	Doc:    "Takes svc.mask back.",
	Params: []script.Param{nameParam},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.unmask("kopano-presence")
`,
	Decide: func(c *script.Call) (script.Decision, error) { return decide(c, action.Service{Masked: no()}) },
}
