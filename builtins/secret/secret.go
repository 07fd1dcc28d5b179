// Package secret is the runbooks' module secret: texts that hold secrets.
package secret

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{text} }

var text = &script.Builtin{
	Name: "secret.text",
	Doc: "Puts secrets into a text.\n\n" +
		"What it returns is a secret as a whole: a builtin that takes a text or a secret, such as fs.write and cfg.set, gets it " +
		"complete, and print shows *** where the secrets are. A string and a secret can be joined with + to the same end. " +
		"Nothing else takes a secret: no path, no finding, no argument of a program, no name. A secret is not compared " +
		"either; `if password:` asks whether there is one.",
	Params: []script.Param{
		{Name: "format", Type: script.String, Doc: "text with %s where a value is to stand, and %% for a percent sign"},
		{Name: "values", Type: script.Any, Doc: "the value, or a list of as many as there are %s: strings, numbers and secrets"},
	},
	Result: "secret",
	Effect: script.Pure,
	Example: `
pw = cfg.get("/etc/zarafa/server.cfg", "mysql_password")
fs.write("/etc/kopano/login", secret.text("user = %s\npassword = %s\n", ["kopano", pw]), mode = "0600")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		values, err := tuple(c)
		if err != nil {
			return nil, err
		}
		formatted, err := starlark.Binary(syntax.PERCENT, starlark.String(c.String("format")), values)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.SecretText(string(formatted.(starlark.String)))
	},
}

func tuple(c *script.Call) (starlark.Tuple, error) {
	values := starlark.Tuple{c.Value("values")}
	switch v := c.Value("values").(type) {
	case *starlark.List, starlark.Tuple:
		values = nil
		for item := range starlark.Elements(v.(starlark.Iterable)) {
			values = append(values, item)
		}
	}
	for _, v := range values {
		switch v.(type) {
		case starlark.String, starlark.Int, script.SecretValue:
		default:
			return nil, c.Errorf("argument values: got %s, want strings, numbers and secrets", v.Type())
		}
	}
	return values, nil
}
