package runbook

import (
	"fmt"
	"regexp"
	"slices"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/script"
)

// CoreBuiltins are the language's own names: what describes a runbook, and what it tells the admin.
func CoreBuiltins() []*script.Builtin {
	return []*script.Builtin{
		{
			Name: "define", Effect: script.Describe, Value: define,
			Doc: `A runbook: the module ends with runbook = define(...).

Steps run in order. A step is a function with a docstring; each of its parameters is named after a
parameter of the runbook, whose value it gets, or after an earlier step, whose result it gets.
check runs first and changes nothing: what it finds decides whether the rest may run. verify runs
last and changes nothing either.

on_success and on_failure carry word of a run's end to the outside. They are called with one argument,
the outcome: a struct of code, text, step (in which it failed), id, mode, runbook, host, changes,
no_return. They can look at the host, and run() programs that the policy lists, with no_undo; what they
change nobody would undo, so they change nothing else. A failure of theirs is told, and changes no exit
code. A run that is interrupted, or stopped by --until, is not told of, nor are checks and rollbacks.`,
			Params: []script.Param{
				{Name: "steps", Type: script.Any, Doc: "list of functions, in order", Keyword: true},
				{Name: "check", Type: script.Any, Doc: "the preflight step, or a list of steps", Optional: true, Keyword: true},
				{Name: "verify", Type: script.Any, Doc: "the closing step, or a list of steps", Optional: true, Keyword: true},
				{Name: "systems", Type: script.Strings, Doc: "systems that the runbook is for, like \"debian >= 8\"", Optional: true, Keyword: true},
				{Name: "params", Type: script.Any, Doc: "list of param()", Optional: true, Default: "[]", Keyword: true},
				{Name: "allow", Type: script.Any, Doc: "policy(): what the runbook may touch", Optional: true, Keyword: true},
				{Name: "guards", Type: script.Any, Doc: "list of guard(): services that are not to be disturbed at their work", Optional: true, Default: "[]", Keyword: true},
				{Name: "results", Type: script.Dict, Doc: "name of a step to result(): what it returns", Optional: true, Default: "{}", Keyword: true},
				{Name: "vital", Type: script.Dict, Doc: "name of a step to what is the matter without it: each head of a run warns of it", Optional: true, Default: "{}", Keyword: true},
				{Name: "on_failure", Type: script.Function, Doc: "called with the outcome of a run that has not come to its end", Optional: true, Keyword: true},
				{Name: "on_success", Type: script.Function, Doc: "called with that of one that has", Optional: true, Keyword: true},
				{Name: "doc", Type: script.String, Doc: "what the runbook does; the module's docstring if left out", Optional: true, Keyword: true},
			},
			Result: "runbook",
			Example: `def look():
    """Look at the host."""
    info("kernel", host.facts().kernel)

runbook = define(check = look, steps = [])`,
		},
		{
			Name: "param", Effect: script.Describe, Value: makeParam,
			Doc: "A parameter of a runbook. Without a default it must be given, unless it is a secret.\n\n" +
				"Of type \"list\" it is a list of texts; on the command line they stand between commas, or as JSON: --param names=a,b or 'names=[\"a, b\", \"c\"]'.",
			Params: []script.Param{
				{Name: "name", Type: script.String, Doc: "its name"},
				{Name: "doc", Type: script.String, Doc: "what it means; a runbook with a parameter that does not say so is not loaded", Optional: true, Keyword: true},
				{Name: "type", Type: script.String, Doc: "type of the value", Choices: []string{"string", "int", "bool", "path", "list"}, Optional: true, Default: "\"string\"", Keyword: true},
				{Name: "default", Type: script.Any, Doc: "value if it is not given", Optional: true, Keyword: true},
				{Name: "choices", Type: script.Strings, Doc: "the values that it may have", Optional: true, Keyword: true},
				{Name: "at_least", Type: script.Int, Doc: "the smallest whole number that it may be", Optional: true, Keyword: true},
				{Name: "at_most", Type: script.Int, Doc: "the largest one", Optional: true, Keyword: true},
				{Name: "secret", Type: script.Bool, Doc: "it is a secret: never shown, never on a command line", Optional: true, Default: "False", Keyword: true},
				{Name: "required", Type: script.Bool, Doc: "it must be given; True where there is no default and it is no secret", Optional: true, Keyword: true},
			},
			Result:  "param",
			Example: `approach = param("config", choices = ["merge", "copy"], default = "merge", doc = "manual 4.3.4, approach a or b")`,
		},
		{
			Name: "policy", Effect: script.Describe, Value: makePolicy,
			Doc: "What a runbook may change. Everything else is refused before it is tried.",
			Params: []script.Param{
				{Name: "write", Type: script.Strings, Doc: "paths, or globs of paths, with all below them", Optional: true, Default: "[]", Keyword: true},
				{Name: "packages", Type: script.Strings, Doc: "globs of package names", Optional: true, Default: "[]", Keyword: true},
				{Name: "services", Type: script.Strings, Doc: "globs of service names", Optional: true, Default: "[]", Keyword: true},
				{Name: "databases", Type: script.Strings, Doc: "globs of database names", Optional: true, Default: "[]", Keyword: true},
				{Name: "ldap", Type: script.Strings, Doc: "DNs, with all below them", Optional: true, Default: "[]", Keyword: true},
				{Name: "programs", Type: script.Strings, Doc: "absolute paths of programs that run() may run; no patterns, no shells", Optional: true, Default: "[]", Keyword: true},
				{Name: "groups", Type: script.Strings, Doc: "names of groups that users may join; no patterns", Optional: true, Default: "[]", Keyword: true},
				{Name: "servers", Type: script.Strings, Doc: "hosts, HOST:PORT, or paths of sockets that may be connected to, beside those that a given parameter or the host's own configuration names; no patterns", Optional: true, Default: "[]", Keyword: true},
			},
			Result:  "policy",
			Example: `mine = policy(write = ["/etc/kopano", "/etc/postfix/main.cf"], services = ["kopano-*", "postfix"])`,
		},
		guardBuiltin,
		resultBuiltin,
		{
			Name: "grant", Effect: script.Pure, InStep: true, Value: grant,
			Doc: "Allow this run to change one more path, found on the host (an attachment_path, say). The story of the run tells it. Whole system directories are refused.",
			Params: []script.Param{
				{Name: "path", Type: script.Path, Doc: "the path; all below it is allowed as well"},
				{Name: "why", Type: script.String, Doc: "where it was found"},
			},
			Result:  "None",
			Example: `grant("/srv/mail/attachments", "attachment_path in /etc/zarafa/server.cfg")`,
		},
		{
			Name: "grant_base", Effect: script.Pure, InStep: true, Value: grantBase,
			Doc: "Allow this run to change one more part of a directory, found on the host (ldap_search_base, say). The story of the run tells it.",
			Params: []script.Param{
				{Name: "base", Type: script.String, Doc: "a DN; all below it is allowed as well"},
				{Name: "why", Type: script.String, Doc: "where it was found"},
			},
			Result:  "None",
			Example: `grant_base("dc=example,dc=org", "ldap_search_base in /etc/zarafa/ldap.cfg")`,
		},
		finding("info", Info, "Tell the admin something that needs no action."),
		finding("warn", Warning, "Warn the admin: the run goes on."),
		finding("inhibit", Inhibitor, "Refuse to go on: the run ends before the next change, or at the end of the step, with exit code 2. Other findings of the step are still collected. The admin may override one by its key, unless it is final: it then is a warning."),
		lookBuiltin,
		expectBuiltin,
		tellBuiltin,
		{
			Name: "finish", Effect: script.Pure, InStep: true, Value: finish,
			Doc:     "End the run here, in success: the steps that are left have nothing to do. verify still runs.",
			Params:  []script.Param{{Name: "reason", Type: script.String, Doc: "what the admin reads"}},
			Result:  "does not return",
			Example: `finish("the host runs Kopano already")`,
		},
	}
}

func finding(name string, severity Severity, doc string) *script.Builtin {
	return &script.Builtin{
		Name: name, Effect: script.Pure, InStep: true, Doc: doc,
		Params: []script.Param{
			{Name: "title", Type: script.String, Doc: "what was found, in a few words"},
			{Name: "reason", Type: script.String, Doc: "why it matters, with the paths and values seen", Optional: true},
			{Name: "remedy", Type: script.String, Doc: "what the admin can do", Optional: true},
			{Name: "key", Type: script.String, Doc: "which finding it is, for ever, like \"attachments/s3-prefix\"; made of the title if left out", Optional: true, Keyword: true},
			{Name: "final", Type: script.Bool, Doc: "of an inhibitor: --override does not help, because data would be lost", Optional: true, Default: "False", Keyword: true},
		},
		Result:  "None",
		Example: fmt.Sprintf("%s(\"disk is small\", \"/var has 2 GB left\", remedy = \"free some space on /var\")", name),
		Value: func(c *script.Call) (starlark.Value, error) {
			run := running(c)
			if run == nil {
				return nil, c.Errorf("a finding can only be made inside a step")
			}
			key := c.String("key")
			if c.Has("key") && !IsFindingKey(key) {
				return nil, c.Errorf("key %q: want lower case letters, digits, hyphens and slashes, like \"attachments/s3-prefix\"", key)
			}
			return starlark.None, run.Find(Finding{
				Severity: severity,
				Key:      key,
				Final:    c.Bool("final", false),
				Title:    c.String("title"),
				Reason:   c.String("reason"),
				Remedy:   c.String("remedy"),
				Pos:      c.Pos(),
			})
		},
	}
}

func define(c *script.Call) (starlark.Value, error) {
	rb := &Runbook{Doc: script.Dedent(c.String("doc")), Systems: c.Strings("systems"), origin: c.File()}
	var err error
	if rb.Steps, err = stepsOf(c.Value("steps")); err != nil {
		return nil, c.Errorf("steps: %w", err)
	}
	if rb.Checks, err = stepArg(c, "check"); err != nil {
		return nil, err
	}
	if rb.Closing, err = stepArg(c, "verify"); err != nil {
		return nil, err
	}
	if c.Has("params") {
		if err := rb.addParams(c.Value("params")); err != nil {
			return nil, c.Errorf("params: %w", err)
		}
	}
	if c.Has("allow") && c.Value("allow") != starlark.None {
		allow, ok := c.Value("allow").(*policyValue)
		if !ok {
			return nil, c.Errorf("allow: got %s, want policy(...)", c.Value("allow").Type())
		}
		rb.Policy = allow.Policy
	}
	if rb.Guards, err = guardsOf(c.Value("guards")); err != nil {
		return nil, c.Errorf("guards: %w", err)
	}
	if rb.Results, err = resultsOf(c.Value("results")); err != nil {
		return nil, c.Errorf("results: %w", err)
	}
	if rb.Vital, err = vitalOf(c); err != nil {
		return nil, err
	}
	if err := rb.checkDeclared(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := rb.tell(c); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := rb.checkSteps(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return rb, nil
}

func stepArg(c *script.Call, name string) ([]*Step, error) {
	if !c.Has(name) {
		return nil, nil
	}
	steps, err := stepsOf(c.Value(name))
	if err != nil {
		return nil, c.Errorf("%s: %w", name, err)
	}
	return steps, nil
}

func (rb *Runbook) addParams(v starlark.Value) error {
	var added []*ParamSpec
	if p, ok := v.(paramValue); ok {
		added = append(added, p.spec)
	} else if seq, ok := v.(starlark.Sequence); ok {
		iter := seq.Iterate()
		defer iter.Done()
		var e starlark.Value
		for iter.Next(&e) {
			p, ok := e.(paramValue)
			if !ok {
				return fmt.Errorf("got a list with %s, want param(...)", e.Type())
			}
			added = append(added, p.spec)
		}
	} else {
		return fmt.Errorf("got %s, want param(...) or a list of them", v.Type())
	}
	params := append([]*ParamSpec{}, rb.Params...)
	for _, p := range added {
		if i := slices.Index(paramNames(params), p.Name); i >= 0 {
			params[i] = p
			continue
		}
		params = append(params, p)
	}
	rb.Params = params
	return nil
}

func (rb *Runbook) setDefaults(c *script.Call) error {
	dict, ok := c.Value("defaults").(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict", c.Value("defaults").Type())
	}
	params := append([]*ParamSpec{}, rb.Params...)
	for _, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok {
			return fmt.Errorf("parameter name %s is not a string", item[0])
		}
		i := slices.Index(paramNames(params), name)
		if i < 0 {
			return fmt.Errorf("no parameter %s%s", name, near.HintOrList(name, paramNames(params)))
		}
		spec := *params[i]
		spec.Default, spec.Required = item[1], false
		if err := spec.checkDefault(); err != nil {
			return err
		}
		params[i] = &spec
	}
	rb.Params = params
	return nil
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func makeParam(c *script.Call) (starlark.Value, error) {
	spec := &ParamSpec{
		Name:    c.String("name"),
		Doc:     c.String("doc"),
		Type:    typesOfParams[c.StringOr("type", "string")],
		Default: c.Value("default"),
		Choices: c.Strings("choices"),
		AtLeast: bound(c, "at_least"),
		AtMost:  bound(c, "at_most"),
		Secret:  c.Bool("secret", false),
		pos:     c.Position(),
	}
	if !identifier.MatchString(spec.Name) {
		return nil, c.Errorf("name %q: want lower case letters, digits and underscores", spec.Name)
	}
	if spec.RangeText() != "" && spec.Type != script.Int {
		return nil, c.Errorf("%s: at_least and at_most are for type = \"int\"", spec.Name)
	}
	if spec.Secret && spec.Default != nil {
		return nil, c.Errorf("%s: a secret has no default: it would stand in the runbook for all to read", spec.Name)
	}
	spec.Required = c.Bool("required", spec.Default == nil && !spec.Secret)
	if err := spec.checkDefault(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return paramValue{spec}, nil
}

// typesOfParams are the types of parameters as param() names them.
var typesOfParams = map[string]script.Type{
	"string": script.String, "int": script.Int, "bool": script.Bool, "path": script.Path, "list": script.Strings,
}

func bound(c *script.Call, name string) *int64 {
	if c.Value(name) == nil {
		return nil
	}
	i := c.Int(name, 0)
	return &i
}

func (p *ParamSpec) checkDefault() error {
	if p.Default == nil || p.Default == starlark.None {
		return nil
	}
	check := script.Param{Type: p.Type, Choices: p.Choices}
	if s, ok := p.Default.(starlark.String); ok && p.Type == script.Path && s == "" {
		return nil
	}
	if err := check.Check(p.Default); err != nil {
		return fmt.Errorf("default of %s: %w", p.Name, err)
	}
	if list, err := script.StringList(p.Default); err == nil && p.Type == script.Strings {
		if err := p.checkChoices(list); err != nil {
			return fmt.Errorf("default of %s: %w", p.Name, err)
		}
	}
	if i, ok := p.Default.(starlark.Int); ok {
		n, _ := i.Int64()
		if err := p.checkRange(n); err != nil {
			return fmt.Errorf("default of %s: %w", p.Name, err)
		}
	}
	return nil
}

// policyValue is a policy as a Starlark value.
type policyValue struct{ policy.Policy }

func (*policyValue) String() string        { return "policy(...)" }
func (*policyValue) Type() string          { return "policy" }
func (*policyValue) Freeze()               {}
func (*policyValue) Truth() starlark.Bool  { return true }
func (*policyValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: policy") }

// classes are the arguments of policy().
var classes = []struct {
	arg   string
	class policy.Class
}{
	{"write", policy.Path}, {"packages", policy.Package}, {"services", policy.Service},
	{"databases", policy.Database}, {"ldap", policy.LDAP}, {"programs", policy.Program},
	{"groups", policy.Group}, {"servers", policy.Server},
}

// Permission is what a runbook may touch of one kind, as policy() calls it.
type Permission struct {
	What    string   `json:"what"`
	Entries []string `json:"entries"`
}

// Permissions are all that a runbook may touch.
func (rb *Runbook) Permissions() []Permission {
	var list []Permission
	for _, k := range classes {
		if entries := rb.Policy.Allow[k.class]; len(entries) > 0 {
			list = append(list, Permission{k.arg, entries})
		}
	}
	return list
}

func makePolicy(c *script.Call) (starlark.Value, error) {
	p := &policyValue{}
	for _, k := range classes {
		for _, entry := range c.Strings(k.arg) {
			if err := p.Grant(k.class, entry); err != nil {
				return nil, c.Errorf("%s: %w", k.arg, err)
			}
		}
	}
	return p, nil
}

func grant(c *script.Call) (starlark.Value, error) {
	return granted(c, policy.Path, c.String("path"))
}

func grantBase(c *script.Call) (starlark.Value, error) {
	return granted(c, policy.LDAP, c.String("base"))
}

func granted(c *script.Call, class policy.Class, entry string) (starlark.Value, error) {
	run := running(c)
	if run == nil {
		return nil, c.Errorf("it can only be called inside a step")
	}
	if err := run.Grant(class, entry, c.String("why"), c.Pos()); err != nil {
		return nil, c.Errorf("%w", err)
	}
	return starlark.None, nil
}

func finish(c *script.Call) (starlark.Value, error) {
	if running(c) == nil {
		return nil, c.Errorf("it can only be called inside a step")
	}
	return nil, &Finished{c.String("reason")}
}

// Finished is the error by which finish() ends a run in success.
type Finished struct{ Reason string }

func (e *Finished) Error() string { return "finished: " + e.Reason }
