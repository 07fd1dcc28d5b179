// Package text is the runbooks' module text: numbers and bytes as text.
package text

import (
	"encoding/hex"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{toHex, fromHex, size} }

var toHex = &script.Builtin{
	Name:   "text.to_hex",
	Doc:    "Writes the bytes of a string as hexadecimal digits in upper case, as HEX() in SQL.",
	Params: []script.Param{{Name: "value", Type: script.String, Doc: "the string"}},
	Result: "string",
	Effect: script.Pure,
	Example: `
if text.to_hex("1000") != "31303030":
    fail("two digits a byte")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		return starlark.String(strings.ToUpper(hex.EncodeToString([]byte(c.String("value"))))), nil
	},
}

var fromHex = &script.Builtin{
	Name:   "text.from_hex",
	Doc:    "Reads the string whose bytes hexadecimal digits name.",
	Params: []script.Param{{Name: "digits", Type: script.String, Doc: "an even number of hexadecimal digits"}},
	Result: "string",
	Effect: script.Pure,
	Example: `
if text.from_hex("31303030") != "1000":
    fail("two digits a byte")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		value, err := hex.DecodeString(c.String("digits"))
		if err != nil {
			return nil, c.Errorf("argument digits: %q: %w", c.String("digits"), err)
		}
		return starlark.String(value), nil
	},
}

var size = &script.Builtin{
	Name:   "text.size",
	Doc:    "Writes a number of bytes as people read it, rounded down: \"23 MB\".",
	Params: []script.Param{{Name: "bytes", Type: script.Int, Doc: "the number"}},
	Result: "string",
	Effect: script.Pure,
	Example: `
info("attachments", "they take " + text.size(fs.usage("/var/lib/zarafa").bytes))
`,
	Value: func(c *script.Call) (starlark.Value, error) { return starlark.String(sizeOf(c.Int("bytes", 0))), nil },
}

func sizeOf(n int64) string {
	for _, unit := range []string{"bytes", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%d TB", n)
}
