package svc

import (
	"strings"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/action"
)

var nameParam = runtime.Param{Name: "name", Type: runtime.String, Doc: "service, without .service"}

// plan makes a plan of actions on the service named by the call.
func plan(c *runtime.Call, states ...action.Service) (runtime.Plan, error) {
	name := c.String("name")
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "/ \t\n*?[") {
		return runtime.Plan{}, c.Errorf("%q is no name of a service; svc.list lists those that match a pattern", name)
	}
	p := runtime.Plan{Result: starlark.None}
	for _, s := range states {
		s.Name = strings.TrimSuffix(name, ".service")
		p.Actions = append(p.Actions, &s)
	}
	return p, nil
}

func yes() *bool { return new(true) }
func no() *bool  { return new(false) }

// patience reads the parameter of that name.
func patience(c *runtime.Call) (time.Duration, error) {
	seconds := c.Int("patience", defaultPatience)
	if seconds < 1 || seconds > 24*3600 {
		return 0, c.Errorf("argument patience: %d is out of range; give 1 to 86400 seconds", seconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

// defaultPatience is longer than systemd's own limit (90 s), after which it kills what stays.
const defaultPatience = 300

var patienceParam = runtime.Param{Name: "patience", Type: runtime.Int, Doc: "seconds to wait until its last process is gone", Optional: true, Default: "300", Keyword: true}

var stop = &runtime.Builtin{
	Name: "svc.stop",
	Doc: "Stops a service, and sees that it is stopped: inactive, and none of its processes left.\n\n" +
		"A service that is not there is stopped already. Processes that stay are an error that names them; nothing is killed.",
	Params: []runtime.Param{nameParam, patienceParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
for service in svc.list("zarafa-*"):
    svc.stop(service.name, patience = 600)
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		wait, err := patience(c)
		if err != nil {
			return runtime.Plan{}, err
		}
		return plan(c, action.Service{Active: no(), Patience: wait})
	},
}

var start = &runtime.Builtin{
	Name: "svc.start",
	Doc: "Starts a service and waits, without a deadline, until it runs.\n\n" +
		"no_return says why a start cannot be undone: the run then announces it as a point of no return.",
	Params: []runtime.Param{
		nameParam,
		{Name: "no_return", Type: runtime.String, Doc: "what the start changes for good", Optional: true, Default: `""`, Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.start("kopano-server", no_return = "its first start upgrades the database")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		return plan(c, action.Service{Active: yes(), NoReturn: c.String("no_return")})
	},
}

var restart = &runtime.Builtin{
	Name:   "svc.restart",
	Doc:    "Stops a service, sees that it is stopped, and starts it. One that does not run is started.",
	Params: []runtime.Param{nameParam, patienceParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.restart("kopano-dagent")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		wait, err := patience(c)
		if err != nil {
			return runtime.Plan{}, err
		}
		return plan(c, action.Service{Active: no(), Patience: wait}, action.Service{Active: yes()})
	},
}

var enable = &runtime.Builtin{
	Name:   "svc.enable",
	Doc:    "Has a service started when the machine boots.",
	Params: []runtime.Param{nameParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.enable("kopano-server")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) { return plan(c, action.Service{Enabled: yes()}) },
}

var disable = &runtime.Builtin{
	Name:   "svc.disable",
	Doc:    "Has a service not started when the machine boots. One that runs goes on.",
	Params: []runtime.Param{nameParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.disable("kopano-ical")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) { return plan(c, action.Service{Enabled: no()}) },
}

var mask = &runtime.Builtin{
	Name: "svc.mask",
	Doc: "Keeps a service from being started by anything (systemd only).\n\n" +
		"Do not leave one masked while packages install: their scripts fail on it. svc.hold_starts is for that.",
	Params: []runtime.Param{nameParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.mask("kopano-presence")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) { return plan(c, action.Service{Masked: yes()}) },
}

var unmask = &runtime.Builtin{
	Name:   "svc.unmask",
	Doc:    "Takes svc.mask back.",
	Params: []runtime.Param{nameParam},
	Result: "None",
	Effect: runtime.Change,
	Example: `
svc.unmask("kopano-presence")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) { return plan(c, action.Service{Masked: no()}) },
}
