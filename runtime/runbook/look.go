package runbook

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// lookBuiltin lets a preflight go on where one of its looks fails.
var lookBuiltin = &script.Builtin{
	Name: "look", Effect: script.Pure, InStep: true, Passes: true, Value: look,
	Doc: "Call a function of the preflight, and go on if it fails: its failure is an inhibitor.\n\n" +
		"So the admin reads all that stands in the way at once, and a cause that nobody thought of neither hides the rest nor " +
		"looks like a mistake of the program. Only a runbook's check may do so.",
	Params: []script.Param{
		{Name: "what", Type: script.String, Doc: "what is looked at, as the finding's title names it"},
		{Name: "do", Type: script.Function, Doc: "the function"},
		{Name: "args", Type: script.Any, Doc: "list of its arguments", Optional: true, Default: "[]"},
		{Name: "remedy", Type: script.String, Doc: "what the admin can do", Optional: true},
		{Name: "among", Type: script.Any, Optional: true, Keyword: true, Doc: "instead of args, a dict of what is known: the function gets by name what it takes, " +
			"from there or of the runbook's parameters. If something that it cannot do without is None there, it is not called: whoever could not tell it has said why"},
	},
	Result: "what the function returns; None if it failed, or was not called",
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
	args, known, err := lookArgs(c, run)
	if err != nil || !known {
		return starlark.None, err
	}
	value, err := c.Apply(c.Value("do"), args)
	if err == nil || run.Ends(err) {
		return value, err
	}
	info := script.ErrorInfoOf(run.Explain(err))
	remedy := c.String("remedy")
	if remedy == "" {
		remedy = "fix the cause and check again; the runbook asks for it at " + info.Pos
	}
	return starlark.None, run.Find(Finding{
		Severity: Inhibitor, Final: true,
		Title: c.String("what") + notLookedAt, Reason: info.Message, Remedy: remedy, Pos: c.Pos(),
	})
}

// lookArgs are the arguments of a look's function, and whether all that it needs is known.
func lookArgs(c *script.Call, run Running) (args starlark.Tuple, known bool, err error) {
	if among := c.Value("among"); among != nil {
		dict, ok := among.(*starlark.Dict)
		if !ok {
			return nil, false, c.Errorf("argument among: got %s, want a dict", among.Type())
		}
		return argsAmong(c, run, dict)
	}
	given := c.Value("args")
	if given == nil {
		return nil, true, nil
	}
	list, ok := given.(starlark.Iterable)
	if !ok {
		return nil, false, c.Errorf("argument args: got %s, want a list", given.Type())
	}
	for v := range starlark.Elements(list) {
		args = append(args, v)
	}
	return args, true, nil
}

// argsAmong gives a function by name what it takes, as a step gets it.
func argsAmong(c *script.Call, run Running, among *starlark.Dict) (args starlark.Tuple, known bool, err error) {
	fn, ok := c.Value("do").(*starlark.Function)
	if !ok || fn.HasVarargs() || fn.HasKwargs() {
		return nil, false, c.Errorf("argument do: with among, want a function defined with def that names what it takes")
	}
	for i := range fn.NumParams() {
		name, _ := fn.Param(i)
		value, found, err := among.Get(starlark.String(name))
		if err != nil {
			return nil, false, err
		}
		if !found {
			value, found = run.Parameter(name)
		}
		fallback := fn.ParamDefault(i)
		switch {
		case !found && fallback == nil:
			return nil, false, c.Errorf("%s takes %s, which is neither known nor a parameter of the runbook", fn.Name(), name)
		case !found:
			value = fallback
		case value == starlark.None && fallback == nil:
			return nil, false, nil
		}
		args = append(args, value)
	}
	return args, true, nil
}
