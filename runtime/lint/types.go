package lint

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// typ is what a value may be. Where nothing is known it is anything, and nothing is said about it.
type typ struct {
	names   []string // names of types, sorted; nil is anything
	fields  map[string]typ
	open    bool // a struct may have other fields
	elem    *typ // of a list, tuple, set or range; of a dict, its values
	items   []typ
	fn      *function
	builtin *script.Builtin
	module  string
	text    *string // a string that is known
}

var anything = typ{}

func is(name string) typ { return typ{names: []string{name}} }

func (t typ) known() bool { return t.names != nil }

func (t typ) only(name string) bool { return len(t.names) == 1 && t.names[0] == name }

func (t typ) may(name string) bool { return t.names == nil || slices.Contains(t.names, name) }

// or is what may be one or the other.
func (t typ) or(u typ) typ {
	if !t.known() || !u.known() {
		return anything
	}
	names := append(slices.Clone(t.names), u.names...)
	slices.Sort(names)
	both := typ{names: slices.Compact(names), open: t.open || u.open}
	both.elem = either(t, u, "list tuple dict set range", func(x typ) *typ { return x.elem })
	switch {
	case t.only("NoneType"):
		both.fields, both.fn, both.items = u.fields, u.fn, u.items
	case u.only("NoneType"):
		both.fields, both.fn, both.items = t.fields, t.fn, t.items
	case t.fields != nil && u.fields != nil:
		both.fields = map[string]typ{}
		for name, f := range t.fields {
			both.fields[name] = f
		}
		for name, f := range u.fields {
			if old, ok := both.fields[name]; ok {
				f = old.or(f)
			}
			both.fields[name] = f
		}
	case t.may("struct") && u.may("struct"):
		both.open = true
	case t.may("struct"):
		both.fields = t.fields
	case u.may("struct"):
		both.fields = u.fields
	}
	return both
}

// either is what both tell of their elements, if both may have some.
func either(t, u typ, kinds string, of func(typ) *typ) *typ {
	has := func(x typ) bool {
		return slices.ContainsFunc(x.names, func(name string) bool { return slices.Contains(strings.Fields(kinds), name) })
	}
	switch a, b := of(t), of(u); {
	case has(t) && !has(u):
		return a
	case has(u) && !has(t):
		return b
	case a == nil || b == nil:
		return nil
	default:
		e := a.or(*b)
		return &e
	}
}

// of is a list, tuple, ... of elements.
func of(name string, elem typ) typ {
	t := is(name)
	if elem.known() {
		t.elem = &elem
	}
	return t
}

// shaped is what a declaration tells of a value.
func shaped(s script.Shape) typ {
	if s.Types == nil {
		return anything
	}
	names := slices.Clone(s.Types)
	slices.Sort(names)
	t := typ{names: slices.Compact(names), open: s.Fields == nil}
	if s.Fields != nil {
		t.fields = map[string]typ{}
		for _, name := range s.Fields {
			t.fields[name] = anything
		}
	}
	if s.Elem != nil {
		e := shaped(*s.Elem)
		t.elem = &e
	}
	return t
}

// samples are values of each type: what can be done with them is what the language says.
var samples = map[string]starlark.Value{
	"NoneType": starlark.None, "bool": starlark.True, "int": starlark.MakeInt(2), "float": starlark.Float(2),
	"string": starlark.String("x"), "bytes": starlark.Bytes("x"),
	"list": starlark.NewList([]starlark.Value{starlark.String("x")}), "tuple": starlark.Tuple{},
	"dict": starlark.NewDict(0), "set": starlark.NewSet(0), "range": rangeSample(),
	"struct":   starlarkstruct.FromStringDict(starlarkstruct.Default, nil),
	"function": starlark.NewBuiltin("f", nil), "builtin_function_or_method": starlark.NewBuiltin("f", nil),
	"secret": script.SecretValue{}, "runbook": &runbook.Runbook{},
}

func rangeSample() starlark.Value {
	v, err := starlark.Call(&starlark.Thread{}, starlark.Universe["range"], starlark.Tuple{starlark.MakeInt(2)}, nil)
	if err != nil {
		panic(err)
	}
	return v
}

// everySample reports whether something can be asked of each type that a value may have.
func everySample(t typ) bool {
	if !t.known() {
		return false
	}
	for _, name := range t.names {
		if samples[name] == nil {
			return false
		}
	}
	return true
}

// fits reports whether one of the types passes.
func fits(t typ, passes func(v starlark.Value) bool) bool {
	if !everySample(t) {
		return true
	}
	return slices.ContainsFunc(t.names, func(name string) bool { return passes(samples[name]) })
}

func isIterable(v starlark.Value) bool { _, ok := v.(starlark.Iterable); return ok }
