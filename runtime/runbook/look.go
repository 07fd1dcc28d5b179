package runbook

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// lookBuiltin lets a preflight go on where one of its looks fails.
var lookBuiltin = &script.Builtin{
	Name: "look", Effect: script.Pure, Value: look,
	Doc: "Call a function of the preflight, and go on if it fails: its failure is an inhibitor.\n\n" +
		"So the admin reads all that stands in the way at once, and a cause that nobody thought of neither hides the rest nor " +
		"looks like a mistake of the program. Only a runbook's check may do so.",
	Params: []script.Param{
		{Name: "what", Type: script.String, Doc: "what is looked at, as the finding's title names it"},
		{Name: "do", Type: script.Function, Doc: "the function"},
		{Name: "args", Type: script.Any, Doc: "list of its arguments", Optional: true, Default: "[]"},
		{Name: "remedy", Type: script.String, Doc: "what the admin can do", Optional: true},
	},
	Result: "what the function returns; None if it failed",
	Example: `def size(path):
    return fs.stat(path).size

def check():
    """Look at the host."""
    size_of_hosts = look("the size of /etc/hosts", size, ["/etc/hosts"])

runbook = define(check = check, steps = [])`,
}

func look(c *script.Call) (starlark.Value, error) {
	run := running(c)
	if run == nil || !run.Checking() {
		return nil, c.Errorf("only the runbook's check may go on after a failure")
	}
	var args starlark.Tuple
	if given := c.Value("args"); given != nil {
		list, ok := given.(starlark.Iterable)
		if !ok {
			return nil, c.Errorf("argument args: got %s, want a list", given.Type())
		}
		for v := range starlark.Elements(list) {
			args = append(args, v)
		}
	}
	value, err := c.Apply(c.Value("do"), args)
	if err == nil || run.Ends(err) {
		return value, err
	}
	info := script.ErrorInfoOf(run.Explain(err))
	remedy := c.String("remedy")
	if remedy == "" {
		remedy = "mend the cause and check again; the runbook asks for it at " + info.Pos
	}
	return starlark.None, run.Find(Finding{
		Severity: Inhibitor, Title: c.String("what") + " could not be looked at", Reason: info.Message, Remedy: remedy, Pos: c.Pos(),
	})
}
