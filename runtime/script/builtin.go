package script

import (
	"context"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// Effect says what a builtin does to the host, and so how its calls are journaled.
type Effect string

// The effects. A builtin of effect Pure is never journaled; of Read, its result is; of Change, its
// actions are; Describe builtins (define, param, policy, ...) work while modules load.
const (
	Pure     Effect = "pure"
	Read     Effect = "read"
	Change   Effect = "change"
	Describe Effect = "describe"
)

// Type is the type of a parameter. Argument checking, hints and documentation come from it.
type Type string

// The types. Path is an absolute, clean path; Mode a string of octal digits ("0640"); Strings also
// takes a tuple; Data is anything made of None, bool, int, string, list, tuple and dict; Text is a
// string or a Secret.
const (
	String   Type = "string"
	Int      Type = "int"
	Bool     Type = "bool"
	Path     Type = "path"
	Mode     Type = "mode"
	Strings  Type = "list of strings"
	Paths    Type = "list of paths"
	Dict     Type = "dict of strings"
	Data     Type = "data"
	SecretT  Type = "secret"
	Text     Type = "text"
	Function Type = "function"
	Any      Type = "any"
)

// Types of the language's own functions.
const (
	Iterable Type = "iterable"
	Sized    Type = "sized"
	Number   Type = "number"
)

// Param declares a parameter.
type Param struct {
	Name     string
	Type     Type
	Doc      string
	Optional bool     // then Default applies; None counts as left out
	Default  string   // as Starlark source, for documentation: "\"merge\"", "[]"; empty for the type's zero value
	Choices  []string // for String
	Keyword  bool     // may only be given by name

	// Of the language's own functions only:
	Positional bool // may not be given by name
	Rest       bool // "*args" takes all that are left, "**fields" all that are left and have a name
}

// Builtin declares a function that runbooks can call. One declaration serves argument checking,
// error hints, the reference (`doc`), and the examples that the tests execute.
type Builtin struct {
	Name   string // "fs.write"; a name without a dot is global
	Doc    string // first line: a sentence; then details
	Params []Param
	Result string // type and meaning of the result
	Effect Effect
	// Volatile marks a Read builtin whose answers change by themselves (clock, free space, process
	// IDs): a saved plan does not rest on them.
	Volatile bool
	// InStep marks one of effect Pure that works on the run, so that it can only be called inside a step.
	InStep bool
	// Passes marks one that hands on what it is given as it is, which may be as large as what the host answers.
	Passes bool
	// Lasting, if set, tells what of a Read builtin's answer a saved plan rests on: of the fields of a
	// record those that do not change by themselves. Another answer is the one field "". nil is nothing.
	Lasting func(args, fields map[string]any) map[string]any
	Example string // runbook source, executed by the tests
	// Words, if set, is text whose words are ordinary ones of what the builtin knows. In free text they are not
	// taken for a secret, even if one is spelled like that.
	Words string

	// Exactly one of these is set, by effect: Value for Pure, Describe and Read; Decide for Change.
	Value  func(c *Call) (starlark.Value, error)
	Decide func(c *Call) (Decision, error)
}

// Decision is what a Change builtin decides before anything is changed: a list of actions, carried out
// in order. An empty list means that the host is already as wanted.
type Decision struct {
	Actions []action.Action
	// Result is the call's value; nil takes the last action's Result.Values as a struct, or None.
	Result starlark.Value
}

// Call is one call of a builtin: its checked arguments and the host to read.
type Call struct {
	Builtin *Builtin
	View    host.View // nil for one of effect Pure or Describe
	thread  *starlark.Thread
	args    map[string]starlark.Value
}

// Truster is a Runner that judges what root is to execute or load.
type Truster interface {
	// Trust is an error if somebody else could exchange what is at a path, and the run refuses that.
	Trust(name string) error
}

// Trust has the runner judge what root is to execute or load.
func (c *Call) Trust(name string) error {
	if t, ok := c.Runner().(Truster); ok {
		return t.Trust(name)
	}
	return nil
}

// Connector is a Runner that judges where a runbook connects to.
type Connector interface {
	// Connect is an error if nothing points to a server that the admin or the host's configuration knows of.
	Connect(s host.Server) error
}

// Connect has the runner judge a server before it is connected to.
func (c *Call) Connect(s host.Server) error {
	if r, ok := c.Runner().(Connector); ok {
		return r.Connect(s)
	}
	return nil
}

// Runner carries out what a thread's calls ask of the host.
type Runner interface {
	// Context ends when what is in hand is to be broken off.
	Context() context.Context
	// CarryOut is where every call of a Read or Change builtin arrives.
	CarryOut(c *Call) (starlark.Value, error)
}
