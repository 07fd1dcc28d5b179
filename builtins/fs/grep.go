package fs

import (
	"bytes"
	"io"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

var grep = &script.Builtin{
	Name: "fs.grep",
	Doc: "Finds the lines of a file that hold a text, whatever the file's encoding.\n\n" +
		"Only those lines go into the run's journal, not the file. Bytes that are not UTF-8 come as U+FFFD. An absent " +
		"file holds nothing.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of a regular file, of at most 16 MiB"},
		{Name: "text", Type: script.String, Doc: "what to look for, as it is written"},
		{Name: "readable", Type: script.Bool, Doc: "a file that cannot be opened holds nothing", Optional: true, Default: "False", Keyword: true},
	},
	Result: "list of record(line, text): line counts from 1",
	Effect: script.Read,
	Example: `
for found in fs.grep("/etc/postfix/master.cf", "zarafa-dagent"):
    warn("postfix calls zarafa-dagent", "line %d: %s" % (found.line, found.text))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		found := []starlark.Value{}
		f, err := c.View.Open(c.String("path"))
		if absent(err) || err != nil && c.Bool("readable", false) {
			return starlark.NewList(found), nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, grepLimit+1))
		if err != nil {
			return nil, c.Errorf("%s: %w", c.String("path"), err)
		}
		if len(data) > grepLimit {
			return nil, c.Errorf("%s is longer than %d bytes; is it the right file?", c.String("path"), grepLimit)
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if bytes.Contains(line, []byte(c.String("text"))) {
				text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r"), "\uFFFD")
				found = append(found, script.NewRecord(map[string]any{"line": i + 1, "text": text}))
			}
		}
		return starlark.NewList(found), nil
	},
}

const grepLimit = 16 << 20
