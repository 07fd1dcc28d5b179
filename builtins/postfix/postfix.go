// Package postfix is the runbooks' module postfix: it reads and changes main.cf by the syntax of postconf(5).
package postfix

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{settings, set} }

// limit is more than any main.cf has.
const limit = 4 << 20

var pathParam = script.Param{Name: "path", Type: script.Path, Doc: "absolute path of main.cf"}

var settings = &script.Builtin{
	Name: "postfix.settings",
	Doc: "Reads what main.cf sets.\n\n" +
		"A line that begins with a blank continues the one before, also behind comments and empty lines; of two lines with one " +
		"name the last counts. Values come as they are written, $name included. What main.cf leaves out has Postfix's own default " +
		"and is not told.",
	Params: []script.Param{pathParam},
	Result: "dict of name to value; empty if there is no such file",
	Effect: script.Read,
	Example: `
print(postfix.settings("/etc/postfix/main.cf").get("virtual_transport", "virtual"))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		if _, err := c.View.Stat(c.String("path")); absent(err) {
			return starlark.NewDict(0), nil
		}
		text, err := read(c)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		found := starlark.NewDict(0)
		for _, e := range entries(text) {
			if e.name == "" {
				continue
			}
			if err := found.SetKey(starlark.String(e.name), starlark.String(e.value)); err != nil {
				return nil, c.Errorf("%w", err)
			}
		}
		return found, nil
	},
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

var set = &script.Builtin{
	Name: "postfix.set",
	Doc: "Sets parameters in main.cf, and leaves every other line as it is.\n\n" +
		"The last setting of a name is replaced, with the lines that continue it; a new one comes at the end. Postfix reads it when " +
		"it is reloaded: svc.reload(\"postfix\").",
	Params: []script.Param{
		pathParam,
		{Name: "values", Type: script.Data, Doc: "dict of name to value, a string, or None, which takes all settings of that name out"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
postfix.set("/etc/postfix/main.cf", {"virtual_transport": "lmtp:[127.0.0.1]:2003"})
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		dict, ok := c.Value("values").(*starlark.Dict)
		if !ok {
			return script.Decision{}, c.Errorf("argument values: got %s, want a dict of name to value", c.Value("values").Type())
		}
		text, err := read(c)
		if err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		for _, item := range dict.Items() {
			name, _ := starlark.AsString(item[0])
			value, isText := starlark.AsString(item[1])
			switch {
			case !validName.MatchString(name):
				return script.Decision{}, c.Errorf("argument values: %s is not the name of a parameter of Postfix", item[0])
			case item[1] == starlark.None:
				text = without(text, name)
			case !isText || strings.ContainsAny(value, "\n\r\x00"):
				return script.Decision{}, c.Errorf("argument values: %s: want a string of one line, or None", name)
			default:
				text = with(text, name, value)
			}
		}
		return script.Decision{Actions: []action.Action{&action.Write{Path: c.String("path"), Content: []byte(text)}}, Result: starlark.None}, nil
	},
}

func read(c *script.Call) (string, error) {
	f, err := c.View.Open(c.String("path"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is longer than %d bytes; is it the right file?", c.String("path"), limit)
	}
	return string(data), err
}
