package runbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

var resultBuiltin = &script.Builtin{
	Name: "result", Effect: script.Describe, Value: makeResult,
	Doc: "What a step returns, for later steps to use: define(results = {\"dump_database\": result(…)}).\n\n" +
		"It is shown by `zcp2kopano doc runbook`, and held against what the step returns, also where a site has put a function of " +
		"its own in the step's place: that is named, and not the later step that would trip.",
	Params: []script.Param{
		{Name: "doc", Type: script.String, Doc: "what it is"},
		{Name: "fields", Type: script.Dict, Doc: "of a record: its fields, each with what it is", Optional: true, Default: "{}", Keyword: true},
		{Name: "type", Type: script.String, Doc: "of what is no record: the type", Choices: []string{"struct", "string", "int", "bool", "list", "dict"}, Optional: true, Default: "\"struct\"", Keyword: true},
	},
	Result:  "result",
	Example: `dumped = result("the dump", fields = {"path": "where it is"})`,
}

// Result is what a step returns.
type Result struct {
	Doc    string
	Type   string
	Fields []Field // of a struct
}

// Field is a field of a result.
type Field struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// resultValue is a Result as a Starlark value.
type resultValue struct{ *Result }

func (resultValue) String() string        { return "result(...)" }
func (resultValue) Type() string          { return "result" }
func (resultValue) Freeze()               {}
func (resultValue) Truth() starlark.Bool  { return true }
func (resultValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: result") }

func makeResult(c *script.Call) (starlark.Value, error) {
	r := &Result{Doc: c.String("doc"), Type: c.StringOr("type", "struct")}
	fields, err := c.Dict("fields")
	if err != nil {
		return nil, err
	}
	if len(fields) > 0 && r.Type != "struct" {
		return nil, c.Errorf("a %s has no fields", r.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		r.Fields = append(r.Fields, Field{name, fields[name]})
	}
	return resultValue{r}, nil
}

func resultsOf(v starlark.Value) (map[string]*Result, error) {
	results := map[string]*Result{}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		return results, nil
	}
	for _, item := range dict.Items() {
		name, _ := starlark.AsString(item[0])
		r, ok := item[1].(resultValue)
		if !ok {
			return nil, fmt.Errorf("of step %s: got %s, want result(...)", name, item[1].Type())
		}
		results[name] = r.Result
	}
	return results, nil
}

// Vital is a step without which a run is not what it says.
type Vital struct{ Step, Without string }

func vitalOf(c *script.Call) ([]Vital, error) {
	texts, err := c.Dict("vital")
	if err != nil {
		return nil, err
	}
	var list []Vital
	for _, step := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, Vital{step, texts[step]})
	}
	return list, nil
}

// Warnings say what is the matter with a runbook that lacks steps.
func (rb *Runbook) Warnings() []string {
	var list []string
	names := StepNames(rb.All())
	for _, v := range rb.Vital {
		if !slices.Contains(names, v.Step) {
			list = append(list, "without "+v.Step+": "+v.Without)
		}
	}
	return list
}

// checkDeclared holds names of results against the steps: a misspelt one would check nothing. That a step
// was left out since is no mistake.
func (rb *Runbook) checkDeclared() error {
	names := StepNames(rb.All())
	for _, name := range slices.Sorted(maps.Keys(rb.Results)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("results: no step %s%s", name, near.HintOrList(name, names))
		}
	}
	for _, v := range rb.Vital {
		if !slices.Contains(names, v.Step) {
			return fmt.Errorf("vital: no step %s%s", v.Step, near.HintOrList(v.Step, names))
		}
	}
	return nil
}

// CheckResult holds what a step returned against what the runbook says of it, if a later step has to have it.
func (rb *Runbook) CheckResult(step *Step, v starlark.Value) error {
	r := rb.Results[step.Name]
	takers := rb.Takers(step)
	if r == nil || len(takers) == 0 && v == starlark.None {
		return nil
	}
	problem := r.problem(v)
	if problem == "" {
		return nil
	}
	return rb.program.At(step.Pos(), fmt.Errorf("step %s %s%s", step.Name, problem, by(takers)), "end "+step.fn.Name()+" with return "+r.Text())
}

func by(takers []string) string {
	if len(takers) == 0 {
		return ""
	}
	return ", and its result is taken by " + strings.Join(takers, ", ")
}

func (r *Result) problem(v starlark.Value) string {
	if v.Type() != r.Type {
		if v == starlark.None {
			return "returned None"
		}
		return "returned a " + v.Type()
	}
	record, ok := v.(*starlarkstruct.Struct)
	if !ok {
		return ""
	}
	if missing := r.Missing(record.AttrNames()); missing != nil {
		return "returned a record without " + strings.Join(missing, ", ")
	}
	return ""
}

// Missing are the fields that a record lacks.
func (r *Result) Missing(has []string) []string {
	var missing []string
	for _, f := range r.Fields {
		if !slices.Contains(has, f.Name) {
			missing = append(missing, f.Name)
		}
	}
	return missing
}

// Text says what is to be returned.
func (r *Result) Text() string {
	if r.Type != "struct" || len(r.Fields) == 0 {
		return "a " + r.Type + ": " + r.Doc
	}
	var names []string
	for _, f := range r.Fields {
		names = append(names, f.Name)
	}
	return "struct(" + strings.Join(names, " = …, ") + " = …): " + r.Doc
}

// Takers are the later steps that cannot do without the result of a step.
func (rb *Runbook) Takers(step *Step) []string {
	var list []string
	after := false
	for _, s := range rb.All() {
		if s == step {
			after = true
			continue
		}
		names, optional := s.needs()
		if after && slices.Contains(names, step.Name) && !optional[step.Name] {
			list = append(list, s.Name)
		}
	}
	return list
}
