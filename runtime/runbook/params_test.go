package runbook_test

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// TestPathParameters are paths as they come from a shell.
func TestPathParameters(t *testing.T) {
	rb := &runbook.Runbook{Params: []*runbook.ParamSpec{
		{Name: "dir", Type: script.Path, Default: starlark.String("/var/backups/x")},
		{Name: "file", Type: script.Path, Default: starlark.String("")},
	}}
	cases := []struct{ name, text, want, problem string }{
		{"dir", "/srv/dump/", "/srv/dump", ""},
		{"dir", "/", "/", ""},
		{"dir", "/srv//dump", "", `write "/srv/dump"`},
		{"dir", "srv", "", "not absolute"},
		{"dir", "", "", "leave it out for /var/backups/x"},
		{"file", "", "", ""},
	}
	for _, c := range cases {
		values, err := rb.CheckParams(map[string]string{c.name: c.text}, nil)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s=%q: %v", c.name, c.text, err)
			}
			continue
		}
		if err != nil || values[c.name] != starlark.String(c.want) {
			t.Errorf("%s=%q: %v %v", c.name, c.text, values[c.name], err)
		}
	}
}
