package runtime

import (
	"context"
	"errors"
	"strings"

	"go.starlark.net/starlark"
)

// lookBuiltin lets a preflight go on where one of its looks fails.
var lookBuiltin = &Builtin{
	Name: "look", Effect: Pure, Value: look,
	Doc: "Call a function of the preflight, and go on if it fails: its failure is an inhibitor.\n\n" +
		"So the admin reads all that stands in the way at once, and a cause that nobody thought of neither hides the rest nor " +
		"looks like a mistake of the program. Only a runbook's check may do so.",
	Params: []Param{
		{Name: "what", Type: String, Doc: "what is looked at, as the finding's title names it"},
		{Name: "do", Type: Function, Doc: "the function"},
		{Name: "args", Type: Any, Doc: "list of its arguments", Optional: true, Default: "[]"},
		{Name: "remedy", Type: String, Doc: "what the admin can do", Optional: true},
	},
	Result: "what the function returns; None if it failed",
	Example: `def size(path):
    return fs.stat(path).size

def check():
    """Look at the host."""
    size_of_hosts = look("the size of /etc/hosts", size, ["/etc/hosts"])

runbook = define(check = check, steps = [])`,
}

func look(c *Call) (starlark.Value, error) {
	if c.Run == nil || c.Run.step == nil || c.Run.step != c.Run.rb.Check {
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
	value, err := starlark.Call(c.Thread, c.Value("do"), args, nil)
	if err == nil || c.Run.endsBy(err) {
		return value, err
	}
	info := ErrorInfoOf(&ScriptError{Err: err, Sources: c.Run.rb.sources, names: c.Run.rb.names})
	remedy := c.String("remedy")
	if remedy == "" {
		remedy = "mend the cause and check again; the runbook asks for it at " + info.Pos
	}
	return starlark.None, c.Run.find(c, Finding{
		Severity: Inhibitor, Title: c.String("what") + " could not be looked at", Reason: info.Message, Remedy: remedy,
	})
}

// endsBy tells whether an error is no failure of what was looked at, but ends the run.
func (r *Run) endsBy(err error) bool {
	if r.ctx.Err() != nil || strings.Contains(err.Error(), "Starlark computation cancelled") {
		return true
	}
	for _, end := range []error{errInterrupted, errDiverged, errDiffers, errInhibited, context.Canceled} {
		if errors.Is(err, end) {
			return true
		}
	}
	var finish *finishError
	return errors.As(err, &finish)
}
