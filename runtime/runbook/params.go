package runbook

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

// ParamSpec is a parameter of a runbook.
type ParamSpec struct {
	Name     string
	Type     script.Type // String, Int, Bool, Path or Strings
	Doc      string
	Default  starlark.Value // nil if there is none
	Choices  []string
	AtLeast  *int64 // nil if there is no bound
	AtMost   *int64
	Required bool
	Secret   bool

	pos syntax.Position // of the call that made it
}

// paramValue is a ParamSpec as a Starlark value.
type paramValue struct{ spec *ParamSpec }

func (p paramValue) String() string      { return fmt.Sprintf("param(%q)", p.spec.Name) }
func (paramValue) Type() string          { return "param" }
func (paramValue) Freeze()               {}
func (paramValue) Truth() starlark.Bool  { return true }
func (paramValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: param") }

func paramNames(params []*ParamSpec) []string {
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Name
	}
	return names
}

// DefaultText is the default as the admin would type it.
func (p *ParamSpec) DefaultText() string {
	if s, ok := p.Default.(starlark.String); ok {
		return string(s)
	}
	if p.Default == nil || p.Default == starlark.None {
		return ""
	}
	if list, err := script.StringList(p.Default); err == nil {
		return listText(list)
	}
	return strings.ToLower(p.Default.String())
}

// listText is a list as the admin would type it.
func listText(list []string) string {
	plain := func(s string) bool { return s != "" && s == strings.TrimSpace(s) && !strings.ContainsAny(s, ",[\"") }
	for _, s := range list {
		if !plain(s) {
			data, _ := json.Marshal(list)
			return string(data)
		}
	}
	return strings.Join(list, ",")
}

// parseList takes a list as the admin typed it: texts between commas, or JSON where one of them has a comma.
func parseList(text string) ([]string, error) {
	list := []string{}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, fmt.Errorf("%q is no JSON list of texts; write a,b,c or [\"a\", \"b, c\"]", text)
		}
		return list, nil
	}
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list, nil
}

// parseStrings is a list as a value, each of its elements held against the choices.
func (p *ParamSpec) parseStrings(text string) (starlark.Value, error) {
	list, err := parseList(text)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
	}
	if err := p.checkChoices(list); err != nil {
		return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
	}
	return script.ToStarlark(list), nil
}

func (p *ParamSpec) checkChoices(list []string) error {
	check := script.Param{Type: script.String, Choices: p.Choices}
	for _, item := range list {
		if err := check.Check(starlark.String(item)); err != nil {
			return err
		}
	}
	return nil
}

// parse turns what the admin typed into the parameter's value.
func (p *ParamSpec) parse(text string) (starlark.Value, error) {
	switch p.Type {
	case script.Strings:
		return p.parseStrings(text)
	case script.Int:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %q is not a whole number", p.Name, text)
		}
		if err := p.checkRange(i); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		return starlark.MakeInt64(i), nil
	case script.Bool:
		switch strings.ToLower(text) {
		case "yes", "true", "1", "on":
			return starlark.True, nil
		case "no", "false", "0", "off":
			return starlark.False, nil
		}
		return nil, fmt.Errorf("parameter %s: %q is neither yes nor no", p.Name, text)
	case script.Path:
		if text == "" {
			return p.parseEmptyPath()
		}
		if short := strings.TrimRight(text, "/"); short != "" {
			text = short // the completion of shells ends directories with a slash
		}
		if err := script.CheckPath(text); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	if len(p.Choices) > 0 {
		check := script.Param{Type: script.String, Choices: p.Choices}
		if err := check.Check(starlark.String(text)); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	return starlark.String(text), nil
}

// checkRange holds a whole number against the bounds of the parameter.
func (p *ParamSpec) checkRange(i int64) error {
	if (p.AtLeast == nil || i >= *p.AtLeast) && (p.AtMost == nil || i <= *p.AtMost) {
		return nil
	}
	return fmt.Errorf("%d is out of range; give a number %s", i, p.RangeText())
}

// RangeText is what an admin reads of the bounds, "" if there are none.
func (p *ParamSpec) RangeText() string {
	switch {
	case p.AtLeast != nil && p.AtMost != nil:
		return fmt.Sprintf("from %d to %d", *p.AtLeast, *p.AtMost)
	case p.AtLeast != nil:
		return fmt.Sprintf("from %d on", *p.AtLeast)
	case p.AtMost != nil:
		return fmt.Sprintf("up to %d", *p.AtMost)
	}
	return ""
}

// parseEmptyPath takes no path where none is the default, too.
func (p *ParamSpec) parseEmptyPath() (starlark.Value, error) {
	switch usual, _ := p.Default.(starlark.String); {
	case p.Required:
		return nil, fmt.Errorf("parameter %s: it is empty; give a path", p.Name)
	case usual != "":
		return nil, fmt.Errorf("parameter %s: it is empty; give a path, or leave it out for %s", p.Name, string(usual))
	}
	return starlark.String(""), nil
}

// NoParam is the error of a parameter that the runbook does not have.
func (rb *Runbook) NoParam(name string) error {
	return fmt.Errorf("the runbook has no parameter %s%s", name, near.HintOrList(name, paramNames(rb.Params)))
}

// CheckParam tells why a text is no value of a parameter.
func (rb *Runbook) CheckParam(name, text string) error {
	for _, p := range rb.Params {
		if p.Name == name {
			_, err := p.parse(text)
			return err
		}
	}
	return rb.NoParam(name)
}

// CheckParams resolves the parameters of a run: what was given, or the defaults. An unknown or
// missing one, or one of the wrong type, is an error that names the near miss.
func (rb *Runbook) CheckParams(given map[string]string, secrets map[string]host.Secret) (map[string]starlark.Value, error) {
	byName := map[string]*ParamSpec{}
	for _, p := range rb.Params {
		byName[p.Name] = p
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(secrets))) {
		if byName[name] == nil {
			return nil, rb.NoParam(name)
		}
	}
	values := map[string]starlark.Value{}
	for _, p := range rb.Params {
		v, err := p.resolve(given, secrets)
		if err != nil {
			return nil, err
		}
		values[p.Name] = v
	}
	return values, nil
}

func (p *ParamSpec) resolve(given map[string]string, secrets map[string]host.Secret) (starlark.Value, error) {
	text, isText := given[p.Name]
	secret, isSecret := secrets[p.Name]
	switch {
	case p.Secret && isText:
		return nil, fmt.Errorf("parameter %s is a secret, and a command line can be read by every user: give it with --secret %s=FILE", p.Name, p.Name)
	case isSecret && !p.Secret:
		return nil, fmt.Errorf("parameter %s is not a secret: give it with --param %s=VALUE", p.Name, p.Name)
	case isSecret:
		return script.SecretValue{Secret: secret}, nil
	case isText:
		return p.parse(text)
	case p.Required && p.Secret:
		return nil, fmt.Errorf("parameter %s is missing (%s): give it with --secret %s=FILE", p.Name, p.Doc, p.Name)
	case p.Required:
		return nil, fmt.Errorf("parameter %s is missing (%s): give it with --param %s=VALUE", p.Name, p.Doc, p.Name)
	case p.Secret:
		return script.SecretValue{}, nil
	}
	return p.Default, nil
}
