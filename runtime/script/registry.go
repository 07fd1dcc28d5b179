package script

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/near"
)

// runnerKey is the thread local that holds the Runner of a step's thread.
const runnerKey = "zcp2kopano.runner"

// predeclare makes the names that a runbook sees: the builtins, those with a dot grouped in modules, and
// two of the language's own.
func predeclare(builtins []*Builtin) starlark.StringDict {
	names := starlark.StringDict{"json": jsonModule(), "struct": starlark.NewBuiltin("struct", starlarkstruct.Make), comparedName: compared}
	maps.Copy(names, boundedFunctions())
	modules := map[string]*moduleValue{}
	for _, b := range builtins {
		value := b.Callable()
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
	hides := func(name string) bool { return slices.Contains(hiddenNames, name) }
	all := slices.DeleteFunc(append(names.Keys(), starlark.Universe.Keys()...), hides)
	slices.Sort(all)
	all = slices.Compact(all)
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

// Callable is the builtin as Starlark calls it. A panic becomes an error, so that no mistake in a
// builtin takes the process, and with it the run, down.
func (b *Builtin) Callable() *starlark.Builtin {
	return starlark.NewBuiltin(b.Name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (v starlark.Value, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%s: internal error: %v; please report it with this trace:\n%s", b.Name, r, debug.Stack())
			}
		}()
		if most := share(thread, b.givenShare()); textSizes(args, kwargs, most) > most {
			return nil, fmt.Errorf("%s: what it is given is larger than %s", b.Name, sizeText(most))
		}
		bound, err := b.bind(args, kwargs)
		if err != nil {
			return nil, err
		}
		call := &Call{Builtin: b, thread: thread, args: bound}
		if b.Effect == Pure || b.Effect == Describe {
			return call.Answer()
		}
		run := call.Runner()
		if run == nil {
			return nil, fmt.Errorf("%s works on the host, so it can only be called inside a step", b.Name)
		}
		outside(thread, func() { v, err = run.CarryOut(call) })
		if err == nil && v != nil && b.Effect == Read {
			earn(thread, v)
		}
		return nonNil(v, err)
	})
}

// givenShare is the share of the heap that one call may be given.
func (b *Builtin) givenShare() uint64 {
	if b.Passes {
		return answerShare
	}
	return givenShare
}

// Answer is what a builtin that is not of effect Change makes of a call.
func (c *Call) Answer() (starlark.Value, error) { return nonNil(c.Builtin.Value(c)) }

func nonNil(v starlark.Value, err error) (starlark.Value, error) {
	if v == nil && err == nil {
		return starlark.None, nil
	}
	return v, err
}

// Runner is who carries the call out; nil while modules load.
func (c *Call) Runner() Runner {
	run, _ := c.thread.Local(runnerKey).(Runner)
	return run
}

// Context ends when the run is to stop hard.
func (c *Call) Context() context.Context {
	if run := c.Runner(); run != nil {
		return run.Context()
	}
	return context.Background()
}

// Apply calls a function of the runbook in the course of the call.
func (c *Call) Apply(fn starlark.Value, args starlark.Tuple) (starlark.Value, error) {
	return starlark.Call(c.thread, fn, args, nil)
}

// File is the label of the module that calls.
func (c *Call) File() string {
	if c.thread.CallStackDepth() < 2 {
		return ""
	}
	return c.thread.CallFrame(1).Pos.Filename()
}

// Pos is the call site in the runbook.
func (c *Call) Pos() string {
	if pos := c.Position(); pos.IsValid() {
		return pos.String()
	}
	return ""
}

// Position is the same.
func (c *Call) Position() syntax.Position {
	if c.thread.CallStackDepth() < 2 {
		return syntax.Position{}
	}
	return c.thread.CallFrame(1).Pos
}
