package runbook

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/script"
)

// Within is a runbook that a program has as a value, to be carried out by that program.
func (rb *Runbook) Within(p *script.Program) *Runbook {
	copied := *rb
	copied.program = p
	if copied.Name == "" {
		copied.Name = p.Label
	}
	if copied.Doc == "" {
		copied.Doc = p.Doc()
	}
	return &copied
}

// Alone is a runbook of which one step is left, with what that takes given from outside.
func (rb *Runbook) Alone(name string) (*Runbook, error) {
	part, at, err := rb.find(name)
	if err != nil {
		return nil, err
	}
	step := (*part)[at]
	alone := *rb
	alone.Checks, alone.Steps, alone.Closing = nil, nil, nil
	switch {
	case rb.IsCheck(step):
		alone.Checks = []*Step{step}
	case rb.IsClosing(step):
		alone.Closing = []*Step{step}
	default:
		alone.Steps = []*Step{step}
	}
	return &alone, nil
}

// Calling is a runbook whose only step is a call of any function. One that only looks is its check.
func Calling(fn *starlark.Function, args starlark.Tuple, allow policy.Policy, looks bool) *Runbook {
	step := &Step{Name: fn.Name(), Doc: script.Dedent(fn.Doc()), fn: fn, args: args}
	if looks {
		return &Runbook{Checks: []*Step{step}, Policy: allow}
	}
	return &Runbook{Steps: []*Step{step}, Policy: allow}
}

// PolicyOf is what a policy() holds.
func PolicyOf(v starlark.Value) (policy.Policy, bool) {
	p, ok := v.(*policyValue)
	if !ok {
		return policy.Policy{}, false
	}
	return p.Policy, true
}
