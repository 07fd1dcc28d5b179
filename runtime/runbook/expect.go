package runbook

import (
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

var expectBuiltin = &script.Builtin{
	Name: "expect", Effect: script.Pure, InStep: true, Value: expect,
	Doc: "Tell how long something takes that only the runbook knows of, for the estimate of the run: work of a server at its start, say. It is a guess with its range, and nothing waits for it.",
	Params: []script.Param{
		{Name: "what", Type: script.String, Doc: "what takes the time"},
		{Name: "least", Type: script.Int, Doc: "seconds, on a fast machine"},
		{Name: "most", Type: script.Int, Doc: "seconds, on a slow one"},
	},
	Result:  "None",
	Example: `expect("the upgrade of 2,000,000 rows", 7, 120)`,
}

func expect(c *script.Call) (starlark.Value, error) {
	run := running(c)
	if run == nil {
		return nil, c.Errorf("it can only be called inside a step")
	}
	least, most := c.Int("least", 0), c.Int("most", 0)
	if least < 0 || most < least {
		return nil, c.Errorf("want a range of seconds, got %d to %d", least, most)
	}
	run.Expect(c.String("what"), action.Span{Least: time.Duration(least) * time.Second, Most: time.Duration(most) * time.Second})
	return starlark.None, nil
}
