package host

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

var port = &script.Builtin{
	Name: "host.port",
	Doc: "Tries whether something accepts connections at a TCP port of another host. Nothing is sent.\n\n" +
		"That host may be any one, such as a server that a directory names: nothing has to point to it, as to one that is connected to. " +
		"The story tells each that is tried.\n\n" +
		"A simulation over this machine tries it, too; on a fixture its section \"ports\" says so.",
	Params: []script.Param{{Name: "address", Type: script.String, Doc: `"HOST:PORT"; an IPv6 address stands in brackets`}},
	Result: "record(state, problem): state is \"answers\", \"refuses\" (that host says that nothing listens there) or " +
		"\"unreachable\", an address that is none among these; problem says why it cannot be reached, and is empty otherwise",
	Effect:   script.Read,
	Volatile: true,
	Example: `
if host.port("192.0.2.7:236").state == "answers":
    inhibit("another server runs", "192.0.2.7 accepts connections at port 236", "stop it")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		answers, err := c.View.Answers(c.Context(), c.String("address"))
		state, problem := "refuses", ""
		switch {
		case c.Context().Err() != nil:
			return nil, c.Errorf("%w", err)
		case err != nil:
			state, problem = "unreachable", err.Error()
		case answers:
			state = "answers"
		}
		return script.NewRecord(map[string]any{"state": state, "problem": problem}), nil
	},
}
