package runbook

import (
	"fmt"
	"path"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var guardBuiltin = &script.Builtin{
	Name: "guard", Effect: script.Describe, Value: makeGuard,
	Doc: "A service that is not to be disturbed while it does what must come to its end, such as an upgrade of its database.\n\n" +
		"While a process of the service holds one of the locks, nothing stops, restarts or reloads it, no package is installed or " +
		"removed, and no rollback begins: each of these is an error that says what the service is at, and how to go on. A lock that " +
		"is left from a process that was killed does not count; where the one that runs now could not make its own for that reason, " +
		"the question tells. The guards are kept with the run, so that the way back knows them.",
	Params: []script.Param{
		{Name: "service", Type: script.String, Doc: "service, without .service"},
		{Name: "locks", Type: script.Paths, Doc: "files that it keeps meanwhile, as the service sees them: one in a /tmp of its own is found", Keyword: true},
		{Name: "doing", Type: script.String, Doc: "what it does meanwhile: \"upgrades its database\"", Keyword: true},
		{Name: "asks", Type: script.String, Doc: "a question that it answers only when it is done, as svc.start takes them", Optional: true, Default: `""`, Keyword: true},
	},
	Result:  "guard",
	Example: `careful = guard("kopano-server", locks = ["/tmp/kopano-upgrade-lock"], doing = "upgrades its database")`,
}

// guardValue is a guard as a Starlark value.
type guardValue struct{ action.Guard }

func (guardValue) String() string        { return "guard(...)" }
func (guardValue) Type() string          { return "guard" }
func (guardValue) Freeze()               {}
func (guardValue) Truth() starlark.Bool  { return true }
func (guardValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: guard") }

func makeGuard(c *script.Call) (starlark.Value, error) {
	g := guardValue{action.Guard{Service: c.String("service"), Locks: c.Strings("locks"), Doing: c.String("doing"), Asks: c.String("asks")}}
	if err := host.CheckServiceName(g.Service); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if len(g.Locks) == 0 {
		return nil, c.Errorf("locks: a guard needs one at least")
	}
	for _, lock := range g.Locks {
		if !path.IsAbs(lock) || path.Clean(lock) != lock {
			return nil, c.Errorf("locks: %q is not an absolute, clean path", lock)
		}
	}
	if g.Asks != "" {
		if _, err := host.ParseQuestion(g.Service, g.Asks); err != nil {
			return nil, c.Errorf("asks: %w", err)
		}
	}
	return g, nil
}

func guardsOf(v starlark.Value) ([]action.Guard, error) {
	if v == nil || v == starlark.None {
		return nil, nil
	}
	seq, ok := v.(starlark.Sequence)
	if !ok {
		return nil, fmt.Errorf("got %s, want a list of guard(...)", v.Type())
	}
	var guards []action.Guard
	iter := seq.Iterate()
	defer iter.Done()
	var e starlark.Value
	for iter.Next(&e) {
		g, ok := e.(guardValue)
		if !ok {
			return nil, fmt.Errorf("got a list with %s, want guard(...)", e.Type())
		}
		guards = append(guards, g.Guard)
	}
	return guards, nil
}
