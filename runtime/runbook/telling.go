package runbook

import (
	"fmt"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// tell takes the functions that tell others how a run has ended from a call that can have them.
func (rb *Runbook) tell(c *script.Call) error {
	for name, to := range map[string]**Step{"on_failure": &rb.OnFailure, "on_success": &rb.OnSuccess} {
		if !c.Has(name) {
			continue
		}
		fn, ok := c.Value(name).(*starlark.Function)
		if !ok || fn.NumParams() != 1 || fn.HasVarargs() || fn.HasKwargs() {
			return fmt.Errorf("%s: want a function of one parameter, the outcome of the run", name)
		}
		*to = &Step{Name: name, Doc: script.Dedent(fn.Doc()), fn: fn}
	}
	return nil
}

// With is the step, called with these arguments.
func (s *Step) With(args ...starlark.Value) *Step {
	called := *s
	called.args = args
	return &called
}
