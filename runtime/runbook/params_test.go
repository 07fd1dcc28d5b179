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

// TestBounds: what is out of range is refused before a run begins.
func TestBounds(t *testing.T) {
	least, most := int64(0), int64(60)
	bounded := func(atLeast, atMost *int64) *runbook.Runbook {
		return &runbook.Runbook{Params: []*runbook.ParamSpec{{Name: "n", Type: script.Int, Default: starlark.MakeInt(1), AtLeast: atLeast, AtMost: atMost}}}
	}
	cases := []struct {
		rb            *runbook.Runbook
		text, problem string
	}{
		{bounded(&least, &most), "0", ""},
		{bounded(&least, &most), "60", ""},
		{bounded(&least, &most), "-1", "parameter n: -1 is out of range; give a number from 0 to 60"},
		{bounded(&least, &most), "61", "from 0 to 60"},
		{bounded(&least, nil), "-1", "from 0 on"},
		{bounded(nil, &most), "61", "up to 60"},
		{bounded(nil, nil), "-1", ""},
	}
	for _, c := range cases {
		_, err := c.rb.CheckParams(map[string]string{"n": c.text}, nil)
		if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("n=%s: %v, want %q", c.text, err, c.problem)
		}
	}
}
