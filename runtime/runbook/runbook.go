package runbook

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/script"
)

// Runbook is what define() makes: which systems it fits, what it asks for, what it may touch, and
// what it does. It is a value: its methods return changed copies, which is how a site customises.
type Runbook struct {
	Name    string // label of its module: "@stock//debian.star"
	Doc     string
	Systems []string
	Params  []*ParamSpec
	Checks  []*Step // the preflight; changes nothing
	Steps   []*Step
	Closing []*Step // compares the host with what was meant; changes nothing
	Policy  policy.Policy
	Guards  []action.Guard     // services that are not to be disturbed at their work
	Results map[string]*Result // what steps return, by name
	Vital   []Vital            // steps without which a run is not what it says

	// OnFailure and OnSuccess tell others how a run has ended; nil for nobody.
	OnFailure, OnSuccess *Step

	Deviations []Deviation // of a site's, from the program's stock that it is made of

	program *script.Program
	origin  string // label of the module that has called define()
}

// Words are the ordinary words of the product, see script.Program.Words. A rollback, which runs no program, has none:
// it masks rather too much.
func (rb *Runbook) Words() map[string]bool {
	if rb.program == nil {
		return nil
	}
	return rb.program.Words()
}

// KnownSecrets are these secrets, to be masked in files.
func (rb *Runbook) KnownSecrets(given map[string]host.Secret) *secrets.Known {
	known := secrets.NewKnown(rb.Words)
	for _, s := range given {
		known.Add(s.Reveal())
	}
	return known
}

// Step is a function of a runbook.
type Step struct {
	Name string
	Doc  string
	fn   *starlark.Function
	args starlark.Tuple // by position, of a function that is called by itself
}

// All lists the steps in the order in which they run: preflight, work, closing.
func (rb *Runbook) All() []*Step { return slices.Concat(rb.Checks, rb.Steps, rb.Closing) }

// part is the steps of a part of the runbook.
func (rb *Runbook) parts() []*[]*Step { return []*[]*Step{&rb.Checks, &rb.Steps, &rb.Closing} }

// IsCheck reports whether a step is of the preflight.
func (rb *Runbook) IsCheck(step *Step) bool { return slices.Contains(rb.Checks, step) }

// LastCheck reports whether the preflight ends with a step.
func (rb *Runbook) LastCheck(step *Step) bool {
	return len(rb.Checks) > 0 && rb.Checks[len(rb.Checks)-1] == step
}

// IsClosing reports whether a step looks at the result.
func (rb *Runbook) IsClosing(step *Step) bool { return slices.Contains(rb.Closing, step) }

// Summary is the first line of what the runbook says about itself.
func (rb *Runbook) Summary() string { return firstLine(rb.Doc) }

func firstLine(doc string) string {
	line, _, _ := strings.Cut(doc, "\n")
	return line
}

// Verifies reports whether a step looks at the result, by its name.
func (rb *Runbook) Verifies(step string) bool {
	return slices.ContainsFunc(rb.Closing, func(s *Step) bool { return s.Name == step })
}

// Call evaluates a step's function for a run, with what the run has by name: values of parameters, and
// results of earlier steps. What the function prints goes to print.
func (rb *Runbook) Call(ctx context.Context, run script.Runner, step *Step, value func(name string) (starlark.Value, bool), print func(pos, text string)) (starlark.Value, error) {
	var kwargs []starlark.Tuple
	names, _ := step.needs()
	for _, name := range names[min(len(step.args), len(names)):] {
		v, ok := value(name)
		if !ok {
			continue // checkSteps made sure that it has a default
		}
		if v == nil {
			v = starlark.None
		}
		v.Freeze()
		kwargs = append(kwargs, starlark.Tuple{starlark.String(name), v})
	}
	return rb.program.Call(ctx, run, step.fn, step.args, kwargs, print)
}

// Explain adds to an error of the runbook's what it takes to show where it happened.
func (rb *Runbook) Explain(err error) error { return rb.program.Explain(err) }

var _ starlark.HasAttrs = (*Runbook)(nil)

func (rb *Runbook) String() string        { return fmt.Sprintf("<runbook of %d steps>", len(rb.Steps)) }
func (rb *Runbook) Type() string          { return "runbook" }
func (rb *Runbook) Freeze()               {}
func (rb *Runbook) Truth() starlark.Bool  { return true }
func (rb *Runbook) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: runbook") }

// runbookMethods are the ways to customise a runbook, with their documentation.
var runbookMethods = []*script.Builtin{
	{
		Name: "runbook.after", Effect: script.Describe,
		Doc:    "A runbook with more steps after a given one.\n\nBeside a step of the preflight (survey) they belong to the preflight: `check` runs them, and they change nothing. Beside one of the closing part (verify) they belong to that.",
		Params: []script.Param{{Name: "step", Type: script.String, Doc: "name of a step"}, {Name: "new", Type: script.Any, Doc: "a function, or a list of functions"}},
		Result: "runbook",
	},
	{
		Name: "runbook.before", Effect: script.Describe,
		Doc:    "A runbook with more steps before a given one, in the same part of the runbook as that: see after.",
		Params: []script.Param{{Name: "step", Type: script.String, Doc: "name of a step"}, {Name: "new", Type: script.Any, Doc: "a function, or a list of functions"}},
		Result: "runbook",
	},
	{
		Name: "runbook.replace", Effect: script.Describe,
		Doc:    "A runbook with another function in place of a step; the step keeps its name, so that later steps still find its result, which has to be what the runbook says of it: `zcp2kopano doc runbook`.",
		Params: []script.Param{{Name: "step", Type: script.String, Doc: "name of a step"}, {Name: "new", Type: script.Function, Doc: "the function"}},
		Result: "runbook",
	},
	{
		Name: "runbook.without", Effect: script.Describe,
		Doc:    "A runbook without some steps. Where a run is not what it says without one, every head of it warns.",
		Params: []script.Param{{Name: "steps", Type: script.Any, Doc: "name of a step, or a list of names"}},
		Result: "runbook",
	},
	{
		Name: "runbook.with_params", Effect: script.Describe,
		Doc:    "A runbook with more parameters; one of the same name is replaced.",
		Params: []script.Param{{Name: "params", Type: script.Any, Doc: "a param(), or a list of them"}},
		Result: "runbook",
	},
	{
		Name: "runbook.with_defaults", Effect: script.Describe,
		Doc:    "A runbook whose parameters have other defaults.",
		Params: []script.Param{{Name: "defaults", Type: script.Dict, Doc: "parameter to value, as text"}},
		Result: "runbook",
	},
	{
		Name: "runbook.telling", Effect: script.Describe,
		Doc:    "A runbook that tells others how a run has ended, as define() explains.",
		Params: []script.Param{{Name: "on_failure", Type: script.Function, Doc: "called with the outcome of a run that has not come to its end", Optional: true, Keyword: true}, {Name: "on_success", Type: script.Function, Doc: "called with that of one that has", Optional: true, Keyword: true}},
		Result: "runbook",
	},
	{
		Name: "runbook.allowing", Effect: script.Describe,
		Doc:    "A runbook that may touch more.",
		Params: []script.Param{{Name: "policy", Type: script.Any, Doc: "a policy()"}},
		Result: "runbook",
	},
}

// Methods lists the ways to customise a runbook, for the reference.
func Methods() []*script.Builtin { return runbookMethods }

// AttrNames lists the attributes.
func (rb *Runbook) AttrNames() []string {
	names := []string{"doc", "steps", "params"}
	for _, m := range runbookMethods {
		names = append(names, strings.TrimPrefix(m.Name, "runbook."))
	}
	sort.Strings(names)
	return names
}

// Attr returns a field or a method.
func (rb *Runbook) Attr(name string) (starlark.Value, error) {
	switch name {
	case "doc":
		return starlark.String(rb.Doc), nil
	case "steps":
		return script.ToStarlark(StepNames(rb.All())), nil
	case "params":
		return script.ToStarlark(paramNames(rb.Params)), nil
	}
	for _, m := range runbookMethods {
		if m.Name == "runbook."+name {
			bound := *m
			bound.Value = func(c *script.Call) (starlark.Value, error) { return rb.customise(name, c) }
			return bound.Callable(), nil
		}
	}
	return nil, fmt.Errorf("a runbook has no %s%s", name, near.Hint(name, rb.AttrNames()))
}

func (rb *Runbook) customise(method string, c *script.Call) (starlark.Value, error) {
	changed := *rb
	var err error
	switch method {
	case "after", "before":
		err = changed.insert(c.String("step"), c.Value("new"), method == "after")
	case "replace":
		err = changed.replace(c.String("step"), c.Value("new"))
	case "without":
		err = changed.drop(c.Value("steps"))
	case "with_params":
		err = changed.addParams(c.Value("params"))
	case "with_defaults":
		err = changed.setDefaults(c)
	case "telling":
		err = changed.tell(c)
	case "allowing":
		extra, ok := c.Value("policy").(*policyValue)
		if !ok {
			return nil, c.Errorf("got %s, want a policy()", c.Value("policy").Type())
		}
		changed.Policy = rb.Policy.With(extra.Policy)
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := changed.checkSteps(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &changed, nil
}

// insert adds steps beside another: to the preflight beside one of it, to the closing part beside one of that.
func (rb *Runbook) insert(anchor string, v starlark.Value, after bool) error {
	part, at, err := rb.find(anchor)
	if err != nil {
		return err
	}
	added, err := stepsOf(v)
	if err != nil {
		return err
	}
	if after {
		at++
	}
	*part = slices.Concat((*part)[:at], added, (*part)[at:])
	return nil
}

func (rb *Runbook) replace(name string, v starlark.Value) error {
	part, at, err := rb.find(name)
	if err != nil {
		return err
	}
	added, err := stepsOf(v)
	if err != nil {
		return err
	}
	step := *added[0]
	step.Name = name
	*part = slices.Clone(*part)
	(*part)[at] = &step
	return nil
}

func (rb *Runbook) drop(v starlark.Value) error {
	names := []string{}
	if s, ok := v.(starlark.String); ok {
		names = append(names, string(s))
	} else if list, err := script.StringList(v); err == nil {
		names = list
	} else {
		return fmt.Errorf("got %w, want the name of a step or a list of names", err)
	}
	for _, name := range names {
		part, at, err := rb.find(name)
		if err != nil {
			return err
		}
		*part = slices.Concat((*part)[:at], (*part)[at+1:])
	}
	return nil
}

// find is the part of the runbook that has a step, and its place there.
func (rb *Runbook) find(name string) (part *[]*Step, at int, err error) {
	for _, part := range rb.parts() {
		if at := slices.IndexFunc(*part, func(s *Step) bool { return s.Name == name }); at >= 0 {
			return part, at, nil
		}
	}
	return nil, 0, fmt.Errorf("no step %s%s", name, near.HintOrList(name, StepNames(rb.All())))
}

// StepNames are the names of steps.
func StepNames(steps []*Step) []string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.Name
	}
	return names
}

// stepsOf takes a function or a list of them.
func stepsOf(v starlark.Value) ([]*Step, error) {
	if fn, ok := v.(*starlark.Function); ok {
		step, err := newStep(fn)
		return []*Step{step}, err
	}
	seq, ok := v.(starlark.Sequence)
	if !ok {
		return nil, fmt.Errorf("got %s, want a function or a list of functions", v.Type())
	}
	var steps []*Step
	iter := seq.Iterate()
	defer iter.Done()
	var e starlark.Value
	for iter.Next(&e) {
		fn, ok := e.(*starlark.Function)
		if !ok {
			return nil, fmt.Errorf("step %d is a %s, want a function defined with def", len(steps)+1, e.Type())
		}
		step, err := newStep(fn)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func newStep(fn *starlark.Function) (*Step, error) {
	if fn.Name() == "lambda" {
		return nil, fmt.Errorf("a lambda cannot be a step: a step has a name and a docstring")
	}
	if fn.HasVarargs() || fn.HasKwargs() {
		return nil, fmt.Errorf("step %s takes *args or **kwargs; a step names what it needs: parameters of the runbook, or earlier steps whose result it uses", fn.Name())
	}
	if strings.TrimSpace(fn.Doc()) == "" {
		return nil, fmt.Errorf("step %s has no docstring; its first line tells the admin what the step does", fn.Name())
	}
	return &Step{Name: fn.Name(), Doc: script.Dedent(fn.Doc()), fn: fn}, nil
}

// Summary is the first line of what the step's function says about itself.
func (s *Step) Summary() string { return firstLine(s.Doc) }

// Needs are the names of what a step cannot do without.
func (rb *Runbook) Needs(step *Step) []string {
	names, optional := step.needs()
	return slices.DeleteFunc(names, func(name string) bool { return optional[name] })
}

// needs lists the names that a step's function takes, and which of them have a default.
func (s *Step) needs() (names []string, optional map[string]bool) {
	optional = map[string]bool{}
	for i := range s.fn.NumParams() {
		name, _ := s.fn.Param(i)
		names = append(names, name)
		optional[name] = s.fn.ParamDefault(i) != nil
	}
	return names, optional
}

// checkSteps makes sure that names are unique and that each step finds what it takes.
func (rb *Runbook) checkSteps() error {
	known := map[string]bool{}
	var names []string
	for _, p := range rb.Params {
		known[p.Name] = true
		names = append(names, p.Name)
	}
	for _, s := range rb.All() {
		wants, optional := s.needs()
		for _, want := range wants {
			if !known[want] && !optional[want] {
				return fmt.Errorf("step %s takes %s, which is neither a parameter of the runbook nor an earlier step%s", s.Name, want, near.HintOrList(want, names))
			}
		}
		if known[s.Name] {
			return fmt.Errorf("two steps, or a step and a parameter, are named %s", s.Name)
		}
		known[s.Name] = true
		names = append(names, s.Name)
	}
	return nil
}

// Pos is where the step's function is defined.
func (s *Step) Pos() syntax.Position { return s.fn.Position() }

// Takes lists what the step's function takes: parameters of the runbook, and earlier steps.
func (s *Step) Takes() []string {
	names, _ := s.needs()
	return names
}
