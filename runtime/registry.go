package runtime

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	starlarkjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/near"
)

// runKey is the thread local that holds the *Run of a step's thread.
const runKey = "zcp2kopano.run"

// predeclare makes the names that a runbook sees: the language's own (describe.go, findings.go), and
// the builtins, those with a dot grouped in modules.
func predeclare(builtins []*Builtin) starlark.StringDict {
	names := starlark.StringDict{"json": starlarkjson.Module, "struct": structBuiltin}
	modules := map[string]*moduleValue{}
	for _, b := range append(CoreBuiltins(), builtins...) {
		value := b.callable()
		group, member, dotted := strings.Cut(b.Name, ".")
		if !dotted {
			names[b.Name] = value
			continue
		}
		if modules[group] == nil {
			modules[group] = &moduleValue{name: group, members: starlark.StringDict{}}
			names[group] = modules[group]
		}
		modules[group].members[member] = value
	}
	names.Freeze()
	return names
}

func predeclaredNames(names starlark.StringDict) []string {
	all := append(names.Keys(), starlark.Universe.Keys()...)
	for _, v := range names {
		if m, ok := v.(*moduleValue); ok {
			for _, member := range m.AttrNames() {
				all = append(all, m.name+"."+member)
			}
		}
	}
	return all
}

// moduleValue is a group of builtins: fs, pkg, ...
type moduleValue struct {
	name    string
	members starlark.StringDict
}

var _ starlark.HasAttrs = (*moduleValue)(nil)

func (m *moduleValue) String() string        { return fmt.Sprintf("<module %s>", m.name) }
func (m *moduleValue) Type() string          { return "module" }
func (m *moduleValue) Freeze()               { m.members.Freeze() }
func (m *moduleValue) Truth() starlark.Bool  { return true }
func (m *moduleValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: module") }
func (m *moduleValue) AttrNames() []string   { return m.members.Keys() }

func (m *moduleValue) Attr(name string) (starlark.Value, error) {
	if v, ok := m.members[name]; ok {
		return v, nil
	}
	hint := near.Hint(name, m.AttrNames())
	if hint == "" {
		hint = "; it has " + strings.Join(m.AttrNames(), ", ")
	}
	return nil, fmt.Errorf("%s has no function %s%s", m.name, name, hint)
}

// callable is the builtin as Starlark calls it. A panic becomes an error, so that no mistake in a
// builtin takes the process, and with it the run, down.
func (b *Builtin) callable() *starlark.Builtin {
	return starlark.NewBuiltin(b.Name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (v starlark.Value, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%s: internal error: %v; please report it with this trace:\n%s", b.Name, r, debug.Stack())
			}
		}()
		bound, err := b.bind(args, kwargs)
		if err != nil {
			return nil, err
		}
		run, _ := thread.Local(runKey).(*Run)
		call := &Call{Builtin: b, Thread: thread, Run: run, args: bound}
		if b.Effect == Pure || b.Effect == Describe {
			return nonNil(b.Value(call))
		}
		if run == nil {
			return nil, fmt.Errorf("%s works on the host, so it can only be called inside a step", b.Name)
		}
		call.View = run.cfg.Host
		outside(thread, func() { v, err = run.carryOut(call) })
		return nonNil(v, err)
	})
}

func nonNil(v starlark.Value, err error) (starlark.Value, error) {
	if v == nil && err == nil {
		return starlark.None, nil
	}
	return v, err
}

// Context ends when the run is to stop hard.
func (c *Call) Context() context.Context {
	if c.Run == nil {
		return context.Background()
	}
	return c.Run.ctx
}
