package script

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/near"
)

// bind checks a call's arguments against the declaration and returns them by name. Left out
// arguments, and optional ones given as None, are absent.
func (b *Builtin) bind(args starlark.Tuple, kwargs []starlark.Tuple) (map[string]starlark.Value, error) {
	bound := map[string]starlark.Value{}
	var positional []Param
	for _, p := range b.Params {
		if !p.Keyword {
			positional = append(positional, p)
		}
	}
	if len(args) > len(positional) {
		return nil, fmt.Errorf("%s: got %d arguments, takes at most %d: %s", b.Name, len(args), len(positional), b.Signature())
	}
	for i, v := range args {
		bound[positional[i].Name] = v
	}
	for _, kv := range kwargs {
		name := string(kv[0].(starlark.String))
		if b.param(name) == nil {
			return nil, fmt.Errorf("%s: unexpected argument %s%s", b.Name, name, near.Hint(name, b.paramNames()))
		}
		if _, twice := bound[name]; twice {
			return nil, fmt.Errorf("%s: argument %s is given twice", b.Name, name)
		}
		bound[name] = kv[1]
	}
	for _, p := range b.Params {
		v, given := bound[p.Name]
		if !given {
			continue
		}
		var err error
		if bound[p.Name], err = p.open(v); err != nil {
			return nil, fmt.Errorf("%s: argument %s: %w", b.Name, p.Name, err)
		}
	}
	for _, p := range b.Params {
		v, given := bound[p.Name]
		if given && v == starlark.None && p.Optional && p.Type != Any && p.Type != Data {
			delete(bound, p.Name)
			given = false
		}
		if !given {
			if !p.Optional {
				return nil, fmt.Errorf("%s: missing argument %s: %s", b.Name, p.Name, b.Signature())
			}
			continue
		}
		if err := p.Check(v); err != nil {
			return nil, fmt.Errorf("%s: argument %s: %w", b.Name, p.Name, err)
		}
	}
	return bound, nil
}

// Signature is the builtin's call form: "fs.write(path, content, mode = None)".
func (b *Builtin) Signature() string {
	var parts []string
	star := false
	for i, p := range b.Params {
		if p.Rest {
			parts, star = append(parts, p.Name), true
			continue
		}
		if i > 0 && b.Params[i-1].Positional && !p.Positional {
			parts = append(parts, "/")
		}
		if p.Keyword && !star {
			parts, star = append(parts, "*"), true
		}
		if p.Optional {
			def := p.Default
			if def == "" {
				def = "None"
			}
			parts = append(parts, p.Name+" = "+def)
			continue
		}
		parts = append(parts, p.Name)
	}
	return b.Name + "(" + strings.Join(parts, ", ") + ")"
}

func (b *Builtin) param(name string) *Param {
	for i := range b.Params {
		if b.Params[i].Name == name {
			return &b.Params[i]
		}
	}
	return nil
}

func (b *Builtin) paramNames() []string {
	names := make([]string, len(b.Params))
	for i, p := range b.Params {
		names[i] = p.Name
	}
	return names
}

// Check reports whether a value fits the declared type.
func (p *Param) Check(v starlark.Value) error {
	want := func() error { return fmt.Errorf("got %s, want %s", v.Type(), p.Type) }
	switch p.Type {
	case String, Path, Mode:
		s, ok := v.(starlark.String)
		if !ok {
			return want()
		}
		return p.checkString(string(s))
	case Int:
		if _, ok := v.(starlark.Int); !ok {
			return want()
		}
		if _, err := starlark.AsInt32(v); err != nil {
			if _, ok := v.(starlark.Int).Int64(); !ok {
				return fmt.Errorf("%s is too large", v)
			}
		}
	case Bool:
		if _, ok := v.(starlark.Bool); !ok {
			return want()
		}
	case Strings, Paths:
		list, err := StringList(v)
		if err != nil {
			return fmt.Errorf("got %s, want %s", err, p.Type)
		}
		if p.Type == Paths {
			for _, s := range list {
				if err := CheckPath(s); err != nil {
					return err
				}
			}
		}
	case Dict:
		if _, ok := v.(*starlark.Dict); !ok {
			return want()
		}
	case SecretT:
		if _, ok := v.(SecretValue); ok {
			return nil
		}
		if _, ok := v.(starlark.String); ok {
			return nil
		}
		return want()
	case Text:
		if _, ok := v.(starlark.String); ok {
			return nil
		}
		if _, ok := v.(SecretValue); ok {
			return nil
		}
		return want()
	case Function:
		if _, ok := v.(starlark.Callable); !ok {
			return want()
		}
	}
	return nil
}

func (p *Param) checkString(s string) error {
	switch p.Type {
	case Path:
		return CheckPath(s)
	case Mode:
		_, err := parseMode(s)
		return err
	}
	if len(p.Choices) == 0 {
		return nil
	}
	for _, c := range p.Choices {
		if c == s {
			return nil
		}
	}
	return fmt.Errorf("got %q, want one of %s%s", s, strings.Join(p.Choices, ", "), near.Hint(s, p.Choices))
}

// CheckPath tells why text is no absolute, clean path; nil if it is one.
func CheckPath(s string) error {
	switch {
	case strings.ContainsRune(s, 0):
		return fmt.Errorf("path %q holds a NUL byte", s)
	case !path.IsAbs(s):
		return fmt.Errorf("path %q is not absolute", s)
	case path.Clean(s) != s:
		return fmt.Errorf("path %q is not in its shortest form; write %q", s, path.Clean(s))
	}
	return nil
}

func parseMode(s string) (fs.FileMode, error) {
	bits, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("mode %q is not octal, like \"0640\"", s)
	}
	return host.ModeOf(uint32(bits)), nil
}

// StringList is a list or tuple of strings.
func StringList(v starlark.Value) ([]string, error) {
	seq, ok := v.(starlark.Sequence)
	if _, dict := v.(*starlark.Dict); !ok || dict {
		return nil, fmt.Errorf("%s", v.Type())
	}
	list := make([]string, 0, seq.Len())
	iter := seq.Iterate()
	defer iter.Done()
	var e starlark.Value
	for iter.Next(&e) {
		s, ok := e.(starlark.String)
		if !ok {
			return nil, fmt.Errorf("%s of %s", v.Type(), e.Type())
		}
		list = append(list, string(s))
	}
	return list, nil
}

// Args are all arguments that were given, by name.
func (c *Call) Args() map[string]starlark.Value { return c.args }

// Has reports whether an argument was given (and is not None).
func (c *Call) Has(name string) bool {
	c.declared(name)
	_, ok := c.args[name]
	return ok
}

// Value returns an argument as it was given; nil if it was left out.
func (c *Call) Value(name string) starlark.Value {
	c.declared(name)
	return c.args[name]
}

// String returns a String, Path or Mode argument, "" if it was left out.
func (c *Call) String(name string) string {
	s, _ := c.Value(name).(starlark.String)
	return string(s)
}

// StringOr is String with a default.
func (c *Call) StringOr(name, def string) string {
	if !c.Has(name) {
		return def
	}
	return c.String(name)
}

// Int returns an Int argument, def if it was left out.
func (c *Call) Int(name string, def int64) int64 {
	if v, ok := c.Value(name).(starlark.Int); ok {
		i, _ := v.Int64()
		return i
	}
	return def
}

// Bool returns a Bool argument, def if it was left out.
func (c *Call) Bool(name string, def bool) bool {
	if v, ok := c.Value(name).(starlark.Bool); ok {
		return bool(v)
	}
	return def
}

// Mode returns a Mode argument; ok is false if it was left out.
func (c *Call) Mode(name string) (mode fs.FileMode, ok bool) {
	if !c.Has(name) {
		return 0, false
	}
	mode, err := parseMode(c.String(name))
	return mode, err == nil
}

// Strings returns a Strings or Paths argument, nil if it was left out.
func (c *Call) Strings(name string) []string {
	if !c.Has(name) {
		return nil
	}
	list, _ := StringList(c.Value(name))
	return list
}

// Dict returns a Dict argument as Go strings, nil if it was left out. Secret values and anything
// else but strings are an error.
func (c *Call) Dict(name string) (map[string]string, error) {
	dict, ok := c.Value(name).(*starlark.Dict)
	if !ok {
		return nil, nil
	}
	m := map[string]string{}
	for _, item := range dict.Items() {
		k, kok := item[0].(starlark.String)
		v, vok := item[1].(starlark.String)
		if !kok || !vok {
			return nil, fmt.Errorf("%s: argument %s: got %s: %s, want strings", c.Builtin.Name, name, item[0], item[1].Type())
		}
		m[string(k)] = string(v)
	}
	return m, nil
}

// Secret returns a SecretT or Text argument; a plain string becomes a secret.
func (c *Call) Secret(name string) host.Secret {
	switch v := c.Value(name).(type) {
	case SecretValue:
		return v.Secret
	case starlark.String:
		return host.NewSecret(string(v))
	}
	return host.Secret{}
}

// Errorf is an error that begins with the builtin's name.
func (c *Call) Errorf(format string, args ...any) error {
	return fmt.Errorf(c.Builtin.Name+": "+format, args...)
}

func (c *Call) declared(name string) {
	if c.Builtin.param(name) == nil {
		panic(fmt.Sprintf("builtin %s uses the undeclared argument %s", c.Builtin.Name, name))
	}
}
