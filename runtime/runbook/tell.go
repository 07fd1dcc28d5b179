package runbook

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

var tellBuiltin = &script.Builtin{
	Name: "tell", Effect: script.Pure, InStep: true, Value: tell,
	Doc: "Tell a record to programs: with --json it is an event of the kind \"record\". The console and the page leave it out; print what people are to read.",
	Params: []script.Param{
		{Name: "what", Type: script.String, Doc: "what it is a record of, like \"sign-off\""},
		{Name: "fields", Type: script.Data, Doc: "dict of name to a string, a whole number, or a bool"},
	},
	Result:  "None",
	Example: `tell("sign-off", {"directive": "server_tcp_enabled", "old": "yes", "new": "no"})`,
}

func tell(c *script.Call) (starlark.Value, error) {
	run := running(c)
	if run == nil {
		return nil, c.Errorf("it can only be called inside a step")
	}
	dict, ok := c.Value("fields").(*starlark.Dict)
	if !ok {
		return nil, c.Errorf("argument fields: got %s, want a dict of name to value", c.Value("fields").Type())
	}
	fields := map[string]any{}
	for _, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok {
			return nil, c.Errorf("argument fields: a name is a string, got %s", item[0].Type())
		}
		switch v := item[1].(type) {
		case starlark.String:
			fields[name] = string(v)
		case starlark.Bool:
			fields[name] = bool(v)
		case starlark.Int:
			n, ok := v.Int64()
			if !ok {
				return nil, c.Errorf("argument fields: %s: %s is too large", name, v)
			}
			fields[name] = n
		default:
			return nil, c.Errorf("argument fields: %s: got %s, want a string, a whole number, or a bool", name, v.Type())
		}
	}
	run.Tell(c.String("what"), fields, c.Pos())
	return starlark.None, nil
}
